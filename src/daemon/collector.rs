//! The one way from the buses to the store.

use super::alarms::Alarms;
use super::announcer::Ear;
use super::slots;
use crate::bus::learned::Learned;
use crate::bus::task::{GapSaid, Said, SlotSaid, State, Told};
use crate::clock::Clock;
use crate::config::Plan;
use crate::mqtt::payload::{self, Bodies};
use crate::reading::{Reason, Report};
use crate::rounds::{Came, Pass, Round, Rounds};
use crate::store::{self, About, Fact};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Takes what the buses say and hands it to the store. Each bus says by which plan: after a reload the buses take over the
/// new one one after the other.
pub(super) struct Collector {
    pub(super) store: store::Handle,
    pub(super) clock: Clock,
    pub(super) newest: watch::Sender<Option<Timestamp>>,
    /// Alarms of lines.
    pub(super) lines: watch::Sender<Alarms>,
    pub(super) rounds: Rounds,
    /// Of what Home Assistant is told of.
    pub(super) ear: Ear,
    pub(super) bodies: Bodies,
}

impl Collector {
    pub(super) async fn run(mut self, mut heard: mpsc::Receiver<Told>) {
        while let Some(Told { plan, said }) = heard.recv().await {
            let handed = match said {
                Said::Report(report) => {
                    self.is_heard(report.slot);
                    self.take(&report, &plan).await
                }
                Said::Learned { bus, learned } => self.learn(&plan, bus, learned).await,
                Said::Event(event) => {
                    self.lines.send_if_modified(|lines| lines.heard(&event, &plan));
                    self.store.put(payload::event(&event, &plan)).await
                }
                Said::Slot(slot) => self.take_slot(&slot, &plan).await,
                Said::Gap(gap) => self.take_gap(&gap, &plan).await,
                Said::RoundOver => self.round_over(&plan).await,
            };
            if let Err(store::Closed) = handed {
                tracing::error!("readings were lost: the store has ended before the buses");
            }
        }
    }

    /// Stores a report, and behind it the rounds that are over by it.
    async fn take(&mut self, report: &Report, plan: &Arc<Plan>) -> Result<(), store::Closed> {
        let entry = self.bodies_by(plan).entry(report);
        self.store.put(entry).await?;
        self.ear.listen(report, plan);
        let (Some(task), Some(meter)) = (plan.tasks.get(report.task), plan.meters.get(report.meter)) else {
            return Ok(());
        };
        let (name, planned) = (task.name.as_str(), task.meters.len());
        let rounds = self.rounds.take(name, planned, meter.name.as_str(), report, self.clock.now());
        self.tell(rounds, plan).await
    }

    /// What was put so far is made durable; and of slots of which more was fetched than was told, it is told.
    async fn round_over(&mut self, plan: &Plan) -> Result<(), store::Closed> {
        let rounds = self.rounds.settle(self.clock.now());
        self.tell(rounds, plan).await?;
        self.store.round_over().await
    }

    async fn tell(&self, rounds: Vec<Round>, plan: &Plan) -> Result<(), store::Closed> {
        for round in rounds {
            if let Some(run) = round.run() {
                self.store.note_run(run).await?;
            }
            if round.is_over() {
                self.store.put(payload::round(&round, plan)).await?;
            }
        }
        Ok(())
    }

    /// Follows what has become of a slot of a kept task.
    async fn follow(
        &mut self,
        (task, meter, slot): (usize, usize, Timestamp),
        pass: Pass,
        plan: &Plan,
    ) -> Result<(), store::Closed> {
        let (Some(task), Some(meter)) = (plan.tasks.get(task), plan.meters.get(meter)) else { return Ok(()) };
        let (name, planned) = (task.name.as_str(), task.meters.len());
        let rounds = self.rounds.kept(name, planned, meter.name.as_str(), slot, pass, self.clock.now());
        self.tell(rounds, plan).await
    }

    /// Stores what was read of a slot together with what is known of it.
    async fn take_slot(&mut self, said: &SlotSaid, plan: &Arc<Plan>) -> Result<(), store::Closed> {
        let SlotSaid { report, note, is_first } = said;
        let of = (report.task, report.meter, report.slot);
        let reason = note.as_ref().and_then(|note| note.reason).unwrap_or(Reason::Expired);
        let came = match note.as_ref().map(|note| note.state) {
            None | Some(State::Settled) => Came::Whole,
            Some(State::Gone) => Came::Gone,
            Some(State::Open | State::GivenUp) if report.readings.is_empty() => Came::None(reason),
            Some(State::Open | State::GivenUp) => Came::Partly(reason),
        };
        let pass = Pass { first: *is_first, came };
        let note = note.as_ref().and_then(|note| slots::kept(plan, of, note, self.clock.now()));
        if report.readings.is_empty() && report.failures.is_empty() {
            self.store.note_slots(note.into_iter().collect()).await?;
            return self.follow(of, pass, plan).await;
        }
        self.is_heard(report.slot);
        if let Some(stand) = slots::stand(plan, report) {
            self.store.note_stand(stand).await?;
        }
        let mut entry = self.bodies_by(plan).entry(report);
        entry.notes.extend(note);
        self.store.put(entry).await?;
        self.ear.listen(report, plan);
        self.follow(of, pass, plan).await
    }

    /// Stores that slots will never be read, so that nobody says it twice.
    async fn take_gap(&mut self, said: &GapSaid, plan: &Arc<Plan>) -> Result<(), store::Closed> {
        let now = self.clock.now();
        let mut entry = payload::event(&said.event, plan);
        let notes = said.slots.iter();
        entry.notes.extend(
            notes.filter_map(|(slot, note)| slots::kept(plan, (said.task, said.meter, *slot), note, now)),
        );
        self.store.put(entry).await?;
        for (slot, note) in &said.slots {
            let came = if note.state == State::Gone { Came::Gone } else { Came::None(Reason::Expired) };
            self.follow((said.task, said.meter, *slot), Pass { first: note.tries < 2, came }, plan).await?;
        }
        Ok(())
    }

    /// The newest slot is the least that the clock can show.
    fn is_heard(&self, slot: Timestamp) {
        self.newest.send_if_modified(|newest| {
            let later = newest.is_none_or(|n| slot > n);
            if later {
                *newest = Some(slot);
            }
            later
        });
    }

    fn bodies_by(&mut self, plan: &Arc<Plan>) -> &mut Bodies {
        if !self.bodies.are_of(plan) {
            self.bodies = Bodies::new(Arc::clone(plan));
        }
        &mut self.bodies
    }

    async fn learn(&self, plan: &Plan, bus: usize, learned: Learned) -> Result<(), store::Closed> {
        let (about, address) = match learned.meter() {
            Some(meter) => match plan.meters.get(meter) {
                Some(known) => (About::Meter(known.name.to_string()), known.protocol.address()),
                None => return Ok(()),
            },
            None => match plan.buses.get(bus) {
                Some(known) => (About::Bus(known.name.to_string()), String::new()),
                None => return Ok(()),
            },
        };
        match learned.fact(&address) {
            (key, Some(value)) => self.store.learn(about, Fact { key, value, at: self.clock.now() }).await,
            (key, None) => self.store.unlearn(about, key).await,
        }
    }
}
