//! Views of every kind as operands: one row repeated (row stride 0), rows that overlap, rows with gaps between them.
//!
//! What a kernel makes of such a view is, to the bit, what it makes of a copy; and nothing that scratch or output held before
//! shows in the result. Kernels on copies are compared with the reference in `operations.rs`.

mod common;

use common::{levels, paint, same_nan};
use kernels::internal::{add_gathered_columns, gather_columns};
use kernels::*;
use proptest::prelude::*;

/// How far apart the rows of a matrix lie.
#[derive(Clone, Copy, Debug)]
enum Stride {
    /// All rows are the first.
    Repeated,
    /// Each row begins so many values after the one before, whether that has ended or not.
    Short(usize),
    /// Row-major, with so many values between two rows.
    Gap(usize),
}

fn strides() -> impl Strategy<Value = Stride> {
    prop_oneof![Just(Stride::Repeated), (1_usize..9).prop_map(Stride::Short), (0_usize..4).prop_map(Stride::Gap)]
}

/// A matrix over data of exactly the length that it needs.
#[derive(Debug)]
struct Operand {
    data: Vec<f32>,
    shape: [usize; 2],
    strides: [usize; 2],
}

impl Operand {
    fn new(shape: [usize; 2], rows: Stride, seed: u32) -> Self {
        let stride = match rows {
            Stride::Repeated => 0,
            Stride::Short(stride) => stride,
            Stride::Gap(gap) => shape[1] + gap,
        };
        Operand::with_strides(shape, [stride, 1], seed)
    }

    fn with_strides(shape: [usize; 2], strides: [usize; 2], seed: u32) -> Self {
        let last = |axis: usize| (shape[axis] - 1) * strides[axis];
        let len = if shape.contains(&0) { 0 } else { last(0) + last(1) + 1 };
        Operand { data: paint(len, seed), shape, strides }
    }

    fn view(&self) -> View<'_> {
        View::with_strides(&self.data, self.shape, self.strides).unwrap()
    }

    /// The values row by row, found by the definition of a stride.
    fn copy(&self) -> Vec<f32> {
        let [rows, columns] = self.shape;
        let at = |r: usize, c: usize| self.data[r * self.strides[0] + c * self.strides[1]];
        (0..rows).flat_map(|r| (0..columns).map(move |c| at(r, c))).collect()
    }
}

/// A row-major view.
fn plain(data: &[f32], [rows, columns]: [usize; 2]) -> View<'_> {
    View::new(data, rows, columns).unwrap()
}

/// What buffers hold before a call: two kinds of values that no result may depend on.
const GARBAGE: [fn(usize) -> f32; 2] = [|_| f32::NAN, |i| [1e30, -7.0, f32::INFINITY, 0.5][i % 4]];

/// What an operation writes into a `rows` x `columns` matrix, as bits. It is called for each kind of garbage in the output,
/// which lies plainly and then with gaps in another order of its rows, and all results must be the same.
fn result(
    shape @ [rows, columns]: [usize; 2],
    mut operation: impl FnMut(&mut ViewMut, fn(usize) -> f32) -> Result<(), Error>,
) -> Vec<u32> {
    let groups = (2..=rows).find(|groups| rows.is_multiple_of(*groups)).unwrap_or(1);
    let order = ChannelOrder::shuffle(rows, groups).unwrap();
    let mut results = Vec::new();
    for (gap, order) in [(0, ChannelOrder::identity(rows)), (3, order)] {
        for garbage in GARBAGE {
            let stride = columns + gap;
            let mut data: Vec<f32> = (0..rows * stride).map(garbage).collect();
            let out = ViewMut::with_strides(&mut data, shape, [stride, 1]).unwrap();
            operation(&mut out.reorder_rows(order).unwrap(), garbage).unwrap();
            let rows = order.iter().flat_map(|row| data[row * stride..][..columns].to_vec());
            results.push(same_nan(&rows.collect::<Vec<f32>>()));
        }
    }
    assert!(
        results.iter().all(|result| *result == results[0]),
        "the result depends on what the output or scratch held"
    );
    results.swap_remove(0)
}

/// One head of attention on views of any kind, with everything else as in the model.
#[derive(Clone, Copy, Debug)]
struct Head {
    channels: [usize; 2],
    keys: usize,
    queries: usize,
    q: Stride,
    bias: Option<Stride>,
    mask: Option<Stride>,
    /// Columns of the panels of keys and values; none for one panel.
    panels: Option<usize>,
}

impl Head {
    fn check(&self, level: Level) {
        let Head { channels: [d, dv], keys, queries, .. } = *self;
        let q = Operand::new([d, queries], self.q, 1);
        let added = |stride: Option<Stride>, seed| stride.map(|rows| Operand::new([keys, queries], rows, seed));
        let (bias, mut mask) = (added(self.bias, 2), added(self.mask, 3));
        if let Some(mask) = &mut mask {
            mask.data.iter_mut().for_each(|x| *x = if *x < -0.3 { f32::NEG_INFINITY } else { 0.0 });
        }
        let layout = self.panels.map_or(PanelLayout::single(keys), |width| level.panels_of_width(keys, width).unwrap());
        let mut data = vec![f32::NAN; (d + dv) * layout.padded()];
        layout.to_panels(&plain(&paint((d + dv) * keys, 4), [d + dv, keys]), &mut data).unwrap();
        let stored = Panels::new(&data, d + dv, layout).unwrap();
        let (k, v) = (stored.row_range(0..d).unwrap(), stored.row_range(d..d + dv).unwrap());
        let run = |q: View, bias: Option<View>, mask: Option<View>| {
            result([dv, queries], |out, garbage| {
                let mut scratch: Vec<f32> = (0..attention_scratch_len(keys)).map(garbage).collect();
                attention(level, &Attention::new(q, k, v, 0.7)?.with_bias(bias)?.with_mask(mask)?, out, &mut scratch)
            })
        };
        let (bias, mask) = (bias.as_ref(), mask.as_ref());
        let [q_copy, bias_copy, mask_copy] = [Some(&q), bias, mask].map(|x| x.map(Operand::copy).unwrap_or_default());
        let copied = run(
            plain(&q_copy, q.shape),
            bias.map(|x| plain(&bias_copy, x.shape)),
            mask.map(|x| plain(&mask_copy, x.shape)),
        );
        let found = run(q.view(), bias.map(Operand::view), mask.map(Operand::view));
        assert!(found == copied, "{level}: {self:?}");
    }
}

/// Every number of queries that a block may end with, at every stride of the bias and the mask.
#[test]
fn attention_with_repeated_and_overlapping_biases_and_masks() {
    let rows = [Stride::Repeated, Stride::Short(1), Stride::Gap(0), Stride::Gap(2)].map(Some);
    for level in levels() {
        for queries in 1..=64 {
            for (i, bias) in rows.into_iter().chain([None]).enumerate() {
                // Each stride of the one meets each of the other as the number of queries goes on.
                let mask = rows.into_iter().chain([None]).nth((i + queries) % 5).flatten();
                let head = Head { channels: [3, 5], keys: 9, queries, q: Stride::Gap(1), bias, mask, panels: None };
                head.check(level);
            }
        }
    }
}

/// What the plain copies of [`Head`] are compared with nowhere else: a bias that is the same for all keys changes nothing.
#[test]
fn a_bias_repeated_for_every_key_cancels() {
    let (d, keys) = (4, 11);
    for level in levels() {
        for queries in 1..=20 {
            let (q, kv) = (paint(d * queries, 1), paint(d * keys, 2));
            let k = Panels::single(&kv, d, keys).unwrap();
            let repeated = Operand::new([keys, queries], Stride::Repeated, 3);
            let run = |bias: Option<View>| {
                let (mut out, mut scratch) = (vec![0.0; d * queries], vec![f32::NAN; attention_scratch_len(keys)]);
                let operands =
                    Attention::new(plain(&q, [d, queries]), k, k, 0.5).and_then(|x| x.with_bias(bias)).unwrap();
                attention(level, &operands, &mut ViewMut::new(&mut out, d, queries).unwrap(), &mut scratch).unwrap();
                out
            };
            for (with, without) in run(Some(repeated.view())).into_iter().zip(run(None)) {
                assert!((with - without).abs() < 1e-5, "{level}, {queries} queries: {with} and {without}");
            }
        }
    }
}

fn check_packed_product([m, k, n]: [usize; 3], rows: Stride, weight: [usize; 2], epilogue: usize) {
    let (a, b) = (Operand::with_strides([m, k], weight, 1), Operand::new([k, n], rows, 2));
    let mut buffer = vec![f32::NAN; PackedMatrix::<f32>::packed_len(m, k)];
    let packed = PackedMatrix::pack(&a.view(), &mut buffer).unwrap();
    let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(m, k)];
    let of_copy = PackedMatrix::pack(&plain(&a.copy(), [m, k]), &mut buffer).unwrap();
    let bias = paint(m, 3);
    let copy = b.copy();
    for level in levels() {
        let run = |a: &PackedMatrix, b: View| {
            result([m, n], |out, _| {
                // A residual is the one epilogue that reads what the output held.
                let rows = if epilogue == 3 { m } else { 0 };
                (0..rows).for_each(|r| out.row_mut(r).unwrap().fill(r as f32));
                let residual = Epilogue::Residual { bias: &bias, scale: 0.5 };
                let epilogues = [Epilogue::Store, Epilogue::Bias(&bias), Epilogue::BiasGelu(&bias), residual];
                packed_matmul(level, a, &b, epilogues[epilogue], out)
            })
        };
        assert!(run(&packed, b.view()) == run(&of_copy, plain(&copy, [k, n])), "{level}");
    }
}

fn check_norm_and_features([channels, tokens]: [usize; 2], rows: Stride, features: usize) {
    let x = Operand::new([channels, tokens], rows, 1);
    let copy = x.copy();
    let (gamma, beta) = (paint(channels, 2), paint(channels, 3));
    let mut buffer = vec![0.0; PackedMatrix::<f32>::packed_len(features, channels)];
    let w = PackedMatrix::pack(&plain(&paint(features * channels, 4), [features, channels]), &mut buffer).unwrap();
    for level in levels() {
        let norm = |x: View| result(x.shape(), |out, _| layer_norm(level, &x, &gamma, &beta, 1e-6, out));
        assert!(norm(x.view()) == norm(plain(&copy, x.shape)), "{level}");
        let random = |x: View| result([features, tokens], |out, _| random_features(level, &w, &x, out));
        assert!(random(x.view()) == random(plain(&copy, x.shape)), "{level}");
    }
}

fn check_softmax([keys, queries]: [usize; 2]) {
    let scores = paint(keys * queries, 1);
    for level in levels() {
        let weights = result([keys, queries], |out, _| {
            to_contiguous(&plain(&scores, [keys, queries]), out)?;
            softmax(level, out)
        });
        let mut expected = scores.clone();
        softmax(level, &mut ViewMut::new(&mut expected, keys, queries).unwrap()).unwrap();
        assert!(weights == same_nan(&expected), "{level}");
    }
}

/// Small whole numbers, whose products have no rounding: the product may be gathered or handed to `matrixmultiply`.
fn check_product_and_copies([m, k, n]: [usize; 3], a: [usize; 2], b: [usize; 2]) {
    let whole = |mut x: Operand| {
        x.data.iter_mut().for_each(|x| *x = (*x * 8.0).round());
        x
    };
    let (a, b) = (whole(Operand::with_strides([m, k], a, 1)), whole(Operand::with_strides([k, n], b, 2)));
    let (a_copy, b_copy) = (a.copy(), b.copy());
    let sum = |i: usize| (0..k).map(|p| a_copy[i / n * k + p] * b_copy[p * n + i % n]).sum();
    let expected: Vec<f32> = (0..m * n).map(sum).collect();
    for level in levels() {
        let found = result([m, n], |out, _| matmul(level, &a.view(), &b.view(), out));
        let found: Vec<f32> = found.into_iter().map(f32::from_bits).collect();
        assert_eq!(found, expected, "{level}");
    }
    assert!(result([k, n], |out, _| to_contiguous(&b.view(), out)) == same_nan(&b_copy));
    let layout = Level::PORTABLE.panels(n);
    let mut data = vec![f32::NAN; k * layout.padded()];
    layout.to_panels(&b.view(), &mut data).unwrap();
    let panels = Panels::new(&data, k, layout).unwrap();
    for c in 0..n {
        assert!(panels.column(c).iter().eq((0..k).map(|r| b_copy[r * n + c])));
    }
}

/// Each operation on a few small operands: what Miri, a thousand times slower than a processor, has time for.
#[test]
fn small_operands() {
    for (i, rows) in [Stride::Repeated, Stride::Short(1), Stride::Gap(2)].into_iter().enumerate() {
        for level in levels() {
            let queries = [1, 6, 9][i];
            let [bias, mask] = [Some(rows), (i > 0).then_some(Stride::Repeated)];
            Head { channels: [3, 5], keys: 7, queries, q: rows, bias, mask, panels: Some(4) }.check(level);
        }
        check_packed_product([9, 3, [1, 7, 19][i]], rows, [[0, 1], [1, 9], [4, 1]][i], i + 1);
        check_norm_and_features([5, [1, 6, 9][i]], rows, 3);
        check_softmax([5, [1, 6, 9][i]]);
        check_product_and_copies([5, 3, [1, 7, 19][i]], [[0, 2], [1, 5], [3, 1]][i], [[1, 3], [2, 2], [21, 1]][i]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn attention_on_views(
        (d, dv, keys, queries) in (1_usize..20, 1_usize..20, 1_usize..40, 1_usize..65),
        (q, bias, mask) in (strides(), proptest::option::of(strides()), proptest::option::of(strides())),
        panels in proptest::option::of(1_usize..40),
    ) {
        for level in levels() {
            Head { channels: [d, dv], keys, queries, q, bias, mask, panels }.check(level);
        }
    }

    #[test]
    fn packed_products_on_views(
        shape in [1_usize..40, 1..20, 1..65], rows in strides(), weight in [0_usize..9, 0..9], epilogue in 0_usize..4,
    ) {
        check_packed_product(shape, rows, weight, epilogue);
    }

    #[test]
    fn norms_and_features_on_views(shape in [1_usize..40, 1..65], rows in strides(), features in 1_usize..20) {
        check_norm_and_features(shape, rows, features);
    }

    #[test]
    fn softmax_through_views(shape in [1_usize..40, 1..65]) {
        check_softmax(shape);
    }

    #[test]
    fn products_and_copies_of_any_strides(shape in [1_usize..40, 1..40, 1..65], a in [0_usize..9, 0..9], b in [0_usize..9, 0..9]) {
        check_product_and_copies(shape, a, b);
    }
}

/// Nothing to do takes no time, however long the other axis is.
#[test]
fn operands_without_values_return_at_once() {
    const MANY: usize = usize::MAX;
    let wide = View::with_strides(&[], [0, MANY], [0, 1]).unwrap();
    let tall = View::with_strides(&[], [MANY, 0], [0, 1]).unwrap();
    fn wide_mut() -> ViewMut<'static> {
        ViewMut::with_strides(&mut [], [0, MANY], [0, 1]).unwrap()
    }
    fn tall_mut() -> ViewMut<'static> {
        ViewMut::with_strides(&mut [], [MANY, 0], [0, 1]).unwrap()
    }
    let layout = PanelLayout::single(MANY);
    let no_rows = Panels::new(&[], 0, layout).unwrap();
    let no_columns = Panels::single(&[], MANY, 0).unwrap();
    let none = PackedMatrix::from_packed(0, 0, &[]).unwrap();
    let packed = PackedMatrix::pack(&tall, &mut []).unwrap();
    assert_eq!(packed.shape(), [MANY, 0]);
    to_contiguous(&wide, &mut wide_mut()).unwrap();
    to_contiguous(&tall, &mut tall_mut()).unwrap();
    layout.to_panels(&wide, &mut []).unwrap();
    Level::PORTABLE.panels(MANY).to_panels(&wide, &mut []).unwrap();
    gather_columns(&no_rows, 0..0, 0..MANY, &mut wide_mut()).unwrap();
    add_gathered_columns(1.0, &no_rows, 0..MANY, &mut wide_mut()).unwrap();
    for level in levels() {
        softmax(level, &mut wide_mut()).unwrap();
        softmax(level, &mut tall_mut()).unwrap();
        layer_norm(level, &wide, &[], &[], 1e-6, &mut wide_mut()).unwrap();
        packed_matmul(level, &none, &wide, Epilogue::Store, &mut wide_mut()).unwrap();
        packed_matmul(level, &packed, &View::new(&[], 0, 0).unwrap(), Epilogue::Store, &mut tall_mut()).unwrap();
        random_features(level, &none, &wide, &mut wide_mut()).unwrap();
        matmul(level, &View::new(&[], 0, 0).unwrap(), &wide, &mut wide_mut()).unwrap();
        matmul(level, &tall, &View::new(&[], 0, 0).unwrap(), &mut tall_mut()).unwrap();
        matmul(level, &wide, &wide.transpose(), &mut ViewMut::new(&mut [], 0, 0).unwrap()).unwrap();
        token_products(level, &no_rows, &no_rows, &mut []).unwrap();
        gelu(level, &mut []);
        let one = Panels::single(&[], 0, 1).unwrap();
        let operands = Attention::new(wide, one, one, 1.0).unwrap();
        let mut scratch = vec![0.0; attention_scratch_len(1)];
        attention(level, &operands, &mut wide_mut(), &mut scratch).unwrap();
        let no_keys = Attention::new(tall, no_columns, no_columns, 1.0).unwrap();
        attention(level, &no_keys, &mut tall_mut(), &mut []).unwrap();
    }
}

#[test]
fn layer_norm_takes_no_eps_that_is_no_eps() {
    let x = [1.0, 3.0];
    let mut out = [5.0; 2];
    for level in levels() {
        let mut norm = |eps: f32| {
            let mut view = ViewMut::new(&mut out, 2, 1).unwrap();
            layer_norm(level, &plain(&x, [2, 1]), &[1.0; 2], &[0.0; 2], eps, &mut view)
        };
        for eps in [-1.0, -f32::MIN_POSITIVE, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = norm(eps).unwrap_err();
            assert!(matches!(error, Error::Epsilon { operation: "layer_norm", .. }), "{error}");
            assert!(error.to_string().contains(&format!("eps is {eps}")), "{error}");
        }
        assert_eq!(norm(0.0), Ok(()));
        assert_eq!(std::mem::replace(&mut out, [5.0; 2]), [-1.0, 1.0], "{level}: without eps the norm is exact");
    }
}
