//! Matrices over borrowed memory, without a vector instruction: views, token panels, copies.

mod axis;
mod copy;
mod frame;
pub(crate) mod gather;
pub(crate) mod layout;
pub(crate) mod panels;
mod rows;
pub(crate) mod view;
pub(crate) mod view_mut;

pub use copy::to_contiguous;
