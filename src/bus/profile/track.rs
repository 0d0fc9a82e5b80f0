//! The load records of one class, or of all, asked for by time until each slot is read or known to be missing.

use super::classes::{Class, cost};
use super::common::{AT_ONCE, FROM, LATEST, civil, load_record, record_time, shown};
use super::held::{Failing, Got};
use crate::bus::visit::Question;
use crate::planner::Ask;
use crate::reading::{Decoded, Failure, Reason, Transformers, decode};
use catalogue::{Field, Register};
use dlt645::format::load;
use dlt645::pdu::Count;
use jiff::Timestamp;
use jiff::civil::DateTime;
use std::collections::{BTreeMap, BTreeSet};

/// Index of a slot.
pub(super) type Index = usize;

/// The slots that are still to be read of one class.
#[derive(Debug)]
pub(super) struct Track {
    class: Class,
    /// Minutes between two records.
    step: i64,
    /// Not asked for yet, by their time, which no two slots share.
    pending: BTreeMap<DateTime, Index>,
    /// To be asked for once more alone, since a block of their answer was bad.
    singly: BTreeMap<DateTime, Index>,
    at_once: usize,
    /// The newest record that was seen.
    newest: Option<DateTime>,
    latest: Latest,
    lacks: bool,
}

/// The newest record of all is asked for where a meter says that it has none from a time on: that may mean that it has
/// none at all, or none so late, or not so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Latest {
    NotNeeded,
    Wanted,
    Known,
}

/// A record as far as it can be believed: its time and fields, or the octets.
type Sound<'a> = Result<(DateTime, Vec<Field<'a>>), &'a [u8]>;

/// What is asked for now.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Latest,
    Singly(DateTime),
    Run { first: DateTime, count: usize },
}

impl Track {
    pub(super) fn new(class: Class, step: u16, slots: impl IntoIterator<Item = (DateTime, Index)>) -> Self {
        Self {
            class,
            step: i64::from(step.max(1)),
            pending: slots.into_iter().collect(),
            singly: BTreeMap::new(),
            at_once: usize::from(AT_ONCE),
            newest: None,
            latest: Latest::NotNeeded,
            lacks: false,
        }
    }

    /// The registers that are wanted of it.
    pub(super) fn wanted(&self) -> &[Register] {
        &self.class.wanted
    }

    /// The class, and the slots of which nothing came.
    pub(super) fn ended(mut self) -> (Class, BTreeSet<Index>) {
        let left = self.left().into_iter().collect();
        (self.class, left)
    }

    /// Whether the meter has no load records of it at all.
    pub(super) const fn is_lacking(&self) -> bool {
        self.lacks
    }

    /// Whether a record of it came.
    pub(super) const fn is_there(&self) -> bool {
        self.newest.is_some()
    }

    pub(super) fn next(&self) -> Option<Question> {
        let (which, count, from) = match self.asked()? {
            Asked::Latest => (LATEST, 1, None),
            Asked::Singly(at) => (FROM, 1, record_time(at)),
            Asked::Run { first, count } => (FROM, count, record_time(first)),
        };
        let count = u8::try_from(count).ok().and_then(Count::new)?;
        Some(Question::Records(load_record(self.class.number, which)?.di()?, count, from))
    }

    fn asked(&self) -> Option<Asked> {
        if self.lacks {
            return None;
        }
        if self.latest == Latest::Wanted {
            return Some(Asked::Latest);
        }
        if let Some((&at, _)) = self.singly.first_key_value() {
            return Some(Asked::Singly(at));
        }
        let (&first, _) = self.pending.first_key_value()?;
        let (mut count, mut last) = (1, first);
        for &at in self.pending.keys().skip(1) {
            let between = self.records_from(last, at).saturating_sub(1);
            let next = self.records_from(first, at) + 1;
            // Records that nobody wants must not cost more than another exchange.
            let spared = cost(self.class.octets, 1).saturating_sub(self.class.octets);
            if next > self.at_once || between * self.class.octets > spared {
                break;
            }
            (count, last) = (next, at);
        }
        Some(Asked::Run { first, count })
    }

    /// Records from one time up to another, the first not counted.
    fn records_from(&self, from: DateTime, to: DateTime) -> usize {
        let minutes = to.duration_since(from).as_mins();
        usize::try_from((minutes + self.step - 1).div_euclid(self.step)).unwrap_or(0)
    }

    /// Takes the records that came.
    pub(super) fn take(
        &mut self,
        octets: &[u8],
        taken_at: Timestamp,
        transformers: Transformers,
    ) -> Vec<(Index, Got)> {
        let Some(asked) = self.asked() else { return Vec::new() };
        let records = self.cut(octets);
        let mut all = Vec::new();
        let mut newest = None;
        for (at, fields) in records.iter().flatten() {
            newest = newest.max(Some(*at));
            let slot = self.pending.remove(at).or_else(|| self.singly.remove(at));
            if let Some(slot) = slot {
                all.push((slot, Got::Read(*at, self.read(*at, fields, taken_at, transformers))));
            }
        }
        self.newest = self.newest.max(newest);
        let bad = records.iter().find_map(|record| record.as_ref().err().copied());
        match asked {
            Asked::Latest => {
                self.latest = Latest::Known;
                // A meter whose latest record cannot be read has records.
                self.lacks = newest.is_none() && bad.is_none();
                self.at_once = 1;
                if bad.is_none() {
                    all.extend(self.not_yet());
                }
            }
            Asked::Singly(at) => {
                let Some(slot) = self.singly.remove(&at) else { return all };
                let got = bad.map_or_else(|| self.without_record(at), |raw| Got::Later(damaged(at, raw)));
                all.push((slot, got));
            }
            Asked::Run { first, count } => {
                if bad.is_some() {
                    let doubtful = |at: DateTime| self.records_from(first, at) < count;
                    let again: Vec<_> = self.pending.keys().copied().filter(|&at| doubtful(at)).collect();
                    for at in again {
                        self.singly.extend(self.pending.remove_entry(&at));
                    }
                    return all;
                }
                let passed = newest.filter(|newest| *newest >= first);
                all.extend(match passed {
                    Some(newest) => self.settle(|at| at < newest),
                    // It has nothing from there on.
                    None => self.settle(|_| true),
                });
            }
        }
        all
    }

    /// Takes that the meter has no such records.
    pub(super) fn take_none(&mut self) -> Vec<(Index, Got)> {
        match self.asked() {
            Some(Asked::Latest) => {
                self.latest = Latest::Known;
                // It answered records before: they are there, and it does not tell the latest.
                self.lacks = self.newest.is_none();
                self.at_once = 1;
                Vec::new()
            }
            Some(Asked::Singly(_) | Asked::Run { .. }) if self.latest == Latest::NotNeeded => {
                self.latest = Latest::Wanted;
                Vec::new()
            }
            Some(Asked::Singly(at) | Asked::Run { first: at, .. }) => self.settle(|own| own == at),
            None => Vec::new(),
        }
    }

    /// Takes that there was no answer to go by; the slots that were asked for fail.
    pub(super) fn take_failing(&mut self, failing: &Failing) -> Vec<(Index, Got)> {
        let refused = failing.reason == Reason::Refused;
        let fail = |slots: Vec<Index>| {
            slots.into_iter().map(|slot| (slot, Got::Later(failing.clone()))).collect::<Vec<_>>()
        };
        match self.asked() {
            // Some meters give one record at a time.
            Some(Asked::Run { count, .. }) if refused && count > 1 => {
                self.at_once = 1;
                Vec::new()
            }
            Some(Asked::Run { first, count }) if !refused => {
                let own = self.pending.keys().filter(|&&at| self.records_from(first, at) < count);
                let own: Vec<_> = own.copied().collect();
                fail(own.iter().filter_map(|at| self.pending.remove(at)).collect())
            }
            Some(Asked::Singly(at)) => fail(self.singly.remove(&at).into_iter().collect()),
            Some(Asked::Run { .. } | Asked::Latest) => fail(self.left()),
            None => Vec::new(),
        }
    }

    /// All slots that are still to be read; there are none afterwards.
    pub(super) fn left(&mut self) -> Vec<Index> {
        self.latest = Latest::Known;
        let (pending, singly) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.singly));
        singly.into_values().chain(pending.into_values()).collect()
    }

    /// The records of an answer. Octets with a time that is none or a sum that does not fit are not believed.
    fn cut<'a>(&self, octets: &'a [u8]) -> Vec<Sound<'a>> {
        let Some(register) = load_record(self.class.number, FROM) else { return Vec::new() };
        let sound = |record: Result<load::Record<'a>, (load::Fault, &'a [u8])>| {
            let record = record.map_err(|(_, octets)| octets)?;
            let at = record.at.ok().and_then(civil).filter(|_| record.sum_fits).ok_or(record.octets)?;
            Ok((at, register.record(record.octets).map_err(|_| record.octets)?))
        };
        load::records(self.class.number, octets).map(sound).collect()
    }

    fn read(
        &self,
        at: DateTime,
        fields: &[Field<'_>],
        taken_at: Timestamp,
        transformers: Transformers,
    ) -> Decoded {
        let mut all = Decoded::default();
        let names: Vec<String> = fields.iter().map(|field| field.name().to_string()).collect();
        for &register in &self.class.wanted {
            let name = register.name().to_string();
            match fields.iter().zip(&names).find(|(_, own)| **own == name) {
                Some((field, _)) => {
                    let own = decode(&Ask::single(register), field.octets, taken_at, transformers);
                    let Decoded { readings, failures } = own.unwrap_or_default();
                    all.readings.extend(readings);
                    all.failures.extend(failures);
                }
                None => all.failures.push(Failure {
                    register,
                    reason: Reason::Missing,
                    detail: format!("the meter's load record (负荷记录) of {} leaves it out", shown(at)),
                    raw: None,
                }),
            }
        }
        all
    }

    /// Ends the slots that are past what the meter recorded.
    fn not_yet(&mut self) -> Vec<(Index, Got)> {
        let newest = self.newest;
        if newest.is_none() { Vec::new() } else { self.settle(|at| Some(at) > newest) }
    }

    /// Ends these slots, of which there is no record.
    fn settle(&mut self, ends: impl Fn(DateTime) -> bool) -> Vec<(Index, Got)> {
        let mut ended = Vec::new();
        for slots in [&mut self.pending, &mut self.singly] {
            slots.retain(|&at, &mut slot| {
                let ends = ends(at);
                ended.extend(ends.then_some((at, slot)));
                !ends
            });
        }
        ended.into_iter().map(|(at, slot)| (slot, self.without_record(at))).collect()
    }

    fn without_record(&self, at: DateTime) -> Got {
        match self.newest {
            Some(newest) if newest >= at => Got::Gone(format!(
                "the meter has no record of it: its load records (负荷记录) have none of {}, and later ones",
                shown(at)
            )),
            newest => {
                let newest =
                    newest.map_or_else(String::new, |at| format!("; the newest seen is of {}", shown(at)));
                Got::Later(Failing::of(
                    Reason::Missing,
                    format!("the meter has not recorded {} yet (负荷记录){newest}", shown(at)),
                ))
            }
        }
    }
}

fn damaged(at: DateTime, raw: &[u8]) -> Failing {
    let said = format!(
        "the meter's load record (负荷记录) of {} is damaged in its memory: E0 E0, a time that is none, or a wrong sum",
        shown(at)
    );
    Failing { raw: Some(raw.to_vec()), ..Failing::of(Reason::Implausible, said) }
}
