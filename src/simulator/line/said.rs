//! What the meters of a line say, and the log of it: the oracle of tests.

use dlt645::{Address, Di, ErrorWord};
use jiff::Timestamp;
use modbus::{Exception, Span, UnitId};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One frame that a meter sends, with its FE octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What goes over the line.
    pub octets: Vec<u8>,
    /// From the end of the request to the first octet.
    pub after: Duration,
}

/// A meter of a line, by the address of its protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sender {
    /// A meter of DL/T 645 (通信地址).
    Dlt645(Address),
    /// A Modbus meter (从站地址).
    Modbus(UnitId),
}

impl Sender {
    /// The address of a meter of DL/T 645.
    pub const fn address(self) -> Option<Address> {
        match self {
            Self::Dlt645(address) => Some(address),
            Self::Modbus(_) => None,
        }
    }

    /// The unit of a Modbus meter.
    pub const fn unit(self) -> Option<UnitId> {
        match self {
            Self::Dlt645(_) => None,
            Self::Modbus(unit) => Some(unit),
        }
    }
}

impl From<Address> for Sender {
    fn from(address: Address) -> Self {
        Self::Dlt645(address)
    }
}

impl From<UnitId> for Sender {
    fn from(unit: UnitId) -> Self {
        Self::Modbus(unit)
    }
}

impl PartialEq<Address> for Sender {
    fn eq(&self, address: &Address) -> bool {
        self.address() == Some(*address)
    }
}

/// As the configuration writes it: `000012345678`, `17`.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dlt645(address) => address.fmt(f),
            Self::Modbus(unit) => unit.fmt(f),
        }
    }
}

/// What one meter answered: the oracle of tests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Which meter.
    pub meter: Sender,
    /// What it said.
    pub said: Said,
    /// The octets that went out: of DL/T 645 from the first 68H, of Modbus as on a serial line.
    pub frame: Vec<u8>,
    /// The time whose values it answered with: when the read was heard.
    pub at: Timestamp,
    /// When its first octet, FE or not, began to go out.
    pub begun: Timestamp,
    /// When its last octet had gone out.
    pub ended: Timestamp,
}

/// An answer and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Spoken {
    pub(in super::super) answer: Answer,
    pub(in super::super) sent: Sent,
}

impl Spoken {
    /// A frame behind so many FE, `after` a request that was heard `now`.
    pub(super) fn of(
        meter: Sender,
        said: Said,
        frame: Vec<u8>,
        preamble: usize,
        now: Timestamp,
        after: Duration,
    ) -> Self {
        let mut octets = vec![0xFE; preamble];
        octets.extend_from_slice(&frame);
        let begun = now.saturating_add(after).unwrap_or(now);
        let sent = Sent { meter, said, frame, at: now, begun, ended: begun };
        Self { answer: Answer { octets, after }, sent }
    }
}

/// The content of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// Data of a read: all its octets after the DI, before +33H, however many frames they take.
    Data {
        /// As asked.
        di: Di,
        /// Low byte first.
        octets: Vec<u8>,
    },
    /// A refused read.
    Refused {
        /// As asked.
        di: Di,
        /// Why.
        word: ErrorWord,
    },
    /// Registers of a Modbus meter.
    Registers {
        /// As asked.
        span: Span,
        /// All of them.
        words: Vec<u16>,
    },
    /// A request that a Modbus meter refused.
    Exception {
        /// As asked; none where it was not asked for registers.
        span: Option<Span>,
        /// Why.
        exception: Exception,
    },
    /// No whole answer: one that was cut off, or that never ends.
    Nothing,
    /// An answer without a data identifier: an address, or the refusal of what is no read.
    Other,
}

/// The last answers of a line, oldest first. When it is full the oldest answer is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Log {
    sent: Arc<Mutex<VecDeque<Sent>>>,
    bound: usize,
}

impl Log {
    /// Keeps this many answers; 0 keeps none.
    pub fn keeping(bound: usize) -> Self {
        Self { sent: Arc::default(), bound }
    }

    /// What was answered until now.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn note(&self, sent: Sent) {
        if self.bound == 0 {
            return;
        }
        let mut log = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == self.bound {
            log.pop_front();
        }
        log.push_back(sent);
    }
}
