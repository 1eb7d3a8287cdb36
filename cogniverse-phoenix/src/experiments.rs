//! What was measured against a dataset.

use crate::{
    client::{Call, PhoenixClient, Repeat},
    datasets::Dataset,
    wire::Data,
};
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
    /// Phoenix's id.
    id: String,
}

/// One example, done.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentRun {
    /// The example.
    pub example_id: String,
    /// What came out.
    pub output: Value,
    /// From when to when.
    pub time: (Timestamp, Timestamp),
    /// Why it failed.
    pub error: Option<String>,
}

/// A judgement of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// What was judged, such as `mrr`.
    pub name: String,
    /// Who judged.
    pub annotator: AnnotatorKind,
    /// The judgement as a number.
    pub score: Option<f64>,
    /// The judgement as a word.
    pub label: Option<String>,
}

#[derive(Deserialize)]
struct WireId {
    id: String,
}

impl PhoenixClient {
    /// Begins an experiment on a dataset's newest version.
    ///
    /// # Errors
    /// `NotFound` where the dataset is gone.
    pub async fn create_experiment(
        &self,
        dataset: &Dataset,
        name: &str,
        about: Map<String, Value>,
    ) -> Result<Experiment> {
        let body = json!({"name": name, "description": "", "metadata": about, "repetitions": 1});
        let call = Call::post(["v1", "datasets", &dataset.id, "experiments"], &body, Repeat::No)?;
        let made: Data<WireId> = self.json(call).await?;
        Ok(Experiment { dataset: dataset.clone(), id: made.data.id })
    }

    /// Records a run; returns its id.
    ///
    /// # Errors
    /// `Conflict` where the example has its run already.
    pub async fn log_run(&self, experiment: &Experiment, run: &ExperimentRun) -> Result<String> {
        let body = json!({
            "dataset_example_id": run.example_id, "output": run.output, "repetition_number": 1,
            "start_time": run.time.0.to_string(), "end_time": run.time.1.to_string(), "error": run.error,
        });
        let call = Call::post(["v1", "experiments", &experiment.id, "runs"], &body, Repeat::No)?;
        let made: Data<WireId> = self.json(call).await?;
        Ok(made.data.id)
    }

    /// Records a judgement of a run of [`PhoenixClient::log_run`].
    ///
    /// # Errors
    /// As the role's.
    pub async fn log_evaluation(&self, run: &str, evaluation: &Evaluation) -> Result<()> {
        let now = Timestamp::now().to_string();
        let body = json!({
            "experiment_run_id": run, "name": evaluation.name, "annotator_kind": evaluation.annotator.as_str(),
            "start_time": now, "end_time": now, "result": {"score": evaluation.score, "label": evaluation.label},
        });
        // The same run and name again replaces.
        let _made: Data<Value> = self.json(Call::post(["v1", "experiment_evaluations"], &body, Repeat::Yes)?).await?;
        Ok(())
    }

    /// Every run with its example, output and judgements, as Phoenix tells them.
    ///
    /// # Errors
    /// As the role's.
    pub async fn experiment_results(&self, experiment: &Experiment) -> Result<Vec<Value>> {
        self.json(Call::get(["v1", "experiments", &experiment.id, "json"])).await
    }

    /// Deletes an experiment; false where it is gone already.
    ///
    /// # Errors
    /// As the role's.
    pub async fn delete_experiment(&self, experiment: &Experiment) -> Result<bool> {
        self.done(Call::delete(["v1", "experiments", &experiment.id])).await
    }
}
