//! What a caller writes: a JSON object on `command/{verb}`. Pure.

use super::Word;
use dlt645::frame::Frame;
use dlt645::pdu::Request;
use jiff::{SignedDuration, Timestamp};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use std::time::Duration;

/// Octets of a command; an archive or a list of tasks may be longer.
const LARGEST: usize = 64 * 1024;
const LARGEST_FILE: usize = 1024 * 1024;
/// Characters of an id or an author.
const LONGEST_NAME: usize = 64;
/// Registers that one command asks a meter for.
const REGISTERS: usize = 256;
/// How long a command may take if it does not say.
const USUAL: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// A command's payload, whatever its verb.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "meterd command")]
pub struct Written {
    /// The caller's id for it, 1 to 64 characters. A second command of the same author with the same id does nothing.
    pub id: String,
    /// Who asks, up to 64 characters; it stands in the audit table.
    #[serde(default)]
    pub author: String,
    /// From this instant on it is void if it has not begun.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
    /// How long it may take from its arrival, in seconds: 1 to 3600, by default 60.
    #[serde(default)]
    pub timeout_s: Option<u64>,
    /// `read`, `clock`: names of meters, or patterns with * and ?.
    #[serde(default)]
    pub meters: Option<Vec<String>>,
    /// `read`: registers by name, OBIS code, DI or pattern.
    #[serde(default)]
    pub registers: Option<Vec<String>>,
    /// `resend`: the first and the last number.
    #[serde(default)]
    pub seq: Option<[u64; 2]>,
    /// `resend`: the first instant, by slot.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub from: Option<String>,
    /// `resend`: the last instant.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub to: Option<String>,
    /// `loglevel`: error, warn, info, debug or trace, or a filter.
    #[serde(default)]
    pub level: Option<String>,
    /// `archive`: the whole CSV file of meters; `tasks`: the whole TOML text of [[task]] tables.
    #[serde(default)]
    pub text: Option<String>,
    /// `raw`, `raw-write`: name of the bus.
    #[serde(default)]
    pub bus: Option<String>,
    /// `raw`, `raw-write`: the frame from its first 68 to its 16, hexadecimal; FE in front are left out.
    #[serde(default)]
    pub frame: Option<String>,
}

/// JSON Schema (2020-12) of a command.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Written>()
}

/// A sound command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The caller's id.
    pub id: String,
    /// Who asks; may be empty.
    pub author: String,
    /// From then on it is void, or ends with what it has.
    pub until: Timestamp,
    /// What is asked.
    pub what: What,
}

/// What is asked, by verb.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Registers of meters.
    Read {
        /// Names or patterns.
        meters: Vec<String>,
        /// As the caller wrote them.
        registers: Vec<String>,
    },
    /// Messages once more.
    Resend(Span),
    /// Clocks of meters.
    Clock {
        /// Names or patterns.
        meters: Vec<String>,
    },
    /// What the gateway works by.
    Plan,
    /// How the gateway is.
    Status,
    /// How much the log says.
    Loglevel(String),
    /// A new archive.
    Archive(String),
    /// New tasks.
    Tasks(String),
    /// A frame for the line.
    Raw {
        /// Name of the bus.
        bus: String,
        /// What the frame asks.
        request: Request,
    },
}

/// Which messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Span {
    /// By number, both ends.
    Seq(u64, u64),
    /// By instant, both ends.
    Time(Timestamp, Timestamp),
}

/// Why a payload is no order, with the id as far as it could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    /// The caller's id, where there is one.
    pub id: Option<String>,
    /// Whether it is too long rather than wrong.
    pub too_large: bool,
    /// A sentence that says what to write.
    pub detail: String,
}

/// Reads a payload that came at `now`.
///
/// # Errors
/// [`Bad`].
pub fn parse(verb: Word, payload: &[u8], now: Timestamp) -> Result<Order, Bad> {
    let largest = if matches!(verb, Word::Archive | Word::Tasks) { LARGEST_FILE } else { LARGEST };
    if payload.len() > largest {
        let detail = format!("{} octets; a {} command has {largest} at most", payload.len(), verb.text());
        return Err(Bad { id: None, too_large: true, detail });
    }
    let written: Written = serde_json::from_slice(payload).map_err(|error| {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        let id = serde_json::from_slice::<Id>(payload).ok().map(|named| named.id).filter(|id| is_name(id));
        Bad { id, too_large: false, detail: format!("the payload is no command: {error}") }
    })?;
    if !is_name(&written.id) {
        let detail = "id must have 1 to 64 characters, none of them a control character".to_owned();
        return Err(Bad { id: None, too_large: false, detail });
    }
    let bad = |detail: String| Bad { id: Some(written.id.clone()), too_large: false, detail };
    if !written.author.is_empty() && !is_name(&written.author) {
        return Err(bad("author must have up to 64 characters, none of them a control character".to_owned()));
    }
    let timeout = match written.timeout_s {
        None => USUAL,
        Some(seconds) if (1..=LONGEST.as_secs()).contains(&seconds) => Duration::from_secs(seconds),
        Some(seconds) => {
            return Err(bad(format!("timeout_s {seconds} is not from 1 to {}", LONGEST.as_secs())));
        }
    };
    let late = now.saturating_add(timeout).unwrap_or(Timestamp::MAX);
    let expires = written.expires.as_deref().map(|text| instant("expires", text)).transpose().map_err(bad)?;
    let until = expires.map_or(late, |expires| expires.min(late));
    let what = what(verb, &written).map_err(bad)?;
    Ok(Order { id: written.id, author: written.author, until, what })
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn what(verb: Word, written: &Written) -> Result<What, String> {
    let strange = foreign(verb, written);
    if let Some(key) = strange {
        return Err(format!("a {} command has no {key}; leave it out", verb.text()));
    }
    let missing = |key: &str, example: &str| format!("a {} command needs {key}: {example}", verb.text());
    let meters = || match &written.meters {
        Some(meters) if !meters.is_empty() => Ok(meters.clone()),
        Some(_) | None => Err(missing("meters", "[\"flat-101\"], or [\"*\"] for all")),
    };
    let text = |value: &Option<String>, key: &str, example: &str| {
        value.clone().filter(|text| !text.is_empty()).ok_or_else(|| missing(key, example))
    };
    Ok(match verb {
        Word::Read => match &written.registers {
            Some(registers) if (1..=REGISTERS).contains(&registers.len()) => {
                What::Read { meters: meters()?, registers: registers.clone() }
            }
            Some(registers) if registers.len() > REGISTERS => {
                return Err(format!("{} registers; {REGISTERS} at most in one command", registers.len()));
            }
            Some(_) | None => return Err(missing("registers", "[\"voltage_l1\"]")),
        },
        Word::Clock => What::Clock { meters: meters()? },
        Word::Resend => What::Resend(span(written)?),
        Word::Plan => What::Plan,
        Word::Status => What::Status,
        Word::Loglevel => What::Loglevel(text(&written.level, "level", "\"debug\"")?),
        Word::Archive => What::Archive(text(&written.text, "text", "the whole CSV file of meters")?),
        Word::Tasks => What::Tasks(text(&written.text, "text", "the whole TOML text of [[task]] tables")?),
        Word::Raw | Word::RawWrite => What::Raw {
            bus: text(&written.bus, "bus", "\"riser-1\"")?,
            request: request(&text(&written.frame, "frame", "\"68 … 16\"")?, verb == Word::RawWrite)?,
        },
    })
}

/// A key that is written and of another verb: a caller who mistook the verb is told so.
fn foreign(verb: Word, written: &Written) -> Option<&'static str> {
    let keys = [
        ("meters", written.meters.is_some(), &[Word::Read, Word::Clock][..]),
        ("registers", written.registers.is_some(), &[Word::Read]),
        ("seq", written.seq.is_some(), &[Word::Resend]),
        ("from", written.from.is_some(), &[Word::Resend]),
        ("to", written.to.is_some(), &[Word::Resend]),
        ("level", written.level.is_some(), &[Word::Loglevel]),
        ("text", written.text.is_some(), &[Word::Archive, Word::Tasks]),
        ("bus", written.bus.is_some(), &[Word::Raw, Word::RawWrite]),
        ("frame", written.frame.is_some(), &[Word::Raw, Word::RawWrite]),
    ];
    keys.into_iter().find(|(_, is_written, of)| *is_written && !of.contains(&verb)).map(|(key, ..)| key)
}

fn instant(key: &str, text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| format!("{key} \"{text}\" is no instant; write it as \"2026-11-21T00:00:00+08:00\""))
}

fn span(written: &Written) -> Result<Span, String> {
    let from = written.from.as_deref().map(|text| instant("from", text)).transpose()?;
    let to = written.to.as_deref().map(|text| instant("to", text)).transpose()?;
    match (written.seq, from, to) {
        (Some([first, last]), None, None) if first <= last => Ok(Span::Seq(first, last)),
        (Some([first, last]), None, None) => Err(format!("seq [{first}, {last}] ends before it begins")),
        (None, Some(from), Some(to)) if from <= to => Ok(Span::Time(from, to)),
        (None, Some(_), Some(_)) => Err("to lies before from".to_owned()),
        _ => Err("a resend command needs seq: [first, last], or from and to: \"2026-11-21T00:00:00+08:00\""
            .to_owned()),
    }
}

/// The request in a frame; functions that write only where `writes`.
fn request(text: &str, writes: bool) -> Result<Request, String> {
    let octets = octets(text)?;
    let wake = octets.iter().take_while(|octet| **octet == dlt645::frame::WAKE).count();
    let frame =
        Frame::parse(&octets[wake..]).map_err(|why| format!("frame is no frame of DL/T 645: {why}"))?;
    let request = Request::parse(&frame).map_err(|why| format!("frame is no request: {why}"))?;
    match (is_reading(&request), writes) {
        (true, _) => Ok(request),
        (false, true) if request.is_answered() => Ok(request),
        (false, true) => Err("frame is a broadcast that no meter answers; it is not sent".to_owned()),
        (false, false) => Err(format!(
            "frame has function {:02X}H, which does not only read; raw lets 11H, 12H and 13H pass (1997: 01H, 02H and 03H)",
            frame.control().function()
        )),
    }
}

const fn is_reading(request: &Request) -> bool {
    matches!(
        request,
        Request::Read { .. }
            | Request::ReadRecords { .. }
            | Request::ReadMore { .. }
            | Request::ReRead { .. }
            | Request::ReadAddress
    )
}

fn octets(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect::<Option<_>>().ok_or_else(|| {
        "frame must be hexadecimal octets, such as \"68 78 56 34 12 00 00 68 11 04 33 33 34 33 … 16\""
            .to_owned()
    })
}

/// What a command may take, from an instant to its end.
pub(super) fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now).max(SignedDuration::ZERO)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn parsed(verb: Word, payload: &str) -> Result<Order, Bad> {
        parse(verb, payload.as_bytes(), NOW.parse().unwrap())
    }

    fn refused(verb: Word, payload: &str) -> String {
        parsed(verb, payload).unwrap_err().detail
    }

    #[test]
    fn a_command_is_void_at_its_expiry_or_its_timeout_whichever_is_first() {
        let until =
            |rest: &str| parsed(Word::Plan, &format!("{{\"id\":\"1\"{rest}}}")).unwrap().until.to_string();
        assert_eq!(until(""), "2026-11-21T10:01:00Z");
        assert_eq!(until(r#","timeout_s":5"#), "2026-11-21T10:00:05Z");
        assert_eq!(until(r#","expires":"2026-11-21T18:00:30+08:00""#), "2026-11-21T10:00:30Z");
        assert_eq!(until(r#","expires":"2026-11-22T18:00:30+08:00","timeout_s":5"#), "2026-11-21T10:00:05Z");
    }

    #[test]
    fn what_is_malformed_is_answered_with_what_to_write_and_with_its_id() {
        for (verb, payload, part) in [
            (Word::Read, "", "the payload is no command"),
            (Word::Read, "[]", "the payload is no command"),
            (Word::Read, r#"{"meters":["a"]}"#, "missing field `id`"),
            (Word::Read, r#"{"id":""}"#, "id must have 1 to 64 characters"),
            (Word::Read, r#"{"id":"1","author":"a\nb"}"#, "author must have up to 64"),
            (Word::Read, r#"{"id":"1","registers":["x"]}"#, "needs meters: [\"flat-101\"]"),
            (Word::Read, r#"{"id":"1","meters":["x"]}"#, "needs registers: [\"voltage_l1\"]"),
            (
                Word::Read,
                r#"{"id":"1","meters":["x"],"registers":["y"],"seq":[1,2]}"#,
                "has no seq; leave it out",
            ),
            (Word::Read, r#"{"id":"1","meter":"x"}"#, "unknown field `meter`"),
            (Word::Read, r#"{"id":"1","timeout_s":0}"#, "timeout_s 0 is not from 1 to 3600"),
            (Word::Read, r#"{"id":"1","expires":"soon"}"#, "expires \"soon\" is no instant"),
            (Word::Resend, r#"{"id":"1"}"#, "needs seq: [first, last], or from and to"),
            (Word::Resend, r#"{"id":"1","seq":[2,1]}"#, "ends before it begins"),
            (Word::Resend, r#"{"id":"1","seq":[1,2],"from":"2026-11-21T00:00:00Z"}"#, "needs seq"),
            (Word::Raw, r#"{"id":"1","bus":"x","frame":"zz"}"#, "must be hexadecimal octets"),
            (Word::Raw, r#"{"id":"1","bus":"x","frame":"68 00"}"#, "is no frame of DL/T 645"),
        ] {
            let said = refused(verb, payload);
            assert!(said.contains(part), "{payload}: {said}");
        }
        let id = |payload: &str| parsed(Word::Read, payload).unwrap_err().id;
        assert_eq!(id(r#"{"id":"a7","meter":"x"}"#).as_deref(), Some("a7"));
        assert_eq!(id("{"), None);
    }

    #[test]
    fn what_is_too_large_is_said_to_be() {
        let long = format!(r#"{{"id":"1","text":"{}"}}"#, "x".repeat(LARGEST));
        let refused = parsed(Word::Read, &long).unwrap_err();
        assert!(refused.too_large && refused.detail.contains("65536 at most"), "{}", refused.detail);
        assert!(parsed(Word::Archive, &long).is_ok(), "an archive may be longer");
        let longer = "x".repeat(LARGEST_FILE + 1);
        assert!(parsed(Word::Archive, &longer).unwrap_err().too_large);
    }

    fn frame_of(request: &Request) -> String {
        let mut octets = Vec::new();
        request.emit(4, &mut octets);
        octets.iter().map(|octet| format!("{octet:02X} ")).collect()
    }

    fn raw(verb: Word, request: &Request) -> Result<Order, Bad> {
        parsed(verb, &format!(r#"{{"id":"1","bus":"b","frame":"{}"}}"#, frame_of(request)))
    }

    #[test]
    fn raw_lets_reading_functions_pass_and_nothing_that_writes() {
        let address: dlt645::Address = "12345678".parse().unwrap();
        let di = "00010000".parse().unwrap();
        let old = dlt645::Di::new_1997(0x9010);
        for request in [
            Request::Read { address, di },
            Request::Read { address, di: old },
            Request::ReadMore { address, di, sequence: 1 },
            Request::ReRead { address },
            Request::ReadAddress,
        ] {
            assert!(raw(Word::Raw, &request).is_ok(), "{request}");
        }
        let freeze = Request::Freeze { address, at: dlt645::pdu::FreezeAt::INSTANT };
        let said = raw(Word::Raw, &freeze).unwrap_err().detail;
        assert!(said.contains("has function 16H, which does not only read"), "{said}");
        assert!(raw(Word::RawWrite, &freeze).is_ok());
    }
}
