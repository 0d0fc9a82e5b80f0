//! Whose clock is off (时钟超差), told once, and once when it is right again. Pure: times are arguments.
//!
//! What is kept of a meter over restarts is [`Kept`], so that nothing is told twice.

use super::clock_check::{Finding, Measured};
use super::renumber::renumbered;
use crate::event::{ClockOff, Kind};
use crate::reading::clock;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A broadcast is obeyed by clocks that are off by so much at most (DL/T 645-2007 clause 7.6).
pub const CURABLE: SignedDuration = SignedDuration::from_mins(5);
/// A change of the offset that is worth a write to flash, and how old what was kept may be.
const MOVED: SignedDuration = SignedDuration::from_secs(2);
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is known of a meter's clock; its text is kept over restarts: `-372500@1793491200000 visit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// How far it is ahead; `None` where it shows no time.
    pub offset: Option<SignedDuration>,
    /// When that was measured.
    pub at: Timestamp,
    /// What was told of it last.
    pub state: State,
}

/// What is told of a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is within the bound.
    Right,
    /// It is not; a broadcast may cure it.
    Off,
    /// It is not, and no broadcast cures it: it has to be set on site (现场校时).
    NeedsVisit,
}

/// What is measured against.
#[derive(Clone, Copy, Debug)]
pub struct Measure<'a> {
    /// How far a clock may be off.
    pub bound: SignedDuration,
    /// The gateway's zone, whose time the meters show.
    pub zone: &'a TimeZone,
    /// When the time was last broadcast on the meter's line.
    pub synced: Option<Timestamp>,
}

/// What follows from a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// What is to be kept anew.
    pub keep: Option<Kept>,
    /// What is to be told, of the meter, at the time of the finding.
    pub event: Option<Kind>,
}

/// The clocks of the meters of one bus.
#[derive(Debug, Default)]
pub struct Clocks {
    meters: BTreeMap<usize, OfMeter>,
}

#[derive(Clone, Copy, Debug)]
struct OfMeter {
    known: Kept,
    kept: Kept,
}

impl Clocks {
    /// Takes over what an earlier run kept.
    pub fn recall(&mut self, meter: usize, kept: Kept) {
        self.meters.insert(meter, OfMeter { known: kept, kept });
    }

    /// What is known of a meter's clock.
    pub fn of(&self, meter: usize) -> Option<Kept> {
        self.meters.get(&meter).map(|of| of.known)
    }

    /// Whether a broadcast would do good to any of these meters: its clock is off by more than `least`, and not by more
    /// than a broadcast cures.
    pub fn is_any_curable(&self, meters: impl IntoIterator<Item = usize>, least: SignedDuration) -> bool {
        let offsets = meters.into_iter().filter_map(|meter| self.of(meter)?.offset);
        offsets.map(SignedDuration::abs).any(|offset| offset > least && offset <= CURABLE)
    }

    /// Takes what was found of a meter's clock.
    pub fn take(&mut self, meter: usize, finding: &Finding, measure: Measure<'_>) -> Judged {
        let before = self.meters.get(&meter).copied();
        let was = before.map(|of| of.known);
        let uncured = was.and_then(|was| uncured(was, finding, measure.synced));
        let state = state(was, finding, measure.bound, uncured);
        let known = Kept { offset: finding.offset(), at: finding.at(), state };
        let told = was.map_or(State::Right, |was| was.state);
        let event = (state != told).then(|| {
            let (offset, within) = match finding {
                Finding::Measured(Measured { offset, within, .. }) => (Some(*offset), Some(*within)),
                Finding::NoTime { .. } => (None, None),
            };
            Kind::ClockOff(ClockOff {
                is_off: state != State::Right,
                offset,
                within,
                bound: measure.bound,
                needs_visit: state == State::NeedsVisit,
                why: why(finding, state, uncured, measure),
            })
        });
        let is_news = event.is_some() || before.is_none_or(|of| of.kept.differs(known));
        let kept = before.filter(|_| !is_news).map_or(known, |of| of.kept);
        self.meters.insert(meter, OfMeter { known, kept });
        Judged { keep: is_news.then_some(known), event }
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.meters, |meter| to(*meter));
    }
}

impl Kept {
    /// Whether `now` is worth to be kept in its place.
    fn differs(self, now: Self) -> bool {
        let moved = match (self.offset, now.offset) {
            (Some(before), Some(after)) => (after - before).abs() > MOVED,
            (before, after) => before != after,
        };
        moved || now.at.duration_since(self.at).abs() >= KEPT_FOR
    }
}

/// The broadcast that should have cured a clock, and did not.
fn uncured(was: Kept, finding: &Finding, synced: Option<Timestamp>) -> Option<Timestamp> {
    let could = was.offset.is_some_and(|offset| offset.abs() <= CURABLE);
    synced.filter(|at| could && was.at < *at && *at < finding.at())
}

/// What is off comes right at four fifths of the bound, so that one that walks about it is not told each time.
fn state(was: Option<Kept>, finding: &Finding, bound: SignedDuration, uncured: Option<Timestamp>) -> State {
    let Finding::Measured(Measured { offset, within, .. }) = finding else { return State::NeedsVisit };
    let told = was.map_or(State::Right, |was| was.state);
    let limit = if told == State::Right { bound } else { bound / 5 * 4 };
    if offset.abs() <= limit {
        State::Right
    } else if told == State::NeedsVisit || uncured.is_some() || offset.abs() + *within > CURABLE {
        State::NeedsVisit
    } else {
        State::Off
    }
}

fn why(finding: &Finding, state: State, uncured: Option<Timestamp>, measure: Measure<'_>) -> String {
    let (offset, at) = match finding {
        Finding::NoTime { shows, .. } => {
            return format!("its clock (时钟) shows no time: {shows}; set it on site");
        }
        Finding::Measured(Measured { offset, at, .. }) => (*offset, *at),
    };
    let off = side(offset);
    if state == State::Right {
        return format!("its clock is right again: {off}");
    }
    let mut why = format!("its clock is {off}, past the bound of {}", span(measure.bound));
    let year = at.checked_add(offset).ok().map(|shown| shown.to_zoned(measure.zone.clone()).year());
    if let Some((day, beside)) = clock::missed_change(offset, at, measure.zone) {
        why += &format!(
            "; it did not take part in the change-over (夏令时) of {day}, beside which it is {}",
            side(beside)
        );
    } else if year == Some(2000) {
        why += "; it began again in 2000, as behind an empty battery (时钟电池欠压)";
    } else if is_whole_hours(offset) {
        why += "; whole hours: it may be set to another zone";
    }
    match (state, uncured) {
        (State::NeedsVisit, Some(synced)) if offset.abs() <= CURABLE => {
            let synced = synced.to_zoned(measure.zone.clone());
            why += &format!(
                "; the broadcast (广播校时) of {} did not cure it",
                synced.strftime("%Y-%m-%dT%H:%M")
            );
            why += ": set it on site";
        }
        (State::NeedsVisit, _) => {
            why += &format!("; a broadcast (广播校时) cures {} at most: set it on site", span(CURABLE));
        }
        (State::Off | State::Right, _) => {}
    }
    why
}

/// Off by hours, give or take a minute.
fn is_whole_hours(offset: SignedDuration) -> bool {
    let seconds = offset.abs().as_secs();
    let beside = (seconds + 60) % 3600;
    (3540..=14 * 3600 + 60).contains(&seconds) && beside <= 120
}

fn side(offset: SignedDuration) -> String {
    let side = if offset.is_negative() { "behind" } else { "ahead" };
    format!("{} {side}", span(offset))
}

/// The two largest units: `1 h 12 s`.
fn span(of: SignedDuration) -> String {
    let seconds = of.abs().as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        if left >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", left / size));
        }
        left %= size;
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

impl State {
    const ALL: [(Self, &str); 3] = [(Self::Right, "right"), (Self::Off, "off"), (Self::NeedsVisit, "visit")];
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{}", offset.as_millis())?,
            None => f.write_str("-")?,
        }
        let word = State::ALL.iter().find(|(state, _)| *state == self.state).map_or("", |(_, word)| word);
        write!(f, "@{} {word}", self.at.as_millisecond())
    }
}

/// A text that is no [`Kept`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a clock is kept as its offset, when it was measured and what was told of it: 1500@1793491200000 right"
)]
pub struct BadKept;

impl FromStr for Kept {
    type Err = BadKept;

    fn from_str(text: &str) -> Result<Self, BadKept> {
        let (measured, word) = text.split_once(' ').ok_or(BadKept)?;
        let (offset, at) = measured.split_once('@').ok_or(BadKept)?;
        let offset = match offset {
            "-" => None,
            ms => Some(SignedDuration::from_millis(ms.parse().map_err(|_| BadKept)?)),
        };
        let at = Timestamp::from_millisecond(at.parse().map_err(|_| BadKept)?).map_err(|_| BadKept)?;
        let (state, _) = State::ALL.into_iter().find(|(_, own)| *own == word).ok_or(BadKept)?;
        Ok(Self { offset, at, state })
    }
}

#[cfg(test)]
mod tests;
