//! Consistency checks of schemas: names that are used exist, and profiles know what they inherit.

use super::schema::{RankProfile, Schema};
use std::collections::{BTreeMap, BTreeSet};

impl Schema {
    /// Refuses names of fields that are not there.
    pub(super) fn check(&self) -> Result<(), String> {
        let schema = &self.name;
        for (set, fields) in &self.field_sets {
            if let Some(name) = fields.iter().find(|name| self.field(name).is_none()) {
                return Err(format!("For schema '{schema}': Field '{name}' in fieldset '{set}' does not exist."));
            }
        }
        for summary in &self.summaries {
            let class = &summary.name;
            let lost = summary.fields.iter().find(|(_, source)| source != "documentid" && self.field(source).is_none());
            if let Some((name, source)) = lost {
                return Err(format!(
                    "For schema '{schema}', document-summary '{class}', summary field '{name}': there is no valid source '{source}'."
                ));
            }
        }
        Ok(())
    }

    /// Gives each profile what it inherits, and adds the two that every schema has.
    pub(super) fn inherit(&mut self) -> Result<(), String> {
        let own: BTreeMap<String, RankProfile> =
            self.profiles.iter().map(|profile| (profile.name.clone(), profile.clone())).collect();
        for profile in &mut self.profiles {
            *profile = whole(profile, &own, &self.name, &mut BTreeSet::new())?;
        }
        let lost = |profile: &RankProfile, expression: &str| {
            let called = profile.called(expression);
            let texts = std::iter::once(expression).chain(called.values().map(|body| body.as_str()));
            texts.flat_map(attributes).find(|name| self.field(name).is_none()).map(str::to_owned)
        };
        for profile in &self.profiles {
            let phases = [
                ("first-phase", &profile.first_phase),
                ("second-phase", &profile.second_phase),
                ("global-phase", &profile.global_phase),
            ];
            for (phase, expression) in phases {
                let Some(expression) = expression else { continue };
                if let Some(name) = lost(profile, expression) {
                    return Err(format!(
                        "In schema '{}', rank profile '{}': The {phase} expression is invalid: Unknown feature 'attribute({name})'",
                        self.name, profile.name
                    ));
                }
            }
        }
        for name in ["default", "unranked"] {
            if self.profile(name).is_none() {
                self.profiles.push(RankProfile { name: name.to_owned(), ..RankProfile::default() });
            }
        }
        Ok(())
    }
}

fn attributes(expression: &str) -> impl Iterator<Item = &str> {
    expression.split("attribute(").skip(1).filter_map(|rest| rest.split(')').next()).map(str::trim)
}

fn whole(
    profile: &RankProfile,
    all: &BTreeMap<String, RankProfile>,
    schema: &str,
    above: &mut BTreeSet<String>,
) -> Result<RankProfile, String> {
    let mut found = profile.clone();
    let lost = |name: &str| {
        format!("rank-profile '{}' inherits '{name}', but this is not found in schema '{schema}'", profile.name)
    };
    for name in &profile.inherits {
        if matches!(name.as_str(), "default" | "unranked") && !all.contains_key(name) {
            continue;
        }
        let parent = all.get(name).ok_or_else(|| lost(name))?;
        if !above.insert(name.clone()) {
            return Err(format!("There is a cycle in the inheritance for rank-profile '{schema}.{}'", profile.name));
        }
        let parent = whole(parent, all, schema, above)?;
        above.remove(name);
        for (name, input) in parent.inputs {
            found.inputs.entry(name).or_insert(input);
        }
        for (name, body) in parent.functions {
            found.functions.entry(name).or_insert(body);
        }
        found.first_phase = found.first_phase.or(parent.first_phase);
        found.rerank_count = found.rerank_count.or(parent.rerank_count);
        found.second_phase = found.second_phase.or(parent.second_phase);
        found.global_phase = found.global_phase.or(parent.global_phase);
        found.global_rerank_count = found.global_rerank_count.or(parent.global_rerank_count);
        if found.match_features.is_empty() {
            found.match_features = parent.match_features;
        }
        if found.summary_features.is_empty() {
            found.summary_features = parent.summary_features;
        }
    }
    Ok(found)
}
