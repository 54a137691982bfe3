#![no_std]
//! SIMD kernels for tiny vision transformers, without std and without allocation.
//!
//! Matrices are **channel-major**: one contiguous row of tokens per channel, so vectors run along tokens. What follows:
//! layer norm and softmax need no horizontal reduction, every product has the form weights x tokens, and a channel shuffle
//! is an order of rows that costs nothing at any depth ([`ChannelOrder`]).
//!
//! Each operation takes a [`Level`], borrows its operands as [`View`]s, takes scratch from the caller and answers a wrong
//! shape with an [`Error`].
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
//! At every level with fused multiply-add an element is the same chain of operations: K is summed in order, approximations
//! are the same polynomials, sums over channels have the same partial sums. Results do not depend on the level, the
//! neighbours in a matrix or a thread count (what kind of NaN comes out may). Two exceptions: [`Level::PORTABLE`], whose multiply-adds round twice, and
//! [`matmul`] with the feature `matrixmultiply`.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `std` | yes | levels are detected at run time instead of at build time |
//! | `matrixmultiply` | yes | [`matmul`] on evenly strided views by the crate of that name; needs alloc |

#[cfg(any(feature = "std", test))]
extern crate std;

mod attention;
mod columns;
mod error;
mod gather;
mod gelu;
mod layer_norm;
mod level;
mod math;
mod matmul;
mod panel;
mod peak;
mod random_features;
pub mod reference;
mod shuffle;
mod simd;
mod softmax;
mod token_sums;
mod view;

pub use attention::{Attention, attention, attention_scratch_len};
pub use error::Error;
pub use gather::{add_gathered_columns, gather_columns};
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use level::Level;
pub use matmul::{Epilogue, PackedMatrix, matmul, packed_matmul};
pub use panel::{Column, PanelLayout, Panels, Piece};
pub use peak::multiply_add_loop;
pub use random_features::random_features;
pub use shuffle::{ChannelOrder, materialise};
pub use softmax::softmax;
pub use token_sums::{PARTIAL_SUMS, sum_in_pairs, token_products};
pub use view::{View, ViewMut};
