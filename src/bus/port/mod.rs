//! Where a line's octets come and go: serial device, TCP serial server, a DTU that dials in, or memory.
//!
//! A port gives octets and *damaged* octets (parity, framing); it never waits for silence once it is
//! open, and looks for frames only to tell them from the heartbeats of a DTU. TCP cannot tell damaged
//! octets. A port that failed is closed by dropping it, which gives up its descriptors at once.

pub mod back_off;
pub mod dial_in;
mod heartbeat;
mod ioctl;
pub mod memory;
mod parmrk;
mod registration;
mod serial;
mod tcp;

use crate::config::{PortAddress, PortSettings};
use crate::planner::Line;
use std::io;
use std::time::Duration;

/// An open port.
#[derive(Debug)]
pub enum Port {
    /// A serial device or a pty.
    Serial(serial::Serial),
    /// A transparent serial server, or a DTU that has dialled in.
    Tcp(tcp::Tcp),
    /// A line in memory, for tests on virtual time.
    Memory(memory::MemoryPort),
}

/// Why a port cannot be used; it is to be closed and opened again.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It cannot be opened.
    #[error("{address} cannot be opened: {source}{hint}")]
    Open {
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
        /// What to do about it, in brackets; or nothing.
        hint: String,
    },
    /// The DTU of this bus is not connected.
    #[error("no DTU has dialled in{}", .registration.as_ref().map(|r| format!(" with registration {r}")).unwrap_or_default())]
    NotDialledIn {
        /// Its registration as text in quotes or as hexadecimal digits, if it needs one.
        registration: Option<String>,
    },
    /// Nothing listens for DTUs.
    #[error("{address} does not listen: {why}")]
    NotListening {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The other side is gone: unplugged, connection closed.
    #[error("the port is gone: the adapter was unplugged or the connection closed")]
    Gone,
    /// The DTU has dialled in again: its older connection is of no use.
    #[error("the DTU has dialled in again")]
    DialledInAgain,
    /// The connection is up at our side only.
    #[error(
        "the connection is half-open: the other side has acknowledged none of the last {requests} requests"
    )]
    HalfOpen {
        /// How many.
        requests: u32,
    },
    /// Reading or writing failed.
    #[error("the port failed: {0}")]
    Io(#[from] io::Error),
}

/// How a port is opened, again and again.
#[derive(Debug)]
pub enum Opener {
    /// A serial device.
    Serial(serial::Device),
    /// A transparent serial server.
    Tcp(tcp::Server),
    /// What a DTU that dials in is put on.
    Dtu(dial_in::Seat),
    /// By what a test hands in.
    Memory(memory::MemoryOpener),
}

/// What came in: octets in order, some of them damaged on the line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Received {
    octets: Vec<u8>,
    damaged: Vec<usize>,
}

/// A stretch of what came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Octets in order.
    Good(&'a [u8]),
    /// One octet that the line damaged.
    Damaged(u8),
}

impl Received {
    /// Forgets what it holds, for the next reception.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.damaged.clear();
    }

    /// True if nothing came.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Octets in order, damaged ones among them.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Appends good octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Appends a damaged octet.
    pub fn push_damaged(&mut self, octet: u8) {
        self.damaged.push(self.octets.len());
        self.octets.push(octet);
    }

    /// What came, in order, as stretches of good octets and single damaged ones.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut from = 0;
        let mut damaged = self.damaged.iter().copied().peekable();
        std::iter::from_fn(move || {
            if from >= self.octets.len() {
                return None;
            }
            let piece = match damaged.peek() {
                Some(&at) if at == from => {
                    damaged.next();
                    from += 1;
                    return Some(Piece::Damaged(self.octets[at]));
                }
                Some(&at) => &self.octets[from..at],
                None => &self.octets[from..],
            };
            from += piece.len();
            Some(Piece::Good(piece))
        })
    }
}

impl Opener {
    /// Opens what has this address. DTUs are listened for by [`dial_in::listen`], not here.
    pub fn to(address: &PortAddress, settings: &PortSettings) -> Self {
        match address {
            PortAddress::Serial(path) => Self::Serial(serial::Device::new(path, settings)),
            PortAddress::Tcp { host, port } => Self::Tcp(tcp::Server::new(host, *port, settings)),
            PortAddress::Listen(_) => Self::Dtu(dial_in::Seat::unattended(address, settings)),
        }
    }

    /// Whether a port that failed is to be left alone for a while. Looking for a DTU costs nothing, and
    /// one that has dialled in is used at once.
    pub const fn backs_off(&self) -> bool {
        match self {
            Self::Serial(_) | Self::Tcp(_) | Self::Memory(_) => true,
            Self::Dtu(_) => false,
        }
    }

    /// Opens the port at this rate and character.
    ///
    /// # Errors
    /// [`PortError::Open`] with what to look at.
    pub async fn open(&mut self, line: Line) -> Result<Port, PortError> {
        match self {
            Self::Serial(device) => device.open(line).map(Port::Serial),
            Self::Tcp(server) => server.open().await.map(Port::Tcp),
            Self::Dtu(seat) => seat.open().await.map(Port::Tcp),
            Self::Memory(opener) => opener.open().map(Port::Memory),
        }
    }
}

impl Port {
    /// Changes rate and character; a serial server is set up at its own side.
    ///
    /// # Errors
    /// The port must be opened again.
    pub fn set_line(&mut self, line: Line) -> Result<(), PortError> {
        match self {
            Self::Serial(port) => Ok(port.set_line(line)?),
            Self::Tcp(_) => Ok(()),
            Self::Memory(port) => {
                port.set_line(line);
                Ok(())
            }
        }
    }

    /// Throws away what came unasked, until nothing more is there; never waits. How many octets it were.
    /// It is also where a connection that has ended meanwhile is noticed.
    ///
    /// # Errors
    /// The port must be opened again.
    pub fn drain(&mut self) -> Result<usize, PortError> {
        match self {
            Self::Serial(port) => port.drain(),
            Self::Tcp(port) => port.drain(),
            Self::Memory(port) => port.drain(),
        }
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The port must be opened again.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), PortError> {
        match self {
            Self::Serial(port) => port.send(octets).await,
            Self::Tcp(port) => port.send(octets).await,
            Self::Memory(port) => port.send(octets).await,
        }
    }

    /// Waits until something comes and appends it; loses nothing if dropped meanwhile.
    ///
    /// # Errors
    /// The port must be opened again.
    pub async fn receive(&mut self, into: &mut Received) -> Result<(), PortError> {
        match self {
            Self::Serial(port) => port.receive(into).await,
            Self::Tcp(port) => port.receive(into).await,
            Self::Memory(port) => port.receive(into).await,
        }
    }

    /// Whether what is sent takes its air time from then on: a serial server sends at a rate and time of its own.
    pub const fn has_rate(&self) -> bool {
        match self {
            Self::Serial(port) => port.has_rate,
            Self::Memory(_) => true,
            Self::Tcp(_) => false,
        }
    }

    /// What a reply may be late by beyond its air time, as configured or as is usual for such a port.
    pub const fn latency(&self) -> Duration {
        match self {
            Self::Serial(port) => port.latency,
            Self::Tcp(port) => port.latency,
            Self::Memory(_) => Duration::from_millis(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_came_in_order() {
        let mut received = Received::default();
        assert_eq!(received.pieces().next(), None);
        received.push_damaged(1);
        received.push(&[2, 3]);
        received.push_damaged(4);
        received.push_damaged(5);
        received.push(&[6]);
        let pieces: Vec<_> = received.pieces().collect();
        assert_eq!(
            pieces,
            [
                Piece::Damaged(1),
                Piece::Good(&[2, 3]),
                Piece::Damaged(4),
                Piece::Damaged(5),
                Piece::Good(&[6])
            ]
        );
    }
}
