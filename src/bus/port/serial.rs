//! A serial device, with damaged octets marked by the tty.

use super::parmrk::Unmark;
use super::{PortError, Received};
use crate::planner::{CharFormat, Line, Parity};
use rustix::termios::{InputModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{ClearBuffer, DataBits, SerialPort, SerialPortBuilderExt, SerialStream, StopBits};

/// An open serial device.
#[derive(Debug)]
pub struct Serial {
    stream: SerialStream,
    /// A second descriptor for termios: tokio-serial takes the device exclusively and lends none.
    settings: File,
    unmark: Unmark,
}

impl Serial {
    pub(super) fn open(path: &Path, line: Line) -> io::Result<Self> {
        let settings = open_for_settings(path)?;
        let text = path
            .to_str()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path that is no text"))?;
        let stream = tokio_serial::new(text, line.baud)
            .data_bits(data_bits(line.frame))
            .parity(parity(line.frame))
            .stop_bits(stop_bits(line.frame))
            .open_native_async()?;
        let mut serial = Self { stream, settings, unmark: Unmark::Plain };
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
