//! The gateway of a soak that is never killed: what it loses, and whether its memory and its descriptors stay flat
//! while its broker, its lines and its disk fail.

use super::Ended;
use super::loss::kills::{Tally, manners, tail};
use super::loss::plant::{Design, Plant};
use super::loss::stub::Manners;
use meterd::simulator::Dice;
use std::fmt::Write;
use std::time::Duration;

/// How far memory may grow in a day, in KiB. A soak of half an hour sees no less than an hour's noise: the bound is of
/// the whole run.
const MOST_GROWTH_KIB: f64 = 1024.0;
/// Calls of the store between two episodes of a disk that fails.
const CALLS: std::ops::Range<u64> = 200..900;

/// What was measured each second, behind the first third.
#[derive(Default)]
pub(crate) struct Measured {
    /// Seconds since the start, KiB, descriptors.
    samples: Vec<(f64, f64, f64)>,
    /// Calls of its disk that failed.
    failed: u64,
}

impl Measured {
    /// Prints it; false if it grew.
    pub(crate) fn print(&self) -> bool {
        let from = self.samples.len() / 3;
        let samples = &self.samples[from..];
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return true };
        let memory: Vec<_> = samples.iter().map(|(at, kib, _)| (*at, *kib)).collect();
        let descriptors: Vec<_> = samples.iter().map(|(at, _, fds)| (*at, *fds)).collect();
        let hours = (last.0 - first.0) / 3600.0;
        let (memory, descriptors) = (slope(&memory) * 3600.0, slope(&descriptors) * 3600.0);
        println!(
            "the gateway that was not killed, over the last {:.0} s; {} calls of its disk failed",
            last.0 - first.0,
            self.failed
        );
        for quarter in 1..=4 {
            let at = (self.samples.len() * quarter / 4).saturating_sub(1);
            let Some((seconds, kib, fds)) = self.samples.get(at) else { continue };
            println!("  after {seconds:.0} s: {kib:.0} KiB resident, {fds:.0} descriptors");
        }
        println!("  memory: {:.0} KiB at the end, slope {memory:+.0} KiB an hour", last.1);
        println!("  descriptors: {:.0} at the end, slope {descriptors:+.2} an hour", last.2);
        memory * hours <= MOST_GROWTH_KIB && descriptors * hours <= 1.0
    }
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let over: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let under: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

/// Runs it for so long.
pub(crate) async fn run(design: Design, limit: Duration) -> Ended {
    let (mut dice, version) = (Dice::new(design.seed), design.version);
    let mut plant = Plant::build(design).await;
    let mut daemon = plant.start(&episodes(&mut dice));
    let (mut measured, mut change_at) = (Measured::default(), Duration::ZERO);
    let started = plant.lines.elapsed();
    let now = |plant: &Plant| plant.lines.elapsed() - started;
    while now(&plant) < limit {
        if now(&plant) >= change_at {
            // Half of the time it is as it should be, so that a backlog is drained.
            let odd = manners(&mut dice, version);
            plant.stub.set(if dice.hits(0.5) { odd } else { Manners::default() });
            change_at = now(&plant) + Duration::from_secs(dice.between(2, 45));
        }
        if let Some(ended) = daemon.ended(Duration::from_secs(1)).await {
            plant.account.wrong.push(format!("it ended by itself with {ended}: {}", tail(&plant.log())));
            break;
        }
        plant.glance();
        let pid = daemon.pid();
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        measured.samples.push((now(&plant).as_secs_f64(), resident_kib(pid), descriptors as f64));
    }
    plant.stub.set(Manners::default());
    let ended = daemon.stop(Duration::from_secs(10)).await;
    if !ended.is_some_and(|ended| ended.success()) {
        plant.account.wrong.push(format!("after SIGTERM it ended with {ended:?}: {}", tail(&plant.log())));
    }
    measured.failed = plant.calls().failed;
    plant.settle().await;
    plant.drain().await;
    Ended { tally: Tally::default(), account: plant.account, steady: Some(measured) }
}

/// When the disk fails, how often, and how.
fn episodes(dice: &mut Dice) -> String {
    let (mut plan, mut at) = (String::new(), 100);
    for _ in 0..60 {
        let error = ["EIO", "ENOSPC", "EROFS", "SHORT"][dice.between(0, 4) as usize];
        let of = ["all", "syncs"][dice.between(0, 2) as usize];
        // Writing to a String cannot fail.
        let _ = write!(plan, "fail={at}:{}:{error}:{of} ", dice.between(1, 4));
        at += dice.between(CALLS.start, CALLS.end);
    }
    plan
}

fn resident_kib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
