//! The store's task: it groups what many hand over into few commits.
//!
//! A batch is committed at [`BATCH`] messages, when its oldest has been with the task for the exposure
//! time, and at once when a round has ended ([`Handle::round_over`]). What waits in the queue by then goes
//! with it: where many rounds end together, they share a commit. Numbers that the broker has signed for
//! leave the outbox with the next commit, on their own at [`SIGNED_BATCH`] of them, or after the exposure time;
//! until then they are not offered again, except after a crash: it repeats what was signed for in that time.
//!
//! Messages wait in a queue of [`QUEUE`]; when it is full, [`Handle::put`] waits: a bus waits for a slow disk,
//! never for the network. What mqtt asks waits in another queue of [`QUEUE`], so that the outbox is
//! offered while the disk takes nothing new.
//!
//! What was just committed is held a while longer, so that it is offered without reading it back.
//!
//! If the disk refuses, the batch stays in memory and is tried again, ever more slowly, and polling goes on: up to
//! [`HELD_OCTETS`] are held, then the least worth goes, is counted, and announced once the disk takes it. Nothing is
//! offered before it is durable. A damaged store is made anew ([`Writer::make_anew`]).
//!
//! The task has no thread: it lends the writer to the runtime's pool of blocking threads for each operation.

use super::handle::{Ask, Facts, Handle, Job, Put, Request, What};
use super::recent::Recent;
use super::{
    About, Announce, Batch, Entry, Known, Offered, Rules, Run, SlotNote, Stand, State, StoreError, Writer,
};
use crate::clock::Clock;
use std::mem;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Sleep, sleep};

/// Messages in a batch that are written without waiting for more: a group commit.
const BATCH: usize = 100;

/// Signed numbers that are written without waiting for more: half of mqtt's window, so that the other half is under way
/// meanwhile.
const SIGNED_BATCH: usize = 50;

/// Bound of each queue; two batches and a half.
const QUEUE: usize = 256;

/// Octets of messages held in memory while the disk refuses them: a gateway's memory is small. Beyond, the least worth
/// goes, is counted, and is announced once the disk takes it.
const HELD_OCTETS: usize = 4 << 20;

/// What a message takes in memory beside its texts, about.
const HELD_BESIDE: usize = 256;

/// Facts held while the disk refuses.
const HELD_FACTS: usize = 1024;

/// Notes of slots held while the disk refuses, runs and values. A slot without its note is read again.
const HELD_NOTES: usize = 1024;

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

/// Starts the task on the current tokio runtime, and holds the store to `rules`. Of what has to be dropped, the entry
/// that `announce` makes is stored in the same transaction; `clock` says when what has no slot was stored.
///
/// It ends, with everything committed, when [`Handle::close`] is called or the last handle is dropped, and
/// gives the writer back.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start(
    mut writer: Writer,
    rules: Rules,
    clock: Clock,
    announce: Announce,
) -> (Handle, JoinHandle<Result<Writer, Lost>>) {
    writer.hold_to(rules);
    writer.announce_by(announce);
    let (to_entries, entries) = mpsc::channel(QUEUE);
    let (to_requests, requests) = mpsc::channel(QUEUE);
    let (announce, committed) = watch::channel(writer.committed());
    let (show, state) = watch::channel(writer.first_state());
    let (forgetting, forgotten) = watch::channel(0);
    let handle = Handle { entries: to_entries, requests: to_requests, committed, forgotten, state };
    let mut held = Held::new(rules.exposure, clock, announce, forgetting, show);
    held.recent = Recent::behind(writer.committed());
    (handle, tokio::spawn(run(writer, held, entries, requests)))
}

/// What is in memory only.
struct Held {
    exposure: Duration,
    clock: Clock,
    announce: watch::Sender<u64>,
    forgetting: watch::Sender<u64>,
    show: watch::Sender<State>,
    batch: Vec<Entry>,
    /// Octets of the batch.
    octets: usize,
    /// Messages that found no room while the disk refused.
    refused: u64,
    /// A loss waits to be announced.
    owing: bool,
    /// Those that came without a message, or since theirs.
    notes: Vec<SlotNote>,
    runs: Vec<Run>,
    stands: Vec<Stand>,
    facts: Vec<(About, Known)>,
    signed: Vec<u64>,
    /// The newest of what is on the disk too.
    recent: Recent,
    /// Whoever forgot what is signed for waits until it has left.
    settling: bool,
    /// A round has ended, and what it brought is not written yet.
    round_over: bool,
    flushes: Vec<oneshot::Sender<()>>,
    asks: Vec<Ask>,
    recalls: Vec<Facts>,
    is_ending: bool,
    /// When to write at the latest; after a failure, when to try again.
    timer: Option<Pin<Box<Sleep>>>,
    failures: u32,
}

impl Held {
    fn new(
        exposure: Duration,
        clock: Clock,
        announce: watch::Sender<u64>,
        forgetting: watch::Sender<u64>,
        show: watch::Sender<State>,
    ) -> Self {
        Self {
            exposure,
            clock,
            announce,
            forgetting,
            show,
            batch: Vec::new(),
            octets: 0,
            refused: 0,
            owing: false,
            notes: Vec::new(),
            runs: Vec::new(),
            stands: Vec::new(),
            facts: Vec::new(),
            signed: Vec::new(),
            recent: Recent::default(),
            settling: false,
            round_over: false,
            flushes: Vec::new(),
            asks: Vec::new(),
            recalls: Vec::new(),
            is_ending: false,
            timer: None,
            failures: 0,
        }
    }

    fn take(&mut self, put: Put) {
        match put {
            Put::Entry(entry) => {
                self.octets += octets(&entry);
                // Those without a message are written behind all that have one.
                if !entry.notes.is_empty() {
                    self.notes.retain(|note| !entry.notes.iter().any(|newer| newer.is_of_the_slot_of(note)));
                }
                self.batch.push(entry);
                self.shed();
            }
            Put::Learn(about, known) => {
                self.facts.push((about, known));
                // What was learned will be learned again.
                if self.facts.len() > HELD_FACTS {
                    self.facts.remove(0);
                }
            }
            Put::Notes(notes) => {
                self.notes.extend(notes);
                let over = self.notes.len().saturating_sub(HELD_NOTES);
                self.notes.drain(..over);
            }
            Put::Run(run) => {
                self.runs.retain(|old| (&old.task, old.slot) != (&run.task, run.slot));
                self.runs.push(run);
                let over = self.runs.len().saturating_sub(HELD_NOTES);
                self.runs.drain(..over);
            }
            Put::Stand(stand) => {
                self.stands.push(stand);
                let over = self.stands.len().saturating_sub(HELD_NOTES);
                self.stands.drain(..over);
            }
            // Nothing is left of it where its messages went with an earlier commit.
            Put::RoundOver => self.round_over = self.held() > 0,
            Put::Flush(reply) => self.flushes.push(reply),
        }
    }

    fn sign(&mut self, seqs: Vec<u64>) {
        self.recent.forget(&seqs);
        self.signed.extend(seqs);
    }

    /// Lets go what memory has no room for while the disk refuses: the least worth first, of that the oldest.
    fn shed(&mut self) {
        while self.octets > HELD_OCTETS
            && let Some((at, _)) = self.batch.iter().enumerate().min_by_key(|(at, entry)| (entry.worth, *at))
        {
            self.octets -= octets(&self.batch.remove(at));
            self.refused += 1;
            if self.refused.is_power_of_two() {
                tracing::error!(
                    messages = self.refused,
                    "the disk has refused for so long that messages are lost"
                );
            }
        }
    }

    /// Whether one more fits into the next commit. While the disk refuses there is always room: polling goes on.
    const fn has_room(&self) -> bool {
        self.failures > 0 || self.is_ending || !self.is_full()
    }

    /// Messages, notes, values and facts.
    const fn held(&self) -> usize {
        self.batch.len() + self.notes.len() + self.runs.len() + self.stands.len() + self.facts.len()
    }

    const fn is_full(&self) -> bool {
        let noted = self.notes.len() + self.runs.len();
        // A value comes before its message, and goes with it.
        let values = self.stands.len() > BATCH;
        self.batch.len() >= BATCH || noted >= BATCH || values || self.facts.len() >= BATCH
    }

    const fn is_empty(&self) -> bool {
        !self.owing && self.held() == 0 && self.signed.is_empty() && self.flushes.is_empty()
    }

    /// Whether something asks for a write now; after a failure only the timer does.
    const fn is_due(&self) -> bool {
        let many = self.is_full() || self.signed.len() >= SIGNED_BATCH;
        let asked = !self.flushes.is_empty()
            || (!self.recalls.is_empty() && !self.facts.is_empty())
            || (!self.is_ending && (many || self.round_over || (self.settling && !self.signed.is_empty())));
        asked && self.failures == 0
    }

    fn failed(&mut self, cause: &StoreError) {
        let pause = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.timer = Some(Box::pin(sleep(pause)));
        let (held, attempt) = (self.batch.len(), self.failures);
        tracing::error!(held, attempt, pause_s = pause.as_secs(), "the store failed: {cause}");
        self.show.send_modify(|state| state.trouble = Some(cause.clone()));
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
    if writer.has_losses() {
        held.owing = true;
        writer = write(writer, &mut held).await.0;
    }
    loop {
        let mut now = false;
        tokio::select! {
            // What is asked comes first: it says how what is put is to be written.
            biased;
            request = requests.recv(), if held.signed.len() < SIGNED => match request {
                Some(Request::Ask(ask)) => held.asks.push(ask),
                Some(Request::Job(Job(job))) => writer = lend(writer, job).await.0,
                Some(Request::Forget(seqs)) => held.sign(seqs),
                Some(Request::Settle) => held.settling = true,
                Some(Request::Facts(facts)) => {
                    held.recalls.push(facts);
                    while held.has_room() && let Ok(put) = entries.try_recv() {
                        held.take(put);
                    }
                }
                Some(Request::Ending) => held.is_ending = true,
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
        if !held.asks.is_empty() {
            writer = answer(writer, &mut held).await;
        }
        if !held.recalls.is_empty() {
            writer = recall(writer, &mut held).await;
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
            Request::Job(Job(job)) => writer = lend(writer, job).await.0,
            // Whoever waits for an offer learns that the store has been closed.
            Request::Ask(_) | Request::Facts(_) | Request::Settle | Request::Ending | Request::Close => {}
        }
    }
    let mut attempt = 1;
    loop {
        let result;
        (writer, result) = write(writer, &mut held).await;
        match result {
            Ok(()) => return Ok(writer),
            Err(cause) if attempt == LAST_ATTEMPTS => {
                let messages =
                    held.batch.len().saturating_add(usize::try_from(held.refused).unwrap_or(usize::MAX));
                return Err(Lost { messages, cause });
            }
            Err(_) => sleep(LAST_PAUSE).await,
        }
        attempt += 1;
    }
}

fn octets(entry: &Entry) -> usize {
    let registers = entry.identity.as_ref().map_or(0, |identity| identity.registers.len());
    let notes: usize = entry.notes.iter().map(|note| HELD_BESIDE + 32 * note.registers.len()).sum();
    entry.topic.len() + entry.body.len() + HELD_BESIDE + 48 * registers + notes
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
    let (notes, runs) = (mem::take(&mut held.notes), mem::take(&mut held.runs));
    let stands = mem::take(&mut held.stands);
    let (facts, now, refused) = (mem::take(&mut held.facts), held.clock.now(), held.refused);
    let (writer, (batch, notes, runs, stands, facts, signed, result)) = lend(writer, move |writer| {
        writer.set_now(now);
        writer.refused(refused);
        let written = Batch {
            entries: &batch,
            notes: &notes,
            runs: &runs,
            stands: &stands,
            facts: &facts,
            signed: &signed,
        };
        let result = writer.write(written);
        // The messages are stored, whether or not the state can be read.
        let result = result.map(|committed| (committed, writer.first_state()));
        (batch, notes, runs, stands, facts, signed, result)
    })
    .await;
    match result {
        Ok((committed, state)) => {
            held.worked();
            (held.octets, held.refused, held.owing) = (0, 0, false);
            held.show.send_replace(state);
            held.timer = None;
            (held.round_over, held.settling) = (false, false);
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
            if !signed.is_empty() {
                held.forgetting.send_modify(|count| *count += signed.len() as u64);
            }
            held.recent.committed(batch, &committed);
            held.announce
                .send_if_modified(|newest| mem::replace(newest, committed.newest) != committed.newest);
            (writer, Ok(()))
        }
        Err(cause) => {
            (held.batch, held.facts, held.signed) = (batch, facts, signed);
            (held.notes, held.runs, held.stands) = (notes, runs, stands);
            (failed(writer, held, &cause).await, Err(cause))
        }
    }
}

/// After a failure: a damaged store is made anew; then, and for all other causes, a pause.
async fn failed(writer: Writer, held: &mut Held, cause: &StoreError) -> Writer {
    held.failed(cause);
    let StoreError::Damaged { .. } = cause else { return writer };
    let found = cause.clone();
    let (writer, (made, state)) = lend(writer, move |writer| {
        let made = writer.make_anew(&found);
        (made, writer.first_state())
    })
    .await;
    match made {
        Ok(()) => {
            held.owing = true;
            held.recent = Recent::behind(writer.committed());
            held.show.send_replace(State { trouble: Some(cause.clone()), ..state });
        }
        Err(why) => tracing::error!("the damaged store could not be made anew: {why}"),
    }
    writer
}

/// Answers those who wait for messages; if the disk refuses, they wait on.
async fn answer(mut writer: Writer, held: &mut Held) -> Writer {
    while let Some(Ask { what, after, limit, reply }) = held.asks.pop() {
        if matches!(what, What::Outbox)
            && let Some(pending) = held.recent.take(after, limit)
        {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Offered { pending, seen: after });
            continue;
        }
        // What is signed for stands in the outbox until the next commit; ask for as many more.
        let more = limit.saturating_add(held.signed.len());
        let (result, asked);
        (writer, (asked, result)) = lend(writer, move |writer| {
            let plainly = |pending| Offered { pending, seen: after };
            let result = match &what {
                What::Outbox => writer.offer(after, more).map(plainly),
                What::Lanes(last, lanes) => writer.offer_lanes(after, *last, *lanes, more),
                What::Again(wanted) => writer.resend(wanted, after, limit).map(plainly),
            };
            (what, result)
        })
        .await;
        match result {
            Ok(Offered { mut pending, mut seen }) => {
                if !matches!(asked, What::Again(_)) {
                    pending.retain(|message| !held.signed.contains(&message.seq));
                }
                if pending.len() > limit {
                    pending.truncate(limit);
                    seen = pending.last().map_or(seen, |last| last.seq);
                }
                let _ = reply.send(Offered { pending, seen });
            }
            Err(cause) => {
                held.asks.push(Ask { what: asked, after, limit, reply });
                writer = failed(writer, held, &cause).await;
                break;
            }
        }
    }
    writer
}

/// Answers those who wait for facts; one whose facts the disk does not give has to learn them anew.
async fn recall(mut writer: Writer, held: &mut Held) -> Writer {
    while let Some(Facts { of, reply }) = held.recalls.pop() {
        let result;
        (writer, result) = lend(writer, move |writer| {
            of.iter().map(|about| writer.facts(about.scope())).collect::<Result<Vec<_>, _>>()
        })
        .await;
        match result {
            // Whoever asked has stopped waiting.
            Ok(facts) => drop(reply.send(facts)),
            Err(cause) => tracing::warn!("what was learned cannot be read: {cause}"),
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
