//! `[[bus]]`: RS-485 lines (总线).

use super::dial_in::{self, Place};
use super::every;
use super::findings::{At, Findings, Here};
use super::keys::not_among;
use super::packet::Packet;
use super::plan::{BadPort, Bus, Direction, PortAddress, PortSettings};
use super::raw::{self, Section};
use crate::planner::{CharFormat, Line, RATES};
use dlt645::frame::START;
use std::time::Duration;

/// An answer that is later than this will be taken for silence in any case.
const LONGEST_LATENCY: Duration = Duration::from_secs(10);

/// What was written, as far as it is sound.
#[derive(Debug)]
pub(super) struct Written {
    /// The name as meters write it, sound or not.
    pub(super) name: Option<At<String>>,
    pub(super) bus: Option<Bus>,
    /// Whether its rate and its character are written.
    pub(super) line: (bool, bool),
    /// FE octets before requests to its meters, where they are written.
    pub(super) preamble: Option<u8>,
}

/// FE octets that wake a meter (DL/T 645-2007 clause 5.2: 4), and the most that is of use.
pub(super) const PREAMBLE: u8 = 4;
const MOST_PREAMBLE: u8 = 16;
/// The word for a pause that is learned.
const LEARNED: &str = "learned";
/// The longest pause that is of use.
const MOST_TURNAROUND: Duration = Duration::from_secs(2);

/// Reads all lines; names and ports must differ, and the DTUs on one port.
pub(super) fn read(sections: &[Section], findings: &mut Findings) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::with_capacity(sections.len());
    let mut ports: Vec<At<PortAddress>> = Vec::with_capacity(sections.len());
    let mut places: Vec<Place> = Vec::new();
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
            let is_shared = matches!(port.value, PortAddress::Listen(_));
            if let Some(other) = ports.iter().find(|other| !is_shared && other.value == port.value) {
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
        let line = (section.has("baud"), section.has("frame"));
        let baud = match baud {
            Some(number) => rate_of(&number, findings),
            None => Some(Line::DEFAULT.baud),
        };
        let frame = match frame {
            Some(text) => frame_of(&text, findings),
            None => Some(Line::DEFAULT.frame),
        };
        let settings = settings(section, port.as_ref(), &mut places, findings);
        let bus = proved.zip(port).zip(baud.zip(frame)).zip(settings.zip(turnaround)).map(
            |(((name, port), (baud, frame)), (settings, turnaround))| Bus {
                name,
                port: port.value,
                line: Line { baud, frame },
                turnaround,
                settings,
            },
        );
        written.push(Written { name, bus, line, preamble });
    }
    dial_in::prove(&places, findings);
    written
}

/// What is peculiar to the kind of port; nothing if a part of it is a fault.
fn settings(
    section: &Section,
    port: Option<&At<PortAddress>>,
    places: &mut Vec<Place>,
    findings: &mut Findings,
) -> Option<PortSettings> {
    let written_latency = section.text("latency", findings);
    let written_direction = section.text("direction", findings);
    let usual = port.map(|port| PortSettings::usual(&port.value));
    let latency = match &written_latency {
        Some(text) => latency_of(text, findings),
        None => usual.as_ref().map(|usual| usual.latency),
    };
    let direction = match &written_direction {
        Some(text) => direction_of(text, findings),
        None => usual.as_ref().map(|usual| usual.direction),
    };
    let registration = packet_of("registration", "registration_hex", section, findings);
    let heartbeat = packet_of("heartbeat", "heartbeat_hex", section, findings);
    if let Some(Some(packet)) =
        heartbeat.as_ref().filter(|h| h.as_ref().is_some_and(|h| h.value.octets() == [START]))
    {
        findings.fault(
            &packet.here,
            "a heartbeat of the one octet 68 cannot be told from a frame of DL/T 645; give the DTU another",
        );
    }
    let port = port?;
    let is_serial = matches!(port.value, PortAddress::Serial(_));
    if let Some(text) = written_direction.filter(|_| !is_serial) {
        findings.fault(
            &text.here,
            "direction is of a serial adapter; a serial server turns its line itself, leave it out",
        );
    }
    match port.value {
        PortAddress::Listen(_) => places.push(Place {
            port: port.clone(),
            is_broken: registration.is_none() || heartbeat.is_none(),
            registration: registration.clone().flatten(),
            heartbeat: heartbeat.clone().flatten(),
        }),
        PortAddress::Serial(_) | PortAddress::Tcp { .. } => {
            let packets = [("registration", &registration), ("heartbeat", &heartbeat)];
            for (key, packet) in packets.into_iter().filter_map(|(k, p)| Some((k, p.as_ref()?.as_ref()?))) {
                findings.fault(
                    &packet.here,
                    format!("{key} is of a DTU that dials in; write port = \"tcp-listen://0.0.0.0:PORT\", or leave it out"),
                );
            }
        }
    }
    Some(PortSettings {
        latency: latency?,
        direction: direction?,
        registration: registration?.map(|at| at.value),
        heartbeat: heartbeat?.map(|at| at.value),
    })
}

/// A packet as text or as hexadecimal octets; nothing if it is a fault.
fn packet_of(
    as_text: &'static str,
    as_hex: &'static str,
    section: &Section,
    findings: &mut Findings,
) -> Option<Option<At<Packet>>> {
    let (text, digits) = (section.text(as_text, findings), section.text(as_hex, findings));
    let (written, key, packet) = match (text, digits) {
        // What is written and is no text is a fault already.
        (None, None) => return (!section.has(as_text) && !section.has(as_hex)).then_some(None),
        (Some(_), Some(digits)) => {
            findings.fault(&digits.here, format!("{as_hex} and {as_text} say the same; write one of them"));
            return None;
        }
        (Some(text), None) => {
            let packet = Packet::new(text.value.clone().into_bytes());
            (text, as_text, packet)
        }
        (None, Some(digits)) => {
            let packet = Packet::from_hex(&digits.value);
            (digits, as_hex, packet)
        }
    };
    match packet {
        Ok(value) => Some(Some(At { value, here: written.here })),
        Err(bad) => {
            findings.fault(&written.here, format!("{key} \"{}\" cannot be used: {bad}", written.value));
            None
        }
    }
}

/// `300ms` or `2s`.
fn latency_of(text: &At<String>, findings: &mut Findings) -> Option<Duration> {
    let latency = every::short(&text.value).ok();
    let sound = latency.filter(|latency| *latency <= LONGEST_LATENCY);
    if sound.is_none() {
        let asked = &text.value;
        findings.fault(
            &text.here,
            format!("latency \"{asked}\" cannot be used: write 0ms to 10s, \"300ms\" or \"2s\""),
        );
    }
    sound
}

fn direction_of(text: &At<String>, findings: &mut Findings) -> Option<Direction> {
    let found = Direction::ALL.into_iter().find(|direction| direction.word() == text.value);
    if found.is_none() {
        let known = Direction::ALL.map(Direction::word);
        findings.fault(&text.here, not_among("direction", &text.value, &known));
    }
    found
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
        BadPort::Server | BadPort::Listen | BadPort::Form => bad.to_string(),
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
