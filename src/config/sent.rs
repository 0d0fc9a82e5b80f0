//! What the head-end sent in the place of parts of the configuration: a new archive of meters (档案), new tasks.
//!
//! It lies in the data directory, since the configuration is the installer's. It is in force while `[commands]` allows
//! the verb that brought it.

use super::findings::{Findings, Here};
use super::plan::Commands;
use crate::command::Word;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Name of the sent archive in the data directory.
pub const ARCHIVE: &str = "archive.csv";
/// Name of the sent tasks in the data directory.
pub const TASKS: &str = "tasks.toml";

/// Texts that come now; what does not come now is taken as it came before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    /// A CSV file of meters.
    pub archive: Option<String>,
    /// `[[task]]` tables.
    pub tasks: Option<String>,
}

/// A text and the name that it has in faults.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) text: String,
}

/// What takes the place of what is written.
#[derive(Debug, Default)]
pub(super) struct InForce {
    pub(super) archive: Option<Origin>,
    pub(super) tasks: Option<Origin>,
}

impl Sent {
    /// What is in force: what comes now, else what lies in the data directory.
    pub(super) fn in_force(
        self,
        commands: &Commands,
        data_dir: Option<&Path>,
        top: &Here,
        findings: &mut Findings,
    ) -> InForce {
        let mut one = |now: Option<String>, verb: Word, file: &str, what: &str| match now {
            Some(text) => Some(Origin { name: verb.text().to_owned(), text }),
            None if commands.allows(verb) => kept(data_dir?, file, what, top, findings),
            None => None,
        };
        InForce {
            archive: one(self.archive, Word::Archive, ARCHIVE, "meters"),
            tasks: one(self.tasks, Word::Tasks, TASKS, "tasks"),
        }
    }
}

/// Texts that are on the disk, under names that nobody reads yet.
#[derive(Debug)]
pub struct Kept(Vec<(PathBuf, PathBuf)>);

impl Sent {
    /// Writes the texts beside the store, durably, and not in place yet.
    ///
    /// # Errors
    /// Why the disk does not take them.
    pub fn keep(&self, data_dir: &Path) -> Result<Kept, String> {
        let mut kept = Vec::new();
        for (text, name) in [(&self.archive, ARCHIVE), (&self.tasks, TASKS)] {
            let Some(text) = text else { continue };
            let (place, new) = (data_dir.join(name), data_dir.join(format!("{name}.new")));
            let written = File::create(&new).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
            written.map_err(|why| format!("{} cannot be written: {why}", new.display()))?;
            kept.push((new, place));
        }
        Ok(Kept(kept))
    }
}

impl Kept {
    /// From now on they are what the next start reads.
    ///
    /// # Errors
    /// The disk refuses; the next start reads the old ones.
    pub fn put_in_place(self) -> Result<(), String> {
        for (new, place) in self.0 {
            let folder = place.parent().map(File::open).transpose();
            let moved = std::fs::rename(&new, &place).and_then(|()| folder?.map_or(Ok(()), |f| f.sync_all()));
            moved.map_err(|why| {
                format!(
                    "it is in force until the next start, and {} cannot be written: {why}",
                    place.display()
                )
            })?;
        }
        Ok(())
    }
}

fn kept(data_dir: &Path, file: &str, what: &str, top: &Here, findings: &mut Findings) -> Option<Origin> {
    let path = data_dir.join(file);
    let top = Here { label: "", ..top.clone() };
    let name = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            findings.warn(
                &top,
                format!("the {what} come from {name}, which the head-end sent; remove it to use those of this file"),
            );
            Some(Origin { name, text })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            // To go on with other meters than the head-end believes would credit readings to none that it knows.
            findings.fault(&top, format!("{name}, which the head-end sent, cannot be read: {error}"));
            None
        }
    }
}
