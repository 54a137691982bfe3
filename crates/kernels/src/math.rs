//! Functions of vectors, by polynomials.
//!
//! The polynomials were fitted to minimise the largest error of their result (iteratively reweighted least squares on Chebyshev
//! nodes). The tests hold the stated bounds over all exponents, at every 257th f32, or every one with `KERNELS_EXHAUSTIVE` set.

pub(crate) mod exp;
pub(crate) mod gelu;
#[cfg(test)]
mod tests;
