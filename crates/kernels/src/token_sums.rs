//! Sums over tokens, which lie along vectors: in 16 partial sums whatever the width of a vector, so that all levels agree.

use core::array::from_fn;

use crate::error::check_len;
use crate::simd::{Kernel, Simd};
use crate::{Error, Level, Panels, View};

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
/// [`Error::Length`] if `out` has another size, [`Error::Layout`] if the matrices are cut differently, for another level, or
/// are ranges of columns.
pub fn token_products(level: Level, a: &Panels, b: &Panels, out: &mut [f32]) -> Result<(), Error> {
    const OPERATION: &str = "token_products";
    check_len(OPERATION, "out", a.rows().saturating_mul(b.rows()), out.len())?;
    let whole = a.has_all_columns() && b.has_all_columns();
    if !whole || a.layout() != b.layout() || *a.layout() != level.panels(a.layout().columns()) {
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

/// Rows of `a` and of `b` in a block: 8 sums, and 6 loads for 8 multiply-adds.
const BLOCK: [usize; 2] = [4, 2];

impl Kernel for TokenProducts<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [m, n] = [self.a.rows(), self.b.rows()];
        for i in (0..m).step_by(BLOCK[0]) {
            for j in (0..n).step_by(BLOCK[1]) {
                let parts = partial_sums(s, self.a, self.b, i, j);
                for (i, parts) in (i..m).zip(&parts) {
                    for (j, parts) in (j..n).zip(parts) {
                        self.out[i * n + j] = sum_in_pairs(parts);
                    }
                }
            }
        }
    }
}

/// The partial sums of a block of rows; rows beyond the last repeat it.
#[inline(always)]
fn partial_sums<S: Simd>(
    s: S,
    a: &Panels,
    b: &Panels,
    i: usize,
    j: usize,
) -> [[[f32; PARTIAL_SUMS]; BLOCK[1]]; BLOCK[0]] {
    let mut parts = [[[0.0; PARTIAL_SUMS]; BLOCK[1]]; BLOCK[0]];
    let phases = PARTIAL_SUMS / S::LANES;
    for phase in 0..phases {
        let mut acc = [[s.splat(0.0); BLOCK[1]]; BLOCK[0]];
        for panel in 0..a.layout().count() {
            let first = a.layout().range(panel).start / S::LANES;
            let (a_panel, b_panel) = (a.panel(panel), b.panel(panel));
            let a_rows: [&[f32]; BLOCK[0]] = from_fn(|r| row(&a_panel, i + r));
            let b_rows: [&[f32]; BLOCK[1]] = from_fn(|r| row(&b_panel, j + r));
            let vectors = a_panel.columns().div_ceil(S::LANES);
            let start = (phase + phases - first % phases) % phases;
            for vector in (start..vectors).step_by(phases) {
                let at = vector * S::LANES;
                let mut bv = [s.splat(0.0); BLOCK[1]];
                for (bv, row) in bv.iter_mut().zip(b_rows) {
                    *bv = s.load_up_to(&row[at..]);
                }
                for (acc, row) in acc.iter_mut().zip(a_rows) {
                    let av = s.load_up_to(&row[at..]);
                    for (acc, bv) in acc.iter_mut().zip(bv) {
                        *acc = s.mul_add(av, bv, *acc);
                    }
                }
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

#[inline(always)]
fn row<'a>(panel: &View<'a>, r: usize) -> &'a [f32] {
    let (data, stride) = panel.even_rows().expect("a panel is an ordinary matrix");
    let r = r.min(panel.rows() - 1);
    &data[r * stride..][..panel.columns()]
}
