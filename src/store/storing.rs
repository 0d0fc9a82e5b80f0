//! How a message is stored: as the readings that it is the first to bring, and in the outbox.

use super::identity::{Names, Sets};
use super::{Entry, Identity};
use rusqlite::{CachedStatement, Transaction, params};

/// The sets of registers that messages of a slot were the first to bring.
pub(super) const SETS: &str = "SELECT registers FROM reading WHERE slot = ?1 AND meter = ?2 AND task = ?3";

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
    sets: CachedStatement<'a>,
    reading: CachedStatement<'a>,
    outbox: CachedStatement<'a>,
}

impl<'a> Storing<'a> {
    pub(super) fn begin(
        transaction: &'a Transaction<'a>,
        points: &'a mut Names,
        registers: &'a mut Sets,
    ) -> rusqlite::Result<Self> {
        let reading = "INSERT INTO reading (slot, meter, task, seq, registers) VALUES (?1, ?2, ?3, ?4, ?5)";
        let outbox = "INSERT INTO outbox (seq, topic, body, retain) VALUES (?1, ?2, ?3, ?4)";
        Ok(Self {
            transaction,
            points,
            registers,
            sets: transaction.prepare_cached(SETS)?,
            reading: transaction.prepare_cached(reading)?,
            outbox: transaction.prepare_cached(outbox)?,
        })
    }

    /// Stores one message under `seq`, unless it is a duplicate.
    pub(super) fn store(&mut self, entry: &Entry, seq: i64) -> rusqlite::Result<Stored> {
        if let Some(identity) = &entry.identity
            && !self.identify_readings(identity, seq)?
        {
            return Ok(Stored::Duplicate);
        }
        self.outbox.execute(params![seq, entry.topic, entry.body, entry.retain])?;
        Ok(Stored::New)
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
