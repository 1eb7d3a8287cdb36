//! The contract suite of [`TextEmbedder`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{
    Outcome,
    encoder::{TEXTS, near},
};
use crate::{ErrorKind, Matrix, TextEmbedder, TextKind, VectorKind, tensor::check_finite};

const KINDS: [TextKind; 2] = [TextKind::Query, TextKind::Document];

fn texts() -> Vec<String> {
    TEXTS.iter().cycle().take(37).map(|text| (*text).to_owned()).collect()
}

/// Each text gives one row of the promised width, and the same text gives the same row.
pub async fn rows_are_as_promised(embedder: &dyn TextEmbedder) -> Outcome {
    let info = embedder.info();
    assert!(info.kind == VectorKind::Single && info.dims > 0 && !info.model.is_empty(), "{info:?}");
    for kind in KINDS {
        for text in TEXTS {
            let text = [text.to_owned()];
            let rows = embedder.embed(&text, kind).await.expect("embed");
            assert_eq!((rows.len(), rows.width()), (1, info.dims));
            check_finite(rows.cells()).expect("finite cells");
            near(&rows, &embedder.embed(&text, kind).await.expect("embed again"));
        }
    }
    Outcome::Ran
}

/// A batch returns the vectors of each text embedded alone, in order.
pub async fn batches_equal_single_texts(embedder: &dyn TextEmbedder) -> Outcome {
    let texts = texts();
    for kind in KINDS {
        let batch = embedder.embed(&texts, kind).await.expect("embed");
        assert_eq!((batch.len(), batch.width()), (texts.len(), embedder.info().dims));
        let first: Vec<_> = batch.rows().take(TEXTS.len()).collect();
        for (index, row) in batch.rows().enumerate() {
            let same = first.get(index % TEXTS.len()).expect("a row");
            near(&one_row(row), &one_row(same));
        }
        for (text, row) in texts.iter().zip(&first) {
            near(&one_row(row), &embedder.embed(std::slice::from_ref(text), kind).await.expect("embed alone"));
        }
    }
    Outcome::Ran
}

fn one_row(row: &[f32]) -> Matrix<f32> {
    Matrix::new(row.len(), row.to_vec()).expect("a row")
}

/// An empty list of texts returns no rows.
pub async fn nothing_gives_nothing(embedder: &dyn TextEmbedder) -> Outcome {
    for kind in KINDS {
        assert_eq!(embedder.embed(&[], kind).await.expect("embed nothing").len(), 0);
    }
    Outcome::Ran
}

/// An empty text is refused with its index: no vector stands for an empty text.
pub async fn empty_texts_are_refused(embedder: &dyn TextEmbedder) -> Outcome {
    for empty in ["", " \n\t"] {
        let texts = ["a".to_owned(), "b".to_owned(), empty.to_owned()];
        let error = embedder.embed(&texts, TextKind::Document).await.expect_err("nothing to embed");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.to_string().contains("text 2"), "its place is named: {error}");
    }
    Outcome::Ran
}

/// A text is embedded in full or refused with its index: its last word changes the vector.
pub async fn invariant_09_long_texts_are_never_cut_in_silence(embedder: &dyn TextEmbedder) -> Outcome {
    let long = "word ".repeat(20_000);
    let texts = ["short".to_owned(), long.clone(), format!("{long} zebra")];
    match embedder.embed(&texts, TextKind::Document).await {
        Ok(rows) => assert_ne!(rows.rows().nth(1), rows.rows().nth(2), "the last word counts"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            let text = error.to_string();
            assert!(text.contains("text 1") || text.contains("text 2"), "its place is named: {error}");
        }
    }
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! text_embedder_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            text_embedder, $make, [$($skip),*];
            rows_are_as_promised, batches_equal_single_texts, nothing_gives_nothing, empty_texts_are_refused,
            invariant_09_long_texts_are_never_cut_in_silence
        }
    };
}
