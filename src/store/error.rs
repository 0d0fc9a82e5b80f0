//! What can go wrong with the store, by what the operator has to do.

use std::io;
use std::path::PathBuf;

/// Why the store could not be opened; nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or its lock file cannot be made or opened.
    #[error("cannot use the data directory {}: {cause}; make it writable for the user that runs meterd", dir.display())]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another daemon holds the data directory.
    #[error("another meterd{} already uses {}: stop it, or give this one a data_dir of its own", holder(*.pid), dir.display())]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// Process id of the holder, where its lock file tells.
        pid: Option<u32>,
    },
    /// The file was written by a newer version.
    #[error("{} needs a meterd that knows store version {found}; this one knows up to {known}: install the newer meterd, or give this one a data_dir of its own (the file was not changed)", path.display())]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file is a database of some other program.
    #[error("{} is not a store of meterd: move it away, or choose another data_dir (the file was not changed)", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The kernel gave no random number for the id of a new store.
    #[error(
        "the kernel gives no random numbers, so the new store gets no id; try again once the system has booted"
    )]
    NoRandom,
    /// The database could not be opened.
    #[error("cannot open {}: {cause}", path.display())]
    Store {
        /// The store's file.
        path: PathBuf,
        /// Why.
        cause: StoreError,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Why the store did not do what it was asked, with the database's own words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error("the disk is full: make room, storing then goes on by itself ({detail})")]
    Full {
        /// The database's words.
        detail: String,
    },
    /// Reading or writing failed; the write is not known to be on the disk.
    #[error("the disk failed: check the flash or its mount ({detail})")]
    Io {
        /// The database's words.
        detail: String,
    },
    /// The file or its file system is read-only or not accessible.
    #[error(
        "the store cannot be written: check permissions and whether the disk is mounted read-only ({detail})"
    )]
    ReadOnly {
        /// The database's words.
        detail: String,
    },
    /// Some other program has the file locked.
    #[error("another program holds a lock on the store: close it ({detail})")]
    Busy {
        /// The database's words.
        detail: String,
    },
    /// Another store stands where this one was.
    #[error(
        "another store was put in the place of the one in use: put that back, or start meterd again ({detail})"
    )]
    Exchanged {
        /// Which, and which it was.
        detail: String,
    },
    /// The file's content is damaged; the store sets it aside and saves what is intact.
    #[error("the store's file is damaged: check the flash ({detail})")]
    Damaged {
        /// The database's words.
        detail: String,
    },
    /// Nothing that an operator can cause.
    #[error("the store met an impossible state, which is a fault of meterd: please report it ({detail})")]
    Bug {
        /// The database's words.
        detail: String,
    },
}

/// Sorts an error of the database by who must act.
pub(super) fn sorted(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error as Of;
    use rusqlite::ErrorCode as Code;
    let detail = error.to_string();
    // The tables are strict: what has another type than it was given is not what was written.
    if matches!(
        error,
        Of::InvalidColumnType(..)
            | Of::FromSqlConversionFailure(..)
            | Of::IntegralValueOutOfRange(..)
            | Of::Utf8Error(..)
    ) {
        return StoreError::Damaged { detail };
    }
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StoreError::Full { detail },
        Some(Code::SystemIoFailure | Code::OutOfMemory) => StoreError::Io { detail },
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => StoreError::ReadOnly { detail },
        Some(Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed) => {
            StoreError::Busy { detail }
        }
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => StoreError::Damaged { detail },
        _ => StoreError::Bug { detail },
    }
}
