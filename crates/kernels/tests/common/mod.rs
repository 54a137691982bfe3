//! Levels to test, painted inputs and comparison, shared by the integration tests.
#![allow(dead_code, reason = "each test file uses its own part")]

use kernels::Level;
use kernels::testing::reference;

/// The levels of this CPU. `KERNELS_REQUIRE=avx2,avx512` makes a missing one fail, so that no test passes by absence.
pub fn levels() -> Vec<Level> {
    let levels: Vec<Level> = Level::available().collect();
    for name in std::env::var("KERNELS_REQUIRE").unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        assert!(levels.iter().any(|level| level.name() == name), "KERNELS_REQUIRE: this CPU lacks {name}");
    }
    for name in ["avx2", "avx512"] {
        if levels.iter().all(|level| level.name() != name) {
            eprintln!("level {name} is not available here and not tested");
        }
    }
    levels
}

/// The levels whose multiply-adds are fused: they agree bit for bit.
pub fn fused_levels() -> Vec<Level> {
    levels().into_iter().filter(|&level| level != Level::PORTABLE).collect()
}

/// Lengths around every vector and tile border of all levels, and the models' token counts.
pub const LENGTHS: [usize; 19] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48, 49, 64, 65, 197];

/// `len` values in (-1, 1) that differ from their neighbours in every position of a vector.
pub fn paint(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(12_345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The values' bits, those of any NaN being alike: which operand a NaN is taken from is up to the compiler.
pub fn same_nan(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Fails unless each value is within `tolerance` of the exact one, or equally infinite or NaN.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{what}");
    for (i, (&y, &e)) in found.iter().zip(exact).enumerate() {
        let same = f64::from(y) == e || y.is_nan() && e.is_nan();
        let error = (f64::from(y) - e).abs();
        assert!(same || error <= tolerance, "{what}: value {i} is {y}, expected {e} to within {tolerance:e}");
    }
}

/// What a chain of `k` f32 multiply-adds on values below 1 can be off by: each rounds once (twice without fusing), by at
/// most half a unit of a sum that is at most k.
pub fn dot_tolerance(k: usize) -> f64 {
    let k = k as f64;
    k * reference::ulp(k.max(1.0)) + f64::from(f32::EPSILON)
}
