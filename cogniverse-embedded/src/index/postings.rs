//! Compressed postings of one term: the documents that contain it, with its count in each.
//!
//! Full runs of 128 postings are bit-packed: the number of bits of the places' differences (one byte), that of the counts
//! less one (one byte), the packed places, the packed counts. What is left follows as pairs of LEB128 numbers: the
//! difference to the last place, less one, and the count less one. Ahead of all is an entry for each full run: its last
//! place, greatest count, least document length, and offset after the entries, as u32.

use super::bytes::U32s;
use bitpacking::{BitPacker, BitPacker4x};
use std::ops::Range;

/// The number of postings in a full run.
pub(crate) const RUN: usize = BitPacker4x::BLOCK_LEN;
/// The encoded length of a run's entry.
const ENTRY: usize = 16;
/// The bytes of a run's packed numbers, for each bit of a number.
const BIT_BYTES: usize = RUN / 8;

/// Appends the encoded postings of a term. Places are ascending and distinct, with a count for each.
pub(super) fn encode(places: &[u32], counts: &[u32], length: impl Fn(u32) -> u32, out: &mut Vec<u8>) {
    let packer = BitPacker4x::new();
    let (runs, rest) = places.as_chunks::<RUN>();
    let (runs_of_counts, rest_of_counts) = counts.as_chunks::<RUN>();
    let entries_at = out.len();
    let first = entries_at + runs.len() * ENTRY;
    out.resize(first, 0);
    let mut before = None;
    let mut packed = [0; 32 * BIT_BYTES];
    for (number, (places, counts)) in runs.iter().zip(runs_of_counts).enumerate() {
        let last = places.last().copied().unwrap_or(0);
        let greatest = counts.iter().copied().max().unwrap_or(0);
        let least = places.iter().map(|place| length(*place)).min().unwrap_or(0);
        let offset = u32::try_from(out.len() - first).unwrap_or(u32::MAX);
        let entry = [last, greatest, least, offset].into_iter().flat_map(u32::to_le_bytes);
        out.iter_mut().skip(entries_at + number * ENTRY).zip(entry).for_each(|(to, from)| *to = from);
        let less = counts.map(|count| count.wrapping_sub(1));
        let place_bits = packer.num_bits_strictly_sorted(before, places);
        let count_bits = packer.num_bits(&less);
        out.extend([place_bits, count_bits]);
        let written = packer.compress_strictly_sorted(before, places, &mut packed, place_bits);
        out.extend_from_slice(packed.get(..written).unwrap_or_default());
        let written = packer.compress(&less, &mut packed, count_bits);
        out.extend_from_slice(packed.get(..written).unwrap_or_default());
        before = Some(last);
    }
    let mut next = before.map_or(0, |before| before.wrapping_add(1));
    for (place, count) in rest.iter().zip(rest_of_counts) {
        put_varint(place.wrapping_sub(next), out);
        put_varint(count.wrapping_sub(1), out);
        next = place.wrapping_add(1);
    }
}

fn put_varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[inline]
fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The postings of a term in a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postings<'a> {
    len: usize,
    entries: &'a [u8],
    runs: &'a [u8],
}

/// The summary of 128 postings, by which they are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The place before the run's first; `None` in the first run.
    before: Option<u32>,
    /// The last place of the run.
    pub(crate) last: u32,
    /// The greatest count.
    pub(crate) greatest: u32,
    /// The least number of words of a document.
    pub(crate) least_length: u32,
    offset: usize,
}

/// The decoded postings of one run, kept for the next access to it.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The number of the run; `None` where nothing is decoded.
    run: Option<usize>,
    places: [u32; RUN],
    counts: [u32; RUN],
    len: usize,
    has_counts: bool,
}

impl Default for Decoded {
    fn default() -> Self {
        Self { run: None, places: [0; RUN], counts: [0; RUN], len: 0, has_counts: false }
    }
}

impl Decoded {
    /// Returns the places, in ascending order.
    #[inline]
    pub(crate) fn places(&self) -> &[u32] {
        self.places.get(..self.len).unwrap_or_default()
    }

    /// Returns the counts, if they were asked for.
    #[inline]
    pub(crate) fn counts(&self) -> &[u32] {
        self.counts.get(..if self.has_counts { self.len } else { 0 }).unwrap_or_default()
    }
}

impl<'a> Postings<'a> {
    pub(super) fn new(len: usize, bytes: &'a [u8]) -> Self {
        let (entries, runs) = bytes.split_at_checked(len / RUN * ENTRY).unwrap_or_default();
        Self { len, entries, runs }
    }

    /// Returns the number of documents that contain the term, the dead included.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Returns the summaries of the full runs, in order.
    pub(crate) fn runs(self) -> impl Iterator<Item = Run> + 'a {
        let mut before = None;
        self.entries.as_chunks::<ENTRY>().0.iter().filter_map(move |entry| {
            let numbers = U32s::new(entry);
            let (last, greatest) = (numbers.get(0)?, numbers.get(1)?);
            let (least_length, offset) = (numbers.get(2)?, numbers.get(3)? as usize);
            Some(Run { before: before.replace(last), last, greatest, least_length, offset })
        })
    }

    /// Returns the number of runs, that of the postings after the last full one included.
    #[inline]
    pub(crate) fn run_count(self) -> usize {
        self.entries.len() / ENTRY + usize::from(!self.len.is_multiple_of(RUN))
    }

    /// Returns the summary of a full run; `None` for the postings after the last.
    #[inline]
    pub(crate) fn run(self, number: usize) -> Option<Run> {
        let entries = self.entries.as_chunks::<ENTRY>().0;
        let numbers = U32s::new(entries.get(number)?);
        let before = number.checked_sub(1).and_then(|before| U32s::new(entries.get(before)?).first());
        let (last, greatest) = (numbers.get(0)?, numbers.get(1)?);
        let (least_length, offset) = (numbers.get(2)?, numbers.get(3)? as usize);
        Some(Run { before, last, greatest, least_length, offset })
    }

    /// Returns the last place of a run, or a bound of it.
    #[inline]
    pub(crate) fn last_place(self, run: usize) -> u32 {
        let entry = self.entries.as_chunks::<ENTRY>().0.get(run);
        entry.and_then(|entry| U32s::new(entry).first()).unwrap_or(u32::MAX)
    }

    /// Decodes a run, the counts only where they are wanted, unless it is decoded already. Damaged bytes decode as no postings.
    #[inline]
    pub(crate) fn decode(self, number: usize, wants_counts: bool, into: &mut Decoded) {
        if into.run == Some(number) && (into.has_counts || !wants_counts) {
            return;
        }
        (into.run, into.len, into.has_counts) = (Some(number), 0, true);
        match self.run(number) {
            Some(run) => {
                let Some((rest, bits)) = self.places(run, &mut into.places) else { return };
                into.has_counts = wants_counts;
                if wants_counts {
                    if unpack(rest, bits, &mut into.counts).is_none() {
                        return;
                    }
                    into.counts.iter_mut().for_each(|less| *less = less.wrapping_add(1));
                }
                into.len = RUN;
            }
            None => {
                let (mut slots, mut len) = (into.places.iter_mut().zip(&mut into.counts), 0);
                self.rest(|place, count| {
                    if let Some(slot) = slots.next() {
                        (*slot.0, *slot.1) = (place, count);
                        len += 1;
                    }
                });
                into.len = len;
            }
        }
    }

    /// Returns a bound of the number of postings in a range of places: all of the runs that it meets.
    pub(crate) fn len_in(self, range: &Range<u32>) -> usize {
        let met = self.runs().filter(|run| run.meets(range)).count();
        met * RUN + if self.rest_meets(range) { self.len % RUN } else { 0 }
    }

    /// Calls `each` with the places and counts within a range of places, in order.
    #[inline]
    pub(crate) fn for_each_in(self, range: Range<u32>, mut each: impl FnMut(u32, u32)) {
        let (mut places, mut counts) = ([0; RUN], [0; RUN]);
        for run in self.runs().filter(|run| run.meets(&range)) {
            let decoded = self.places(run, &mut places).and_then(|rest| unpack(rest.0, rest.1, &mut counts));
            if decoded.is_none() {
                return;
            }
            for (place, less) in places.iter().zip(&counts).filter(|(place, _)| range.contains(place)) {
                each(*place, less.wrapping_add(1));
            }
        }
        if self.rest_meets(&range) {
            self.rest(|place, count| {
                if range.contains(&place) {
                    each(place, count);
                }
            });
        }
    }

    /// Calls `each` with every place in order, without decoding the counts of full runs.
    #[inline]
    pub(crate) fn for_each_place(self, mut each: impl FnMut(u32)) {
        let mut places = [0; RUN];
        for run in self.runs() {
            if self.places(run, &mut places).is_none() {
                return;
            }
            places.iter().for_each(|place| each(*place));
        }
        self.rest(|place, _| each(place));
    }

    /// Returns whether the postings are as [`encode`] writes them, with places of a block of as many documents as there are
    /// lengths.
    #[cfg(test)]
    pub(super) fn is_whole(self, lengths: U32s<'_>) -> bool {
        let (mut places, mut counts) = ([0; RUN], [0; RUN]);
        let (mut next, mut offset) = (0, 0);
        for run in self.runs() {
            let Some((rest, bits)) = self.places(run, &mut places) else { return false };
            let Some(rest) = unpack(rest, bits, &mut counts) else { return false };
            let sorted = places.first().is_some_and(|first| *first >= next) && places.is_sorted_by(|a, b| a < b);
            let least = places.iter().map(|place| lengths.get(*place as usize)).min().flatten();
            let greatest = counts.iter().map(|less| less.wrapping_add(1)).max();
            let summary = (places.last().copied(), greatest, least, offset);
            if !sorted || summary != (Some(run.last), Some(run.greatest), Some(run.least_length), run.offset) {
                return false;
            }
            next = run.last.saturating_add(1);
            offset = self.runs.len() - rest.len();
        }
        let (mut count, mut sorted) = (0, true);
        let left = self.rest(|place, _| {
            sorted &= place >= next && (place as usize) < lengths.len();
            next = place.saturating_add(1);
            count += 1;
        });
        self.entries.len() == self.len / RUN * ENTRY && sorted && count == self.len % RUN && left == Some(0)
    }

    /// Decodes the places of a run. Returns what follows them, and the number of bits of each count.
    #[inline]
    fn places(self, run: Run, places: &mut [u32; RUN]) -> Option<(&'a [u8], u8)> {
        let ([place_bits, count_bits], packed) = self.runs.get(run.offset..)?.split_first_chunk::<2>()?;
        let (packed, rest) = packed.split_at_checked(usize::from(*place_bits) * BIT_BYTES)?;
        if *place_bits > 32 {
            return None;
        }
        BitPacker4x::new().decompress_strictly_sorted(run.before, packed, places, *place_bits);
        Some((rest, *count_bits))
    }

    fn rest_meets(self, range: &Range<u32>) -> bool {
        let last = U32s::new(self.entries.last_chunk::<ENTRY>().map_or(&[][..], |entry| entry)).first();
        !self.len.is_multiple_of(RUN) && last.is_none_or(|last| last.saturating_add(1) < range.end)
    }

    /// Decodes the postings after the last full run, and returns the number of bytes that are left.
    #[inline]
    fn rest(self, mut each: impl FnMut(u32, u32)) -> Option<usize> {
        let (mut next, mut bytes) = (0_u32, self.runs);
        if let Some(entry) = self.entries.last_chunk::<ENTRY>() {
            let entry = U32s::new(entry);
            next = entry.first()?.wrapping_add(1);
            let ([place_bits, count_bits], packed) =
                self.runs.get(entry.last()? as usize..)?.split_first_chunk::<2>()?;
            bytes = packed.get((usize::from(*place_bits) + usize::from(*count_bits)) * BIT_BYTES..)?;
        }
        for _ in 0..self.len % RUN {
            let place = take_varint(&mut bytes)?.wrapping_add(next);
            each(place, take_varint(&mut bytes)?.wrapping_add(1));
            next = place.wrapping_add(1);
        }
        Some(bytes.len())
    }
}

impl Run {
    /// Returns whether a place of the run may lie in a range.
    fn meets(&self, range: &Range<u32>) -> bool {
        self.last >= range.start && self.before.is_none_or(|before| before.saturating_add(1) < range.end)
    }
}

/// Decodes a run's counts less one, and returns what follows them.
#[inline]
fn unpack<'a>(bytes: &'a [u8], bits: u8, numbers: &mut [u32; RUN]) -> Option<&'a [u8]> {
    let (packed, rest) = bytes.split_at_checked(usize::from(bits) * BIT_BYTES)?;
    if bits > 32 {
        return None;
    }
    BitPacker4x::new().decompress(packed, numbers, bits);
    Some(rest)
}
