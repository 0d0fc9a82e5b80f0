//! Commands: between two exchanges, before the polls.

use super::BusTask;
use crate::bus::talk::{Asked, NoReply, Patience};
use crate::bus::visit::Asks;
use crate::command::{Answer, Command, Verb};
use crate::config::{Meter, Protocol};
use crate::planner::Costs;
use crate::reading::Reason;
use catalogue::Register;
use dlt645::Edition;
use dlt645::pdu::Request;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a frame of the caller's own waits for the first octet of its answer: nobody knows what it asks for, and
/// the slowest answers, of records, take longer than 500 ms.
const RAW_PATIENCE: Duration = Duration::from_millis(1500);

impl BusTask {
    pub(super) async fn obey(&mut self, command: Command) {
        let Command { id, author, expires, verb, answer } = command;
        tracing::debug!(%id, %author, "a command's turn");
        let answered = if self.is_void(expires) {
            Answer::Expired
        } else {
            match verb {
                Verb::Read { meter, registers } => self.read_now(&meter, &registers, expires).await,
                Verb::Raw(request) => self.pass(request, expires).await,
            }
        };
        if answer.send(answered).is_err() {
            tracing::debug!(%id, "nobody waits for the answer to a command any more");
        }
    }

    fn is_void(&self, expires: Timestamp) -> bool {
        self.given.clock.now() >= expires || *self.given.stop.borrow()
    }

    async fn read_now(&mut self, name: &str, registers: &[Register], expires: Timestamp) -> Answer {
        let plan = Arc::clone(&self.given.plan);
        let here = |(_, meter): &(usize, &Meter)| meter.bus == self.given.bus && meter.name.as_str() == name;
        let Some((meter, asked)) = plan.meters.iter().enumerate().find(here) else {
            return Answer::UnknownMeter;
        };
        let mut round = self.round(meter, asked, registers);
        while round.question().is_some() {
            if self.is_void(expires) {
                round.abandon(Reason::Expired, "the command's time was over");
            } else {
                self.step(meter, &mut round).await;
            }
        }
        self.learn(meter, &round).await;
        Answer::Read(round.finish())
    }

    /// A frame of the caller's own. What it teaches of a meter is not taken: nobody knows what was asked.
    async fn pass(&mut self, request: Request, expires: Timestamp) -> Answer {
        let plan = Arc::clone(&self.given.plan);
        let address = request.address();
        let known = plan
            .meters
            .iter()
            .find(|meter| meter.bus == self.given.bus && meter.protocol.dlt645_address() == Some(address));
        let Some(bus) = plan.buses.get(self.given.bus) else { return Answer::UnknownMeter };
        let asked = match known {
            Some(Meter { protocol, line, preamble, .. }) => {
                Asked { protocol: *protocol, line: *line, preamble: *preamble }
            }
            None => Asked {
                protocol: Protocol::dlt645(request.edition().unwrap_or(Edition::E2007), address),
                line: bus.line,
                preamble: Costs::usual(bus.line).preamble,
            },
        };
        let left = Duration::try_from(expires.duration_since(self.given.clock.now())).unwrap_or_default();
        let turnaround = known.map_or(self.memory.turnaround.pause(), |meter| self.rest(meter).pause);
        let patience =
            Patience { first_octet: RAW_PATIENCE.min(left), again: Duration::ZERO, retries: 0, turnaround };
        let mut stop = self.given.stop.clone();
        let (frames, failed) = tokio::select! {
            biased;
            came = self.talk.raw(request, asked, patience) => came,
            () = super::stopping(&mut stop) => (Vec::new(), Some(NoReply::stopped())),
        };
        Answer::Raw { frames, failed }
    }
}
