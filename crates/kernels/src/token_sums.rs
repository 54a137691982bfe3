//! Sums over tokens, which lie along vectors: in 16 partial sums whatever the width of a vector, so that all levels agree.

use core::array::from_fn;

use crate::columns::load;
use crate::error::check_len;
use crate::simd::{Kernel, Simd};
use crate::{Error, Level, Panels};

/// Sums over tokens are kept in this many parts, by token modulo it, and combined by [`sum_in_pairs`].
pub const PARTIAL_SUMS: usize = 16;

/// A sum in a fixed order: the upper half is added to the lower until one value is left.
///
/// ```
/// assert_eq!(kernels::sum_in_pairs(&[1.0; 16]), 16.0);
/// ```
pub fn sum_in_pairs(parts: &[f32; PARTIAL_SUMS]) -> f32 {
    let mut parts = *parts;
    let mut len = PARTIAL_SUMS;
    while len > 1 {
        len /= 2;
        (0..len).for_each(|i| parts[i] += parts[i + len]);
    }
    parts[0]
}

/// `out[i][j] = sum over tokens t of a[i][t] * b[j][t]`: the product of two channel-major matrices along their tokens, such as
/// linear attention's `v phi(k)^T` (Choromanski et al. 2021, equation 5).
///
/// `a` and `b` are cut alike. `out` is rows of `a` x rows of `b`, row-major.
///
/// ```
/// use kernels::{Level, Panels, token_products};
/// let layout = Level::PORTABLE.panels(3);
/// let data = [1.0, 2.0, 3.0, 0.0, 1.0, 1.0, 1.0, 0.0]; // 2 rows of 3 tokens, filled up to 4
/// let rows = Panels::new(&data, 2, layout)?;
/// let mut out = [0.0; 4];
/// token_products(Level::PORTABLE, &rows, &rows, &mut out)?;
/// assert_eq!(out, [14.0, 6.0, 6.0, 3.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] if `out` has another size, [`Error::Layout`] if the matrices are cut differently, into panels that are
/// no whole vectors, or are ranges of columns.
pub fn token_products(level: Level, a: &Panels, b: &Panels, out: &mut [f32]) -> Result<(), Error> {
    const OPERATION: &str = "token_products";
    check_len(OPERATION, "out", a.rows().saturating_mul(b.rows()), out.len())?;
    let whole = a.has_all_columns() && b.has_all_columns();
    if !whole || a.layout() != b.layout() || !a.layout().has_whole_vectors(level.lanes()) {
        return Err(Error::Layout { operation: OPERATION });
    }
    level.run(TokenProducts { a, b, out });
    Ok(())
}

struct TokenProducts<'a> {
    a: &'a Panels<'a>,
    b: &'a Panels<'a>,
    out: &'a mut [f32],
}

impl Kernel for TokenProducts<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        // As many sums as the widest register tile has. A constant: the other arms are not compiled in.
        match S::TILE_ROWS[3] {
            8 => self.blocks::<S, 8, 3>(s),
            4 => self.blocks::<S, 4, 3>(s),
            _ => self.blocks::<S, 4, 2>(s),
        }
    }
}

impl TokenProducts<'_> {
    /// The products of I rows of `a` with J rows of `b` at a time.
    #[inline(always)]
    fn blocks<S: Simd, const I: usize, const J: usize>(&mut self, s: S) {
        let [m, n] = [self.a.rows(), self.b.rows()];
        for i in (0..m).step_by(I) {
            for j in (0..n).step_by(J) {
                let parts = self.partial_sums::<S, I, J>(s, i, j);
                for (i, parts) in (i..m).zip(&parts) {
                    for (j, parts) in (j..n).zip(parts) {
                        // Adding 0: where products underflow to -0, lanes beyond the last token have made it 0, or not.
                        self.out[i * n + j] = sum_in_pairs(parts) + 0.0;
                    }
                }
            }
        }
    }

    /// The partial sums of a block of rows; rows beyond the last repeat it.
    #[inline(always)]
    fn partial_sums<S: Simd, const I: usize, const J: usize>(
        &self,
        s: S,
        i: usize,
        j: usize,
    ) -> [[[f32; PARTIAL_SUMS]; J]; I] {
        let mut parts = [[[0.0; PARTIAL_SUMS]; J]; I];
        let (phases, layout) = (PARTIAL_SUMS / S::LANES, self.a.layout());
        for phase in 0..phases {
            let mut acc = [[s.splat(0.0); J]; I];
            // Vectors in front of the panel.
            let mut first = 0;
            for panel in 0..layout.count() {
                let ((a, width), (b, _)) = (self.a.panel_rows(panel), self.b.panel_rows(panel));
                let columns = layout.range(panel).len();
                let a_rows: [&[f32]; I] = from_fn(|r| &a[(i + r).min(self.a.rows() - 1) * width..][..columns]);
                let b_rows: [&[f32]; J] = from_fn(|r| &b[(j + r).min(self.b.rows() - 1) * width..][..columns]);
                let start = (phase + phases - first % phases) % phases * S::LANES;
                first += columns / S::LANES;
                for at in (start..columns).step_by(PARTIAL_SUMS) {
                    add_products(s, at, &a_rows, &b_rows, &mut acc);
                }
            }
            for (parts, acc) in parts.iter_mut().zip(acc) {
                for (parts, acc) in parts.iter_mut().zip(acc) {
                    s.store(acc, &mut parts[phase * S::LANES..]);
                }
            }
        }
        parts
    }
}

/// `acc[i][j] += a[i] * b[j]` for the vector that starts at column `at`.
#[inline(always)]
fn add_products<S: Simd, const I: usize, const J: usize>(
    s: S,
    at: usize,
    a: &[&[f32]; I],
    b: &[&[f32]; J],
    acc: &mut [[S::F32; J]; I],
) {
    let mut bv = [s.splat(0.0); J];
    for (bv, row) in bv.iter_mut().zip(b) {
        [*bv] = load(s, &row[at..]);
    }
    for (acc, row) in acc.iter_mut().zip(a) {
        let [av] = load(s, &row[at..]);
        for (acc, bv) in acc.iter_mut().zip(bv) {
            *acc = s.mul_add(av, bv, *acc);
        }
    }
}
