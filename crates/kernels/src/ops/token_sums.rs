//! Sums over tokens, which lie along vectors: in 16 partial sums whatever the width of a vector, so that all levels agree.

use core::array::from_fn;
use core::ops::Range;

use crate::error::{Error, check_len};
use crate::gemm::columns::load;
use crate::isa::level::Level;
use crate::isa::simd::{Kernel, Simd};
use crate::matrix::panels::Panels;

/// Sums over tokens are kept in this many parts, by token modulo it, and combined by [`sum_in_pairs`].
pub const PARTIAL_SUMS: usize = 16;

/// A sum in a fixed order: the upper half is added to the lower until one value is left.
///
/// ```
/// assert_eq!(kernels::internal::sum_in_pairs(&[1.0; 16]), 16.0);
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
/// `a` and `b` have the same panels. `out` is rows of `a` x rows of `b`, row-major.
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
/// [`Error::Length`] if `out` has another size, [`Error::Layout`] if the matrices have different panels, or panels that are
/// no whole vectors, or are ranges of columns.
pub fn token_products(level: Level, a: &Panels, b: &Panels, out: &mut [f32]) -> Result<(), Error> {
    const OPERATION: &str = "token_products";
    check_len(OPERATION, "out", a.rows().saturating_mul(b.rows()), out.len())?;
    let whole = a.has_all_columns() && b.has_all_columns();
    if !whole || a.layout() != b.layout() || !a.layout().has_whole_vectors(level.lanes()) {
        return Err(Error::Layout { operation: OPERATION });
    }
    if !out.is_empty() {
        level.run(TokenProducts { a, b, out });
    }
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
            _ if S::TILE_VECTORS == 1 => self.blocks::<S, 4, 1>(s),
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
        // A panel has but a few vectors: what all but the last have in common is found once.
        let ([columns, width], last) = (layout.uniform(), layout.count().saturating_sub(1));
        let starts = (row_starts(self.a, i, width), row_starts(self.b, j, width));
        for phase in 0..phases {
            let mut acc = [[s.splat(0.0); J]; I];
            // The first vector of this phase in a panel, given the vectors in front of it.
            let start = |first: usize| (phase + phases - first % phases) % phases * S::LANES;
            let mut first = 0;
            for (a, b) in self.a.uniform_panels().zip(self.b.uniform_panels()) {
                add_panel::<S, I, J>(s, start(first)..columns, (a, &starts.0), (b, &starts.1), &mut acc);
                first += columns / S::LANES;
            }
            if layout.count() > 0 {
                let ((a, width), (b, _)) = (self.a.panel_rows(last), self.b.panel_rows(last));
                let starts = (row_starts(self.a, i, width), row_starts(self.b, j, width));
                let columns = start(first)..layout.range(last).len();
                add_panel::<S, I, J>(s, columns, (a, &starts.0), (b, &starts.1), &mut acc);
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

/// Where rows start in a panel of the given width, from row `first` on; rows beyond the last repeat it.
#[inline(always)]
fn row_starts<const N: usize>(panels: &Panels, first: usize, width: usize) -> [usize; N] {
    from_fn(|r| (first + r).min(panels.rows() - 1) * width)
}

/// `acc[i][j] += a[i] * b[j]` for every [`PARTIAL_SUMS`]-th column's vector of a panel, from the first of `columns` on; each
/// factor with its rows' starts.
#[inline(always)]
fn add_panel<S: Simd, const I: usize, const J: usize>(
    s: S,
    columns: Range<usize>,
    (a, a_starts): (&[f32], &[usize; I]),
    (b, b_starts): (&[f32], &[usize; J]),
    acc: &mut [[S::F32; J]; I],
) {
    let a: [&[f32]; I] = from_fn(|r| &a[a_starts[r]..][..columns.end]);
    let b: [&[f32]; J] = from_fn(|r| &b[b_starts[r]..][..columns.end]);
    let mut at = columns.start;
    while at + S::LANES <= columns.end {
        add_products(s, at, &a, &b, acc);
        at += PARTIAL_SUMS;
    }
    if at < columns.end {
        add_products(s, at, &a, &b, acc);
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
