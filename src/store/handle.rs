//! The way to the store's task: what buses hand over, and what the session asks.

use super::{About, Closed, Entry, Fact, Known, Pending};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The way to the store's task, for buses and for the MQTT session.
#[derive(Clone, Debug)]
pub struct Handle {
    entries: mpsc::Sender<Put>,
    requests: mpsc::Sender<Request>,
    committed: watch::Receiver<u64>,
    id: Arc<str>,
}

/// What buses hand over.
#[derive(Debug)]
pub(super) enum Put {
    Entry(Entry),
    Learn(About, Known),
    RoundOver,
    Flush(oneshot::Sender<()>),
}

/// What the session asks.
#[derive(Debug)]
pub(super) enum Request {
    Offer(Offer),
    Forget(Vec<u64>),
    Close,
}

/// Who waits for messages, and for which.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) after: u64,
    pub(super) limit: usize,
    pub(super) reply: oneshot::Sender<Vec<Pending>>,
}

impl Handle {
    pub(super) fn new(
        entries: mpsc::Sender<Put>,
        requests: mpsc::Sender<Request>,
        committed: watch::Receiver<u64>,
        id: &str,
    ) -> Self {
        Self { entries, requests, committed, id: id.into() }
    }

    /// Hands an entry over; waits while the store's queue is full. It is durable within the exposure time.
    ///
    /// # Errors
    /// [`Closed`]; the entry is not stored.
    pub async fn put(&self, entry: Entry) -> Result<(), Closed> {
        self.entries.send(Put::Entry(entry)).await.map_err(|_| Closed)
    }

    /// Hands over what was learned of a meter or a bus; it is written with the next commit.
    ///
    /// # Errors
    /// [`Closed`]; the fact is not stored.
    pub async fn learn(&self, about: About, fact: Fact) -> Result<(), Closed> {
        self.entries.send(Put::Learn(about, Known::Is(fact))).await.map_err(|_| Closed)
    }

    /// Drops the fact with this key, which is no longer so, with the next commit.
    ///
    /// # Errors
    /// [`Closed`]; the fact is still kept.
    pub async fn unlearn(&self, about: About, key: String) -> Result<(), Closed> {
        self.entries.send(Put::Learn(about, Known::IsNot(key))).await.map_err(|_| Closed)
    }

    /// A round has ended: what was put so far is to be made durable at once. Returns when the task has been told.
    ///
    /// # Errors
    /// [`Closed`]; it may not be durable.
    pub async fn round_over(&self) -> Result<(), Closed> {
        self.entries.send(Put::RoundOver).await.map_err(|_| Closed)
    }

    /// Makes durable at once what was put so far. Returns when it is durable.
    ///
    /// # Errors
    /// [`Closed`]; it may not be durable.
    pub async fn flush(&self) -> Result<(), Closed> {
        let (reply, done) = oneshot::channel();
        self.entries.send(Put::Flush(reply)).await.map_err(|_| Closed)?;
        done.await.map_err(|_| Closed)
    }

    /// Up to `limit` unsigned messages with a number above `after`, in order; all are durable.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn offer(&self, after: u64, limit: usize) -> Result<Vec<Pending>, Closed> {
        let (reply, offered) = oneshot::channel();
        self.requests.send(Request::Offer(Offer { after, limit, reply })).await.map_err(|_| Closed)?;
        offered.await.map_err(|_| Closed)
    }

    /// The broker has signed for these; they leave the outbox within the exposure time and are not offered
    /// again. Returns when the task has been told, not when the disk has.
    ///
    /// # Errors
    /// [`Closed`]; they may be offered again after a restart.
    pub async fn forget(&self, seqs: Vec<u64>) -> Result<(), Closed> {
        self.requests.send(Request::Forget(seqs)).await.map_err(|_| Closed)
    }

    /// Asks the task to commit everything put so far and to end; from then on all else is [`Closed`].
    ///
    /// # Errors
    /// [`Closed`] already.
    pub async fn close(&self) -> Result<(), Closed> {
        self.requests.send(Request::Close).await.map_err(|_| Closed)
    }

    /// The highest number committed; changes when there is something new to offer.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Random id of this store, hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }
}
