//! What happened and is no reading: at a meter, or at the gateway itself. Pure.
//!
//! An event says what was seen and when; what it means for a task or a bus is not decided here.

use jiff::Timestamp;

/// Something that happened; it becomes one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// To whom.
    pub of: Of,
    /// When it was seen; of what a meter said, the instant of its first octet.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
}

/// To whom something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    /// The gateway.
    Gateway,
    /// A meter point, by its index in the plan.
    Meter(usize),
}

/// What happened, each kind with what is to be said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A meter gave its active report (主动上报, DI 04001501) in place of an answer.
    ActiveReport {
        /// Octets after the DI, after -33H.
        octets: Vec<u8>,
    },
}

impl Kind {
    /// The word as it is published: the last level of the topic.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ActiveReport { .. } => "active_report",
        }
    }
}
