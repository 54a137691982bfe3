//! A checkpoint damaged in a few places: see [`fuzz::checkpoint`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::checkpoint::run(data));
