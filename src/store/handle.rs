//! The way to the store's task.

use super::{
    About, Closed, Entry, Fact, Known, Lanes, Offered, Pending, Run, SlotNote, Stand, State, Wanted, Writer,
};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The way to the store's task, for buses and for the MQTT session.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) entries: mpsc::Sender<Put>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) committed: watch::Receiver<u64>,
    pub(super) forgotten: watch::Receiver<u64>,
    pub(super) state: watch::Receiver<State>,
}

#[derive(Debug)]
pub(super) enum Put {
    Entry(Entry),
    Learn(About, Known),
    Notes(Vec<SlotNote>),
    Run(Run),
    Stand(Stand),
    RoundOver,
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) enum Request {
    Ask(Ask),
    Job(Job),
    Facts(Facts),
    Ending,
    Forget(Vec<u64>),
    Settle,
    Close,
}

/// Who asks what is known.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) of: Vec<About>,
    pub(super) reply: oneshot::Sender<Vec<Vec<Fact>>>,
}

/// Something to be done with the writer, outside the groups of messages.
pub(super) struct Job(pub(super) Box<dyn FnOnce(&mut Writer) + Send>);

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Who waits for messages.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) what: What,
    pub(super) after: u64,
    pub(super) limit: usize,
    pub(super) reply: oneshot::Sender<Offered>,
}

/// Which messages.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// What nobody has signed for.
    Outbox,
    /// The same up to a number, of these lanes.
    Lanes(u64, Lanes),
    /// Signed for or not.
    Again(Wanted),
}

impl Handle {
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
        self.ask(What::Outbox, after, limit).await.map(|offered| offered.pending)
    }

    /// The same of these lanes, with numbers up to `last`; see [`Writer::offer_lanes`].
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn offer_lanes(
        &self,
        after: u64,
        last: u64,
        lanes: Lanes,
        limit: usize,
    ) -> Result<Offered, Closed> {
        self.ask(What::Lanes(last, lanes), after, limit).await
    }

    /// Up to `limit` of the messages `wanted` that the store still has, signed for or not, with a number above
    /// `after`, in order of their numbers; none means that there are no more.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn resend(&self, wanted: Wanted, after: u64, limit: usize) -> Result<Vec<Pending>, Closed> {
        self.ask(What::Again(wanted), after, limit).await.map(|offered| offered.pending)
    }

    async fn ask(&self, what: What, after: u64, limit: usize) -> Result<Offered, Closed> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { what, after, limit, reply };
        self.requests.send(Request::Ask(ask)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Has something done with the writer at once; what it gives back comes here.
    ///
    /// # Errors
    /// [`Closed`]; it may not be done.
    pub(crate) async fn have<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (reply, done) = oneshot::channel();
        // Whoever asked may have stopped waiting.
        let job = Job(Box::new(move |writer| drop(reply.send(job(writer)))));
        self.requests.send(Request::Job(job)).await.map_err(|_| Closed)?;
        done.await.map_err(|_| Closed)
    }

    /// The broker has signed for these; they leave the outbox within the exposure time and are not offered
    /// again. Returns when the task has been told, not when the disk has.
    ///
    /// # Errors
    /// [`Closed`]; they may be offered again after a restart.
    pub async fn forget(&self, seqs: Vec<u64>) -> Result<(), Closed> {
        self.requests.send(Request::Forget(seqs)).await.map_err(|_| Closed)
    }

    /// Has what was forgotten so far leave the outbox at once: whoever forgot it waits for [`Handle::forgotten`]. Returns
    /// when the task has been told.
    ///
    /// # Errors
    /// [`Closed`]; they may be offered again after a restart.
    pub async fn settle(&self) -> Result<(), Closed> {
        self.requests.send(Request::Settle).await.map_err(|_| Closed)
    }

    /// All facts of each of these, those that were put last included.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn facts(&self, of: Vec<About>) -> Result<Vec<Vec<Fact>>, Closed> {
        let (reply, facts) = oneshot::channel();
        self.requests.send(Request::Facts(Facts { of, reply })).await.map_err(|_| Closed)?;
        facts.await.map_err(|_| Closed)
    }

    /// The daemon is about to end: what is put from now on goes into one commit, at [`Handle::flush`] or
    /// [`Handle::close`], however much it is. A slow disk has time for few.
    ///
    /// # Errors
    /// [`Closed`] already.
    pub async fn ending(&self) -> Result<(), Closed> {
        self.requests.send(Request::Ending).await.map_err(|_| Closed)
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

    /// How many numbers of [`Handle::forget`] have left the outbox durably since the task was started: a crash brings
    /// none of them again.
    pub fn forgotten(&self) -> watch::Receiver<u64> {
        self.forgotten.clone()
    }

    /// How the store is, as of the last commit or the last failure.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Random id of this store, hexadecimal; another one once the store had to be made anew.
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.state.borrow().id)
    }
}
