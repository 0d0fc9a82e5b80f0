//! What one sound frame is to the request that is out. Pure.

use super::outcome::Accepted;
use crate::frame::Frame;
use crate::pdu::{RATE_REFUSED_1997, Reply, Request};
use crate::{Address, Di, Edition, ErrorWord};
use alloc::vec::Vec;

/// The status word that a State Grid meter with an event pending may send as the answer to anything (主动上报状态字).
pub const ACTIVE_REPORT: Di = Di::new(0x0400_1501);

/// What a frame is to the request that is out.
pub(super) enum Verdict {
    Echo,
    Stray,
    Report { from: Address, octets: Vec<u8> },
    Refused(ErrorWord),
    Address(Address),
    Done { from: Address, accepted: Accepted },
    Data { from: Address, di: Di, octets: Vec<u8>, more: bool },
}

/// Judges a frame; `own` is the frame of `asked`.
pub(super) fn judge(asked: &Request, own: &[u8], frame: &Frame<'_>) -> Verdict {
    if frame.octets() == own {
        return Verdict::Echo;
    }
    let Ok(reply) = Reply::parse_of(frame, asked.edition()) else { return Verdict::Stray };
    if !asked.is_answered() || !comes_from(asked, reply.from()) {
        return Verdict::Stray;
    }
    let done = |from, accepted| Verdict::Done { from, accepted };
    match (asked, reply) {
        (_, Reply::Refused { function, word, .. }) if function == asked.function() => Verdict::Refused(word),
        (
            Request::Read { di: wanted, .. } | Request::ReadRecords { di: wanted, .. },
            Reply::Data { from, di, octets, more },
        ) if di == *wanted => Verdict::Data { from, di, octets: octets.collect(), more },
        (_, Reply::Data { from, di: ACTIVE_REPORT, octets, more: false }) => {
            Verdict::Report { from, octets: octets.collect() }
        }
        (
            Request::ReadMore { di: wanted, sequence: next, .. },
            Reply::More { from, di, octets, sequence, more },
        ) if di == *wanted && sequence == *next => Verdict::Data { from, di, octets: octets.collect(), more },
        (Request::ReRead { .. }, Reply::Repeated { from, di, octets, more }) => {
            Verdict::Data { from, di, octets: octets.collect(), more }
        }
        // Some meters send the requested wildcard back in the address field.
        (Request::ReadAddress, Reply::Address { from, address })
            if from == address || (from == Address::ANY && address.is_one_meter()) =>
        {
            Verdict::Address(address)
        }
        (
            Request::Write { .. }
            | Request::WriteAddress { .. }
            | Request::Freeze { .. }
            | Request::ResetDemand { .. }
            | Request::ClearMeter { .. }
            | Request::ClearEvents { .. }
            | Request::Relay { .. },
            Reply::Done { from, function },
        ) if function == asked.function() => done(from, Accepted::Plainly),
        // FF is no rate, also where it was asked for.
        (Request::SetRate { .. }, Reply::Rate { rate, .. })
            if rate.edition() == Edition::E1997 && rate.word() == RATE_REFUSED_1997 =>
        {
            Verdict::Refused(ErrorWord::Of1997(0))
        }
        (Request::SetRate { rate: wanted, .. }, Reply::Rate { from, rate }) if rate == *wanted => {
            done(from, Accepted::Rate(rate))
        }
        (Request::SetPassword { .. }, Reply::Password { from, new, .. }) => {
            done(from, Accepted::Password(new))
        }
        (Request::Output { signal: wanted, .. }, Reply::Output { from, signal }) if signal == *wanted => {
            done(from, Accepted::Output(signal))
        }
        (Request::Security { di: wanted, .. }, Reply::Security { from, di, octets, more: false })
            if di == *wanted =>
        {
            done(from, Accepted::Security(octets.collect()))
        }
        (
            Request::Read { .. }
            | Request::ReadRecords { .. }
            | Request::ReadMore { .. }
            | Request::ReRead { .. }
            | Request::ReadAddress
            | Request::Write { .. }
            | Request::WriteAddress { .. }
            | Request::BroadcastTime { .. }
            | Request::Freeze { .. }
            | Request::SetRate { .. }
            | Request::SetPassword { .. }
            | Request::ResetDemand { .. }
            | Request::ClearMeter { .. }
            | Request::ClearEvents { .. }
            | Request::Relay { .. }
            | Request::Output { .. }
            | Request::Security { .. },
            _,
        ) => Verdict::Stray,
    }
}

/// True if a frame from there can be the answer.
fn comes_from(asked: &Request, from: Address) -> bool {
    let to = asked.address();
    let edition = asked.edition().unwrap_or(Edition::E2007);
    if let Request::WriteAddress { new, .. } = asked {
        // The new address as a rule; some meters send the old one, or the wildcard, back.
        from == *new || from == to || (to.is_one_meter() && to.is_answered_by(from, edition))
    } else {
        to.is_answered_by(from, edition)
    }
}
