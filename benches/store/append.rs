//! Appending to the store, and to one bare table, as many octets in as many commits.

use super::traffic;
use meterd::store::Entry;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages of a commit, as the store groups them.
pub(crate) const BATCH: usize = 100;

/// What an append took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Took {
    pub(crate) time: Duration,
    /// Octets of pages that this process made dirty: what goes to the disk (`write_bytes` of /proc/self/io).
    pub(crate) disk: u64,
    /// Octets that it handed to the kernel (`wchar`).
    pub(crate) handed: u64,
}

impl Took {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            time: self.time + other.time,
            disk: self.disk + other.disk,
            handed: self.handed + other.handed,
        }
    }
}

/// Puts the messages into a new store in `folder`, until all are durable.
pub(crate) async fn ours(folder: &Path, entries: Vec<Entry>) -> Took {
    let (store, task) = traffic::open(folder);
    let count = entries.len() as u64;
    let before = Io::now();
    let begin = Instant::now();
    for entry in entries {
        store.put(entry).await.expect("the store is open");
    }
    store.flush().await.expect("the store is open");
    let time = begin.elapsed();
    let took = before.until_now(time);
    assert_eq!(*store.committed().borrow(), count, "each message is stored");
    traffic::close(store, task).await;
    took
}

/// Inserts the same octets into one table, a transaction for each [`BATCH`].
pub(crate) fn bare(folder: &Path, entries: &[Entry]) -> Took {
    let mut connection = Connection::open(folder.join("bare.db")).expect("the folder can be written");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a file system with shared memory");
    connection.pragma_update(None, "synchronous", "FULL").expect("a known word");
    connection
        .execute_batch(
            "CREATE TABLE message (seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, body TEXT NOT NULL)",
        )
        .expect("a new file");
    let before = Io::now();
    let begin = Instant::now();
    for batch in entries.chunks(BATCH) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("nobody else");
        for entry in batch {
            transaction
                .prepare_cached("INSERT INTO message (topic, body) VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![entry.topic, entry.body]))
                .expect("the disk has room");
        }
        transaction.commit().expect("the disk has room");
    }
    let time = begin.elapsed();
    before.until_now(time)
}

/// Both counts of this process so far.
struct Io {
    disk: u64,
    handed: u64,
}

impl Io {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let line = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key));
            found.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
        };
        Self { disk: line("write_bytes:"), handed: line("wchar:") }
    }

    fn until_now(self, time: Duration) -> Took {
        let now = Self::now();
        Took { time, disk: now.disk - self.disk, handed: now.handed - self.handed }
    }
}
