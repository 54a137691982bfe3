//! Random weights: the same on every machine, for trying and timing a model that nobody has trained.

use std::convert::Infallible;
use std::fmt::Write;

use vit::{Config, Family, TensorName, Tensors, Tokens};

/// A source of seeded random tensors, generated as they are asked for.
///
/// A tensor's values depend on the seed and the tensor's name only, not on the order of asking or on the other tensors.
/// They come from SplitMix64 (Steele, Lea and Flood 2014) started at a hash of both, and take nothing but integer
/// arithmetic and correctly rounded products, so every platform gives the same bits.
///
/// Matrices, tokens, positions and biases are near-normal with deviation 0.02, as ViTs are initialised; norms and
/// rescaling scalars are 1 and deviate by 0.1, so that a model which forgets one gives other logits. T2T-ViT fixes what
/// other models learn: its performers' `w` deviates by 0.7, as much as its public code's, and [`Random::for_model`] gives
/// it sinusoids as positions.
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
    sinusoid: bool,
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
        Random { seed, sinusoid: false, values: Vec::new() }
    }

    /// The source with the positions that the model's family has: T2T-ViT's are fixed sinusoids,
    /// which a tensor's name does not tell.
    ///
    /// ```
    /// let config = vit::Config::named("t2t_vit_7").unwrap();
    /// let mut source = weights::Random::new(0).for_model(&config);
    /// let positions = vit::Tensors::tensor(&mut source, vit::TensorName::Top("pos_embed"), &[1, 197, 256]).unwrap();
    /// assert_eq!(positions[..4], [0.0, 1.0, 0.0, 1.0]);
    /// ```
    pub fn for_model(self, config: &Config) -> Self {
        let sinusoid = matches!(config.family(), Family::Vit(vit) if vit.tokens != Tokens::Patch);
        Random { sinusoid, ..self }
    }
}

impl Tensors for Random {
    type Error = Infallible;

    fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
        let len = shape.iter().product();
        self.values.clear();
        self.values.reserve_exact(len);
        if self.sinusoid && name == TensorName::Top("pos_embed") {
            let width = shape.last().copied().unwrap_or(1).max(1);
            self.values.extend((0..len).map(|i| sinusoid(i / width, i % width, width) as f32));
            return Ok(&self.values);
        }
        let mut state = SplitMix64(self.seed ^ hash(name));
        let (mean, deviation) = distribution(&name.to_string());
        self.values.extend((0..len).map(|_| (mean + deviation * state.near_normal()) as f32));
        Ok(&self.values)
    }
}

/// Mean and deviation of a tensor's values.
fn distribution(name: &str) -> (f64, f64) {
    let ends = |ending: &str| name.ends_with(ending);
    match name {
        _ if ends(".alpha") || ends(".beta") => (1.0, 0.1),
        _ if name.contains("norm") && ends(".weight") => (1.0, 0.1),
        // yitu's T2T-ViT: 32 orthogonal directions in 64 channels, times sqrt(32).
        _ if ends(".w") => (0.0, std::f64::consts::FRAC_1_SQRT_2),
        _ => (0.0, 0.02),
    }
}

/// Channel `j` of `width` at position `p`: sines and cosines of wavelengths from 2 pi to 20,000 pi positions (Vaswani et
/// al. 2017). By `libm`, since the bits of a platform's own functions differ.
fn sinusoid(p: usize, j: usize, width: usize) -> f64 {
    let angle = p as f64 / libm::pow(10_000.0, (2 * (j / 2)) as f64 / width as f64);
    if j.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }
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
    fn t2t_positions_are_sinusoids_and_others_are_not() {
        let positions = |name: &str| {
            let mut source = Random::new(2).for_model(&Config::named(name).unwrap());
            source.tensor(Top("pos_embed"), &[1, 3, 8]).unwrap().to_vec()
        };
        // Of channels 4 and 5 the divisor is 10000^(4/8) = 100.
        let expected = [0.0, 1.0, 2f64.sin(), 2f64.cos(), 0.02f64.sin(), 0.02f64.cos()].map(|x| x as f32);
        let found = positions("shuffle_t2t_vit_t_14");
        let found = [found[4], found[5], found[16], found[17], found[20], found[21]];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7), "{found:?}");
        assert!(positions("deit_tiny").iter().all(|x| x.abs() < 0.07));
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
        for (name, mean, deviation) in [
            (Top("head.weight"), 0.0, 0.02),
            (Block(0, "norm1.weight"), 1.0, 0.1),
            (Top("tokens_to_token.attention1.w"), 0.0, 0.5f64.sqrt()),
        ] {
            let (m, d) = moments(name);
            assert!((m - mean).abs() < 5.0 * deviation / 316.0, "{name}: mean {m}");
            assert!((d - deviation).abs() < 5.0 * deviation / 447.0, "{name}: deviation {d}");
        }
    }
}
