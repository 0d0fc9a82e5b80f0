//! The disk fails at the n-th call of a run, for each n; and the shim by which it does is as it says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

#[path = "loss/mod.rs"]
mod loss;

use loss::disk::{Calls, Disk};
use loss::kills::tail;
use loss::plant::{Design, Plant};
use loss::stub::Record;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Daemons at once: most of the time each waits for its next slot.
const AT_ONCE: usize = 12;
const PATIENCE: Duration = Duration::from_secs(30);

fn design(disk: &Disk) -> Design {
    let daemon = env!("CARGO_BIN_EXE_meterd").into();
    Design { daemon, disk: disk.clone(), lines: 1, meters: 2, faults: Vec::new(), version: 5, seed: 1 }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn messages(record: &Record) -> usize {
    record.published.iter().filter(|one| one.topic.contains("/data/") && one.is_signed()).count()
}

/// Two messages, and two more if a call failed meanwhile; then the daemon is stopped. What is wrong.
async fn cycle(plan: &str, plant: &mut Plant) -> Vec<String> {
    let mut daemon = plant.start(plan);
    let forever = plan.contains(FOREVER);
    let mut wanted = 2;
    let mut failed = false;
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(ended) = daemon.ended(Duration::ZERO).await {
                return Some(ended);
            }
            let published = plant.stub.look(messages);
            if plant.calls().failed > 0 && !failed {
                (failed, wanted) = (true, published + 2);
            }
            // One that gives up at its start does so by itself.
            let goes_on = forever && plant.log().contains("the store failed");
            if goes_on || !forever && published >= wanted {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut wrong = Vec::new();
    match waited.await {
        Err(_) => wrong.push(format!("{plan}: it stores nothing more: {}", tail(&plant.log()))),
        // It gave up by itself: with a sentence and a status.
        Ok(Some(ended)) if ended.code() == Some(1) && plant.log().contains("store") => {}
        Ok(Some(ended)) => wrong.push(format!("{plan}: it ended with {ended}: {}", tail(&plant.log()))),
        Ok(None) => {
            let begun = plant.lines.elapsed();
            let ended = daemon.stop(Duration::from_secs(10)).await;
            let took = plant.lines.elapsed() - begun;
            if ended.is_none_or(|ended| ended.code().is_none()) {
                wrong.push(format!("{plan}: after SIGTERM {ended:?} in {took:?}: {}", tail(&plant.log())));
            }
        }
    }
    let log = plant.log();
    if log.contains("panicked") {
        wrong.push(format!("{plan}: {}", tail(&log)));
    }
    plant.settle().await;
    plant.drain().await;
    wrong.extend(plant.account.wrong.drain(..).map(|one| format!("{plan}: {one}")));
    wrong
}

/// Calls that fail without an end.
const FOREVER: &str = "1000000";

#[test]
fn disk_that_fails_at_any_call_tears_nothing_and_storing_goes_on_without_a_restart() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    let calls = block_on(async {
        let mut plant = Plant::build(design(&disk)).await;
        assert_eq!(cycle("", &mut plant).await, Vec::<String>::new());
        plant.first_calls()
    });
    assert!(calls.syncs > 5 && calls.all > 30, "{calls:?}");
    let plans: Vec<String> = (1..=calls.all)
        .flat_map(|n| {
            let once = ["EIO", "ENOSPC"].map(|error| format!("fail={n}:1:{error}:all"));
            let other = match n % 8 {
                0 => Some(format!("fail={n}:1:SHORT:all")),
                2 => Some(format!("fail={n}:{FOREVER}:ENOSPC:all")),
                4 => Some(format!("fail={n}:2:EIO:syncs")),
                6 => Some(format!("fail={n}:3:EROFS:all")),
                _ => None,
            };
            once.into_iter().chain(other)
        })
        .collect();
    let next = AtomicU64::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            wrong.extend(block_on(async { cycle(plan, &mut Plant::build(design(&disk)).await).await }));
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    eprintln!("{} calls of a run, {} runs with faults", calls.all, plans.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// `dd` of eight sectors with a sync at the end: nine calls. What is in the file then, and what was counted.
fn dd(disk: &Disk, dir: &Path, plan: &str) -> (Vec<u8>, Calls) {
    let (file, counts) = (dir.join("file"), dir.join("counts"));
    std::fs::write(&file, [b'-'; 4096]).unwrap();
    let source = dir.join("source");
    std::fs::write(&source, [b'x'; 4096]).unwrap();
    let mut command = Command::new("dd");
    command.arg(format!("if={}", source.display())).arg(format!("of={}", file.display()));
    command.args(["bs=512", "conv=notrunc,fsync", "status=none"]);
    disk.load(&mut command, &file, &counts, plan);
    command.stderr(std::process::Stdio::null()).status().unwrap();
    (std::fs::read(&file).unwrap(), Calls::read(&counts))
}

#[test]
fn shim_fails_tears_and_loses_what_was_not_synced() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    let written = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'x').count();
    let dd = |plan: &str| {
        let (octets, calls) = dd(&disk, dir.path(), plan);
        (written(&octets), calls.all, calls.failed, calls.killed)
    };
    assert_eq!(dd(""), (4096, 9, 0, 0));
    assert_eq!(dd("kill=3:before:0"), (2 * 512, 3, 0, 1));
    assert_eq!(dd("kill=3:after:0"), (3 * 512, 3, 0, 1));
    assert_eq!(dd("kill=3:torn:0"), (2 * 512 + 256, 3, 0, 1));
    assert_eq!(dd("fail=3:1:ENOSPC:all").2, 1);
    assert_eq!(dd("fail=9:1:EIO:syncs"), (4096, 9, 1, 0));
    let lost: Vec<usize> = (0..16).map(|seed| dd(&format!("kill=9:power:{seed}")).0).collect();
    assert!(lost.iter().any(|kept| *kept < 4096) && lost.iter().any(|kept| *kept > 0), "{lost:?}");
    assert!(lost.iter().all(|kept| kept % 512 == 0), "{lost:?}");
    assert_eq!(dd("kill=9:after:0").0, 4096);
}

/// Whether `strace` may trace here.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    if !can {
        eprintln!("left out: strace is not installed, or may not trace here");
    }
    can
}

#[test]
fn shim_counts_what_strace_counts() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    if !can_trace() {
        return;
    }
    block_on(async {
        let mut plant = Plant::build(design(&disk)).await;
        let trace = dir.path().join("trace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-s", "0", "-e", "trace=write,pwrite64,fsync,fdatasync,ftruncate", "-o"]);
        strace.arg(&trace).arg(env!("CARGO_BIN_EXE_meterd"));
        let mut daemon = plant.start_by(strace, "");
        assert!(plant.stub.until(PATIENCE, |record| messages(record) >= 2).await, "{}", plant.log());
        daemon.signal_children();
        assert!(daemon.ended(PATIENCE).await.is_some());
        plant.settle().await;
        let trace = std::fs::read_to_string(trace).unwrap();
        let store = format!("<{}/", plant.store().display());
        let folder = format!("<{}>", plant.store().display());
        let traced = trace.lines().filter(|line| line.contains(&store) || line.contains(&folder)).count();
        assert_eq!(plant.calls().all, traced as u64);
        assert_eq!(plant.account.wrong, Vec::<String>::new());
    });
}

#[test]
fn daemon_whose_sync_fails_by_the_kernels_word_stores_on() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = Disk::build(dir.path()) else { return };
    if !can_trace() {
        return;
    }
    block_on(async {
        let mut plant = Plant::build(design(&disk)).await;
        // A store is there: the first few syncs are those of its log, which the last end left, all others of commits.
        plant.drain().await;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=8", "-o", "/dev/null"]);
        strace.arg(env!("CARGO_BIN_EXE_meterd"));
        let mut daemon = plant.start_by(strace, "");
        let failed = |plant: &Plant| plant.log().contains("the store failed");
        let mut on = None;
        let waited = tokio::time::timeout(PATIENCE, async {
            while on.is_none_or(|on| plant.stub.look(messages) < on + 2) {
                if on.is_none() && failed(&plant) {
                    on = Some(plant.stub.look(messages));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{}", plant.log());
        daemon.signal_children();
        assert!(daemon.ended(PATIENCE).await.is_some());
        plant.settle().await;
        plant.drain().await;
        assert_eq!(plant.account.wrong, Vec::<String>::new());
    });
}
