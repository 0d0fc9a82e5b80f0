//! The store's task: it groups what many hand over into few commits.
//!
//! A batch is committed at [`BATCH`] messages, when its oldest has been with the task for the exposure
//! time, and at once when a round has ended ([`Handle::round_over`]). What waits in the queue by then goes
//! with it: where many rounds end together, they share a commit. Numbers that the broker has signed for
//! leave the outbox with the next commit, on their own at [`BATCH`] of them, or after the exposure time;
//! until then they are not offered again, except after a crash: it repeats what was signed for in that time.
//!
//! Messages wait in a queue of [`QUEUE`]; when it is full, [`Handle::put`] waits: a bus waits for the disk,
//! never for the network. What mqtt asks waits in another queue of [`QUEUE`], so that the outbox is
//! offered while the disk takes nothing new.
//!
//! What was just committed is held a while longer, so that it is offered without reading it back.
//!
//! If the disk refuses, the batch stays in memory and is tried again, ever more slowly; nothing is
//! announced before it is durable. The task has no thread: it lends the writer to the runtime's pool of
//! blocking threads for each operation.

use super::handle::{Handle, Offer, Put, Request};
use super::recent::Recent;
use super::{About, Batch, Entry, Known, StoreError, Writer};
use std::mem;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Sleep, sleep};

/// Messages in a batch, or signed numbers, that are written without waiting for more: a group commit.
const BATCH: usize = 100;

/// Bound of each queue; two batches and a half.
const QUEUE: usize = 256;

/// Signed numbers held while the disk refuses to take them out; then mqtt waits too.
const SIGNED: usize = 4096;

/// The longest pause between attempts while the disk refuses; the first is a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Attempts when the task is to end, with [`LAST_PAUSE`] between: within the 5 s that a shutdown has.
const LAST_ATTEMPTS: u32 = 3;
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The task ended although the disk refused its last messages; their slots are gaps.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{messages} messages were lost at the end, since the store did not take them: {cause}")]
pub struct Lost {
    /// How many messages; 0 if only signed numbers could not be taken out, which are then published again.
    pub messages: usize,
    /// Why.
    pub cause: StoreError,
}

/// Starts the task on the current tokio runtime.
///
/// It ends, with everything committed, when [`Handle::close`] is called or the last handle is dropped, and
/// gives the writer back. `exposure` is how long a message may be in memory only.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start(writer: Writer, exposure: Duration) -> (Handle, JoinHandle<Result<Writer, Lost>>) {
    let (to_entries, entries) = mpsc::channel(QUEUE);
    let (to_requests, requests) = mpsc::channel(QUEUE);
    let (announce, committed) = watch::channel(writer.committed());
    let handle = Handle::new(to_entries, to_requests, committed, writer.id());
    let held = Held::new(exposure, announce, Recent::behind(writer.committed()));
    (handle, tokio::spawn(run(writer, held, entries, requests)))
}

/// What is in memory only.
struct Held {
    exposure: Duration,
    announce: watch::Sender<u64>,
    batch: Vec<Entry>,
    facts: Vec<(About, Known)>,
    signed: Vec<u64>,
    /// The newest of what is on the disk too.
    recent: Recent,
    /// A round has ended, and what it brought is not written yet.
    round_over: bool,
    flushes: Vec<oneshot::Sender<()>>,
    offers: Vec<Offer>,
    /// When to write at the latest; after a failure, when to try again.
    timer: Option<Pin<Box<Sleep>>>,
    failures: u32,
}

impl Held {
    fn new(exposure: Duration, announce: watch::Sender<u64>, recent: Recent) -> Self {
        let (batch, facts, signed) = (Vec::new(), Vec::new(), Vec::new());
        let (flushes, offers) = (Vec::new(), Vec::new());
        Self {
            exposure,
            announce,
            batch,
            facts,
            signed,
            recent,
            round_over: false,
            flushes,
            offers,
            timer: None,
            failures: 0,
        }
    }

    fn take(&mut self, put: Put) {
        match put {
            Put::Entry(entry) => self.batch.push(entry),
            Put::Learn(about, known) => self.facts.push((about, known)),
            // Nothing is left of it where its messages went with an earlier commit.
            Put::RoundOver => self.round_over = !self.batch.is_empty() || !self.facts.is_empty(),
            Put::Flush(reply) => self.flushes.push(reply),
        }
    }

    fn sign(&mut self, seqs: Vec<u64>) {
        self.recent.forget(&seqs);
        self.signed.extend(seqs);
    }

    /// Whether one more fits into the next commit.
    const fn has_room(&self) -> bool {
        self.batch.len() < BATCH && self.facts.len() < BATCH
    }

    const fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.facts.is_empty() && self.signed.is_empty() && self.flushes.is_empty()
    }

    /// Whether something asks for a write now; after a failure only the timer does.
    const fn is_due(&self) -> bool {
        let asked = self.batch.len() >= BATCH
            || self.facts.len() >= BATCH
            || self.signed.len() >= BATCH
            || self.round_over
            || !self.flushes.is_empty();
        asked && self.failures == 0
    }

    fn failed(&mut self, cause: &StoreError) {
        let pause = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.timer = Some(Box::pin(sleep(pause)));
        let (held, attempt) = (self.batch.len(), self.failures);
        tracing::error!(held, attempt, pause_s = pause.as_secs(), "the store failed: {cause}");
    }

    fn worked(&mut self) {
        if self.failures > 0 {
            tracing::warn!(attempts = self.failures, "the store works again");
            self.failures = 0;
        }
    }
}

async fn run(
    mut writer: Writer,
    mut held: Held,
    mut entries: mpsc::Receiver<Put>,
    mut requests: mpsc::Receiver<Request>,
) -> Result<Writer, Lost> {
    loop {
        let mut now = false;
        tokio::select! {
            request = requests.recv(), if held.signed.len() < SIGNED => match request {
                Some(Request::Offer(offer)) => held.offers.push(offer),
                Some(Request::Forget(seqs)) => held.sign(seqs),
                Some(Request::Close) | None => break,
            },
            // `None` needs every handle to be gone, which the other queue tells.
            Some(put) = entries.recv(), if held.has_room() => {
                held.take(put);
                while held.has_room() && let Ok(put) = entries.try_recv() {
                    held.take(put);
                }
            }
            () = over(&mut held.timer) => {
                held.timer = None;
                now = true;
            }
        }
        if (now && !held.is_empty()) || held.is_due() {
            writer = write(writer, &mut held).await.0;
        }
        if !held.offers.is_empty() {
            writer = answer(writer, &mut held).await;
        }
        if held.timer.is_none() && !held.is_empty() {
            held.timer = Some(Box::pin(sleep(held.exposure)));
        }
    }
    end(writer, held, entries, requests).await
}

/// Takes what is still in the queues, commits it and gives up after a few attempts.
async fn end(
    mut writer: Writer,
    mut held: Held,
    mut entries: mpsc::Receiver<Put>,
    mut requests: mpsc::Receiver<Request>,
) -> Result<Writer, Lost> {
    entries.close();
    requests.close();
    while let Some(put) = entries.recv().await {
        held.take(put);
    }
    while let Some(request) = requests.recv().await {
        match request {
            Request::Forget(seqs) => held.sign(seqs),
            // Whoever waits for an offer learns that the store has been closed.
            Request::Offer(_) | Request::Close => {}
        }
    }
    let mut attempt = 1;
    loop {
        let result;
        (writer, result) = write(writer, &mut held).await;
        match result {
            Ok(()) => return Ok(writer),
            Err(cause) if attempt == LAST_ATTEMPTS => {
                return Err(Lost { messages: held.batch.len(), cause });
            }
            Err(_) => sleep(LAST_PAUSE).await,
        }
        attempt += 1;
    }
}

/// Ends when the timer does; never without one.
async fn over(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// Writes all that is held; what the disk refuses stays held.
async fn write(writer: Writer, held: &mut Held) -> (Writer, Result<(), StoreError>) {
    let (batch, signed) = (mem::take(&mut held.batch), mem::take(&mut held.signed));
    let facts = mem::take(&mut held.facts);
    let (writer, (batch, facts, signed, result)) = lend(writer, move |writer| {
        let result = writer.write(Batch { entries: &batch, facts: &facts, signed: &signed });
        (batch, facts, signed, result)
    })
    .await;
    match result {
        Ok(committed) => {
            held.worked();
            held.timer = None;
            held.round_over = false;
            for reply in held.flushes.drain(..) {
                // Whoever asked has stopped waiting.
                let _ = reply.send(());
            }
            tracing::debug!(
                newest = committed.newest,
                stored = committed.stored,
                duplicates = committed.duplicates,
                forgotten = signed.len(),
                "committed"
            );
            held.recent.committed(batch, committed.newest, committed.duplicates);
            held.announce
                .send_if_modified(|newest| mem::replace(newest, committed.newest) != committed.newest);
            (writer, Ok(()))
        }
        Err(cause) => {
            (held.batch, held.facts, held.signed) = (batch, facts, signed);
            held.failed(&cause);
            (writer, Err(cause))
        }
    }
}

/// Answers those who wait for an offer; if the disk refuses, they wait on.
async fn answer(mut writer: Writer, held: &mut Held) -> Writer {
    while let Some(Offer { after, limit, reply }) = held.offers.pop() {
        if let Some(pending) = held.recent.take(after, limit) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(pending);
            continue;
        }
        // What is signed for stands in the file until the next commit; ask for as many more.
        let more = limit.saturating_add(held.signed.len());
        let result;
        (writer, result) = lend(writer, move |writer| writer.offer(after, more)).await;
        match result {
            Ok(mut pending) => {
                pending.retain(|message| !held.signed.contains(&message.seq));
                pending.truncate(limit);
                let _ = reply.send(pending);
            }
            Err(cause) => {
                held.offers.push(Offer { after, limit, reply });
                held.failed(&cause);
                break;
            }
        }
    }
    writer
}

/// Lends the writer to a blocking thread for one operation.
async fn lend<T: Send + 'static>(
    mut writer: Writer,
    operation: impl FnOnce(&mut Writer) -> T + Send + 'static,
) -> (Writer, T) {
    let work = spawn_blocking(move || {
        let done = operation(&mut writer);
        (writer, done)
    });
    match work.await {
        Ok(back) => back,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being dropped, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
