//! The lock on the data directory: one daemon writes there, a second is refused.
//!
//! The lock is the kernel's (flock), so it ends with its holder however that dies. The file stays
//! behind: removing it would let two daemons lock two files of one name.

use super::OpenError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// Name of the lock file; its text is the holder's process id.
const NAME: &str = "meterd.lock";

/// Held for as long as this value lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `dir`, which exists.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |cause: io::Error| OpenError::Directory { dir: dir.to_owned(), cause };
        let path = dir.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Held { dir: dir.to_owned(), pid });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        file.set_len(0).map_err(unusable)?;
        // On a full disk the lock still holds; only the other daemon's sentence lacks the number.
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_by_a_sentence_that_names_directory_and_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&dir.path().display().to_string()), "{refused}");
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        drop(held);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_holder_without_a_number_is_still_a_holder() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Lock::take(dir.path()).unwrap();
        std::fs::write(dir.path().join(NAME), "").unwrap();
        let refused = Lock::take(dir.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Held { pid: None, .. }), "{refused:?}");
        assert!(refused.to_string().starts_with("another meterd already uses"), "{refused}");
    }
}
