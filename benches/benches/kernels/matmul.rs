//! Packed products on the models' shapes, beside `matrixmultiply`.

use benches::{Aligned, Matmul, PeakShares, Product, assert_close, levels};
use criterion::{Criterion, Throughput};
use kernels::Epilogue;

/// A product's name, and its M, K and N: outputs, inputs and tokens.
type Shape = (&'static str, [usize; 3]);

#[rustfmt::skip]
const MODELS: [(&str, &[Shape]); 5] = [
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
        ("embed", [48, 48, 3136]), ("merge1", [96, 192, 784]),
        ("stage1_qkv", [144, 48, 3136]), ("stage1_proj", [48, 48, 3136]), ("stage1_fc1", [192, 48, 3136]),
        ("stage1_fc2", [48, 192, 3136]),
        ("stage2_qkv", [288, 96, 784]), ("stage2_proj", [96, 96, 784]), ("stage2_fc1", [384, 96, 784]),
        ("stage2_fc2", [96, 384, 784]),
        ("stage3_qkv", [576, 192, 196]), ("stage3_fc2", [192, 768, 196]),
        ("stage4_qkv", [1152, 384, 49]), ("stage4_proj", [384, 384, 49]), ("stage4_fc1", [1536, 384, 49]),
        ("stage4_fc2", [384, 1536, 49]),
    ]),
    ("swin_tiny", &[
        ("stage1_qkv", [288, 96, 3136]), ("stage1_fc2", [96, 384, 3136]), ("stage2_qkv", [576, 192, 784]),
        ("stage2_fc2", [192, 768, 784]), ("stage3_qkv", [1152, 384, 196]), ("stage3_fc2", [384, 1536, 196]),
        ("stage4_fc2", [768, 3072, 49]),
    ]),
];

pub fn bench(c: &mut Criterion, shares: &mut PeakShares) {
    for (model, shapes) in MODELS {
        for (name, shape) in shapes {
            product(c, shares, &format!("matmul/{model}_{name}"), &Matmul::new(*shape));
        }
    }
}

fn product(c: &mut Criterion, shares: &mut PeakShares, group: &str, matmul: &Matmul) {
    let [m, _, n] = matmul.shape();
    let (mut expected, bias) = (vec![0.0; m * n], Aligned::painted(m));
    matmul.matrixmultiply(&mut expected);
    for level in levels() {
        let mut call = matmul.packed(level);
        call.run(Epilogue::Store);
        assert_close(&call.output(), &expected);
        let product = |function| Product { group, function, level, macs: matmul.macs() };
        shares.bench(c, &product(level.name()), || call.run(Epilogue::Bias(&bias)));
        if group.ends_with("fc1") {
            shares.bench(c, &product(&format!("{level}_gelu")), || call.run(Epilogue::BiasGelu(&bias)));
        }
    }
    let mut rival = c.benchmark_group(group);
    rival.throughput(Throughput::Elements(matmul.macs() as u64));
    rival.bench_function("matrixmultiply", |bencher| bencher.iter(|| matmul.matrixmultiply(&mut expected)));
}
