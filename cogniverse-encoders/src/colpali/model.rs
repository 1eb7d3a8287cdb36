//! The ColPali model: SigLIP, Gemma and a projection.
//!
//! The parts are candle's. They are joined here, since candle's own `colpali` leaves out Gemma's last norm and gives pictures
//! another length than the model was trained with (colpali_engine's `ColPali.forward`, transformers' `PaliGemmaModel`): a picture's
//! features go into Gemma as they come from the projector, and the projection reads the last hidden state behind the norm.
//! All tokens see each other: a prefix is not causal in PaliGemma.

use super::{
    files::{Config, Preprocessor, not_of, read, weights},
    picture::pixels,
};
use candle_core::{D, DType, Device, Module, Tensor};
use candle_nn::{Linear, VarBuilder, linear};
use candle_transformers::models::{gemma, siglip};
use cogniverse_sdk::{Error, Matrix, Result};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};
use tokenizers::Tokenizer;

/// The prefix of queries.
const QUERY: &str = "Query: ";
/// The number of padding tokens after a query, in which the model gathers meaning beyond the words.
const GATHERING: usize = 10;
/// The prompt that accompanies a picture.
const PICTURE: &str = "Describe the image.";
/// The number of tokens reserved for the framing of a text.
const FRAME: usize = 32;

pub(super) struct Model {
    vision: siglip::VisionModel,
    projector: Linear,
    language: gemma::Model,
    norm: Tensor,
    eps: f64,
    projection: Linear,
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    dims: usize,
    side: usize,
    hidden: usize,
    window: usize,
    begin: u32,
    padding: u32,
}

impl Model {
    /// Loads the model, and returns it with its name.
    pub(super) fn open(folder: &Path) -> Result<(Self, String)> {
        let config = Config::open(folder)?;
        let preprocessor = Preprocessor::open(folder)?;
        let tokenizer_text = read(folder, "tokenizer.json")?;
        let mut tokenizer = Tokenizer::from_bytes(&tokenizer_text).map_err(|e| not_of("tokenizer.json", e))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| not_of("tokenizer.json", e))?;
        // What people write is text, also where it reads like one of the model's own signs.
        tokenizer.set_encode_special_tokens(true);
        let token = |name: &str| {
            tokenizer
                .token_to_id(name)
                .ok_or_else(|| Error::invalid(format!("tokenizer.json has no {name}; download the folder again")))
        };
        let (begin, padding) = (token("<bos>")?, token("<pad>")?);
        let weights = weights(folder)?;
        let shape = weights.get("custom_text_proj.weight").map(|weight| weight.dims().to_vec());
        let Some([dims, _]) = shape.as_deref() else {
            return Err(Error::invalid("the weights have no custom_text_proj; give ColPali's, not PaliGemma's"));
        };
        let dims = *dims;
        let text = config.text();
        let build = || -> candle_core::Result<_> {
            let variables = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
            let vision =
                siglip::VisionModel::new(&config.vision_config, false, variables.pp("vision_tower.vision_model"))?;
            let projector = linear(
                config.vision_config.hidden_size,
                config.projection(),
                variables.pp("multi_modal_projector.linear"),
            )?;
            let language = gemma::Model::new(false, &text, variables.pp("language_model"))?;
            let norm = variables.get(text.hidden_size, "language_model.model.norm.weight")?;
            let projection = linear(text.hidden_size, dims, variables.pp("custom_text_proj"))?;
            Ok((vision, projector, language, norm, projection))
        };
        let (vision, projector, language, norm, projection) = build().map_err(|e| not_of("the weights", e))?;
        let mut hasher = DefaultHasher::new();
        tokenizer_text.hash(&mut hasher);
        // Trainings of one layout differ in these at the least.
        for tensor in [projection.weight(), &norm] {
            let cells = tensor.flatten_all().and_then(|cells| cells.to_vec1::<f32>());
            cells.map_err(|e| not_of("the weights", e))?.iter().for_each(|cell| cell.to_bits().hash(&mut hasher));
        }
        let model = Self {
            vision,
            projector,
            language,
            norm,
            eps: text.rms_norm_eps,
            projection,
            tokenizer,
            preprocessor,
            dims,
            side: config.vision_config.image_size,
            hidden: text.hidden_size,
            window: text.max_position_embeddings.saturating_sub(FRAME).max(1),
            begin,
            padding,
        };
        Ok((model, format!("colpali@{:016x}", hasher.finish())))
    }

    pub(super) fn dims(&self) -> usize {
        self.dims
    }

    /// `<bos>Query: …`, the gathering tokens, a line's end.
    pub(super) fn query(&mut self, text: &str) -> Result<Matrix<f32>> {
        let padding = self.padding;
        self.windows(text, QUERY, |end| [vec![padding; GATHERING], end].concat())
    }

    /// `<bos>…`, a line's end.
    pub(super) fn text(&mut self, text: &str) -> Result<Matrix<f32>> {
        self.windows(text, "", |end| end)
    }

    fn windows(&mut self, text: &str, before: &str, end: impl Fn(Vec<u32>) -> Vec<u32>) -> Result<Matrix<f32>> {
        if text.trim().is_empty() {
            return Err(Error::invalid("the text has no word to encode; give at least one"));
        }
        let tokens = self.tokens(&format!("{before}{text}"))?;
        let end = end(self.tokens("\n")?);
        let mut cells = Vec::new();
        for part in tokens.chunks(self.window) {
            let ids: Vec<u32> = [self.begin].iter().chain(part).chain(&end).copied().collect();
            cells.extend(self.run(&ids, None).map_err(failed)?);
        }
        Matrix::new(self.dims, cells)
    }

    pub(super) fn pictures(&mut self, pictures: &[Vec<u8>]) -> Result<Matrix<f32>> {
        let mut ids = vec![self.begin];
        ids.extend(self.tokens(&format!("{PICTURE}\n"))?);
        let mut cells = Vec::new();
        for bytes in pictures {
            let picture = pixels(bytes, self.side, &self.preprocessor)?;
            cells.extend(self.run(&ids, Some(&picture)).map_err(failed)?);
        }
        Matrix::new(self.dims, cells)
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self
            .tokenizer
            .encode(text, false)
            .map_err(|e| Error::unexpected("a text cannot be cut into tokens").with_source(e))?;
        Ok(encoded.get_ids().to_vec())
    }

    /// Returns a unit vector for each patch of the picture, then for each token.
    fn run(&mut self, ids: &[u32], picture: Option<&Tensor>) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let mut inputs = self.language.embed_tokens().forward(&ids)?;
        if let Some(picture) = picture {
            let patches = self.vision.forward(picture)?.apply(&self.projector)?;
            // Gemma multiplies all that comes in by this root.
            #[expect(clippy::cast_precision_loss, reason = "a width of a layer")]
            let patches = (patches / (self.hidden as f64).sqrt())?;
            inputs = Tensor::cat(&[patches, inputs], 1)?;
        }
        self.language.clear_kv_cache();
        let hidden = self.language.forward_embeds_without_projection(&inputs, None, 0)?;
        self.language.clear_kv_cache();
        let scale = (hidden.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        let hidden = hidden.broadcast_div(&scale)?.broadcast_mul(&(&self.norm + 1.0)?)?;
        let rows = self.projection.forward(&hidden)?;
        let rows = rows.broadcast_div(&rows.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?;
        rows.flatten_all()?.to_vec1()
    }
}

fn failed(e: candle_core::Error) -> Error {
    Error::unexpected("the model failed").with_source(e)
}
