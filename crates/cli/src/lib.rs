//! What the program `shuffle-vit` is made of: images and labelled sets as the input of a model.

#![forbid(unsafe_code)]

pub mod idx;
pub mod images;
