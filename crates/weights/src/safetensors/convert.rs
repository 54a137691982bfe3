//! Values of the file's types as f32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;

/// The types that weights may have.
pub(crate) const FLOATS: [Dtype; 4] = [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64];

/// The same, for messages.
pub(crate) const FLOAT_NAMES: &str = "F32, F16, BF16 or F64";

/// The bytes as they lie, if they are f32 in this machine's byte order and aligned as one reads them: never a cast of
/// what is not.
pub(crate) fn borrow(dtype: Dtype, bytes: &[u8]) -> Option<&[f32]> {
    let same = dtype == Dtype::F32 && cfg!(target_endian = "little");
    if same { bytemuck::try_cast_slice(bytes).ok() } else { None }
}

/// Converts little-endian values of one of [`FLOATS`]; `bytes` has one for each of `out`. F64 is rounded to the nearest f32,
/// which beyond the range of f32 is infinite.
pub(crate) fn convert(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F32 => each(bytes, out, f32::from_le_bytes),
        Dtype::F16 => widen(bytes, out),
        Dtype::BF16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        _ => out.fill(f32::NAN), // not a number, and reported as such
    }
}

/// Bytes read as they lie in the file, in this machine's order.
pub(crate) fn from_little_endian(values: &mut [f32]) {
    if cfg!(target_endian = "big") {
        values.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
    }
}

/// In groups, which `half` widens eight at a time where the CPU can (F16C): a quarter of the time of one by one.
fn widen(bytes: &[u8], out: &mut [f32]) {
    const GROUP: usize = 64;
    let mut halves = [f16::ZERO; GROUP];
    for (bytes, out) in bytes.chunks(2 * GROUP).zip(out.chunks_mut(GROUP)) {
        let halves = &mut halves[..out.len()];
        halves.iter_mut().zip(bytes.as_chunks().0).for_each(|(half, bytes)| *half = f16::from_le_bytes(*bytes));
        halves.convert_to_f32_slice(out);
    }
}

fn each<const SIZE: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; SIZE]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
        *out = value(*bytes);
    }
}

/// What is wrong with values of which some are not finite.
pub(crate) fn describe_non_finite(values: &[f32]) -> String {
    let nan = values.iter().filter(|value| value.is_nan()).count();
    let infinite = values.iter().filter(|value| value.is_infinite()).count();
    let first = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    format!("{nan} NaN and {infinite} infinite of {}, the first at index {first}", values.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floats::all_finite;

    #[test]
    fn half_precision_widens_exactly() {
        for (dtype, bits, expected) in [
            (Dtype::F16, 0x3C00u16, 1.0),
            (Dtype::F16, 0x8001, -5.9604645e-8),
            (Dtype::F16, 0x7BFF, 65504.0),
            (Dtype::BF16, 0x3F80, 1.0),
            (Dtype::BF16, 0x7F7F, 3.3895314e38),
            (Dtype::BF16, 0x8000, -0.0f32),
        ] {
            let mut out = [f32::NAN];
            convert(dtype, &bits.to_le_bytes(), &mut out);
            assert_eq!(out[0].to_bits(), f32::to_bits(expected), "{dtype} {bits:#x}");
        }
    }

    #[test]
    fn doubles_are_rounded_to_the_nearest() {
        let most = f64::from(f32::MAX);
        // Half a unit in the last place of f32::MAX is 2^103.
        let half = 2f64.powi(103);
        for (value, expected) in [
            (1.0 / 3.0, 1.0f32 / 3.0),
            (1.0 + 2f64.powi(-24), 1.0),
            (1.0 + 3.0 * 2f64.powi(-24), 1.0 + 2.0 * f32::EPSILON),
            (1e-50, 0.0),
            (-0.0, -0.0),
            (most, f32::MAX),
            (most + half * 0.999, f32::MAX),
            (most + half, f32::INFINITY),
            (-1e300, f32::NEG_INFINITY),
        ] {
            let mut out = [f32::NAN];
            convert(Dtype::F64, &f64::to_le_bytes(value), &mut out);
            assert_eq!(out[0].to_bits(), expected.to_bits(), "{value}");
        }
    }

    #[test]
    fn non_finite_values_are_found_and_counted() {
        let mut values = vec![f32::MAX; 100];
        values[3] = f32::from_bits(1);
        assert!(all_finite(&values) && all_finite(&[]));
        values[41] = f32::NEG_INFINITY;
        values[97] = f32::NAN;
        assert!(!all_finite(&values));
        assert_eq!(describe_non_finite(&values), "1 NaN and 1 infinite of 100, the first at index 41");
    }
}
