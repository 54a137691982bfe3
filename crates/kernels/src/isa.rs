//! Instruction sets: the vector operations that kernels are written in, what implements them, and which of it this CPU has.

pub(crate) mod level;
mod portable;
pub(crate) mod simd;
#[cfg(target_arch = "x86_64")]
mod x86;
