//! What the task says to the rest of the daemon.

use super::{BusTask, Said, Told};
use crate::bus::round::Round;
use crate::event::{Event, Gap, Kind, Of, Passed};
use crate::reading::{Decoded, Failure, Origin, Reason, Report, Source};
use crate::schedule::{Job, Skipped};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl BusTask {
    /// The round of a job is over.
    pub(super) async fn finish(&mut self, job: Job, round: Round) {
        self.learn(job.meter, &round).await;
        let answered = round.is_answered();
        if answered {
            self.reports.round_over(job.meter);
        }
        let decoded = round.finish();
        self.conclude(job, answered, decoded, Origin::default()).await;
    }

    /// Reports what was read for a job.
    pub(super) async fn conclude(&mut self, job: Job, answered: bool, decoded: Decoded, origin: Origin) {
        let lost = |f: &Failure| match f.reason {
            Reason::Damaged | Reason::Stray | Reason::Silent | Reason::PortGone => true,
            Reason::Refused | Reason::Missing | Reason::Implausible | Reason::Expired => false,
        };
        if !answered && decoded.failures.iter().any(lost) {
            self.schedule.miss(job);
            self.missed(job.meter, &decoded.failures).await;
        } else {
            self.schedule.done(job);
        }
        self.say(Report {
            meter: job.meter,
            task: job.task,
            slot: job.slot,
            origin,
            readings: decoded.readings,
            failures: decoded.failures,
        })
        .await;
    }

    /// Reports that nothing could be read for a job.
    pub(super) async fn report_all(&mut self, job: Job, reason: Reason, detail: &str) {
        let plan = &self.given.plan;
        let meter = plan.meters.get(job.meter);
        let registers = plan
            .tasks
            .get(job.task)
            .zip(meter)
            .map_or_else(Vec::new, |(task, meter)| task.registers.of(meter.dialect()).to_vec());
        let failures = registers
            .into_iter()
            .map(|register| Failure { register, reason, detail: detail.to_owned(), raw: None })
            .collect();
        let Job { meter, task, slot } = job;
        self.say(Report { meter, task, slot, origin: Origin::default(), readings: Vec::new(), failures })
            .await;
    }

    async fn say(&mut self, report: Report) {
        self.given.counts.read(report.readings.len(), report.failures.len());
        self.unsaid = true;
        self.tell(Said::Report(report)).await;
    }

    pub(super) async fn happened(&mut self, event: Event) {
        self.unsaid = true;
        self.tell(Said::Event(event)).await;
    }

    /// Hands something to the collector; waits while the store is behind.
    pub(super) async fn tell(&mut self, said: Said) {
        let told = Told { plan: Arc::clone(&self.given.plan), said };
        if let Err(lost) = self.given.said.send(told).await {
            tracing::error!(said = ?lost.0.said, "the store has ended before its buses: this was lost");
        }
    }

    pub(super) async fn round_over(&mut self) {
        self.given.pulse.is_busy(false);
        if std::mem::take(&mut self.unsaid) {
            self.tell(Said::RoundOver).await;
        }
    }

    /// Says of each meter that slots passed unread.
    pub(super) async fn announce(&mut self, skipped: Skipped, why: Passed) {
        let task = self.given.plan.tasks.get(skipped.task).map(|t| t.name.as_str());
        tracing::warn!(
            task,
            first = self.show(skipped.first),
            until = self.show(skipped.until),
            ?why,
            "slots passed unread: the line was busy for longer than a period, or the clock was stepped forward or not trusted"
        );
        let Skipped { task, first, until } = skipped;
        let gap = Gap { task, source: Source::Present, first, until, why, detail: None };
        let at = self.given.clock.now();
        let plan = Arc::clone(&self.given.plan);
        let of_task = plan.tasks.get(task).map_or(&[][..], |task| &task.meters);
        let here = |meter: &&usize| plan.meters.get(**meter).is_some_and(|m| m.bus == self.given.bus);
        let meters: Vec<usize> = of_task.iter().filter(here).copied().collect();
        for meter in meters {
            self.happened(Event { of: Of::Meter(meter), at, kind: Kind::Gap(gap.clone()) }).await;
        }
    }

    /// Wall time of a monotonic instant that is past.
    pub(super) fn wall(&self, elapsed: Duration) -> Timestamp {
        let clock = &self.given.clock;
        let ago = clock.elapsed().saturating_sub(elapsed);
        clock.now().saturating_sub(ago).unwrap_or(Timestamp::MIN)
    }

    /// An instant as a person reads it.
    pub(super) fn show(&self, at: Timestamp) -> String {
        let zone = self.given.plan.gateway.zone.clone();
        at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}
