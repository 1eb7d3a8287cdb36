//! The bytes of a block, and numbers read from them.
//!
//! All numbers are little-endian and read without alignment, so that a block may lie at any address: in an owned buffer or
//! in a mapped file.

use std::{fmt, marker::PhantomData, sync::Arc};

/// The immutable bytes of a block. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BlockBytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl BlockBytes {
    /// Takes an owned buffer or a mapped file.
    pub(crate) fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes))
    }

    pub(crate) fn get(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for BlockBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockBytes").field("len", &self.get().len()).finish()
    }
}

/// A number of `N` bytes.
pub(crate) trait Number<const N: usize>: Copy {
    fn read(bytes: [u8; N]) -> Self;
}

impl Number<4> for u32 {
    fn read(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number<8> for u64 {
    fn read(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number<8> for i64 {
    fn read(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Number<8> for f64 {
    fn read(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// A list of numbers in bytes.
pub(crate) struct Numbers<'a, T, const N: usize> {
    cells: &'a [[u8; N]],
    kind: PhantomData<T>,
}

pub(crate) type U32s<'a> = Numbers<'a, u32, 4>;
pub(crate) type U64s<'a> = Numbers<'a, u64, 8>;
pub(crate) type I64s<'a> = Numbers<'a, i64, 8>;
pub(crate) type F64s<'a> = Numbers<'a, f64, 8>;

impl<T, const N: usize> Clone for Numbers<'_, T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const N: usize> Copy for Numbers<'_, T, N> {}

impl<T, const N: usize> fmt::Debug for Numbers<'_, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers", self.cells.len())
    }
}

impl<'a, T: Number<N>, const N: usize> Numbers<'a, T, N> {
    /// Reads as many numbers as the bytes hold whole.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { cells: bytes.as_chunks::<N>().0, kind: PhantomData }
    }

    /// Returns the encoded numbers.
    pub(crate) fn cells(self) -> &'a [[u8; N]] {
        self.cells
    }

    pub(crate) fn len(self) -> usize {
        self.cells.len()
    }

    #[inline]
    pub(crate) fn get(self, index: usize) -> Option<T> {
        self.cells.get(index).map(|cell| T::read(*cell))
    }

    pub(crate) fn first(self) -> Option<T> {
        self.get(0)
    }

    pub(crate) fn last(self) -> Option<T> {
        self.cells.last().map(|cell| T::read(*cell))
    }

    /// Returns a part of the list; empty where it does not lie inside.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self { cells: self.cells.get(range).unwrap_or_default(), kind: PhantomData }
    }

    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = T> + DoubleEndedIterator + 'a {
        self.cells.iter().map(|cell| T::read(*cell))
    }

    /// Returns the number of leading numbers that meet a condition, as the list is sorted by it.
    pub(crate) fn partition_point(self, mut met: impl FnMut(T) -> bool) -> usize {
        self.cells.partition_point(|cell| met(T::read(*cell)))
    }
}

impl<T: Number<N> + Ord, const N: usize> Numbers<'_, T, N> {
    /// Returns the index of a number in an ascending list.
    pub(crate) fn find(self, number: T) -> Option<usize> {
        let at = self.partition_point(|other| other < number);
        (self.get(at) == Some(number)).then_some(at)
    }

    /// Returns whether no number is less than the one before it.
    pub(crate) fn is_ascending(self) -> bool {
        self.cells.is_sorted_by_key(|cell| T::read(*cell))
    }
}
