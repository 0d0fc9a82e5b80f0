//! What is counted while the daemon runs; of the buses; for `demo`'s closing line, the watchdog and metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counts of one run of the daemon; all only grow.
#[derive(Debug)]
pub struct Counts {
    readings: AtomicU64,
    failures: AtomicU64,
    reports: AtomicU64,
    /// Milliseconds since the clock's origin at which each bus last went round its loop.
    turns: Vec<AtomicU64>,
    /// Whether each bus has something to do.
    busy: Vec<AtomicBool>,
}

/// The counts at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// Values taken.
    pub readings: u64,
    /// Registers without a value.
    pub failures: u64,
    /// Messages made of them.
    pub reports: u64,
}

impl Counts {
    /// Counts of nothing, for so many buses.
    pub fn new(buses: usize) -> Self {
        Self {
            readings: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            turns: std::iter::repeat_with(AtomicU64::default).take(buses).collect(),
            busy: std::iter::repeat_with(AtomicBool::default).take(buses).collect(),
        }
    }

    /// A report was made of so many readings and failures.
    pub fn read(&self, readings: usize, failures: usize) {
        self.readings.fetch_add(readings as u64, Ordering::Relaxed);
        self.failures.fetch_add(failures as u64, Ordering::Relaxed);
        self.reports.fetch_add(1, Ordering::Relaxed);
    }

    /// A bus went round its loop.
    pub fn turned(&self, bus: usize, elapsed: Duration) {
        if let Some(turn) = self.turns.get(bus) {
            turn.store(elapsed.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// A bus has something to do, or has done all that is due.
    pub fn is_busy(&self, bus: usize, busy: bool) {
        if let Some(flag) = self.busy.get(bus) {
            flag.store(busy, Ordering::Relaxed);
        }
    }

    /// True if no bus has anything to do.
    pub fn all_idle(&self) -> bool {
        self.busy.iter().all(|busy| !busy.load(Ordering::Relaxed))
    }

    /// Buses that have not gone round their loop within `limit` of `elapsed`.
    pub fn stuck(&self, elapsed: Duration, limit: Duration) -> impl Iterator<Item = usize> {
        let oldest = elapsed.saturating_sub(limit).as_millis() as u64;
        self.turns
            .iter()
            .enumerate()
            .filter(move |(_, t)| t.load(Ordering::Relaxed) < oldest)
            .map(|(bus, _)| bus)
    }

    /// The counts now.
    pub fn now(&self) -> Snapshot {
        Snapshot {
            readings: self.readings.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            reports: self.reports.load(Ordering::Relaxed),
        }
    }
}
