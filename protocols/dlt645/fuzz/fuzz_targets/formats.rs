//! Any octets as any register: no panic, and what is a value is written back as the same value.
#![no_main]

#[path = "../../tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::formats::formats(data);
});
