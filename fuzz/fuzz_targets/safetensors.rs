//! Hostile bytes as a checkpoint: see [`fuzz::bytes`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::bytes::run(data));
