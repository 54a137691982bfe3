//! The inverse cosine transform, with the roundings of libjpeg's `jidctint.c` ("islow").
//!
//! It is the algorithm of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with 12 multiplications a vector, in fixed point.
//! Where a damaged file's values leave 16 bits, they wrap and saturate as in libjpeg-turbo's SIMD code.

/// Where a coefficient's place in zigzag order is in a block of rows.
#[rustfmt::skip]
pub(super) const NATURAL_ORDER: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Fraction bits of the constants.
const CONST_BITS: u32 = 13;

/// Fraction bits that the first pass keeps for the second.
const PASS1_BITS: u32 = 2;

/// Multiplies a block of coefficients by its steps, transforms it, and writes eight rows of eight samples.
pub(super) fn transform(block: &[i16; 64], steps: &[u16; 64], out: &mut [u8], stride: usize) {
    if block[1..] == [0; 63] {
        return flat(block[0].wrapping_mul(steps[0] as i16), out, stride);
    }
    let frequencies: [i16; 64] = std::array::from_fn(|i| block[i].wrapping_mul(steps[i] as i16));
    let columns = pass::<{ CONST_BITS - PASS1_BITS }>(&frequencies);
    let columns = transposed(&columns.map(|sum| sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16));
    let samples = transposed(&pass::<{ CONST_BITS + PASS1_BITS + 3 }>(&columns).map(to_sample));
    for (line, samples) in out.chunks_mut(stride).zip(samples.as_chunks::<8>().0) {
        line[..8].copy_from_slice(samples);
    }
}

/// Transforms each column. Eight stand beside each other, so that the compiler computes them side by side.
#[inline(always)]
fn pass<const SHIFT: u32>(block: &[i16; 64]) -> [i32; 64] {
    let mut out = [0; 64];
    for x in 0..8 {
        let sums = vector::<SHIFT>(std::array::from_fn(|y| block[8 * y + x]));
        for (y, sum) in sums.into_iter().enumerate() {
            out[8 * y + x] = sum;
        }
    }
    out
}

/// Exchanges rows and columns: an index has three bits of each, and a riffle turns the six by one.
#[inline(always)]
fn transposed<T: Copy + Default>(block: &[T; 64]) -> [T; 64] {
    riffled(&riffled(&riffled(block)))
}

/// The two halves, an element of each in turn.
#[inline(always)]
fn riffled<T: Copy + Default>(block: &[T; 64]) -> [T; 64] {
    let mut out = [T::default(); 64];
    let (left, right) = block.split_at(32);
    for ((pair, &a), &b) in out.as_chunks_mut::<2>().0.iter_mut().zip(left).zip(right) {
        *pair = [a, b];
    }
    out
}

/// A block that has no other frequency than the mean.
fn flat(dc: i16, out: &mut [u8], stride: usize) {
    let mean = i32::from(dc.wrapping_shl(PASS1_BITS));
    let sample = to_sample((mean + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3));
    for line in out.chunks_mut(stride).take(8) {
        line[..8].fill(sample);
    }
}

/// Samples are stored around 0 and wanted around 128.
fn to_sample(value: i32) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

/// One column, rounded and shifted right by `SHIFT`.
#[inline(always)]
fn vector<const SHIFT: u32>(x: [i16; 8]) -> [i32; 8] {
    let product = |a: i16, constant: i32| i32::from(a) * constant;

    // Even frequencies: a butterfly, and a rotation by 6/16 pi.
    let even0 = i32::from(x[0].wrapping_add(x[4])) << CONST_BITS;
    let even1 = i32::from(x[0].wrapping_sub(x[4])) << CONST_BITS;
    let even2 = product(x[2], 4433).wrapping_add(product(x[6], 4433 - 15137));
    let even3 = product(x[2], 4433 + 6270).wrapping_add(product(x[6], 4433));
    let even =
        [even0.wrapping_add(even3), even1.wrapping_add(even2), even1.wrapping_sub(even2), even0.wrapping_sub(even3)];

    // Odd frequencies.
    let (z3, z4) = (x[7].wrapping_add(x[3]), x[5].wrapping_add(x[1]));
    let y3 = product(z3, 9633 - 16069).wrapping_add(product(z4, 9633));
    let y4 = product(z3, 9633).wrapping_add(product(z4, 9633 - 3196));
    let sum = |a: i32, b: i32, c: i32| a.wrapping_add(b).wrapping_add(c);
    let odd = [
        sum(product(x[1], 12299 - 7373), product(x[7], -7373), y4),
        sum(product(x[3], 25172 - 20995), product(x[5], -20995), y3),
        sum(product(x[5], 16819 - 20995), product(x[3], -20995), y4),
        sum(product(x[7], 2446 - 7373), product(x[1], -7373), y3),
    ];
    let round = |value: i32| value.wrapping_add(1 << (SHIFT - 1)) >> SHIFT;
    std::array::from_fn(|i| {
        if i < 4 { round(even[i].wrapping_add(odd[i])) } else { round(even[7 - i].wrapping_sub(odd[7 - i])) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in f64.
    fn reference(block: &[i16; 64]) -> [f64; 64] {
        let basis = |n: usize, k: usize| {
            let scale = if k == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
            scale * ((2 * n + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
        };
        std::array::from_fn(|at| {
            let terms = (0..64).map(|k| f64::from(block[k]) * basis(at / 8, k / 8) * basis(at % 8, k % 8));
            terms.sum::<f64>() + 128.0
        })
    }

    #[test]
    fn samples_are_the_definitions_within_one() {
        for seed in 0..200i32 {
            let block: [i16; 64] = std::array::from_fn(|i| {
                let noise = (seed * 7919 + i as i32 * 104_729) % 301 - 150;
                if i < 1 + seed as usize % 64 { noise as i16 } else { 0 }
            });
            let mut found = [0; 64];
            transform(&block, &[1; 64], &mut found, 8);
            for (sample, expected) in found.into_iter().zip(reference(&block)) {
                assert!((f64::from(sample) - expected.clamp(0.0, 255.0)).abs() < 1.0, "{seed}: {sample} {expected}");
            }
        }
    }

    #[test]
    fn a_block_of_its_mean_alone_is_flat() {
        for (dc, sample) in [(0, 128), (8, 129), (-8, 127), (3, 128), (4, 129), (1016, 255), (-1024, 0), (2047, 255)] {
            let mut found = [7; 64];
            transform(&std::array::from_fn(|i| if i == 0 { dc } else { 0 }), &[1; 64], &mut found, 8);
            assert_eq!(found, [sample; 64], "{dc}");
        }
    }
}
