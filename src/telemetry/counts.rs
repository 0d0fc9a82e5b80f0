//! What is counted while the daemon runs; of the buses; for `demo`'s closing line, the watchdog and metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counts of one run of the daemon; all only grow.
#[derive(Debug, Default)]
pub struct Counts {
    readings: AtomicU64,
    failures: AtomicU64,
    reports: AtomicU64,
}

/// The signs of life of one bus.
#[derive(Debug)]
pub struct Pulse {
    /// Milliseconds since the clock's origin at which it last went round its loop.
    turned: AtomicU64,
    /// Whether it has something to do.
    busy: AtomicBool,
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
    /// A report was made of so many readings and failures.
    pub fn read(&self, readings: usize, failures: usize) {
        self.readings.fetch_add(readings as u64, Ordering::Relaxed);
        self.failures.fetch_add(failures as u64, Ordering::Relaxed);
        self.reports.fetch_add(1, Ordering::Relaxed);
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

impl Pulse {
    /// Of a bus that begins now, which is since the clock's origin.
    pub fn new(now: Duration) -> Self {
        Self { turned: AtomicU64::new(now.as_millis() as u64), busy: AtomicBool::new(false) }
    }

    /// It went round its loop.
    pub fn turned(&self, now: Duration) {
        self.turned.store(now.as_millis() as u64, Ordering::Relaxed);
    }

    /// It has something to do, or has done all that is due.
    pub fn is_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// True if it has nothing to do.
    pub fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Relaxed)
    }

    /// True if it has not gone round its loop within `limit` of `now`.
    pub fn is_stuck(&self, now: Duration, limit: Duration) -> bool {
        self.turned.load(Ordering::Relaxed) < now.saturating_sub(limit).as_millis() as u64
    }
}
