//! Examples to measure against.

use crate::{
    client::{Call, PhoenixClient, Repeat},
    wire::{Data, Page},
};
use cogniverse_sdk::{Error, ErrorKind, Result, telemetry_provider::ProjectName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What to do with examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetAction {
    /// A new dataset; `Conflict` where it is there.
    Create,
    /// More examples of one that is there, as a new version.
    Append,
}

/// One example: what goes in, and what should come out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Example {
    /// What goes in.
    pub input: Map<String, Value>,
    /// What should come out.
    pub output: Map<String, Value>,
    /// What else is known.
    pub metadata: Map<String, Value>,
}

/// A dataset of one project. Phoenix's datasets belong to nobody, so its name there begins with the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataset {
    /// Whose.
    pub project: ProjectName,
    /// Its name, without the project's.
    pub name: String,
    /// Phoenix's id.
    pub(crate) id: String,
}

/// An example as it was stored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct StoredExample {
    /// Phoenix's id.
    pub id: String,
    /// What goes in.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// What should come out.
    #[serde(default)]
    pub output: Map<String, Value>,
    /// What else is known.
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

/// The name in Phoenix. No project name of this library's own making holds ` / `, as a slash is refused there.
fn physical(project: &ProjectName, name: &str) -> String {
    format!("{project} / {name}")
}

impl PhoenixClient {
    /// Stores examples.
    ///
    /// # Errors
    /// `InvalidInput` without a name or an example; `Conflict` where it exists; `NotFound` where it does not, for more examples.
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
        let call = Call::post(["v1", "datasets", "upload"], &upload, Repeat::No)?.with("sync", true);
        let made: Data<WireUpload> = self.json(call).await?;
        Ok(Dataset { project: project.clone(), name: name.to_owned(), id: made.data.dataset_id })
    }

    /// A dataset by its exact name.
    ///
    /// # Errors
    /// As the role's.
    pub async fn find_dataset(&self, project: &ProjectName, name: &str) -> Result<Option<Dataset>> {
        let wanted = physical(project, name);
        let mut cursor = None::<String>;
        loop {
            let call = Call::get(["v1", "datasets"]).with("name", &wanted).with_all("cursor", cursor);
            let page: Page<WireDataset> = self.json(call).await?;
            // Never by a part of the name.
            if let Some(found) = page.data.into_iter().find(|found| found.name == wanted) {
                return Ok(Some(Dataset { project: project.clone(), name: name.to_owned(), id: found.id }));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(None);
            }
        }
    }

    /// All examples of the newest version.
    ///
    /// # Errors
    /// `NotFound` where the dataset is gone.
    pub async fn dataset_examples(&self, dataset: &Dataset) -> Result<Vec<StoredExample>> {
        let found: Option<Data<WireExamples>> =
            self.find(Call::get(["v1", "datasets", &dataset.id, "examples"])).await?;
        found.map(|found| found.data.examples).ok_or_else(|| not_there(&dataset.project, &dataset.name))
    }

    /// How many versions a dataset has.
    ///
    /// # Errors
    /// As the role's.
    pub async fn dataset_versions(&self, dataset: &Dataset) -> Result<usize> {
        let (mut count, mut cursor) = (0, None::<String>);
        loop {
            let call = Call::get(["v1", "datasets", &dataset.id, "versions"]).with_all("cursor", cursor);
            let page: Page<Value> = self.json(call).await?;
            count += page.data.len();
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// Deletes a dataset with its experiments; false where it is gone already.
    ///
    /// # Errors
    /// As the role's.
    pub async fn delete_dataset(&self, dataset: &Dataset) -> Result<bool> {
        self.done(Call::delete(["v1", "datasets", &dataset.id])).await
    }
}

fn not_there(project: &ProjectName, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("project {project} has no dataset {name:?}; create it first"))
}

impl Example {
    /// From two JSON objects; other values are put under `value`.
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
