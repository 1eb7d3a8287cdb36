//! Experiments: measurements against a dataset.

use crate::{client::PhoenixClient, datasets::Dataset, wire::Data};
use cogniverse_http::Repeat;
use cogniverse_sdk::{Result, telemetry_provider::AnnotatorKind};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An experiment on a dataset of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Experiment {
    /// The dataset.
    pub dataset: Dataset,
    /// The id in Phoenix.
    id: String,
}

/// The run of one example.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentRun {
    /// The id of the example.
    pub example_id: String,
    /// The output.
    pub output: Value,
    /// The start and end times.
    pub time: (Timestamp, Timestamp),
    /// The error of a failed run.
    pub error: Option<String>,
}

/// An evaluation of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The name of the criterion, such as `mrr`.
    pub name: String,
    /// The kind of annotator.
    pub annotator: AnnotatorKind,
    /// The score.
    pub score: Option<f64>,
    /// The label.
    pub label: Option<String>,
}

#[derive(Deserialize)]
struct WireId {
    id: String,
}

impl PhoenixClient {
    /// Creates an experiment on a dataset's newest version.
    ///
    /// # Errors
    /// `NotFound` where the dataset no longer exists.
    pub async fn create_experiment(
        &self,
        dataset: &Dataset,
        name: &str,
        about: Map<String, Value>,
    ) -> Result<Experiment> {
        let body = json!({"name": name, "description": "", "metadata": about, "repetitions": 1});
        let call = self.post(["v1", "datasets", &dataset.id, "experiments"], &body, Repeat::Never)?;
        let made: Data<WireId> = self.json(call).await?;
        Ok(Experiment { dataset: dataset.clone(), id: made.data.id })
    }

    /// Records a run and returns its id.
    ///
    /// # Errors
    /// `Conflict` where the example already has a run.
    pub async fn log_run(&self, experiment: &Experiment, run: &ExperimentRun) -> Result<String> {
        let body = json!({
            "dataset_example_id": run.example_id, "output": run.output, "repetition_number": 1,
            "start_time": run.time.0.to_string(), "end_time": run.time.1.to_string(), "error": run.error,
        });
        let call = self.post(["v1", "experiments", &experiment.id, "runs"], &body, Repeat::Never)?;
        let made: Data<WireId> = self.json(call).await?;
        Ok(made.data.id)
    }

    /// Records an evaluation of a run of [`PhoenixClient::log_run`].
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn log_evaluation(&self, run: &str, evaluation: &Evaluation) -> Result<()> {
        let now = Timestamp::now().to_string();
        let body = json!({
            "experiment_run_id": run, "name": evaluation.name, "annotator_kind": evaluation.annotator.as_str(),
            "start_time": now, "end_time": now, "result": {"score": evaluation.score, "label": evaluation.label},
        });
        // The same run and name again replaces.
        let _made: Data<Value> = self.json(self.post(["v1", "experiment_evaluations"], &body, Repeat::Always)?).await?;
        Ok(())
    }

    /// Returns every run with its example, output and evaluations, in Phoenix's JSON.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn experiment_results(&self, experiment: &Experiment) -> Result<Vec<Value>> {
        self.json(self.get(["v1", "experiments", &experiment.id, "json"])).await
    }

    /// Deletes an experiment, and returns whether it existed.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`](cogniverse_sdk::TelemetryProvider).
    pub async fn delete_experiment(&self, experiment: &Experiment) -> Result<bool> {
        self.done(self.delete(["v1", "experiments", &experiment.id])).await
    }
}
