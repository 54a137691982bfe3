//! What can go wrong in a run.

/// A run that could not be made. Only the outputs and the scratch may have been written.
///
/// ```
/// let error = vit::RunError::Length { what: "the scratch", expected: 400, found: 399 };
/// assert_eq!(error.to_string(), "the scratch holds 399 values, expected 400");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A buffer has the wrong length.
    #[error("{what} holds {found} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A buffer is too short.
    #[error("{what} holds {found} values, expected at least {expected}")]
    TooShort {
        /// The argument.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The images' values are not a whole number of images.
    #[error("the images hold {found} values, expected a multiple of {image_len} ({channels}x{size}x{size})")]
    Images {
        /// Values given.
        found: usize,
        /// Values of one image.
        image_len: usize,
        /// Planes of one image.
        channels: usize,
        /// Height and width.
        size: usize,
    },
    /// An executor of the caller's did not call all of the functions that it was given.
    #[error("the executor left out a part of the work: each function that it is given must be called")]
    Executor,
    /// A kernel refused a shape: a defect of this crate.
    #[error(transparent)]
    Kernel(#[from] kernels::Error),
}
