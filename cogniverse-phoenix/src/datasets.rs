//! Datasets of examples for evaluation.

use crate::{
    client::PhoenixClient,
    wire::{Cursors, Data, Page},
};
use cogniverse_http::Repeat;
use cogniverse_sdk::{Error, ErrorKind, Result, telemetry_provider::ProjectName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The action of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetAction {
    /// Creates a dataset; `Conflict` where it exists.
    Create,
    /// Appends examples to an existing dataset, as a new version.
    Append,
}

/// An example: an input and its expected output.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Example {
    /// The input.
    pub input: Map<String, Value>,
    /// The expected output.
    pub output: Map<String, Value>,
    /// Additional data.
    pub metadata: Map<String, Value>,
}

/// A dataset of one project. Phoenix's datasets have no project, so the name there starts with the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataset {
    /// The project.
    pub project: ProjectName,
    /// The name, without the project's.
    pub name: String,
    /// The id in Phoenix.
    pub(crate) id: String,
}

/// A stored example.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct StoredExample {
    /// The id in Phoenix.
    pub id: String,
    /// The input.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// The expected output.
    #[serde(default)]
    pub output: Map<String, Value>,
    /// Additional data.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct WireDataset {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct WireUpload {
    dataset_id: String,
}

#[derive(Deserialize)]
struct WireExamples {
    examples: Vec<StoredExample>,
}

#[derive(Serialize)]
struct Upload<'a> {
    action: &'static str,
    name: String,
    description: &'a str,
    inputs: Vec<&'a Map<String, Value>>,
    outputs: Vec<&'a Map<String, Value>>,
    metadata: Vec<&'a Map<String, Value>>,
}

/// Returns the name in Phoenix. It is unambiguous, as project names contain no slash.
fn physical(project: &ProjectName, name: &str) -> String {
    format!("{project} / {name}")
}

impl PhoenixClient {
    /// Uploads examples.
    ///
    /// # Errors
    /// `InvalidInput` for an empty name or without examples; `Conflict` where the dataset to create exists;
    /// `NotFound` where the dataset to append to does not.
    pub async fn upload_dataset(
        &self,
        project: &ProjectName,
        name: &str,
        action: DatasetAction,
        examples: &[Example],
    ) -> Result<Dataset> {
        if name.trim().is_empty() || examples.is_empty() {
            return Err(Error::invalid("a dataset needs a name and at least one example"));
        }
        let action = match action {
            DatasetAction::Create => "create",
            DatasetAction::Append if self.find_dataset(project, name).await?.is_none() => {
                return Err(not_there(project, name));
            }
            DatasetAction::Append => "append",
        };
        let upload = Upload {
            action,
            name: physical(project, name),
            description: "",
            inputs: examples.iter().map(|example| &example.input).collect(),
            outputs: examples.iter().map(|example| &example.output).collect(),
            metadata: examples.iter().map(|example| &example.metadata).collect(),
        };
        let call = self.post(["v1", "datasets", "upload"], &upload, Repeat::Never)?.with_query("sync", true);
        let made: Data<WireUpload> = self.json(call).await?;
        Ok(Dataset { project: project.clone(), name: name.to_owned(), id: made.data.dataset_id })
    }

    /// Finds a dataset by its exact name.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn find_dataset(&self, project: &ProjectName, name: &str) -> Result<Option<Dataset>> {
        let wanted = physical(project, name);
        let (mut cursor, mut cursors) = (None::<String>, Cursors::default());
        loop {
            let call = self.get(["v1", "datasets"]).with_query("name", &wanted).with_queries("cursor", cursor);
            let page: Page<WireDataset> = self.json(call).await?;
            // Never by a part of the name.
            if let Some(found) = page.data.into_iter().find(|found| found.name == wanted) {
                return Ok(Some(Dataset { project: project.clone(), name: name.to_owned(), id: found.id }));
            }
            cursor = cursors.next(page.next_cursor)?;
            if cursor.is_none() {
                return Ok(None);
            }
        }
    }

    /// Returns all examples of the newest version.
    ///
    /// # Errors
    /// `NotFound` where the dataset no longer exists.
    pub async fn dataset_examples(&self, dataset: &Dataset) -> Result<Vec<StoredExample>> {
        let found: Option<Data<WireExamples>> =
            self.find(self.get(["v1", "datasets", &dataset.id, "examples"])).await?;
        found.map(|found| found.data.examples).ok_or_else(|| not_there(&dataset.project, &dataset.name))
    }

    /// Returns the number of versions of a dataset.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn dataset_versions(&self, dataset: &Dataset) -> Result<usize> {
        let (mut count, mut cursor, mut cursors) = (0, None::<String>, Cursors::default());
        loop {
            let call = self.get(["v1", "datasets", &dataset.id, "versions"]).with_queries("cursor", cursor);
            let page: Page<Value> = self.json(call).await?;
            count += page.data.len();
            cursor = cursors.next(page.next_cursor)?;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// Deletes a dataset with its experiments, and returns whether it existed.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn delete_dataset(&self, dataset: &Dataset) -> Result<bool> {
        self.done(self.delete(["v1", "datasets", &dataset.id])).await
    }
}

fn not_there(project: &ProjectName, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {project} has no dataset {name:?}; create it first"))
}

impl Example {
    /// Creates an example from two JSON objects; other values are stored under `value`.
    #[must_use]
    pub fn new(input: Value, output: Value) -> Self {
        let object = |value: Value| match value {
            Value::Object(fields) => fields,
            other => match json!({ "value": other }) {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
        };
        Self { input: object(input), output: object(output), metadata: Map::new() }
    }
}
