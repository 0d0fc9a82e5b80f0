//! Frames of Modbus RTU out of a stream of octets, as the objects of `meterd decode --protocol modbus --json`; their form
//! is a public contract.

use super::object::{DamagedObject, ErrorObject, Object, hex};
use crate::cli::modbus::{Reading, Said, named, no_frame};
use crate::mqtt::payload::RegisterJson;
use catalogue::Profile;
use modbus::rtu::{Reply, Request, Side};
use serde::Serialize;

/// A sound frame.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FrameObject {
    pub(in crate::cli) protocol: &'static str,
    pub(in crate::cli) direction: &'static str,
    /// The unit id, decimal.
    pub(in crate::cli) address: String,
    /// The code of the function, two hexadecimal digits.
    pub(in crate::cli) function: String,
    pub(in crate::cli) error: Option<ErrorObject>,
    /// The registers that are asked for or answered, `04 0034+2`; none of an answer whose request is not known.
    pub(in crate::cli) di: Option<String>,
    pub(in crate::cli) offset: u64,
    pub(in crate::cli) frame: String,
    pub(in crate::cli) registers: Vec<RegisterJson>,
    /// The frame in one line, for a person.
    #[serde(skip)]
    pub(in crate::cli) line: String,
}

/// Everything that the octets hold, in their order. Of an answer behind its request, the registers are read by a profile.
pub(in crate::cli) fn objects(octets: &[u8], profile: Option<&'static Profile>) -> Vec<Object> {
    let mut found = Vec::new();
    let mut following = Following { open: None, profile, reading: profile.map(Reading::of) };
    let (mut at, mut noise) = (0, 0);
    while at + noise < octets.len() {
        let rest = octets.get(at + noise..).unwrap_or_default();
        let Some((said, length)) = Said::first(rest, following.open.as_ref()) else {
            noise += 1;
            continue;
        };
        found.extend(damaged(octets, at, noise, following.open.as_ref()));
        at += noise;
        noise = 0;
        let own = rest.get(..length).unwrap_or_default();
        let object = following.frame(said, own);
        found.push(Object::Modbus(Box::new(FrameObject { offset: at as u64, ..object })));
        at += length;
    }
    found.extend(damaged(octets, at, noise, following.open.as_ref()));
    found
}

/// What is between two frames.
fn damaged(octets: &[u8], from: usize, count: usize, open: Option<&Request>) -> Option<Object> {
    let own = octets.get(from..from + count).filter(|own| !own.is_empty())?;
    let damaged = no_frame(own, if open.is_some() { Side::Meter } else { Side::Reader });
    Some(Object::Damaged(DamagedObject { damaged, offset: from as u64, octets: hex(own) }))
}

/// Requests and their answers.
struct Following {
    /// A request whose answer has not come.
    open: Option<Request>,
    profile: Option<&'static Profile>,
    reading: Option<Reading>,
}

impl Following {
    fn frame(&mut self, said: Said, octets: &[u8]) -> FrameObject {
        match said {
            Said::Asked(request) => self.asked(request, octets),
            Said::Answered(reply) => self.answered(&reply, octets),
        }
    }

    fn asked(&mut self, request: Request, octets: &[u8]) -> FrameObject {
        let span = request.span();
        let name = span.and_then(|span| named(self.profile, span));
        let name = name.map(|name| format!("  ({name})")).unwrap_or_default();
        let object = FrameObject {
            protocol: "modbus",
            direction: "request",
            address: request.unit().to_string(),
            function: format!("{:02X}", request.function()),
            error: None,
            di: span.map(|span| span.to_string()),
            offset: 0,
            frame: hex(octets),
            registers: Vec::new(),
            line: format!("{request}{name}"),
        };
        self.open = Some(request);
        object
    }

    fn answered(&mut self, reply: &Reply, octets: &[u8]) -> FrameObject {
        let is_its = |open: &Request| open.unit() == reply.unit() && open.function() == reply.function();
        let span = self.open.take().filter(is_its).and_then(|open| open.span());
        let words = reply.words();
        let fits = |own: &modbus::Span| words.as_ref().is_none_or(|w| w.len() == usize::from(own.count));
        let span = span.filter(fits);
        let registers = match (span, &words, &mut self.reading) {
            (Some(span), Some(words), Some(reading)) => reading.take(span, words),
            (_, _, _) => Vec::new(),
        };
        let error = reply.exception().map(|exception| {
            let code = format!("{:02X}", exception.code());
            let name = exception.to_string();
            let meaning = name.split(" (").next().unwrap_or_default().to_owned();
            ErrorObject { code, meaning: vec![meaning.into()] }
        });
        FrameObject {
            protocol: "modbus",
            direction: "reply",
            address: reply.unit().to_string(),
            function: format!("{:02X}", reply.function()),
            error,
            di: span.map(|span| span.to_string()),
            offset: 0,
            frame: hex(octets),
            registers,
            line: reply.to_string(),
        }
    }
}
