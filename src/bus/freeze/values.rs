//! The values of a freeze: the frozen registers read for the present ones that are wanted, under the names of these.

use super::Want;
use crate::bus::round::{Lesson, Round};
use crate::bus::talk::{Answer, NoReply};
use crate::reading::{Decoded, Failure, Quality, Reason};
use catalogue::{Identifier, Register};
use dlt645::format::{NoValue, Value};
use jiff::Timestamp;
use jiff::civil::DateTime;

/// What an answer to a single question says.
#[derive(Debug)]
pub(super) enum Said {
    Value(Value),
    /// Nothing is set there.
    Unset,
    /// The meter refused it, or has no value.
    Lacks,
}

impl Said {
    /// The stamp, where there is one.
    pub(super) fn stamp(&self) -> Option<DateTime> {
        let Self::Value(Value::DateTime(date, time)) = self else { return None };
        let part = |n: u8| i8::try_from(n).ok();
        let date = jiff::civil::Date::new(2000 + i16::from(date.year), part(date.month)?, part(date.day)?);
        let time = jiff::civil::Time::new(part(time.hour)?, part(time.minute)?, 0, 0);
        Some(date.ok()?.to_datetime(time.ok()?))
    }
}

/// What came of the question for this register.
///
/// # Errors
/// [`NoReply`] where nothing can be concluded from it.
pub(super) fn said(register: Register, came: Result<Answer, NoReply>) -> Result<Said, NoReply> {
    match came.map(|answer| register.decode(&answer.octets)) {
        Ok(Ok(value)) => Ok(Said::Value(value)),
        Ok(Err(NoValue::Unset)) => Ok(Said::Unset),
        Ok(Err(NoValue::Missing)) => Ok(Said::Lacks),
        Ok(Err(NoValue::Implausible(why))) => {
            let detail = format!("its {} {}: {why}", register.name(), register.id());
            Err(NoReply::of(Reason::Implausible, detail))
        }
        Err(none) if none.reason == Reason::Refused => Ok(Said::Lacks),
        Err(none) => Err(none),
    }
}

/// A round of frozen registers.
#[derive(Debug)]
pub(super) struct Values {
    round: Round,
    /// What is read for what is wanted.
    names: Vec<(Register, Register)>,
    lacking: Vec<Failure>,
    last: Option<Timestamp>,
}

impl Values {
    /// The registers whose names end in `suffix` for those that are wanted; `of` is what they are, for a person.
    pub(super) fn new(want: &Want, suffix: &str, of: &str) -> Self {
        let (mut names, mut lacking) = (Vec::new(), Vec::new());
        for &plain in &want.wanted {
            match counterpart(plain, suffix) {
                Some(read) => names.push((read, plain)),
                None => lacking.push(Failure {
                    register: plain,
                    reason: Reason::Missing,
                    detail: format!("there is no {} in a {of}", plain.name()),
                    raw: None,
                }),
            }
        }
        let read: Vec<Register> = names.iter().map(|(read, _)| *read).collect();
        let round = Round::new(&read, want.refused.clone(), want.costs, want.point);
        Self { round, names, lacking, last: None }
    }

    pub(super) const fn over_noise(&mut self, is_noisy: bool) {
        self.round.over_noise(is_noisy);
    }

    pub(super) fn next(&self) -> Option<Identifier> {
        self.round.next().map(|ask| ask.subject.id())
    }

    pub(super) fn take(&mut self, came: Result<Answer, NoReply>) {
        self.last = came.as_ref().ok().map(|answer| answer.taken_at).or(self.last);
        self.round.take(came);
    }

    pub(super) fn abandon(&mut self, reason: Reason, detail: &str) {
        self.round.abandon(reason, detail);
    }

    pub(super) fn lessons(&self) -> impl Iterator<Item = Lesson> + '_ {
        self.round.lessons()
    }

    /// What came, under the names that are wanted, and when the last answer did.
    pub(super) fn finish(self) -> (Decoded, Option<Timestamp>) {
        let Decoded { mut readings, mut failures } = self.round.finish();
        let plain = |register: &mut Register| {
            if let Some((_, plain)) = self.names.iter().find(|(read, _)| read == register) {
                *register = *plain;
            }
        };
        readings.iter_mut().for_each(|reading| plain(&mut reading.register));
        failures.iter_mut().for_each(|failure| plain(&mut failure.register));
        failures.extend(self.lacking);
        (Decoded { readings, failures }, self.last)
    }
}

/// Says of all that is frozen how far it is to be believed; what is suspect stays so.
pub(super) fn mark(decoded: &mut Decoded, quality: Quality, why: &str) {
    for reading in decoded.readings.iter_mut().filter(|reading| !is_status(reading.register)) {
        match &mut reading.why {
            Some(said) => {
                said.push_str("; ");
                said.push_str(why);
            }
            None => reading.why = Some(why.to_owned()),
        }
        if reading.quality == Quality::Good {
            reading.quality = quality;
        }
    }
}

/// What is read for a present register. Status words are not frozen.
fn counterpart(plain: Register, suffix: &str) -> Option<Register> {
    if suffix.is_empty() || is_status(plain) {
        return Some(plain);
    }
    plain.table().by_name(&format!("{}{suffix}", plain.name()))
}

/// Status words (电表运行状态字, 04 00 05).
fn is_status(register: Register) -> bool {
    register.di().is_some_and(|di| di.get() >> 8 == 0x04_0005)
}
