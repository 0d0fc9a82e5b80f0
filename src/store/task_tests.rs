use super::*;
use crate::store::{Closed, Identity};
use jiff::Timestamp;
use std::path::Path;
use tokio::time::timeout;

const EXPOSURE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(5);

fn entry(n: i64) -> Entry {
    Entry {
        topic: "em/gw/a/data/live".to_owned(),
        body: format!(r#""n":{n}}}"#),
        retain: false,
        identity: Some(Identity {
            meter: "a".to_owned(),
            task: "live".to_owned(),
            slot: Timestamp::from_second(1_800_000_000 + n).unwrap(),
            registers: ["x".to_owned()].into(),
        }),
    }
}

fn begin(dir: &Path) -> (Handle, JoinHandle<Result<Writer, Lost>>) {
    start(Writer::open(dir).unwrap(), EXPOSURE)
}

async fn put(store: &Handle, numbers: std::ops::Range<i64>) {
    for n in numbers {
        store.put(entry(n)).await.unwrap();
    }
}

async fn seqs(store: &Handle) -> Vec<u64> {
    store.offer(0, 1000).await.unwrap().iter().map(|p| p.seq).collect()
}

/// Waits until `newest` is committed, at most a few milliseconds of the test's time.
async fn committed_soon(store: &Handle, newest: u64) -> bool {
    timeout(SOON, store.committed().wait_for(|n| *n == newest)).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_offered_before_its_commit_and_all_is_after_the_exposure() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..99).await;
    sleep(EXPOSURE - SOON).await;
    assert_eq!(*store.committed().borrow(), 0);
    assert!(seqs(&store).await.is_empty());
    sleep(SOON).await;
    assert!(committed_soon(&store, 99).await);
    assert_eq!(seqs(&store).await, (1..=99).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_messages_are_committed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..100).await;
    assert!(committed_soon(&store, 100).await);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_round_is_durable_when_flush_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..7).await;
    timeout(SOON, store.flush()).await.unwrap().unwrap();
    assert_eq!(*store.committed().borrow(), 7);
    timeout(SOON, store.flush()).await.unwrap().unwrap();
    assert_eq!(store.offer(2, 2).await.unwrap().iter().map(|p| p.seq).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_round_is_committed_at_once_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..3).await;
    store.round_over().await.unwrap();
    assert!(committed_soon(&store, 3).await);
    put(&store, 3..5).await;
    sleep(SOON).await;
    assert_eq!(*store.committed().borrow(), 3, "the round before is over, not this one");
}

#[tokio::test(start_paused = true)]
async fn rounds_that_end_together_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    let mut committed = store.committed();
    let rounds = (0..30).map(|n| {
        let store = store.clone();
        async move {
            store.put(entry(n)).await.unwrap();
            store.round_over().await.unwrap();
        }
    });
    for round in rounds {
        round.await;
    }
    let mut commits = 0;
    while *committed.borrow_and_update() < 30 {
        timeout(SOON, committed.changed()).await.unwrap().unwrap();
        commits += 1;
    }
    assert_eq!(commits, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_signed_for_is_not_offered_again_and_leaves_the_file_after_the_exposure() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..5).await;
    store.flush().await.unwrap();
    store.forget(vec![2, 4]).await.unwrap();
    assert_eq!(seqs(&store).await, [1, 3, 5]);
    assert_eq!(store.offer(1, 2).await.unwrap().iter().map(|p| p.seq).collect::<Vec<_>>(), [3, 5]);
    let file = rusqlite::Connection::open(dir.path().join("meterd.db")).unwrap();
    let in_file = || file.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(in_file(), 5);
    sleep(EXPOSURE + SOON).await;
    // The answer comes after the write that the timer asked for.
    assert_eq!(seqs(&store).await, [1, 3, 5]);
    assert_eq!(in_file(), 3);
}

#[tokio::test(start_paused = true)]
async fn closing_commits_what_was_put_and_gives_the_writer_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    let id = store.id().to_owned();
    put(&store, 0..3).await;
    store.forget(vec![1]).await.unwrap();
    store.close().await.unwrap();
    let mut writer = task.await.unwrap().unwrap();
    assert_eq!((writer.id(), writer.committed()), (id.as_str(), 3));
    assert_eq!(writer.backlog().unwrap(), 3, "number 1 was not there to be forgotten when it was signed for");
    assert_eq!(store.put(entry(9)).await, Err(Closed));
    assert_eq!(store.flush().await, Err(Closed));
    assert_eq!(store.offer(0, 1).await, Err(Closed));
    assert_eq!(store.forget(vec![1]).await, Err(Closed));
    assert_eq!(store.close().await, Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_task_with_everything_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    let other = store.clone();
    put(&store, 0..2).await;
    drop(store);
    put(&other, 2..150).await;
    drop(other);
    assert_eq!(task.await.unwrap().unwrap().committed(), 150);
}

#[tokio::test(start_paused = true)]
async fn while_the_disk_refuses_a_bus_waits_and_nothing_is_lost_or_announced() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..1).await;
    store.flush().await.unwrap();
    let intruder = rusqlite::Connection::open(dir.path().join("meterd.db")).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let many = 1 + BATCH + QUEUE;
    let stuck = timeout(Duration::from_secs(120), put(&store, 1..i64::try_from(many).unwrap() + 50)).await;
    assert!(stuck.is_err(), "the queue has a bound");
    assert_eq!(*store.committed().borrow(), 1);
    assert_eq!(seqs(&store).await, [1], "what is durable is offered meanwhile");
    intruder.execute_batch("ROLLBACK").unwrap();
    let all = u64::try_from(many).unwrap();
    timeout(LONGEST_PAUSE + 2 * EXPOSURE, store.committed().wait_for(|n| *n == all)).await.unwrap().unwrap();
    assert_eq!(seqs(&store).await, (1..=all).collect::<Vec<_>>());
    // Back to group commits without a pause.
    put(&store, 1000..1100).await;
    assert!(committed_soon(&store, all + 100).await);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_to_the_end_does_not_hold_the_shutdown_up() {
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    let intruder = rusqlite::Connection::open(dir.path().join("meterd.db")).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    put(&store, 0..3).await;
    drop(store);
    let lost = timeout(Duration::from_secs(5), task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(lost.messages, 3);
    assert!(matches!(lost.cause, StoreError::Busy { .. }), "{lost}");
    drop(intruder);
    Writer::open(dir.path()).unwrap();
}
