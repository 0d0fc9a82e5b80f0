//! `[[bus]]`: RS-485 lines (总线).

use super::every;
use super::findings::{At, Findings, Here};
use super::plan::{BadPort, Bus, PortAddress};
use super::raw::{self, Section};
use crate::planner::{CharFormat, Line, RATES};
use std::time::Duration;

/// What was written, as far as it is sound.
#[derive(Debug)]
pub(super) struct Written {
    /// The name as meters write it, sound or not.
    pub(super) name: Option<At<String>>,
    pub(super) bus: Option<Bus>,
    /// FE octets before requests to its meters.
    pub(super) preamble: u8,
}

/// FE octets that wake a meter (DL/T 645-2007 clause 5.2: 4), and the most that is of use.
pub(super) const PREAMBLE: u8 = 4;
const MOST_PREAMBLE: u8 = 16;
/// The word for a pause that is learned.
const LEARNED: &str = "learned";
/// The longest pause that is of use.
const MOST_TURNAROUND: Duration = Duration::from_secs(2);

/// Reads all lines; names and ports must differ.
pub(super) fn read(sections: &[Section], findings: &mut Findings) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::with_capacity(sections.len());
    let mut ports: Vec<At<PortAddress>> = Vec::with_capacity(sections.len());
    for section in sections {
        let name = section.required("name", "\"riser-1\"", findings);
        let port = section.required("port", "\"/dev/ttyUSB0\" or \"tcp://192.0.2.7:4001\"", findings);
        let baud = section.integer("baud", findings);
        let frame = section.text("frame", findings);
        let preamble = section.integer("preamble", findings);
        let preamble = preamble.and_then(|n| preamble_of(&n.here, &n.value.to_string(), findings));
        let turnaround = match section.text("turnaround", findings) {
            Some(text) => turnaround_of(&text, findings),
            None => Some(None),
        };

        let proved = name.as_ref().and_then(|text| raw::name(text, "name", findings));
        if let Some(name) = &name
            && let Some(other) =
                written.iter().filter_map(|w| w.name.as_ref()).find(|o| o.value == name.value)
        {
            let cited = findings.cite(&other.here, &name.here);
            findings.fault(&name.here, format!("name \"{}\" is taken by the bus at {cited}", name.value));
        }
        let port = port.and_then(|text| port_of(&text, findings));
        if let Some(port) = &port {
            if let Some(other) = ports.iter().find(|other| other.value == port.value) {
                let cited = findings.cite(&other.here, &port.here);
                findings.fault(
                    &port.here,
                    format!(
                        "port \"{}\" is already used by the bus at {cited}; one line has one bus",
                        port.value
                    ),
                );
            }
            ports.push(port.clone());
        }
        let baud = match baud {
            Some(number) => rate_of(&number, findings),
            None => Some(Line::DEFAULT.baud),
        };
        let frame = match frame {
            Some(text) => frame_of(&text, findings),
            None => Some(Line::DEFAULT.frame),
        };
        let bus = proved.zip(port).zip(baud).zip(frame).zip(turnaround).map(
            |((((name, port), baud), frame), turnaround)| Bus {
                name,
                port: port.value,
                line: Line { baud, frame },
                turnaround,
            },
        );
        written.push(Written { name, bus, preamble: preamble.unwrap_or(PREAMBLE) });
    }
    written
}

fn port_of(text: &At<String>, findings: &mut Findings) -> Option<At<PortAddress>> {
    match text.value.parse() {
        Ok(value) => Some(At { value, here: text.here.clone() }),
        Err(bad) => {
            findings
                .fault(&text.here, format!("port \"{}\" is no port; {}", text.value, hint(bad, &text.value)));
            None
        }
    }
}

fn hint(bad: BadPort, asked: &str) -> String {
    match bad {
        BadPort::Device => format!("write \"/dev/{asked}\""),
        BadPort::Server | BadPort::Form => bad.to_string(),
    }
}

/// FE octets of a bus or a meter.
pub(super) fn preamble_of(here: &Here, text: &str, findings: &mut Findings) -> Option<u8> {
    let number = text.parse().ok().filter(|number| *number <= MOST_PREAMBLE);
    if number.is_none() {
        findings.fault(
            here,
            format!(
                "preamble {text} is no number of FE octets; write 0 to {MOST_PREAMBLE}, {PREAMBLE} as a rule"
            ),
        );
    }
    number
}

/// The pause that is set; `Some(None)` where it is to be learned.
fn turnaround_of(text: &At<String>, findings: &mut Findings) -> Option<Option<Duration>> {
    if text.value == LEARNED {
        return Some(None);
    }
    match every::short(&text.value) {
        Ok(pause) if pause <= MOST_TURNAROUND => return Some(Some(pause)),
        Ok(_) => findings.fault(
            &text.here,
            format!("turnaround \"{}\" is too long; write 2s at most, or \"{LEARNED}\"", text.value),
        ),
        Err(bad) => {
            findings.fault(
                &text.here,
                format!("turnaround \"{}\" cannot be used: {bad}; or write \"{LEARNED}\"", text.value),
            );
        }
    }
    None
}

pub(super) fn rate_of(number: &At<i64>, findings: &mut Findings) -> Option<u32> {
    let rate = RATES.into_iter().find(|rate| i64::from(*rate) == number.value);
    if rate.is_none() {
        let known = RATES.map(|rate| rate.to_string()).join(", ");
        findings
            .fault(&number.here, format!("baud {} is no rate of a line; write one of {known}", number.value));
    }
    rate
}

pub(super) fn frame_of(text: &At<String>, findings: &mut Findings) -> Option<CharFormat> {
    match text.value.parse() {
        Ok(frame) => Some(frame),
        Err(bad) => {
            findings.fault(&text.here, format!("frame \"{}\" cannot be used: {bad}", text.value));
            None
        }
    }
}
