//! What happened and is no reading: at a meter, or at the gateway itself. Pure.
//!
//! An event says what was seen and when; what it means for a task or a bus is not decided here.

use crate::reading::{Reason, Source};
use catalogue::Register;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// A meter answers: for the first time in this run, or again. It is the meter's state from then on.
    Online,
    /// A meter does not answer any more; it is probed until it does. It is the meter's state from then on.
    Offline {
        /// What its last exchange failed with.
        reason: Reason,
    },
    /// A value that cannot be right by what is known of the meter was confirmed by a second reading. It is told once:
    /// the next value is judged by it.
    Suspect(Jump),
    /// A cumulative register began again at 0 behind its last digit (翻转).
    Rollover(Jump),
    /// Something happened to a whole line.
    Bus {
        /// Index of the bus.
        bus: usize,
        /// What.
        what: Line,
    },
    /// Slots of a meter passed unread, and are in no data message.
    Gap(Gap),
    /// The gateway runs again after an end that was not in order: power, or a kill (停电恢复).
    PowerBack {
        /// The last that is known of it: its newest slot, or its start.
        away_since: Timestamp,
    },
    /// The gateway's clock was stepped.
    ClockStepped {
        /// What it would have shown.
        before: Timestamp,
        /// What it showed in place of it.
        after: Timestamp,
    },
    /// A meter's clock went past the bound, or came right again (时钟超差). It is the clock's state from then on.
    ClockOff(ClockOff),
    /// Something was broadcast to all meters of a line, or was to be and was refused.
    Broadcast {
        /// Index of the bus.
        bus: usize,
        /// What.
        what: Broadcast,
        /// Why not, where it was refused: a word and a sentence.
        refused: Option<(&'static str, String)>,
    },
    /// Another archive of meters (档案) is in force.
    ArchiveChanged {
        /// Revision of the one before.
        before: String,
        /// Its own.
        after: String,
    },
}

/// A stretch of slots of one meter and task that nobody read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Index of the task in the plan.
    pub task: usize,
    /// Where in the meter its values come from.
    pub source: Source,
    /// The first slot that passed.
    pub first: Timestamp,
    /// The first slot behind it that did not.
    pub until: Timestamp,
    /// Why.
    pub why: Passed,
    /// The same in a sentence, where there is more to say than the word.
    pub detail: Option<String>,
}

/// Why slots passed unread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// The line was busy with one thing for longer than a period.
    Late,
    /// The clock was stepped forward over them.
    ClockStepped,
    /// The clock was not trusted meanwhile.
    ClockNotTrusted,
    /// The meter does not keep them: it was without power, has no such function, or has overwritten them.
    NotHeld,
    /// Another meter hangs at the point since, and the one that had them does not (换表).
    Exchanged,
    /// They could not be read in the days in which they are fetched.
    NotRead,
}

/// A clock against its bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClockOff {
    /// Whether it is past the bound; false when it came right again.
    pub is_off: bool,
    /// How far it is ahead; `None` where it shows no time.
    pub offset: Option<SignedDuration>,
    /// By how much the offset may be wrong either way.
    pub within: Option<SignedDuration>,
    /// The bound.
    pub bound: SignedDuration,
    /// Whether no broadcast cures it: it has to be set on site (现场校时).
    pub needs_visit: bool,
    /// A sentence for a person.
    pub why: String,
}

/// What goes to all meters of a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Broadcast {
    /// The time (广播校时, 08).
    Time,
    /// A freeze of this instant (广播瞬时冻结, 16).
    Freeze,
}

/// A value that does not go on from the one before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jump {
    /// Of which register.
    pub register: Register,
    /// The last value that was believed, and when it was taken; none where there was none.
    pub last: Option<(Decimal, Timestamp)>,
    /// What the meter sent now.
    pub value: Decimal,
    /// A sentence for a person.
    pub why: String,
}

/// What happens to a line (总线).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// No meter of it answers any more: power, cable or serial server (整条总线无应答). Of the meters nothing is said
    /// meanwhile.
    Silent,
    /// A meter of it answers again.
    Back,
    /// Somebody talks without end, so that nothing can be asked (总线堵塞).
    Jammed,
    /// It is quiet again.
    Quiet,
    /// The adapter gives back what it sends (回显); said once in a run.
    Echo,
    /// The port cannot be used: unplugged, refused, closed (端口脱落).
    PortGone {
        /// What the system said.
        detail: String,
    },
    /// The port is open again.
    PortBack,
}

impl Kind {
    /// The word as it is published: the last level of the topic.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ActiveReport { .. } => "active_report",
            Self::Online | Self::Offline { .. } => "status",
            Self::Suspect(_) => "suspect",
            Self::Rollover(_) => "rollover",
            Self::Gap(_) => "gap",
            Self::PowerBack { .. } => "power_back",
            Self::ClockStepped { .. } => "clock_stepped",
            Self::ClockOff(_) => "clock_off",
            Self::Broadcast { .. } => "broadcast",
            Self::ArchiveChanged { .. } => "archive_changed",
            Self::Bus { what: Line::Silent, .. } => "line_silent",
            Self::Bus { what: Line::Back, .. } => "line_back",
            Self::Bus { what: Line::Jammed, .. } => "line_jammed",
            Self::Bus { what: Line::Quiet, .. } => "line_quiet",
            Self::Bus { what: Line::Echo, .. } => "line_echo",
            Self::Bus { what: Line::PortGone { .. }, .. } => "port_gone",
            Self::Bus { what: Line::PortBack, .. } => "port_back",
        }
    }
}
