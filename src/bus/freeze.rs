//! One visit to one meter for what it froze (冻结) at one slot. Pure: the octets are fetched by the caller.
//!
//! Which freeze is the slot's is told by its stamp. The order is: the daily freeze, of a month the settlement registers
//! (结算日), the hourly and the timed freeze, and at the slot itself the present registers.

mod instead;
mod kind;
#[cfg(test)]
mod tests;
mod values;
mod walk;
mod want;

pub use self::instead::STANDS_IN;
pub use self::kind::Kind;
pub use self::want::Want;

use self::values::{Said, Values, said};
use self::walk::{Walk, Walked};
use super::round::Lesson;
use super::settlements::Days;
use super::talk::{Answer, NoReply};
use super::visit::{Fate, Outcome, Question};
use crate::reading::{Decoded, Failure, Origin, Quality, Reason, Source};
use catalogue::{Catalogue, Register};
use dlt645::Edition;
use dlt645::format::Value;
use jiff::Timestamp;
use jiff::civil::{self, DateTime};

/// The questions to one meter about one slot and the answers so far.
#[derive(Debug)]
pub struct Freeze {
    want: Want,
    catalogue: &'static Catalogue,
    step: Step,
    noisy: bool,
    answered: bool,
    kind: Kind,
    /// Kinds that the meter turned out not to have, or not of this slot.
    lacking: Vec<Kind>,
    found: Option<Kind>,
    settlement_asked: bool,
    /// What was heard of the meter's settlement days.
    settlements: Days,
    /// Why the daily freeze of a month is not there, on the way to its settlement registers.
    absent: Option<String>,
    freeze: Option<Found>,
    /// Whether the meter froze while it was read, so that all was read again.
    again: bool,
    source: Source,
    doubt: Option<(Quality, String)>,
    lessons: Vec<Lesson>,
    decoded: Decoded,
    fate: Fate,
}

/// The slot's freeze.
#[derive(Clone, Copy, Debug)]
struct Found {
    n: u8,
    stamp: DateTime,
    stamped_at: Timestamp,
}

#[derive(Debug)]
enum Step {
    /// The stamp of the walk's next.
    Stamp(Walk),
    /// When the meter is set to freeze each day: its freeze has another time.
    Setting(Walk),
    /// The stamp of the one before, which may be of the same day.
    Before,
    /// The values.
    Values(Box<Values>),
    /// The stamp once more, now that there are values.
    Unchanged,
    /// The n-th settlement day.
    Settlement(u8),
    /// The date that the meter's clock shows: settlement registers bear none.
    Today,
    Over,
}

impl Freeze {
    /// Begins with what the meter is known to freeze by, or finds out.
    pub fn new(want: Want) -> Self {
        let catalogue =
            want.wanted.first().map_or_else(|| Catalogue::of_standard(want.standard), Register::table);
        let mut visit = Self {
            catalogue,
            step: Step::Over,
            noisy: false,
            answered: false,
            kind: want.known.unwrap_or(Kind::Daily),
            lacking: Vec::new(),
            found: want.known,
            settlement_asked: false,
            settlements: Days::default(),
            absent: None,
            freeze: None,
            again: false,
            source: Source::Present,
            doubt: None,
            lessons: Vec::new(),
            decoded: Decoded::default(),
            fate: Fate::Settled,
            want,
        };
        let has_no_freeze =
            !visit.want.standard.is(Edition::E2007) || matches!(visit.kind, Kind::NotFrozen | Kind::Instant);
        if has_no_freeze {
            visit.kind = Kind::NotFrozen;
            visit.without_freeze();
        } else if visit.kind == Kind::Daily || !visit.begin_settlement() {
            visit.begin_walk(visit.kind);
        }
        visit
    }

    /// Says whether the line is noisy: then a value counts when two answers agree on it.
    pub fn over_noise(&mut self, is_noisy: bool) {
        self.noisy = is_noisy;
        if let Step::Values(values) = &mut self.step {
            values.over_noise(is_noisy);
        }
    }

    /// The next question; `None` when the visit is over.
    pub fn next(&self) -> Option<Question> {
        let id = if let Step::Values(values) = &self.step { values.next()? } else { self.single()?.id() };
        Some(Question::Read(id))
    }

    /// The register that is asked for alone in this step.
    fn single(&self) -> Option<Register> {
        let stamp = |n| self.register(&self.kind.stamp(n));
        match &self.step {
            Step::Stamp(walk) => stamp(walk.n()),
            Step::Setting(_) => self.register("daily_freeze_time_of_day"),
            Step::Before => stamp(self.freeze?.n + 1),
            Step::Unchanged => stamp(self.freeze?.n),
            Step::Settlement(n) => self.register(&format!("settlement_day_{n}")),
            Step::Today => self.register("clock_date"),
            Step::Values(_) | Step::Over => None,
        }
    }

    fn register(&self, name: &str) -> Option<Register> {
        self.catalogue.by_name(name)
    }

    /// Takes what came of the question that [`Freeze::next`] gave.
    pub fn take(&mut self, came: Result<Answer, NoReply>) {
        self.answered |= came.as_ref().map_or_else(|none| none.reason == Reason::Refused, |_| true);
        if let Step::Values(values) = &mut self.step {
            values.take(came);
            if values.next().is_none() {
                self.end_values(None);
            }
            return;
        }
        let Some(register) = self.single() else { return };
        let taken_at = came.as_ref().map_or(self.want.slot, |answer| answer.taken_at);
        let said = match said(register, came) {
            Ok(said) => said,
            Err(none) => return self.no_answer(&none),
        };
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Stamp(walk) => self.take_stamp(walk, said.stamp(), taken_at),
            Step::Setting(walk) => self.take_setting(&walk, &said),
            Step::Before => self.take_before(said.stamp(), taken_at),
            Step::Unchanged => self.take_unchanged(said.stamp()),
            Step::Settlement(n) => self.take_settlement(n, &said),
            Step::Today => self.take_today(&said),
            Step::Values(_) | Step::Over => {}
        }
    }

    /// Ends the visit: what has no value yet fails with `reason`.
    pub fn abandon(&mut self, reason: Reason, detail: &str) {
        let none = NoReply::of(reason, detail);
        match &mut self.step {
            Step::Over => {}
            Step::Values(values) => {
                values.abandon(reason, detail);
                self.end_values(Some(&none));
            }
            Step::Stamp(_)
            | Step::Setting(_)
            | Step::Before
            | Step::Unchanged
            | Step::Settlement(_)
            | Step::Today => self.fail(&none),
        }
    }

    /// Whether the meter said anything sound in this visit.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// What the meter was found to freeze by, to be handed in the next time; `None` as long as it is not known.
    /// [`Kind::NotFrozen`] is to be forgotten now and then: a meter may be exchanged, or set otherwise.
    pub const fn found(&self) -> Option<Kind> {
        self.found
    }

    /// What the visit taught of blocks and registers.
    pub fn lessons(&self) -> impl Iterator<Item = Lesson> + '_ {
        self.lessons.iter().copied()
    }

    /// What came of the visit. A slot that is [`Fate::Gone`] has no failures beside the reason in it.
    pub fn finish(mut self) -> Outcome {
        self.abandon(Reason::Expired, "the visit ended before it was read");
        let Want { slot, frozen_at, clock_offset, is_backfill, .. } = self.want;
        let is_midnight = frozen_at.time() == civil::Time::midnight();
        Outcome {
            slot,
            origin: Origin {
                source: self.source,
                day: if is_midnight { frozen_at.date().yesterday().ok() } else { None },
                meter_time: self.freeze.map(|freeze| freeze.stamp),
                clock_offset,
                backfilled: is_backfill,
            },
            readings: self.decoded.readings,
            failures: self.decoded.failures,
            fate: self.fate,
        }
    }

    fn take_stamp(&mut self, mut walk: Walk, stamp: Option<DateTime>, stamped_at: Timestamp) {
        match walk.take(stamp) {
            Walked::On => self.step = Step::Stamp(walk),
            Walked::Found(n, stamp) => {
                self.found = Some(self.kind);
                self.freeze = Some(Found { n, stamp, stamped_at });
                if stamp == self.want.frozen_at || self.kind == Kind::Instant {
                    self.begin_values();
                } else {
                    self.step = Step::Setting(walk);
                }
            }
            Walked::NoSuch => self.has_not(),
            Walked::NotYet(_) | Walked::Absent(_) if matches!(self.kind, Kind::Timed | Kind::Instant) => {
                self.has_not();
            }
            Walked::NotYet(newest) => {
                self.found = Some(self.kind);
                let newest = newest.strftime("%Y-%m-%dT%H:%M");
                let detail =
                    format!("not frozen yet: the meter's newest {} is of {newest}", self.kind.words());
                self.fail(&NoReply::of(Reason::Missing, detail));
            }
            Walked::Absent(why) => {
                self.found = Some(self.kind);
                self.absent = Some(why.clone());
                if !self.begin_settlement() {
                    self.gone(why);
                }
            }
        }
    }

    /// The kind that was looked for is not there: the next.
    fn has_not(&mut self) {
        self.lacking.push(self.kind);
        self.found = None;
        if self.kind == Kind::Instant {
            self.instead();
        } else if !self.begin_settlement() {
            self.next_kind();
        }
    }

    fn take_setting(&mut self, walk: &Walk, said: &Said) {
        let Some(Found { n, stamp, .. }) = self.freeze else { return };
        let time_of_day = (stamp.hour().unsigned_abs(), stamp.minute().unsigned_abs());
        let bears = format!("the freeze of the day bears {}", stamp.strftime("%H:%M"));
        let why = match said {
            Said::Value(Value::Time(set)) if (set.hour, set.minute) == time_of_day => {
                return self.begin_values();
            }
            Said::Value(set) => format!("{bears} and the meter is set to freeze at {set}"),
            Said::Unset | Said::Lacks => {
                format!("{bears} and the meter does not tell when it is set to freeze")
            }
        };
        let why = format!("{why}: its clock was off, or it froze when power came back");
        self.doubt = Some((Quality::ClockOff, why));
        if walk.is_open_behind(n) {
            self.step = Step::Before;
        } else {
            self.begin_values();
        }
    }

    fn take_before(&mut self, stamp: Option<DateTime>, stamped_at: Timestamp) {
        if let (Some(stamp), Some(found)) = (stamp, &mut self.freeze)
            && stamp == self.want.frozen_at
        {
            *found = Found { n: found.n + 1, stamp, stamped_at };
            self.doubt = None;
        }
        self.begin_values();
    }

    fn begin_values(&mut self) {
        let Some(Found { n, .. }) = self.freeze else { return };
        self.read_values(&self.kind.suffix(n), self.kind.words());
    }

    fn read_values(&mut self, suffix: &str, of: &str) {
        let mut values = Box::new(Values::new(&self.want, suffix, of));
        values.over_noise(self.noisy);
        let nothing = values.next().is_none();
        self.step = Step::Values(values);
        if nothing {
            self.end_values(None);
        }
    }

    /// The values are there; unless `cut_off` ended the visit, the stamp is read again where it has to be.
    fn end_values(&mut self, cut_off: Option<&NoReply>) {
        let Step::Values(values) = std::mem::replace(&mut self.step, Step::Over) else { return };
        self.lessons.extend(values.lessons());
        let (decoded, last) = values.finish();
        self.decoded = decoded;
        let is_doubtful = self.freeze.zip(last).is_some_and(|(freeze, last)| {
            self.want.may_freeze(self.kind, freeze.stamp, (freeze.stamped_at, last))
        });
        match cut_off {
            _ if !is_doubtful => self.settle(),
            None => self.step = Step::Unchanged,
            Some(none) => self.fail(none),
        }
    }

    fn take_unchanged(&mut self, stamp: Option<DateTime>) {
        if stamp == self.freeze.map(|freeze| freeze.stamp) {
            return self.settle();
        }
        self.decoded = Decoded::default();
        if self.again {
            let detail =
                "the meter froze again while its values were read, and once more when they were read again";
            return self.fail(&NoReply::of(Reason::Stray, detail));
        }
        self.again = true;
        self.begin_walk(self.kind);
    }

    /// A single question that has no answer ends the visit. A meter of 1997 has no word for a setting that it lacks.
    fn no_answer(&mut self, none: &NoReply) {
        let may_lack = self.want.standard.is(Edition::E1997) && none.reason == Reason::Silent;
        if may_lack && matches!(self.step, Step::Settlement(_)) && self.want.is_in_time() {
            self.present();
        } else {
            self.fail(none);
        }
    }

    fn fail(&mut self, none: &NoReply) {
        let failure = |&register: &Register| Failure {
            register,
            reason: none.reason,
            detail: none.detail.clone(),
            raw: None,
        };
        self.decoded =
            Decoded { readings: Vec::new(), failures: self.want.wanted.iter().map(failure).collect() };
        self.freeze = None;
        self.fate = Fate::Later;
        self.step = Step::Over;
    }

    fn gone(&mut self, why: String) {
        self.fate = Fate::Gone(why);
        self.step = Step::Over;
    }

    /// The values are the slot's.
    fn settle(&mut self) {
        self.step = Step::Over;
        // What was commanded is of our own clock's instant.
        let clock = || if self.kind == Kind::Instant { None } else { self.want.clock_off() };
        let doubt = self.doubt.take().or_else(clock);
        if let Some((quality, why)) = doubt {
            values::mark(&mut self.decoded, quality, &why);
        }
        // What the meter does not have, it will not have; what did not come may come yet.
        let may_come = |failure: &Failure| !matches!(failure.reason, Reason::Refused | Reason::Missing);
        let later = self.decoded.failures.iter().any(may_come);
        self.fate = if later { Fate::Later } else { Fate::Settled };
    }
}
