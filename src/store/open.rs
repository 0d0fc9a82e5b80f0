//! Opening the store, and making it anew where it is damaged: at the start, or while it is in use.

use super::error::sorted;
use super::lock::Lock;
use super::room::Terms;
use super::writer::{Open, identify};
use super::{OpenError, Rules, StoreError, Writer, salvage, schema};
use jiff::Timestamp;
use std::fs::{self, File};
use std::path::Path;

impl Writer {
    /// Opens the store in `dir`, and makes the directory and the store if they are not there.
    ///
    /// A damaged store is set aside whole, and one is made of what is intact in it, with a new id; the messages keep
    /// their numbers. What is lost is announced with the first commit.
    ///
    /// # Errors
    /// By what the operator has to do; the store is not changed then.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        make(dir)?;
        let lock = Lock::take(dir)?;
        salvage::finish(dir).map_err(|cause| OpenError::Directory { dir: dir.to_owned(), cause })?;
        let (mut losses, mut salvages) = (Vec::new(), 0);
        let (id, committed, open) = match attempt(dir) {
            Err(OpenError::Store { cause: cause @ StoreError::Damaged { .. }, .. }) => {
                losses.push(salvage::replace(dir, 0, true, &cause)?);
                salvages = 1;
                attempt(dir)?
            }
            other => other?,
        };
        Ok(Self {
            path: dir.join(schema::NAME),
            id,
            committed,
            now: Timestamp::UNIX_EPOCH,
            terms: Terms { rules: Rules::default(), announce: None },
            losses,
            salvages,
            open: Some(open),
            _lock: lock,
        })
    }

    /// Closes the store at once: its log stays, which is durable, and is written back at the next start. Else it would be
    /// written back now, which a slow disk has no time for when the daemon is to end.
    pub fn leave(self) {
        let keep = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Some(open) = &self.open
            && let Err(e) = open.connection.set_db_config(keep, true)
        {
            tracing::debug!("the log is written back at the end: {e}");
        }
    }

    /// Makes the store anew of what is intact in it, after `cause` was met. The second time in one life of the program
    /// it begins empty: what becomes damaged again and again is not to be saved again and again.
    ///
    /// # Errors
    /// The damaged store is still in its place.
    pub fn make_anew(&mut self, cause: &StoreError) -> Result<(), StoreError> {
        self.open = None;
        let Some(dir) = self.path.parent() else { return Err(cause.clone()) };
        let refused = |e: OpenError| match e {
            OpenError::Store { cause, .. } => cause,
            OpenError::Directory { .. }
            | OpenError::Held { .. }
            | OpenError::Newer { .. }
            | OpenError::Foreign { .. }
            | OpenError::NoRandom => StoreError::ReadOnly { detail: e.to_string() },
        };
        let dropped = salvage::replace(dir, self.committed, self.salvages == 0, cause).map_err(refused)?;
        let (id, committed, open) = attempt(dir).map_err(refused)?;
        self.salvages += 1;
        self.losses.push(dropped);
        (self.id, self.committed, self.open) = (id, committed, Some(open));
        Ok(())
    }
}

fn attempt(dir: &Path) -> Result<(String, u64, Open), OpenError> {
    let path = dir.join(schema::NAME);
    if salvage::is_emptied(dir) {
        let detail = "the file is empty, its log is not".to_owned();
        return Err(OpenError::Store { path, cause: StoreError::Damaged { detail } });
    }
    let connection = schema::open(&path)?;
    let failed = |e: rusqlite::Error| OpenError::Store { path: path.clone(), cause: sorted(e) };
    let (id, committed) = identify(&connection).map_err(failed)?;
    Ok((id, committed, Open::load(connection).map_err(failed)?))
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
