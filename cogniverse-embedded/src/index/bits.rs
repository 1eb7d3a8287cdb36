//! Packed sign bits of a block, in the form that the kernels scan.

use crate::{
    kernel::{ROW_GROUP, bit_words, pack_bits_interleaved, query_words},
    layout::TensorField,
};
use std::borrow::Cow;

/// One binary tensor field of a block: per document its vectors, interleaved by eight (see [`crate::kernel`]), or one
/// plain vector where the field holds a single one.
#[derive(Debug, Clone)]
pub(crate) struct BitArena {
    words: usize,
    bytes: usize,
    single: bool,
    data: Vec<u64>,
    /// Where each document starts, and the end of the last.
    offsets: Vec<usize>,
}

impl BitArena {
    pub(crate) fn new(field: &TensorField) -> Self {
        let bytes = field.tensor.size();
        Self { words: bit_words(bytes), bytes, single: field.is_single(), data: Vec::new(), offsets: vec![0] }
    }

    /// Appends the next document's rows, packed as stored; none where it has no vector.
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

    /// The words of a document; empty where it has no vector.
    pub(crate) fn get(&self, place: usize) -> &[u64] {
        match (self.offsets.get(place), self.offsets.get(place + 1)) {
            (Some(start), Some(end)) => self.data.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The words of a document in the interleaved form, also where the field holds a single vector.
    pub(crate) fn rows(&self, place: usize) -> Cow<'_, [u64]> {
        let words = self.get(place);
        if !self.single || words.is_empty() {
            return Cow::Borrowed(words);
        }
        Cow::Owned(words.iter().flat_map(|word| [*word; ROW_GROUP]).collect())
    }

    /// Words of one vector.
    pub(crate) fn words(&self) -> usize {
        self.words
    }
}
