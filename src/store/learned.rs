//! What was learned of a meter or a bus, so that it need not be learned again after a restart:
//! registers that a meter does not have, how fast it answers.
//!
//! The store neither reads nor judges the text of a fact; who learned it owns its key and its form.

use super::{Batch, StoreError, Writer};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::HashSet;

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope<'a> {
    /// A meter point, by its name.
    Meter(&'a str),
    /// A bus, by its name.
    Bus(&'a str),
    /// The gateway.
    Gateway,
}

/// A [`Scope`] that owns its name, on its way to the store's task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// A meter point, by its name.
    Meter(String),
    /// A bus, by its name.
    Bus(String),
    /// The gateway.
    Gateway,
}

impl About {
    /// The same, borrowed.
    pub fn scope(&self) -> Scope<'_> {
        match self {
            Self::Meter(name) => Scope::Meter(name),
            Self::Bus(name) => Scope::Bus(name),
            Self::Gateway => Scope::Gateway,
        }
    }
}

impl<'a> Scope<'a> {
    const fn columns(self) -> (&'static str, &'a str) {
        match self {
            Self::Meter(name) => ("meter", name),
            Self::Bus(name) => ("bus", name),
            // No bus has an empty name.
            Self::Gateway => ("bus", ""),
        }
    }
}

/// Something learned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// Which fact; unique within its scope.
    pub key: String,
    /// What is so, in the form of who learned it.
    pub value: String,
    /// When it was learned, to the millisecond.
    pub at: Timestamp,
}

/// A fact that is so, or the key of one that is so no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known {
    /// To be kept in place of the one with its key.
    Is(Fact),
    /// To be dropped.
    IsNot(String),
}

/// What is known already, by the same words, is not written again: it was learned when it was first so.
const KEEP: &str = "INSERT INTO learned (scope, name, key, value, at) VALUES (?1, ?2, ?3, ?4, ?5)
                    ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at
                    WHERE value <> excluded.value";
const DROP: &str = "DELETE FROM learned WHERE scope = ?1 AND name = ?2 AND key = ?3";

/// Keeps and drops facts; of those with one key the last one counts, and no other is written.
pub(super) fn write(transaction: &Transaction<'_>, facts: &[(About, Known)]) -> rusqlite::Result<()> {
    let mut seen = HashSet::new();
    for (about, known) in facts.iter().rev() {
        let (scope, name) = about.scope().columns();
        if !seen.insert((scope, name, known.key())) {
            continue;
        }
        match known {
            Known::Is(Fact { key, value, at }) => transaction.prepare_cached(KEEP)?.execute(params![
                scope,
                name,
                key,
                value,
                at.as_millisecond()
            ])?,
            Known::IsNot(key) => transaction.prepare_cached(DROP)?.execute(params![scope, name, key])?,
        };
    }
    Ok(())
}

impl Known {
    fn key(&self) -> &str {
        match self {
            Self::Is(fact) => &fact.key,
            Self::IsNot(key) => key,
        }
    }
}

impl Writer {
    /// Keeps and drops facts, in order and in one transaction; it is durable when this returns.
    ///
    /// # Errors
    /// Nothing is changed.
    pub fn note(&mut self, facts: &[(About, Known)]) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        self.write(Batch { facts, ..Batch::default() }).map(drop)
    }

    /// Keeps a fact in place of the one with its key; it is durable when this returns.
    ///
    /// # Errors
    /// The fact is not kept.
    pub fn learn(&mut self, scope: Scope<'_>, fact: &Fact) -> Result<(), StoreError> {
        let (scope, name) = scope.columns();
        self.with(|open| {
            let at = fact.at.as_millisecond();
            open.connection.prepare_cached(KEEP)?.execute(params![scope, name, fact.key, fact.value, at])?;
            Ok(())
        })
    }

    /// Drops a fact that is no longer so; durable when this returns.
    ///
    /// # Errors
    /// The fact is still kept.
    pub fn unlearn(&mut self, scope: Scope<'_>, key: &str) -> Result<(), StoreError> {
        let (scope, name) = scope.columns();
        self.with(|open| {
            open.connection.prepare_cached(DROP)?.execute(params![scope, name, key])?;
            Ok(())
        })
    }

    /// One fact.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn learned(&mut self, scope: Scope<'_>, key: &str) -> Result<Option<Fact>, StoreError> {
        let (scope, name) = scope.columns();
        self.with(|open| {
            let sql = "SELECT key, value, at FROM learned WHERE scope = ?1 AND name = ?2 AND key = ?3";
            open.connection.prepare_cached(sql)?.query_row(params![scope, name, key], fact).optional()
        })
    }

    /// All facts of a meter or a bus, by key.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn facts(&mut self, scope: Scope<'_>) -> Result<Vec<Fact>, StoreError> {
        let (scope, name) = scope.columns();
        self.with(|open| {
            let sql = "SELECT key, value, at FROM learned WHERE scope = ?1 AND name = ?2 ORDER BY key";
            open.connection.prepare_cached(sql)?.query_map(params![scope, name], fact)?.collect()
        })
    }
}

fn fact(row: &rusqlite::Row<'_>) -> rusqlite::Result<Fact> {
    let at = Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Fact { key: row.get(0)?, value: row.get(1)?, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(key: &str, value: &str, at: &str) -> Fact {
        Fact { key: key.to_owned(), value: value.to_owned(), at: at.parse().unwrap() }
    }

    #[test]
    fn what_was_learned_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (early, late) = ("2026-11-21T00:00:00.25Z", "2026-11-22T00:00:00Z");
        let (meter, bus) = (Scope::Meter("总表"), Scope::Bus("总表"));
        {
            let mut writer = Writer::open(dir.path()).unwrap();
            writer.learn(meter, &learnt("unsupported/02800002", "D1 02", early)).unwrap();
            writer.learn(meter, &learnt("delay", "80 ms", early)).unwrap();
            writer.learn(meter, &learnt("delay", "120 ms", late)).unwrap();
            writer.learn(bus, &learnt("echo", "yes", late)).unwrap();
        }
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(writer.learned(meter, "delay").unwrap(), Some(learnt("delay", "120 ms", late)));
        assert_eq!(
            writer.facts(meter).unwrap(),
            [learnt("delay", "120 ms", late), learnt("unsupported/02800002", "D1 02", early)]
        );
        assert_eq!(writer.facts(bus).unwrap(), [learnt("echo", "yes", late)], "a bus is not a meter");
        writer.unlearn(meter, "delay").unwrap();
        assert_eq!(writer.learned(meter, "delay").unwrap(), None);
        let of = || About::Meter("总表".to_owned());
        let (is, is_not) =
            (Known::Is(learnt("delay", "70 ms", late)), Known::IsNot("unsupported/02800002".to_owned()));
        writer.note(&[(of(), is), (of(), is_not)]).unwrap();
        assert_eq!(writer.facts(meter).unwrap(), [learnt("delay", "70 ms", late)]);
        let later = "2026-11-23T00:00:00Z";
        let all = [
            Known::IsNot("delay".to_owned()),
            Known::Is(learnt("delay", "90 ms", late)),
            Known::Is(learnt("delay", "70 ms", later)),
            Known::Is(learnt("mode", "a", late)),
            Known::IsNot("mode".to_owned()),
        ];
        writer.note(&all.map(|known| (of(), known))).unwrap();
        let first = [learnt("delay", "70 ms", late)];
        assert_eq!(writer.facts(meter).unwrap(), first, "the last of a key counts, and it was known");
        assert_eq!(writer.learned(bus, "echo").unwrap(), Some(learnt("echo", "yes", late)));
    }
}
