//! Builds only while `dlt645`, `modbus` and all below them do without std: with std there would be two panic
//! handlers (E0152). It holds nothing to run. Build it by itself:
//! `cargo build --locked --manifest-path protocols/dlt645/nostd-check/Cargo.toml`.
#![no_std]
#![forbid(unsafe_code)]

// Named, so that nothing of them is left out.
pub use dlt645::{Address, exchange, format, frame, meter, pdu, scanner};
pub use modbus::{Exception, Format, Span, UnitId, exchange as modbus_exchange, rtu, tcp};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
