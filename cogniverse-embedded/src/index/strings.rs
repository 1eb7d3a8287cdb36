//! Lists of byte strings in a block: ids of documents, and sorted dictionaries.

use super::{bytes::U32s, format::BlockWriter};

/// A list of strings, in two sections: their starts with the end of the last, and their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strings<'a> {
    starts: U32s<'a>,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    pub(super) fn new(starts: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { starts: U32s::new(starts), bytes }
    }

    pub(super) fn len(self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn get(self, index: usize) -> Option<&'a [u8]> {
        let (start, end) = (self.starts.get(index)?, self.starts.get(index + 1)?);
        self.bytes.get(start as usize..end as usize)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(move |index| self.get(index).unwrap_or_default())
    }

    /// Returns the index of a string in a sorted list.
    pub(super) fn find(self, wanted: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle)?.cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Returns the number of leading strings that meet a condition, as the list is sorted by it.
    pub(super) fn partition_point(self, met: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).is_some_and(&met) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// Returns whether the strings follow each other without a gap, each of them UTF-8.
    pub(super) fn is_whole(self) -> bool {
        let ends =
            self.starts.first() == Some(0) && self.starts.last().map(|end| end as usize) == Some(self.bytes.len());
        let Ok(text) = std::str::from_utf8(self.bytes) else { return false };
        ends && self.starts.is_ascending() && self.starts.iter().all(|start| text.is_char_boundary(start as usize))
    }

    /// Returns whether the strings are whole, sorted and distinct.
    pub(super) fn is_dictionary(self) -> bool {
        self.is_whole() && self.iter().is_sorted_by(|a, b| a < b)
    }
}

/// The two sections of a list of strings, being made.
#[derive(Debug)]
pub(super) struct StringsBuilder {
    starts: Vec<u32>,
    bytes: Vec<u8>,
}

impl StringsBuilder {
    pub(super) fn new() -> Self {
        Self { starts: vec![0], bytes: Vec::new() }
    }

    pub(super) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.starts.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn write(self, writer: &mut BlockWriter) {
        writer.list(self.starts.iter().map(|start| start.to_le_bytes()));
        writer.section(|out| out.extend_from_slice(&self.bytes));
    }
}

/// Distinct strings in order, from several sorted lists.
#[derive(Debug)]
pub(super) struct Merged<'a> {
    lists: Vec<(Strings<'a>, usize)>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(lists: impl Iterator<Item = Strings<'a>>) -> Self {
        Self { lists: lists.map(|list| (list, 0)).collect() }
    }

    /// Returns the next string, and sets `found` to the lists that have it, each with its index there. Few lists are merged
    /// at a time, so that each is looked at.
    pub(super) fn next(&mut self, found: &mut Vec<(usize, usize)>) -> Option<&'a [u8]> {
        found.clear();
        let mut least = None;
        for (number, (list, at)) in self.lists.iter().enumerate() {
            let Some(string) = list.get(*at) else { continue };
            match least.map(|least: &[u8]| string.cmp(least)) {
                Some(std::cmp::Ordering::Greater) => continue,
                Some(std::cmp::Ordering::Equal) => {}
                Some(std::cmp::Ordering::Less) | None => {
                    least = Some(string);
                    found.clear();
                }
            }
            found.push((number, *at));
        }
        for (number, _) in &*found {
            if let Some((_, at)) = self.lists.get_mut(*number) {
                *at += 1;
            }
        }
        least
    }
}
