//! The meter's side: from a request to the frame that a meter answers, in either edition.
//!
//! It knows no register and obeys no command: its caller gives the octets of a DI, and accepts or refuses.
//! It keeps nothing between two requests but what its caller holds for it in an [`Answering`].

#[cfg(test)]
mod tests;

use crate::frame::{self, Control, Frame};
use crate::pdu::{FIRST_SEQUENCE, RATE_REFUSED_1997, Request, Unread, function};
use crate::{Address, Di, Edition, ErrorWord};
use alloc::vec::Vec;

/// Data octets of a reply to a read at most, the DI and SEQ included (2007 clause 5.2.4; the same in 1997).
const MOST_DATA: usize = 200;

/// How a meter behaves where meters differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// The edition that it speaks; `None` for a meter that speaks both. A function of the other edition
    /// alone is not heard.
    pub edition: Option<Edition>,
    /// What it does when asked for what it does not have or know.
    pub unknown: Unknown,
    /// Whether it answers a 1997 read that goes to all (99…99).
    pub broadcast_reads: bool,
}

/// What a meter does about an identifier or function that it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// It refuses: D1H or C1H.
    Refused,
    /// It stays silent, as many meters of 1997 do.
    Silent,
}

impl Manner {
    /// A meter of 2007, which refuses.
    pub const E2007: Self =
        Self { edition: Some(Edition::E2007), unknown: Unknown::Refused, broadcast_reads: false };
    /// A meter of 1997, which stays silent about what it does not know and answers a read of all.
    pub const E1997: Self =
        Self { edition: Some(Edition::E1997), unknown: Unknown::Silent, broadcast_reads: true };
}

/// What a meter remembers of its last read, for the follow-up frames and the repetition of 1997.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answering {
    read: Option<Read>,
}

/// One read and how far it was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Read {
    di: Di,
    /// All octets after the DI.
    octets: Vec<u8>,
    /// What the last frame carried of them.
    begin: usize,
    end: usize,
}

impl Answering {
    /// What was read last and all its octets after the DI, however many frames they take.
    pub fn last_read(&self) -> Option<(Di, &[u8])> {
        self.read.as_ref().map(|read| (read.di, &read.octets[..]))
    }
}

/// Data field and control code of an answer.
type Answer = (Control, Vec<u8>);

/// Answers one frame as the meter `own` would; `None` where a meter stays silent (another address,
/// broadcast, a reply, a function without abnormal answer). The answer has no FE before it.
///
/// `respond` is called for a read (it appends the octets after the DI, before +33H), for a command
/// (`Ok` obeys; a security authentication appends its answer), and for what is broadcast. It is not called
/// for follow-up frames and repetitions, which come from `answering`.
///
/// Wildcards are obeyed by reads and by the write of an address alone: a command must name its meter,
/// though 1997 may fill the number up with AA.
pub fn answer(
    own: Address,
    manner: Manner,
    answering: &mut Answering,
    frame: &Frame<'_>,
    respond: impl FnOnce(&Request, &mut Vec<u8>) -> Result<(), ErrorWord>,
) -> Option<Vec<u8>> {
    let code = frame.control();
    // D6 and D5 are a meter's to set.
    if code != Control::request(code.function()) {
        return None;
    }
    let (from, (control, data)) = match Request::parse_of(frame, manner.edition) {
        Ok(request) => {
            if !is_meant(own, manner, &request) {
                return None;
            }
            let from = if let Request::WriteAddress { new, .. } = request { new } else { own };
            let answer = match obey(&request, answering, own, respond) {
                Ok(answer) => answer,
                Err(word) => refuse(&request, manner, word)?,
            };
            // What is broadcast is obeyed and not answered.
            if !request.is_answered() {
                return None;
            }
            (from, answer)
        }
        Err(unread) => {
            let of_another = matches!(
                (function::edition(code.function()), manner.edition),
                (Some(its), Some(ours)) if its != ours
            );
            let silent = of_another
                || unread == Unread::Direction
                || manner.unknown == Unknown::Silent
                || !frame.address().matches(own)
                || has_no_refusal(code.function());
            if silent {
                return None;
            }
            (own, refusal(code.function(), manner.edition, ErrorWord::OTHER))
        }
    };
    let mut out = Vec::new();
    frame::emit(from, control, &data, &mut out).ok()?;
    Some(out)
}

/// Clause 7: these have no abnormal answer.
const fn has_no_refusal(function: u8) -> bool {
    matches!(
        function,
        function::BROADCAST_TIME
            | function::READ_ADDRESS
            | function::WRITE_ADDRESS
            | function::WRITE_ADDRESS_1997
    )
}

fn is_meant(own: Address, manner: Manner, request: &Request) -> bool {
    let to = request.address();
    if to == own {
        return true;
    }
    if !request.is_answered() && to == Address::BROADCAST {
        return matches!(request, Request::BroadcastTime { .. } | Request::Freeze { .. });
    }
    let old = request.edition() == Some(Edition::E1997);
    match request {
        Request::Read { .. }
        | Request::ReadRecords { .. }
        | Request::ReadMore { .. }
        | Request::ReRead { .. } => {
            if old && to == Address::BROADCAST {
                manner.broadcast_reads
            } else {
                to.matches(own) || old && to.is_answered_by(own, Edition::E1997)
            }
        }
        Request::ReadAddress => true,
        Request::WriteAddress { .. } => to.matches(own) || to == Address::BROADCAST,
        Request::Write { .. }
        | Request::BroadcastTime { .. }
        | Request::Freeze { .. }
        | Request::SetRate { .. }
        | Request::SetPassword { .. }
        | Request::ResetDemand { .. }
        | Request::ClearMeter { .. }
        | Request::ClearEvents { .. }
        | Request::Relay { .. }
        | Request::Output { .. }
        | Request::Security { .. } => {
            old && to != Address::BROADCAST && own.is_answered_by(to, Edition::E1997)
        }
    }
}

fn obey(
    request: &Request,
    answering: &mut Answering,
    own: Address,
    respond: impl FnOnce(&Request, &mut Vec<u8>) -> Result<(), ErrorWord>,
) -> Result<Answer, ErrorWord> {
    let reply = |data: Vec<u8>| (Control::reply(request.function(), false), data);
    let mut out = Vec::new();
    match request {
        Request::Read { di, .. } | Request::ReadRecords { di, .. } => {
            answering.read = None;
            respond(request, &mut out)?;
            let end = out.len().min(MOST_DATA - di.edition().di_octets());
            let read = answering.read.insert(Read { di: *di, octets: out, begin: 0, end });
            Ok(part(request.function(), read, None))
        }
        Request::ReadMore { di, sequence, .. } => {
            let asked = answering.read.as_mut().filter(|read| read.di == *di);
            let read = asked.ok_or(ErrorWord::NO_REQUESTED_DATA)?;
            let head = di.edition().di_octets();
            let (size, begin, sequence) = match di.edition() {
                Edition::E1997 => (MOST_DATA - head, Some(read.end), None),
                Edition::E2007 => {
                    let size = MOST_DATA - head - 1;
                    let parts = sequence.checked_sub(FIRST_SEQUENCE);
                    (size, parts.map(|parts| MOST_DATA - head + usize::from(parts) * size), Some(*sequence))
                }
            };
            let begin = begin.filter(|begin| *begin < read.octets.len());
            read.begin = begin.ok_or(ErrorWord::NO_REQUESTED_DATA)?;
            read.end = read.octets.len().min(read.begin + size);
            Ok(part(request.function(), read, sequence))
        }
        Request::ReRead { .. } => {
            let read = answering.read.as_ref().ok_or(ErrorWord::NO_REQUESTED_DATA)?;
            Ok(part(request.function(), read, None))
        }
        Request::ReadAddress => Ok(reply(own.to_wire().to_vec())),
        Request::Write { .. }
        | Request::WriteAddress { .. }
        | Request::BroadcastTime { .. }
        | Request::Freeze { .. }
        | Request::ResetDemand { .. }
        | Request::ClearMeter { .. }
        | Request::ClearEvents { .. }
        | Request::Relay { .. } => respond(request, &mut out).map(|()| reply(Vec::new())),
        Request::SetRate { rate, .. } => respond(request, &mut out).map(|()| reply(Vec::from([rate.word()]))),
        Request::SetPassword { new, .. } => {
            respond(request, &mut out).map(|()| reply(new.to_wire().to_vec()))
        }
        Request::Output { signal, .. } => respond(request, &mut out).map(|()| reply(Vec::from([signal.0]))),
        Request::Security { di, .. } => {
            out.extend_from_slice(&di.to_wire());
            respond(request, &mut out).map(|()| reply(out))
        }
    }
}

/// The frame that carries `begin..end` of a read.
fn part(function: u8, read: &Read, sequence: Option<u8>) -> Answer {
    let mut data = read.di.to_wire().to_vec();
    data.extend_from_slice(&read.octets[read.begin..read.end]);
    data.extend(sequence);
    (Control::reply(function, read.end < read.octets.len()), data)
}

/// The abnormal answer to a request that is known; `None` where there is none, or the meter is silent.
fn refuse(request: &Request, manner: Manner, word: ErrorWord) -> Option<Answer> {
    let silent = manner.unknown == Unknown::Silent && word.no_requested_data() && request.is_read();
    if silent || has_no_refusal(request.function()) {
        return None;
    }
    if let Request::SetRate { rate, .. } = request
        && rate.edition() == Edition::E1997
    {
        return Some((Control::reply(request.function(), false), Vec::from([RATE_REFUSED_1997])));
    }
    Some(refusal(request.function(), request.edition(), word))
}

fn refusal(function: u8, edition: Option<Edition>, word: ErrorWord) -> Answer {
    let edition = function::edition(function).or(edition).unwrap_or(Edition::E2007);
    let data = match (function, edition) {
        (function::SECURITY, Edition::E2007) => word.of_security().bits().to_le_bytes().to_vec(),
        (_, edition) => Vec::from([word.of(edition).bits() as u8]),
    };
    (Control::refusal(function), data)
}
