//! One exchange (一次抄读) as a state machine without I/O: one request and all frames of its answer.
//!
//! Times are durations since an origin of the caller's.

use crate::pdu::Request;
use crate::{Address, Di, ErrorWord};
use alloc::vec::Vec;
use core::time::Duration;

/// How long to wait for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// One character on the wire.
    pub octet: Duration,
    /// From the end of the request on the wire to the first octet of the answer, at most.
    pub first_octet: Duration,
    /// What the rest may take beyond its own air time (late octets of a serial server).
    pub slack: Duration,
    /// FE octets before the request.
    pub preamble: u8,
}

/// The state machine. One request is sent once; retries are the caller's, each a new exchange.
#[derive(Debug)]
pub struct Exchange {}

/// Which deadline is running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// For the first octet of an answer.
    FirstOctet,
    /// For the rest of a frame that has begun, by its length and rate.
    Rest,
}

/// What the exchange tells its caller, in the order it happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A sound frame that is no answer to this request; listening goes on. The frame's octets.
    Stray(Vec<u8>),
    /// Our own request came back: an adapter that echoes.
    Echo,
    /// Octets that were no frame were dropped: how many, and whether a frame had begun with them.
    Noise(usize),
    /// A frame of the right shape with a bad checksum or a damaged octet was dropped.
    Damaged,
    /// The end; no event follows.
    Done(Outcome),
}

/// How an exchange ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The data asked for.
    Data {
        /// The meter that answered.
        from: Address,
        /// As asked.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Vec<u8>,
        /// When the first octet of the reply came.
        first_octet: Duration,
    },
    /// The answer to a read address.
    Address {
        /// The address in the data field, which is the address field of the frame too.
        address: Address,
        /// When the first octet of the reply came.
        first_octet: Duration,
    },
    /// The meter refuses.
    Refused(ErrorWord),
    /// No answer; the worst that happened: damaged before stray before silent.
    Failed(Failure),
}

/// Why there was no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Octets came that were no sound frame; how many.
    Damaged {
        /// Octets received in all.
        octets: usize,
        /// True if not one sound frame was among them.
        never_a_frame: bool,
    },
    /// Sound frames came, none of them the answer.
    Stray,
    /// Nothing came.
    Silent,
}

impl Exchange {
    /// Begins; the request is to be sent at `now`.
    pub fn new(_request: Request, _timing: Timing, _now: Duration) -> Self {
        unimplemented!()
    }
    /// The octets to send (FE preamble included), once.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        unimplemented!()
    }
    /// Octets came.
    pub fn handle_bytes(&mut self, _now: Duration, _octets: &[u8]) {
        unimplemented!()
    }
    /// An octet came that the line damaged (parity, framing).
    pub fn handle_damaged(&mut self, _now: Duration, _octet: u8) {
        unimplemented!()
    }
    /// The time of [`Exchange::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, _now: Duration) {
        unimplemented!()
    }
    /// When to call [`Exchange::handle_timeout`], and why; `None` once done.
    pub fn poll_timeout(&self) -> Option<(Duration, Deadline)> {
        unimplemented!()
    }
    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        unimplemented!()
    }
}
