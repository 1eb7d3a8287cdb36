//! Terms of documents: the stored forward form.

use crate::layout::Layout;
use cogniverse_core::text::Analyzer;
use cogniverse_sdk::document::Fields;
use std::collections::BTreeMap;

/// The terms of one document, by text field of the layout. Stored with the document in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DocumentTerms {
    /// The number of words and the count of each term, by text field.
    pub(crate) fields: Vec<FieldTerms>,
}

/// The terms of one field of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldTerms {
    pub(crate) length: u32,
    pub(crate) counts: Vec<(Box<str>, u32)>,
}

impl DocumentTerms {
    pub(crate) fn of(fields: &Fields, layout: &Layout, analyzer: &Analyzer) -> Self {
        let of_field = |name| {
            let text = fields.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let mut counts = BTreeMap::<Box<str>, u32>::new();
            let mut length = 0;
            analyzer.analyze(text, |_, term| {
                length += 1;
                *counts.entry(term.into()).or_default() += 1;
            });
            FieldTerms { length, counts: counts.into_iter().collect() }
        };
        Self { fields: layout.texts.iter().map(of_field).collect() }
    }

    /// Encodes as little-endian u32 numbers and UTF-8 bytes: for each field its length and number of terms, and for
    /// each term its count, byte length and bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let number =
            |out: &mut Vec<u8>, n: usize| out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        for field in &self.fields {
            number(&mut out, field.length as usize);
            number(&mut out, field.counts.len());
            for (term, count) in &field.counts {
                number(&mut out, *count as usize);
                number(&mut out, term.len());
                out.extend_from_slice(term.as_bytes());
            }
        }
        out
    }

    /// Decodes; `None` for malformed bytes.
    pub(crate) fn decode(mut bytes: &[u8], fields: usize) -> Option<Self> {
        fn number(bytes: &mut &[u8]) -> Option<u32> {
            let (head, rest) = bytes.split_first_chunk::<4>()?;
            *bytes = rest;
            Some(u32::from_le_bytes(*head))
        }
        let mut terms = Self { fields: Vec::with_capacity(fields) };
        for _ in 0..fields {
            let length = number(&mut bytes)?;
            let distinct = number(&mut bytes)? as usize;
            let mut counts = Vec::with_capacity(distinct.min(bytes.len() / 8));
            for _ in 0..distinct {
                let count = number(&mut bytes)?;
                let length = number(&mut bytes)? as usize;
                let (term, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                counts.push((std::str::from_utf8(term).ok()?.into(), count));
            }
            terms.fields.push(FieldTerms { length, counts });
        }
        bytes.is_empty().then_some(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field() -> impl Strategy<Value = FieldTerms> {
        (any::<u32>(), prop::collection::vec(("\\PC{0,6}", any::<u32>()), 0..5)).prop_map(|(length, counts)| {
            FieldTerms {
                length,
                counts: counts.into_iter().map(|(term, count)| (term.into_boxed_str(), count)).collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn stored_terms_come_back_or_are_refused(fields in prop::collection::vec(field(), 0..3), cut in any::<prop::sample::Index>()) {
            let terms = DocumentTerms { fields };
            let bytes = terms.encode();
            prop_assert_eq!(DocumentTerms::decode(&bytes, terms.fields.len()), Some(terms.clone()));
            if !bytes.is_empty() {
                prop_assert_eq!(DocumentTerms::decode(&bytes[..cut.index(bytes.len())], terms.fields.len()), None);
            }
        }
    }
}
