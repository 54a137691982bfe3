//! What a head of attention is computed from, checked as it is given.

use crate::error::{Error, check_shape};
use crate::matrix::panels::Panels;
use crate::matrix::view::View;

pub(super) const OPERATION: &str = "attention";

/// The operands of one head of attention, channel-major: queries, keys and values, and what is added to the scores.
///
/// ```
/// use kernels::{Attention, Panels, View};
/// let q = View::new(&[1.0, 0.0], 1, 2)?;               // 1 channel, 2 queries
/// let k = Panels::single(&[0.0, 0.0, 0.0], 1, 3)?;     // 3 keys
/// let v = Panels::single(&[1.0, 2.0, 6.0], 1, 3)?;
/// let causal = [0.0, 0.0, f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY]; // 3 keys x 2 queries
/// let operands = Attention::new(q, k, v, 1.0)?.with_mask(View::new(&causal, 3, 2)?)?;
/// assert!(operands.with_bias(View::new(&causal, 2, 3)?).is_err()); // not keys x queries
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    pub(super) q: Rows<'a>,
    pub(super) queries: usize,
    pub(super) k: Panels<'a>,
    pub(super) v: Panels<'a>,
    pub(super) scale: f32,
    /// Bias and mask.
    pub(super) added: [Option<Rows<'a>>; 2],
}

impl<'a> Attention<'a> {
    /// `q` is D x queries with contiguous, unshuffled rows; `k` is D x keys and `v` Dv x keys, where an ordinary matrix is one
    /// panel; `scale` is the factor on `k . q`, usually `1 / sqrt(D)`.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// assert!(Attention::new(q, kv.row_range(0..1)?, kv, 0.7).is_err());
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes do not fit, [`Error::RowsNotContiguous`] and [`Error::RowsNotStrided`] for `q`.
    pub fn new(q: View<'a>, k: Panels<'a>, v: Panels<'a>, scale: f32) -> Result<Self, Error> {
        let keys = k.columns();
        check_shape(OPERATION, "k", [q.rows(), keys], [k.rows(), keys])?;
        check_shape(OPERATION, "v", [v.rows(), keys], [v.rows(), v.columns()])?;
        Ok(Attention { q: Rows::of("q", &q)?, queries: q.columns(), k, v, scale, added: [None; 2] })
    }

    /// Adds a keys x queries matrix with contiguous, unshuffled rows to the scaled scores: relative positions. Rows may repeat.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// let operands = operands.with_bias(View::with_strides(&x, [3, 2], [0, 1])?)?;
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Attention::new`].
    pub fn with_bias(mut self, bias: impl Into<Option<View<'a>>>) -> Result<Self, Error> {
        self.added[0] = self.keys_by_queries("bias", bias.into())?;
        Ok(self)
    }

    /// As [`Attention::with_bias`], added after the bias: 0 where a query may see a key and -infinity where not.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// let causal = [0.0, 0.0, f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY];
    /// let operands = operands.with_mask(View::new(&causal, 3, 2)?)?;
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Attention::new`].
    pub fn with_mask(mut self, mask: impl Into<Option<View<'a>>>) -> Result<Self, Error> {
        self.added[1] = self.keys_by_queries("mask", mask.into())?;
        Ok(self)
    }

    /// Keys that each query attends to.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// assert_eq!(operands.keys(), 3);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn keys(&self) -> usize {
        self.k.columns()
    }

    /// Queries, which are the columns of the output.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// assert_eq!(operands.queries(), 2);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Multiply-accumulates of the scores and the context.
    ///
    /// ```
    /// use kernels::{Attention, Panels, View};
    /// let x = [0.5; 6];
    /// let (q, kv) = (View::new(&x, 2, 2)?, Panels::single(&x, 2, 3)?); // 2 channels, 2 queries, 3 keys
    /// let operands = Attention::new(q, kv, kv, 0.7)?;
    /// assert_eq!(operands.macs(), (2 + 2) * 2 * 3);
    /// # Ok::<(), kernels::Error>(())
    /// ```
    pub fn macs(&self) -> usize {
        (self.k.rows() + self.v.rows()).saturating_mul(self.queries).saturating_mul(self.keys())
    }

    fn keys_by_queries(&self, what: &'static str, view: Option<View<'a>>) -> Result<Option<Rows<'a>>, Error> {
        let Some(view) = view else { return Ok(None) };
        check_shape(OPERATION, what, [self.keys(), self.queries], view.shape())?;
        Rows::of(what, &view).map(Some)
    }
}

/// A matrix whose rows are contiguous and follow each other at one distance, which may be 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) step: usize,
}

impl<'a> Rows<'a> {
    fn of(what: &'static str, view: &View<'a>) -> Result<Self, Error> {
        if !view.has_contiguous_rows() {
            return Err(Error::RowsNotContiguous { operation: OPERATION, what });
        }
        let (data, step) = view.strided_rows().ok_or(Error::RowsNotStrided { operation: OPERATION, what })?;
        Ok(Rows { data, step })
    }

    /// The data from a row and column on; nothing where there is no such place.
    #[inline(always)]
    pub(super) fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.data[(row * self.step + column).min(self.data.len())..]
    }
}
