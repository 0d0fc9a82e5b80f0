//! The durable store.

use jiff::Timestamp;
use tokio::sync::watch;

/// One message on its way into the store: what it is the readings of, and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Topic to publish on.
    pub topic: String,
    /// The JSON object's text behind `"seq":N,`: it begins with a key and ends with `}`.
    pub body: String,
    /// Meter point.
    pub meter: String,
    /// Task.
    pub task: String,
    /// The instant that the readings are for.
    pub slot: Timestamp,
    /// Names of the registers that have a value here; with meter, task and slot they are the identity.
    pub registers: Vec<String>,
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
}

/// The store's task has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store has been closed")]
pub struct Closed;

/// The way to the store's task, for buses and for the MQTT session.
#[derive(Clone, Debug)]
pub struct Handle {
    committed: watch::Receiver<u64>,
}

impl Handle {
    /// Hands an entry over; waits while the store's queue is full. It is durable within the exposure time.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn put(&self, _entry: Entry) -> Result<(), Closed> {
        unimplemented!()
    }
    /// Makes durable at once what was put so far: a round has ended.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn flush(&self) -> Result<(), Closed> {
        unimplemented!()
    }
    /// Up to `limit` unsigned messages with a number above `after`, in order.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn offer(&self, _after: u64, _limit: usize) -> Result<Vec<Pending>, Closed> {
        unimplemented!()
    }
    /// The broker has signed for these; they leave the outbox.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn forget(&self, _seqs: Vec<u64>) -> Result<(), Closed> {
        unimplemented!()
    }
    /// The highest number committed; changes when there is something new to offer.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }
    /// Random id of this store, hexadecimal.
    pub fn id(&self) -> &str {
        unimplemented!()
    }
}
