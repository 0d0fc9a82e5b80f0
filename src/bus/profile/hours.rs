//! The hourly freezes (整点冻结, 05 04) of a meter without load records, found by their stamps.
//!
//! The n-th last freeze counts freezes, not hours: a number is believed only with the stamp that the meter gives for it.

use super::common::{civil, has_none, register, shown};
use super::held::{Failing, Got};
use super::track::Index;
use crate::bus::talk::{Answer, NoReply};
use crate::bus::visit::Question;
use crate::planner::{Ask, Subject};
use crate::reading::{Decoded, Failure, Reason, Transformers, decode};
use catalogue::Register;
use dlt645::Di;
use dlt645::format::Value;
use jiff::civil::DateTime;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The number behind that of the oldest freeze (FE).
const BEHIND: u8 = 0xFF;

/// A register and where its newest hourly freeze is.
pub(super) type Hourly = (Register, Di);

/// The slots that are still to be read from freezes.
#[derive(Debug)]
pub(super) struct Hours {
    wanted: Vec<Hourly>,
    transformers: Transformers,
    pending: VecDeque<(DateTime, Index)>,
    /// The stamp of the n-th last; `None` where there is none so old.
    stamps: BTreeMap<u8, Option<DateTime>>,
    /// What came of the slot in front.
    own: Decoded,
    /// Registers of the slot in front that were asked for.
    asked: usize,
    /// What was read, until it is known that the meter did not freeze meanwhile.
    read: Vec<(Index, DateTime, Decoded)>,
}

/// Where the freeze of an hour is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// To be known when this stamp is.
    By(u8),
    At(u8),
    /// The meter has not frozen it yet.
    Newer,
    /// There is none between two that are one after the other, or the last is newer.
    Nowhere,
    /// There are no hourly freezes.
    NoFreezes,
}

impl Hours {
    pub(super) fn new(
        wanted: Vec<Hourly>,
        transformers: Transformers,
        slots: impl IntoIterator<Item = (DateTime, Index)>,
    ) -> Self {
        Self {
            wanted,
            transformers,
            pending: slots.into_iter().collect(),
            stamps: BTreeMap::new(),
            own: Decoded::default(),
            asked: 0,
            read: Vec::new(),
        }
    }

    /// The registers that are wanted of each slot.
    pub(super) fn wanted(&self) -> Vec<Register> {
        self.wanted.iter().map(|(register, _)| *register).collect()
    }

    /// Whether the meter has hourly freezes.
    pub(super) fn is_there(&self) -> bool {
        self.stamps.get(&1).is_some_and(Option::is_some)
    }

    pub(super) fn next(&self) -> Option<Question> {
        let Some((at, _)) = self.pending.front() else {
            return (!self.read.is_empty()).then(|| Question::Read(stamp(1).into()));
        };
        match self.place(*at) {
            Place::By(n) => Some(Question::Read(stamp(n).into())),
            Place::At(n) => {
                self.wanted.get(self.asked).map(|(_, newest)| Question::Read(nth(*newest, n).into()))
            }
            Place::Newer | Place::Nowhere | Place::NoFreezes => None,
        }
    }

    /// Takes what came of the question.
    pub(super) fn take(&mut self, came: Result<Answer, NoReply>) -> Vec<(Index, Got)> {
        let mut all = Vec::new();
        match self.pending.front().map(|(at, _)| self.place(*at)) {
            None => return self.confirm(came),
            Some(Place::By(n)) => match stamped(n, came) {
                Ok(at) => {
                    self.stamps.insert(n, at);
                }
                Err(failing) => all.extend(self.give_up(&failing)),
            },
            Some(Place::At(n)) => {
                if let Err(failing) = self.value(n, came) {
                    all.extend(self.give_up(&failing));
                }
            }
            Some(Place::Newer | Place::Nowhere | Place::NoFreezes) => {}
        }
        all.extend(self.settle());
        all
    }

    /// Ends the slots of which is known that there is no freeze.
    fn settle(&mut self) -> Vec<(Index, Got)> {
        let mut all = Vec::new();
        while let Some(&(at, slot)) = self.pending.front() {
            let got = match self.place(at) {
                Place::By(_) | Place::At(_) => break,
                Place::Newer => Got::Later(Failing::of(
                    Reason::Missing,
                    format!("the meter has not frozen {} yet (整点冻结)", shown(at)),
                )),
                Place::Nowhere => Got::Gone(format!(
                    "the meter has no load records (负荷记录), and none of its hourly freezes (整点冻结) is of {}",
                    shown(at)
                )),
                Place::NoFreezes => Got::Gone(
                    "the meter has neither load records (负荷记录) nor hourly freezes (整点冻结)".to_owned(),
                ),
            };
            self.pending.pop_front();
            all.push((slot, got));
        }
        all
    }

    /// All slots that are still to be read, those too of which the meter may have frozen meanwhile.
    pub(super) fn left(&mut self) -> Vec<Index> {
        self.own = Decoded::default();
        self.asked = 0;
        let read = std::mem::take(&mut self.read).into_iter().map(|(slot, _, _)| slot);
        read.chain(std::mem::take(&mut self.pending).into_iter().map(|(_, slot)| slot)).collect()
    }

    /// The slot in front is not read now.
    fn give_up(&mut self, failing: &Failing) -> Option<(Index, Got)> {
        self.own = Decoded::default();
        self.asked = 0;
        self.pending.pop_front().map(|(_, slot)| (slot, Got::Later(failing.clone())))
    }

    fn value(&mut self, n: u8, came: Result<Answer, NoReply>) -> Result<(), Failing> {
        let Some(&(plain, newest)) = self.wanted.get(self.asked) else { return Ok(()) };
        let Decoded { readings, failures } = match came {
            Ok(answer) => {
                let subject = register(nth(newest, n)).unwrap_or(plain);
                let ask = Ask { subject: Subject::Register(subject), wanted: Arc::new([plain]) };
                decode(&ask, &answer.octets, answer.taken_at, self.transformers).unwrap_or_default()
            }
            Err(none) if none.reason == Reason::Refused => {
                let detail = format!("the meter's hourly freezes (整点冻结) do not have it: {}", none.detail);
                let failure = Failure { register: plain, reason: none.reason, detail, raw: None };
                Decoded { readings: Vec::new(), failures: vec![failure] }
            }
            Err(none) => return Err(Failing::of(none.reason, none.detail)),
        };
        self.own.readings.extend(readings);
        self.own.failures.extend(failures);
        self.asked += 1;
        if self.asked == self.wanted.len() {
            self.asked = 0;
            let own = std::mem::take(&mut self.own);
            self.read.extend(self.pending.pop_front().map(|(at, slot)| (slot, at, own)));
        }
        Ok(())
    }

    /// Takes the newest stamp once more: if there is another freeze all numbers were others meanwhile.
    fn confirm(&mut self, came: Result<Answer, NoReply>) -> Vec<(Index, Got)> {
        let read = std::mem::take(&mut self.read);
        let changed = match stamped(1, came) {
            Ok(at) if self.stamps.get(&1) == Some(&at) => None,
            Ok(_) => Some(Failing::of(
                Reason::Implausible,
                "the meter froze (整点冻结) while its freezes were read, so that it is not known of which hour the \
                 values are; they are read again",
            )),
            Err(failing) => Some(failing),
        };
        let got = |(slot, at, own)| match &changed {
            None => (slot, Got::Read(at, own)),
            Some(failing) => (slot, Got::Later(failing.clone())),
        };
        read.into_iter().map(got).collect()
    }

    fn place(&self, at: DateTime) -> Place {
        match self.stamps.get(&1) {
            None => return Place::By(1),
            Some(None) => return Place::NoFreezes,
            Some(Some(newest)) if *newest < at => return Place::Newer,
            Some(Some(_)) => {}
        }
        if let Some((n, _)) = self.stamps.iter().find(|(_, stamp)| **stamp == Some(at)) {
            return Place::At(*n);
        }
        let newer = self.stamps.iter().rfind(|(_, stamp)| stamp.is_some_and(|stamp| stamp > at));
        let Some((&low, &Some(after))) = newer else { return Place::Nowhere };
        let older = self.stamps.range(low..).find(|(_, stamp)| stamp.is_none_or(|stamp| stamp < at));
        let high = older.map_or(BEHIND, |(n, _)| *n);
        if high - low < 2 {
            return Place::Nowhere;
        }
        // One freeze an hour as a rule; where that leads to no number between, halves.
        let hours = |later: DateTime, earlier: DateTime| {
            u8::try_from(later.duration_since(earlier).as_hours().max(1)).unwrap_or(u8::MAX)
        };
        let guess = match older {
            None => low.saturating_add(hours(after, at)).min(BEHIND - 1),
            Some((_, Some(before))) => high.saturating_sub(hours(at, *before)),
            Some((_, None)) => low,
        };
        let between = low + 1..high;
        Place::By(if between.contains(&guess) { guess } else { low + (high - low) / 2 })
    }
}

/// When the n-th last hour was frozen.
const fn stamp(n: u8) -> Di {
    Di::new(0x0504_0000 | n as u32)
}

const fn nth(newest: Di, n: u8) -> Di {
    Di::new(newest.get() & 0xFFFF_FF00 | n as u32)
}

/// The stamp that came; `None` where the meter has no such freeze.
fn stamped(n: u8, came: Result<Answer, NoReply>) -> Result<Option<DateTime>, Failing> {
    let octets = match came {
        Ok(answer) => answer.octets,
        Err(none) if has_none(&none) => return Ok(None),
        Err(none) => return Err(Failing::of(none.reason, none.detail)),
    };
    let Some(register) = register(stamp(n)) else { return Ok(None) };
    // Zeros and FF stand where nothing was frozen yet.
    if octets.iter().all(|&octet| octet == 0) || octets.iter().all(|&octet| octet == 0xFF) {
        return Ok(None);
    }
    let at = match register.decode(&octets) {
        Ok(Value::DateTime(date, time)) => civil((date, time)),
        Ok(_) | Err(_) => None,
    };
    at.map(Some).ok_or_else(|| Failing {
        raw: Some(octets),
        ..Failing::of(
            Reason::Implausible,
            format!("the stamp of the meter's hourly freeze {n} (整点冻结) is no time"),
        )
    })
}
