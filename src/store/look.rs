//! A look into the store without writing: beside the daemon that holds it, or while none runs.

use super::error::sorted;
use super::identity::{Registers, Sets};
use super::schema::{self, NAME};
use super::{Run, SlotNote, StoreError, runs, slots};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a daemon that is about to recover its log is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the store cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum NoLook {
    /// There is none.
    #[error("there is no store at {}: nothing has been read yet, or data_dir is another one", path.display())]
    Absent {
        /// The store's file.
        path: PathBuf,
    },
    /// Another version of meterd wrote it.
    #[error("{} is of store version {found}, and this meterd reads version {known}: {}", path.display(), remedy(*found, *known))]
    Version {
        /// The store's file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// The file is a database of some other program.
    #[error("{} is not a store of meterd: data_dir is another one", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It could not be opened or read.
    #[error("cannot read {}: {cause}; run it as the user that runs meterd", path.display())]
    Store {
        /// The store's file.
        path: PathBuf,
        /// Why.
        cause: StoreError,
    },
}

const fn remedy(found: u32, known: u32) -> &'static str {
    if found < known {
        "start the daemon of this version once, which brings it up to date"
    } else {
        "use the meterd that runs there"
    }
}

/// The store as it was at one moment.
#[derive(Debug)]
pub struct Look {
    pub(super) connection: Connection,
    registers: Sets,
}

/// Registers of one slot of one meter that were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotRead {
    /// Meter point.
    pub meter: String,
    /// The instant that its readings are for.
    pub slot: Timestamp,
    set: Vec<u8>,
}

/// Gives what `seen` makes of the store in `dir`. Nothing is written, and nobody is kept waiting longer than it takes.
///
/// # Errors
/// [`NoLook`].
pub fn look<T>(dir: &Path, seen: impl Fn(&Look) -> Result<T, StoreError>) -> Result<T, NoLook> {
    let path = dir.join(NAME);
    if !path.exists() {
        return Err(NoLook::Absent { path });
    }
    let log = dir.join(format!("{NAME}-wal"));
    let failed = |cause| NoLook::Store { path: path.clone(), cause };
    // Without a log nobody has it open, and it is read as it lies there: else SQLite would make a log.
    if !log.exists() {
        let one = Look::open(&path, true)?;
        let found = seen(&one);
        if !log.exists() {
            return found.map_err(failed);
        }
    }
    seen(&Look::open(&path, false)?).map_err(failed)
}

impl Look {
    fn open(path: &Path, as_it_lies: bool) -> Result<Self, NoLook> {
        let failed = |e: rusqlite::Error| NoLook::Store { path: path.to_owned(), cause: sorted(e) };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if as_it_lies {
            let uri = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        } else {
            Connection::open_with_flags(path, flags)
        }
        .map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        // All that follows is of one moment.
        connection.execute_batch("BEGIN").map_err(failed)?;
        let (found, is_ours) = schema::look(&connection).map_err(failed)?;
        if !is_ours {
            return Err(NoLook::Foreign { path: path.to_owned() });
        }
        if found != schema::VERSION {
            return Err(NoLook::Version { path: path.to_owned(), found, known: schema::VERSION });
        }
        let registers = Sets::load(&connection).map_err(failed)?;
        Ok(Self { connection, registers })
    }

    /// The newest slot of a task of which anything is known: readings, failures, what is missing or a run.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn newest(&self, task: &str) -> Result<Option<Timestamp>, StoreError> {
        let newest = |table: &str| -> rusqlite::Result<Option<i64>> {
            let sql = format!(
                "SELECT slot FROM {table} WHERE task = (SELECT id FROM name WHERE text = ?1)
                 ORDER BY slot DESC LIMIT 1"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([task])?;
            rows.next()?.map(|row| row.get(0)).transpose()
        };
        let mut found = None;
        for table in ["run", "slot", "reading"] {
            found = found.max(newest(table).map_err(sorted)?);
        }
        Ok(found.and_then(|slot| Timestamp::from_millisecond(slot).ok()))
    }

    /// As [`super::Writer::slot_notes`].
    ///
    /// # Errors
    /// The store could not be read.
    pub fn slot_notes(&self, task: &str, since: Timestamp) -> Result<Vec<SlotNote>, StoreError> {
        slots::notes(&self.connection, task, since).map_err(sorted)
    }

    /// As [`super::Writer::runs`].
    ///
    /// # Errors
    /// The store could not be read.
    pub fn runs(&self, task: &str, since: Timestamp) -> Result<Vec<Run>, StoreError> {
        runs::runs(&self.connection, task, since).map_err(sorted)
    }

    /// What was read of a task in a range of slots; one entry for each meter and slot that has at least one register.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn slots_read(
        &self,
        task: &str,
        slots: RangeInclusive<Timestamp>,
    ) -> Result<Vec<SlotRead>, StoreError> {
        let sql = "SELECT m.text, r.slot, r.registers FROM reading AS r JOIN name AS m ON m.id = r.meter
                   WHERE r.slot BETWEEN ?1 AND ?2 AND r.task = (SELECT id FROM name WHERE text = ?3)
                   AND length(r.registers) > 0 ORDER BY r.slot, r.meter";
        let range = params![slots.start().as_millisecond(), slots.end().as_millisecond(), task];
        let all = || -> rusqlite::Result<Vec<SlotRead>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(range)?;
            let mut found: Vec<SlotRead> = Vec::new();
            while let Some(row) = rows.next()? {
                let Ok(slot) = Timestamp::from_millisecond(row.get(1)?) else { continue };
                let (meter, set): (String, Vec<u8>) = (row.get(0)?, row.get(2)?);
                match found.last_mut().filter(|last| last.slot == slot && last.meter == meter) {
                    Some(last) => {
                        last.set.resize(last.set.len().max(set.len()), 0);
                        last.set.iter_mut().zip(set).for_each(|(mine, more)| *mine |= more);
                    }
                    None => found.push(SlotRead { meter, slot, set }),
                }
            }
            Ok(found)
        };
        all().map_err(sorted)
    }

    /// Whether a register is among those that were read.
    pub fn has(&self, read: &SlotRead, register: &str) -> bool {
        self.registers.find(register).is_some_and(|id| Registers::has(&read.set, id))
    }

    /// The newest slot of each meter of a task with at least one register.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn last_read(&self, task: &str) -> Result<HashMap<String, Timestamp>, StoreError> {
        let sql = "SELECT m.text, max(r.slot) FROM reading AS r JOIN name AS m ON m.id = r.meter
                   WHERE r.task = (SELECT id FROM name WHERE text = ?1) AND length(r.registers) > 0
                   GROUP BY r.meter";
        let all = || -> rusqlite::Result<Vec<(String, i64)>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map([task], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let found = all().map_err(sorted)?.into_iter();
        Ok(found.filter_map(|(meter, slot)| Some((meter, Timestamp::from_millisecond(slot).ok()?))).collect())
    }
}

/// A path as it stands in a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"/._-~".contains(&octet);
    let one =
        |octet: &u8| if plain(*octet) { char::from(*octet).to_string() } else { format!("%{octet:02X}") };
    path.as_os_str().as_bytes().iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, Identity, SlotState, Worth, Writer};
    use std::fs;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn entry(meter: &str, slot: i64, registers: &[&str]) -> Entry {
        let (meter, task, slot) = (meter.to_owned(), "daily".to_owned(), at(slot));
        let registers = registers.iter().map(|name| (*name).to_owned()).collect();
        Entry {
            topic: "t".to_owned(),
            body: "}".to_owned(),
            retain: false,
            worth: Worth::Settlement,
            identity: Some(Identity { meter, task, slot, registers }),
            notes: Vec::new(),
        }
    }

    fn note(slot: i64) -> SlotNote {
        let (meter, task, why) = ("b".to_owned(), "daily".to_owned(), "no octet came".to_owned());
        let (slot, state) = (at(slot), SlotState::Open);
        SlotNote { meter, task, slot, state, why, reason: None, tries: 1, registers: Vec::new(), at: slot }
    }

    fn fill(writer: &mut Writer) {
        writer.commit(&[entry("a", 0, &["x"]), entry("a", 0, &["y"]), entry("a", 60, &["y"])]).unwrap();
        writer.note_slots(&[note(90)]).unwrap();
    }

    /// Everything, as it was put in by `fill`.
    fn assert_filled(dir: &Path) {
        look(dir, |look| {
            assert_eq!(look.newest("daily")?, Some(at(90)));
            assert_eq!(look.newest("other")?, None);
            assert_eq!(look.slot_notes("daily", at(0))?, [note(90)]);
            let read = look.slots_read("daily", at(0)..=at(59))?;
            assert_eq!(
                read.iter().map(|one| (one.meter.as_str(), one.slot)).collect::<Vec<_>>(),
                [("a", at(0))]
            );
            assert!(look.has(&read[0], "x") && look.has(&read[0], "y") && !look.has(&read[0], "z"));
            assert_eq!(look.last_read("daily")?, HashMap::from([("a".to_owned(), at(60))]));
            Ok(())
        })
        .unwrap();
    }

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap())
            .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn it_reads_beside_a_writer_that_goes_on_and_again_when_that_has_ended() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("a dir? #1%");
        let mut writer = Writer::open(&dir).unwrap();
        fill(&mut writer);
        assert_filled(&dir);
        let during = look(&dir, |look| {
            writer_goes_on(&dir);
            look.last_read("daily")
        });
        assert_eq!(during.unwrap().len(), 1);
        writer.commit(&[entry("c", 61, &["x"])]).unwrap();
        assert_eq!(look(&dir, |look| look.last_read("daily")).unwrap().len(), 2);
        drop(writer);
        let before = files(&dir);
        assert_eq!(look(&dir, |look| look.last_read("daily")).unwrap().len(), 2);
        assert_eq!(files(&dir), before, "nothing is written where no daemon runs");
    }

    /// The directory is locked all the while.
    fn writer_goes_on(dir: &Path) {
        assert!(matches!(Writer::open(dir).unwrap_err(), crate::store::OpenError::Held { .. }));
    }

    #[test]
    fn no_store_and_a_store_of_another_version_or_program_are_told_by_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let said = || look(dir.path(), |_| Ok(())).unwrap_err().to_string();
        assert!(said().contains("there is no store at"), "{}", said());
        drop(Writer::open(dir.path()).unwrap());
        let alter = |sql: &str| {
            let connection = Connection::open(dir.path().join(NAME)).unwrap();
            connection.execute_batch(&format!("PRAGMA journal_mode = DELETE; {sql}")).unwrap();
        };
        for (version, remedy) in
            [(3, "start the daemon of this version once"), (9, "use the meterd that runs there")]
        {
            alter(&format!("PRAGMA user_version = {version}"));
            assert!(said().contains(remedy) && said().contains(&format!("version {version}")), "{}", said());
        }
        alter("PRAGMA application_id = 1");
        assert!(said().contains("not a store of meterd"), "{}", said());
    }
}
