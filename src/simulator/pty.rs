//! A virtual line on a pseudo-terminal, at a path that stays the same.
//!
//! One descriptor of the other side is held open in raw mode, so that readers come and go without the
//! line hanging up. A pty has no parity and no rate: the kernel takes any setting and drops it.

use super::listen::{Bound, ListenError};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::unix::AsyncFd;

/// Our side of a pseudo-terminal. Dropping it removes the link, unless another has taken its place.
#[derive(Debug)]
pub(super) struct Pty {
    master: Arc<AsyncFd<OwnedFd>>,
    /// Never read: its being open keeps the line up.
    _held: OwnedFd,
    device: PathBuf,
    link: PathBuf,
}

impl Pty {
    /// Opens a pseudo-terminal and puts a link to it at `link`.
    pub(super) fn open(link: &Path) -> Result<Self, ListenError> {
        let no_pty = |e: rustix::io::Errno| ListenError::NoPty(e.into());
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).map_err(no_pty)?;
        rustix::pty::grantpt(&master).map_err(no_pty)?;
        rustix::pty::unlockpt(&master).map_err(no_pty)?;
        let name = rustix::pty::ptsname(&master, Vec::new()).map_err(no_pty)?;
        let device = PathBuf::from(std::ffi::OsString::from_vec(name.into_bytes()));
        let held = rustix::fs::open(&device, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map_err(no_pty)?;
        let mut settings = rustix::termios::tcgetattr(&held).map_err(no_pty)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&held, OptionalActions::Now, &settings).map_err(no_pty)?;
        let status = rustix::fs::fcntl_getfl(&master).map_err(no_pty)?;
        rustix::fs::fcntl_setfl(&master, status | OFlags::NONBLOCK).map_err(no_pty)?;
        // SAFETY: an OwnedFd is open, closes only when it is dropped, and always gives the same descriptor; the
        // AsyncFd owns it and never lends it mutably.
        #[allow(unsafe_code)]
        let master = unsafe { AsyncFd::register(master) }.map_err(|e| ListenError::NoPty(e.into()))?;
        put_link(&device, link)?;
        Ok(Self { master: Arc::new(master), _held: held, device, link: link.to_owned() })
    }

    pub(super) fn bound(&self) -> Bound {
        Bound::Pty { link: self.link.clone(), device: self.device.clone() }
    }

    /// Waits for octets; loses none if it is dropped while it waits.
    pub(super) async fn hear(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            let read = ready.try_io(|master| rustix::io::read(master, &mut *buffer).map_err(io::Error::from));
            if let Ok(result) = read {
                return result;
            }
        }
    }

    /// What speaks into it, also from another thread; it keeps the pseudo-terminal open.
    pub(super) fn voice(&self) -> Voice {
        Voice(Arc::clone(&self.master))
    }
}

/// The way out of a pseudo-terminal.
#[derive(Debug)]
pub(super) struct Voice(Arc<AsyncFd<OwnedFd>>);

impl Voice {
    /// Sends; what nobody reads and the kernel has no room for is lost, as on a line.
    pub(super) fn say(&self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            match rustix::io::write(&*self.0, rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if fs::read_link(&self.link).is_ok_and(|to| to == self.device) {
            // Nobody is left who could act on a failure; the next start replaces what stays.
            let _ = fs::remove_file(&self.link);
        }
    }
}

/// Makes the link. A link that leads nowhere or to a pseudo-terminal is replaced; a file, a directory or a link
/// to anything else is somebody's.
fn put_link(device: &Path, link: &Path) -> Result<(), ListenError> {
    let no_link = |error| ListenError::NoLink { path: link.to_owned(), error };
    match fs::symlink_metadata(link) {
        Ok(there) if there.is_symlink() => {
            let to = fs::read_link(link).map_err(no_link)?;
            if !to.starts_with("/dev/pts") && link.exists() {
                return Err(ListenError::Occupied(link.to_owned()));
            }
            fs::remove_file(link).map_err(no_link)?;
        }
        Ok(_) => return Err(ListenError::Occupied(link.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(no_link(error)),
    }
    std::os::unix::fs::symlink(device, link).map_err(no_link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[tokio::test]
    async fn stale_link_is_replaced_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        for stale in ["/dev/pts/999999", "/nowhere/at/all"] {
            symlink(stale, &link).unwrap();
            let pty = Pty::open(&link).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), pty.device);
            drop(pty);
            assert!(fs::symlink_metadata(&link).is_err());
        }
    }

    #[tokio::test]
    async fn foreign_file_directory_and_link_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "precious").unwrap();
        symlink(&file, &link).unwrap();
        for path in [file.as_path(), link.as_path(), dir.path()] {
            assert!(matches!(Pty::open(path), Err(ListenError::Occupied(p)) if p == path));
        }
        assert_eq!(fs::read_to_string(&link).unwrap(), "precious");
    }

    #[tokio::test]
    async fn link_of_a_newer_simulator_outlives_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("bus1");
        let older = Pty::open(&link).unwrap();
        let newer = Pty::open(&link).unwrap();
        drop(older);
        assert_eq!(fs::read_link(&link).unwrap(), newer.device);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Pty::open(&dir.path().join("no/bus1")), Err(ListenError::NoLink { .. })));
    }
}
