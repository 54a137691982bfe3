#![no_std]
//! SIMD kernels for tiny vision transformers, without std and without allocation.
//!
//! Matrices are **channel-major**: each channel is one contiguous row of tokens, and vectors run along the tokens. Three things
//! follow from that:
//!
//! - Layer norm and softmax never add up the lanes of a vector.
//! - Every product has the form weights x tokens, and neither factor is transposed.
//! - A channel shuffle is only an order of rows. It is stored as one number and moves no data ([`ChannelOrder`]).
//!
//! Each operation takes a [`Level`], which is an instruction set that this CPU has; borrows its operands as [`View`]s; takes
//! scratch memory from the caller; and answers a wrong shape with an [`Error`].
//!
//! ```
//! use kernels::{Level, View, ViewMut, layer_norm};
//!
//! let level = Level::detect(); // avx512, avx2 or portable
//! let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
//! let channels = View::new(&x, 4, 2)?.shuffle_rows(2)?.row_range(0..2)?; // the half that the next layer attends on
//! let mut out = [0.0; 4];
//! layer_norm(level, &channels, &[1.0; 2], &[0.0; 2], 1e-6, &mut ViewMut::new(&mut out, 2, 2)?)?;
//! # Ok::<(), kernels::Error>(())
//! ```
//!
//! # The same bits everywhere
//!
//! At every level with fused multiply-add, an element of a result is the same chain of operations: products are summed in order
//! of the common axis, approximations are the same polynomials, and sums over tokens have the same partial sums. Results do not
//! depend on the level, on neighbours in a matrix or on the number of threads (except for the payload of a NaN). There are two
//! exceptions: [`Level::PORTABLE`], whose multiply-adds round twice, and [`matmul`] with the feature `matrixmultiply`.
//!
//! # Memory
//!
//! Nothing allocates, except [`matmul`] with the feature `matrixmultiply`. What each operation keeps on the stack, in bytes, which
//! matters on microcontrollers:
//!
//! | | portable | AVX2 | AVX-512 |
//! |---|---|---|---|
//! | [`packed_matmul`] | 650 | 2,100 | 4,200 |
//! | [`attention`] | 1,150 | 2,900 | 3,900 |
//! | [`token_products`] | 2,200 | 2,300 | 8,300 |
//! | [`matmul`], on its own tile | 5,900 | 5,900 | 5,900 |
//!
//! # Panics
//!
//! Wrong sizes and operands are errors. What takes an index, such as [`View::at`], [`View::row`] or [`PanelLayout::range`],
//! panics beyond the last, as indexing a slice does.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `std` | yes | levels are detected at run time instead of at build time |
//! | `matrixmultiply` | yes | [`matmul`] on views without shuffles by the crate of that name; needs alloc |
//!
//! # Source
//!
//! No module uses one further down this list, so that a new element type or instruction set has one place:
//!
//! | module | |
//! |---|---|
//! | `error`, `element` | what can go wrong; the types of values |
//! | `shuffle` | the channel order, which knows no matrix |
//! | `matrix` | views and token panels, without a vector instruction |
//! | `isa` | the processor: vector operations and which of them there are; knows no matrix |
//! | `math` | functions of vectors by polynomials |
//! | `gemm` | packed weights, register tiles, products |
//! | `ops` | everything else of a layer, attention with it |

#[cfg(any(feature = "std", test))]
extern crate std;

mod element;
mod error;
mod gemm;
mod isa;
mod math;
mod matrix;
mod ops;
mod shuffle;

/// For the crates of this workspace; may change in any release.
#[doc(hidden)]
pub mod internal {
    pub use crate::matrix::gather::{add_gathered_columns, gather_columns};
    pub use crate::ops::token_sums::{PARTIAL_SUMS, sum_in_pairs};
}

/// For tests and benchmarks; may change in any release.
#[doc(hidden)]
pub mod testing;

pub use element::Element;
pub use error::{Error, ShortText};
pub use gemm::epilogue::Epilogue;
pub use gemm::matmul::packed_matmul;
pub use gemm::packed::PackedMatrix;
pub use gemm::strided::matmul;
pub use isa::level::Level;
pub use matrix::layout::PanelLayout;
pub use matrix::panels::{Column, PanelSlice, Panels};
pub use matrix::to_contiguous;
pub use matrix::view::View;
pub use matrix::view_mut::ViewMut;
pub use ops::attention::{Attention, attention, attention_scratch_len};
pub use ops::gelu::gelu;
pub use ops::layer_norm::layer_norm;
pub use ops::random_features::random_features;
pub use ops::softmax::softmax;
pub use ops::token_sums::token_products;
pub use shuffle::ChannelOrder;

/// The example of the README, so that it is compiled as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
