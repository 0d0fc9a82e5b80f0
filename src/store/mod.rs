//! The durable store: one SQLite file that stands between the lines and the broker.
//!
//! An [`Entry`] is put, committed with its place in the outbox under a number of its own, offered to
//! the MQTT session as [`Pending`], and leaves when the broker has signed for that very number. The
//! store knows which slots have their readings, and keeps what was learned of meters and buses.
//!
//! It never offers what is not durable, never drops a row that nobody signed for, never gives a
//! number twice, and never looks at a clock: time comes with what it is given.
//!
//! [`Writer`] is synchronous and holds the data directory's lock; [`start`] gives it to a task of its
//! own, which groups commits, and everyone else holds a [`Handle`]. No type of the database library
//! leaves this module.

mod error;
mod handle;
mod identity;
mod learned;
mod lock;
mod recent;
mod schema;
mod storing;
mod task;
mod writer;

pub use error::{OpenError, StoreError};
pub use handle::Handle;
pub use learned::{About, Fact, Known, Scope};
pub use task::{Lost, start};
pub use writer::{Batch, Committed, Writer};

use jiff::Timestamp;
use std::sync::Arc;

/// One message on its way into the store: its text, and what it is the readings of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Topic to publish on.
    pub topic: String,
    /// The JSON object's text behind `"seq":N,`: it begins with a key and ends with `}`.
    pub body: String,
    /// Whether the broker is to keep it for who subscribes later.
    pub retain: bool,
    /// Whose readings it has; `None` for a message that is none of readings, which is always stored.
    pub identity: Option<Identity>,
}

/// Whose readings a message has; what is stored with an identity is not stored again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Meter point.
    pub meter: String,
    /// Task.
    pub task: String,
    /// The instant that the readings are for; the store tells slots apart by the millisecond.
    pub slot: Timestamp,
    /// Names of the registers that have a value here; with meter, task and slot they are the identity. Messages that
    /// share the list cost the store less.
    pub registers: Arc<[String]>,
}

/// A message that the broker has not signed for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Its number; gapless within this store.
    pub seq: u64,
    /// Topic.
    pub topic: String,
    /// As in [`Entry`].
    pub body: String,
    /// As in [`Entry`].
    pub retain: bool,
}

/// The store's task has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store has been closed")]
pub struct Closed;
