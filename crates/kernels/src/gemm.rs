//! Matrix products: packed weights times token panels with fused epilogues, and arbitrary strided views.

pub(crate) mod blocking;
pub(crate) mod columns;
pub(crate) mod epilogue;
pub(crate) mod matmul;
pub(crate) mod packed;
mod product;
mod skinny;
pub(crate) mod strided;
pub(crate) mod tile;
