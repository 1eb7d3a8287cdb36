//! What differs between a schema and the deployed one, by what it means for stored documents.

use super::Schema;
use cogniverse_sdk::{
    BaseSchema,
    schema::{Field, FieldSet, RankProfile},
};
use std::fmt::Display;

/// What differs between a schema and the deployed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaDifference {
    /// Nothing.
    None,
    /// Ways to rank: stored documents stay as they are.
    Ranking(Vec<String>),
    /// Fields: stored documents would not fit.
    Documents(Vec<String>),
}

impl Schema {
    /// What this schema would change in a deployed one.
    #[must_use]
    pub fn difference(&self, deployed: &BaseSchema) -> SchemaDifference {
        let name = |field: &Field| field.name.to_string();
        let fields = changes("field", &self.base().document.fields, &deployed.document.fields, name);
        if !fields.is_empty() {
            return SchemaDifference::Documents(fields);
        }
        let name = |profile: &RankProfile| profile.name.to_string();
        let mut ranking = changes("rank profile", &self.base().rank_profiles, &deployed.rank_profiles, name);
        ranking.extend(changes("field set", &self.base().fieldsets, &deployed.fieldsets, |set: &FieldSet| {
            set.name.clone()
        }));
        if ranking.is_empty() { SchemaDifference::None } else { SchemaDifference::Ranking(ranking) }
    }
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
