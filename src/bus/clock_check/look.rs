//! One look at a meter's clock: the answers that it takes, and what they say.

use crate::bus::talk::Answer;
use crate::reading::{Content, Quality, Reading, clock};
use catalogue::Register;
use dlt645::format::{Date, NoValue, Time, Value};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A display of whole seconds is behind by half of one, give or take as much.
const HALF: SignedDuration = SignedDuration::from_millis(500);
/// The longest wait for a first octet: what was asked twice may be the late answer to the first question.
const LATE: SignedDuration = SignedDuration::from_secs(5);

/// What was found of a meter's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It shows a time.
    Measured(Measured),
    /// It shows what is no time.
    NoTime {
        /// A sentence's middle: `its date shows 26-02-30 (no date of the calendar)`.
        shows: String,
        /// When it did.
        at: Timestamp,
    },
}

/// How far a clock is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// By how much it is ahead; negative where it is behind.
    pub offset: SignedDuration,
    /// The offset may be wrong by so much either way.
    pub within: SignedDuration,
    /// The instant of the answer's first octet.
    pub at: Timestamp,
}

impl Finding {
    /// How far the clock is ahead, where it shows a time.
    pub const fn offset(&self) -> Option<SignedDuration> {
        match self {
            Self::Measured(measured) => Some(measured.offset),
            Self::NoTime { .. } => None,
        }
    }

    /// When it was seen.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Measured(measured) => measured.at,
            Self::NoTime { at, .. } => *at,
        }
    }

    /// Whether it is further off than so; what is no time is.
    pub fn is_past(&self, bound: SignedDuration) -> bool {
        self.offset().is_none_or(|offset| offset.abs() > bound)
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) register: Register,
    pub(super) octets: Vec<u8>,
    pub(super) taken_at: Timestamp,
    value: Result<Value, NoValue>,
    /// The meter took the time at most so long before.
    delay: SignedDuration,
    /// Whether it may be the answer to an earlier question.
    is_late: bool,
}

impl Part {
    pub(super) fn of(register: Register, answer: Answer) -> Self {
        let value = register.decode(&answer.octets);
        let delay = SignedDuration::try_from(answer.delay).unwrap_or_default();
        let Answer { octets, taken_at, tries, .. } = answer;
        Self { register, octets, taken_at, value, delay, is_late: tries > 1 }
    }

    pub(super) const fn is_sound(&self) -> bool {
        self.value.is_ok()
    }

    /// The earliest at which the meter can have taken it.
    fn earliest(&self) -> Timestamp {
        let late = if self.is_late { LATE } else { SignedDuration::ZERO };
        self.taken_at.saturating_sub(self.delay + late).unwrap_or(self.taken_at)
    }

    /// What is no value, as a display shows it: the octets of a date and a time come the last digits first, with the
    /// day of the week before the day.
    fn shows(&self) -> Option<String> {
        let why = self.value.as_ref().err()?;
        let digits: Vec<String> = self.octets.iter().rev().map(|octet| format!("{octet:02X}")).collect();
        let (what, shown) = match digits.as_slice() {
            [year, month, day, _] => ("date", format!("{year}-{month}-{day}")),
            [hour, minute, second] => ("time", format!("{hour}:{minute}:{second}")),
            other => ("clock", other.concat()),
        };
        Some(format!("its {what} shows {shown} ({why})"))
    }
}

/// Whether midnight of the meter's clock may lie between its date, the first of `parts`, and its time.
pub(super) fn may_have_turned(parts: &[Part], time: &Part) -> bool {
    let (Some(date), Ok(Value::Time(shown))) = (parts.first(), &time.value) else { return false };
    let since_midnight =
        i64::from(shown.hour) * 3600 + i64::from(shown.minute) * 60 + i64::from(shown.second.unwrap_or(0));
    let between = time.taken_at.duration_since(date.earliest());
    SignedDuration::from_secs(since_midnight) <= between + SignedDuration::from_secs(1)
}

/// What a look says.
#[derive(Clone, Debug)]
pub(super) struct Look {
    parts: Vec<Part>,
    shown: Option<(Date, Time)>,
    pub(super) finding: Finding,
}

impl Look {
    /// Of the answer for both, or those for date and time.
    pub(super) fn of(parts: Vec<Part>, zone: &TimeZone) -> Self {
        let values: Vec<_> = parts.iter().map(|part| part.value.as_ref().ok()).collect();
        let shown = match values.as_slice() {
            [Some(Value::DateTime(date, time))] | [Some(Value::Date(date)), Some(Value::Time(time))] => {
                Some((*date, *time))
            }
            _ => None,
        };
        let at = parts.last().map_or(Timestamp::UNIX_EPOCH, |part| part.taken_at);
        let measured = shown.zip(parts.last()).and_then(|(shown, last)| measured(shown, last, zone));
        let finding = measured.map_or_else(|| no_time(&parts, at), Finding::Measured);
        Self { parts, shown, finding }
    }

    /// Whether both may be right.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (&self.finding, &other.finding) {
            (Finding::Measured(one), Finding::Measured(two)) => {
                (one.offset - two.offset).abs() <= one.within + two.within
            }
            (Finding::NoTime { .. }, Finding::NoTime { .. }) => true,
            (Finding::Measured(_), Finding::NoTime { .. })
            | (Finding::NoTime { .. }, Finding::Measured(_)) => false,
        }
    }

    /// The answer that was given for this register.
    pub(super) fn part(&self, register: Register) -> Option<&Part> {
        self.parts.iter().find(|part| part.register == register)
    }

    /// Date or time out of the answer for both.
    pub(super) fn reading(&self, register: Register) -> Option<Reading> {
        let (date, time) = self.shown.filter(|_| self.parts.len() == 1)?;
        let value = match &*register.name().to_string() {
            "clock_date" => Value::Date(date),
            "clock_time" => Value::Time(time),
            _ => return None,
        };
        Some(Reading {
            register,
            content: Content::Value(value),
            quality: Quality::Good,
            why: None,
            raw: None,
            taken_at: self.parts.first()?.taken_at,
            primary: None,
        })
    }
}

fn no_time(parts: &[Part], at: Timestamp) -> Finding {
    let shows: Vec<String> = parts.iter().filter_map(Part::shows).collect();
    Finding::NoTime { shows: shows.join(" and "), at }
}

fn measured((date, time): (Date, Time), part: &Part, zone: &TimeZone) -> Option<Measured> {
    let shown = clock::shown(date, time)?;
    let middle = part.delay / 2;
    let took_it = part.taken_at.saturating_sub(middle).ok()?;
    let late = if part.is_late { LATE } else { SignedDuration::ZERO };
    Some(Measured {
        offset: clock::ahead(shown, took_it, zone).saturating_add(HALF),
        within: middle + HALF + late,
        at: part.taken_at,
    })
}
