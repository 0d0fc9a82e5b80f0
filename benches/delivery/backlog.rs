//! A store whose messages nobody has signed for, and how much of it is left.

use super::traffic::{self, Traffic};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages that are made at a time.
const CHUNK: usize = 1000;

/// What a store is to be rid of.
#[derive(Debug)]
pub(crate) struct Backlog {
    connection: Connection,
    last: usize,
}

impl Backlog {
    /// Has the store itself make it, where a daemon with its files in `folder` has its store, and says how long the store
    /// took.
    pub(crate) fn build(folder: &Path, meters: usize, messages: usize) -> (Self, Duration) {
        let traffic = Traffic::of(meters, messages);
        let dir = folder.join("store");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let took = runtime.block_on(async {
            std::fs::create_dir_all(&dir).expect("the folder can be written");
            let (store, task) = traffic::open(&dir);
            let mut took = Duration::ZERO;
            for from in (0..messages).step_by(CHUNK) {
                let entries: Vec<_> = (from..messages.min(from + CHUNK)).map(|n| traffic.entry(n)).collect();
                let begin = Instant::now();
                for entry in entries {
                    store.put(entry).await.expect("the store is open");
                }
                took += begin.elapsed();
            }
            store.flush().await.expect("the store is open");
            assert_eq!(store.state().borrow().backlog, messages as u64, "each message is stored");
            traffic::close(store, task).await;
            took
        });
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(dir.join("meterd.db"), flags).expect("the store is there");
        connection.pragma_update(None, "query_only", true).expect("a known pragma");
        (Self { connection, last: messages }, took)
    }

    /// Whether the broker has signed for all of it, as it stands on the disk. What came later does not count.
    pub(crate) fn is_drained(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE rank IN (0, 1, 2) AND seq <= ?1)";
        let mut statement = self.connection.prepare_cached(sql).expect("the store's tables");
        !statement.query_row([self.last as i64], |row| row.get::<_, bool>(0)).expect("the store is sound")
    }
}
