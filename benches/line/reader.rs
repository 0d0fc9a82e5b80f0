//! Reads one meter as `meterd read` does, and takes the time of everything that passes.
#![allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]

use super::three_phase::REGISTERS;
use catalogue::{Catalogue, Identifier, Register};
use meterd::bus::exchange::Passed;
use meterd::bus::port::Opener;
use meterd::bus::round::{Point, Round};
use meterd::bus::talk::{Asked, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::{PortAddress, PortSettings, Protocol};
use meterd::planner::{Costs, Line};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Characters of a request without its FE, and of an answer without its data.
const FRAME: usize = 16;
const PREAMBLE: usize = 4;

/// By 27 single reads or by the ten blocks of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Singles,
    Blocks,
}

pub(crate) struct Reader {
    talk: Talk,
    asked: Asked,
    delay: Duration,
    wanted: Vec<Register>,
    passed: Arc<Mutex<Vec<(Instant, bool, usize)>>>,
}

/// What some rounds took.
#[derive(Debug)]
pub(crate) struct Pass {
    rounds: u32,
    ideal: Duration,
    actual: Duration,
    /// From the last octet of an answer to the request behind it, ascending.
    gaps: Vec<Duration>,
    pub(crate) failed: usize,
}

impl Reader {
    pub(crate) fn new(port: &PortAddress, address: &str, line: Line, delay: Duration) -> Self {
        let mut talk = Talk::new(Opener::to(port, &PortSettings::usual(port)), line, Clock::system());
        let passed = Arc::<Mutex<Vec<_>>>::default();
        let tap = Arc::clone(&passed);
        talk.watch(Box::new(move |what| {
            let (sent, octets) = match what {
                Passed::Sent(octets) => (true, octets.len()),
                Passed::Came(octets) => (false, octets.len()),
                Passed::CameDamaged(_) => (false, 1),
            };
            tap.lock().unwrap().push((Instant::now(), sent, octets));
        }));
        let table = Catalogue::dlt645_2007();
        let wanted = REGISTERS.iter().flat_map(|name| table.find(name, 4).unwrap()).collect();
        let asked = Asked { protocol: Protocol::Dlt645_2007(address.parse().unwrap()), line, preamble: 4 };
        Self { talk, asked, delay, wanted, passed }
    }

    /// Reads all registers so many times.
    pub(crate) async fn pass(&mut self, way: Way, rounds: u32) -> Pass {
        let costs = Costs::usual(self.asked.line);
        let patience = Patience {
            first_octet: Duration::from_secs(1),
            again: Duration::from_secs(1),
            retries: Patience::RETRIES,
            turnaround: Duration::ZERO,
        };
        let blocks = self.wanted.iter().flat_map(Register::blocks).map(|block| block.di().into());
        let refused: BTreeSet<Identifier> =
            if way == Way::Singles { blocks.collect() } else { BTreeSet::new() };
        let mut failed = 0;
        self.passed.lock().unwrap().clear();
        for _ in 0..rounds {
            let mut round = Round::new(&self.wanted, refused.clone(), costs, Point::default());
            while let Some(ask) = round.next() {
                let came = self.talk.read(self.asked, ask.subject.id(), patience).await;
                round.take(came);
            }
            failed += round.finish().failures.len();
        }
        let passed = std::mem::take(&mut *self.passed.lock().unwrap());
        self.judge(&passed, rounds, failed)
    }

    fn judge(&self, passed: &[(Instant, bool, usize)], rounds: u32, failed: usize) -> Pass {
        let mut gaps: Vec<Duration> = passed
            .windows(2)
            .filter(|pair| !pair[0].1 && pair[1].1)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        gaps.sort_unstable();
        let octets: usize = passed.iter().map(|(_, _, octets)| octets).sum();
        let exchanges = u32::try_from(passed.iter().filter(|(_, sent, _)| *sent).count()).unwrap();
        let ideal = self.asked.line.octets(octets) + self.delay * exchanges;
        let actual = passed.last().unwrap().0 - passed.first().unwrap().0;
        assert!(octets > usize::try_from(exchanges).unwrap() * (FRAME + PREAMBLE), "nothing came");
        Pass { rounds, ideal, actual, gaps, failed }
    }
}

impl Pass {
    pub(crate) fn seconds(&self) -> f64 {
        self.actual.as_secs_f64() / f64::from(self.rounds)
    }

    pub(crate) fn utilisation(&self) -> f64 {
        self.ideal.as_secs_f64() / self.actual.as_secs_f64()
    }

    pub(crate) fn gap(&self, percentile: usize) -> Duration {
        self.gaps[(self.gaps.len() * percentile / 100).min(self.gaps.len() - 1)]
    }

    pub(crate) fn exchanges(&self) -> usize {
        self.gaps.len() + 1
    }
}
