//! What a stream of octets holds, as the objects of `meterd decode --json`; their form is a public contract.

use super::modbus;
use crate::cli::profiles::dialect;
use crate::mqtt::json::Scalar;
use crate::mqtt::payload::RegisterJson;
use catalogue::Profile;
use dlt645::frame::Frame;
use dlt645::pdu::Reply;
use dlt645::scanner::{Damage, Found, Scanner};
use dlt645::{Address, Di, Edition, ErrorWord};
use serde::Serialize;
use std::borrow::Cow;

/// One thing that the stream holds.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum Object {
    /// A sound frame of DL/T 645.
    Frame(Box<FrameObject>),
    /// A sound frame of Modbus.
    Modbus(Box<modbus::FrameObject>),
    /// Octets that are none.
    Damaged(DamagedObject),
}

/// A sound frame.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FrameObject {
    pub(in crate::cli) protocol: &'static str,
    pub(in crate::cli) direction: &'static str,
    pub(in crate::cli) address: String,
    pub(in crate::cli) control: String,
    pub(in crate::cli) function: Option<&'static str>,
    pub(in crate::cli) more: bool,
    pub(in crate::cli) error: Option<ErrorObject>,
    pub(in crate::cli) di: Option<String>,
    pub(in crate::cli) offset: u64,
    pub(in crate::cli) frame: String,
    pub(in crate::cli) registers: Vec<RegisterJson>,
    /// The frame in one line, for a person.
    #[serde(skip)]
    pub(in crate::cli) line: String,
}

/// An abnormal answer's error word.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ErrorObject {
    pub(in crate::cli) code: String,
    pub(in crate::cli) meaning: Vec<Cow<'static, str>>,
}

/// Octets that are no frame.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct DamagedObject {
    pub(in crate::cli) damaged: String,
    pub(in crate::cli) offset: u64,
    pub(in crate::cli) octets: String,
}

/// Everything that the octets hold, in their order, with the registers of a profile where its meters are asked. FE
/// before frames are not told.
pub(in crate::cli) fn objects(octets: &[u8], profile: Option<&'static Profile>) -> Vec<Object> {
    let mut scanner = Scanner::default();
    scanner.push(octets);
    scanner.end();
    let mut found = Vec::new();
    let mut reading = Following { begun: None, profile };
    // Octets before this one are told.
    let mut told = 0usize;
    let mut damage: Option<String> = None;
    while let Some(next) = scanner.next() {
        match next {
            Found::Frame { frame, .. } => {
                let len = frame.octets().len();
                let object = reading.frame(&frame);
                let begin = scanner.decided() as usize - len;
                found.extend(damaged(octets, told, begin, damage.take()));
                found.push(Object::Frame(Box::new(FrameObject { offset: begin as u64, ..object })));
                told = begin + len;
            }
            Found::Damaged(why) => {
                damage.get_or_insert_with(|| match why {
                    Damage::Checksum { stated, computed } => {
                        format!("checksum is {stated:02X}, computed {computed:02X}")
                    }
                    Damage::Octet => "the line damaged an octet".to_owned(),
                });
            }
            Found::Noise(_) => {}
        }
    }
    found.extend(damaged(octets, told, octets.len(), damage));
    found
}

/// What lies between two frames, if it is more than FE octets.
fn damaged(octets: &[u8], from: usize, to: usize, why: Option<String>) -> Option<Object> {
    let between = octets.get(from..to)?;
    let begin = between.iter().position(|octet| *octet != 0xFE)?;
    let end = between.iter().rposition(|octet| *octet != 0xFE)? + 1;
    let own = &between[begin..end];
    let why = why.unwrap_or_else(|| match Frame::parse(own) {
        Ok(_) => "no frame".to_owned(),
        Err(dlt645::frame::NoFrame::Incomplete { missing }) => {
            format!("the frame is cut short: at least {missing} more octets belong to it")
        }
        Err(no_frame @ dlt645::frame::NoFrame::Not(_)) => no_frame.to_string(),
    });
    Some(Object::Damaged(DamagedObject { damaged: why, offset: (from + begin) as u64, octets: hex(own) }))
}

/// A read whose reply goes over several frames.
struct Following {
    begun: Option<(Address, Di, Vec<u8>)>,
    profile: Option<&'static Profile>,
}

impl Following {
    /// The registers of a whole reply.
    fn registers(&self, di: Di, octets: &[u8]) -> Vec<RegisterJson> {
        RegisterJson::of_reply(dialect(self.profile, di.edition()).catalogue(), di.into(), octets)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> FrameObject {
        let control = frame.control();
        let edition = frame.edition();
        let reply = Reply::parse(frame).ok();
        let (mut di, mut error, mut registers) = (None, None, Vec::new());
        match &reply {
            Some(Reply::Data { from, di: of, octets, more }) => {
                di = Some(*of);
                let octets: Vec<u8> = octets.clone().collect();
                if *more {
                    self.begun = Some((*from, *of, octets));
                } else {
                    registers = self.registers(*of, &octets);
                }
            }
            Some(Reply::More { from, di: of, octets, more, .. }) => {
                di = Some(*of);
                match self.begun.take() {
                    Some((begun_by, begun, mut joined)) if begun_by == *from && begun == *of => {
                        joined.extend(octets.clone());
                        if *more {
                            self.begun = Some((begun_by, begun, joined));
                        } else {
                            registers = self.registers(*of, &joined);
                        }
                    }
                    Some(_) | None => {}
                }
            }
            Some(Reply::Repeated { di: of, octets, more: false, .. }) => {
                di = Some(*of);
                registers = self.registers(*of, &octets.clone().collect::<Vec<u8>>());
            }
            Some(Reply::Repeated { di: of, .. } | Reply::Security { di: of, .. }) => di = Some(*of),
            Some(Reply::Address { address, .. }) => registers.push(address_object(*address)),
            Some(Reply::Refused { word, .. }) => error = Some(error_object(*word)),
            Some(Reply::Done { .. } | Reply::Rate { .. } | Reply::Password { .. } | Reply::Output { .. }) => {
            }
            None if !control.from_meter() && has_di(control.function()) => di = frame.data().take_di(edition),
            None => {}
        }
        FrameObject {
            protocol: match edition {
                Edition::E1997 => "dlt645-1997",
                Edition::E2007 => "dlt645-2007",
            },
            direction: if control.from_meter() { "reply" } else { "request" },
            address: frame.address().to_string(),
            control: control.to_string(),
            function: frame.function_name(),
            more: control.more(),
            error,
            di: di.map(|di| di.to_string()),
            offset: 0,
            frame: hex(frame.octets()),
            registers,
            line: frame.to_string(),
        }
    }
}

/// Functions whose requests begin with a data identifier.
fn has_di(function: u8) -> bool {
    use dlt645::pdu::function::{
        READ, READ_1997, READ_MORE, READ_MORE_1997, SET_PASSWORD, WRITE, WRITE_1997,
    };
    [READ, READ_MORE, WRITE, SET_PASSWORD, READ_1997, READ_MORE_1997, WRITE_1997].contains(&function)
}

fn address_object(address: Address) -> RegisterJson {
    let value = Some(Scalar::Text(address.to_string()));
    RegisterJson { register: Some("communication_address".to_owned()), value, ..RegisterJson::default() }
}

fn error_object(word: ErrorWord) -> ErrorObject {
    let code = match word {
        ErrorWord::Of1997(code) | ErrorWord::Of2007(code) => format!("{code:02X}"),
        ErrorWord::Security(code) => format!("{code:04X}"),
    };
    ErrorObject { code, meaning: word.meanings().map(Cow::Borrowed).collect() }
}

/// Unspaced, in the order of the wire.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
