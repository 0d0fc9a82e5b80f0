//! The buses at work, as the daemon holds them: started, told to end, started anew.

use crate::bus::learned::Learned;
use crate::bus::port::dial_in::Seat;
use crate::bus::port::{Opener, memory};
use crate::bus::talk::Talk;
use crate::bus::task::{BusTask, Given, Remains, Step, Told};
use crate::clock::Clock;
use crate::command::{self, Lane};
use crate::config::{Plan, PortAddress, Shift};
use crate::schedule::Past;
use crate::telemetry::{Counts, Pulse};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Configurations that a bus has not looked at yet: it does between two exchanges.
const STEPS: usize = 8;

/// What all buses stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) trust: super::judge::Trusted,
    pub(super) said: mpsc::Sender<Told>,
    pub(super) counts: Arc<Counts>,
    /// Lines in memory, each in the place of the port of the next bus of its name.
    pub(super) lines: Vec<(String, memory::MemoryOpener)>,
}

/// A bus at work.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) lane: Lane,
    pub(super) pulse: Arc<Pulse>,
    pub(super) steps: mpsc::Sender<Step>,
    pub(super) task: JoinHandle<()>,
    port: PortAddress,
    stop: watch::Sender<bool>,
    /// True when it has closed its port.
    closed: watch::Receiver<bool>,
    remains: Option<oneshot::Receiver<Remains>>,
}

/// What must be over before a bus begins.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Ports that it may need.
    pub(super) closed: Vec<watch::Receiver<bool>>,
    /// The same bus by the configuration before.
    pub(super) remains: Option<(oneshot::Receiver<Remains>, Arc<Shift>)>,
}

impl Line {
    /// Tells it to end; it has a second for the exchange under way.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Takes what it leaves behind, which comes when it has ended.
    pub(super) fn take_remains(&mut self) -> Option<oneshot::Receiver<Remains>> {
        self.remains.take()
    }

    /// When its port is closed, if a bus on `port` may need it. Serial devices have several names.
    pub(super) fn in_the_way_of(&self, port: &PortAddress) -> Option<watch::Receiver<bool>> {
        let both_serial = matches!((&self.port, port), (PortAddress::Serial(_), PortAddress::Serial(_)));
        (both_serial || self.port == *port).then(|| self.closed.clone())
    }
}

impl Ground {
    /// Starts a bus; it begins when what was `before` is over.
    pub(super) fn start(
        &mut self,
        plan: &Arc<Plan>,
        index: usize,
        seat: Option<&Seat>,
        (learned, past): (Vec<Learned>, Past),
        before: Before,
    ) -> Line {
        let bus = &plan.buses[index];
        let (lane, commands) = command::lane();
        let (steps_in, steps) = mpsc::channel(STEPS);
        let (stop, stopped) = watch::channel(false);
        let pulse = Arc::new(Pulse::new(self.clock.elapsed()));
        let in_memory = self.lines.iter().position(|(name, _)| name == bus.name.as_str());
        let opener = match (in_memory, seat) {
            (Some(at), _) => Opener::Memory(self.lines.remove(at).1),
            (None, Some(seat)) => Opener::Dtu(seat.clone()),
            (None, None) => Opener::to(&bus.port, &bus.settings),
        };
        let given = Given {
            plan: Arc::clone(plan),
            bus: index,
            clock: self.clock.clone(),
            trust: self.trust.clone(),
            said: self.said.clone(),
            commands,
            steps,
            stop: stopped,
            counts: Arc::clone(&self.counts),
            pulse: Arc::clone(&pulse),
            learned,
            past,
        };
        let talk = Talk::new(opener, bus.line, self.clock.clone());
        let (closed_in, closed) = watch::channel(false);
        let (leave, remains) = oneshot::channel();
        let task = tokio::spawn(async move {
            for mut port in before.closed {
                // An error means that its bus is gone, and the port with it.
                let _ = port.wait_for(|closed| *closed).await;
            }
            let before = match before.remains {
                Some((remains, shift)) => remains.await.ok().map(|remains| (remains, shift)),
                None => None,
            };
            let task = match before {
                Some((remains, shift)) => BusTask::after(remains, &shift, given, talk),
                None => BusTask::new(given, talk),
            };
            let left = task.run().await;
            closed_in.send_replace(true);
            // Nobody takes it where the bus is not started anew.
            let _ = leave.send(left);
        });
        Line {
            name: bus.name.to_string(),
            lane,
            pulse,
            steps: steps_in,
            task,
            port: bus.port.clone(),
            stop,
            closed,
            remains: Some(remains),
        }
    }
}
