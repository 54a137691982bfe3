//! Random weights: the same on every machine, for trying and timing a model that nobody has trained.

use std::convert::Infallible;
use std::fmt::Write;

use vit::{TensorName, Tensors};

/// A source of seeded random tensors, generated as they are asked for.
///
/// A tensor's values depend on the seed and the tensor's name only, not on the order of asking or on the other tensors.
/// They come from SplitMix64 (Steele, Lea and Flood 2014) started at a hash of both, and take nothing but integer
/// arithmetic and correctly rounded products, so every platform gives the same bits.
///
/// Matrices, tokens, positions and biases are near-normal with deviation 0.02, as ViTs are initialised; norms and
/// rescaling scalars are 1 and deviate by 0.1, so that a model which forgets one gives other logits.
///
/// ```
/// use vit::{TensorName::Block, Tensors};
///
/// let name = Block(0, "attn.proj.weight");
/// let once = weights::Random::new(7).tensor(name, &[2, 3])?.to_vec();
/// assert_eq!(weights::Random::new(7).tensor(name, &[2, 3])?, once);
/// assert_ne!(weights::Random::new(8).tensor(name, &[2, 3])?, once);
/// # Ok::<(), core::convert::Infallible>(())
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    values: Vec<f32>,
}

impl Random {
    /// A source for one seed.
    ///
    /// ```
    /// let mut source = weights::Random::new(0);
    /// let tensor = vit::Tensors::tensor(&mut source, vit::TensorName::Top("norm.weight"), &[192]).unwrap();
    /// assert!(tensor.iter().all(|value| (0.6..1.4).contains(value)));
    /// ```
    pub fn new(seed: u64) -> Self {
        Random { seed, values: Vec::new() }
    }
}

impl Tensors for Random {
    type Error = Infallible;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
        let mut state = SplitMix64(self.seed ^ hash(name));
        let (mean, deviation) = distribution(name);
        let len = shape.iter().product();
        self.values.clear();
        self.values.reserve_exact(len);
        self.values.extend((0..len).map(|_| (mean + deviation * state.near_normal()) as f32));
        Ok(&self.values)
    }
}

/// Mean and deviation of a tensor's values.
fn distribution(name: TensorName) -> (f64, f64) {
    let (TensorName::Top(last) | TensorName::Block(_, last)) = name;
    match last {
        "alpha" | "beta" => (1.0, 0.1),
        _ if last.contains("norm") && last.ends_with(".weight") => (1.0, 0.1),
        _ => (0.0, 0.02),
    }
}

/// FNV-1a of the name as the checkpoint spells it.
fn hash(name: TensorName) -> u64 {
    struct Fnv(u64);
    impl Write for Fnv {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
            self.0 = text.as_bytes().iter().fold(self.0, step);
            Ok(())
        }
    }
    let mut fnv = Fnv(0xCBF2_9CE4_8422_2325);
    write!(fnv, "{name}").unwrap_or_default();
    fnv.0
}

struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Mean 0, deviation 1, within 3.47: the sum of four uniform 16-bit numbers, which no logarithm or cosine of one
    /// platform or another takes part in.
    fn near_normal(&mut self) -> f64 {
        let bits = self.next();
        let sum: i64 = (0..4).map(|i| i64::from((bits >> (16 * i)) as u16)).sum();
        // Four of variance (65536^2 - 1) / 12.
        (sum - 2 * 65535) as f64 * (1.0 / 37837.227)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vit::TensorName::{Block, Top};

    #[test]
    fn bits_never_change() {
        // SplitMix64's published first output for seed 0, FNV-1a's published hash of "a".
        assert_eq!(SplitMix64(0).next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(hash(Top("a")), 0xAF63_DC4C_8601_EC8C);
        let mut source = Random::new(1);
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let values = bits(source.tensor(Block(3, "mlp.fc1.weight"), &[3]).unwrap());
        assert_eq!(values, [1015375062, 1020158728, 3167161654]);
    }

    #[test]
    fn values_depend_on_seed_and_name_only() {
        let mut source = Random::new(5);
        let first = source.tensor(Block(0, "attn.qkv.weight"), &[4, 4]).unwrap().to_vec();
        let other = source.tensor(Block(1, "attn.qkv.weight"), &[4, 4]).unwrap().to_vec();
        assert_ne!(first, other);
        assert_eq!(source.tensor(Block(0, "attn.qkv.weight"), &[8, 2]).unwrap(), first);
    }

    #[test]
    fn moments_are_as_documented() {
        let moments = |name| {
            let mut source = Random::new(42);
            let values = source.tensor(name, &[100_000]).unwrap();
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / values.len() as f64;
            (mean, variance.sqrt())
        };
        // Five standard errors of a mean and of a deviation over 100,000 values.
        for (name, mean, deviation) in [(Top("head.weight"), 0.0, 0.02), (Block(0, "norm1.weight"), 1.0, 0.1)] {
            let (m, d) = moments(name);
            assert!((m - mean).abs() < 5.0 * deviation / 316.0, "{name}: mean {m}");
            assert!((d - deviation).abs() < 5.0 * deviation / 447.0, "{name}: deviation {d}");
        }
    }
}
