//! A visit to one meter of 2007 for the load records (负荷记录, 06) of one or more slots. Pure, as [`super::round`] is.
//!
//! What the meter is set to record is asked once and kept by the caller ([`Profile::settings`]). Records are asked for
//! by time and credited by the time that each bears, by nothing else. Of a meter without load records the hourly
//! freezes (整点冻结, 05 04) stand in at full hours.

mod classes;
pub(crate) mod common;
mod held;
mod hours;
#[cfg(test)]
mod tests;
mod track;

pub use self::classes::{Setting, Settings};

use self::classes::{Class, classes, hourly, joined};
use self::common::{has_none, record_time, register, shown};
use self::held::{Failing, Got, Held};
use self::hours::{Hourly, Hours};
use self::track::{Index, Track};
use super::talk::{Answer, NoReply};
use super::visit::{Outcome, Question};
use crate::reading::{Reason, Source, Transformers};
use catalogue::Register;
use dlt645::Di;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Silent answers in one visit after which the meter is left alone.
const SILENCES: u32 = 2;

/// Where a meter keeps its values by the hour.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Load records (负荷记录, 06).
    LoadRecords,
    /// Hourly freezes alone (整点冻结, 05 04).
    HourlyFreeze,
}

/// A slot that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Its instant.
    pub at: Timestamp,
    /// The same by the clock of the gateway's zone, as the meter's clock shows it.
    pub local: DateTime,
    /// Whether that clock shows it twice, an hour being put back: records do not say which of the two they are of.
    pub is_twice: bool,
    /// Whether it was missed and is read later (补抄).
    pub backfilled: bool,
}

/// What is wanted of the meter.
#[derive(Clone, Debug)]
pub struct Wants {
    /// The slots, in any order.
    pub slots: Vec<Slot>,
    /// Minutes between two slots.
    pub interval: u16,
    /// Plain registers, such as `active_energy_import`; those of a phase that the meter does not have left out.
    pub registers: Vec<Register>,
    /// CT and PT.
    pub transformers: Transformers,
    /// How far the meter's clock was ahead when it was last measured; it goes into the origin of each outcome.
    pub clock_offset: Option<SignedDuration>,
}

/// The questions to one meter and the answers so far.
#[derive(Debug)]
pub struct Profile {
    wants: Wants,
    held: Vec<Held>,
    classes: Vec<Class>,
    settings: Settings,
    /// Settings that were not answered in this visit.
    unanswered: BTreeSet<Di>,
    stage: Stage,
    found: Option<Kind>,
    answered: bool,
    silences: u32,
}

#[derive(Debug)]
enum Stage {
    Settings,
    Records(Vec<Track>),
    Hours(Box<Hours>),
    Done,
}

impl Profile {
    /// A visit; `settings` are what an earlier one taught, `known` is what it found.
    pub fn new(wants: Wants, settings: Settings, known: Option<Kind>) -> Self {
        let (classes, others) = classes(&wants.registers);
        let mut profile = Self {
            held: wants.slots.iter().copied().map(Held::new).collect(),
            wants,
            classes,
            settings,
            unanswered: BTreeSet::new(),
            stage: Stage::Settings,
            found: None,
            answered: false,
            silences: 0,
        };
        let slots: Vec<Index> = (0..profile.held.len()).collect();
        for register in others {
            let why = format!("no load record (负荷记录) holds {}", register.name());
            profile.all(&slots, &[register], &Got::Gone(why));
        }
        if known == Some(Kind::HourlyFreeze) || profile.settings.records_nothing() {
            profile.hours();
        }
        profile.step();
        profile
    }

    /// The next question; `None` when the visit is over.
    pub fn next(&self) -> Option<Question> {
        match &self.stage {
            Stage::Settings => self.setting().map(|di| Question::Read(di.into())),
            Stage::Records(tracks) => tracks.iter().find_map(Track::next),
            Stage::Hours(hours) => hours.next(),
            Stage::Done => None,
        }
    }

    /// Takes what came of the question that [`Profile::next`] gave.
    pub fn take(&mut self, came: Result<Answer, NoReply>) {
        match &came {
            Ok(_) => self.answered = true,
            Err(none) => {
                self.answered |= none.reason == Reason::Refused;
                self.silences += u32::from(none.reason == Reason::Silent);
                let is_silent =
                    none.reason == Reason::Silent && (!self.answered || self.silences >= SILENCES);
                if is_silent || matches!(none.reason, Reason::PortGone | Reason::Expired) {
                    self.abandon(none.reason, &none.detail);
                    return;
                }
            }
        }
        match &mut self.stage {
            Stage::Settings => self.take_setting(came),
            Stage::Records(tracks) => {
                let Some(track) = tracks.iter_mut().find(|track| track.next().is_some()) else { return };
                let got = match came {
                    Ok(answer) => track.take(&answer.octets, answer.taken_at, self.wants.transformers),
                    Err(none) if has_none(&none) => track.take_none(),
                    Err(none) => track.take_failing(&Failing::of(none.reason, none.detail)),
                };
                if track.is_there() {
                    self.found = Some(Kind::LoadRecords);
                }
                let wanted = track.wanted().to_vec();
                self.credit(&wanted, got);
            }
            Stage::Hours(hours) => {
                let got = hours.take(came);
                if hours.is_there() {
                    self.found = Some(Kind::HourlyFreeze);
                }
                let wanted = hours.wanted();
                self.credit(&wanted, got);
            }
            Stage::Done => {}
        }
        self.step();
    }

    /// Ends the visit: what is still to be asked fails with `reason` and comes later.
    pub fn abandon(&mut self, reason: Reason, detail: &str) {
        let got = Got::Later(Failing::of(reason, detail));
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Settings => {
                let slots: Vec<Index> = (0..self.held.len()).collect();
                self.all(&slots, &wanted_of(&self.classes), &got);
            }
            Stage::Records(tracks) => {
                for mut track in tracks {
                    self.all(&track.left(), track.wanted(), &got);
                }
            }
            Stage::Hours(mut hours) => self.all(&hours.left(), &hours.wanted(), &got),
            Stage::Done => {}
        }
    }

    /// Whether the meter said anything sound in this visit.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// What the meter keeps its values in, where this visit showed it.
    pub const fn found(&self) -> Option<Kind> {
        self.found
    }

    /// What is known of its settings, to be passed to the next visit.
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// What came of each slot, in the order in which they were asked for.
    pub fn finish(mut self) -> Vec<Outcome> {
        self.abandon(Reason::Expired, "the visit was left before its end");
        self.held.into_iter().map(|held| held.outcome(self.wants.clock_offset)).collect()
    }

    fn setting(&self) -> Option<Di> {
        let numbers = self.classes.iter().map(|class| class.number);
        self.settings.unasked(numbers).filter(|di| !self.unanswered.contains(di))
    }

    fn take_setting(&mut self, came: Result<Answer, NoReply>) {
        let Some(di) = self.setting() else { return };
        match came {
            Ok(answer) => {
                let value = register(di).and_then(|register| register.decode(&answer.octets).ok());
                self.settings.learn(di, value);
            }
            Err(none) if none.reason == Reason::Refused => self.settings.learn(di, None),
            // It may be answered the next time; the records bear their times whatever it is.
            Err(_) => {
                self.unanswered.insert(di);
            }
        }
    }

    /// Goes on to the next stage where this one has no question left.
    fn step(&mut self) {
        while self.next().is_none() {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Settings if self.settings.records_nothing() => self.hours(),
                Stage::Settings => self.records(),
                Stage::Records(tracks) => self.after(tracks),
                Stage::Hours(_) | Stage::Done => return,
            }
        }
    }

    /// Begins with the records, after the classes and slots that the meter does not record.
    fn records(&mut self) {
        let classes = std::mem::take(&mut self.classes);
        let slots: Vec<Index> = (0..self.held.len()).collect();
        let (recorded, not): (Vec<_>, Vec<_>) =
            classes.into_iter().partition(|class| self.settings.records(class.number) != Some(false));
        for Class { number, wanted, .. } in not {
            let why = format!(
                "the meter does not record class {number} of its load records (负荷记录模式字 04000901 is set so)"
            );
            self.all(&slots, &wanted, &Got::Gone(why));
        }
        let mut tracks = Vec::new();
        for class in joined(recorded, &self.settings, slots.len().min(usize::from(common::AT_ONCE))) {
            let set = class.wanted.first().and_then(|first| {
                let (own, _) = classes::classes(&[*first]);
                own.first().and_then(|own| self.settings.interval(own.number))
            });
            let mut asked: Vec<(DateTime, Index)> = Vec::new();
            for slot in slots.iter().copied() {
                let Some(own) = self.held.get(slot).map(|held| held.slot) else { continue };
                match self.why_not(own, set) {
                    Some(why) => self.all(&[slot], &class.wanted, &Got::Gone(why)),
                    None => asked.push((own.local, slot)),
                }
            }
            tracks.push(Track::new(class, set.unwrap_or(self.wants.interval), asked));
        }
        self.stage = Stage::Records(tracks);
    }

    /// Why the meter can have no record of a time, with the interval that it is set to.
    fn why_not(&self, Slot { local, is_twice, .. }: Slot, set: Option<u16>) -> Option<String> {
        if record_time(local).is_none() {
            return Some(format!("a meter's clock does not have the year of {}", shown(local)));
        }
        if is_twice {
            return Some(shown_twice(local));
        }
        let set = set.filter(|set| !self.wants.interval.is_multiple_of(*set))?;
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        (minute % i32::from(set) != 0).then(|| {
            format!(
                "the meter records every {set} min (负荷记录间隔), so that it has no record of {}; set the meter to {} \
                 min, or the task's interval to {set}",
                shown(local),
                self.wants.interval
            )
        })
    }

    /// Ends the records: what no load record can hold is gone, or to be had from the hourly freezes.
    fn after(&mut self, tracks: Vec<Track>) {
        let lacks = self.found.is_none() && tracks.iter().all(Track::is_lacking);
        let tracks: Vec<(Class, BTreeSet<Index>)> = tracks.into_iter().map(Track::ended).collect();
        match tracks.first().map(|(_, slots)| slots.clone()) {
            Some(slots) if lacks && tracks.iter().all(|(_, own)| *own == slots) => {
                self.classes = tracks.into_iter().map(|(class, _)| class).collect();
                self.hours_of(slots);
            }
            _ => {
                for (Class { number, wanted, .. }, slots) in tracks {
                    let class = if number == 0 { String::new() } else { format!(" of class {number}") };
                    let why = format!("the meter answers that it has no load records (负荷记录){class}");
                    self.all(&Vec::from_iter(slots), &wanted, &Got::Gone(why));
                }
            }
        }
    }

    /// Begins with the hourly freezes.
    fn hours(&mut self) {
        self.hours_of((0..self.held.len()).collect());
    }

    fn hours_of(&mut self, slots: BTreeSet<Index>) {
        let mut wanted: Vec<Hourly> = Vec::new();
        let mut others = Vec::new();
        for register in wanted_of(&std::mem::take(&mut self.classes)) {
            match hourly(&register) {
                Some(newest) => wanted.push((register, newest)),
                None => others.push(register),
            }
        }
        let plain: Vec<Register> = wanted.iter().map(|(register, _)| *register).collect();
        let mut asked = Vec::new();
        for slot in slots {
            let Some(held) = self.held.get_mut(slot) else { continue };
            let Slot { local, is_twice, .. } = held.slot;
            held.is_from(Source::HourlyFreeze);
            let none = "the meter has no load records (负荷记录)";
            if !others.is_empty() {
                held.take(
                    &others,
                    Got::Gone(format!("{none}, and an hourly freeze (整点冻结) does not hold it")),
                );
            }
            if local.minute() != 0 || local.second() != 0 {
                held.take(
                    &plain,
                    Got::Gone(format!("{none}, and its hourly freezes (整点冻结) are of full hours")),
                );
            } else if is_twice {
                held.take(&plain, Got::Gone(shown_twice(local)));
            } else if !plain.is_empty() {
                asked.push((local, slot));
            }
        }
        self.stage = Stage::Hours(Box::new(Hours::new(wanted, self.wants.transformers, asked)));
    }

    fn credit(&mut self, registers: &[Register], got: Vec<(Index, Got)>) {
        for (slot, got) in got {
            if let Some(held) = self.held.get_mut(slot) {
                held.take(registers, got);
            }
        }
    }

    fn all(&mut self, slots: &[Index], registers: &[Register], got: &Got) {
        self.credit(registers, slots.iter().map(|slot| (*slot, got.clone())).collect());
    }
}

fn shown_twice(local: DateTime) -> String {
    format!("the clock shows {} twice, and what the meter keeps does not say which", shown(local))
}

fn wanted_of(classes: &[Class]) -> Vec<Register> {
    classes.iter().flat_map(|class| class.wanted.iter().copied()).collect()
}
