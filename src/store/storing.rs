//! How a message is stored: as the readings that it is the first to bring, and in the outbox; and what becomes of its
//! place there.

use super::identity::{Names, Sets};
use super::sum::{self, Summed};
use super::{Entry, Identity, Run, SlotNote, Stand, runs, slots, stands};
use rusqlite::{CachedStatement, Transaction, params};

/// The sets of registers that messages of a slot were the first to bring.
pub(super) const SETS: &str = "SELECT registers FROM reading WHERE slot = ?1 AND meter = ?2 AND task = ?3";

/// Rank in the outbox of what the broker has signed for.
pub(super) const SIGNED: i64 = -1;

/// What became of a message.
pub(super) enum Stored {
    New,
    Duplicate,
}

/// Stores messages in one transaction, with its statements at hand.
pub(super) struct Storing<'a> {
    transaction: &'a Transaction<'a>,
    points: &'a mut Names,
    registers: &'a mut Sets,
    /// When what has no slot is stored, in milliseconds.
    now_ms: i64,
    sets: CachedStatement<'a>,
    reading: CachedStatement<'a>,
    placing: Placing<'a>,
}

impl<'a> Storing<'a> {
    pub(super) fn begin(
        transaction: &'a Transaction<'a>,
        points: &'a mut Names,
        registers: &'a mut Sets,
        now_ms: i64,
    ) -> rusqlite::Result<Self> {
        let reading = "INSERT INTO reading (slot, meter, task, seq, registers) VALUES (?1, ?2, ?3, ?4, ?5)";
        Ok(Self {
            transaction,
            points,
            registers,
            now_ms,
            sets: transaction.prepare_cached(SETS)?,
            reading: transaction.prepare_cached(reading)?,
            placing: Placing::begin(transaction)?,
        })
    }

    /// Stores one message under `seq`, unless it is a duplicate.
    pub(super) fn store(&mut self, entry: &Entry, seq: i64) -> rusqlite::Result<Stored> {
        if let Some(identity) = &entry.identity
            && !self.identify_readings(identity, seq)?
        {
            return Ok(Stored::Duplicate);
        }
        let Entry { topic, body, retain, worth, identity, notes: _ } = entry;
        let slotless = identity.is_none();
        let at = identity.as_ref().map_or(self.now_ms, |identity| identity.slot.as_millisecond());
        let worth = *worth as i64;
        let of = Summed { seq, topic, body, retain: *retain, at: Some(at), worth, slotless };
        self.placing.insert(&of, worth)?;
        Ok(Stored::New)
    }

    /// Keeps what is known of slots.
    pub(super) fn note(&mut self, notes: &[SlotNote]) -> rusqlite::Result<()> {
        slots::write(self.transaction, self.points, notes)
    }

    /// Keeps how complete slots are.
    pub(super) fn run(&mut self, runs: &[Run]) -> rusqlite::Result<()> {
        runs::write(self.transaction, self.points, runs)
    }

    /// Keeps what registers showed.
    pub(super) fn stand(&mut self, stands: &[Stand]) -> rusqlite::Result<()> {
        stands::write(self.transaction, self.points, stands)
    }

    /// Notes which readings the message `seq` is the first to bring; false if it brings none that is new.
    fn identify_readings(&mut self, identity: &Identity, seq: i64) -> rusqlite::Result<bool> {
        let slot = identity.slot.as_millisecond();
        let meter = self.points.intern(self.transaction, &identity.meter)?;
        let task = self.points.intern(self.transaction, &identity.task)?;
        let mut fresh = self.registers.of(self.transaction, &identity.registers)?.clone();
        if !fresh.is_empty() {
            let mut rows = self.sets.query(params![slot, meter, task])?;
            while let Some(row) = rows.next()? {
                fresh.remove(row.get_ref(0)?.as_blob()?);
            }
            if fresh.is_empty() {
                return Ok(false);
            }
        }
        self.reading.execute(params![slot, meter, task, seq, fresh.octets()])?;
        Ok(true)
    }
}

/// Puts messages into the file, with its statements at hand.
pub(super) struct Placing<'a> {
    message: CachedStatement<'a>,
    place: CachedStatement<'a>,
}

impl<'a> Placing<'a> {
    pub(super) fn begin(transaction: &'a Transaction<'a>) -> rusqlite::Result<Self> {
        let message = "INSERT INTO message (seq, topic, body, retain, at, worth, slotless, sum)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        Ok(Self { message: transaction.prepare_cached(message)?, place: transaction.prepare_cached(PLACE)? })
    }

    /// Puts a message into the file, at this rank of the outbox.
    pub(super) fn insert(&mut self, of: &Summed<'_>, rank: i64) -> rusqlite::Result<()> {
        let Summed { seq, topic, body, retain, at, worth, slotless } = *of;
        self.message.execute(params![seq, topic, body, retain, at, worth, slotless, sum::message(*of)])?;
        place(&mut self.place, rank, seq)
    }
}

const PLACE: &str = "INSERT INTO outbox (rank, seq, sum) VALUES (?1, ?2, ?3)";

fn place(statement: &mut CachedStatement<'_>, rank: i64, seq: i64) -> rusqlite::Result<()> {
    statement.execute([rank, seq, sum::place(rank, seq)]).map(drop)
}

/// Notes that the broker has signed for these, and says how many nobody had signed for before. They mostly follow each
/// other: a run of them is one statement.
pub(super) fn sign(transaction: &Transaction<'_>, seqs: &[u64]) -> rusqlite::Result<i64> {
    let mut seqs: Vec<i64> = seqs.iter().filter_map(|seq| i64::try_from(*seq).ok()).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let sql = "DELETE FROM outbox WHERE rank IN (0, 1, 2) AND seq BETWEEN ?1 AND ?2 RETURNING seq";
    let (mut delete, mut insert) = (transaction.prepare_cached(sql)?, transaction.prepare_cached(PLACE)?);
    let mut count = 0;
    for run in seqs.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        let ends = params![run.first(), run.last()];
        let gone: Vec<i64> = delete.query_map(ends, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for seq in gone {
            place(&mut insert, SIGNED, seq)?;
            count += 1;
        }
    }
    Ok(count)
}
