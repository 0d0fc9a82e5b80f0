//! The one writer of the store: synchronous, and everything it says is done is on the disk.
//!
//! After a failed operation the connection is closed and the next operation opens another: what a
//! failed fsync left behind is not trusted. The data directory stays locked meanwhile.

use super::error::sorted;
use super::identity::{Names, Registers, Sets};
use super::lock::Lock;
use super::schema;
use super::storing::{SETS, Stored, Storing};
use super::{About, Entry, Known, OpenError, Pending, StoreError, learned};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// How long a slot is known to have its reading, counted back from the newest slot of a commit: as far
/// back as a meter's own daily freezes reach (DL/T 645-2007, DI 05 06 xx xx: the last 62 days), since
/// no older slot can be asked for again.
pub(super) const RETENTION: SignedDuration = SignedDuration::from_hours(62 * 24);

/// Rows of identity that a commit prunes at most for every message it brings. More than one, so that pruning
/// catches up; few, so that no commit is long.
const PRUNED_PER_ENTRY: usize = 2;

/// The store, open for writing, with the data directory locked.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    id: String,
    committed: u64,
    /// `None` after a failure.
    open: Option<Open>,
    // Last, so that the connection is closed before the lock is given up.
    _lock: Lock,
}

/// A connection and what is kept in memory of its file.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    points: Names,
    registers: Sets,
}

/// What is written in one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Messages to store with their place in the outbox, in order.
    pub entries: &'a [Entry],
    /// What was learned since; of facts with one key the last one counts.
    pub facts: &'a [(About, Known)],
    /// Numbers that the broker has signed for: they leave the outbox.
    pub signed: &'a [u64],
}

/// What a commit did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    /// The highest number in the store; 0 before the first message.
    pub newest: u64,
    /// Messages stored.
    pub stored: usize,
    /// Messages dropped because every register in them had its reading for that slot.
    pub duplicates: usize,
}

/// The one row of `seq`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Count {
    last: i64,
    backlog: i64,
}

impl Writer {
    /// Opens the store in `dir`, and makes the directory and the store if they are not there.
    ///
    /// # Errors
    /// By what the operator has to do; the store is not changed then.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        make(dir)?;
        let lock = Lock::take(dir)?;
        let path = dir.join(schema::NAME);
        let connection = schema::open(&path)?;
        let failed = |e: rusqlite::Error| OpenError::Store { path: path.clone(), cause: sorted(e) };
        let (id, committed) = identify(&connection).map_err(failed)?;
        let open = Open::load(connection).map_err(failed)?;
        Ok(Self { path, id, committed, open: Some(open), _lock: lock })
    }

    /// The random id that this store got when it was made, 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The highest number that is known to be committed; 0 before the first message.
    pub const fn committed(&self) -> u64 {
        self.committed
    }

    /// Stores messages and their place in the outbox, in order and in one transaction.
    ///
    /// A message is dropped as a duplicate if it has registers and each has its reading for that meter,
    /// task and slot already. If some have, the message is stored whole, and the readings stay with the
    /// message that was first. A message without registers, of failures only, is always stored, and so is one
    /// that is none of readings. A number is given to what is stored, and to nothing else.
    ///
    /// # Errors
    /// Nothing is stored, as far as is known; the same messages may be committed again.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<Committed, StoreError> {
        self.write(Batch { entries, ..Batch::default() })
    }

    /// Takes messages out of the outbox: these numbers and no other. Unknown ones are passed over.
    ///
    /// # Errors
    /// Nothing is taken out, as far as is known; the same numbers may be forgotten again.
    pub fn forget(&mut self, seqs: &[u64]) -> Result<(), StoreError> {
        self.write(Batch { signed: seqs, ..Batch::default() }).map(drop)
    }

    /// [`Writer::commit`], [`Writer::forget`] and [`Writer::note`] in one transaction.
    ///
    /// # Errors
    /// As theirs.
    pub fn write(&mut self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let committed = self.with(|open| open.write(batch))?;
        self.committed = committed.newest;
        Ok(committed)
    }

    /// Up to `limit` messages that nobody has signed for, with numbers above `after`, in order.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn offer(&mut self, after: u64, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with(|open| {
            let sql = "SELECT seq, topic, body, retain FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            let mut statement = open.connection.prepare_cached(sql)?;
            let pending = |row: &rusqlite::Row<'_>| {
                let seq = row.get::<_, i64>(0)?.cast_unsigned();
                Ok(Pending { seq, topic: row.get(1)?, body: row.get(2)?, retain: row.get(3)? })
            };
            statement.query_map([after, limit], pending)?.collect()
        })
    }

    /// How many messages nobody has signed for.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn backlog(&mut self) -> Result<u64, StoreError> {
        self.with(|open| Ok(count(&open.connection)?.backlog.cast_unsigned()))
    }

    /// The newest slot in the store, whether with readings or with failures only. Wall time before it is not
    /// to be trusted.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn newest(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.with(|open| {
            let newest: Option<i64> =
                open.connection.query_row("SELECT max(slot) FROM reading", [], |row| row.get(0))?;
            Ok(newest.and_then(|slot| Timestamp::from_millisecond(slot).ok()))
        })
    }

    /// Whether a message was stored for this slot, be it of readings or of failures only. Slots older than
    /// 62 days before the newest are no longer known.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn knows(&mut self, meter: &str, task: &str, slot: Timestamp) -> Result<bool, StoreError> {
        self.with(|open| open.any_set(meter, task, slot, |_| true))
    }

    /// Whether this register has its reading for this slot and is not to be read for it again; known for as long
    /// as [`Writer::knows`] knows the slot.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn slot_is_read(
        &mut self,
        meter: &str,
        task: &str,
        register: &str,
        slot: Timestamp,
    ) -> Result<bool, StoreError> {
        self.with(|open| {
            let Some(register) = open.registers.find(register) else { return Ok(false) };
            open.any_set(meter, task, slot, |set| Registers::has(set, register))
        })
    }

    /// Runs `operation` on the open connection, opening it anew if the last operation failed.
    pub(super) fn with<T>(
        &mut self,
        operation: impl FnOnce(&mut Open) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        let done = operation(&mut open).map_err(sorted)?;
        self.open = Some(open);
        Ok(done)
    }

    fn reopen(&mut self) -> Result<Open, StoreError> {
        let connection = schema::reopen(&self.path)?;
        let (id, committed) = identify(&connection).map_err(sorted)?;
        if id != self.id {
            let detail = format!("{} is now the store {id}, it was {}", self.path.display(), self.id);
            return Err(StoreError::Damaged { detail });
        }
        self.committed = committed;
        Open::load(connection).map_err(sorted)
    }
}

impl Open {
    fn load(connection: Connection) -> rusqlite::Result<Self> {
        let (points, registers) = (Names::points(&connection)?, Sets::load(&connection)?);
        Ok(Self { connection, points, registers })
    }

    fn write(&mut self, Batch { entries, facts, signed }: Batch<'_>) -> rusqlite::Result<Committed> {
        let Self { connection, points, registers } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = count(&transaction)?;
        let mut now = before;
        // First, so that nobody can have signed for what is only now being stored.
        now.backlog -= delete(&transaction, signed)?;
        let mut storing = Storing::begin(&transaction, points, registers)?;
        let mut duplicates = 0;
        for entry in entries {
            match storing.store(entry, now.last + 1)? {
                Stored::New => {
                    now.last += 1;
                    now.backlog += 1;
                }
                Stored::Duplicate => duplicates += 1,
            }
        }
        drop(storing);
        learned::write(&transaction, facts)?;
        if let Some(newest) = entries.iter().filter_map(|entry| Some(entry.identity.as_ref()?.slot)).max() {
            prune(&transaction, newest, entries.len())?;
        }
        if now != before {
            let sql = "UPDATE seq SET last = ?1, backlog = ?2";
            transaction.prepare_cached(sql)?.execute([now.last, now.backlog])?;
        }
        transaction.commit()?;
        Ok(Committed { newest: now.last.cast_unsigned(), stored: entries.len() - duplicates, duplicates })
    }

    /// Whether any set of registers stored for the slot satisfies `wanted`.
    fn any_set(
        &self,
        meter: &str,
        task: &str,
        slot: Timestamp,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> rusqlite::Result<bool> {
        let (Some(meter), Some(task)) = (self.points.find(meter), self.points.find(task)) else {
            return Ok(false);
        };
        let mut statement = self.connection.prepare_cached(SETS)?;
        let mut rows = statement.query(params![slot.as_millisecond(), meter, task])?;
        while let Some(row) = rows.next()? {
            if wanted(row.get_ref(0)?.as_blob()?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes numbers out of the outbox and says how many were there. They mostly follow each other: a run of them is one
/// statement.
fn delete(transaction: &Transaction<'_>, seqs: &[u64]) -> rusqlite::Result<i64> {
    let mut seqs: Vec<i64> = seqs.iter().filter_map(|seq| i64::try_from(*seq).ok()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let mut statement = transaction.prepare_cached("DELETE FROM outbox WHERE seq BETWEEN ?1 AND ?2")?;
    let mut gone = 0;
    for run in seqs.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        let count = statement.execute([run.first(), run.last()])?;
        gone += i64::try_from(count).unwrap_or(i64::MAX);
    }
    Ok(gone)
}

/// Drops the oldest identities past the retention, a few at a time. A clock that was wrong for a while
/// costs no more than it stored: the horizon is the commit's own.
fn prune(transaction: &Transaction<'_>, newest: Timestamp, entries: usize) -> rusqlite::Result<()> {
    let Ok(horizon) = newest.checked_sub(RETENTION) else { return Ok(()) };
    let limit = i64::try_from(entries.saturating_mul(PRUNED_PER_ENTRY)).unwrap_or(i64::MAX);
    let sql = "DELETE FROM reading WHERE (slot, meter, task, seq) IN (
                   SELECT slot, meter, task, seq FROM reading WHERE slot < ?1
                   ORDER BY slot, meter, task, seq LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([horizon.as_millisecond(), limit])?;
    Ok(())
}

fn count(connection: &Connection) -> rusqlite::Result<Count> {
    connection
        .prepare_cached("SELECT last, backlog FROM seq")?
        .query_row([], |row| Ok(Count { last: row.get(0)?, backlog: row.get(1)? }))
}

/// The store's id and its highest number.
fn identify(connection: &Connection) -> rusqlite::Result<(String, u64)> {
    let id = connection.query_row("SELECT store FROM meta", [], |row| row.get(0))?;
    Ok((id, count(connection)?.last.cast_unsigned()))
}

/// Makes the data directory, durably.
fn make(dir: &Path) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    let unusable = |cause| OpenError::Directory { dir: dir.to_owned(), cause };
    fs::create_dir_all(dir).map_err(unusable)?;
    match dir.parent() {
        Some(parent) if parent != Path::new("") => {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(unusable)
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
