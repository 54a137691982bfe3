#![no_std]
//! The kernels behind a C interface (`include/bare.h`), for firmware: no std, no heap, every buffer the caller's.
//!
//! Matrices are channel-major: a row of tokens per channel, rows one after the other. With the feature `model` a whole
//! model comes along, its weights in a static array.

mod kernel;
mod memory;
#[cfg(feature = "model")]
mod model;

use core::panic::PanicInfo;

/// What a function answers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is null or not aligned as a `float` is.
    Pointer = 1,
    /// A size is impossible, or a buffer is too short. Nothing was written.
    Size = 2,
}

impl From<kernels::Error> for Status {
    fn from(_: kernels::Error) -> Self {
        Status::Size
    }
}

/// A function's body, which leaves with `?`, as its answer.
fn status(body: impl FnOnce() -> Result<(), Status>) -> Status {
    body().err().unwrap_or(Status::Ok)
}

/// Nothing here panics on any input; if a defect makes it panic all the same, the program stops where a debugger finds it.
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
