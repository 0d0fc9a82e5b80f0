//! What is next on the line: slots that open, what is due, and whether it is worth asking.

use super::current::Current;
use super::{BusTask, HOLD, IN_A_ROW, LOOK, REST, clocks};
use crate::bus::learned::Learned;
use crate::reading::Reason;
use crate::schedule::{Job, Next};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl BusTask {
    /// Opens slots and begins the next round; or says how long there is nothing to do.
    pub(super) async fn begin(&mut self) -> Option<Duration> {
        if self.jammed.is_some() {
            self.listen().await;
        }
        let trusted = *self.given.trust.borrow();
        if trusted.is_err() {
            self.looks.distrusted();
            return Some(LOOK);
        }
        let now = self.given.clock.now();
        self.open(now).await;
        if self.jammed.is_some_and(|since| self.given.clock.elapsed() < since + HOLD) {
            return None;
        }
        if self.probe().await {
            return None;
        }
        let next = self.schedule.next(now);
        if let Some((errand, priority, hastes)) = self.kept.next(now)
            && (hastes || self.goes_before(next, priority))
        {
            self.given.pulse.is_busy(true);
            self.in_a_row = 0;
            self.begin_visit(errand).await;
            return None;
        }
        let freezes = self.next_freeze(now).map(|(_, ahead, _)| ahead);
        let not_before = self.kept.not_before(now).into_iter().chain(freezes).min();
        let next = match (next, not_before) {
            (Next::NotBefore(at), Some(kept)) => Next::NotBefore(at.min(kept)),
            (Next::Nothing, Some(kept)) => Next::NotBefore(kept),
            (next, _) => next,
        };
        match next {
            Next::Now(job) => {
                self.given.pulse.is_busy(true);
                self.in_a_row = self.in_a_row.saturating_add(1);
                match self.hopeless(job.meter) {
                    Some((reason, detail)) => {
                        self.schedule.miss(job);
                        self.report_all(job, reason, &detail).await;
                        self.sync_behind(job.task).await;
                    }
                    None => self.start(job),
                }
                None
            }
            Next::NotBefore(at) => {
                self.round_over().await;
                let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                // A wake-up just short of the slot would spin; a millisecond late is on time.
                Some(self.until_probe(wait).clamp(Duration::from_millis(1), REST))
            }
            Next::Nothing => {
                self.round_over().await;
                Some(self.until_probe(REST).max(Duration::from_millis(1)))
            }
        }
    }

    /// Opens the slots that have come; says which jobs are too late for that.
    pub(super) async fn open(&mut self, now: Timestamp) {
        let passed = self.looks.at(self.given.clock.elapsed(), now);
        let opened = self.schedule.open(now);
        for skipped in opened.skipped {
            self.announce(skipped, passed).await;
        }
        for job in opened.expired {
            self.report_all(job, Reason::Expired, "the next slot came before it was this meter's turn").await;
        }
        let given_up = std::mem::take(&mut self.given_up);
        for given_up in given_up.into_iter().chain(self.kept.open(now)) {
            self.give_up(given_up).await;
        }
        // Not before: else a start that nobody sees to the end would have the exchange forgotten.
        for meter in std::mem::take(&mut self.arrived) {
            self.memory.in_service.insert(meter);
            self.keep(Learned::InService { meter }).await;
        }
    }

    /// Whether a visit of this priority goes before what is live: kept values wait, but not for ever.
    pub(super) fn goes_before(&self, live: Next, priority: u8) -> bool {
        let Next::Now(job) = live else { return true };
        let of_live = self.given.plan.tasks.get(job.task).map_or(u8::MAX, |task| task.priority);
        priority < of_live || (priority == of_live && self.in_a_row >= IN_A_ROW)
    }

    /// Why it is no use to ask this meter now, in a word and a sentence.
    pub(super) fn hopeless(&self, meter: usize) -> Option<(Reason, String)> {
        let since = |since| self.show(self.wall(since));
        if self.port_rests() {
            Some((Reason::PortGone, "the port is closed and will be tried again".to_owned()))
        } else if let Some(jammed) = self.jammed {
            let detail = format!("the line is jammed since {}: somebody talks without end", since(jammed));
            Some((Reason::Damaged, detail))
        } else if let Some(outage) = self.standings.outage() {
            let detail = format!("no meter of the line answers since {}: power or cable", since(outage));
            Some((Reason::Silent, detail))
        } else {
            let missed = self.standings.missed_since(meter)?;
            let detail = format!("not asked: it does not answer since {}, and is probed", since(missed));
            Some((Reason::Silent, detail))
        }
    }

    pub(super) fn start(&mut self, job: Job) {
        let plan = Arc::clone(&self.given.plan);
        let (Some(meter), Some(task)) = (plan.meters.get(job.meter), plan.tasks.get(job.task)) else {
            // The schedule was made of this plan.
            tracing::error!(?job, "a job that is in no plan");
            self.schedule.done(job);
            return;
        };
        self.current = Some(if clocks::is_check(task) {
            Current::Check(job, Box::new(self.check(job.meter, meter, task)))
        } else {
            let wanted = task.registers.of(meter.dialect());
            Current::Round(job, Box::new(self.round(job.meter, meter, wanted)))
        });
    }

    /// The instant and the meters of a freeze that is to be broadcast now.
    pub(super) fn is_to_freeze(&self) -> Option<(Timestamp, Vec<usize>)> {
        self.given.trust.borrow().ok()?;
        let now = self.given.clock.now();
        self.next_freeze(now).filter(|(_, ahead, _)| *ahead <= now).map(|(slot, _, meters)| (slot, meters))
    }
}
