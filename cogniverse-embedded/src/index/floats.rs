//! Float vectors, as they are stored.

/// The cells of one document, in rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FloatRows<'a> {
    Half(&'a [u16]),
    Full(&'a [f32]),
}

impl FloatRows<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Half(cells) => cells.is_empty(),
            Self::Full(cells) => cells.is_empty(),
        }
    }

    /// Returns the number of cells.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Half(cells) => cells.len(),
            Self::Full(cells) => cells.len(),
        }
    }
}
