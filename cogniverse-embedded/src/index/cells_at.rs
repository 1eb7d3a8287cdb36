//! The location of a document's float vectors.

/// The encoded length of a [`CellsAt`].
pub(super) const CELLS_AT: usize = 20;

/// The location of a document's vectors of one float field in a file, with their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellsAt {
    pub(crate) file: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) sum: u32,
}

impl CellsAt {
    /// Encodes a location; `None` where the document has no vectors.
    pub(super) fn encode(at: Option<Self>) -> [u8; CELLS_AT] {
        let mut out = [0; CELLS_AT];
        let Some(Self { file, offset, bytes, sum }) = at.filter(|at| at.bytes > 0) else { return out };
        let fields = file.to_le_bytes().into_iter().chain(offset.to_le_bytes());
        let fields = fields.chain(bytes.to_le_bytes()).chain(sum.to_le_bytes());
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }

    /// Decodes a location; `None` where the document has no vectors.
    pub(super) fn decode(encoded: &[u8; CELLS_AT]) -> Option<Self> {
        let (file, rest) = encoded.split_first_chunk::<4>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (bytes, sum) = rest.split_first_chunk::<4>()?;
        let bytes = u32::from_le_bytes(*bytes);
        let sum = u32::from_le_bytes(*sum.first_chunk::<4>()?);
        (bytes > 0).then_some(Self { file: u32::from_le_bytes(*file), offset: u64::from_le_bytes(*offset), bytes, sum })
    }
}
