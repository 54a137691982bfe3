//! What the benchmarks share: aligned buffers, painted values, models with seeded weights, and ways to compare.

mod call;
mod interleaved;
mod matmul;
mod peak;

use std::convert::Infallible;

pub use call::Call;
pub use interleaved::{interleaved, median};
pub use matmul::{Matmul, for_each_panel};
pub use peak::{PeakShares, Product, bench_peak};

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use vit::{Config, TensorName, Tensors, pack, packed_len};

/// A buffer of f32 that starts at a multiple of 64 bytes, as a cache line and the widest vector do.
pub struct Aligned {
    data: Vec<f32>,
    start: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let data = vec![0.0; len + 15];
        let start = data.as_ptr().align_offset(64);
        assert!(start < 16, "f32 are aligned to 4 bytes");
        Aligned { data, start }
    }

    /// `len` values in (-1, 1).
    pub fn painted(len: usize) -> Self {
        let mut buffer = Aligned::zeros(len);
        paint(&mut buffer, 1.0);
        buffer
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.data.len() - (15 - self.start)]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        let end = self.data.len() - (15 - self.start);
        &mut self.data[self.start..end]
    }
}

/// Fills a slice with values in (-`scale`, `scale`).
fn paint(x: &mut [f32], scale: f32) {
    let mut state = 12_345_u32;
    for x in x {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *x = scale * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0);
    }
}

/// Weights of a size that keeps activations realistic.
struct Painted(Vec<f32>);

impl Tensors for Painted {
    type Error = Infallible;
    fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
        let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
        self.0.resize(shape.iter().product(), 0.0);
        paint(&mut self.0, 1.0 / fan_in.sqrt());
        Ok(&self.0)
    }
}

/// The packed weights of a model.
pub fn packed(config: &Config) -> Aligned {
    let mut buffer = Aligned::zeros(packed_len(config));
    pack(config, &mut Painted(Vec::new()), &mut buffer).expect("the buffer has the packed length");
    buffer
}

/// The levels to measure: all of this CPU, or those named in `BENCH_LEVELS=avx2,avx512`.
pub fn levels() -> Vec<kernels::Level> {
    let named = std::env::var("BENCH_LEVELS").unwrap_or_default();
    let wanted = |level: &kernels::Level| named.is_empty() || named.split(',').any(|name| name == level.name());
    kernels::Level::available().filter(wanted).collect()
}

/// Whether criterion measures, rather than tests that benchmarks run or lists them.
pub fn is_measuring() -> bool {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    has("--bench") && !["--test", "--list", "--profile-time"].into_iter().any(has)
}

/// Benchmarks a call; false if criterion's filter does not let it through.
pub fn bench(group: &mut BenchmarkGroup<WallTime>, function: String, mut call: impl FnMut()) -> bool {
    let mut ran = false;
    group.bench_function(function, |bencher| {
        ran = true;
        bencher.iter(&mut call);
    });
    ran
}

/// An answer is checked before it is timed.
pub fn assert_close(found: &[f32], expected: &[f32]) {
    let close = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-3);
    assert!(close && found.len() == expected.len(), "the answers differ");
}
