//! A disk that takes nothing more for a while: polling goes on, nothing is torn, and storing resumes by itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use meterd::clock::Clock;
use meterd::store::{self, Dropped, Entry, Handle, Identity, Rules, StoreError, Worth, Writer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Set in the process that has its files limited; in it, the signal that comes with the limit is ignored.
const INSIDE: &str = "METERD_TEST_DISK_FULL";
const SLOT: i64 = 1_800_000_000;

fn entry(n: i64) -> Entry {
    Entry {
        topic: "em/gw/meter/a/data/live".to_owned(),
        body: format!("\"n\":\"{n:02000}\"}}"),
        retain: false,
        worth: Worth::Live,
        identity: Some(Identity {
            meter: "a".to_owned(),
            task: "live".to_owned(),
            slot: Timestamp::from_second(SLOT + n).unwrap(),
            registers: ["x".to_owned()].into(),
        }),
        notes: Vec::new(),
    }
}

fn start(dir: &std::path::Path) -> Handle {
    let clock = Clock::virtual_at(Timestamp::from_second(SLOT).unwrap());
    let announce = |dropped: &Dropped| -> Entry { panic!("nothing is to be dropped: {dropped:?}") };
    store::start(Writer::open(dir).unwrap(), Rules::default(), clock, Arc::new(announce)).0
}

async fn put(store: &Handle, numbers: std::ops::Range<i64>) {
    for n in numbers {
        timeout(Duration::from_secs(1), store.put(entry(n))).await.expect("polling goes on").unwrap();
    }
}

#[test]
fn a_full_disk_stops_no_polling_tears_nothing_and_storing_resumes_when_there_is_room() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        return runtime.unwrap().block_on(inside());
    }
    let name = "a_full_disk_stops_no_polling_tears_nothing_and_storing_resumes_when_there_is_room";
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn inside() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(dir.path());
    put(&store, 0..50).await;
    store.flush().await.unwrap();
    let free = getrlimit(Resource::Fsize);
    let log = std::fs::metadata(dir.path().join("meterd.db-wal")).unwrap().len();
    // Each octet count cuts the write of a page elsewhere.
    for (round, beyond) in [0, 1, 4000, 9999, 77_777].into_iter().enumerate() {
        let first = 50 + 200 * i64::try_from(round).unwrap();
        setrlimit(Resource::Fsize, Rlimit { current: Some(log + beyond), maximum: free.maximum }).unwrap();
        put(&store, first..first + 200).await;
        let mut state = store.state();
        timeout(Duration::from_secs(60), state.wait_for(|state| state.trouble.is_some()))
            .await
            .unwrap()
            .unwrap();
        let trouble = state.borrow().trouble.clone().unwrap();
        assert!(matches!(trouble, StoreError::Io { .. } | StoreError::Full { .. }), "{trouble}");
        setrlimit(Resource::Fsize, free).unwrap();
        let all = u64::try_from(first + 200).unwrap();
        timeout(Duration::from_secs(60), store.committed().wait_for(|newest| *newest == all))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(store.state().borrow().trouble, None);
    }
    let offered = store.offer(0, 9999).await.unwrap();
    assert_eq!(offered.len(), 1050);
    for (n, pending) in (0..).zip(&offered) {
        assert_eq!((pending.seq, &pending.body), (u64::try_from(n).unwrap() + 1, &entry(n).body));
    }
}
