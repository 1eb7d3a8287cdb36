//! Metadata fields of schemas: attributes that a tenant's profiles add to a base schema.

use cogniverse_sdk::{BaseSchema, Error, ErrorCode, MetadataName, MetadataType, Result, schema::Field};
use std::collections::BTreeMap;

/// Metadata fields by name.
pub(crate) type Declared = BTreeMap<MetadataName, MetadataType>;

/// Joins the declarations of several profiles of one schema.
///
/// # Errors
/// `Conflict` where two give one name different types.
pub(crate) fn union<'p>(declarations: impl IntoIterator<Item = &'p Declared>) -> Result<Declared> {
    let mut all = Declared::new();
    for (name, kind) in declarations.into_iter().flatten() {
        if let Some(known) = all.insert(name.clone(), *kind)
            && known != *kind
        {
            return Err(Error::of(
                ErrorCode::Conflict,
                format!(
                    "profiles of one schema declare metadata \"{name}\" as {known} and as {kind}; give it one type, or another name"
                ),
            ));
        }
    }
    Ok(all)
}

/// Returns the schema with the declared fields, and with those that the deployed one has already: documents hold them, so they
/// stay.
///
/// # Errors
/// None for valid names.
pub(crate) fn with_fields(base: &BaseSchema, declared: &Declared, deployed: Option<&BaseSchema>) -> Result<BaseSchema> {
    let mut extended = base.clone();
    let fields = &mut extended.document.fields;
    for (name, kind) in declared {
        let field = Field::attribute(name.field()?, kind.field_type());
        if fields.iter().all(|known| known.name != field.name) {
            fields.push(field);
        }
    }
    for field in deployed.into_iter().flat_map(|deployed| &deployed.document.fields) {
        if MetadataName::of_field(&field.name).is_some() && fields.iter().all(|known| known.name != field.name) {
            fields.push(field.clone());
        }
    }
    Ok(extended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemas::{EmbeddedSchemaLoader, Schema, SchemaDifference};
    use cogniverse_sdk::{SchemaLoader, SchemaName};
    use std::sync::Arc;

    fn declared(fields: &[(&str, MetadataType)]) -> Declared {
        fields.iter().map(|(name, kind)| (MetadataName::parse(name).unwrap(), *kind)).collect()
    }

    #[tokio::test]
    async fn fields_are_added_and_stay() {
        let base =
            EmbeddedSchemaLoader.load(&SchemaName::parse("video_text_minilm_mv_segment").unwrap()).await.unwrap();
        let first = with_fields(&base, &declared(&[("speaker", MetadataType::String)]), Some(&base)).unwrap();
        let added = Schema::compile(Arc::new(first.clone())).unwrap().difference(&base);
        assert!(matches!(added, SchemaDifference::Ranking(what) if what == ["field meta_speaker is new"]));
        let second = with_fields(&base, &declared(&[("year", MetadataType::Number)]), Some(&first)).unwrap();
        let added = Schema::compile(Arc::new(second)).unwrap().difference(&first);
        assert!(matches!(added, SchemaDifference::Ranking(what) if what == ["field meta_year is new"]));
        let other = with_fields(&base, &declared(&[("speaker", MetadataType::List)]), Some(&first)).unwrap();
        let differs = Schema::compile(Arc::new(other)).unwrap().difference(&first);
        assert!(matches!(differs, SchemaDifference::Documents(_)), "a type never changes in silence");
    }

    #[test]
    fn profiles_agree_on_types() {
        let (text, list) = (declared(&[("topic", MetadataType::String)]), declared(&[("topic", MetadataType::List)]));
        assert_eq!(union([&text, &text]).unwrap(), text);
        let error = union([&text, &list]).unwrap_err();
        assert!(error.to_string().contains("as string and as list"), "{error}");
    }
}
