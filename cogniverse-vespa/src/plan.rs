//! What a deployment would do, for a person to read before it is done.

use crate::{
    application::Edit,
    wire::{ConfigChange, PreparedAnswer},
};
use cogniverse_sdk::{
    TenantSchema,
    schema_store::{DeployReport, SchemaAction},
};
use std::fmt;

/// What a deployment would do. `Display` writes it as text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeploymentPlan {
    /// Each schema of the request.
    pub report: DeployReport,
    /// The schema that would go, with its documents.
    pub dropped: Option<TenantSchema>,
    /// Files of the application that would be written or deleted. No other would change.
    pub files: Vec<String>,
    /// Schemas that the application would hold, those of others included.
    pub schemas: usize,
    /// Services that must be restarted for the change to take effect, as Vespa says.
    pub restart: Vec<String>,
    /// Document types that must be indexed anew, as Vespa says; it begins with the deployment after.
    pub reindex: Vec<String>,
    /// Document types that must be fed again, as Vespa says.
    pub refeed: Vec<String>,
    /// Warnings of Vespa's check.
    pub warnings: Vec<String>,
}

impl DeploymentPlan {
    pub(crate) fn new(
        report: DeployReport,
        dropped: Option<TenantSchema>,
        edit: &Edit,
        prepared: PreparedAnswer,
    ) -> Self {
        let say = |changes: Vec<ConfigChange>| -> Vec<String> {
            let say = |change: ConfigChange| {
                let what = change.document_type.or(change.cluster).unwrap_or_default();
                format!("{what}: {}", change.messages.join("; "))
            };
            changes.into_iter().map(say).collect()
        };
        let warnings = prepared.log.into_iter().filter(|entry| entry.level == "WARNING");
        Self {
            report,
            dropped,
            files: edit.puts.keys().chain(&edit.deletes).cloned().collect(),
            schemas: edit.types,
            restart: say(prepared.actions.restart),
            reindex: say(prepared.actions.reindex),
            refeed: say(prepared.actions.refeed),
            warnings: warnings.map(|entry| entry.message).collect(),
        }
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl fmt::Display for DeploymentPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (schema, action) in &self.report.schemas {
            match action {
                SchemaAction::Added => writeln!(f, "added      {schema}")?,
                SchemaAction::Unchanged => writeln!(f, "unchanged  {schema}")?,
                SchemaAction::Changed { what } => writeln!(f, "changed    {schema}: {}", what.join("; "))?,
                SchemaAction::Refeed { what } => writeln!(f, "refused    {schema}: {}", what.join("; "))?,
                _ => writeln!(f, "other      {schema}")?,
            }
        }
        if let Some(schema) = &self.dropped {
            writeln!(f, "dropped    {schema}, with its documents")?;
        }
        let lists = [
            ("restart", &self.restart),
            ("reindex", &self.reindex),
            ("refeed", &self.refeed),
            ("warning", &self.warnings),
            ("file", &self.files),
        ];
        for (what, list) in lists {
            for line in list {
                writeln!(f, "{what:10} {line}")?;
            }
        }
        write!(f, "{} schemas afterwards", self.schemas)
    }
}
