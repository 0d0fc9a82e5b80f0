//! A damaged store: it is set aside whole, and what proves itself intact goes into a new one.
//!
//! The new store has an id of its own and keeps the numbers of the messages. A message is taken if its checksum is
//! right, wherever in the file it stands; one that was stored by a version without checksums is not. It counts as
//! signed for only where that is proved too, so at worst it is sent twice. Which slots are read, what is missing
//! of them, what was learned and the list of commands are copied as far as SQLite can still read them.
//!
//! One damaged store stays in the data directory, the newest; an older one is removed.

mod log;
mod pages;

use super::schema::{self, NAME};
use super::storing::{Placing, SIGNED};
use super::sum::{self, Summed};
use super::{Dropped, OpenError, StoreError, Why, ranges};
use jiff::Timestamp;
use log::Log;
use pages::{Image, Value};
use rusqlite::{Connection, OpenFlags, Transaction, params};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Complete and synced: it is to take the store's place.
const SAVED: &str = "meterd.db.saved";
/// Being made.
const MAKING: &str = "meterd.db.salvage";
/// What a store that was set aside begins with; behind it stands when it was last written.
const ASIDE: &str = "meterd.db.damaged-";

/// Files up to this size are proved whole when they are opened; of a larger one what leads to the messages. The rest is
/// proved when it is read.
const PROVED_WHOLE: u64 = 16 << 20;

/// What was saved.
#[derive(Debug, Default)]
struct Saved {
    messages: u64,
    signed: u64,
    /// Numbers of which nothing was found.
    lost: Vec<u64>,
}

/// Why nothing could be saved.
#[derive(Debug, thiserror::Error)]
enum Unsaved {
    #[error("{0}")]
    Files(#[from] io::Error),
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("{0}")]
    New(#[from] OpenError),
}

/// Finishes what a salvage that was cut short had begun.
pub(super) fn finish(dir: &Path) -> io::Result<()> {
    clear(dir)?;
    if dir.join(SAVED).exists() { exchange(dir) } else { Ok(()) }
}

/// Removes what was being made.
fn clear(dir: &Path) -> io::Result<()> {
    for behind in ["", "-journal", "-wal", "-shm"] {
        remove(&with(&dir.join(MAKING), behind))?;
    }
    Ok(())
}

/// Whether the log of the store in `dir` lost commits that had been synced.
pub(super) fn log_is_damaged(dir: &Path) -> bool {
    let is_spent = |log: &Log| log.is_spent(&dir.join(NAME), &wal(dir)).unwrap_or(false);
    Log::read(&wal(dir)).is_ok_and(|log| log.damaged && !is_spent(&log))
}

/// Whether the file of the store in `dir` has lost all its octets, or is gone; SQLite would remove the log then.
pub(super) fn is_emptied(dir: &Path) -> bool {
    length(&dir.join(NAME)) == 0 && length(&wal(dir)) > 0
}

/// Octets of a file; 0 of one that is not there.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// Proves what can be proved soon.
pub(super) fn prove(connection: &Connection) -> rusqlite::Result<()> {
    let whole = super::room::used(connection)? * super::room::PAGE <= PROVED_WHOLE;
    let sql = if whole {
        &["PRAGMA quick_check(1)"][..]
    } else {
        &[
            "PRAGMA quick_check('meta')",
            "PRAGMA quick_check('seq')",
            "PRAGMA quick_check('name')",
            "PRAGMA quick_check('register')",
        ]
    };
    for sql in sql {
        let said: String = connection.query_row(sql, [], |row| row.get(0))?;
        if said != "ok" {
            return Err(schema::failure(rusqlite::ffi::SQLITE_CORRUPT, &said));
        }
    }
    Ok(())
}

/// Puts a new store in the place of the damaged one. `last` is the highest number that is known to have been given.
/// With `save`, what is intact goes into it. What it says is lost is to be announced.
pub(super) fn replace(dir: &Path, last: u64, save: bool, cause: &StoreError) -> Result<Dropped, OpenError> {
    let unusable = |cause| OpenError::Directory { dir: dir.to_owned(), cause };
    // One that is gone is as one without octets.
    File::options().create(true).append(true).open(dir.join(NAME)).map_err(unusable)?;
    for old in set_aside(dir).map_err(unusable)? {
        tracing::warn!(file = %old.display(), "removed a damaged store of earlier, to make room");
        remove(&old).map_err(unusable)?;
    }
    let saved = if save {
        self::save(dir, last).map_err(|why| {
            tracing::error!("nothing of the damaged store could be saved: {why}");
        })
    } else {
        tracing::error!(
            "the store is damaged again; it is set aside without saving from it, so that this ends"
        );
        Err(())
    };
    let saved = match saved {
        Ok(saved) => saved,
        Err(()) => {
            clear(dir).map_err(unusable)?;
            make_empty(dir, last)?;
            Saved::default()
        }
    };
    exchange(dir).map_err(unusable)?;
    let dropped = Dropped {
        messages: saved.lost.len() as u64,
        ranges: ranges::of(saved.lost.into_iter()),
        why: Why::Damaged,
    };
    tracing::error!(
        saved = saved.messages,
        of_them_signed_for = saved.signed,
        lost = dropped.messages,
        ranges = ?dropped.ranges,
        "the store was damaged ({cause}); it is set aside as {ASIDE}… in {} and a new one was made of what is intact",
        dir.display()
    );
    Ok(dropped)
}

fn save(dir: &Path, last: u64) -> Result<Saved, Unsaved> {
    let image = Image::open(&dir.join(NAME), &wal(dir), Log::read(&wal(dir))?)?;
    let mut new = make(dir)?;
    let transaction = new.transaction()?;
    let mut signed = BTreeSet::new();
    let mut waiting = BTreeSet::new();
    image.scan(|_, values| {
        if let Some((rank, seq)) = place(values) {
            if rank == SIGNED {
                signed.insert(seq)
            } else {
                waiting.insert(seq)
            };
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    let mut found = BTreeSet::new();
    let mut placing = Placing::begin(&transaction)?;
    image.scan(|seq, values| {
        let Some(message) = message(seq, values) else { return Ok(()) };
        if found.insert(seq) {
            placing.insert(&message, if signed.contains(&seq) { SIGNED } else { message.worth })?;
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    drop(placing);
    // SQLite takes a file of a few octets for none, and would remove the log, which is to be set aside.
    let whole = length(&dir.join(NAME)) >= schema::SMALLEST;
    let old = whole.then(|| open_old(dir).ok()).flatten();
    let known = old.as_ref().map_or(0, |old| copy(old, &transaction));
    let numbers = || found.iter().chain(&signed).chain(&waiting).copied();
    let last = numbers().max().unwrap_or(0).max(known).max(i64::try_from(last).unwrap_or(i64::MAX));
    let first = numbers().min().unwrap_or(last + 1);
    let lost = (first..=last).filter(|seq| !found.contains(seq) && !signed.contains(seq));
    let saved = Saved {
        messages: found.len() as u64,
        signed: found.intersection(&signed).count() as u64,
        lost: lost.map(i64::cast_unsigned).collect(),
    };
    let backlog = (saved.messages - saved.signed).cast_signed();
    transaction.execute("UPDATE seq SET last = ?1, backlog = ?2", [last, backlog])?;
    transaction.commit()?;
    drop(old);
    complete(dir, new)?;
    Ok(saved)
}

/// A new store under another name, which is not made durable before it is complete.
fn make(dir: &Path) -> Result<Connection, Unsaved> {
    let new = schema::make(&dir.join(MAKING))?;
    new.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    Ok(new)
}

fn make_empty(dir: &Path, last: u64) -> Result<(), OpenError> {
    let path = dir.join(MAKING);
    let failed = |e| OpenError::Store { path: path.clone(), cause: super::error::sorted(e) };
    let new = schema::make(&path)?;
    new.execute("UPDATE seq SET last = ?1", [i64::try_from(last).unwrap_or(i64::MAX)]).map_err(failed)?;
    complete(dir, new).map_err(|cause| OpenError::Directory { dir: dir.to_owned(), cause })
}

fn complete(dir: &Path, new: Connection) -> io::Result<()> {
    new.close().map_err(|(_, e)| io::Error::other(e))?;
    File::open(dir.join(MAKING))?.sync_all()?;
    fs::rename(dir.join(MAKING), dir.join(SAVED))?;
    File::open(dir)?.sync_all()
}

/// The damaged store goes aside, its log first so that no other file meets it, and the saved one takes its place.
fn exchange(dir: &Path) -> io::Result<()> {
    let (old, log) = (dir.join(NAME), wal(dir));
    let written = [&old, &log].into_iter().filter_map(|path| fs::metadata(path).ok()?.modified().ok()).max();
    let written = written.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let aside = dir.join(format!("{ASIDE}{}", written.strftime("%Y%m%dT%H%M%SZ")));
    if log.exists() {
        fs::rename(&log, with(&aside, "-wal"))?;
    }
    remove(&with(&old, "-shm"))?;
    if old.exists() {
        fs::rename(&old, &aside)?;
    }
    fs::rename(dir.join(SAVED), &old)?;
    File::open(dir)?.sync_all()
}

/// Files of stores that were set aside.
fn set_aside(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        if file.file_name().to_str().is_some_and(|name| name.starts_with(ASIDE)) {
            files.push(file.path());
        }
    }
    Ok(files)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn with(path: &Path, behind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(behind);
    PathBuf::from(name)
}

fn wal(dir: &Path) -> PathBuf {
    with(&dir.join(NAME), "-wal")
}

/// A row of the outbox that proves itself.
fn place(values: &[Value<'_>]) -> Option<(i64, i64)> {
    match *values {
        [Value::Integer(rank @ -1..=2), Value::Integer(seq), Value::Integer(sum)]
            if sum == sum::place(rank, seq) =>
        {
            Some((rank, seq))
        }
        _ => None,
    }
}

/// A row of messages that proves itself.
fn message<'a>(seq: i64, values: &[Value<'a>]) -> Option<Summed<'a>> {
    let [Value::Null, Value::Text(topic), Value::Text(body), Value::Integer(retain), at, rest @ ..] = values
    else {
        return None;
    };
    let [Value::Integer(worth), Value::Integer(slotless), Value::Integer(sum)] = rest else { return None };
    let at = match *at {
        Value::Integer(at) => Some(at),
        Value::Null | Value::Text(_) | Value::Other => None,
    };
    let (retain, slotless, worth) = (*retain != 0, *slotless != 0, *worth);
    let message = Summed { seq, topic, body, retain, at, worth, slotless };
    (sum::message(message) == *sum).then_some(message)
}

fn open_old(dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old = Connection::open_with_flags(dir.join(NAME), flags)?;
    old.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(old)
}

/// Copies what is not found by its checksum, as far as it can be read. Gives the highest number, if that can be read.
fn copy(old: &Connection, new: &Transaction<'_>) -> i64 {
    let taken = |what, result: rusqlite::Result<usize>| match result {
        Ok(rows) => tracing::warn!(rows, "saved {what}"),
        Err(e) => tracing::warn!("saved {what} in part: {e}"),
    };
    let names = names(old, new, "name").and_then(|()| names(old, new, "register"));
    match names {
        Ok(()) => {
            let columns = "slot, meter, task, seq, registers";
            taken("which slots are read", rows(old, new, "reading", columns, "?1, ?2, ?3, ?4, ?5"));
            let columns = "slot, meter, task, state, why, reason, tries, registers, at, sum";
            let marks = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10";
            taken("what is missing of slots", rows(old, new, "slot", columns, marks));
            let columns = "slot, task, planned, first, read, partly, gone, failed, began, ended, sum";
            let marks = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11";
            taken("how complete slots are", rows(old, new, "run", columns, marks));
            let (columns, marks) =
                ("slot, meter, address, value, ratio, quality, sum", "?1, ?2, ?3, ?4, ?5, ?6, ?7");
            taken("what registers showed", rows(old, new, "stand", columns, marks));
        }
        Err(e) => tracing::warn!("which slots are read is not known: {e}"),
    }
    taken("what was learned", rows(old, new, "learned", "scope, name, key, value, at", "?1, ?2, ?3, ?4, ?5"));
    let columns = "number, author, id, verb, arguments, received_at, expires_at, outcome, finished_at";
    taken("commands", rows(old, new, "command", columns, "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"));
    old.query_row("SELECT last FROM seq", [], |row| row.get(0)).unwrap_or(0)
}

/// Names stand for numbers: all of them, or none.
fn names(old: &Connection, new: &Transaction<'_>, table: &str) -> rusqlite::Result<()> {
    let mut statement = old.prepare(&format!("SELECT id, text FROM {table} ORDER BY id"))?;
    let names: Vec<(i64, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    if names.iter().zip(0..).any(|((id, _), place)| *id != place) {
        return Err(schema::failure(rusqlite::ffi::SQLITE_CORRUPT, "a name is missing"));
    }
    for (id, text) in names {
        new.prepare_cached(&format!("INSERT INTO {table} (id, text) VALUES (?1, ?2)"))?
            .execute(params![id, text])?;
    }
    Ok(())
}

/// Copies rows up to the first that cannot be read; those that do not fit are passed over.
fn rows(
    old: &Connection,
    new: &Transaction<'_>,
    table: &str,
    columns: &str,
    marks: &str,
) -> rusqlite::Result<usize> {
    let mut read = old.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let mut write = new.prepare(&format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"))?;
    let (count, mut copied) = (read.column_count(), 0);
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..count)
            .map(|column| row.get(column))
            .collect::<rusqlite::Result<Vec<rusqlite::types::Value>>>()?;
        copied += write.execute(rusqlite::params_from_iter(values)).unwrap_or(0);
    }
    Ok(copied)
}

#[cfg(test)]
mod tests;
