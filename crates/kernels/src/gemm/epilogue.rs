//! What becomes of a product's values before they leave the registers.

use core::ops::Range;

use super::columns::{load, store};
use crate::isa::simd::Simd;
use crate::math::gelu::gelu;

/// What becomes of a product's value while it is still in a register. `r` is the row of the product.
///
/// ```
/// use kernels::{Epilogue, Level, PackedMatrix, View, ViewMut, packed_matmul};
/// // A residual that joins the attended half of a shuffled stream, in place: 4 channels of 1 token, attended 0 and 2.
/// let mut stream = [1.0, 2.0, 3.0, 4.0];
/// let mut attended = ViewMut::new(&mut stream, 4, 1)?.shuffle_rows(2)?.row_range(0..2)?;
/// let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(2, 1)];
/// let weight = PackedMatrix::pack(&View::new(&[10.0, 20.0], 2, 1)?, &mut buffer)?;
/// let epilogue = Epilogue::Residual { bias: &[0.0, 0.0], scale: 0.5 };
/// packed_matmul(Level::detect(), &weight, &View::new(&[1.0], 1, 1)?, epilogue, &mut attended)?;
/// assert_eq!(stream, [10.5, 2.0, 21.5, 4.0]); // channels 1 and 3 stay idle
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Epilogue<'a, T = f32> {
    /// `out = product`
    Store,
    /// `out = product + bias[r]`
    Bias(&'a [T]),
    /// `out = gelu(product + bias[r])`
    BiasGelu(&'a [T]),
    /// `out = scale * out + product + bias[r]`: the residual connection with channel rescaling, in place.
    Residual {
        /// One value a row.
        bias: &'a [T],
        /// The factor on what `out` held.
        scale: f32,
    },
}

impl<'a> Epilogue<'a> {
    pub(super) fn bias(&self) -> Option<&'a [f32]> {
        match *self {
            Epilogue::Store => None,
            Epilogue::Bias(bias) | Epilogue::BiasGelu(bias) | Epilogue::Residual { bias, .. } => Some(bias),
        }
    }

    /// The epilogue of some of the rows.
    pub(super) fn row_range(self, rows: Range<usize>) -> Self {
        match self {
            Epilogue::Store => Epilogue::Store,
            Epilogue::Bias(bias) => Epilogue::Bias(&bias[rows]),
            Epilogue::BiasGelu(bias) => Epilogue::BiasGelu(&bias[rows]),
            Epilogue::Residual { bias, scale } => Epilogue::Residual { bias: &bias[rows], scale },
        }
    }

    /// What a vector of the product becomes, given its bias and what `out` held.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(&self, s: S, product: S::F32, bias: S::F32, before: S::F32) -> S::F32 {
        match *self {
            Epilogue::Store => product,
            Epilogue::Bias(_) => s.add(product, bias),
            Epilogue::BiasGelu(_) => gelu(s, s.add(product, bias)),
            Epilogue::Residual { scale, .. } => s.mul_add(s.splat(scale), before, s.add(product, bias)),
        }
    }
}

/// The epilogue of V vectors of a row.
#[inline(always)]
pub(super) fn finish_row<S: Simd, const V: usize>(
    s: S,
    epilogue: Epilogue,
    row: usize,
    acc: &[S::F32; V],
    out: &mut [f32],
) {
    let bias = s.splat(epilogue.bias().map_or(0.0, |bias| bias[row]));
    let mut y = match epilogue {
        Epilogue::Residual { .. } => load::<S, V>(s, out),
        _ => [s.splat(0.0); V],
    };
    for v in 0..V {
        y[v] = epilogue.apply(s, acc[v], bias, y[v]);
    }
    store(s, y, out);
}
