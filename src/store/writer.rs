//! The one writer of the store: synchronous, and everything it says is done is on the disk.
//!
//! After a failed operation the connection is closed and the next operation opens another: what a
//! failed fsync left behind is not trusted. The data directory stays locked meanwhile.

use super::error::sorted;
use super::identity::{Names, Registers, Sets};
use super::lock::Lock;
use super::room::{self, Terms};
use super::schema;
use super::storing::{SETS, Stored, Storing, sign};
use super::{About, Dropped, Entry, Known, Run, SlotNote, Stand, StoreError, learned};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::fmt;
use std::path::PathBuf;

/// How long a slot is known to have its reading, counted back from the newest slot of a commit: as far
/// back as a meter's own daily freezes reach (DL/T 645-2007, DI 05 06 xx xx: the last 62 days), since
/// no older slot can be asked for again.
pub(super) const RETENTION: SignedDuration = SignedDuration::from_hours(62 * 24);

/// Rows of what is known of slots that a commit prunes at most for every one it brings. More than one, so that pruning
/// catches up; few, so that no commit is long.
const PRUNED_PER_ROW: usize = 2;

/// The store, open for writing, with the data directory locked.
pub struct Writer {
    pub(super) path: PathBuf,
    pub(super) id: String,
    pub(super) committed: u64,
    /// Wall time, as it was last told.
    pub(super) now: Timestamp,
    pub(super) terms: Terms,
    /// Losses of which no announcement is stored yet.
    pub(super) losses: Vec<Dropped>,
    /// How often the store was made anew since it was opened.
    pub(super) salvages: u32,
    /// `None` after a failure.
    pub(super) open: Option<Open>,
    // Last, so that the connection is closed before the lock is given up.
    pub(super) _lock: Lock,
}

/// A connection and what is kept in memory of its file.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Connection,
    points: Names,
    registers: Sets,
    /// The newest slot that was ever stored, in milliseconds.
    newest: Option<i64>,
}

/// What is written in one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Messages to store with their place in the outbox, in order.
    pub entries: &'a [Entry],
    /// What is known of slots; of one slot the last note counts, and these come behind those of the entries.
    pub notes: &'a [SlotNote],
    /// How complete slots are; of one slot the last one counts.
    pub runs: &'a [Run],
    /// What registers showed.
    pub stands: &'a [Stand],
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
pub(super) struct Count {
    pub(super) last: i64,
    pub(super) backlog: i64,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Writer {
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

    /// Takes messages out of the outbox: these numbers and no other. Unknown ones are passed over. They can be
    /// asked for again ([`Writer::resend`]) until the rules let them go.
    ///
    /// # Errors
    /// Nothing is taken out, as far as is known; the same numbers may be forgotten again.
    pub fn forget(&mut self, seqs: &[u64]) -> Result<(), StoreError> {
        self.write(Batch { signed: seqs, ..Batch::default() }).map(drop)
    }

    /// [`Writer::commit`], [`Writer::note_slots`], [`Writer::note_run`], [`Writer::note`] and [`Writer::forget`] in one
    /// transaction.
    ///
    /// # Errors
    /// As theirs.
    pub fn write(&mut self, batch: Batch<'_>) -> Result<Committed, StoreError> {
        let (terms, now) = (self.terms.clone(), self.now.as_millisecond());
        let announce = terms.announce.as_ref();
        let told: Vec<Entry> =
            announce.map(|tell| self.losses.iter().map(|loss| tell(loss)).collect()).unwrap_or_default();
        let committed = self.with(|open| open.write(batch, &told, now, &terms))?;
        if announce.is_some() {
            self.losses.clear();
        }
        self.committed = committed.newest;
        Ok(committed)
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
            return Err(StoreError::Exchanged { detail });
        }
        self.committed = committed;
        Open::load(connection).map_err(sorted)
    }
}

impl Open {
    pub(super) fn load(connection: Connection) -> rusqlite::Result<Self> {
        let (points, registers) = (Names::points(&connection)?, Sets::load(&connection)?);
        let newest = connection.query_row("SELECT max(slot) FROM reading", [], |row| row.get(0))?;
        Ok(Self { connection, points, registers, newest })
    }

    fn write(
        &mut self,
        Batch { entries, notes, runs, stands, facts, signed }: Batch<'_>,
        told: &[Entry],
        now_ms: i64,
        terms: &Terms,
    ) -> rusqlite::Result<Committed> {
        let Self { connection, points, registers, newest: newest_ever } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = count(&transaction)?;
        let mut now = before;
        // First, so that nobody can have signed for what is only now being stored.
        now.backlog -= sign(&transaction, signed)?;
        let newest = entries.iter().filter_map(|entry| Some(entry.identity.as_ref()?.slot)).max();
        *newest_ever = newest.map(Timestamp::as_millisecond).max(*newest_ever);
        // A clock that was set back stores nothing before what is there.
        let at = newest_ever.map_or(now_ms, |newest| newest.max(now_ms));
        let mut storing = Storing::begin(&transaction, points, registers, at)?;
        let mut duplicates = 0;
        for entry in entries.iter().chain(told) {
            match storing.store(entry, now.last + 1)? {
                Stored::New => {
                    now.last += 1;
                    now.backlog += 1;
                }
                Stored::Duplicate => duplicates += 1,
            }
            storing.note(&entry.notes)?;
        }
        storing.note(notes)?;
        storing.run(runs)?;
        storing.stand(stands)?;
        let noted = notes.iter().map(|note| note.slot).chain(runs.iter().map(|run| run.slot));
        let noted = noted.chain(stands.iter().map(|stand| stand.slot)).max();
        if let Some(newest) = newest.max(noted) {
            let rows = entries.iter().map(|entry| 1 + entry.notes.len()).sum::<usize>();
            prune(&transaction, newest, rows + notes.len() + runs.len() + stands.len())?;
        }
        let slot = newest.map(Timestamp::as_millisecond);
        let (announcements, left) = room::make(&transaction, terms, entries.len(), slot)?;
        now.backlog -= left.cast_signed();
        for entry in &announcements {
            now.last += 1;
            now.backlog += 1;
            storing.store(entry, now.last)?;
        }
        drop(storing);
        learned::write(&transaction, facts)?;
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

/// Drops what is known of the oldest slots past the retention, a few at a time. A clock that was wrong for a while
/// costs no more than it stored: the horizon is the commit's own.
fn prune(transaction: &Transaction<'_>, newest: Timestamp, rows: usize) -> rusqlite::Result<()> {
    let Ok(horizon) = newest.checked_sub(RETENTION) else { return Ok(()) };
    let limit = rows.saturating_mul(PRUNED_PER_ROW) as u64;
    room::prune(transaction, horizon.as_millisecond(), limit).map(|_| ())
}

pub(super) fn count(connection: &Connection) -> rusqlite::Result<Count> {
    connection
        .prepare_cached("SELECT last, backlog FROM seq")?
        .query_row([], |row| Ok(Count { last: row.get(0)?, backlog: row.get(1)? }))
}

/// The store's id and its highest number.
pub(super) fn identify(connection: &Connection) -> rusqlite::Result<(String, u64)> {
    let id = connection.query_row("SELECT store FROM meta", [], |row| row.get(0))?;
    Ok((id, count(connection)?.last.cast_unsigned()))
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
