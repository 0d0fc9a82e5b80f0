//! A visit to one meter for how far its clock is off (时钟误差). Pure: the octets are fetched by the caller.
//!
//! Date and time come by one answer where the meter has 0400010C, else by two; the date is read again where midnight may
//! have lain between them. A meter takes the time somewhere between the end of the request and the first octet of its
//! answer: the middle is taken, and half of it is the bound of the error, beside the half second by which a display of
//! whole seconds may be off. A clock that is past the bound, or shows no time, is looked at twice, as all are on a noisy
//! line: two looks must agree.

mod look;
mod settlement;
#[cfg(test)]
mod tests;

pub use self::look::{Finding, Measured};

use self::look::{Look, Part};
use super::round::{Lesson, Point, Round};
use super::settlements::Days;
use super::talk::{Answer, NoReply};
use super::visit::Question;
use crate::planner::{Ask, Costs};
use crate::reading::{Decoded, Failure, Quality, Reason, Transformers, decode};
use catalogue::{Catalogue, Identifier, Register, Standard};
use dlt645::Edition;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// Looks at a clock on which no two agree.
const LOOKS: usize = 3;

/// What is wanted of which meter.
#[derive(Clone, Debug)]
pub struct Want {
    /// What the meter speaks.
    pub standard: Standard,
    /// The zone whose time the meter shows: the gateway's.
    pub zone: TimeZone,
    /// Past this a clock is looked at twice; 5 minutes as a rule.
    pub bound: SignedDuration,
    /// Registers whose readings are wanted, clocks and others.
    pub wanted: Vec<Register>,
    /// Blocks and registers not to be tried.
    pub refused: BTreeSet<Identifier>,
    /// What an exchange costs.
    pub costs: Costs,
    /// How the meter is wired, and its transformers.
    pub point: Point,
    /// Whether its settlement days (结算日) are wanted too: they are not known yet.
    pub settlements: bool,
}

/// What came of a visit.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked {
    /// Readings and failures of what is wanted.
    pub decoded: Decoded,
    /// What was found of the clock; `None` where the meter did not tell, or no two looks agree.
    pub finding: Option<Finding>,
    /// What was heard of its settlement days; nothing where they were not asked for.
    pub settlements: Days,
}

/// The registers of a meter's clock.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    /// Date and time by one answer, where the edition has that.
    both: Option<Register>,
    date: Register,
    time: Register,
}

/// The questions to one meter about its clock and the answers so far.
#[derive(Debug)]
pub struct ClockCheck {
    want: Want,
    clocks: Option<Clocks>,
    step: Step,
    noisy: bool,
    answered: bool,
    /// The answers of this look.
    parts: Vec<Part>,
    looks: Vec<Look>,
    lessons: Vec<Lesson>,
    decoded: Decoded,
    finding: Option<Finding>,
    settlements: Days,
}

#[derive(Debug)]
enum Step {
    Both,
    Date,
    Time,
    /// The date once more: midnight may have lain before the time.
    Again,
    /// What is wanted beside the clock.
    Others(Box<Round>),
    /// The next settlement day.
    Settlement,
    Over,
}

impl ClockCheck {
    /// Begins with the clock; what else is wanted comes behind it.
    pub fn new(want: Want) -> Self {
        let table =
            want.wanted.first().map_or_else(|| Catalogue::of_standard(want.standard), Register::table);
        let clocks = table.by_name("clock_date").zip(table.by_name("clock_time"));
        let clocks = clocks.map(|(date, time)| Clocks { both: table.by_name("clock"), date, time });
        let mut check = Self {
            want,
            clocks,
            step: Step::Over,
            noisy: false,
            answered: false,
            parts: Vec::new(),
            looks: Vec::new(),
            lessons: Vec::new(),
            decoded: Decoded::default(),
            finding: None,
            settlements: Days::default(),
        };
        check.look();
        check
    }

    /// Says whether the line is noisy: then the clock counts when two looks agree on it.
    pub fn over_noise(&mut self, is_noisy: bool) {
        self.noisy = is_noisy;
        if let Step::Others(round) = &mut self.step {
            round.over_noise(is_noisy);
        }
    }

    /// The next question; `None` when the visit is over.
    pub fn next(&self) -> Option<Question> {
        let id = match &self.step {
            Step::Others(round) => round.next()?.subject.id(),
            Step::Both | Step::Date | Step::Time | Step::Again | Step::Settlement | Step::Over => {
                self.single()?.id()
            }
        };
        Some(Question::Read(id))
    }

    /// The register that is asked for alone in this step.
    fn single(&self) -> Option<Register> {
        let clocks = self.clocks?;
        match &self.step {
            Step::Both => clocks.both,
            Step::Date | Step::Again => Some(clocks.date),
            Step::Time => Some(clocks.time),
            Step::Settlement => self.settlement_day(),
            Step::Others(_) | Step::Over => None,
        }
    }

    /// Takes what came of the question that [`ClockCheck::next`] gave.
    pub fn take(&mut self, came: Result<Answer, NoReply>) {
        self.answered |= came.as_ref().map_or_else(|none| none.reason == Reason::Refused, |_| true);
        if let Step::Others(round) = &mut self.step {
            round.take(came);
            if round.next().is_none() {
                self.end_others();
            }
            return;
        }
        let Some(register) = self.single() else { return };
        if matches!(self.step, Step::Settlement) {
            return self.take_settlement(register, came);
        }
        let answer = match came {
            Ok(answer) => answer,
            Err(none) => return self.no_answer(&none),
        };
        let part = Part::of(register, answer);
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Both => {
                self.lessons.push(Lesson::Has(register.id()));
                // One that does not say it in these octets may say it in the two others.
                let is_sound = part.is_sound();
                self.parts = vec![part];
                if is_sound {
                    self.seen();
                } else {
                    self.want.refused.insert(register.id());
                    self.step = Step::Date;
                }
            }
            Step::Date => {
                self.parts = vec![part];
                self.step = Step::Time;
            }
            Step::Time => {
                let again = look::may_have_turned(&self.parts, &part);
                self.parts.push(part);
                if again { self.step = Step::Again } else { self.seen() }
            }
            Step::Again => {
                if let Some(date) = self.parts.first_mut() {
                    *date = part;
                }
                self.seen();
            }
            Step::Others(_) | Step::Settlement | Step::Over => {}
        }
    }

    /// Ends the visit: what has no value yet fails with `reason`.
    pub fn abandon(&mut self, reason: Reason, detail: &str) {
        match &mut self.step {
            Step::Settlement | Step::Over => {}
            Step::Others(round) => {
                round.abandon(reason, detail);
                self.end_others();
            }
            Step::Both | Step::Date | Step::Time | Step::Again => {
                self.undecided(&NoReply::of(reason, detail));
                self.abandon_others(reason, detail);
            }
        }
        self.step = Step::Over;
    }

    /// Whether the meter said anything sound in this visit.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// What the visit taught of blocks and registers.
    pub fn lessons(&self) -> impl Iterator<Item = Lesson> + '_ {
        self.lessons.iter().copied()
    }

    /// What came of the visit.
    pub fn finish(mut self) -> Checked {
        self.abandon(Reason::Expired, "the visit ended before it was read");
        Checked { decoded: self.decoded, finding: self.finding, settlements: self.settlements }
    }

    /// Begins a look at the clock.
    fn look(&mut self) {
        self.parts.clear();
        let both = self.clocks.and_then(|clocks| clocks.both).map(|both| both.id());
        self.step = match both {
            _ if self.clocks.is_none() => return self.others(),
            Some(di) if !self.want.refused.contains(&di) => Step::Both,
            Some(_) | None => Step::Date,
        };
    }

    /// A look is complete.
    fn seen(&mut self) {
        let look = Look::of(std::mem::take(&mut self.parts), &self.want.zone);
        let is_alone = self.looks.is_empty() && !self.noisy && !look.finding.is_past(self.want.bound);
        let agrees = self.looks.iter().any(|before| before.agrees(&look));
        self.looks.push(look);
        if is_alone || agrees {
            self.settle();
            self.others();
        } else if self.looks.len() < LOOKS {
            self.look();
        } else {
            let none = "it is read differently each time".to_owned();
            self.undecided(&NoReply::of(Reason::Stray, none));
            self.others();
        }
    }

    /// The last look is believed.
    fn settle(&mut self) {
        if let Some(look) = self.looks.last() {
            self.decoded = self.readings(look);
            self.finding = Some(look.finding.clone());
        }
    }

    /// No look is believed; the last one, if there is one, is told with why not.
    fn undecided(&mut self, none: &NoReply) {
        let Some(look) = self.looks.last() else {
            let wanted: Vec<Register> = self.wanted_clocks().collect();
            self.decoded = Decoded { readings: Vec::new(), failures: failures(&wanted, none) };
            return;
        };
        let mut decoded = self.readings(look);
        let why = format!(
            "the clock has to be read alike twice, and was not in {} time(s): {}",
            self.looks.len(),
            none.detail
        );
        for reading in &mut decoded.readings {
            (reading.quality, reading.why) = (Quality::Suspect, Some(why.clone()));
        }
        self.decoded = decoded;
    }

    /// A question about the clock has no answer.
    fn no_answer(&mut self, none: &NoReply) {
        let lacks = none.word.is_some_and(|word| word.no_requested_data());
        if let (Step::Both, Reason::Refused, Some(both)) = (&self.step, none.reason, self.single()) {
            if lacks {
                self.lessons.push(Lesson::Lacks(both.id()));
            }
            self.want.refused.insert(both.id());
            self.step = Step::Date;
            return;
        }
        self.undecided(none);
        // A meter of 1997 has no word for what it lacks.
        let may_lack = none.reason == Reason::Silent && self.want.standard.is(Edition::E1997);
        if self.answered || may_lack {
            self.others();
        } else {
            self.abandon_others(none.reason, &none.detail);
        }
    }

    fn readings(&self, look: &Look) -> Decoded {
        let mut decoded = Decoded::default();
        for register in self.wanted_clocks() {
            if let Some(part) = look.part(register) {
                if let Ok(own) =
                    decode(&Ask::single(register), &part.octets, part.taken_at, Transformers::default())
                {
                    decoded.readings.extend(own.readings);
                    decoded.failures.extend(own.failures);
                }
            } else if let Some(reading) = look.reading(register) {
                decoded.readings.push(reading);
            } else {
                let none = NoReply::of(Reason::Missing, "the meter tells date and time each by itself");
                decoded.failures.extend(failures(&[register], &none));
            }
        }
        decoded
    }

    /// The clock's registers among those that are wanted.
    fn wanted_clocks(&self) -> impl Iterator<Item = Register> + '_ {
        self.want.wanted.iter().copied().filter(|register| self.is_clock(register))
    }

    fn is_clock(&self, register: &Register) -> bool {
        self.clocks.is_some_and(|Clocks { both, date, time }| {
            both.as_ref() == Some(register) || *register == date || *register == time
        })
    }

    /// Goes on with what is wanted beside the clock.
    fn others(&mut self) {
        let wanted = self.want.wanted.iter().copied();
        let others: Vec<Register> = wanted.filter(|register| !self.is_clock(register)).collect();
        if others.is_empty() {
            return self.settlement();
        }
        let mut round = Round::new(&others, self.want.refused.clone(), self.want.costs, self.want.point);
        round.over_noise(self.noisy);
        let is_over = round.next().is_none();
        self.step = Step::Others(Box::new(round));
        if is_over {
            self.end_others();
        }
    }

    fn abandon_others(&mut self, reason: Reason, detail: &str) {
        self.others();
        if let Step::Others(round) = &mut self.step {
            round.abandon(reason, detail);
            self.end_others();
        }
    }

    fn end_others(&mut self) {
        let Step::Others(round) = std::mem::replace(&mut self.step, Step::Over) else { return };
        self.lessons.extend(round.lessons());
        let Decoded { readings, failures } = round.finish();
        self.decoded.readings.extend(readings);
        self.decoded.failures.extend(failures);
        self.settlement();
    }
}

fn failures(registers: &[Register], none: &NoReply) -> Vec<Failure> {
    let failure = |&register: &Register| Failure {
        register,
        reason: none.reason,
        detail: none.detail.clone(),
        raw: None,
    };
    registers.iter().map(failure).collect()
}
