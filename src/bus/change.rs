//! What changes on a line and is worth telling an operator, once.

use crate::event::{Kind, Line, Of};
use crate::reading::Reason;
use std::time::Duration;

/// Something that an operator wants to know. Times are since the clock's origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A meter does not answer any more.
    Offline {
        /// Index of the meter.
        meter: usize,
        /// What its last exchange failed with.
        reason: Reason,
        /// When it was first missed.
        since: Duration,
    },
    /// A meter answers: for the first time in this run, or again.
    Online {
        /// Index of the meter.
        meter: usize,
        /// Its first sound answer.
        since: Duration,
    },
    /// No meter of the line answers any more: power, cable or serial server.
    LineSilent {
        /// When the first of them was missed.
        since: Duration,
    },
    /// A meter of the line answers again.
    LineBack {
        /// When.
        since: Duration,
    },
    /// Somebody talks without end: nothing can be asked.
    Jammed {
        /// When it was noticed.
        since: Duration,
    },
    /// The line is quiet again.
    Quiet {
        /// When.
        since: Duration,
    },
    /// The adapter gives back what it sends; said once.
    Echo {
        /// When it was noticed.
        since: Duration,
    },
    /// The port cannot be used: unplugged, refused, closed.
    PortGone {
        /// When it failed.
        since: Duration,
        /// What the system said.
        detail: String,
    },
    /// The port is open again.
    PortBack {
        /// When.
        since: Duration,
    },
}

impl Change {
    /// To whom it happened and what, as it is published; `bus` is the index of the line.
    pub fn event(self, bus: usize) -> (Of, Kind) {
        let line = |what| (Of::Gateway, Kind::Bus { bus, what });
        match self {
            Self::Offline { meter, reason, .. } => (Of::Meter(meter), Kind::Offline { reason }),
            Self::Online { meter, .. } => (Of::Meter(meter), Kind::Online),
            Self::LineSilent { .. } => line(Line::Silent),
            Self::LineBack { .. } => line(Line::Back),
            Self::Jammed { .. } => line(Line::Jammed),
            Self::Quiet { .. } => line(Line::Quiet),
            Self::Echo { .. } => line(Line::Echo),
            Self::PortGone { detail, .. } => line(Line::PortGone { detail }),
            Self::PortBack { .. } => line(Line::PortBack),
        }
    }

    /// Since when it is so.
    pub const fn since(&self) -> Duration {
        match self {
            Self::Offline { since, .. }
            | Self::Online { since, .. }
            | Self::LineSilent { since }
            | Self::LineBack { since }
            | Self::Jammed { since }
            | Self::Quiet { since }
            | Self::Echo { since }
            | Self::PortGone { since, .. }
            | Self::PortBack { since } => *since,
        }
    }
}
