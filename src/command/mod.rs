//! What may be asked of a bus beside its tasks, by whom and until when, and the answer.
//!
//! A command goes between two exchanges of the bus, before the polls. It carries its author, an id
//! that makes a repeat harmless, and an expiry; it has no slot and does not touch the outbox.

use crate::reading::Decoded;
use catalogue::Register;
use jiff::Timestamp;
use tokio::sync::oneshot;

/// Commands that wait for one bus; more are refused by [`Lane::offer`].
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

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Read registers of a meter now.
    Read {
        /// Index of the meter in the plan.
        meter: usize,
        /// Which registers.
        registers: Vec<Register>,
    },
}

/// What came of a command.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// What the meter said.
    Read(Decoded),
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
}
