//! Any octets, some damaged, cut anywhere: the same findings, each octet accounted for, bounded memory.
#![no_main]

#[path = "../../tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::scanner::scanner(data);
});
