//! The handling of pictures that could not be described or read.

/// The handling of a segment whose pictures could not be described or read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeeingFailure {
    /// The segment is stored with what an earlier run saw there, if anything, and the video counts as partial; the next
    /// run tries again.
    #[default]
    StoreWithout,
    /// The video fails: nothing of it is stored or changed, and the next run tries again.
    FailVideo,
}
