//! What the task takes from what it hears: who answers, how soon, what a meter does not have, and what has
//! become of the line.

use super::{BusTask, LOOK, QUIET, Said, stopping};
use crate::bus::change::Change;
use crate::bus::learned::Learned;
use crate::bus::noise::Turn;
use crate::bus::round::{Lesson, Round};
use crate::bus::talk::{Answer, NoReply};
use crate::bus::timing::Class;
use crate::bus::visit::Question;
use crate::event::{Event, Kind, Of};
use crate::reading::{Failure, Reason};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl BusTask {
    /// Takes what one question brought, whatever it was; `back_to_back` is whether it followed right behind another
    /// exchange, by the pause that was learned; none where the meter had one of its own.
    pub(super) async fn hear(
        &mut self,
        meter: usize,
        class: Class,
        came: &Result<Answer, NoReply>,
        back_to_back: Option<bool>,
    ) {
        let now = self.given.clock.elapsed();
        let (noted, tries, sound) = match came {
            Ok(answer) => (&answer.noted, answer.tries, true),
            Err(no_reply) => (&no_reply.noted, no_reply.tries, no_reply.reason == Reason::Refused),
        };
        if noted.echoed && !self.echo_said {
            self.echo_said = true;
            self.changed(Change::Echo { since: now }).await;
        }
        if let Ok(answer) = came
            && let Some(delay) = self.memory.deadlines.answered(meter, class, answer.delay)
        {
            self.keep(Learned::Slowest { meter, class, delay }).await;
        }
        if sound {
            let other = match (back_to_back, tries) {
                (None, _) => false,
                (Some(_), 1) => self.memory.turnaround.good(),
                (Some(true), _) => self.memory.turnaround.too_short(),
                (Some(false), _) => false,
            };
            if other {
                let pause = self.memory.turnaround.pause();
                tracing::debug!(bus = self.name(), ?pause, "the pause between two exchanges is another now");
                self.keep(Learned::Turnaround(pause)).await;
            }
            let was_missed = self.standings.is_missed(meter);
            let changes = self.standings.answered(meter, now);
            let back = changes.iter().any(|change| matches!(change, Change::LineBack { .. }));
            self.all_changed(changes).await;
            if back || was_missed {
                self.kept.back((!back).then_some(meter));
            }
            self.schedule.again((!back).then_some(meter), self.given.clock.now());
        } else if came.as_ref().is_err_and(|no_reply| no_reply.jammed) && self.jammed.is_none() {
            self.jammed = Some(now);
            self.changed(Change::Jammed { since: now }).await;
        }
    }

    /// A round or a probe ended without a sound answer.
    pub(super) async fn missed(&mut self, meter: usize, failures: &[Failure]) {
        let worst = failures.iter().map(|failure| failure.reason).min();
        if let Some(reason @ (Reason::Damaged | Reason::Stray | Reason::Silent)) = worst
            && self.jammed.is_none()
        {
            let changes = self.standings.missed(meter, reason, self.given.clock.elapsed());
            // Another meter may hang there when one answers again.
            if changes
                .iter()
                .any(|change| matches!(change, Change::Offline { .. } | Change::LineSilent { .. }))
            {
                self.memory.habits.forget_map(meter);
            }
            self.all_changed(changes).await;
        }
    }

    /// Asks one meter that does not answer whether it is back, if one is due. True if it did.
    pub(super) async fn probe(&mut self) -> bool {
        let began = self.given.clock.elapsed();
        if self.jammed.is_some() || self.port_rests() {
            return false;
        }
        let Some(meter) = self.standings.probe(began) else { return false };
        let plan = Arc::clone(&self.given.plan);
        // One that it is asked for anyway: a meter of 1997 is silent for what it does not know.
        let wanted = plan.tasks.iter().filter(|task| task.meters.contains(&meter)).find_map(|task| {
            let dialect = plan.meters.get(meter)?.dialect();
            task.registers.of(dialect).iter().find(|register| register.is_present()).copied()
        });
        let Some(register) = wanted else { return false };
        let came = self.ask(meter, Question::Read(register.id()), 0).await;
        let now = self.given.clock.elapsed();
        self.standings.spent(now.saturating_sub(began), now);
        if let Err(NoReply { reason, detail, .. }) = came {
            self.missed(meter, &[Failure { register, reason, detail, raw: None }]).await;
        }
        true
    }

    /// No longer than `wait`, and only until the next probe is due.
    pub(super) fn until_probe(&self, wait: Duration) -> Duration {
        let now = self.given.clock.elapsed();
        match self.standings.probe_due() {
            Some(at) if self.jammed.is_none() => wait.min(at.saturating_sub(now)),
            Some(_) | None => wait,
        }
    }

    /// Listens to a jammed line until it is quiet, for a second at most.
    pub(super) async fn listen(&mut self) {
        let heard = tokio::select! {
            biased;
            heard = self.talk.listen(QUIET, LOOK) => heard,
            () = stopping(&mut self.given.stop) => Ok(false),
        };
        match heard {
            Ok(true) => {
                self.jammed = None;
                let since = self.given.clock.elapsed();
                self.changed(Change::Quiet { since }).await;
                self.schedule.again(None, self.given.clock.now());
                self.kept.back(None);
            }
            Ok(false) => {}
            Err(gone) => {
                self.jammed = None;
                self.port_failed(true, &gone.to_string()).await;
            }
        }
    }

    /// Remembers what a visit taught of what the meter has, here and in the store.
    pub(super) async fn learn_lessons(&mut self, meter: usize, lessons: impl IntoIterator<Item = Lesson>) {
        let now = self.given.clock.elapsed();
        let refusals = &mut self.memory.refusals;
        let learned: Vec<Learned> = lessons
            .into_iter()
            .filter_map(|lesson| match lesson {
                Lesson::Lacks(di) => refusals.refused(meter, di, now).then_some(Learned::Lacks { meter, di }),
                Lesson::Unheard(di) => {
                    refusals.silent(meter, di, now).then_some(Learned::Lacks { meter, di })
                }
                Lesson::Has(di) => refusals.answered(meter, di).then_some(Learned::Has { meter, di }),
            })
            .collect();
        for one in learned {
            self.keep(one).await;
        }
    }

    /// Remembers what the round taught of the meter, here and in the store.
    pub(super) async fn learn(&mut self, meter: usize, round: &Round) {
        self.learn_lessons(meter, round.lessons().collect::<Vec<_>>()).await;
        if let Some(map) = round.map() {
            self.memory.habits.found_map(meter, map);
        }
        let now = self.given.clock.elapsed();
        let jumps: Vec<(Timestamp, Kind)> = round.jumps().collect();
        let jumped = !jumps.is_empty();
        if let Some(last) = self.memory.energies.take(meter, round.energies(), jumped, now) {
            self.keep(Learned::Energies { meter, last }).await;
        }
        for (at, kind) in jumps {
            if let Kind::Suspect(jump) = &kind {
                let of = self.given.plan.meters.get(meter).map(|m| m.name.as_str());
                let (register, why) = (jump.register.name(), jump.why.as_str());
                tracing::warn!(bus = self.name(), meter = of, %register, why, "a value is suspect");
            }
            self.happened(Event { of: Of::Meter(meter), at, kind }).await;
        }
    }

    pub(super) async fn port_failed(&mut self, was_open: bool, detail: &str) {
        let first = !self.back_off.has_failed();
        let now = self.given.clock.elapsed();
        let again_in_s = self.back_off.failed(now).as_secs_f32();
        self.talk.close();
        if was_open || first {
            tracing::warn!(bus = self.name(), detail, again_in_s, "the port failed");
            self.changed(Change::PortGone { since: now, detail: detail.to_owned() }).await;
        } else {
            tracing::debug!(bus = self.name(), detail, again_in_s, "the port is still gone");
        }
    }

    pub(super) async fn port_works(&mut self, was_open: bool) {
        if !was_open {
            let bus = self.given.plan.buses.get(self.given.bus);
            let (port, line) = (bus.map(|b| b.port.to_string()), bus.map(|b| b.line.to_string()));
            tracing::info!(bus = self.name(), port, line, "the port is open");
        }
        if self.back_off.has_failed() {
            self.back_off.works();
            let since = self.given.clock.elapsed();
            self.changed(Change::PortBack { since }).await;
            self.schedule.again(None, self.given.clock.now());
            self.kept.back(None);
        }
    }

    /// Keeps what is newer of these meters' energies than what was kept: the bus does not read them any more.
    pub(super) async fn keep_energies(&mut self, ends: impl Fn(usize) -> bool) {
        for (meter, last) in self.memory.energies.unkept(self.given.clock.elapsed(), ends) {
            self.keep(Learned::Energies { meter, last }).await;
        }
    }

    pub(super) async fn keep(&mut self, learned: Learned) {
        self.tell(Said::Learned { bus: self.given.bus, learned }).await;
    }

    async fn all_changed(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.changed(change).await;
        }
    }

    /// Says a change once: in the log and to the daemon.
    async fn changed(&mut self, change: Change) {
        self.log(&change);
        let at = self.wall(change.since());
        let (of, kind) = change.event(self.given.bus);
        self.happened(Event { of, at, kind }).await;
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.given.plan.buses.get(self.given.bus).map(|bus| bus.name.as_str())
    }

    pub(super) fn log_noise(&self, turn: Turn) {
        let bus = self.name();
        match turn {
            Turn::Noisy { damaged, answers } => tracing::warn!(
                bus,
                damaged,
                answers,
                "the line is noisy: values are read twice until it is quiet; look at its termination, shield, cable and \
                 baud rate"
            ),
            Turn::Quiet => tracing::info!(bus, "the line is not noisy any more: values are read once"),
        }
    }

    fn log(&self, change: &Change) {
        let bus = self.name();
        let of = |meter: usize| self.given.plan.meters.get(meter);
        let name = |meter| of(meter).map(|m| m.name.as_str());
        let address = |meter| of(meter).map(|m| m.protocol.address());
        match *change {
            Change::Offline { meter, reason, .. } => tracing::warn!(
                bus,
                meter = name(meter),
                address = address(meter),
                reason = reason.word(),
                "the meter does not answer: it is not asked any more, but probed until it is back"
            ),
            Change::Online { meter, .. } => {
                tracing::info!(bus, meter = name(meter), address = address(meter), "the meter answers");
            }
            Change::LineSilent { .. } => tracing::warn!(
                bus,
                "no meter of the line answers: look at its power and cable, or at the serial server"
            ),
            Change::LineBack { .. } => tracing::info!(bus, "the line answers again"),
            Change::Jammed { .. } => tracing::warn!(
                bus,
                "the line is jammed: somebody talks without end; nothing is asked until it is quiet"
            ),
            Change::Quiet { .. } => tracing::info!(bus, "the line is quiet again"),
            Change::Echo { .. } => {
                tracing::info!(
                    bus,
                    "the adapter gives back what it sends; that is told apart and does no harm"
                );
            }
            // Said where it is known when it is tried again, and what was opened.
            Change::PortGone { .. } | Change::PortBack { .. } => {}
        }
    }
}
