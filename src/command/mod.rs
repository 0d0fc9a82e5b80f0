//! What may be asked of the gateway beside its tasks, by whom and until when, and the answer.
//!
//! A command comes over MQTT ([`order`]), is let in by the configuration, written into the audit table, carried out
//! ([`desk`]) and answered ([`reply`]). It carries its author, an id that makes a repeat harmless, and an expiry; it
//! has no slot and does not touch the outbox. What concerns a bus goes through its [`Lane`], between two exchanges,
//! before the polls.

mod caller;
pub mod desk;
pub mod order;
pub mod reply;
mod word;

pub use word::Word;

use crate::bus::talk::NoReply;
use crate::reading::Decoded;
use catalogue::Register;
use dlt645::pdu::Request;
use jiff::Timestamp;
use tokio::sync::oneshot;

/// Commands that wait for one bus.
const LANE: usize = 32;

/// One command on its way to a bus.
#[derive(Debug)]
pub struct Command {
    /// The caller's id.
    pub id: String,
    /// Who asked.
    pub author: String,
    /// From when on it is void.
    pub expires: Timestamp,
    /// What is asked.
    pub verb: Verb,
    /// Where the answer goes; the caller may have gone meanwhile.
    pub answer: oneshot::Sender<Answer>,
}

/// What is asked of a bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Read registers of a meter now.
    Read {
        /// Name of the meter point: the bus finds it in the archive that is in force when it is its turn.
        meter: String,
        /// Which registers.
        registers: Vec<Register>,
    },
    /// Send a frame and give back what comes (透明转发).
    Raw(Request),
}

/// What came of a command.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// What the meter said.
    Read(Decoded),
    /// What came on the line behind a frame.
    Raw {
        /// Whole frames as they came, echoes of our own left out.
        frames: Vec<Vec<u8>>,
        /// Why none of them is a sound answer; `None` where one is.
        failed: Option<NoReply>,
    },
    /// It was void before it was its turn; nothing was done.
    Expired,
    /// The meter is not on this bus, or in no file.
    UnknownMeter,
}

/// The way of commands to one bus.
#[derive(Clone, Debug)]
pub struct Lane {
    sender: tokio::sync::mpsc::Sender<Command>,
}

/// The lane is full, or its bus has ended; the command comes back.
#[derive(Debug, thiserror::Error)]
#[error("the bus has {LANE} commands waiting or has ended")]
pub struct Busy(pub Box<Command>);

/// A lane and its end at the bus.
pub fn lane() -> (Lane, tokio::sync::mpsc::Receiver<Command>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(LANE);
    (Lane { sender }, receiver)
}

impl Lane {
    /// Hands a command over, or gives it back at once.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn offer(&self, command: Command) -> Result<(), Busy> {
        self.sender.try_send(command).map_err(|e| Busy(Box::new(e.into_inner())))
    }

    /// Hands a command over; waits while the lane is full.
    ///
    /// # Errors
    /// [`Busy`]: the bus has ended.
    pub async fn send(&self, command: Command) -> Result<(), Busy> {
        self.sender.send(command).await.map_err(|e| Busy(Box::new(e.0)))
    }
}
