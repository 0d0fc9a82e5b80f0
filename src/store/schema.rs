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
const MIGRATIONS: [&str; 3] = [V1, V2, V3];

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
mod tests {
    use super::*;

    fn say_version(connection: &Connection, version: u32) {
        connection.execute("UPDATE meta SET version = ?1", [version]).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
    }

    #[test]
    fn a_newer_file_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let connection = open(&path).unwrap();
        say_version(&connection, 7);
        connection.close().unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 7, known: 3, .. }), "{refused:?}");
        assert!(refused.to_string().contains("needs a meterd that knows store version 7"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_newer_file_with_an_unfinished_log_is_refused_and_neither_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, image) = (dir.path().join(NAME), dir.path().join("image.db"));
        let connection = open(&path).unwrap();
        say_version(&connection, 4);
        let log = dir.path().join("image.db-wal");
        std::fs::copy(&path, &image).unwrap();
        std::fs::copy(dir.path().join("meterd.db-wal"), &log).unwrap();
        let before = (std::fs::read(&image).unwrap(), std::fs::read(&log).unwrap());
        assert!(matches!(open(&image).unwrap_err(), OpenError::Newer { found: 4, .. }));
        assert_eq!((std::fs::read(&image).unwrap(), std::fs::read(&log).unwrap()), before);
    }

    /// A store as an earlier version made it, with a reading that nobody signed for.
    fn of_version(path: &Path, version: usize) {
        let connection = Connection::open(path).unwrap();
        for step in &MIGRATIONS[..version] {
            connection.execute_batch(step).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO meta (one, store) VALUES (1, '0123456789abcdef');
                 UPDATE seq SET last = 7, backlog = 1;
                 INSERT INTO name (id, text) VALUES (0, 'a'), (1, 'live');
                 INSERT INTO register (id, text) VALUES (0, 'x');
                 INSERT INTO reading VALUES (1795000000000, 0, 1, 7, x'01');
                 INSERT INTO outbox (seq, topic, body) VALUES (7, 'em/gw/a/data/live', '\"n\":7}');",
            )
            .unwrap();
        connection.pragma_update(None, "application_id", APPLICATION).unwrap();
        connection.pragma_update(None, "user_version", narrow(version)).unwrap();
    }

    #[test]
    fn a_file_of_an_earlier_version_keeps_its_messages_and_its_id() {
        for version in 1..MIGRATIONS.len() {
            keeps_its_messages_and_its_id(version);
        }
    }

    fn keeps_its_messages_and_its_id(version: usize) {
        use crate::store::{Entry, Pending, Wanted, Worth, Writer};
        let dir = tempfile::tempdir().unwrap();
        of_version(&dir.path().join(NAME), version);
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!((writer.id(), writer.committed()), ("0123456789abcdef", 7));
        let old = Pending {
            seq: 7,
            topic: "em/gw/a/data/live".to_owned(),
            body: "\"n\":7}".to_owned(),
            retain: false,
        };
        assert_eq!(writer.offer(0, 9).unwrap(), std::slice::from_ref(&old));
        let slot = jiff::Timestamp::from_second(1_795_000_000).unwrap();
        assert!(writer.slot_is_read("a", "live", "x", slot).unwrap());
        let topic = "em/gw/meter/a/status".to_owned();
        let kept = Entry {
            topic: topic.clone(),
            body: "}".to_owned(),
            retain: true,
            worth: Worth::Event,
            identity: None,
        };
        writer.set_now(slot + std::time::Duration::from_secs(60));
        writer.commit(&[kept]).unwrap();
        drop(writer);
        let new = Pending { seq: 8, topic, body: "}".to_owned(), retain: true };
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(writer.offer(0, 9).unwrap(), [old.clone(), new.clone()]);
        writer.forget(&[7]).unwrap();
        assert_eq!(writer.offer(0, 9).unwrap(), [new]);
        assert_eq!(writer.resend(&Wanted::Time(slot..=slot), 0, 9).unwrap(), [old]);
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open(&path).unwrap_err(), OpenError::Foreign { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        std::fs::write(&path, [0x5a; 8192]).unwrap();
        let refused = open(&path).unwrap_err();
        let damaged = OpenError::Store { path, cause: StoreError::Damaged { detail: String::new() } };
        assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&damaged));
        assert!(refused.to_string().contains("damaged"), "{refused}");
    }

    #[test]
    fn durability_is_what_it_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join(NAME)).unwrap();
        let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(ask("synchronous"), 2, "FULL");
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}
