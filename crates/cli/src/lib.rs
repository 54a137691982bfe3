//! What the program `shuffle-vit` is made of: images and labelled sets as the input of a model, and the commands.

#![forbid(unsafe_code)]

pub mod idx;
pub mod images;

mod args;
mod buffer;
mod classes;
mod commands;
mod dataset;
mod diagnostics;
mod models;
mod report;
mod stats;
mod theory;
mod threads;

pub use commands::main;

/// The examples of the README, so that they are compiled and run as everything else is.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
