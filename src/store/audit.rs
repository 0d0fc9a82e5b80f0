//! The audit table: who asked the gateway for what, when, and what came of it.

use super::{Closed, Handle, StoreError, Writer};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

/// Commands that are kept; older ones go.
const KEPT: i64 = 10_000;

/// A command as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audited {
    /// Who asked; may be empty.
    pub author: String,
    /// The caller's id; unique for each author.
    pub id: String,
    /// The verb.
    pub verb: String,
    /// What was asked, for a person.
    pub arguments: String,
    /// When it came.
    pub received_at: Timestamp,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

/// What a command is by the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun {
    /// It came for the first time, and stands in the table now.
    New,
    /// It came before; nothing is to be done again.
    Known {
        /// What came of it then; `None` where it was cut off, or is still under way.
        outcome: Option<String>,
    },
}

/// Why the table does not have it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAudited {
    /// The store's task has ended.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The disk refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Writes a command down, if no command of its author has its id; durable when this returns.
    ///
    /// # Errors
    /// Nothing is written.
    pub fn command_begins(&mut self, command: &Audited) -> Result<Begun, StoreError> {
        self.with(|open| {
            let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known: Option<Option<String>> = transaction
                .prepare_cached("SELECT outcome FROM command WHERE author = ?1 AND id = ?2")?
                .query_row(params![command.author, command.id], |row| row.get(0))
                .optional()?;
            if let Some(outcome) = known {
                return Ok(Begun::Known { outcome });
            }
            let insert = "INSERT INTO command (author, id, verb, arguments, received_at, expires_at)
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            transaction.prepare_cached(insert)?.execute(params![
                command.author,
                command.id,
                command.verb,
                command.arguments,
                command.received_at.as_millisecond(),
                command.expires_at.as_millisecond(),
            ])?;
            let newest = transaction.last_insert_rowid();
            transaction.prepare_cached("DELETE FROM command WHERE number <= ?1")?.execute([newest - KEPT])?;
            transaction.commit()?;
            Ok(Begun::New)
        })
    }

    /// Writes down what came of a command.
    ///
    /// # Errors
    /// It stands in the table without an end.
    pub fn command_ends(
        &mut self,
        author: &str,
        id: &str,
        outcome: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.with(|open| {
            let update = "UPDATE command SET outcome = ?3, finished_at = ?4 WHERE author = ?1 AND id = ?2";
            open.connection.prepare_cached(update)?.execute(params![
                author,
                id,
                outcome,
                at.as_millisecond()
            ])?;
            Ok(())
        })
    }
}

impl Handle {
    /// [`Writer::command_begins`], without waiting for the next group of messages.
    ///
    /// # Errors
    /// [`NotAudited`]; the command is not to be carried out.
    pub async fn command_begins(&self, command: Audited) -> Result<Begun, NotAudited> {
        Ok(self.have(move |writer| writer.command_begins(&command)).await??)
    }

    /// [`Writer::command_ends`], without waiting for the next group of messages.
    ///
    /// # Errors
    /// [`NotAudited`].
    pub async fn command_ends(
        &self,
        author: String,
        id: String,
        outcome: String,
        at: Timestamp,
    ) -> Result<(), NotAudited> {
        Ok(self.have(move |writer| writer.command_ends(&author, &id, &outcome, at)).await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(author: &str, id: &str) -> Audited {
        let at: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        Audited {
            author: author.to_owned(),
            id: id.to_owned(),
            verb: "read".to_owned(),
            arguments: "meters a".to_owned(),
            received_at: at,
            expires_at: at,
        }
    }

    #[test]
    fn an_id_that_comes_again_from_one_author_is_known_with_its_outcome_even_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let at = "2026-11-21T00:00:01Z".parse().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        assert_eq!(writer.command_begins(&command("ops", "1")).unwrap(), Begun::New);
        assert_eq!(writer.command_begins(&command("ops", "1")).unwrap(), Begun::Known { outcome: None });
        assert_eq!(writer.command_begins(&command("other", "1")).unwrap(), Begun::New);
        writer.command_ends("ops", "1", "done", at).unwrap();
        drop(writer);
        let mut writer = Writer::open(dir.path()).unwrap();
        let known = Begun::Known { outcome: Some("done".to_owned()) };
        assert_eq!(writer.command_begins(&command("ops", "1")).unwrap(), known);
    }
}
