//! Any request, any octets, damaged octets and times: it ends in time and believes only the asked meter.
#![no_main]

#[path = "../../tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz_bodies::exchange::exchange(data);
});
