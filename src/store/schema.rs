//! The store's file: its tables, its versions, and how it is opened.

use super::OpenError;
use super::StoreError;
use super::error::sorted;
use super::salvage;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;

/// Name of the file in the data directory.
pub(super) const NAME: &str = "meterd.db";

/// "mtrd" in the file's header says whose it is.
const APPLICATION: i32 = 0x6D74_7264;

/// Step n makes version n + 1 of version n; a step that has been released is never changed.
const MIGRATIONS: [&str; 5] = [V1, V2, V3, V4, V5];

/// The version of a store that this program writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Statements that are kept prepared; there are about forty in all.
const STATEMENTS: usize = 64;

/// What the log is cut back to; it is written back to the file at 1000 pages.
const LOG_BYTES: u32 = 4 << 20;

/// - `seq` is its own table of one row, since a rowid begins again at 1 in an empty outbox. `backlog`
///   stands there because counting the outbox would read all of it.
/// - `reading` is who carries what: the message `seq` was the first to bring `registers` (a set; bit n is
///   the register of that id) of that meter, task and slot. One row a message, since one row a register
///   takes 676 octets in place of 29 for a message of 27 readings, and the rows of 62 days stand here. That
///   no register stands in two rows of one slot is the writer's care: it is the only one to write. A
///   message of failures has the empty set. Slots come first in the key, since the oldest are pruned and
///   the newest is asked for.
/// - `register.id` begins at 0 and has no holes, which keeps the sets short.
/// - Times are milliseconds since 1970 (UTC).
const V1: &str = "
CREATE TABLE meta (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    store   TEXT NOT NULL
) STRICT;
CREATE TABLE seq (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    last    INTEGER NOT NULL CHECK (last >= 0),
    backlog INTEGER NOT NULL CHECK (backlog >= 0)
) STRICT;
INSERT INTO seq VALUES (1, 0, 0);
CREATE TABLE name (
    id      INTEGER PRIMARY KEY,
    text    TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE register (
    id      INTEGER PRIMARY KEY CHECK (id >= 0),
    text    TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE reading (
    slot      INTEGER NOT NULL,
    meter     INTEGER NOT NULL,
    task      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    registers BLOB NOT NULL,
    PRIMARY KEY (slot, meter, task, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    seq     INTEGER PRIMARY KEY,
    topic   TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
CREATE TABLE learned (
    scope   TEXT NOT NULL CHECK (scope IN ('meter', 'bus')),
    name    TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (scope, name, key)
) STRICT, WITHOUT ROWID;
";

/// `retain`: the broker is to keep the message for who subscribes later.
const V2: &str = "
ALTER TABLE outbox ADD COLUMN retain INTEGER NOT NULL DEFAULT 0 CHECK (retain IN (0, 1));
";

/// A message outlives its receipt, since a head-end may ask for it again.
///
/// - `message` is what was `outbox`. `at` is the slot of readings, else when it was stored; NULL if an earlier
///   version stored it. `sum` is that of [`super::sum::message`]: SQLite does not see a flipped bit in a text.
/// - `outbox` is every message by what goes first when room is wanted: `rank` is -1 once the broker has signed, else
///   its worth. So a receipt writes a few octets and not the message; `sum` is that of [`super::sum::place`].
/// - `meta.version` is that of the file's header, of which an octet may flip.
/// - `command` is who asked for what and what came of it. An id that comes again from one author is the same command.
const V3: &str = "
ALTER TABLE outbox RENAME TO message;
ALTER TABLE message ADD COLUMN at INTEGER;
ALTER TABLE message ADD COLUMN worth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN slotless INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN sum INTEGER;
CREATE INDEX message_slotless ON message (at) WHERE slotless = 1;
CREATE TABLE outbox (
    rank    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    sum     INTEGER,
    PRIMARY KEY (rank, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox SELECT 0, seq, NULL FROM message;
CREATE TABLE command (
    number      INTEGER PRIMARY KEY,
    author      TEXT NOT NULL,
    id          TEXT NOT NULL,
    verb        TEXT NOT NULL,
    arguments   TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    expires_at  INTEGER,
    outcome     TEXT,
    finished_at INTEGER,
    UNIQUE (author, id)
) STRICT;
ALTER TABLE meta ADD COLUMN version INTEGER;
";

/// - `slot` is what is missing of a slot, see [`super::slots`]: `state` 0 is open, 1 settled, 2 gone, 3 given up; `registers` are
///   names with blanks between. Slots come first in the key, as in `reading`.
/// - `run` is how complete a slot of a task is over all meters, see [`super::runs`]; `failed` is an object of JSON.
/// - `sum` is over names, not their numbers: a row that came to stand for another meter is not believed.
const V4: &str = "
CREATE TABLE slot (
    slot      INTEGER NOT NULL,
    meter     INTEGER NOT NULL,
    task      INTEGER NOT NULL,
    state     INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    why       TEXT NOT NULL,
    reason    TEXT NOT NULL,
    tries     INTEGER NOT NULL,
    registers TEXT NOT NULL,
    at        INTEGER NOT NULL,
    sum       INTEGER NOT NULL,
    PRIMARY KEY (slot, meter, task)
) STRICT, WITHOUT ROWID;
CREATE TABLE run (
    slot    INTEGER NOT NULL,
    task    INTEGER NOT NULL,
    planned INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    read    INTEGER NOT NULL,
    partly  INTEGER NOT NULL,
    gone    INTEGER NOT NULL,
    failed  TEXT NOT NULL,
    began   INTEGER NOT NULL,
    ended   INTEGER,
    sum     INTEGER NOT NULL,
    PRIMARY KEY (slot, task)
) STRICT, WITHOUT ROWID;
";

/// `stand` is what the energy register of a meter point showed at a midnight, see [`super::stands`]: messages, which have it
/// too, are kept for a week. Values are texts, since SQLite knows no decimals. `sum` is as in `slot`.
const V5: &str = "
CREATE TABLE stand (
    slot    INTEGER NOT NULL,
    meter   INTEGER NOT NULL,
    address TEXT NOT NULL,
    value   TEXT NOT NULL,
    ratio   TEXT NOT NULL,
    quality TEXT NOT NULL,
    sum     INTEGER NOT NULL,
    PRIMARY KEY (slot, meter)
) STRICT, WITHOUT ROWID;
";

/// Octets that a file of SQLite has at least.
pub(super) const SMALLEST: u64 = 512;

/// Opens the store at `path`, makes it if it is not there, and brings it to this version.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |e: rusqlite::Error| OpenError::Store { path: path.to_owned(), cause: sorted(e) };
    // SQLite takes a file of a few octets for none, and throws the log away that may hold everything.
    if std::fs::metadata(path).is_ok_and(|file| (1..SMALLEST).contains(&file.len())) {
        let detail = "it is cut off within its first page".to_owned();
        return Err(OpenError::Store { path: path.to_owned(), cause: StoreError::Damaged { detail } });
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
    let known = MIGRATIONS.len();
    let found = version(&connection).map_err(failed)?;
    let noted = noted(&connection);
    if let Some(noted) = noted.filter(|noted| *noted != found) {
        let detail = format!("its header says version {found}, its table {noted}");
        return Err(OpenError::Store { path: path.to_owned(), cause: StoreError::Damaged { detail } });
    }
    if found > known {
        let (found, known) = (narrow(found), narrow(known));
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    if !is_ours(&connection, found).map_err(failed)? {
        let detail = || "its header does not say that it is ours, its tables do".to_owned();
        return Err(match noted {
            Some(_) => {
                OpenError::Store { path: path.to_owned(), cause: StoreError::Damaged { detail: detail() } }
            }
            None => OpenError::Foreign { path: path.to_owned() },
        });
    }
    if path.parent().is_some_and(salvage::log_is_damaged) {
        let detail = "its log is damaged before commits that were whole".to_owned();
        return Err(OpenError::Store { path: path.to_owned(), cause: StoreError::Damaged { detail } });
    }
    // Before anything is written: what is damaged is set aside as it was found.
    if found > 0 {
        salvage::prove(&connection).map_err(failed)?;
        // SQLite gives no log to a connection that has proved a file without one.
        connection.close().map_err(|(_, e)| failed(e))?;
        connection = connect(path, OpenFlags::empty()).map_err(failed)?;
    }
    settle(&connection).map_err(failed)?;
    let id = if found == 0 { Some(random_id()?) } else { None };
    migrate(&mut connection, found, id.as_deref()).map_err(failed)?;
    Ok(connection)
}

/// Makes a new store, without a log yet.
pub(super) fn make(path: &Path) -> Result<Connection, OpenError> {
    let failed = |e: rusqlite::Error| OpenError::Store { path: path.to_owned(), cause: sorted(e) };
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
    migrate(&mut connection, 0, Some(&random_id()?)).map_err(failed)?;
    Ok(connection)
}

/// Opens anew, after a failure, the store that this process has had open.
pub(super) fn reopen(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::empty()).map_err(sorted)?;
    settle(&connection).map_err(sorted)?;
    Ok(connection)
}

/// A connection that has not changed anything and will not when it is closed.
fn connect(path: &Path, create: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let connection = Connection::open_with_flags(path, flags)?;
    // The directory is locked, so whoever holds the file is a person with a tool: say so, don't wait.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A prepared statement is else planned anew for every other number that is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Sets durability, and makes durable whatever is visible.
///
/// What an earlier connection wrote may be visible and yet not on the disk: it was killed before its
/// fsync, or the fsync failed. Were such a row offered and then lost with the power, its number would
/// be given twice. The checkpoint writes every visible page once more and syncs it.
///
/// The log begins anew, too: a first commit that was cut short would leave its frames behind the next one's, with the same
/// salts, and the next cut would look like damage.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A long commit does not leave a long file.
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(failure(
            rusqlite::ffi::SQLITE_READONLY,
            "this file system gives no shared memory for WAL",
        ));
    }
    let (frames, written): (i64, i64) =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    if frames != written {
        return Err(failure(rusqlite::ffi::SQLITE_BUSY, "a reader keeps the log from being written back"));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

pub(super) fn failure(code: i32, words: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(words.to_owned()))
}

/// The version of a file, and whether it is a store.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<(u32, bool)> {
    let found = version(connection)?;
    Ok((narrow(found), found > 0 && is_ours(connection, found)?))
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A negative version was never written by us: as high as it gets.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// The version as the table says it, from version 3 on.
fn noted(connection: &Connection) -> Option<usize> {
    let version = connection.query_row("SELECT version FROM meta", [], |row| row.get::<_, i64>(0)).ok()?;
    usize::try_from(version).ok()
}

fn is_ours(connection: &Connection, version: usize) -> rusqlite::Result<bool> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if version == 0 { tables == 0 } else { application == APPLICATION })
}

fn migrate(connection: &mut Connection, found: usize, new_id: Option<&str>) -> rusqlite::Result<()> {
    if found == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &MIGRATIONS[found..] {
        transaction.execute_batch(step)?;
    }
    if let Some(id) = new_id {
        transaction.execute("INSERT INTO meta (one, store) VALUES (1, ?1)", [id])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
    }
    transaction.execute("UPDATE meta SET version = ?1", [narrow(MIGRATIONS.len())])?;
    transaction.pragma_update(None, "user_version", narrow(MIGRATIONS.len()))?;
    transaction.commit()
}

fn random_id() -> Result<String, OpenError> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(|_| OpenError::NoRandom)?;
    Ok(format!("{:016x}", u64::from_be_bytes(octets)))
}

fn narrow(version: usize) -> u32 {
    u32::try_from(version).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
