//! One question after the other to the meter that is being served.

use super::current::Current;
use super::{BusTask, DAY, MIDNIGHT, stopping};
use crate::bus::round::{Point, Round};
use crate::bus::talk::{Answer, Asked, NoReply, Patience};
use crate::bus::timing::Class;
use crate::bus::visit::{Asks, Question};
use crate::config::Meter;
use crate::event::{Event, Kind, Of};
use crate::planner::Costs;
use crate::reading::Reason;
use catalogue::{Identifier, Register, Standard};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The silence before a question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) pause: Duration,
    /// Whether it is what was learned of the bus, so that the answer teaches whether it is long enough.
    is_learned: bool,
}

impl BusTask {
    /// The questions to a meter by what is known of it.
    pub(super) fn round(&mut self, index: usize, meter: &Meter, wanted: &[Register]) -> Round {
        let (costs, refused) = self.costs(index, meter, wanted);
        let known = self.memory.energies.of(index, self.given.clock.elapsed());
        let of = self.point(index, meter);
        Round::by(&mut self.plans, wanted, refused, costs, of).judged_by(known)
    }

    /// What of a meter point matters for what is asked and what the answers mean.
    pub(super) fn point(&self, index: usize, meter: &Meter) -> Point {
        let map = self.memory.habits.map(index);
        Point { wiring: meter.wiring, transformers: meter.transformers, map }
    }

    /// What an exchange with a meter costs, and what it is not asked for.
    pub(super) fn costs(
        &mut self,
        index: usize,
        meter: &Meter,
        wanted: &[Register],
    ) -> (Costs, BTreeSet<Identifier>) {
        let of = meter.dialect().costs(meter.line);
        let costs = match meter.dialect().standard {
            Standard::Modbus => of,
            Standard::Dlt645(_) => {
                Costs { preamble: meter.preamble, turnaround: self.rest(meter).pause, ..of }
            }
        };
        let usual = wanted.first().map_or(Duration::ZERO, |first| costs.single(first));
        let refused = self.memory.refusals.of(index, self.given.clock.elapsed(), usual);
        (costs, refused)
    }

    /// What a meter is left in peace for before a question: what was learned of the bus, or what its model needs. Beyond
    /// the silence that parts two frames, a Modbus meter needs what its profile says.
    pub(super) fn rest(&self, meter: &Meter) -> Rest {
        let learned = self.memory.turnaround.pause();
        let of_model = meter.dialect().manner().map_or(Duration::ZERO, |manner| manner.pause);
        match meter.dialect().standard {
            Standard::Dlt645(_) if of_model <= learned => Rest { pause: learned, is_learned: true },
            Standard::Dlt645(_) | Standard::Modbus => Rest { pause: of_model, is_learned: false },
        }
    }

    /// One exchange of what is under way, and its end if nothing is left to ask.
    pub(super) async fn exchange(&mut self, mut current: Current) {
        let meter = current.meter();
        self.step(meter, current.asks()).await;
        if current.asks().question().is_some() {
            self.current = Some(current);
        } else {
            self.over(current).await;
        }
    }

    /// What was under way is over.
    pub(super) async fn over(&mut self, current: Current) {
        match current {
            Current::Round(job, round) => self.finish(job, *round).await,
            Current::Check(job, check) => self.end_check(job, *check).await,
            Current::Visit(errand, visit) => self.end_visit(errand, visit).await,
        }
    }

    pub(super) async fn step(&mut self, meter: usize, asks: &mut (dyn Asks + Send)) {
        let Some(question) = asks.question() else { return };
        let came = self.ask(meter, question, Patience::RETRIES).await;
        let jammed = came.as_ref().is_err_and(|no_reply| no_reply.jammed);
        // Two octets of CRC let no damage through that is worth a second question.
        asks.over_noise(question.id().di().is_some() && self.talk.is_noisy());
        asks.take(came);
        if jammed {
            asks.abandon(Reason::Damaged, "the line is jammed: somebody talks without end");
        }
    }

    /// One question to one meter; what its answer or its silence teaches of the line is taken.
    pub(super) async fn ask(
        &mut self,
        meter: usize,
        question: Question,
        retries: u32,
    ) -> Result<Answer, NoReply> {
        let id = question.id();
        let plan = Arc::clone(&self.given.plan);
        let Some(known) = plan.meters.get(meter) else {
            return Err(NoReply::of(Reason::Expired, "the meter is in no file any more"));
        };
        let class = self.class(id);
        let rest = self.rest(known);
        let patience = Patience {
            first_octet: self.memory.deadlines.first_octet(meter, class),
            again: self.memory.deadlines.again(meter, class),
            retries,
            turnaround: rest.pause,
        };
        let back_to_back = self.talk.quiet_for() < rest.pause * 2;
        let was_open = self.talk.is_open();
        let asked = Asked { protocol: known.protocol, line: known.line, preamble: known.preamble };
        let came = tokio::select! {
            biased;
            came = self.talk.put(asked, question, patience) => came,
            () = stopping(&mut self.given.stop) => Err(NoReply::stopped()),
        };
        for report in self.talk.take_reports() {
            if self.reports.take(meter, &report.octets) {
                let kind = Kind::ActiveReport { octets: report.octets };
                self.happened(Event { of: Of::Meter(meter), at: report.taken_at, kind }).await;
            }
        }
        match &came {
            Err(no_reply) if no_reply.reason == Reason::PortGone => {
                self.port_failed(was_open, &no_reply.detail).await;
            }
            Err(no_reply) if no_reply.reason == Reason::Expired => {}
            Ok(_) | Err(_) => self.port_works(was_open).await,
        }
        if let Err(no_reply) = &came {
            let bus = plan.buses.get(self.given.bus).map(|b| b.name.as_str());
            let (meter, detail) = (known.name.as_str(), no_reply.detail.as_str());
            tracing::debug!(bus, meter, %id, reason = no_reply.reason.word(), detail, "not read");
        }
        self.hear(meter, class, &came, rest.is_learned.then_some(back_to_back)).await;
        if let Some(turn) = self.talk.take_turn() {
            self.log_noise(turn);
        }
        came
    }

    /// The kind of a question now.
    pub(super) fn class(&self, id: Identifier) -> Class {
        let now = self.given.clock.now();
        let offset = self.given.plan.gateway.zone.to_offset(now).seconds();
        let of_day = (now.as_second() + i64::from(offset)).rem_euclid(DAY);
        if of_day < MIDNIGHT && id.di().is_some() { Class::Midnight } else { Class::of(id) }
    }
}
