//! The files of a model folder, and the names of weights in them.

use candle_core::{Device, Tensor};
use candle_nn::Activation;
use candle_transformers::models::{gemma, siglip};
use cogniverse_sdk::{Error, ErrorCode, Result};
use serde::Deserialize;
use std::{collections::HashMap, fs, path::Path};

/// `config.json`, or its `vlm_config`. What transformers leaves out is filled in as transformers does.
#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) vision_config: siglip::VisionConfig,
    text_config: TextConfig,
    projection_dim: Option<usize>,
}

#[derive(Deserialize)]
struct TextConfig {
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    num_key_value_heads: usize,
    vocab_size: usize,
    #[serde(default = "head_dim")]
    head_dim: usize,
    #[serde(default = "rms_norm_eps")]
    rms_norm_eps: f64,
    #[serde(default = "rope_theta")]
    rope_theta: f64,
    #[serde(default = "max_position_embeddings")]
    max_position_embeddings: usize,
}

fn head_dim() -> usize {
    256
}

fn rms_norm_eps() -> f64 {
    1e-6
}

fn rope_theta() -> f64 {
    10_000.0
}

fn max_position_embeddings() -> usize {
    8192
}

impl Config {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let wrong = |e: serde_json::Error| not_of("config.json", e);
        let mut value: serde_json::Value = serde_json::from_slice(&read(folder, "config.json")?).map_err(wrong)?;
        if let Some(inner) = value.get_mut("vlm_config") {
            value = inner.take();
        }
        serde_json::from_value(value).map_err(wrong)
    }

    pub(super) fn text(&self) -> gemma::Config {
        let text = &self.text_config;
        gemma::Config {
            attention_bias: false,
            head_dim: text.head_dim,
            hidden_act: Some(Activation::GeluPytorchTanh),
            hidden_activation: None,
            hidden_size: text.hidden_size,
            intermediate_size: text.intermediate_size,
            num_attention_heads: text.num_attention_heads,
            num_hidden_layers: text.num_hidden_layers,
            num_key_value_heads: text.num_key_value_heads,
            rms_norm_eps: text.rms_norm_eps,
            rope_theta: text.rope_theta,
            vocab_size: text.vocab_size,
            max_position_embeddings: text.max_position_embeddings,
        }
    }

    pub(super) fn projection(&self) -> usize {
        self.projection_dim.unwrap_or(self.text_config.hidden_size)
    }
}

/// `preprocessor_config.json`, which sets how colours are normalized. The defaults are SigLIP's.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Preprocessor {
    pub(super) image_mean: [f32; 3],
    pub(super) image_std: [f32; 3],
}

impl Default for Preprocessor {
    fn default() -> Self {
        Self { image_mean: [0.5; 3], image_std: [0.5; 3] }
    }
}

impl Preprocessor {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if !folder.join("preprocessor_config.json").exists() {
            return Ok(Self::default());
        }
        let read: Self = serde_json::from_slice(&read(folder, "preprocessor_config.json")?)
            .map_err(|e| not_of("preprocessor_config.json", e))?;
        if read.image_std.iter().any(|std| *std <= 0.0) {
            return Err(Error::invalid(
                "preprocessor_config.json has an image_std of 0 or less; download the folder again",
            ));
        }
        Ok(read)
    }
}

pub(super) fn read(folder: &Path, file: &str) -> Result<Vec<u8>> {
    let path = folder.join(file);
    fs::read(&path).map_err(|e| {
        let message = format!(
            "the model file {} cannot be read; give a folder with config.json, tokenizer.json and *.safetensors of ColPali",
            path.display()
        );
        Error::of(ErrorCode::ModelUnknown, message).with_source(e)
    })
}

pub(super) fn not_of(file: &str, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid(format!("{file} is not of a ColPali model; download the folder again")).with_source(e)
}

/// All weights of a folder, under the names of the merged layout without its `model.` in front.
pub(super) fn weights(folder: &Path) -> Result<HashMap<String, Tensor>> {
    let unreadable = |e: std::io::Error| {
        Error::of(ErrorCode::ModelUnknown, format!("the model folder {} cannot be read", folder.display()))
            .with_source(e)
    };
    let mut files: Vec<String> = fs::read_dir(folder)
        .map_err(unreadable)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".safetensors"))
        .collect();
    files.sort();
    if files.is_empty() {
        read(folder, "model.safetensors")?;
    }
    let mut weights = HashMap::new();
    for file in files {
        let bytes = read(folder, &file)?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| not_of(&file, e))?;
        weights.extend(tensors.into_iter().map(|(name, tensor)| (plain(&name), tensor)));
    }
    Ok(weights)
}

/// Returns the canonical name of a weight, which varies between releases of transformers.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("vlm.").unwrap_or(name);
    let name = name.strip_prefix("model.").unwrap_or(name);
    let name = name.replacen("embedding_proj_layer.", "custom_text_proj.", 1);
    match name.strip_prefix("language_model.") {
        Some(rest) if !rest.starts_with("model.") && !rest.starts_with("lm_head.") => {
            format!("language_model.model.{rest}")
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_of_every_layout_meet() {
        for name in [
            "model.language_model.model.norm.weight",
            "vlm.language_model.model.norm.weight",
            "vlm.model.language_model.norm.weight",
        ] {
            assert_eq!(plain(name), "language_model.model.norm.weight");
        }
        assert_eq!(plain("embedding_proj_layer.bias"), "custom_text_proj.bias");
        assert_eq!(plain("vlm.model.vision_tower.x"), "vision_tower.x");
    }
}
