//! What a visit to a meter asks and brings, whatever kind of value it is for.
//!
//! A visit is pure: the bus puts its question to the line and gives it what came, until there is no question left.

use super::clock_check::ClockCheck;
use super::freeze::Freeze;
use super::profile::Profile;
use super::round::{Lesson, Round};
use super::talk::{Answer, NoReply};
use crate::reading::{Failure, Origin, Reading, Reason};
use catalogue::Identifier;
use dlt645::Di;
use dlt645::pdu::{Count, RecordTime};
use jiff::Timestamp;

/// One question of a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// A register or a block.
    Read(Identifier),
    /// So many load records, from a time on where the identifier says so.
    Records(Di, Count, Option<RecordTime>),
}

/// What a visit brought of one slot.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The instant that the readings are for.
    pub slot: Timestamp,
    /// Where they come from.
    pub origin: Origin,
    /// Values.
    pub readings: Vec<Reading>,
    /// Registers without one.
    pub failures: Vec<Failure>,
    /// What is to become of the slot.
    pub fate: Fate,
}

/// What is to become of a slot after a visit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing more is to be read for it.
    Settled,
    /// The meter keeps it, or may freeze it yet: it is asked for again.
    Later,
    /// The meter does not have it and will not: a gap, with the reason in a sentence.
    Gone(String),
}

/// Something that asks one meter, question by question.
pub trait Asks {
    /// The next question; `None` when there is none left.
    fn question(&self) -> Option<Question>;

    /// Says whether the line is noisy: then a value counts when two answers agree on it.
    fn over_noise(&mut self, is_noisy: bool);

    /// Takes what came of the question that [`Asks::question`] gave.
    fn take(&mut self, came: Result<Answer, NoReply>);

    /// Ends it: what has no value yet fails with `reason`.
    fn abandon(&mut self, reason: Reason, detail: &str);
}

impl Asks for ClockCheck {
    fn question(&self) -> Option<Question> {
        self.next()
    }

    fn over_noise(&mut self, is_noisy: bool) {
        self.over_noise(is_noisy);
    }

    fn take(&mut self, came: Result<Answer, NoReply>) {
        self.take(came);
    }

    fn abandon(&mut self, reason: Reason, detail: &str) {
        self.abandon(reason, detail);
    }
}

/// A visit to one meter for what it keeps.
#[derive(Debug)]
pub enum Visit {
    /// For what it froze at one slot.
    Freeze(Box<Freeze>),
    /// For its load records of some slots.
    Profile(Box<Profile>),
}

impl Asks for Round {
    fn question(&self) -> Option<Question> {
        self.next().map(|ask| Question::Read(ask.subject.id()))
    }

    fn over_noise(&mut self, is_noisy: bool) {
        self.over_noise(is_noisy);
    }

    fn take(&mut self, came: Result<Answer, NoReply>) {
        self.take(came);
    }

    fn abandon(&mut self, reason: Reason, detail: &str) {
        self.abandon(reason, detail);
    }
}

impl Asks for Visit {
    fn question(&self) -> Option<Question> {
        match self {
            Self::Freeze(freeze) => freeze.next(),
            Self::Profile(profile) => profile.next(),
        }
    }

    fn over_noise(&mut self, is_noisy: bool) {
        match self {
            Self::Freeze(freeze) => freeze.over_noise(is_noisy),
            // Load records have a sum of their own.
            Self::Profile(_) => {}
        }
    }

    fn take(&mut self, came: Result<Answer, NoReply>) {
        match self {
            Self::Freeze(freeze) => freeze.take(came),
            Self::Profile(profile) => profile.take(came),
        }
    }

    fn abandon(&mut self, reason: Reason, detail: &str) {
        match self {
            Self::Freeze(freeze) => freeze.abandon(reason, detail),
            Self::Profile(profile) => profile.abandon(reason, detail),
        }
    }
}

impl Visit {
    /// Whether the meter said anything sound.
    pub const fn is_answered(&self) -> bool {
        match self {
            Self::Freeze(freeze) => freeze.is_answered(),
            Self::Profile(profile) => profile.is_answered(),
        }
    }

    /// What it taught of what the meter has.
    pub fn lessons(&self) -> Vec<Lesson> {
        match self {
            Self::Freeze(freeze) => freeze.lessons().collect(),
            Self::Profile(_) => Vec::new(),
        }
    }
}

impl Question {
    /// Its identifier.
    pub const fn id(self) -> Identifier {
        match self {
            Self::Read(id) => id,
            Self::Records(di, _, _) => Identifier::Di(di),
        }
    }
}
