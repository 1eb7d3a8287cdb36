//! Sets of documents of a block.

use std::{ops::Range, sync::Arc};

/// The number of places in a word.
const WORD: usize = 64;

/// A set of places of a block. Cheap to clone; that of all places holds no memory.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    len: usize,
    /// A bit for each place, the rest of the last word zero; `None` where all are included.
    words: Option<Arc<Vec<u64>>>,
}

impl Places {
    /// Creates the set of all places of a block of `len` documents.
    pub(crate) fn all(len: usize) -> Self {
        Self { len, words: None }
    }

    pub(crate) fn none(len: usize) -> Self {
        Self::of_words(len, vec![0; len.div_ceil(WORD)])
    }

    /// Creates the set of the places at which a list has a value that meets a condition.
    pub(crate) fn of<T>(values: &[T], met: impl Fn(&T) -> bool) -> Self {
        let word = |values: &[T]| values.iter().rev().fold(0, |word, value| word << 1 | u64::from(met(value)));
        Self { len: values.len(), words: Some(Arc::new(values.chunks(WORD).map(word).collect())) }
    }

    /// Creates the set that the words of a bitmap describe.
    pub(crate) fn of_words(len: usize, mut words: Vec<u64>) -> Self {
        words.resize(len.div_ceil(WORD), 0);
        if let Some(last) = words.last_mut() {
            *last &= last_mask(len);
        }
        Self { len, words: Some(Arc::new(words)) }
    }

    /// Encodes the bitmap; as nothing where all places are included.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|words| words.iter().flat_map(|word| word.to_le_bytes())).collect()
    }

    /// Decodes what [`Places::to_bytes`] returns; `None` where it is of another number of places.
    pub(crate) fn from_bytes(len: usize, bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        match (words.len(), rest.len()) {
            (0, 0) => Some(Self::all(len)),
            (count, 0) if count == len.div_ceil(WORD) => {
                Some(Self::of_words(len, words.iter().map(|word| u64::from_le_bytes(*word)).collect()))
            }
            _ => None,
        }
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        match &self.words {
            None => place < self.len,
            Some(words) => words.get(place / WORD).is_some_and(|word| word >> (place % WORD) & 1 == 1),
        }
    }

    /// Removes a place and returns whether it was included.
    pub(crate) fn unset(&mut self, place: usize) -> bool {
        let had = self.contains(place);
        if had && let Some(word) = self.words_mut().get_mut(place / WORD) {
            *word &= !(1 << (place % WORD));
        }
        had
    }

    /// Returns access to add places one by one.
    pub(crate) fn marks(&mut self) -> Marks<'_> {
        Marks { len: self.len, words: self.words_mut() }
    }

    /// Returns the number of included places.
    pub(crate) fn count(&self) -> usize {
        match &self.words {
            None => self.len,
            Some(words) => words.iter().map(|word| word.count_ones() as usize).sum(),
        }
    }

    /// Returns the included places in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_in(0..self.len.div_ceil(WORD))
    }

    /// Keeps the places that another set of the same block includes as well.
    pub(crate) fn and(&mut self, other: &Self) {
        match (&self.words, &other.words) {
            (_, None) => {}
            (None, Some(_)) => self.words.clone_from(&other.words),
            (Some(_), Some(words)) => self.words_mut().iter_mut().zip(&**words).for_each(|(to, from)| *to &= from),
        }
    }

    /// Adds the places of another set of the same block.
    pub(crate) fn or(&mut self, other: &Self) {
        match (&self.words, &other.words) {
            (None, _) => {}
            (Some(_), None) => self.words = None,
            (Some(_), Some(words)) => self.words_mut().iter_mut().zip(&**words).for_each(|(to, from)| *to |= from),
        }
    }

    /// Returns the places that are not included.
    pub(crate) fn not(&self) -> Self {
        match &self.words {
            None => Self::none(self.len),
            Some(words) => Self::of_words(self.len, words.iter().map(|word| !word).collect()),
        }
    }

    /// Splits the set into ranges of words that hold at most as many places as given, or are of a single word. Those without any are left out.
    pub(crate) fn stretches(&self, places: usize) -> Vec<Range<usize>> {
        let (mut stretches, mut start, mut held) = (Vec::new(), 0, 0);
        let count = self.len.div_ceil(WORD);
        for index in 0..count {
            let more = self.word(index).count_ones() as usize;
            if held > 0 && held + more > places {
                stretches.push(start..index);
                held = 0;
            }
            if held == 0 {
                start = index;
            }
            held += more;
        }
        if held > 0 {
            stretches.push(start..count);
        }
        stretches
    }

    /// Returns the included places in a range of words, in order.
    pub(crate) fn iter_in(&self, words: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        words.flat_map(|index| ones(self.word(index), u32::try_from(index * WORD).unwrap_or(u32::MAX)))
    }

    /// Returns the word of 64 places.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> u64 {
        match &self.words {
            Some(words) => words.get(index).copied().unwrap_or(0),
            None if index < self.len / WORD => u64::MAX,
            None if index == self.len / WORD && !self.len.is_multiple_of(WORD) => last_mask(self.len),
            None => 0,
        }
    }

    fn words_mut(&mut self) -> &mut Vec<u64> {
        let all = self
            .words
            .take()
            .unwrap_or_else(|| Arc::new((0..self.len.div_ceil(WORD)).map(|index| self.word(index)).collect()));
        Arc::make_mut(self.words.insert(all))
    }
}

/// A set of places that are being added.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    len: usize,
    words: &'a mut [u64],
}

impl Marks<'_> {
    /// Adds a place; one beyond the block is ignored.
    #[inline]
    pub(crate) fn set(&mut self, place: u32) {
        let place = place as usize;
        if place < self.len
            && let Some(word) = self.words.get_mut(place / WORD)
        {
            *word |= 1 << (place % WORD);
        }
    }
}

/// Returns the places of the bits of a word, the first of which is `first`.
#[inline]
pub(crate) fn ones(mut word: u64, first: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(first + bit)
    })
}

/// Returns the word of the last places of a block that are all included.
fn last_mask(len: usize) -> u64 {
    match len % WORD {
        0 => u64::MAX,
        rest => (1 << rest) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A set of a block of as many documents as the list is long: `None` for that of all.
    fn set(list: &[bool]) -> Places {
        if list.iter().all(|has| *has) { Places::all(list.len()) } else { Places::of(list, |has| *has) }
    }

    fn list(set: &Places) -> Vec<bool> {
        (0..set.len).map(|place| set.contains(place)).collect()
    }

    proptest! {
        #[test]
        fn a_set_behaves_as_a_list_of_flags(flags in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200), full in 0u8..4, out in any::<prop::sample::Index>()) {
            let a: Vec<bool> = flags.iter().map(|(a, _)| *a || full & 1 == 1).collect();
            let b: Vec<bool> = flags.iter().map(|(_, b)| *b || full & 2 == 2).collect();
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(list(&x), a.clone());
            prop_assert!(!x.contains(a.len()));
            prop_assert_eq!(x.count(), a.iter().filter(|has| **has).count());
            let ones: Vec<u32> = (0..).zip(&a).filter(|(_, has)| **has).map(|(place, _)| place).collect();
            prop_assert_eq!(x.iter().collect::<Vec<_>>(), ones.clone());
            for limit in [1, 64, 100, 1_000] {
                let stretches = x.stretches(limit);
                prop_assert_eq!(stretches.iter().flat_map(|words| x.iter_in(words.clone())).collect::<Vec<_>>(), ones.clone());
                for words in stretches {
                    let count = x.iter_in(words.clone()).count();
                    prop_assert!(count > 0 && (count <= limit || words.len() == 1));
                }
            }
            let joined = |with: fn(bool, bool) -> bool| a.iter().zip(&b).map(|(a, b)| with(*a, *b)).collect::<Vec<_>>();
            let (mut and, mut or) = (x.clone(), x.clone());
            and.and(&y);
            or.or(&y);
            prop_assert_eq!(list(&and), joined(|a, b| a && b));
            prop_assert_eq!(list(&or), joined(|a, b| a || b));
            prop_assert_eq!(list(&x.not()), joined(|a, _| !a));
            prop_assert_eq!(x.not().count(), a.len() - ones.len());
            let mut added = y.clone();
            let mut marks = added.marks();
            ones.iter().copied().chain([u32::MAX, a.len() as u32]).for_each(|place| marks.set(place));
            prop_assert_eq!(added.iter().collect::<Vec<_>>(), or.iter().collect::<Vec<_>>());
            if !a.is_empty() {
                let mut less = x.clone();
                let place = out.index(a.len());
                prop_assert_eq!(less.unset(place), a[place]);
                prop_assert_eq!(less.count(), ones.len() - usize::from(a[place]));
            }
            prop_assert_eq!(list(&x), a);
        }
    }
}
