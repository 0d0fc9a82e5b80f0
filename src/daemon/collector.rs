//! The one way from the buses to the store.

use super::alarms::Alarms;
use super::announcer::Ear;
use crate::bus::learned::Learned;
use crate::bus::task::{Said, Told};
use crate::clock::Clock;
use crate::config::Plan;
use crate::mqtt::payload::{self, Bodies};
use crate::reading::Report;
use crate::rounds::Rounds;
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
                    self.newest.send_if_modified(|newest| {
                        let later = newest.is_none_or(|n| report.slot > n);
                        if later {
                            *newest = Some(report.slot);
                        }
                        later
                    });
                    self.take(&report, &plan).await
                }
                Said::Learned { bus, learned } => self.learn(&plan, bus, learned).await,
                Said::Event(event) => {
                    self.lines.send_if_modified(|lines| lines.heard(&event, &plan));
                    self.store.put(payload::event(&event, &plan)).await
                }
                Said::RoundOver => self.store.round_over().await,
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
        for round in self.rounds.take(name, planned, meter.name.as_str(), report, self.clock.now()) {
            self.store.put(payload::round(&round, plan)).await?;
        }
        Ok(())
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
