//! One head on its way through the blocks of queries.

use super::operands::Attention;
use crate::matrix::view_mut::ViewMut;

/// The most queries that are worked on at a time, in vectors.
pub(super) const MAX_BLOCK: usize = 4;

/// The binary logarithm of the smallest exponential, and its value. It is subtracted from all exponentials: beside the largest,
/// which is 1, it is nothing, and what a mask hides weighs exactly 0, without a comparison.
pub(super) const FLOOR: [f32; 2] = [-100.0, f32::from_bits((127 - 100) << 23)];

/// Operands, output and scratch of a head.
pub(super) struct Head<'a, 'b> {
    pub(super) operands: Attention<'a>,
    pub(super) out: &'a mut ViewMut<'b>,
    pub(super) scratch: &'a mut [f32],
}
