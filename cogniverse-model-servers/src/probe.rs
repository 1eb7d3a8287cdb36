//! Whether a model server works: it answers, and serves the model.

use crate::{OpenAiTranscriber, VllmEncoder, client::Client};
use async_trait::async_trait;
use cogniverse_sdk::{Error, ErrorCode, HealthProbe, Result};
use serde::Deserialize;

/// The largest list of models that is read.
const MAX_LIST_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Returns the names of the models that a server lists.
async fn models(client: &Client) -> Result<Vec<String>> {
    let listed: Models = client.get(&["v1", "models"], MAX_LIST_BYTES).await?;
    Ok(listed.data.into_iter().map(|model| model.id).collect())
}

/// Without it nothing is found by meaning, and videos are found by words.
#[async_trait]
impl HealthProbe for VllmEncoder {
    fn name(&self) -> &str {
        "vllm"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        let models = models(self.client()).await?;
        match models.iter().any(|model| model == self.model()) {
            true => Ok(format!("serves {}", self.model())),
            false => {
                let unknown = Error::unknown("model", self.model(), models);
                Err(Error::of(ErrorCode::ModelUnknown, unknown.message().to_owned()))
            }
        }
    }
}

/// Without it videos without subtitles are not transcribed. Servers have aliases of their models, so that it is asked whether
/// the server lists any.
#[async_trait]
impl HealthProbe for OpenAiTranscriber {
    fn name(&self) -> &str {
        "transcriber"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        models(self.client()).await.map(|models| format!("{} models", models.len()))
    }
}
