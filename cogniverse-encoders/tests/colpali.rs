//! ColPali's loader and flow, on a tiny random model of the same layout that is written here: its vectors mean nothing.

#![cfg(feature = "local-models")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use candle_core::{Device, Tensor};
use cogniverse_encoders::ColPaliEncoder;
use cogniverse_sdk::{ErrorKind, PictureEncoder, QueryEncoder, SegmentContent, SegmentEncoder};
use serde_json::json;
use std::{collections::HashMap, path::Path, sync::Arc};
use tempfile::TempDir;

const TEXT: usize = 16;
const VISION: usize = 12;
const SIDE: usize = 28;
const PATCHES: usize = 4;
const DIMS: usize = 128;
/// Every byte, and the two signs.
const VOCABULARY: usize = 258;

/// The weights, by the names and shapes that the 3B model has.
fn shapes(prefix: &str) -> Vec<(String, Vec<usize>)> {
    let (mlp, heads, head) = (32, 2, 8);
    let mut shapes = vec![
        (format!("{prefix}language_model.model.embed_tokens.weight"), vec![VOCABULARY, TEXT]),
        (format!("{prefix}language_model.model.norm.weight"), vec![TEXT]),
        (format!("{prefix}multi_modal_projector.linear.weight"), vec![TEXT, VISION]),
        (format!("{prefix}multi_modal_projector.linear.bias"), vec![TEXT]),
    ];
    for layer in 0..2 {
        let of = |name: &str| format!("{prefix}language_model.model.layers.{layer}.{name}.weight");
        shapes.extend([
            (of("input_layernorm"), vec![TEXT]),
            (of("post_attention_layernorm"), vec![TEXT]),
            (of("self_attn.q_proj"), vec![heads * head, TEXT]),
            (of("self_attn.k_proj"), vec![head, TEXT]),
            (of("self_attn.v_proj"), vec![head, TEXT]),
            (of("self_attn.o_proj"), vec![TEXT, heads * head]),
            (of("mlp.gate_proj"), vec![mlp, TEXT]),
            (of("mlp.up_proj"), vec![mlp, TEXT]),
            (of("mlp.down_proj"), vec![TEXT, mlp]),
        ]);
    }
    let vision = |name: &str| format!("{prefix}vision_tower.vision_model.{name}");
    shapes.extend([
        (vision("embeddings.patch_embedding.weight"), vec![VISION, 3, 14, 14]),
        (vision("embeddings.patch_embedding.bias"), vec![VISION]),
        (vision("embeddings.position_embedding.weight"), vec![PATCHES, VISION]),
        (vision("post_layernorm.weight"), vec![VISION]),
        (vision("post_layernorm.bias"), vec![VISION]),
    ]);
    for part in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"] {
        shapes.push((vision(&format!("encoder.layers.0.{part}.weight")), vec![VISION, VISION]));
        shapes.push((vision(&format!("encoder.layers.0.{part}.bias")), vec![VISION]));
    }
    for norm in ["layer_norm1", "layer_norm2"] {
        shapes.push((vision(&format!("encoder.layers.0.{norm}.weight")), vec![VISION]));
        shapes.push((vision(&format!("encoder.layers.0.{norm}.bias")), vec![VISION]));
    }
    shapes.extend([
        (vision("encoder.layers.0.mlp.fc1.weight"), vec![24, VISION]),
        (vision("encoder.layers.0.mlp.fc1.bias"), vec![24]),
        (vision("encoder.layers.0.mlp.fc2.weight"), vec![VISION, 24]),
        (vision("encoder.layers.0.mlp.fc2.bias"), vec![VISION]),
    ]);
    shapes
}

/// The same numbers for the same seed.
fn random(shape: &[usize], state: &mut u64) -> Tensor {
    let cells: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((*state >> 40) as f32 / (1u32 << 24) as f32 - 0.5) * 0.8
        })
        .collect();
    Tensor::from_vec(cells, shape, &Device::Cpu).unwrap()
}

fn write(folder: &Path, hf: bool, seed: u64) {
    let (prefix, projection) = if hf { ("vlm.", "embedding_proj_layer") } else { ("model.", "custom_text_proj") };
    let mut all = shapes(prefix);
    all.push((format!("{projection}.weight"), vec![DIMS, TEXT]));
    all.push((format!("{projection}.bias"), vec![DIMS]));
    let mut state = seed;
    let tensors: Vec<(String, Tensor)> =
        all.into_iter().map(|(name, shape)| (name, random(&shape, &mut state))).collect();
    // In two files, as large models come.
    for (number, half) in tensors.chunks(tensors.len() / 2 + 1).enumerate() {
        let half: HashMap<String, Tensor> = half.iter().cloned().collect();
        let file = folder.join(format!("model-{:05}-of-00002.safetensors", number + 1));
        candle_core::safetensors::save(&half, file).unwrap();
    }
    let config = json!({
        "model_type": "paligemma", "projection_dim": TEXT, "image_token_index": 257,
        "text_config": {
            "model_type": "gemma", "hidden_size": TEXT, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2,
            "num_key_value_heads": 1, "vocab_size": VOCABULARY, "head_dim": 8, "max_position_embeddings": 256
        },
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": VISION, "intermediate_size": 24, "num_attention_heads": 2,
            "num_hidden_layers": 1, "image_size": SIDE, "patch_size": 14
        }
    });
    let config =
        if hf { json!({"model_type": "colpali", "embedding_dim": DIMS, "vlm_config": config}) } else { config };
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(
        folder.join("preprocessor_config.json"),
        r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#,
    )
    .unwrap();
    // A token a byte, as byte-level tokenizers begin.
    let bytes = |byte: u32| -> char {
        let plain = matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let shifted = (0..byte).filter(|b| !matches!(b, 33..=126 | 161..=172 | 174..=255)).count() as u32;
        char::from_u32(if plain { byte } else { 256 + shifted }).unwrap()
    };
    let mut vocabulary: serde_json::Map<String, serde_json::Value> =
        (0..256).map(|byte| (bytes(byte).to_string(), (byte + 2).into())).collect();
    vocabulary.insert("<pad>".to_owned(), 0.into());
    vocabulary.insert("<bos>".to_owned(), 1.into());
    let special = |id: u32, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special(0, "<pad>"), special(1, "<bos>")],
        "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []}
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

fn tiny() -> (Arc<ColPaliEncoder>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), false, 7);
    (Arc::new(ColPaliEncoder::open(folder.path()).unwrap()), folder)
}

mod query {
    use super::*;
    cogniverse_sdk::query_encoder_contract! {
        make: async { let (encoder, folder) = tiny(); (encoder as Arc<dyn QueryEncoder>, folder) }, skips: []
    }
}

mod segment {
    use super::*;
    cogniverse_sdk::segment_encoder_contract! {
        make: async { let (encoder, folder) = tiny(); (encoder as Arc<dyn SegmentEncoder>, folder) }, skips: []
    }
}

mod picture_query {
    use super::*;
    cogniverse_sdk::picture_encoder_contract! {
        make: async { let (encoder, folder) = tiny(); (encoder as Arc<dyn PictureEncoder>, folder) }, skips: []
    }
}

fn picture(folder: &Path, name: &str, shade: impl Fn(u32, u32) -> u8) -> std::path::PathBuf {
    let path = folder.join(name);
    image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([shade(x, y), 40, 200])).save(&path).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vector_of_length_one_for_each_patch_and_token() {
    let (encoder, folder) = tiny();
    assert_eq!(SegmentEncoder::info(&*encoder).dims, DIMS);
    // <bos>, "Query: ", the text, ten gathering tokens, a line's end.
    assert_eq!(encoder.encode_query("red").await.unwrap().len(), 1 + 7 + 3 + 10 + 1);
    // A sign of the model in a text is text: five letters, not one token.
    assert_eq!(encoder.encode_query("<pad>").await.unwrap().len(), 1 + 7 + 5 + 10 + 1);
    let (left, right) = (
        picture(folder.path(), "l.jpg", |x, _| (x * 4) as u8),
        picture(folder.path(), "r.png", |x, _| 255 - (x * 4) as u8),
    );
    let with = |frames: Vec<std::path::PathBuf>| SegmentContent::from_text("words").with_frames(frames);
    let rows = encoder
        .encode_segments(&[
            with(vec![left.clone()]),
            with(vec![right.clone()]),
            with(vec![left, right]),
            SegmentContent::from_text("words"),
        ])
        .await
        .unwrap();
    // Four patches, <bos>, the prompt, a line's end.
    let of_one = PATCHES + 1 + "Describe the image.\n".len();
    assert_eq!(
        rows.iter().map(cogniverse_sdk::Matrix::len).collect::<Vec<_>>(),
        [of_one, of_one, 2 * of_one, 1 + 5 + 1]
    );
    assert_eq!(rows[2].cells(), [rows[0].cells(), rows[1].cells()].concat());
    assert_ne!(rows[0], rows[1], "pictures differ");
    for row in rows.iter().flat_map(|rows| rows.rows()) {
        assert!((row.iter().map(|cell| cell * cell).sum::<f32>() - 1.0).abs() < 1e-4);
    }
    // Patches see the words and words the patches: what is behind a token changes it.
    let (a, b) = (encoder.encode_query("red car").await.unwrap(), encoder.encode_query("red cat").await.unwrap());
    assert_ne!(a.rows().next(), b.rows().next());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_layouts_are_read_and_what_is_wrong_is_named() {
    let (plain, _folder) = tiny();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), true, 7);
    let hf = ColPaliEncoder::open(folder.path()).unwrap();
    assert_eq!(hf.encode_query("same").await.unwrap(), plain.encode_query("same").await.unwrap());
    assert_eq!(QueryEncoder::info(&hf), QueryEncoder::info(&*plain));
    let other = tempfile::tempdir().unwrap();
    write(other.path(), false, 8);
    let other = ColPaliEncoder::open(other.path()).unwrap();
    assert_ne!(
        QueryEncoder::info(&other).model,
        QueryEncoder::info(&*plain).model,
        "another training is another model"
    );
    let text = folder.path().join("text.jpg");
    std::fs::write(&text, "no picture").unwrap();
    for (frame, kind) in [(text, ErrorKind::InvalidInput), (folder.path().join("none.jpg"), ErrorKind::Unavailable)] {
        let error = hf.encode_segments(&[SegmentContent::default().with_frames(vec![frame])]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for (file, kind) in [
        ("config.json", ErrorKind::NotFound),
        ("tokenizer.json", ErrorKind::NotFound),
        ("model-00001-of-00002.safetensors", ErrorKind::InvalidInput),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), false, 7);
        std::fs::remove_file(folder.path().join(file)).unwrap();
        assert_eq!(ColPaliEncoder::open(folder.path()).unwrap_err().kind(), kind, "{file}");
        std::fs::write(folder.path().join(file), "{}").unwrap();
        assert_eq!(ColPaliEncoder::open(folder.path()).unwrap_err().kind(), ErrorKind::InvalidInput, "{file}");
    }
    assert_eq!(ColPaliEncoder::open("/nowhere").unwrap_err().kind(), ErrorKind::NotFound);
}
