//! `[[bus]]`: RS-485 lines (总线).

use super::findings::{At, Findings};
use super::plan::{BadPort, Bus, PortAddress};
use super::raw::{self, Section};
use crate::planner::{CharFormat, Line, RATES};

/// What was written, as far as it is sound.
#[derive(Debug)]
pub(super) struct Written {
    /// The name as meters write it, sound or not.
    pub(super) name: Option<At<String>>,
    pub(super) bus: Option<Bus>,
}

/// Reads all lines; names and ports must differ.
pub(super) fn read(sections: &[Section], findings: &mut Findings) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::with_capacity(sections.len());
    let mut ports: Vec<At<PortAddress>> = Vec::with_capacity(sections.len());
    for section in sections {
        let name = section.required("name", "\"riser-1\"", findings);
        let port = section.required("port", "\"/dev/ttyUSB0\" or \"tcp://192.0.2.7:4001\"", findings);
        let baud = section.integer("baud", findings);
        let frame = section.text("frame", findings);

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
        let bus = proved.zip(port).zip(baud).zip(frame).map(|(((name, port), baud), frame)| Bus {
            name,
            port: port.value,
            line: Line { baud, frame },
        });
        written.push(Written { name, bus });
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

fn rate_of(number: &At<i64>, findings: &mut Findings) -> Option<u32> {
    let rate = RATES.into_iter().find(|rate| i64::from(*rate) == number.value);
    if rate.is_none() {
        let known = RATES.map(|rate| rate.to_string()).join(", ");
        findings
            .fault(&number.here, format!("baud {} is no rate of a line; write one of {known}", number.value));
    }
    rate
}

fn frame_of(text: &At<String>, findings: &mut Findings) -> Option<CharFormat> {
    match text.value.parse() {
        Ok(frame) => Some(frame),
        Err(bad) => {
            findings.fault(&text.here, format!("frame \"{}\" cannot be used: {bad}", text.value));
            None
        }
    }
}
