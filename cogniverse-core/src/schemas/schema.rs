//! Compiled base schemas.

use super::{
    fusion,
    lower::Lowering,
    strategy::{Rerank, Strategy},
};
use crate::text::{LANGUAGE_FIELD, Language, check_text, language_of};
use cogniverse_sdk::{
    BaseSchema, Error, ErrorCode, FieldName, FieldValue, Filter, Result, SchemaName, StrategyName,
    document::Fields,
    schema::{Field, FieldType, Indexing, RankProfile},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// The timeout of a query in seconds where the rank profile sets none.
const DEFAULT_TIMEOUT: f64 = 2.0;

/// A compiled base schema: checked, immutable and cheap to share.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    base: Arc<BaseSchema>,
    places: HashMap<FieldName, usize>,
    text_fields: Vec<FieldName>,
    strategies: BTreeMap<StrategyName, Strategy>,
}

impl Schema {
    /// Compiles a base schema, checking every field and rank profile.
    ///
    /// # Errors
    /// `InvalidInput` that names the schema, the field or rank profile, and the cause.
    pub fn compile(base: Arc<BaseSchema>) -> Result<Self> {
        Self::check_and_compile(&base).map_err(|e| e.with_context("schema", &base.name))
    }

    fn check_and_compile(base: &Arc<BaseSchema>) -> Result<Self> {
        let fields = &base.document.fields;
        let mut places = HashMap::new();
        for (place, field) in fields.iter().enumerate() {
            check_field(field).map_err(|e| e.with_context("field", &field.name))?;
            if places.insert(field.name.clone(), place).is_some() {
                return Err(Error::invalid(format!("the field \"{}\" is declared twice", field.name)));
            }
        }
        let text_fields = text_fields(base)?;
        let mut strategies = BTreeMap::new();
        for profile in &base.rank_profiles {
            let strategy = strategy(fields, profile).map_err(|e| e.with_context("rank_profile", &profile.name))?;
            if strategies.insert(profile.name.clone(), strategy).is_some() {
                return Err(Error::invalid(format!("the rank profile \"{}\" is declared twice", profile.name)));
            }
        }
        Ok(Self { base: Arc::clone(base), places, text_fields, strategies })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &SchemaName {
        &self.base.name
    }

    /// Returns the definition that it was compiled from.
    #[must_use]
    pub fn base(&self) -> &Arc<BaseSchema> {
        &self.base
    }

    /// Returns a field by its name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let name = FieldName::parse(name).ok()?;
        self.fields().get(*self.places.get(&name)?)
    }

    /// Returns whether the field can be filtered by.
    #[must_use]
    pub fn is_attribute(&self, name: &FieldName) -> bool {
        self.field(name.as_str()).is_some_and(|field| field.has(Indexing::Attribute))
    }

    /// Returns the fields, in file order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.base.document.fields
    }

    /// Returns the text fields that query words are matched in: the default field set's, or all that BM25 scores.
    #[must_use]
    pub fn text_fields(&self) -> &[FieldName] {
        &self.text_fields
    }

    /// Returns whether texts are analyzed by the language that their document names in [`LANGUAGE_FIELD`].
    #[must_use]
    pub fn has_languages(&self) -> bool {
        let field = self.field(LANGUAGE_FIELD);
        field.is_some_and(|field| field.field_type == FieldType::String && field.has(Indexing::Attribute))
    }

    /// Returns the language by which a document's texts are analyzed; `None` where it names none, or the schema has no field
    /// for it.
    #[must_use]
    pub fn language_of(&self, fields: &Fields) -> Option<Language> {
        language_of(fields).filter(|_| self.has_languages())
    }

    /// Returns a strategy by its name.
    ///
    /// # Errors
    /// `NotFound` that lists the existing strategies ([invariant 16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16)).
    pub fn strategy(&self, name: &StrategyName) -> Result<&Strategy> {
        let found = self.strategies.get(name);
        found.ok_or_else(|| {
            Error::unknown("strategy", name, self.strategies.keys())
                .with_code(ErrorCode::StrategyUnknown)
                .with_context("schema", self.name())
        })
    }

    /// Returns the strategies, sorted by name.
    pub fn strategies(&self) -> impl Iterator<Item = &Strategy> {
        self.strategies.values()
    }

    /// Refuses a filter on a field that is not a declared attribute, or with a value of another kind.
    ///
    /// # Errors
    /// `InvalidInput` that names the field and lists the fields that can be filtered by.
    pub fn check_filter(&self, filter: &Filter) -> Result<()> {
        filter.check()?;
        self.check_conditions(filter).map_err(|e| e.with_context("schema", self.name()))
    }

    fn check_conditions(&self, filter: &Filter) -> Result<()> {
        match filter {
            Filter::Equals(name, value) => self.check_operand(name, value),
            Filter::In(name, values) => {
                self.filterable(name)?;
                values.iter().try_for_each(|value| self.check_operand(name, value))
            }
            Filter::Range(name, _) => match self.filterable(name)?.field_type {
                FieldType::Int | FieldType::Long | FieldType::Float | FieldType::Double => Ok(()),
                ref other => Err(Error::of(
                    ErrorCode::FilterInvalid,
                    format!("field \"{name}\" is a {other} and has no range; compare it by value"),
                )),
            },
            Filter::All(parts) | Filter::Any(parts) => parts.iter().try_for_each(|part| self.check_conditions(part)),
            Filter::Not(part) => self.check_conditions(part),
            _ => Err(Error::of(ErrorCode::FilterInvalid, "a condition that this version does not know")),
        }
    }

    fn filterable(&self, name: &FieldName) -> Result<&Field> {
        let usable =
            |field: &Field| field.has(Indexing::Attribute) && !matches!(field.field_type, FieldType::Tensor(_));
        self.field(name.as_str()).filter(|field| usable(field)).ok_or_else(|| {
            let names = self.fields().iter().filter(|field| usable(field)).map(|field| &field.name);
            Error::unknown("filter field", name, names).with_code(ErrorCode::FilterInvalid)
        })
    }

    fn check_operand(&self, name: &FieldName, value: &FieldValue) -> Result<()> {
        let field = self.filterable(name)?;
        let fits = match field.field_type {
            FieldType::String | FieldType::StringArray => matches!(value, FieldValue::String(_)),
            FieldType::Int | FieldType::Long | FieldType::Float | FieldType::Double => {
                matches!(value, FieldValue::Integer(_) | FieldValue::Float(_))
            }
            FieldType::Bool => matches!(value, FieldValue::Bool(_)),
            FieldType::Tensor(_) => false,
        };
        if fits {
            return Ok(());
        }
        Err(Error::of(
            ErrorCode::FilterInvalid,
            format!("field \"{name}\" is a {} and cannot be compared with a {}", field.field_type, value.kind()),
        ))
    }

    /// Refuses undeclared fields and values that do not match their types ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    ///
    /// # Errors
    /// `InvalidInput` that names the field.
    pub fn check_document_fields(&self, fields: &Fields) -> Result<()> {
        for (name, value) in fields {
            let field = self.field(name.as_str()).ok_or_else(|| {
                let known = self.fields().iter().map(|field| &field.name);
                Error::invalid(Error::unknown("field", name, known).message()).with_context("schema", self.name())
            })?;
            check_value(field, value).map_err(|e| e.with_context("field", name).with_context("schema", self.name()))?;
        }
        Ok(())
    }
}

fn check_value(field: &Field, value: &FieldValue) -> Result<()> {
    match (&field.field_type, value) {
        (FieldType::Tensor(tensor_type), FieldValue::Tensor(tensor)) => tensor.check(tensor_type),
        (FieldType::Int, FieldValue::Integer(number)) if i32::try_from(*number).is_err() => {
            Err(Error::invalid(format!("{number} does not fit an int; declare the field as long")))
        }
        (FieldType::Float | FieldType::Double, FieldValue::Float(number)) if !number.is_finite() => {
            Err(Error::invalid(format!("{number} is not a finite number")))
        }
        (FieldType::String, FieldValue::String(text)) => check_text(text),
        (FieldType::StringArray, FieldValue::Strings(texts)) => texts.iter().try_for_each(|text| check_text(text)),
        (FieldType::Int | FieldType::Long, FieldValue::Integer(_))
        | (FieldType::Float | FieldType::Double, FieldValue::Float(_))
        | (FieldType::Bool, FieldValue::Bool(_)) => Ok(()),
        (declared, value) => Err(Error::invalid(format!("a value of kind {} does not fit {declared}", value.kind()))),
    }
}

fn check_field(field: &Field) -> Result<()> {
    if field.indexing.is_empty() {
        return Err(Error::invalid("it has no indexing; give summary, attribute or index"));
    }
    if let Some(cogniverse_sdk::schema::Index::Setting(setting)) = &field.index
        && setting != "enable-bm25"
    {
        return Err(Error::invalid(Error::unknown("index setting", setting, ["enable-bm25"]).message()));
    }
    match &field.field_type {
        FieldType::Tensor(_) if field.is_bm25() => Err(Error::invalid("a tensor cannot have enable-bm25")),
        FieldType::Tensor(_) if !field.has(Indexing::Attribute) => {
            Err(Error::invalid("a tensor needs indexing \"attribute\""))
        }
        FieldType::String | FieldType::Tensor(_) => Ok(()),
        _ if field.index.is_some() => Err(Error::invalid("only strings and tensors can have an index")),
        _ => Ok(()),
    }
}

fn text_fields(base: &BaseSchema) -> Result<Vec<FieldName>> {
    let bm25: Vec<&FieldName> =
        base.document.fields.iter().filter(|field| field.is_bm25()).map(|field| &field.name).collect();
    let mut names = HashSet::new();
    for set in &base.fieldsets {
        if !names.insert(&set.name) {
            return Err(Error::invalid(format!("the field set \"{}\" is declared twice", set.name)));
        }
        if let Some(unknown) = set.fields.iter().find(|name| !bm25.contains(name)) {
            let error = Error::unknown("text field", unknown, bm25);
            return Err(Error::invalid(error.message()).with_context("fieldset", &set.name));
        }
    }
    Ok(match base.fieldsets.iter().find(|set| set.name == "default") {
        Some(set) => set.fields.clone(),
        None => bm25.into_iter().cloned().collect(),
    })
}

fn strategy(fields: &[Field], profile: &RankProfile) -> Result<Strategy> {
    let mut lowering = Lowering::new(fields, profile)?;
    let first_phase = lowering.score(&profile.first_phase.expression)?;
    let second_phase = match &profile.second_phase {
        Some(second) if second.rerank_count == 0 => {
            return Err(Error::invalid("rerank_count is 0; leave the second phase out"));
        }
        Some(second) => Some(Rerank { score: lowering.score(&second.expression)?, count: second.rerank_count }),
        None => None,
    };
    let fusion = profile.global_phase.as_ref().map(|global| fusion::compile(&mut lowering, global)).transpose()?;
    let seconds = profile.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
    let timeout = timeout
        .ok_or_else(|| Error::invalid(format!("the timeout {seconds} is not a duration; give seconds above 0")))?;
    Ok(Strategy { name: profile.name.clone(), inputs: lowering.inputs, first_phase, second_phase, fusion, timeout })
}
