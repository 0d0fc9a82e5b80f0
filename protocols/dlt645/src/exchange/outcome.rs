//! What an exchange tells its caller, and how it ends.

use crate::pdu::{OutputSignal, Password, Rate};
use crate::{Address, Di, ErrorWord};
use alloc::vec::Vec;
use core::time::Duration;

/// Which deadline is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// For the first octet of an answer.
    FirstOctet,
    /// For the rest of a frame that has begun, by its length and rate; never before the deadline for
    /// the first octet would have been.
    Rest,
}

/// What the exchange tells its caller, in the order it happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A sound frame that is no answer to this request; listening goes on. The frame's octets.
    Stray(Vec<u8>),
    /// Our own request came back: an adapter that echoes.
    Echo,
    /// So many octets that belong to no sound frame were dropped.
    Noise(usize),
    /// A frame of the right shape with a bad checksum or a damaged octet was dropped.
    Damaged,
    /// The asked meter answered with its active report (主动上报, 04001501) instead. A read is repeated
    /// once; after a command listening goes on.
    ActiveReport {
        /// The meter that reports.
        from: Address,
        /// Octets after the DI, after -33H.
        octets: Vec<u8>,
        /// When the report's first octet came, its FE included.
        first_octet: Duration,
    },
    /// The end; no event follows.
    Done(Outcome),
}

/// How an exchange ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The data asked for, whole: follow-up frames are joined.
    Data {
        /// The meter that answered; the wildcard itself if the meter sent that back.
        from: Address,
        /// As asked.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Vec<u8>,
        /// When the first octet of the (first) reply came, its FE included.
        first_octet: Duration,
    },
    /// The answer to a read address.
    Address {
        /// The address in the data field. The frame's address field is the same, or the wildcard.
        address: Address,
        /// When the first octet of the reply came, its FE included.
        first_octet: Duration,
    },
    /// A command is done.
    Done {
        /// The address field of the answer; after a write of the address the new one as a rule.
        from: Address,
        /// What the meter says to it.
        accepted: Accepted,
        /// When the first octet of the reply came, its FE included.
        first_octet: Duration,
    },
    /// The request is out, and nobody answers such a one.
    Sent,
    /// The meter refuses. A 1997 meter that sends FF for a rate refuses with an empty word.
    Refused(ErrorWord),
    /// No answer; the worst that happened: damaged before stray before silent.
    Failed(Failure),
}

/// What a meter says to a command that it obeys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// No more than that (L = 0).
    Plainly,
    /// The rate changes now, on both sides.
    Rate(Rate),
    /// The password is now this.
    Password(Password),
    /// The terminal puts out this.
    Output(OutputSignal),
    /// The security chip's answer: octets after the DI, after -33H.
    Security(Vec<u8>),
}

/// Why there was no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Octets came that were no sound frame; how many.
    Damaged {
        /// Octets received in all, echo not counted.
        octets: usize,
        /// True if not one sound frame was among them, echo not counted.
        never_a_frame: bool,
    },
    /// The meter announced follow-up frames and did not deliver them: silent to 12H or 02H, refused, or
    /// more than [`MAX_FRAMES`](super::MAX_FRAMES). What came is no value.
    Unfinished,
    /// Sound frames came, none of them the answer.
    Stray,
    /// Nothing came.
    Silent,
}
