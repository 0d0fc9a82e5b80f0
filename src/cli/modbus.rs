//! Frames of Modbus for a person: what octets are, which registers they are about.

use crate::mqtt::payload::RegisterJson;
use catalogue::{Profile, Register};
use modbus::Span;
use modbus::rtu::{self, BadFrame, Frame, Reply, Request, Side};
use std::collections::BTreeMap;

/// A frame of either side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Of who asks.
    Asked(Request),
    /// Of a meter.
    Answered(Reply),
}

impl Said {
    /// What a frame is; the side is known.
    pub(super) fn of(unit: u8, pdu: &[u8], side: Side) -> Option<Self> {
        match side {
            Side::Reader => Request::of_pdu(unit, pdu).map(Self::Asked),
            Side::Meter => Reply::of_pdu(unit, pdu).map(Self::Answered),
        }
    }

    /// The frame that these octets begin with, on a line where both sides are heard, and how many of them it has.
    /// Behind a request its answer is looked for first: of some functions both look alike.
    pub(super) fn first(octets: &[u8], open: Option<&Request>) -> Option<(Self, usize)> {
        let of = |side| {
            let (frame, length) = Frame::first(octets, side).ok()?;
            Some((Self::of(frame.unit, frame.pdu, side)?, length))
        };
        match open {
            Some(_) => of(Side::Meter).or_else(|| of(Side::Reader)),
            None => of(Side::Reader).or_else(|| of(Side::Meter)),
        }
    }
}

/// Why octets are no frame, that of this side rather: one that ends with them has another CRC, or one that begins with
/// them is cut short.
pub(super) fn no_frame(octets: &[u8], side: Side) -> String {
    let sides = match side {
        Side::Reader => [Side::Reader, Side::Meter],
        Side::Meter => [Side::Meter, Side::Reader],
    };
    let whole = |own: &&[u8]| sides.into_iter().any(|side| rtu::length(own, side) == Ok(own.len()));
    let mut ends = (0..octets.len()).filter_map(|from| octets.get(from..));
    if let Some([body @ .., low, high]) = ends.find(whole) {
        let (stated, computed) = (u16::from_be_bytes([*low, *high]), rtu::crc(body).swap_bytes());
        return format!("CRC is {stated:04X}, computed {computed:04X}");
    }
    match rtu::length(octets, side) {
        Ok(length) if length > octets.len() => {
            format!("the frame is cut short: {} more octets belong to it", length - octets.len())
        }
        Err(BadFrame::Incomplete) => "the frame is cut short".to_owned(),
        Ok(_) | Err(BadFrame::NotAFrame | BadFrame::Behind(_)) => "no frame".to_owned(),
    }
}

/// The registers of a profile that lie in a span.
fn inside(profile: &'static Profile, span: Span) -> impl Iterator<Item = Register> {
    let is_inside =
        move |register: &Register| register.location().is_some_and(|own| span.contains(&own.span));
    profile.catalogue().registers().filter(is_inside)
}

/// The names of what is asked for: the first, and whether there are more.
pub(super) fn named(profile: Option<&'static Profile>, span: Span) -> Option<String> {
    let mut names = inside(profile?, span);
    let first = names.next()?;
    Some(match names.next() {
        None => format!("{} {}", first.name(), first.name_zh()),
        Some(_) => format!("{} and on", first.name()),
    })
}

/// Values of registers out of answers, one after the other: some are scaled by others.
#[derive(Debug)]
pub(super) struct Reading {
    profile: &'static Profile,
    /// Powers of ten that answers gave.
    scales: BTreeMap<String, i32>,
}

impl Reading {
    pub(super) const fn of(profile: &'static Profile) -> Self {
        Self { profile, scales: BTreeMap::new() }
    }

    /// The registers of an answer to a request for this span.
    pub(super) fn take(&mut self, span: Span, words: &[u16]) -> Vec<RegisterJson> {
        let words_of = |register: &Register| {
            let own = register.location()?.span;
            let from = usize::from(own.address.checked_sub(span.address)?);
            words.get(from..from + usize::from(own.count))
        };
        let all: Vec<Register> = inside(self.profile, span).collect();
        for register in &all {
            let number = words_of(register)
                .and_then(|own| register.decode_words(own, 0).ok()?.number())
                .and_then(|number| i32::try_from(number).ok());
            if let Some(number) = number {
                self.scales.insert(register.name().to_string(), number);
            }
        }
        all.iter().filter_map(|register| Some(self.one(*register, words_of(register)?))).collect()
    }

    fn one(&self, register: Register, words: &[u16]) -> RegisterJson {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let location = register.location();
        let map = location.and_then(|own| {
            let maps = &self.profile.manner()?.maps;
            Some(format!("if the meter has the map {}", maps.get(usize::from(own.map?))?.name))
        });
        let needed = location.and_then(|own| own.exponent.as_deref());
        let known = needed.map(|name| self.scales.get(name).copied().ok_or(name));
        let json = match known.unwrap_or(Ok(0)) {
            Ok(exponent) => {
                let value = register.decode_words(words, exponent);
                RegisterJson::of_value(register, &octets, value)
            }
            Err(name) => RegisterJson {
                detail: Some(format!("it is scaled by {name}, which no answer before has")),
                ..RegisterJson::of_value(register, &octets, Err(dlt645::format::NoValue::Missing))
            },
        };
        RegisterJson { detail: json.detail.or(map), ..json }
    }
}
