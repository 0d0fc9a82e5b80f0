//! What the store really hands to the kernel for writing, against what `check` says it does. Alone in its process, whose
//! octets it counts.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use jiff::Timestamp;
use meterd::store::{Entry, Identity, Rules, Worth, Writer, written};
use std::time::Duration;

/// Octets of topic and body of a message of 27 readings.
const OCTETS: usize = 4200;

fn entry(n: i64, octets: usize) -> Entry {
    let topic = "meterd/v1/gw01/meter/flat-101/data/live".to_owned();
    Entry {
        body: format!("\"n\":\"{n:0width$}\"}}", width = octets - topic.len() - 7),
        topic,
        retain: false,
        worth: Worth::Live,
        identity: Some(Identity {
            meter: format!("flat-{}", n % 100),
            task: "live".to_owned(),
            slot: Timestamp::from_second(1_800_000_000 + n / 100 * 60).unwrap(),
            registers: (0..27).map(|r| format!("register_{r}")).collect(),
        }),
        notes: Vec::new(),
    }
}

/// Octets that this process has written so far.
fn so_far() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().trim().parse().unwrap()
}

#[test]
fn what_check_says_of_the_flash_is_what_is_written() {
    let mut wrong = Vec::new();
    for octets in [300, 1200, 2500, OCTETS] {
        for batch in [1, 10, 100] {
            let dir = tempfile::tempdir().unwrap();
            let mut writer = Writer::open(dir.path()).unwrap();
            // Messages go after an hour, so that their going is counted too.
            writer.hold_to(Rules { keep: Duration::from_secs(600), ..Rules::default() });
            let commits = (3000 / batch).min(1000);
            let warm = commits / 3;
            let mut before = 0;
            for commit in 0..commits + warm {
                if commit == warm {
                    before = so_far();
                }
                let entries: Vec<_> = (0..batch).map(|n| entry(commit * batch + n, octets)).collect();
                let newest = writer.commit(&entries).unwrap().newest;
                writer.forget(&(newest + 1 - batch as u64..=newest).collect::<Vec<_>>()).unwrap();
            }
            let measured = (so_far() - before) / commits as u64;
            let said = written(batch as u64, octets as u64);
            let per_mille = said * 1000 / measured;
            eprintln!(
                "{octets} octets, {batch} a commit: {measured} written a commit, {said} said ({per_mille} per mille), \
                 {} a message",
                measured / batch as u64
            );
            if !(750..=1350).contains(&per_mille) {
                wrong.push(format!("{octets} octets, {batch} a commit: {measured}, said {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
