//! How complete each slot of a task is over all its meters: kept so that the numbers go on after a restart and can be
//! reported while the daemon runs.

use super::{Batch, Closed, Handle, StoreError, Writer, handle::Put, identity::Names, sum};
use crate::reading::Reason;
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use std::collections::BTreeMap;

/// One slot of one task over all its meters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Task.
    pub task: String,
    /// The instant that its readings are for; to the millisecond.
    pub slot: Timestamp,
    /// Meters that the task has.
    pub planned: u32,
    /// Of how many of them every register was read at the first pass.
    pub first: u32,
    /// Of how many every register is read by now.
    pub read: u32,
    /// Of how many some are, and others not.
    pub partly: u32,
    /// How many do not have it.
    pub gone: u32,
    /// Of how many none is read, by the last failure.
    pub failed: BTreeMap<Reason, u32>,
    /// When the first meter reported; to the millisecond.
    pub began: Timestamp,
    /// When the first pass was over; to the millisecond.
    pub ended: Option<Timestamp>,
}

impl Run {
    /// Meters of which something is still to be had or never will be, though they have it.
    pub const fn missing(&self) -> u32 {
        self.planned.saturating_sub(self.read.saturating_add(self.gone))
    }
}

/// The last one of a slot counts.
const KEEP: &str =
    "INSERT OR REPLACE INTO run (slot, task, planned, first, read, partly, gone, failed, began, ended, sum)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(super) fn write(transaction: &Transaction<'_>, points: &mut Names, runs: &[Run]) -> rusqlite::Result<()> {
    for run in runs {
        let task = points.intern(transaction, &run.task)?;
        let failed = serde_json::to_string(&run.failed).unwrap_or_default();
        transaction.prepare_cached(KEEP)?.execute(params![
            run.slot.as_millisecond(),
            task,
            run.planned,
            run.first,
            run.read,
            run.partly,
            run.gone,
            failed,
            run.began.as_millisecond(),
            run.ended.map(Timestamp::as_millisecond),
            sum_of(run, &failed),
        ])?;
    }
    Ok(())
}

fn sum_of(run: &Run, failed: &str) -> i64 {
    let Run { slot, planned, first, read, partly, gone, began, ended, .. } = run;
    let counts = [planned, first, read, partly, gone].map(|count| i64::from(*count));
    let ended = ended.map_or(i64::MIN, Timestamp::as_millisecond);
    let times = [slot.as_millisecond(), began.as_millisecond(), ended];
    i64::from(sum::of(&[&counts[..], &times].concat(), &[&run.task, failed]))
}

/// The runs of a task from slots `since` on, in order of slots; one that is not as it was written is left out.
pub(super) fn runs(connection: &Connection, task: &str, since: Timestamp) -> rusqlite::Result<Vec<Run>> {
    let sql = "SELECT slot, planned, first, read, partly, gone, failed, began, ended, sum FROM run
               WHERE slot >= ?1 AND task = (SELECT id FROM name WHERE text = ?2) ORDER BY slot";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![since.as_millisecond(), task])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        match believed(row, task) {
            Some(run) => runs.push(run),
            None => {
                tracing::warn!(task, "the numbers of a run are not as they were written, and are left out")
            }
        }
    }
    Ok(runs)
}

fn believed(row: &Row<'_>, task: &str) -> Option<Run> {
    let count = |column| row.get(column).ok();
    let time = |column| Timestamp::from_millisecond(row.get(column).ok()?).ok();
    let failed = row.get_ref(6).ok()?.as_str().ok()?;
    let run = Run {
        task: task.to_owned(),
        slot: time(0)?,
        planned: count(1)?,
        first: count(2)?,
        read: count(3)?,
        partly: count(4)?,
        gone: count(5)?,
        failed: serde_json::from_str(failed).ok()?,
        began: time(7)?,
        ended: time(8),
    };
    (sum_of(&run, failed) == row.get::<_, i64>(9).ok()?).then_some(run)
}

impl Writer {
    /// How complete the slots of a task are, from `since` on; in order of slots. What is damaged is left out.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn runs(&mut self, task: &str, since: Timestamp) -> Result<Vec<Run>, StoreError> {
        self.with(|open| runs(&open.connection, task, since))
    }

    /// Keeps a run in place of the one of its slot; durable when this returns.
    ///
    /// # Errors
    /// It is not kept.
    pub fn note_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.write(Batch { runs: std::slice::from_ref(run), ..Batch::default() }).map(drop)
    }
}

impl Handle {
    /// Hands over how complete a slot is, in place of what was known of it; it is written with the next commit.
    ///
    /// # Errors
    /// [`Closed`]; it is not stored.
    pub async fn note_run(&self, run: Run) -> Result<(), Closed> {
        self.entries.send(Put::Run(run)).await.map_err(|_| Closed)
    }
}
