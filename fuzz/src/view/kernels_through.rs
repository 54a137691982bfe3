//! Kernels that read and write through views, against the same kernels on copies.

use arbitrary::Arbitrary;
use kernels::{
    Attention, Epilogue, Error, Level, PackedMatrix, Panels, View, ViewMut, attention, attention_scratch_len,
    layer_norm, matmul, packed_matmul, softmax,
};

use super::copy::Copied;
use super::program::{Source, Step};
use super::{Out, for_each};
use crate::model::same;

#[derive(Arbitrary, Debug)]
pub enum Operation {
    LayerNorm,
    Softmax,
    PackedMatmul { rows: u8, epilogue: u8 },
    Matmul { rows: u8 },
    Gram,
    Attention { keys: u8, channels: u8, bias: Option<u8>, mask: Option<u8> },
}

impl Operation {
    /// Rebuilds the view over painted values and runs the operation on it at every level.
    pub fn run(&self, source: &Source, steps: &[&Step], copied: &Copied, len: usize, out: &Out) {
        let data = paint(len, 1);
        let view = source.view(&data).expect("as before");
        let view = steps.iter().fold(view, |view, step| step.view(view).expect("as before"));
        let shape @ [rows, columns] = view.shape();
        let plain: Vec<f32> = copied.indices().map(|i| data[i]).collect();
        let plain = View::new(&plain, rows, columns).expect("the copy has this size");
        for level in Level::available() {
            match self {
                Operation::LayerNorm => {
                    let (gamma, beta) = (paint(rows, 2), paint(rows, 3));
                    check(out, shape, &view, &plain, |x, out| layer_norm(level, x, &gamma, &beta, 1e-6, out));
                }
                Operation::Softmax => check(out, shape, &view, &plain, |x, out| {
                    kernels::to_contiguous(x, out)?;
                    softmax(level, out)
                }),
                Operation::PackedMatmul { rows: m, epilogue } => {
                    let m = usize::from(m % 40);
                    let (a, bias) = (paint(m * rows, 4), paint(m, 5));
                    let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(m, rows)];
                    let a = View::new(&a, m, rows).expect("its own size");
                    let a = PackedMatrix::pack(&a, &mut buffer).expect("its own length");
                    let epilogue = match epilogue % 4 {
                        0 => Epilogue::Store,
                        1 => Epilogue::Bias(&bias),
                        2 => Epilogue::BiasGelu(&bias),
                        _ => Epilogue::Residual { bias: &bias, scale: 0.5 },
                    };
                    check(out, [m, columns], &view, &plain, |x, out| {
                        for_each(out.shape(), |r, c| *out.at_mut(r, c) = (r + c) as f32);
                        packed_matmul(level, &a, x, epilogue, out)
                    });
                }
                Operation::Matmul { rows: m } => {
                    let m = usize::from(m % 40);
                    let a = paint(m * rows, 6);
                    exact(level, out, &View::new(&a, m, rows).expect("its own size"), &view);
                }
                Operation::Gram => exact(level, out, &view, &view.transpose()),
                Operation::Attention { keys, channels, bias, mask } => {
                    let (keys, channels) = (usize::from(keys % 40) + 1, usize::from(channels % 20));
                    let (k, v) = (paint(rows * keys, 7), paint(channels * keys, 8));
                    let k = Panels::single(&k, rows, keys).expect("its own size");
                    let v = Panels::single(&v, channels, keys).expect("its own size");
                    let [bias, mask] =
                        [bias, mask].map(|stride| stride.map(|stride| Added::new(keys, columns, stride)));
                    let mut scratch = vec![f32::NAN; attention_scratch_len(keys)];
                    let mut attend = |q: &View, bias: Option<View>, mask: Option<View>, out: &mut ViewMut| {
                        let operands = Attention::new(*q, k, v, 0.25)?.with_bias(bias)?.with_mask(mask)?;
                        attention(level, &operands, out, &mut scratch)
                    };
                    let copies = [&bias, &mask].map(|added| added.as_ref().map(Added::copy));
                    let [bias, mask] = [&bias, &mask].map(|added| added.as_ref().map(Added::view));
                    let [bias_copy, mask_copy] =
                        copies.each_ref().map(|x| x.as_ref().map(|x| View::new(x, keys, columns).expect("copied")));
                    let mut expected = vec![0.0; channels * columns];
                    let mut plain_out = ViewMut::new(&mut expected, channels, columns).expect("its own size");
                    attend(&plain, bias_copy, mask_copy, &mut plain_out).expect("plain matrices of these shapes");
                    compare(out, [channels, columns], &view, &expected, |x, out| attend(x, bias, mask, out));
                }
            }
        }
    }
}

/// What the operation writes through `out` from `view` is what it writes plainly from the copy. It may refuse a view for
/// rows that are not contiguous or not even, and nothing else.
fn check(
    out: &Out,
    [rows, columns]: [usize; 2],
    view: &View,
    plain: &View,
    mut operation: impl FnMut(&View, &mut ViewMut) -> Result<(), Error>,
) {
    let mut expected = vec![0.0; rows * columns];
    let mut expected_out = ViewMut::new(&mut expected, rows, columns).expect("its own size");
    operation(plain, &mut expected_out).expect("plain matrices of these shapes");
    compare(out, [rows, columns], view, &expected, operation);
}

/// [`check`] against what is expected, row by row.
fn compare(
    out: &Out,
    shape: [usize; 2],
    view: &View,
    expected: &[f32],
    mut operation: impl FnMut(&View, &mut ViewMut) -> Result<(), Error>,
) {
    out.with(shape, |out| match operation(view, out) {
        Ok(()) => {
            let mut found = Vec::new();
            for_each(shape, |r, c| found.push(out.at(r, c)));
            assert!(same(&found, expected), "through the view {found:?}, of the copy {expected:?}");
        }
        Err(Error::RowsNotContiguous { .. }) => {
            assert!(!view.has_contiguous_rows() || !out.has_contiguous_rows());
        }
        Err(Error::RowsNotStrided { .. }) => {}
        Err(error) => panic!("{error}"),
    });
}

/// A bias or a mask: keys x queries whose rows may repeat or overlap.
struct Added {
    data: Vec<f32>,
    shape: [usize; 2],
    stride: usize,
}

impl Added {
    fn new(keys: usize, queries: usize, stride: u8) -> Self {
        let stride = usize::from(stride % 64);
        Added { data: paint((keys - 1) * stride + queries, 9), shape: [keys, queries], stride }
    }

    fn view(&self) -> View<'_> {
        View::with_strides(&self.data, self.shape, [self.stride, 1]).expect("data of this length")
    }

    /// The values, row by row.
    fn copy(&self) -> Vec<f32> {
        let [keys, queries] = self.shape;
        (0..keys).flat_map(|key| self.data[key * self.stride..][..queries].to_vec()).collect()
    }
}

/// A product of small whole numbers, which has no rounding, is what integers give.
fn exact(level: Level, out: &Out, a: &View, b: &View) {
    out.with([a.rows(), b.columns()], |out| {
        matmul(level, a, b, out).expect("the shapes fit");
        for_each(out.shape(), |r, c| {
            let sum: i64 = (0..b.rows()).map(|k| a.at(r, k) as i64 * b.at(k, c) as i64).sum();
            assert_eq!(out.at(r, c), sum as f32, "element {r}, {c} at {level}");
        });
    });
}

/// Whole numbers from -8 to 8 that differ from their neighbours.
fn paint(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7 + i / 17 + seed * 5) % 17) as f32 - 8.0).collect()
}
