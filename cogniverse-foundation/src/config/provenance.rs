//! The version that set each field of a value.

use super::section::ConfigSection;
use super::template::Template;
use super::versioned::Source;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigOrigin};
use cogniverse_sdk::{Error, Result, TenantId};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The source of a field's value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FieldSource {
    /// The kind of source.
    pub source: Source,
    /// The newest version in which the field changed; 0 for a default.
    pub version: u64,
}

/// A walk through a history, newest version first, until the source of every field is known.
pub(crate) struct Walk {
    defaults: Map<String, Value>,
    template: fn(Template) -> Map<String, Value>,
    newer: Option<ConfigEntry>,
    open: Vec<String>,
    found: BTreeMap<String, FieldSource>,
}

fn fields(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

impl Walk {
    pub(crate) fn new<T: ConfigSection>(tenant: &TenantId) -> Result<Self> {
        let unwritable = |e| Error::unexpected("a default configuration cannot be written as JSON").with_source(e);
        let defaults = serde_json::to_value(T::default_for(tenant)).map_err(unwritable)?;
        let mut defaults = fields(Some(&defaults)).cloned().unwrap_or_default();
        // Whose a configuration is, is no setting of it.
        defaults.remove("tenant_id");
        let open = defaults.keys().cloned().collect();
        Ok(Self { defaults, template: T::template_fields, newer: None, open, found: BTreeMap::new() })
    }

    /// Processes the next older version; returns `false` where no older one is needed.
    pub(crate) fn step(&mut self, entry: ConfigEntry) -> bool {
        let older = fields(entry.value.as_ref());
        match &self.newer {
            None => {}
            Some(newer) => {
                let (value, source) = (fields(newer.value.as_ref()), Source::of(&newer.origin));
                let changed = |field: &String| match older {
                    // Nothing before it: the version is the first of its run.
                    None => true,
                    Some(older) => older.get(field) != value.and_then(|value| value.get(field)),
                };
                let (done, open) = std::mem::take(&mut self.open).into_iter().partition(changed);
                self.open = open;
                if older.is_none() {
                    self.open = done;
                    self.close();
                    return false;
                }
                let (version, source) = (newer.version, source.unwrap_or(Source::Set));
                self.found
                    .extend(done.into_iter().map(|f: String| (f, FieldSource { source: source.clone(), version })));
            }
        }
        self.newer = Some(entry);
        !self.open.is_empty()
    }

    /// Attributes the remaining fields, unchanged since the first version, to the version processed last.
    fn close(&mut self) {
        let first = self.newer.take();
        let value = first.as_ref().and_then(|first| fields(first.value.as_ref()));
        for field in std::mem::take(&mut self.open) {
            let is = value.and_then(|value| value.get(&field));
            let source = first.as_ref().map_or(Source::Default, |first| self.first_source(&first.origin, &field, is));
            let version = if source == Source::Default { 0 } else { first.as_ref().map_or(0, |first| first.version) };
            self.found.insert(field, FieldSource { source, version });
        }
    }

    /// Derives a field's source from the first version: a value equal to the template's came from it, one equal to
    /// the default is a default, and any other was set.
    fn first_source(&self, origin: &ConfigOrigin, field: &str, is: Option<&Value>) -> Source {
        if let ConfigOrigin::Template(name) = origin {
            let given = name.parse().ok().and_then(|template| (self.template)(template).remove(field));
            match given {
                Some(given) if Some(&given) == is => return Source::Template(name.clone()),
                Some(_) => return Source::Set,
                None => {}
            }
        }
        if is.is_none() || is == self.defaults.get(field) {
            return Source::Default;
        }
        match origin {
            ConfigOrigin::Rollback(of) => Source::Rollback { of: *of },
            _ => Source::Set,
        }
    }

    /// Returns the source of every field.
    pub(crate) fn finish(mut self) -> BTreeMap<String, FieldSource> {
        self.close();
        self.found
    }
}
