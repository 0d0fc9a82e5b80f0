//! A line in memory: tests and the simulator on virtual time, with damaged octets marked.

use super::{PortError, Received};
use crate::planner::Line;
use std::io;
use tokio::sync::{mpsc, watch};

/// Writes that wait to be heard; a line is half duplex, so more than a few means that nobody listens.
const DEPTH: usize = 64;

/// The reader's end.
#[derive(Debug)]
pub struct MemoryPort {
    out: mpsc::Sender<Vec<u8>>,
    back: mpsc::Receiver<Received>,
    line: watch::Sender<Option<Line>>,
}

/// The meters' end. Dropping it is pulling the plug.
#[derive(Debug)]
pub struct MemoryWire {
    heard: mpsc::Receiver<Vec<u8>>,
    say: mpsc::Sender<Received>,
    line: watch::Receiver<Option<Line>>,
}

/// Hands out the ports that a test supplies, one for each time the line is opened.
#[derive(Debug)]
pub struct MemoryOpener {
    ports: mpsc::Receiver<MemoryPort>,
}

/// A port and its other end.
pub fn pair() -> (MemoryPort, MemoryWire) {
    let (out, heard) = mpsc::channel(DEPTH);
    let (say, back) = mpsc::channel(DEPTH);
    let (line, line_seen) = watch::channel(None);
    (MemoryPort { out, back, line }, MemoryWire { heard, say, line: line_seen })
}

/// An opener and the way to supply it with ports; where none is supplied, opening fails.
pub fn opener() -> (mpsc::Sender<MemoryPort>, MemoryOpener) {
    let (supply, ports) = mpsc::channel(DEPTH);
    (supply, MemoryOpener { ports })
}

impl MemoryOpener {
    pub(super) fn open(&mut self) -> Result<MemoryPort, PortError> {
        self.ports.try_recv().map_err(|_| PortError::Open {
            address: "a line in memory".to_owned(),
            source: io::Error::new(io::ErrorKind::NotFound, "nothing is plugged in"),
            hint: String::new(),
        })
    }
}

impl MemoryPort {
    pub(super) fn set_line(&mut self, line: Line) {
        self.line.send_replace(Some(line));
    }

    pub(super) fn drain(&mut self) -> Result<usize, PortError> {
        let mut drained = 0;
        loop {
            match self.back.try_recv() {
                Ok(received) => drained += received.octets().len(),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(drained),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(PortError::Gone),
            }
        }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), PortError> {
        self.out.send(octets.to_vec()).await.map_err(|_| PortError::Gone)
    }

    pub(super) async fn receive(&mut self, into: &mut Received) -> Result<(), PortError> {
        let received = self.back.recv().await.ok_or(PortError::Gone)?;
        for piece in received.pieces() {
            match piece {
                super::Piece::Good(octets) => into.push(octets),
                super::Piece::Damaged(octet) => into.push_damaged(octet),
            }
        }
        Ok(())
    }
}

impl MemoryWire {
    /// What was sent in one go; `None` when the port was closed.
    pub async fn hear(&mut self) -> Option<Vec<u8>> {
        self.heard.recv().await
    }

    /// Lets octets arrive; false when the port was closed.
    pub async fn say(&self, octets: &[u8]) -> bool {
        let mut received = Received::default();
        received.push(octets);
        self.say_marked(received).await
    }

    /// Lets octets arrive, some of them damaged.
    pub async fn say_marked(&self, received: Received) -> bool {
        self.say.send(received).await.is_ok()
    }

    /// Lets octets arrive if there is room for them; where nobody reads, they are lost as in a full driver.
    pub fn say_or_lose(&self, received: Received) {
        // A port that was closed is told by `hear`.
        let _ = self.say.try_send(received);
    }

    /// Rate and character that were set last.
    pub fn line(&self) -> Option<Line> {
        *self.line.borrow()
    }
}
