//! Slots of values that meters keep: the visits for them, and what becomes of each slot.

use super::current::Current;
use super::{BusTask, Said, adopt};
use crate::bus::freeze::{Freeze, Kind as FreezeKind, Want};
use crate::bus::habits::Records;
use crate::bus::learned::Learned;
use crate::bus::profile::{self, Profile, Wants};
use crate::bus::visit::{Fate, Outcome, Visit};
use crate::config::{Meter, Plan, Read, Task};
use crate::event::{Event, Gap, Kind, Of, Passed};
use crate::reading::{Failure, Origin, Reason, Report, Source};
use crate::schedule::{Came, Errand, GivenUp, Kept, KeptSlots, Own, Past, Slots, Wanted};
use catalogue::Register;
use dlt645::Edition;
use jiff::Timestamp;
use jiff::tz::AmbiguousOffset;
use std::sync::Arc;

/// What became of a slot of kept values, beside what was read.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotSaid {
    /// What was read of it, and what not; nothing of both where only its fate is news.
    pub report: Report,
    /// Whether this was its first pass.
    pub is_first: bool,
    /// What is to be noted; nothing where it was read whole at once.
    pub note: Option<Note>,
}

/// What is to be kept of a slot beside its readings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What is to become of it.
    pub state: State,
    /// Why there is nothing, in a sentence; empty where there is.
    pub why: String,
    /// The same as a word, where a question failed.
    pub reason: Option<Reason>,
    /// How often it was asked for.
    pub tries: u32,
    /// Registers that are still missing; all where there are none.
    pub missing: Vec<Register>,
}

/// What is to become of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// It is missing and will be asked for again.
    Open,
    /// It needs no more.
    Settled,
    /// The meter does not have it.
    Gone,
    /// The days for fetching it are over.
    GivenUp,
}

/// Slots of one meter and task that will never be read, and why, each with its note.
#[derive(Clone, PartialEq, Debug)]
pub struct GapSaid {
    /// The event.
    pub event: Event,
    /// Index of the task.
    pub task: usize,
    /// Index of the meter.
    pub meter: usize,
    /// The slots.
    pub slots: Vec<(Timestamp, Note)>,
}

impl BusTask {
    /// Begins a visit, or says that it is no use.
    pub(super) async fn begin_visit(&mut self, errand: Errand) {
        if let Some((reason, detail)) = self.hopeless(errand.meter) {
            let newest =
                errand.slots.iter().filter(|wanted| !wanted.is_backfill).map(|wanted| wanted.slot).max();
            for slot in self.kept.postpone(errand.task, errand.meter) {
                let of = (errand.task, errand.meter, slot);
                self.not_asked(of, newest == Some(slot), (reason, &detail)).await;
            }
            return;
        }
        let plan = Arc::clone(&self.given.plan);
        let (Some(meter), Some(task)) = (plan.meters.get(errand.meter), plan.tasks.get(errand.task)) else {
            tracing::error!(?errand, "a visit that is in no plan");
            self.kept.postpone(errand.task, errand.meter);
            return;
        };
        let registers = task.registers.of(meter.dialect());
        let wanted: Vec<Register> = match &errand.missing {
            // A register may have left the configuration meanwhile.
            Some(missing) => {
                missing.iter().copied().filter(|register| registers.contains(register)).collect()
            }
            None => registers.to_vec(),
        };
        let visit = match task.read {
            Read::LoadProfile => Visit::Profile(Box::new(self.profile(&errand, meter, task, wanted))),
            Read::DailyFreeze | Read::Month | Read::Live | Read::Events | Read::Clock | Read::Nameplate => {
                let Some(freeze) = self.freeze(&errand, meter, task, wanted) else { return };
                Visit::Freeze(Box::new(freeze))
            }
        };
        self.current = Some(Current::Visit(errand, visit));
    }

    fn freeze(
        &mut self,
        errand: &Errand,
        meter: &Meter,
        task: &Task,
        wanted: Vec<Register>,
    ) -> Option<Freeze> {
        let slot = errand.slots.last()?;
        let now = self.given.clock.now();
        let zone = &self.given.plan.gateway.zone;
        let (frozen_at, local) = (zone.to_datetime(slot.slot), zone.to_datetime(now));
        let (costs, refused) = self.costs(errand.meter, meter, &wanted);
        Some(Freeze::new(Want {
            standard: meter.protocol.standard(),
            slot: slot.slot,
            frozen_at,
            now: local,
            is_month: task.read == Read::Month,
            is_backfill: slot.is_backfill,
            clock_offset: self.memory.clocks.of(errand.meter).and_then(|known| known.offset),
            clock_bound: self.clock_bound(),
            commanded: self.commanded(slot.slot),
            known: self.memory.habits.freezes(errand.meter, now),
            wanted,
            refused,
            costs,
            point: self.point(errand.meter, meter),
        }))
    }

    fn profile(&self, errand: &Errand, meter: &Meter, task: &Task, wanted: Vec<Register>) -> Profile {
        let zone = &self.given.plan.gateway.zone;
        let slot = |wanted: &Wanted| {
            let local = zone.to_datetime(wanted.slot);
            let is_twice =
                matches!(zone.to_ambiguous_timestamp(local).offset(), AmbiguousOffset::Fold { .. });
            profile::Slot { at: wanted.slot, local, is_twice, backfilled: wanted.is_backfill }
        };
        let has = |register: &Register| {
            meter.wiring.is_none_or(|wiring| register.phase().is_none_or(|phase| wiring.has_phase(phase)))
        };
        let Records { kind, settings } = self.memory.habits.records(errand.meter);
        let wants = Wants {
            slots: errand.slots.iter().map(slot).collect(),
            interval: u16::try_from(task.when.every().as_secs() / 60).unwrap_or(u16::MAX),
            registers: wanted.into_iter().filter(has).collect(),
            transformers: meter.transformers,
            clock_offset: self.memory.clocks.of(errand.meter).and_then(|known| known.offset),
        };
        Profile::new(wants, settings, kind)
    }

    /// A visit is over.
    pub(super) async fn end_visit(&mut self, errand: Errand, visit: Visit) {
        let meter = errand.meter;
        let is_answered = visit.is_answered();
        self.learn_lessons(meter, visit.lessons()).await;
        if is_answered {
            self.reports.round_over(meter);
        }
        let outcomes = match visit {
            Visit::Freeze(freeze) => {
                if let Some(kind) = freeze.found() {
                    self.found_freeze(meter, kind).await;
                }
                self.heard_settlements(meter, freeze.settlements().clone()).await;
                vec![freeze.finish()]
            }
            Visit::Profile(profile) => {
                let records = Records { kind: profile.found(), settings: profile.settings() };
                if is_answered && let Some(records) = self.memory.habits.found_records(meter, records) {
                    self.keep(Learned::Records { meter, records }).await;
                }
                profile.finish()
            }
        };
        let failures: Vec<Failure> = outcomes.iter().flat_map(|outcome| outcome.failures.clone()).collect();
        if !is_answered && !failures.is_empty() {
            self.missed(meter, &failures).await;
        }
        let mut gone: Vec<(Timestamp, Note, Source)> = Vec::new();
        for outcome in outcomes {
            let Some(wanted) = errand.slots.iter().find(|wanted| wanted.slot == outcome.slot) else {
                continue;
            };
            if let Fate::Gone(why) = &outcome.fate {
                let note = Note::of(State::Gone, why, wanted.tries + 1);
                gone.push((outcome.slot, note, outcome.origin.source));
            }
            self.settle(&errand, *wanted, outcome).await;
        }
        self.gaps((errand.task, meter), gone, Passed::NotHeld).await;
    }

    async fn found_freeze(&mut self, meter: usize, kind: FreezeKind) {
        let now = self.given.clock.now();
        if let Some(freezes) = self.memory.habits.found_freeze(meter, kind, now) {
            let has_none = matches!(kind, FreezeKind::NotFrozen | FreezeKind::Instant);
            self.kept.has_no_freeze(meter, has_none);
            self.keep(Learned::Freezes { meter, freezes }).await;
        }
    }

    /// What a visit brought of one slot.
    async fn settle(&mut self, errand: &Errand, wanted: Wanted, outcome: Outcome) {
        let (task, meter) = (errand.task, errand.meter);
        let Outcome { slot, origin, readings, failures, fate } = outcome;
        let is_expired = |failure: &Failure| failure.reason == Reason::Expired;
        if readings.is_empty() && !failures.is_empty() && failures.iter().all(is_expired) {
            // Nobody asked for it before the bus ended: it stays as it was.
            return;
        }
        let may_come = |failure: &&Failure| !matches!(failure.reason, Reason::Refused | Reason::Missing);
        let tries = wanted.tries + 1;
        let came = match fate {
            Fate::Settled | Fate::Gone(_) => Came::Over,
            Fate::Later if readings.is_empty() => Came::Missing(errand.missing.clone()),
            Fate::Later => {
                let missing: Vec<Register> = failures.iter().filter(may_come).map(|f| f.register).collect();
                Came::Missing(Some(missing.into()))
            }
        };
        let failed = failures.iter().min_by_key(|failure| failure.reason);
        let (why, reason) = (failed.map_or("", |f| f.detail.as_str()), failed.map(|f| f.reason));
        let note = match (&fate, &came) {
            // It goes with the event of the gap.
            (Fate::Gone(_), _) => None,
            (_, Came::Missing(missing)) => Some(Note {
                reason,
                missing: missing.as_deref().unwrap_or_default().to_vec(),
                ..Note::of(State::Open, why, tries)
            }),
            // A meter that has none of it is not asked again.
            (_, Came::Over) if readings.is_empty() => {
                Some(Note { reason, ..Note::of(State::Settled, why, tries) })
            }
            (_, Came::Over) => {
                let was_missed = wanted.is_noted || !wanted.is_first;
                was_missed.then(|| Note::of(State::Settled, "", tries))
            }
        };
        self.kept.done((task, meter, slot), came);
        // Of what is late already nobody is told that it still is.
        let is_news = match fate {
            Fate::Settled => true,
            Fate::Later => wanted.is_first && !wanted.is_backfill,
            Fate::Gone(_) => false,
        };
        let is_told = !readings.is_empty() || is_news;
        let failures = if is_told { failures } else { Vec::new() };
        if is_told || note.is_some() {
            let report = Report { meter, task, slot, origin, readings, failures };
            self.say_slot(SlotSaid { report, is_first: wanted.is_first, note }).await;
        }
    }

    /// Nobody asked for the slot in its first pass.
    async fn not_asked(
        &mut self,
        (task, meter, slot): (usize, usize, Timestamp),
        is_newest: bool,
        (reason, detail): (Reason, &str),
    ) {
        let plan = Arc::clone(&self.given.plan);
        let registers = plan.tasks.get(task).zip(plan.meters.get(meter));
        let registers = registers.map_or(&[][..], |(task, meter)| task.registers.of(meter.dialect()));
        let failure = |register: &Register| Failure {
            register: *register,
            reason,
            detail: detail.to_owned(),
            raw: None,
        };
        let failures = if is_newest { registers.iter().map(failure).collect() } else { Vec::new() };
        let report = Report { meter, task, slot, origin: Origin::default(), readings: Vec::new(), failures };
        let note = Note { reason: Some(reason), ..Note::of(State::Open, detail, 0) };
        self.say_slot(SlotSaid { report, is_first: true, note: Some(note) }).await;
    }

    /// Slots are fetched no more.
    pub(super) async fn give_up(&mut self, given_up: GivenUp) {
        let GivenUp { task, meter, slots, is_exchanged } = given_up;
        let of = self.given.plan.tasks.get(task);
        let days = of.map_or(0, |task| task.backfill);
        let is_profile = of.is_some_and(|task| task.read == Read::LoadProfile);
        let source = if is_profile { Source::LoadRecord } else { Source::DailyFreeze };
        let gone = slots.into_iter().map(|(slot, tries)| {
            let (state, why) = if is_exchanged {
                (State::Gone, "the meter of the point was exchanged (换表) before it was read".to_owned())
            } else {
                let asked = match tries {
                    0 => "the meter did not answer when it was its turn".to_owned(),
                    _ => format!("it was asked for {tries} times"),
                };
                (State::GivenUp, format!("it could not be read in the {days} days for it: {asked}"))
            };
            (slot, Note::of(state, &why, tries), source)
        });
        let gone = gone.collect();
        let why = if is_exchanged { Passed::Exchanged } else { Passed::NotRead };
        self.gaps((task, meter), gone, why).await;
    }

    /// Says of slots that they will never be there: of those in a row once.
    async fn gaps(
        &mut self,
        (task, meter): (usize, usize),
        gone: Vec<(Timestamp, Note, Source)>,
        why: Passed,
    ) {
        let plan = Arc::clone(&self.given.plan);
        let Some(of) = plan.tasks.get(task) else { return };
        let slots = Slots::of(&of.when, of.read, plan.gateway.zone.clone());
        let mut gone = gone.into_iter().peekable();
        while let Some((first, note, source)) = gone.next() {
            let detail = note.why.clone();
            let mut until = slots.next_slot(first);
            let mut all = vec![(first, note)];
            while let Some((slot, note, _)) = gone.next_if(|(slot, ..)| *slot == until) {
                until = slots.next_slot(slot);
                all.push((slot, note));
            }
            let gap = Gap { task, source, first, until, why, detail: Some(detail) };
            let at = self.given.clock.now();
            let event = Event { of: Of::Meter(meter), at, kind: Kind::Gap(gap) };
            self.unsaid = true;
            self.tell(Said::Gap(Box::new(GapSaid { event, task, meter, slots: all }))).await;
        }
    }

    async fn say_slot(&mut self, said: SlotSaid) {
        self.given.counts.read(said.report.readings.len(), said.report.failures.len());
        self.unsaid = true;
        self.tell(Said::Slot(Box::new(said))).await;
    }
}

impl Note {
    fn of(state: State, why: &str, tries: u32) -> Self {
        Self { state, why: why.to_owned(), reason: None, tries, missing: Vec::new() }
    }
}

/// The kept slots of a bus as it begins.
pub(super) fn kept(plan: &Plan, bus: usize, past: Past) -> KeptSlots {
    let mut kept = KeptSlots::new(plan.gateway.zone.clone(), past);
    for task in tasks(plan, bus) {
        kept.add(task);
    }
    for (meter, group) in adopt::groups(plan, bus) {
        kept.group(meter, group);
    }
    let others = plan.meters.iter().enumerate().filter(|(_, of)| !of.protocol.standard().is(Edition::E2007));
    others.for_each(|(meter, _)| kept.has_no_freeze(meter, true));
    kept
}

/// The kept tasks that have meters on a bus.
pub(super) fn tasks(plan: &Plan, bus: usize) -> impl Iterator<Item = Kept> {
    plan.tasks.iter().enumerate().filter(|(_, task)| task.read.is_kept()).map(move |(index, task)| Kept {
        task: index,
        read: task.read,
        slots: Slots::of(&task.when, task.read, plan.gateway.zone.clone()),
        priority: task.priority,
        window: task.window,
        days: task.backfill,
        meters: adopt::meters_here(plan, bus, index).into_iter().map(|meter| own(plan, meter)).collect(),
    })
}

fn own(plan: &Plan, meter: usize) -> Own {
    let known = plan.meters.get(meter);
    let class = known.and_then(|known| known.point.class);
    Own { meter, class, since: known.and_then(|known| known.freezes_since(&plan.gateway.zone)) }
}
