//! Views against copies: see [`fuzz::view`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::view::run(data));
