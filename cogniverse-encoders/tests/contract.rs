//! The encoders' contract, and what a real model knows.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_encoders::HashEncoder;
use cogniverse_sdk::{QueryEncoder, SegmentEncoder, TextEmbedder, VectorKind};
use std::sync::Arc;

mod hash_multi {
    use super::*;
    mod query {
        use super::*;
        cogniverse_sdk::query_encoder_contract! {
            make: async { (Arc::new(HashEncoder::new(64, VectorKind::Multi)) as Arc<dyn QueryEncoder>, ()) }, skips: []
        }
    }
    mod segment {
        use super::*;
        cogniverse_sdk::segment_encoder_contract! {
            make: async { (Arc::new(HashEncoder::new(64, VectorKind::Multi)) as Arc<dyn SegmentEncoder>, ()) }, skips: []
        }
    }
}

mod hash_single {
    use super::*;
    mod query {
        use super::*;
        cogniverse_sdk::query_encoder_contract! {
            make: async { (Arc::new(HashEncoder::new(64, VectorKind::Single)) as Arc<dyn QueryEncoder>, ()) }, skips: []
        }
    }
    mod segment {
        use super::*;
        cogniverse_sdk::segment_encoder_contract! {
            make: async { (Arc::new(HashEncoder::new(64, VectorKind::Single)) as Arc<dyn SegmentEncoder>, ()) }, skips: []
        }
    }
}

mod hash_texts {
    use super::*;
    cogniverse_sdk::text_embedder_contract! {
        make: async { (Arc::new(HashEncoder::new(64, VectorKind::Multi)) as Arc<dyn TextEmbedder>, ()) }, skips: []
    }
}

/// The whole contract and the meaning of words, on the real model. `COGNIVERSE_MINILM_DIR` says where it is.
#[cfg(feature = "local-models")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minilm() {
    use cogniverse_encoders::{MiniLmEncoder, Pooling};
    use cogniverse_sdk::contract::{Outcome, encoder};
    let Some(folder) = std::env::var_os("COGNIVERSE_MINILM_DIR") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_MINILM_DIR");
        println!("skipped: set COGNIVERSE_MINILM_DIR to a folder with all-MiniLM-L6-v2");
        return;
    };
    for pooling in [Pooling::Mean, Pooling::Tokens] {
        let model = MiniLmEncoder::open(&folder, pooling).unwrap();
        assert_eq!(QueryEncoder::info(&model).dims, 384);
        assert_eq!(encoder::queries_are_as_promised(&model).await, Outcome::Ran);
        assert_eq!(encoder::long_queries_are_not_cut(&model).await, Outcome::Ran);
        assert_eq!(encoder::batches_equal_single_segments(&model).await, Outcome::Ran);
        assert_eq!(encoder::nothing_to_encode_is_an_error(&model).await, Outcome::Ran);
    }
    let model = MiniLmEncoder::open(&folder, Pooling::Mean).unwrap();
    let rows = |text: &'static str| async { model.encode_query(text).await.unwrap().cells().to_vec() };
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (dog, puppy, tax) = (
        rows("a dog runs on the beach").await,
        rows("a puppy plays by the sea").await,
        rows("the tax return is due").await,
    );
    assert!(cosine(&dog, &puppy) > 0.5 && cosine(&dog, &tax) < 0.2, "{} {}", cosine(&dog, &puppy), cosine(&dog, &tax));
    let error = MiniLmEncoder::open("/nowhere", Pooling::Mean).unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
}
