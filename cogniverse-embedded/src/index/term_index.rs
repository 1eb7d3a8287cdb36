//! The inverted index of one text field of a block: a sorted dictionary, compressed postings, the documents' lengths.

use super::{
    bytes::U32s,
    format::BlockWriter,
    merge::Part,
    postings::{self, Postings},
    strings::{Merged, Strings, StringsBuilder},
    terms::FieldTerms,
};
use std::{collections::HashMap, ops::Range};

/// The inverted index of one text field of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TermIndex<'a> {
    /// The number of words of each document.
    lengths: U32s<'a>,
    terms: Strings<'a>,
    /// The number of documents of each term.
    documents: U32s<'a>,
    /// The start of each term's postings, and the end of the last.
    starts: U32s<'a>,
    postings: &'a [u8],
}

impl<'a> TermIndex<'a> {
    pub(super) fn new(mut sections: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut next = || sections.next().unwrap_or_default();
        Self {
            lengths: U32s::new(next()),
            terms: Strings::new(next(), next()),
            documents: U32s::new(next()),
            starts: U32s::new(next()),
            postings: next(),
        }
    }

    /// Returns the postings of a term; `None` where no document has it.
    pub(crate) fn find(&self, term: &str) -> Option<Postings<'a>> {
        self.postings(self.number(term)?)
    }

    /// Returns the number of a term, by which its postings are found again.
    pub(crate) fn number(&self, term: &str) -> Option<usize> {
        self.terms.find(term.as_bytes())
    }

    /// Returns the number of terms.
    pub(crate) fn len(&self) -> usize {
        self.terms.len()
    }

    /// Returns a term, given its number. The numbers are in the order of the terms.
    pub(crate) fn term(&self, number: usize) -> Option<&'a str> {
        std::str::from_utf8(self.terms.get(number)?).ok()
    }

    /// Returns the numbers of the terms that begin with a text.
    pub(crate) fn beginning_with(&self, prefix: &str) -> Range<usize> {
        let prefix = prefix.as_bytes();
        let start = self.terms.partition_point(|term| term < prefix);
        let end = self.terms.partition_point(|term| term < prefix || term.starts_with(prefix));
        start..end
    }

    /// Returns the number of words of each document.
    pub(crate) fn lengths(&self) -> U32s<'a> {
        self.lengths
    }

    /// Returns the postings of a term, given its number.
    pub(crate) fn postings(&self, term: usize) -> Option<Postings<'a>> {
        let (start, end) = (self.starts.get(term)?, self.starts.get(term + 1)?);
        let bytes = self.postings.get(start as usize..end as usize)?;
        Some(Postings::new(self.documents.get(term)? as usize, bytes))
    }

    /// Returns whether the sections fit together and a block of `len` documents. Postings are not decoded.
    pub(super) fn fits(&self, len: usize) -> bool {
        let ends = self.starts.first() == Some(0)
            && self.starts.last().map(|end| end as usize) == Some(self.postings.len())
            && self.starts.len() == self.terms.len() + 1
            && self.documents.len() == self.terms.len();
        let counts = self.documents.iter().all(|count| (1..=len).contains(&(count as usize)));
        ends && counts && self.starts.is_ascending() && self.lengths.len() == len && self.terms.is_dictionary()
    }

    /// Returns whether all postings are as written.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        (0..self.terms.len()).all(|term| self.postings(term).is_some_and(|postings| postings.is_whole(self.lengths)))
    }

    /// Writes the index of a field, given the terms of each document.
    pub(super) fn build<'d>(writer: &mut BlockWriter, documents: impl Iterator<Item = Option<&'d FieldTerms>> + Clone) {
        let lengths: Vec<u32> = documents.clone().map(|terms| terms.map_or(0, |terms| terms.length)).collect();
        // The number of each term in order of first use, and its documents.
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut having: Vec<usize> = Vec::new();
        let mut uses = Vec::new();
        for term in documents.clone().flatten().flat_map(|terms| &terms.counts) {
            let number = *numbers.entry(&term.0).or_insert(having.len());
            match having.get_mut(number) {
                Some(count) => *count += 1,
                None => having.push(1),
            }
            uses.push(u32::try_from(number).unwrap_or(u32::MAX));
        }
        // Postings sorted by term: each goes to the next free slot of its term.
        let mut free: Vec<usize> = having
            .iter()
            .scan(0, |end, count| {
                *end += count;
                Some(*end - count)
            })
            .collect();
        let (mut places, mut counts) = (vec![0; uses.len()], vec![0; uses.len()]);
        let mut uses = uses.into_iter();
        for (place, terms) in (0..).zip(documents) {
            let counted = terms.iter().flat_map(|terms| &terms.counts).map(|(_, count)| *count);
            for (count, number) in counted.zip(uses.by_ref()) {
                let Some(slot) = free.get_mut(number as usize) else { continue };
                if let (Some(to_place), Some(to_count)) = (places.get_mut(*slot), counts.get_mut(*slot)) {
                    (*to_place, *to_count) = (place, count);
                }
                *slot += 1;
            }
        }
        let mut terms: Vec<(&str, usize)> = numbers.into_iter().collect();
        terms.sort_unstable_by_key(|(term, _)| *term);
        let mut builder = TermsBuilder::new(lengths);
        for (term, number) in terms {
            let end = free.get(number).copied().unwrap_or(0);
            let start = end - having.get(number).copied().unwrap_or(0).min(end);
            let range = start..end;
            let (places, counts) =
                (places.get(range.clone()).unwrap_or_default(), counts.get(range).unwrap_or_default());
            builder.push(term.as_bytes(), places, counts);
        }
        builder.write(writer);
    }

    /// Writes the index of a field over the living documents of several blocks.
    pub(super) fn merge(writer: &mut BlockWriter, indexes: &[(&Part<'_>, TermIndex<'_>)]) {
        let living = |(part, index): &(&Part<'_>, TermIndex<'_>)| {
            let lengths = index.lengths;
            part.living().map(move |place| lengths.get(place).unwrap_or(0)).collect::<Vec<u32>>()
        };
        let mut builder = TermsBuilder::new(indexes.iter().flat_map(living).collect());
        let mut terms = Merged::new(indexes.iter().map(|(_, index)| index.terms));
        let (mut found, mut places, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(term) = terms.next(&mut found) {
            places.clear();
            counts.clear();
            for (part, number) in &found {
                let Some((part, index)) = indexes.get(*part) else { continue };
                let Some(postings) = index.postings(*number) else { continue };
                postings.for_each_in(0..u32::MAX, |place, count| {
                    if let Some(place) = part.moved(place) {
                        places.push(place);
                        counts.push(count);
                    }
                });
            }
            if !places.is_empty() {
                builder.push(term, &places, &counts);
            }
        }
        builder.write(writer);
    }
}

/// The sections of an index, being made term by term.
#[derive(Debug)]
struct TermsBuilder {
    lengths: Vec<u32>,
    terms: StringsBuilder,
    documents: Vec<u32>,
    starts: Vec<u32>,
    postings: Vec<u8>,
}

impl TermsBuilder {
    fn new(lengths: Vec<u32>) -> Self {
        Self { lengths, terms: StringsBuilder::new(), documents: Vec::new(), starts: vec![0], postings: Vec::new() }
    }

    fn push(&mut self, term: &[u8], places: &[u32], counts: &[u32]) {
        let length = |place| self.lengths.get(place as usize).copied().unwrap_or(0);
        postings::encode(places, counts, length, &mut self.postings);
        self.terms.push(term);
        self.documents.push(u32::try_from(places.len()).unwrap_or(u32::MAX));
        self.starts.push(u32::try_from(self.postings.len()).unwrap_or(u32::MAX));
    }

    fn write(self, writer: &mut BlockWriter) {
        writer.list(self.lengths.iter().map(|length| length.to_le_bytes()));
        self.terms.write(writer);
        writer.list(self.documents.iter().map(|count| count.to_le_bytes()));
        writer.list(self.starts.iter().map(|start| start.to_le_bytes()));
        writer.section(|out| out.extend_from_slice(&self.postings));
    }
}
