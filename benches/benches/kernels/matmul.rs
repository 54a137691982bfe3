//! Packed products on the models' shapes, beside `matrixmultiply`.

use benches::{Aligned, PeakShares, Product, assert_close, levels};
use criterion::{Criterion, Throughput};
use kernels::*;

/// Models and their products.
#[rustfmt::skip]
const MODELS: [(&str, &[Shape]); 6] = [
    ("deit_tiny", &[
        ("embed", [192, 768, 196]), ("qkv", [576, 192, 197]), ("proj", [192, 192, 197]), ("fc1", [768, 192, 197]),
        ("fc2", [192, 768, 197]),
    ]),
    ("deit_small", &[
        ("qkv", [1152, 384, 197]), ("proj", [384, 384, 197]), ("fc1", [1536, 384, 197]), ("fc2", [384, 1536, 197]),
    ]),
    ("t2t_vit_7", &[
        ("round1_kqv", [192, 147, 3136]), ("round2_kqv", [192, 576, 784]), ("round2_features", [32, 64, 784]),
        ("round2_context", [65, 32, 784]), ("round2_proj", [64, 64, 784]), ("project", [256, 576, 196]),
        ("qkv", [768, 256, 197]), ("proj", [256, 256, 197]), ("fc1", [512, 256, 197]), ("fc2", [256, 512, 197]),
    ]),
    ("swin_extra_tiny", &[
        ("embed", [48, 48, 3136]), ("stage1_qkv", [144, 48, 3136]), ("stage1_proj", [48, 48, 3136]),
        ("stage1_fc1", [192, 48, 3136]), ("stage1_fc2", [48, 192, 3136]), ("merge1", [96, 192, 784]),
    ]),
    ("swin_tiny", &[
        ("stage1_qkv", [288, 96, 3136]), ("stage1_fc2", [96, 384, 3136]), ("stage2_qkv", [576, 192, 784]),
        ("stage2_fc2", [192, 768, 784]), ("stage3_qkv", [1152, 384, 196]), ("stage3_fc2", [384, 1536, 196]),
    ]),
    // The 7x7 map of the last stage, which swin_tiny has with twice the channels.
    ("swin", &[
        ("49_tokens_qkv", [1152, 384, 49]), ("49_tokens_proj", [384, 384, 49]), ("49_tokens_fc1", [1536, 384, 49]),
        ("49_tokens_fc2", [384, 1536, 49]),
    ]),
];

/// A product's name, and its M, K and N: outputs, inputs and tokens.
type Shape = (&'static str, [usize; 3]);

pub fn bench(c: &mut Criterion, shares: &mut PeakShares) {
    for (model, shapes) in MODELS {
        for (name, shape) in shapes {
            Case::new(*shape).bench(c, shares, &format!("matmul/{model}_{name}"));
        }
    }
}

struct Case {
    m: usize,
    k: usize,
    n: usize,
    weight: Aligned,
    bias: Aligned,
    /// K x N, row-major.
    tokens: Aligned,
    /// Packed.
    packed: Aligned,
}

impl Case {
    fn new([m, k, n]: [usize; 3]) -> Self {
        let weight = Aligned::painted(m * k);
        let mut packed = Aligned::zeros(PackedMatrix::packed_len(m, k));
        PackedMatrix::pack(&View::new(&weight, m, k).unwrap(), &mut packed).unwrap();
        Case { m, k, n, weight, bias: Aligned::painted(m), tokens: Aligned::painted(k * n), packed }
    }

    fn bench(&self, c: &mut Criterion, shares: &mut PeakShares, group: &str) {
        let mut expected = vec![0.0; self.m * self.n];
        self.matrixmultiply(&mut expected);
        for level in levels() {
            let layout = level.panels(self.n);
            let (x, mut y) = (self.in_panels(&layout), Aligned::zeros(self.m * layout.padded()));
            let mut run = |epilogue: Epilogue| self.packed_matmul(level, &layout, &x, epilogue, &mut y);
            run(Epilogue::Store);
            self.check(&layout, &y, &expected);
            let product = |function| Product { group, function, level, macs: self.m * self.k * self.n };
            let mut run = |epilogue: Epilogue| self.packed_matmul(level, &layout, &x, epilogue, &mut y);
            shares.bench(c, &product(level.name()), || run(Epilogue::Bias(&self.bias)));
            if group.ends_with("fc1") {
                shares.bench(c, &product(&format!("{level}_gelu")), || run(Epilogue::BiasGelu(&self.bias)));
            }
        }
        let mut rivals = c.benchmark_group(group);
        rivals.throughput(Throughput::Elements((self.m * self.k * self.n) as u64));
        rivals.bench_function("matrixmultiply", |bencher| bencher.iter(|| self.matrixmultiply(&mut expected)));
    }

    /// `y = epilogue(weight x)`, panel by panel.
    fn packed_matmul(&self, level: Level, layout: &PanelLayout, x: &[f32], epilogue: Epilogue, y: &mut [f32]) {
        let packed = PackedMatrix::from_packed(self.m, self.k, &self.packed).unwrap();
        super::for_each_panel(layout, (x, self.k), (y, self.m), |x, mut y| {
            packed_matmul(level, &packed, &x, epilogue, &mut y).unwrap();
        });
    }

    fn matrixmultiply(&self, out: &mut [f32]) {
        let [m, k, n] = [self.m, self.k, self.n];
        let (a, b, out) = (self.weight.as_ptr(), self.tokens.as_ptr(), out.as_mut_ptr());
        let (row_of_a, row) = (k as isize, n as isize);
        // SAFETY: the slices hold m x k, k x n and m x n values, row-major.
        unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, row_of_a, 1, b, row, 1, 0.0, out, row, 1) };
    }

    /// The tokens as a product takes them.
    fn in_panels(&self, layout: &PanelLayout) -> Aligned {
        let mut panels = Aligned::zeros(self.k * layout.padded());
        for p in 0..layout.count() {
            let (range, valid) = (layout.range(p), layout.valid(p));
            for (r, row) in self.tokens.chunks(self.n).enumerate() {
                panels[self.k * range.start + r * range.len()..][..valid].copy_from_slice(&row[range.start..][..valid]);
            }
        }
        panels
    }

    fn check(&self, layout: &PanelLayout, y: &[f32], expected: &[f32]) {
        for p in 0..layout.count() {
            let (range, valid) = (layout.range(p), layout.valid(p));
            for (r, row) in expected.chunks(self.n).enumerate() {
                let found = &y[self.m * range.start + r * range.len()..][..valid];
                assert_close(found, &row[range.start..][..valid]);
            }
        }
    }
}
