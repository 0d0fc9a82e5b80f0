//! Room: what goes when the store is at its bound, or has kept something long enough.
//!
//! At the bound of bytes these go, in this order, the oldest of each first: messages that the broker has signed for;
//! knowledge of which slots were read, if older than [`Rules::known`]; then what nobody signed for, live data before
//! events before settlement data. Of the last an announcement is stored in the same transaction.
//!
//! The file does not shrink: pages that are free are used again, so its size is bounded by what was ever in use at
//! once. Every query here finds its rows at the end of an index.

use super::{Announce, Dropped, Entry, Rules, Why};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Of the bound, what the log and one long transaction may take.
const LOG_BYTES: u64 = 8 << 20;

/// Octets of a page, SQLite's default.
pub(super) const PAGE: u64 = 4096;

/// Once at the bound, as much is freed beyond it, so that losses are announced seldom: one in so many pages.
const FREED: u64 = 32;

/// Messages that one commit drops at most; no commit is long.
const DROPPED: u64 = 2048;

/// Messages that are looked at between two looks at the bound.
const STEP: u64 = 16;

/// Messages past their age that one commit drops at most for each that it stores: a clock that ran ahead for a moment
/// costs little.
const AGED_PER_ENTRY: u64 = 16;

/// What a commit goes by.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) rules: Rules,
    pub(super) announce: Option<Announce>,
}

/// Numbers that are gone, in the order in which they went.
#[derive(Debug, Default)]
pub(super) struct Gone(Vec<i64>);

impl Gone {
    fn dropped(mut self, why: Why) -> Option<Dropped> {
        if self.0.is_empty() {
            return None;
        }
        let messages = self.0.len() as u64;
        self.0.sort_unstable();
        Some(Dropped {
            ranges: super::ranges::of(self.0.iter().map(|seq| seq.cast_unsigned())),
            messages,
            why,
        })
    }
}

/// Makes room after `entries` messages were stored, whose newest slot is `newest`. Gives the announcements to be stored,
/// and how many messages left that nobody had signed for.
pub(super) fn make(
    connection: &Connection,
    terms: &Terms,
    entries: usize,
    newest: Option<i64>,
) -> rusqlite::Result<(Vec<Entry>, u64)> {
    let mut told = Vec::new();
    let mut left = 0;
    if let Some(newest) = newest {
        let limit = (entries as u64).saturating_mul(AGED_PER_ENTRY);
        forget_kept(connection, newest - milliseconds(terms.rules.keep), limit)?;
        told.extend(age(connection, newest, terms.rules.max_age, limit)?.dropped(Why::Age));
    }
    told.extend(shrink(connection, &terms.rules, newest)?.dropped(Why::Space));
    let mut announcements = Vec::with_capacity(told.len());
    for dropped in &told {
        left += dropped.messages;
        tracing::error!(messages = dropped.messages, why = ?dropped.why, ranges = ?dropped.ranges, "messages were dropped that the broker had not signed for");
        announcements.extend(terms.announce.as_ref().map(|announce| announce(dropped)));
    }
    Ok((announcements, left))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Drops signed messages from before `horizon`, the oldest first.
fn forget_kept(connection: &Connection, horizon: i64, limit: u64) -> rusqlite::Result<()> {
    for _ in 0..limit {
        match oldest(connection, -1)? {
            Some((seq, at)) if at.is_none_or(|at| at < horizon) => drop_one(connection, -1, seq)?,
            Some(_) | None => break,
        }
    }
    Ok(())
}

/// Drops what waited longer than `max_age`, once the oldest has waited a little longer still.
fn age(connection: &Connection, newest: i64, max_age: Duration, limit: u64) -> rusqlite::Result<Gone> {
    let mut gone = Gone::default();
    let horizon = newest.saturating_sub(milliseconds(max_age));
    let slack = milliseconds(max_age / 64);
    for rank in 0..=2 {
        let begin = oldest(connection, rank)?.and_then(|(_, at)| at);
        if begin.is_none_or(|at| at >= horizon.saturating_sub(slack)) {
            continue;
        }
        while (gone.0.len() as u64) < limit
            && let Some((seq, Some(at))) = oldest(connection, rank)?
            && at < horizon
        {
            drop_one(connection, rank, seq)?;
            gone.0.push(seq);
        }
    }
    Ok(gone)
}

/// Drops what must go until the file is within its bound.
fn shrink(connection: &Connection, rules: &Rules, newest: Option<i64>) -> rusqlite::Result<Gone> {
    let mut gone = Gone::default();
    let bound = rules.max_bytes.saturating_sub(LOG_BYTES) / PAGE;
    if used(connection)? <= bound {
        return Ok(gone);
    }
    let aim = bound - bound / FREED;
    for _ in 0..DROPPED / STEP {
        if used(connection)? <= aim {
            break;
        }
        let kept = drop_some(connection, -1)?;
        if !kept.is_empty() || forget_slots(connection, newest, rules.known)? {
            continue;
        }
        let mut found = Vec::new();
        for rank in 0..=2 {
            found = drop_some(connection, rank)?;
            if !found.is_empty() {
                break;
            }
        }
        if found.is_empty() {
            break;
        }
        gone.0.extend(found);
    }
    Ok(gone)
}

/// Pages in use.
pub(super) fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let (pages, free) = (pragma("PRAGMA page_count")?, pragma("PRAGMA freelist_count")?);
    Ok((pages - free).unsigned_abs())
}

/// The oldest message of a rank: its number, and when it is from.
fn oldest(connection: &Connection, rank: i64) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
    let sql = "SELECT o.seq, m.at FROM outbox AS o LEFT JOIN message AS m ON m.seq = o.seq
               WHERE o.rank = ?1 ORDER BY o.seq LIMIT 1";
    connection.prepare_cached(sql)?.query_row([rank], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn drop_some(connection: &Connection, rank: i64) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT seq FROM outbox WHERE rank = ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let seqs = statement.query_map([rank, STEP.cast_signed()], |row| row.get(0))?;
    let seqs: Vec<i64> = seqs.collect::<rusqlite::Result<_>>()?;
    for seq in &seqs {
        drop_one(connection, rank, *seq)?;
    }
    Ok(seqs)
}

fn drop_one(connection: &Connection, rank: i64, seq: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM outbox WHERE rank = ?1 AND seq = ?2")?.execute([rank, seq])?;
    connection.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// Drops some knowledge of old slots; false if there is none to drop.
fn forget_slots(connection: &Connection, newest: Option<i64>, known: Duration) -> rusqlite::Result<bool> {
    let newest = match newest {
        Some(newest) => Some(newest),
        None => connection.query_row("SELECT max(slot) FROM reading", [], |row| row.get(0))?,
    };
    let Some(newest) = newest else { return Ok(false) };
    let horizon = newest.saturating_sub(i64::try_from(known.as_millis()).unwrap_or(i64::MAX));
    Ok(prune(connection, horizon, 8 * STEP)? > 0)
}

/// What is known of slots, in the order in which it is forgotten: a note outlives the readings of its slot, which else
/// would seem to be all that was wanted.
const FORGET: [&str; 4] = [
    "DELETE FROM reading WHERE (slot, meter, task, seq) IN (
         SELECT slot, meter, task, seq FROM reading WHERE slot < ?1
         ORDER BY slot, meter, task, seq LIMIT ?2)",
    "DELETE FROM slot WHERE (slot, meter, task) IN (
         SELECT slot, meter, task FROM slot WHERE slot < ?1 ORDER BY slot, meter, task LIMIT ?2)",
    "DELETE FROM run WHERE (slot, task) IN (
         SELECT slot, task FROM run WHERE slot < ?1 ORDER BY slot, task LIMIT ?2)",
    "DELETE FROM stand WHERE (slot, meter) IN (
         SELECT slot, meter FROM stand WHERE slot < ?1 ORDER BY slot, meter LIMIT ?2)",
];

/// Forgets up to `limit` of the oldest rows about slots before `horizon`, and says how many.
pub(super) fn prune(connection: &Connection, horizon: i64, limit: u64) -> rusqlite::Result<usize> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0;
    for sql in FORGET {
        let left = i64::try_from(limit - gone).unwrap_or(i64::MAX);
        if left > 0 {
            gone += connection.prepare_cached(sql)?.execute(params![horizon, left])?;
        }
    }
    Ok(gone)
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
