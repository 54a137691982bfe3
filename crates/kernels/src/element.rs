//! Element types: what the values of a matrix can be.

use core::fmt::Debug;

/// A type of matrix elements.
///
/// Today there is one, `f32`. The trait is sealed, so that further ones can be added without breaking anyone: matrices and
/// views are generic over it, and each operation names the types that it takes.
///
/// ```
/// use kernels::Element;
/// assert_eq!(f32::PER_LANE, 1);
/// ```
pub trait Element: sealed::Sealed + Copy + Default + PartialEq + Debug + Send + Sync + 'static {
    /// Elements that share a 32-bit lane of a packed matrix. They are neighbours along the axis that a product sums over, as
    /// instructions for short types want them: one f32, pairs of 16-bit or quads of 8-bit values.
    const PER_LANE: usize;
}

impl Element for f32 {
    const PER_LANE: usize = 1;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    #[cfg(test)]
    impl Sealed for i8 {}
}

/// Packing by lanes is tested with quads.
#[cfg(test)]
impl Element for i8 {
    const PER_LANE: usize = 4;
}
