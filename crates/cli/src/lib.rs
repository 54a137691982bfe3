//! What the program `shuffle-vit` is made of: labelled sets and the commands.

#![forbid(unsafe_code)]

pub mod idx;

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
