use super::*;
use crate::store::{Closed, Dropped, Fact, Identity, SlotNote, SlotState, Why, Worth};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use tokio::time::timeout;

const EXPOSURE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(5);

fn entry(n: i64) -> Entry {
    Entry {
        topic: "em/gw/a/data/live".to_owned(),
        body: format!(r#""n":{n}}}"#),
        retain: false,
        worth: Worth::Live,
        identity: Some(Identity {
            meter: "a".to_owned(),
            task: "live".to_owned(),
            slot: Timestamp::from_second(1_800_000_000 + n).unwrap(),
            registers: ["x".to_owned()].into(),
        }),
        notes: Vec::new(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// The announcement of a loss.
fn tell(dropped: &Dropped) -> Entry {
    Entry {
        topic: "em/gw/event/rows_dropped".to_owned(),
        body: format!(r#""dropped":"{dropped:?}"}}"#),
        retain: false,
        worth: Worth::Event,
        identity: None,
        notes: Vec::new(),
    }
}

fn begin(dir: &Path) -> (Handle, JoinHandle<Result<Writer, Lost>>) {
    start(Writer::open(dir).unwrap(), Rules::default(), Clock::virtual_at(now()), Arc::new(tell))
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
    let in_file = || {
        file.query_row("SELECT count(*) FROM outbox WHERE rank >= 0", [], |row| row.get::<_, i64>(0)).unwrap()
    };
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
    assert_eq!((writer.id(), writer.committed()), (&*id, 3));
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
async fn while_the_disk_refuses_polling_goes_on_and_nothing_is_lost_or_offered() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    put(&store, 0..1).await;
    store.flush().await.unwrap();
    let intruder = rusqlite::Connection::open(dir.path().join("meterd.db")).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    timeout(Duration::from_secs(5), put(&store, 1..2000)).await.unwrap();
    assert_eq!(*store.committed().borrow(), 1);
    assert_eq!(seqs(&store).await, [1], "what is durable is offered meanwhile");
    assert!(matches!(store.state().borrow().trouble, Some(StoreError::Busy { .. })));
    intruder.execute_batch("ROLLBACK").unwrap();
    timeout(LONGEST_PAUSE + 2 * EXPOSURE, store.committed().wait_for(|n| *n == 2000)).await.unwrap().unwrap();
    assert_eq!(store.offer(0, 9999).await.unwrap().len(), 2000);
    let state = store.state().borrow().clone();
    assert_eq!((state.trouble, state.backlog), (None, 2000));
    // Back to group commits without a pause.
    put(&store, 3000..3100).await;
    assert!(committed_soon(&store, 2100).await);
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_full_too_the_oldest_live_data_goes_and_is_announced_with_its_count() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    store.flush().await.unwrap();
    let intruder = rusqlite::Connection::open(dir.path().join("meterd.db")).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let large = |n| Entry { body: format!(r#""n":"{n:04096}"}}"#), ..entry(n) };
    store.put(Entry { worth: Worth::Settlement, ..large(0) }).await.unwrap();
    for n in 1..2000 {
        timeout(Duration::from_secs(60), store.put(large(n))).await.unwrap().unwrap();
    }
    intruder.execute_batch("ROLLBACK").unwrap();
    timeout(2 * LONGEST_PAUSE, store.committed().wait_for(|n| *n > 0)).await.unwrap().unwrap();
    let there = store.offer(0, 9999).await.unwrap();
    let (announcement, there) = there.split_last().unwrap();
    let lost = 2000 - there.len();
    assert!((900..1100).contains(&lost), "4 MiB are held: {lost} lost");
    let said = tell(&Dropped { ranges: Vec::new(), messages: lost as u64, why: Why::Refused });
    assert_eq!((&announcement.topic, &announcement.body), (&said.topic, &said.body));
    assert!(there[0].body.contains("0000\"}"), "settlement data stays");
    assert!(there[1].body.contains(&format!("{:04096}", lost + 1)), "the oldest went");
    put(&store, 5000..5001).await;
    store.flush().await.unwrap();
    assert_eq!(store.offer(announcement.seq, 9).await.unwrap().len(), 1, "it is said once");
}

#[tokio::test(start_paused = true)]
async fn a_store_found_damaged_while_it_is_in_use_is_made_anew_and_the_loss_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    let old = store.id();
    put(&store, 0..50).await;
    store.close().await.unwrap();
    let mut writer = task.await.unwrap().unwrap();
    // Closed, so that the damage is not hidden by what is in memory.
    writer.open = None;
    let path = dir.path().join("meterd.db");
    let mut octets = std::fs::read(&path).unwrap();
    let text = br#""n":25}"#;
    let at = octets.windows(text.len()).position(|window| window == text).unwrap();
    octets[at + 4] = b'9';
    std::fs::write(&path, octets).unwrap();
    let (store, _task) = start(writer, Rules::default(), Clock::virtual_at(now()), Arc::new(tell));
    let offered = timeout(LONGEST_PAUSE, store.offer(0, 100)).await.unwrap().unwrap();
    assert_eq!(
        // The announcement of the loss may be there already.
        offered.iter().map(|p| p.seq).filter(|seq| *seq <= 50).collect::<Vec<_>>(),
        (1..=25).chain(27..=50).collect::<Vec<_>>()
    );
    assert_ne!(store.id(), old);
    timeout(LONGEST_PAUSE, store.committed().wait_for(|n| *n == 51)).await.unwrap().unwrap();
    let told = store.offer(50, 9).await.unwrap();
    let said = tell(&Dropped { ranges: vec![26..=26], messages: 1, why: Why::Damaged });
    assert_eq!(told.iter().map(|p| p.body.as_str()).collect::<Vec<_>>(), [said.body]);
    assert_eq!(store.state().borrow().trouble, None);
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

#[tokio::test(start_paused = true)]
async fn what_is_put_at_the_end_goes_into_one_commit_however_much_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    store.ending().await.unwrap();
    put(&store, 0..1_000).await;
    store.round_over().await.unwrap();
    assert!(!committed_soon(&store, 1).await && *store.committed().borrow() == 0);
    let mut commits = store.committed();
    commits.mark_unchanged();
    store.flush().await.unwrap();
    assert_eq!(*commits.borrow_and_update(), 1_000);
    put(&store, 1_000..1_300).await;
    store.close().await.unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(*commits.borrow(), 1_300);
}

#[tokio::test(start_paused = true)]
async fn facts_are_given_with_those_that_were_put_last() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _task) = begin(dir.path());
    let of = |name: &str| About::Meter(name.to_owned());
    let fact = |value: &str| Fact { key: "k".to_owned(), value: value.to_owned(), at: Timestamp::UNIX_EPOCH };
    store.learn(of("a"), fact("1")).await.unwrap();
    store.flush().await.unwrap();
    store.learn(of("a"), fact("2")).await.unwrap();
    store.learn(of("b"), fact("3")).await.unwrap();
    tokio::task::yield_now().await;
    let facts = store.facts(vec![of("b"), of("c"), of("a")]).await.unwrap();
    assert_eq!(facts, [vec![fact("3")], vec![], vec![fact("2")]]);
}

#[tokio::test(start_paused = true)]
async fn of_notes_of_one_slot_the_one_put_last_counts_be_it_with_a_message_or_without() {
    let note = |n: i64, tries: u32| {
        let (meter, task, why) = ("a".to_owned(), "live".to_owned(), String::new());
        let (slot, state) = (Timestamp::from_second(1_800_000_000 + n).unwrap(), SlotState::Open);
        SlotNote { meter, task, slot, state, why, reason: None, tries, registers: Vec::new(), at: slot }
    };
    let dir = tempfile::tempdir().unwrap();
    let (store, task) = begin(dir.path());
    store.note_slots(vec![note(0, 1), note(1, 1), note(2, 1)]).await.unwrap();
    store.put(Entry { notes: vec![note(0, 2), note(1, 2)], ..entry(0) }).await.unwrap();
    store.note_slots(vec![note(1, 3)]).await.unwrap();
    sleep(EXPOSURE + SOON).await;
    assert!(committed_soon(&store, 1).await);
    store.note_slots(vec![note(3, 4)]).await.unwrap();
    store.close().await.unwrap();
    let mut writer = task.await.unwrap().unwrap();
    let notes = writer.slot_notes("live", now()).unwrap();
    assert_eq!(notes, [note(0, 2), note(1, 3), note(2, 1), note(3, 4)]);
}
