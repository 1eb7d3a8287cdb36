//! Conditions on the words of documents, as sets of documents.
//!
//! Postings have no positions. A word alone is decided by its postings; of several words in a row, the documents that have all of them in
//! one field are read and looked through, as are those whose term says too little of a prefix. Only what is alive and passes the
//! filter is read.

use super::meter::{LOOKUP, Meter, POSTING};
use crate::{
    error::corrupt,
    index::{BlockView, Places, TermIndex},
    tenant_store::Moment,
};
use cogniverse_core::text::{Analyzer, Language, language_of};
use cogniverse_sdk::{FieldName, FieldValue, Result, WordCondition, document::Fields};
use std::collections::BTreeSet;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The cost of reading a document, and of looking through a byte of its text, in multiply-adds.
const READ: usize = 40_000;
const BYTE: usize = 200;
/// The number of documents that are read at a time.
const BATCH: usize = 256;
/// The fewest letters of a term that decides a prefix by itself: of shorter ones, stems such as "die" of "dying" may begin otherwise.
const DECISIVE: usize = 4;

/// A condition of a query, analyzed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// The terms follow each other in a field, or do in none: those of one of the languages that documents name.
    Words { variants: Vec<Vec<String>>, is_excluded: bool },
    /// A word of a field begins with this.
    Prefix {
        /// The terms of the prefix as a word, in each of the languages.
        terms: Vec<String>,
        /// The prefix without case and accents.
        folded: String,
    },
}

impl Condition {
    /// Analyzes a condition that the schema accepts.
    pub(super) fn of(condition: &WordCondition, languages: &BTreeSet<Language>) -> Self {
        let languages = languages.iter().copied().map(Some).chain([None]);
        let sequences = languages.map(|language| Analyzer::of(language).sequence(condition.text()));
        let variants: Vec<Vec<String>> = sequences.collect::<BTreeSet<_>>().into_iter().collect();
        match condition {
            WordCondition::Prefix(text) => {
                let terms = variants.into_iter().filter_map(|mut terms| terms.pop()).collect();
                Self::Prefix { terms, folded: folded(text) }
            }
            WordCondition::Without(_) => Self::Words { variants, is_excluded: true },
            _ => Self::Words { variants, is_excluded: false },
        }
    }

    pub(super) fn is_excluded(&self) -> bool {
        matches!(self, Self::Words { is_excluded: true, .. })
    }

    /// Keeps the documents of a block that meet the condition in one of the fields.
    pub(super) fn keep(
        &self,
        moment: &Moment<'_>,
        view: &BlockView,
        fields: &[FieldName],
        meter: &Meter<'_>,
        places: &mut Places,
    ) -> Result<()> {
        let (mut met, mut unsure) = (Places::none(view.block.len()), Places::none(view.block.len()));
        for index in fields.iter().filter_map(|name| view.block.text(moment.snapshot.layout().text(name)?)) {
            match self {
                Self::Words { variants, .. } => {
                    for terms in variants {
                        let (decided, candidates) = words(index, terms, meter)?;
                        met.or(&decided);
                        unsure.or(&candidates);
                    }
                }
                Self::Prefix { terms, folded } => {
                    for term in terms {
                        let (decided, candidates) = prefixed(index, (term, folded), view.block.len(), meter)?;
                        met.or(&decided);
                        unsure.or(&candidates);
                    }
                }
            }
        }
        unsure.and(&met.not());
        unsure.and(places);
        met.or(&self.read(moment, view, fields, meter, &unsure)?);
        if self.is_excluded() {
            met = met.not();
        }
        places.and(&met);
        Ok(())
    }

    /// Reads documents and returns those that meet the condition.
    fn read(
        &self,
        moment: &Moment<'_>,
        view: &BlockView,
        names: &[FieldName],
        meter: &Meter<'_>,
        unsure: &Places,
    ) -> Result<Places> {
        let mut met = Places::none(view.block.len());
        let mut marks = met.marks();
        let record = moment.store.record();
        let places: Vec<u32> = unsure.iter().collect();
        for batch in places.chunks(BATCH) {
            let rows: Vec<i64> = batch.iter().filter_map(|place| view.block.row(*place as usize)).collect();
            meter.spend(rows.len() * READ)?;
            let stored = record.documents(&*moment.connection()?, &rows)?;
            for ((place, row), stored) in batch.iter().zip(&rows).zip(stored) {
                let missing = || corrupt(record.path(), format!("row {row} is in the index and not in the file"));
                let fields = &stored.ok_or_else(missing)?.fields;
                let language = language_of(fields).filter(|_| moment.snapshot.layout().languages);
                if self.is_met_by(fields, names, &Analyzer::of(language), meter)? {
                    marks.set(*place);
                }
            }
        }
        Ok(met)
    }

    fn is_met_by(&self, fields: &Fields, names: &[FieldName], analyzer: &Analyzer, meter: &Meter<'_>) -> Result<bool> {
        for name in names {
            let Some(text) = fields.get(name).and_then(FieldValue::as_str) else { continue };
            meter.spend(text.len() * BYTE)?;
            let is_met = match self {
                Self::Words { variants, .. } => {
                    let words = analyzer.sequence(text);
                    variants.iter().any(|terms| follow(&words, terms))
                }
                Self::Prefix { folded: prefix, .. } => {
                    let mut found = false;
                    analyzer.analyze(text, |range, _| {
                        found = found || text.get(range).is_some_and(|word| folded(word).starts_with(prefix.as_str()));
                    });
                    found
                }
            };
            if is_met {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns whether words follow each other in a text.
fn follow(text: &[String], words: &[String]) -> bool {
    !words.is_empty() && text.windows(words.len()).any(|window| window == words)
}

/// Returns the documents whose field has a word, or, of several words, those that have them all and must be read.
fn words(index: TermIndex<'_>, terms: &[String], meter: &Meter<'_>) -> Result<(Places, Places)> {
    let len = index.lengths().len();
    let mut all = Places::all(len);
    for term in terms {
        meter.spend(LOOKUP)?;
        let mut having = Places::none(len);
        if let Some(postings) = index.find(term) {
            meter.spend(postings.len() * POSTING)?;
            let mut marks = having.marks();
            postings.for_each_place(|place| marks.set(place));
        }
        all.and(&having);
    }
    Ok(match terms {
        [] => (Places::none(len), Places::none(len)),
        [_] => (all, Places::none(len)),
        _ => (Places::none(len), all),
    })
}

/// Returns the documents whose field has a term that shows the prefix, and those that have one whose word may begin with it.
fn prefixed(
    index: TermIndex<'_>,
    (term, folded): (&str, &str),
    len: usize,
    meter: &Meter<'_>,
) -> Result<(Places, Places)> {
    let (mut sure, mut unsure) = (Places::none(len), Places::none(len));
    let Some(first) = term.chars().next() else { return Ok((sure, unsure)) };
    // A stem is the begin of its word, with another last letter perhaps: terms as long as the prefix, or longer, share all of it but
    // the last letter, and shorter ones all of theirs but the last.
    let short = term.char_indices().next_back().map_or(0, |(last, _)| last).max(first.len_utf8());
    for number in index.beginning_with(term.get(..first.len_utf8()).unwrap_or_default()) {
        meter.spend(LOOKUP / 16)?;
        let Some(known) = index.term(number) else { continue };
        let shared = known.bytes().zip(term.bytes()).take_while(|(a, b)| a == b).count();
        let is_near = shared >= short || shared + last_letter(known) >= known.len();
        if !is_near {
            continue;
        }
        let Some(postings) = index.postings(number) else { continue };
        meter.spend(postings.len() * POSTING)?;
        let is_decisive = known.len() >= DECISIVE || folded.len() == 1;
        let is_sure = is_decisive && known.is_ascii() && known.len() > folded.len() && known.starts_with(folded);
        let mut marks = if is_sure { sure.marks() } else { unsure.marks() };
        postings.for_each_place(|place| marks.set(place));
    }
    Ok((sure, unsure))
}

fn last_letter(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}

/// Returns a word without case and accents.
pub(super) fn folded(word: &str) -> String {
    word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_each_other_only_without_a_gap() {
        let terms = |text: &str| Analyzer::new().sequence(text);
        let text = terms("The open sea, and the sea opens");
        for (phrase, is_in) in
            [("open sea", true), ("sea opened", true), ("open the sea", false), ("sea sea", false), ("", false)]
        {
            assert_eq!(follow(&text, &terms(phrase)), is_in, "{phrase}");
        }
        assert_eq!(folded("ÉTÉ Straße"), "ete straße");
    }
}
