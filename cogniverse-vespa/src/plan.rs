//! Deployment plans, for review before a deployment.

use crate::{
    application::Edit,
    wire::{ConfigChange, PreparedAnswer},
};
use cogniverse_sdk::{
    TenantSchema,
    schema_store::{DeployReport, SchemaAction},
};
use std::fmt;

/// The plan of a deployment. `Display` formats it as text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeploymentPlan {
    /// The effect on each schema of the request.
    pub report: DeployReport,
    /// The schema that would be dropped with its documents.
    pub dropped: Option<TenantSchema>,
    /// The files of the application that would be written or deleted; all others stay.
    pub files: Vec<String>,
    /// The number of schemas that the application would hold, including others'.
    pub schemas: usize,
    /// The services that Vespa says must be restarted for the change to take effect.
    pub restart: Vec<String>,
    /// The document types that Vespa says must be reindexed, which starts with the next deployment.
    pub reindex: Vec<String>,
    /// The document types that Vespa says must be fed again.
    pub refeed: Vec<String>,
    /// The warnings of Vespa's validation.
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

    /// Returns whether nothing would change.
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
