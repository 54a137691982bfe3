//! The most multiply-adds that a core can do: the yardstick of every product.

use core::hint::black_box;

use crate::isa::level::Level;
use crate::isa::simd::{Kernel, MAX_LANES, Simd};

/// Runs `rounds` rounds of multiply-adds that touch no memory, as many chains side by side as the widest register tile has
/// accumulators, and gives how many were done: each counts once a lane.
///
/// Timed, it is the limit that a product at this level is to be compared with.
///
/// ```
/// use std::time::Instant;
/// let level = kernels::Level::detect();
/// let start = Instant::now();
/// let macs = kernels::testing::multiply_add_loop(level, 10_000);
/// println!("{level}: {:.1} GMAC/s", macs as f64 / start.elapsed().as_nanos() as f64);
/// assert!(macs >= 80_000);
/// ```
pub fn multiply_add_loop(level: Level, rounds: u32) -> u64 {
    level.run(MultiplyAdds { rounds })
}

struct MultiplyAdds {
    rounds: u32,
}

impl Kernel for MultiplyAdds {
    type Output = u64;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> u64 {
        // A constant: the other arms are not compiled in.
        match S::TILE_ROWS[S::TILE_VECTORS] * S::TILE_VECTORS {
            24 => chains::<S, 24>(s, self.rounds),
            12 => chains::<S, 12>(s, self.rounds),
            4 => chains::<S, 4>(s, self.rounds),
            _ => chains::<S, 8>(s, self.rounds),
        }
    }
}

/// N chains of `x = x * a + b`.
#[inline(always)]
fn chains<S: Simd, const N: usize>(s: S, rounds: u32) -> u64 {
    // Unknown to the compiler, and far from overflow and subnormal numbers at any length.
    let (a, b) = (s.splat(black_box(0.5)), s.splat(black_box(1.0)));
    let mut sums = [s.splat(black_box(1.0)); N];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = s.mul_add(*sum, a, b);
        }
    }
    let mut lanes = [0.0; MAX_LANES];
    for sum in sums {
        s.store(sum, &mut lanes);
        black_box(&lanes);
    }
    u64::from(rounds) * (N * S::LANES) as u64
}
