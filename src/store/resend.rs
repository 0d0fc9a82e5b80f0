//! Reading messages back: the outbox in order, and by number or time what a head-end asks for again.

use super::schema::failure;
use super::sum::{self, Summed};
use super::writer::Open;
use super::{Pending, StoreError, Wanted, Writer};
use rusqlite::{Row, ffi, params};

/// Of a table `m`, in the order in which [`pending`] takes them.
macro_rules! columns {
    () => {
        "m.seq, m.topic, m.body, m.retain, m.at, m.worth, m.slotless, m.sum"
    };
}

/// The outbox of one worth is in order; of all three it is merged.
const OFFER: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.rank, o.sum, o.seq FROM (
        SELECT rank, seq, sum FROM outbox WHERE rank = 0 AND seq > ?1
        UNION ALL SELECT rank, seq, sum FROM outbox WHERE rank = 1 AND seq > ?1
        UNION ALL SELECT rank, seq, sum FROM outbox WHERE rank = 2 AND seq > ?1
        ORDER BY seq LIMIT ?2
    ) AS o LEFT JOIN message AS m ON m.seq = o.seq ORDER BY o.seq"
);

const BY_SEQ: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM message AS m WHERE m.seq BETWEEN ?1 AND ?2 AND m.seq > ?3 ORDER BY m.seq LIMIT ?4"
);

/// Numbers first and bodies then, so that what is sorted stays small.
const BY_TIME: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (
        SELECT w.seq FROM (
            SELECT seq FROM reading WHERE slot BETWEEN ?1 AND ?2 AND seq > ?3
            UNION ALL
            SELECT seq FROM message WHERE slotless = 1 AND at BETWEEN ?1 AND ?2 AND seq > ?3
        ) AS w WHERE EXISTS (SELECT 1 FROM message AS x WHERE x.seq = w.seq)
        ORDER BY w.seq LIMIT ?4
    ) AS p CROSS JOIN message AS m ON m.seq = p.seq ORDER BY p.seq"
);

impl Writer {
    /// Up to `limit` messages that nobody has signed for, with numbers above `after`, in order.
    ///
    /// # Errors
    /// The store could not be read, or a row in it is damaged.
    pub fn offer(&mut self, after: u64, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with(|open| {
            let mut statement = open.connection.prepare_cached(OFFER)?;
            statement.query_map([after, limit], placed)?.collect()
        })
    }

    /// Up to `limit` of the messages `wanted` that the store still has, signed for or not, with numbers above
    /// `after`, in order of their numbers.
    ///
    /// # Errors
    /// The store could not be read, or a row in it is damaged.
    pub fn resend(&mut self, wanted: &Wanted, after: u64, limit: usize) -> Result<Vec<Pending>, StoreError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (sql, from, to) = match wanted {
            Wanted::Seq(range) => (BY_SEQ, number(*range.start()), number(*range.end())),
            Wanted::Time(range) => (BY_TIME, range.start().as_millisecond(), range.end().as_millisecond()),
        };
        self.with(|open| {
            let mut statement = open.connection.prepare_cached(sql)?;
            statement.query_map(params![from, to, after, limit], pending)?.collect()
        })
    }
}

impl Open {
    /// A message of the outbox, by its number.
    pub(super) fn unsigned(&self, seq: i64) -> rusqlite::Result<Pending> {
        self.connection.prepare_cached(OFFER)?.query_row([seq - 1, 1], placed)
    }

    /// When the oldest message that nobody signed for is from, in milliseconds.
    pub(super) fn oldest(&self) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT min(at) FROM message WHERE seq IN (
                       (SELECT min(seq) FROM outbox WHERE rank = 0),
                       (SELECT min(seq) FROM outbox WHERE rank = 1),
                       (SELECT min(seq) FROM outbox WHERE rank = 2))";
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A row of the outbox with its message, both proved.
fn placed(row: &Row<'_>) -> rusqlite::Result<Pending> {
    let (rank, sum, seq): (i64, Option<i64>, i64) = (row.get(8)?, row.get(9)?, row.get(10)?);
    if row.get::<_, Option<i64>>(0)?.is_none() || sum.is_some_and(|sum| sum != sum::place(rank, seq)) {
        return Err(damaged(seq));
    }
    pending(row)
}

/// A message, if it is as it was stored.
fn pending(row: &Row<'_>) -> rusqlite::Result<Pending> {
    let seq: i64 = row.get(0)?;
    // A text that is no longer UTF-8 is damaged too.
    let text = |column| match row.get_ref(column)?.as_str() {
        Ok(text) => Ok(text),
        Err(_) => Err(damaged(seq)),
    };
    let (topic, body) = (text(1)?, text(2)?);
    let flag = |column| row.get::<_, i64>(column).map(|flag| flag != 0);
    let (retain, slotless) = (flag(3)?, flag(6)?);
    let (at, worth, sum): (Option<i64>, i64, Option<i64>) = (row.get(4)?, row.get(5)?, row.get(7)?);
    let summed = Summed { seq, topic, body, retain, at, worth, slotless };
    if sum.is_some_and(|sum| sum != sum::message(summed)) {
        return Err(damaged(seq));
    }
    Ok(Pending { seq: seq.cast_unsigned(), topic: topic.to_owned(), body: body.to_owned(), retain })
}

fn damaged(seq: i64) -> rusqlite::Error {
    failure(ffi::SQLITE_CORRUPT, &format!("message {seq} is not as it was stored"))
}
