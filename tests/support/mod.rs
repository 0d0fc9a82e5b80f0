//! What several whole-program tests share: frames of a meter, configurations, waiting for a condition.
#![allow(dead_code, reason = "each test uses its part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests fail loudly"
)]

use dlt645::frame::{Control, Frame, emit};
use dlt645::{Address, Di, Edition};
use meterd::config::{self, Plan};
use std::path::Path;
use std::time::Duration;

pub(crate) mod broker;
pub(crate) mod stub;

/// A meter's reply to a read, without FE.
pub(crate) fn reply(address: &str, di: &str, octets: &[u8]) -> Vec<u8> {
    let mut data = di.parse::<Di>().unwrap().to_wire().to_vec();
    data.extend_from_slice(octets);
    frame(address, Control::reply(0x11, false), &data)
}

/// Any frame.
pub(crate) fn frame(address: &str, control: Control, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    emit(address.parse::<Address>().unwrap(), control, data, &mut out).unwrap();
    out
}

/// The DI and the address that a request with its FE asks for.
pub(crate) fn asked(request: &[u8]) -> (String, String) {
    let start = request.iter().position(|o| *o == 0x68).unwrap();
    let frame = Frame::parse(&request[start..]).unwrap();
    (
        frame.data().take_di(Edition::E2007).map(|di| di.to_string()).unwrap_or_default(),
        frame.address().to_string(),
    )
}

/// A plan from a configuration's text; `$DATA` becomes `data`.
pub(crate) fn plan(text: &str, data: &Path) -> Plan {
    let text = text.replace("$DATA", data.to_str().unwrap());
    match config::plan_from_text("test.toml", &text, data) {
        Ok(loaded) => loaded.plan,
        Err(faults) => panic!("{faults}"),
    }
}

/// Waits until `holds` does, looking every few milliseconds; panics with `what` after 20 s of
/// nothing. For tests on real time, which wait for a condition and never for luck.
pub(crate) async fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4000 {
        if let Some(found) = holds() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain until {what}");
}

/// The numbers under `key` in JSON texts, digit for digit.
pub(crate) fn digits_of<'a>(text: &'a str, register: &str) -> Option<&'a str> {
    let at = text.find(&format!("\"register\":\"{register}\""))?;
    let rest = &text[at..];
    let value = &rest[rest.find("\"value\":")? + 8..];
    value.split([',', '}']).next()
}
