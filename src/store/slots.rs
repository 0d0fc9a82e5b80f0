//! What is missing of each slot of values that meters keep (日冻结, 月冻结, 负荷记录), and why: one note for each slot that
//! was not read whole at its first pass.
//!
//! A slot that was has no note, only its readings. A note stays when it is settled, so that what the first pass
//! brought and what was fetched later can be told apart; it goes with what is known of its slot.

use super::{Batch, Closed, Handle, StoreError, Writer, handle::Put, identity::Names, sum};
use crate::reading::Reason;
use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Transaction, params};

/// Why a note says nothing but that its slot is open.
const UNPROVED: &str = "what was known of this slot was damaged in the store";

/// How a slot is that was not read whole at its first pass.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SlotState {
    /// It is to be fetched.
    Open,
    /// It was read whole later.
    Settled,
    /// The meter does not have it.
    Gone,
    /// The time for fetching it passed.
    GivenUp,
}

impl SlotState {
    const ALL: [Self; 4] = [Self::Open, Self::Settled, Self::Gone, Self::GivenUp];
}

/// What is known of a slot of a meter and a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotNote {
    /// Meter point.
    pub meter: String,
    /// Task.
    pub task: String,
    /// The instant that its readings are for; to the millisecond.
    pub slot: Timestamp,
    /// How it is.
    pub state: SlotState,
    /// A sentence: the last failure, or the reason of the gap; empty where there is none.
    pub why: String,
    /// The last failure by its word, if it was one.
    pub reason: Option<Reason>,
    /// How often it was tried.
    pub tries: u32,
    /// Names of the registers that are still missing while it is open; none means all that the task reads.
    pub registers: Vec<String>,
    /// When it was last tried; to the millisecond.
    pub at: Timestamp,
}

impl SlotNote {
    /// Whether both are of one slot.
    pub(super) fn is_of_the_slot_of(&self, other: &Self) -> bool {
        (&self.meter, &self.task, self.slot) == (&other.meter, &other.task, other.slot)
    }
}

/// The last note of a slot counts.
const NOTE: &str = "INSERT INTO slot (slot, meter, task, state, why, reason, tries, registers, at, sum)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                    ON CONFLICT DO UPDATE SET state = excluded.state, why = excluded.why,
                        reason = excluded.reason, tries = excluded.tries, registers = excluded.registers,
                        at = excluded.at, sum = excluded.sum";

pub(super) fn write(
    transaction: &Transaction<'_>,
    points: &mut Names,
    notes: &[SlotNote],
) -> rusqlite::Result<()> {
    for note in notes {
        let (meter, task) =
            (points.intern(transaction, &note.meter)?, points.intern(transaction, &note.task)?);
        let registers = note.registers.join(" ");
        transaction.prepare_cached(NOTE)?.execute(params![
            note.slot.as_millisecond(),
            meter,
            task,
            note.state as i64,
            note.why,
            note.reason.map_or("", Reason::word),
            note.tries,
            registers,
            note.at.as_millisecond(),
            sum_of(note, &registers),
        ])?;
    }
    Ok(())
}

/// The upper half proves which slot it is, the lower half all of it.
fn sum_of(note: &SlotNote, registers: &str) -> i64 {
    let slot = note.slot.as_millisecond();
    let reason = note.reason.map_or("", Reason::word);
    let whole = sum::of(
        &[slot, note.state as i64, i64::from(note.tries), note.at.as_millisecond()],
        &[&note.meter, &note.task, &note.why, reason, registers],
    );
    i64::from(sum::of(&[slot], &[&note.meter, &note.task]).cast_signed()) << 32 | i64::from(whole)
}

/// The notes of a task from slots `since` on, in order of slots. Of one that is not as it was written only the slot is
/// believed, if that is proved, and that it is open.
pub(super) fn notes(
    connection: &Connection,
    task: &str,
    since: Timestamp,
) -> rusqlite::Result<Vec<SlotNote>> {
    let sql = "SELECT m.text, s.slot, s.state, s.why, s.reason, s.tries, s.registers, s.at, s.sum
               FROM slot AS s JOIN name AS m ON m.id = s.meter
               WHERE s.slot >= ?1 AND s.task = (SELECT id FROM name WHERE text = ?2)
               ORDER BY s.slot, s.meter";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![since.as_millisecond(), task])?;
    let mut notes = Vec::new();
    while let Some(row) = rows.next()? {
        match believed(row, task) {
            Some(note) => notes.push(note),
            None => tracing::warn!(task, "a note of a slot is not as it was written, and is left out"),
        }
    }
    Ok(notes)
}

fn believed(row: &Row<'_>, task: &str) -> Option<SlotNote> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let number = |column| row.get::<_, i64>(column).ok();
    let slot = Timestamp::from_millisecond(number(1)?).ok()?;
    let open = SlotNote {
        meter: text(0)?.to_owned(),
        task: task.to_owned(),
        slot,
        state: SlotState::Open,
        why: UNPROVED.to_owned(),
        reason: None,
        tries: 0,
        registers: Vec::new(),
        at: slot,
    };
    let whole = || {
        let registers = text(6)?;
        let note = SlotNote {
            state: *SlotState::ALL.get(usize::try_from(number(2)?).ok()?)?,
            why: text(3)?.to_owned(),
            reason: Reason::of_word(text(4)?),
            tries: u32::try_from(number(5)?).ok()?,
            registers: registers.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            at: Timestamp::from_millisecond(number(7)?).ok()?,
            ..open.clone()
        };
        (sum_of(&note, registers) == number(8)?).then_some(note)
    };
    whole().or_else(|| (sum_of(&open, "") >> 32 == number(8)? >> 32).then_some(open.clone()))
}

/// Gives each slot of a task from `since` on of which at least one register was read, in order of slots.
pub(super) fn read(
    connection: &Connection,
    task: &str,
    since: Timestamp,
    each: &mut dyn FnMut(&str, Timestamp),
) -> rusqlite::Result<()> {
    let sql = "SELECT m.text, r.slot FROM reading AS r JOIN name AS m ON m.id = r.meter
               WHERE r.slot >= ?1 AND r.task = (SELECT id FROM name WHERE text = ?2) AND length(r.registers) > 0
               GROUP BY r.slot, r.meter ORDER BY r.slot, r.meter";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![since.as_millisecond(), task])?;
    while let Some(row) = rows.next()? {
        if let (ValueRef::Text(meter), Ok(slot)) = (row.get_ref(0)?, Timestamp::from_millisecond(row.get(1)?))
            && let Ok(meter) = std::str::from_utf8(meter)
        {
            each(meter, slot);
        }
    }
    Ok(())
}

impl Writer {
    /// What is known of the slots of a task, from `since` on, that were not read whole at their first pass; in order of
    /// slots. A note that is damaged is given as open, with nothing read and nothing tried.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn slot_notes(&mut self, task: &str, since: Timestamp) -> Result<Vec<SlotNote>, StoreError> {
        self.with(|open| notes(&open.connection, task, since))
    }

    /// Gives to `each` the meter and slot of a task, from `since` on, where at least one register was read; in order of
    /// slots.
    ///
    /// # Errors
    /// The store could not be read; some may have been given.
    pub fn slots_read(
        &mut self,
        task: &str,
        since: Timestamp,
        each: &mut dyn FnMut(&str, Timestamp),
    ) -> Result<(), StoreError> {
        self.with(|open| read(&open.connection, task, since, each))
    }

    /// Keeps notes, in order and in one transaction; durable when this returns.
    ///
    /// # Errors
    /// Nothing is kept.
    pub fn note_slots(&mut self, notes: &[SlotNote]) -> Result<(), StoreError> {
        self.write(Batch { notes, ..Batch::default() }).map(drop)
    }
}

impl Handle {
    /// Hands over what is known of slots; it is written with the next commit, and the last note of a slot counts, be it
    /// one of these or of an entry.
    ///
    /// # Errors
    /// [`Closed`]; the notes are not stored.
    pub async fn note_slots(&self, notes: Vec<SlotNote>) -> Result<(), Closed> {
        self.entries.send(Put::Notes(notes)).await.map_err(|_| Closed)
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
