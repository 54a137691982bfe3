//! What tests and benchmarks compare kernels with: every operation as plain loops, and the most multiply-adds that a core can do.

mod peak;
pub mod reference;

pub use peak::multiply_add_loop;
