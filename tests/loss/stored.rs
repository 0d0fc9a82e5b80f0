//! What the store's file holds, read by a plain SQLite connection on a copy: what a reboot would find.

use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;

const FILE: &str = "meterd.db";

/// Which slot a message is of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(crate) meter: String,
    pub(crate) task: String,
    /// Milliseconds since 1970.
    pub(crate) slot: i64,
}

/// What is committed.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The store's id; empty where there is no store yet.
    pub(crate) id: String,
    /// The highest number given.
    pub(crate) last: u64,
    /// Messages of readings or failures by number; those above a number that was asked for.
    pub(crate) messages: BTreeMap<u64, Key>,
    /// What SQLite finds wrong in the file.
    pub(crate) wrong: Option<String>,
}

impl Stored {
    /// Reads the store in `dir` as it is now, numbers above `after`, through a copy in `scratch`.
    ///
    /// # Errors
    /// What SQLite says of a file that it cannot read.
    pub(crate) fn read(dir: &Path, scratch: &Path, after: u64) -> rusqlite::Result<Self> {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(scratch.join(format!("{FILE}{end}")));
        }
        // The shared memory does not outlive a reboot.
        for end in ["", "-wal"] {
            let name = format!("{FILE}{end}");
            if dir.join(&name).exists() {
                std::fs::copy(dir.join(&name), scratch.join(&name)).unwrap();
            }
        }
        if !scratch.join(FILE).exists() {
            return Ok(Self::default());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(scratch.join(FILE), flags)?;
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('seq', 'meta', 'reading')";
        if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? < 3 {
            return Ok(Self::default());
        }
        let check: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
        let id = connection.query_row("SELECT store FROM meta", [], |row| row.get(0))?;
        let last: i64 = connection.query_row("SELECT last FROM seq", [], |row| row.get(0))?;
        let mut statement = connection.prepare(
            "SELECT reading.seq, meter.text, task.text, reading.slot FROM reading
             JOIN name AS meter ON meter.id = reading.meter JOIN name AS task ON task.id = reading.task
             WHERE reading.seq > ?1",
        )?;
        let rows = statement.query_map([after.cast_signed()], |row| {
            let key = Key { meter: row.get(1)?, task: row.get(2)?, slot: row.get(3)? };
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), key))
        })?;
        let messages = rows.collect::<rusqlite::Result<_>>()?;
        let wrong = (check != "ok").then_some(check);
        Ok(Self { id, last: last.cast_unsigned(), messages, wrong })
    }
}
