//! Packed sign bits of a block, in the layout that the kernels scan.

use crate::{
    kernel::{ROW_GROUP, bit_words, pack_bits_interleaved, query_words},
    layout::TensorField,
};
use std::borrow::Cow;

/// One binary tensor field of a block: the vectors of each document, interleaved by eight (see [`crate::kernel`]), or
/// one plain vector where the field is single-vector.
#[derive(Debug, Clone)]
pub(crate) struct BitArena {
    words: usize,
    bytes: usize,
    single: bool,
    data: Vec<u64>,
    /// The start of each document, and the end of the last.
    offsets: Vec<usize>,
}

impl BitArena {
    pub(crate) fn new(field: &TensorField) -> Self {
        let bytes = field.tensor.size();
        Self { words: bit_words(bytes), bytes, single: field.is_single(), data: Vec::new(), offsets: vec![0] }
    }

    /// Appends the next document's packed rows; `None` where it has no vector.
    pub(crate) fn push(&mut self, rows: Option<&[u8]>) {
        if let Some(rows) = rows {
            if self.single {
                self.data.extend(query_words(rows));
            } else {
                // Rows were checked against the tensor type when they were stored.
                let _ = pack_bits_interleaved(rows, self.bytes, &mut self.data);
            }
        }
        self.offsets.push(self.data.len());
    }

    pub(crate) fn append(&mut self, other: &Self, kept: &[Option<u32>]) {
        for place in kept.iter().enumerate().filter(|(_, kept)| kept.is_some()).map(|(place, _)| place) {
            self.data.extend_from_slice(other.get(place));
            self.offsets.push(self.data.len());
        }
    }

    /// Returns the words of a document; empty where it has no vector.
    pub(crate) fn get(&self, place: usize) -> &[u64] {
        match (self.offsets.get(place), self.offsets.get(place + 1)) {
            (Some(start), Some(end)) => self.data.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Returns the words of a document in interleaved form, even where the field is single-vector.
    pub(crate) fn rows(&self, place: usize) -> Cow<'_, [u64]> {
        let words = self.get(place);
        if !self.single || words.is_empty() {
            return Cow::Borrowed(words);
        }
        Cow::Owned(words.iter().flat_map(|word| [*word; ROW_GROUP]).collect())
    }

    /// Returns the number of words in one vector.
    pub(crate) fn words(&self) -> usize {
        self.words
    }
}
