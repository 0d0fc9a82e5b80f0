//! A serial device, with damaged octets marked by the tty.

use super::parmrk::Unmark;
use super::{PortError, Received, ioctl};
use crate::config::{Direction, PortSettings};
use crate::planner::{CharFormat, Line, Parity};
use rustix::termios::{InputModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{ClearBuffer, DataBits, SerialPort, SerialPortBuilderExt, SerialStream, StopBits};

/// Where the system keeps the lasting names of serial adapters.
const BY_ID: &str = "/dev/serial/by-id";
/// Names that an error lists.
const LISTED: usize = 8;

/// A serial device that can be opened, again and again.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    direction: Direction,
    latency: Duration,
    /// It has been said that the driver turns no direction.
    told: bool,
}

impl Device {
    pub(super) fn new(path: &Path, settings: &PortSettings) -> Self {
        let PortSettings { latency, direction, .. } = *settings;
        Self { path: path.to_owned(), direction, latency, told: false }
    }

    pub(super) fn open(&mut self, line: Line) -> Result<Serial, PortError> {
        let failed = |source: io::Error| PortError::Open {
            hint: hint(&source, Path::new(BY_ID)),
            address: self.path.display().to_string(),
            source,
        };
        // A lasting name leads to another device each time that the adapter is plugged in.
        let path = std::fs::canonicalize(&self.path).map_err(failed)?;
        let serial = Serial::open(&path, line, self.latency).map_err(failed)?;
        match ioctl::turn_by_rts(&serial.settings, self.direction) {
            Ok(()) => Ok(serial),
            // ENOTTY, EINVAL, EOPNOTSUPP: drivers differ in how they say that they have no such thing.
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(
                        port = %self.path.display(),
                        direction = self.direction.word(),
                        %error,
                        "the adapter's driver cannot turn the direction by RTS; it is used as it is, and \
                         direction = \"adapter\" would say the same"
                    );
                }
                Ok(serial)
            }
        }
    }
}

/// What to do about a device that cannot be opened; `by_id` is where adapters have their lasting names.
fn hint(error: &io::Error, by_id: &Path) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY) => {
            " (another program has it open: look for it with fuser -v, and stop ModemManager and \
             serial-getty for this port)"
                .to_owned()
        }
        Some(libc::EACCES | libc::EPERM) => " (the user must be in the group dialout)".to_owned(),
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => plugged_in(by_id),
        Some(libc::ENOTTY) => " (this is no serial device)".to_owned(),
        Some(_) | None => String::new(),
    }
}

/// The lasting names that there are.
fn plugged_in(by_id: &Path) -> String {
    let mut names: Vec<String> = std::fs::read_dir(by_id)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    let more =
        if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    names.truncate(LISTED);
    if names.is_empty() {
        format!(" (is the adapter plugged in? {} has none)", by_id.display())
    } else {
        format!(" (is the adapter plugged in? {} has {}{more})", by_id.display(), names.join(", "))
    }
}

/// An open serial device.
#[derive(Debug)]
pub struct Serial {
    stream: SerialStream,
    /// A second descriptor for termios: tokio-serial takes the device exclusively and lends none.
    settings: File,
    unmark: Unmark,
    pub(super) latency: Duration,
    /// Whether octets take their air time here: on a pseudo-terminal they do not.
    pub(super) has_rate: bool,
}

impl Serial {
    fn open(path: &Path, line: Line, latency: Duration) -> io::Result<Self> {
        let settings = open_for_settings(path)?;
        let text = path
            .to_str()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path that is no text"))?;
        let stream = tokio_serial::new(text, line.baud)
            .data_bits(data_bits(line.frame))
            .parity(parity(line.frame))
            .stop_bits(stop_bits(line.frame))
            .open_native_async()
            .map_err(not_opened)?;
        let is_pseudo = path.canonicalize().is_ok_and(|device| device.starts_with("/dev/pts"));
        let mut serial = Self { stream, settings, unmark: Unmark::Plain, latency, has_rate: !is_pseudo };
        serial.mark_damaged()?;
        Ok(serial)
    }

    /// Parity errors become FF 00 x instead of 00, which would leave only the weak 8-bit sum to decide.
    fn mark_damaged(&mut self) -> io::Result<()> {
        let mut modes = tcgetattr(&self.settings)?;
        modes.input_modes |= InputModes::PARMRK | InputModes::INPCK;
        modes.input_modes &=
            !(InputModes::IGNPAR | InputModes::ISTRIP | InputModes::IGNBRK | InputModes::BRKINT);
        match tcsetattr(&self.settings, OptionalActions::Now, &modes) {
            // A pty drops PARENB and may answer EINVAL for it, yet it took the rest.
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn set_line(&mut self, line: Line) -> io::Result<()> {
        self.stream.set_baud_rate(line.baud)?;
        self.stream.set_data_bits(data_bits(line.frame))?;
        self.stream.set_parity(parity(line.frame))?;
        self.stream.set_stop_bits(stop_bits(line.frame))?;
        self.mark_damaged()
    }

    pub(super) fn drain(&mut self) -> Result<usize, PortError> {
        // What the driver holds goes at once; what is on its way to us is read until it would block.
        self.stream.clear(ClearBuffer::Input).map_err(io::Error::from)?;
        let mut drained = 0;
        let mut octets = [0; 256];
        loop {
            match self.stream.try_read(&mut octets) {
                Ok(0) => return Err(PortError::Gone),
                Ok(n) => drained += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
        self.unmark = Unmark::Plain;
        Ok(drained)
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), PortError> {
        self.stream.write_all(octets).await?;
        Ok(())
    }

    pub(super) async fn receive(&mut self, into: &mut Received) -> Result<(), PortError> {
        let mut octets = [0; 512];
        // Not readable() with try_read(): tokio-serial never clears the readiness there, which spins.
        let n = self.stream.read(&mut octets).await?;
        if n == 0 {
            return Err(PortError::Gone);
        }
        self.unmark.take(octets.get(..n).unwrap_or_default(), into);
        Ok(())
    }
}

/// The device was opened a moment ago: no device means that another program holds its lock.
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of errors are not ours to list")]
fn not_opened(error: tokio_serial::Error) -> io::Error {
    match error.kind {
        tokio_serial::ErrorKind::NoDevice => io::Error::from_raw_os_error(libc::EBUSY),
        _ => error.into(),
    }
}

fn open_for_settings(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    Ok(File::from(open(
        path,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?))
}

fn data_bits(frame: CharFormat) -> DataBits {
    if frame.data_bits == 7 { DataBits::Seven } else { DataBits::Eight }
}

fn parity(frame: CharFormat) -> tokio_serial::Parity {
    match frame.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    }
}

fn stop_bits(frame: CharFormat) -> StopBits {
    if frame.stop_bits == 2 { StopBits::Two } else { StopBits::One }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortAddress;
    use rustix::fs::FlockOperation;
    use rustix::pty::OpenptFlags;
    use std::os::fd::OwnedFd;

    /// The master of a pseudo-terminal and the path of its other side.
    fn pty() -> (OwnedFd, PathBuf) {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        (master, PathBuf::from(name.into_string().unwrap()))
    }

    fn device(path: &Path) -> Device {
        let usual = PortSettings::usual(&PortAddress::Serial(path.to_owned()));
        Device::new(path, &PortSettings { direction: Direction::Rts, ..usual })
    }

    #[tokio::test]
    async fn a_port_that_another_program_has_is_said_to_be_its() {
        let (_master, path) = pty();
        let other = open_for_settings(&path).unwrap();
        rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
        let error = device(&path).open(Line::DEFAULT).unwrap_err().to_string();
        assert!(error.contains("another program has it open"), "{error}");
        drop(other);
        device(&path).open(Line::DEFAULT).unwrap();
    }

    #[tokio::test]
    async fn a_driver_that_turns_no_direction_is_used_as_it_is_and_named_once() {
        let (_master, path) = pty();
        let mut device = device(&path);
        for _ in 0..2 {
            drop(device.open(Line::DEFAULT).unwrap());
            assert!(device.told);
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_answered_with_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let absent = io::Error::from_raw_os_error(libc::ENOENT);
        assert!(hint(&absent, folder.path()).contains("has none"));
        for n in 0..10 {
            std::fs::write(folder.path().join(format!("usb-FTDI_{n}")), "").unwrap();
        }
        let said = hint(&absent, folder.path());
        assert!(
            said.contains("usb-FTDI_0, usb-FTDI_1") && said.ends_with("usb-FTDI_7 and 2 more)"),
            "{said}"
        );
        assert!(hint(&io::Error::from_raw_os_error(libc::EACCES), folder.path()).contains("dialout"));
    }
}
