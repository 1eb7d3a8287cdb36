//! Differences between a schema and the deployed one, by their effect on stored documents.

use super::Schema;
use cogniverse_sdk::{
    BaseSchema,
    schema::{Field, FieldSet, FieldType, RankProfile},
};
use std::fmt::Display;

/// The difference between a schema and the deployed one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaDifference {
    /// There is no difference.
    None,
    /// Rank profiles or optional fields differ: documents stay as they are.
    Ranking(Vec<String>),
    /// Required fields differ: stored documents do not fit.
    Documents(Vec<String>),
}

impl Schema {
    /// Compares this schema with a deployed one.
    #[must_use]
    pub fn difference(&self, deployed: &BaseSchema) -> SchemaDifference {
        let name = |field: &Field| field.name.to_string();
        let known = &deployed.document.fields;
        let added = |field: &&Field| is_addable(field) && known.iter().all(|known| known.name != field.name);
        let wanted: Vec<Field> = self.base().document.fields.iter().filter(|field| !added(field)).cloned().collect();
        let fields = changes("field", &wanted, known, name);
        if !fields.is_empty() {
            return SchemaDifference::Documents(fields);
        }
        let mut ranking: Vec<String> = self
            .base()
            .document
            .fields
            .iter()
            .filter(added)
            .map(|field| format!("field {} is new", field.name))
            .collect();
        let name = |profile: &RankProfile| profile.name.to_string();
        ranking.extend(changes("rank profile", &self.base().rank_profiles, &deployed.rank_profiles, name));
        ranking.extend(changes("field set", &self.base().fieldsets, &deployed.fieldsets, |set: &FieldSet| {
            set.name.clone()
        }));
        if ranking.is_empty() { SchemaDifference::None } else { SchemaDifference::Ranking(ranking) }
    }
}

/// Returns whether documents stored without the field are complete. One without a text has no words there, while one without a
/// tensor could not be ranked by it.
fn is_addable(field: &Field) -> bool {
    !matches!(field.field_type, FieldType::Tensor(_))
}

fn changes<T: PartialEq, N: PartialEq + Display>(
    what: &str,
    wanted: &[T],
    deployed: &[T],
    name: impl Fn(&T) -> N,
) -> Vec<String> {
    let find = |list: &[T], wanted: &T| list.iter().position(|item| name(item) == name(wanted));
    let mut changes = Vec::new();
    for item in wanted {
        match find(deployed, item).and_then(|place| deployed.get(place)) {
            None => changes.push(format!("{what} {} is new", name(item))),
            Some(known) if known != item => changes.push(format!("{what} {} differs", name(item))),
            Some(_) => {}
        }
    }
    let gone = deployed.iter().filter(|item| find(wanted, item).is_none());
    changes.extend(gone.map(|item| format!("{what} {} is gone", name(item))));
    changes
}
