//! What is sent next: the outbox in order, and after a long outage new messages beside the backlog.
//!
//! A backlog below [`LONG`] messages goes in the order of the store, then what is new: there is one order, that
//! of `seq`. A longer one goes lane by lane: first what is of no meter, then the meters in eight groups, each
//! group in order. A group whose backlog has gone is up to date, and what is new of it goes at once: of two
//! places one is for new messages and one for the backlog while both wait. So every message of a meter
//! goes in order, whatever the backlog, and after an eighth of it the first meters are live again.

use crate::store::{self, Closed, Lanes, Pending};
use std::collections::VecDeque;
use std::pin::Pin;

/// A backlog of so many messages is long: more than a second of a fast line.
pub(super) const LONG: u64 = 1000;

/// A question to the store on its way.
type Asked = Pin<Box<dyn Future<Output = Result<Answer, Closed>> + Send>>;

/// The answer to it.
#[derive(Debug)]
pub(super) struct Answer {
    of: Of,
    pending: Vec<Pending>,
    /// All up to this number was looked at.
    seen: u64,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    All,
    Backlog,
    New,
}

/// Where a connection stands in the outbox.
pub(super) struct Feed {
    /// Octets of topics before `meter/`.
    skip: usize,
    batch: usize,
    /// Taken from the store, not sent yet; at most a batch each.
    backlog: VecDeque<Pending>,
    new: VecDeque<Pending>,
    asked: Option<Asked>,
    course: Course,
    /// The next place is for what is new, if both wait.
    new_is_next: bool,
    /// The highest number committed when the store was last asked for all.
    known: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    /// All in order: `backlog` has all of it.
    Plain {
        /// The highest number taken from the store.
        after: u64,
        /// The store may have more.
        more: bool,
    },
    Lanes {
        /// Whose backlog goes.
        lane: u8,
        /// How far it went.
        after: u64,
        /// How far those went that are up to date.
        live: u64,
        /// Those that are; bit n is lane n.
        done: u16,
    },
}

impl Feed {
    /// From the oldest message on. `skip` is the length of `{prefix}/{gateway}/`.
    pub(super) fn new(skip: usize, batch: usize) -> Self {
        Self {
            skip,
            batch,
            backlog: VecDeque::new(),
            new: VecDeque::new(),
            asked: None,
            course: Course::Plain { after: 0, more: true },
            new_is_next: true,
            known: 0,
        }
    }

    /// Begins anew with the oldest message that the store still holds.
    pub(super) fn rewind(&mut self) {
        *self = Self::new(self.skip, self.batch);
    }

    /// True if a message waits for a place.
    pub(super) fn waits(&self) -> bool {
        !self.backlog.is_empty() || !self.new.is_empty()
    }

    /// The next message.
    pub(super) fn next(&mut self) -> Option<Pending> {
        if let Course::Plain { .. } = self.course {
            // What is left of the lanes is older.
            return self.new.pop_front().or_else(|| self.backlog.pop_front());
        }
        let new = !self.new.is_empty() && (self.new_is_next || self.backlog.is_empty());
        self.new_is_next = !new;
        if new { self.new.pop_front() } else { self.backlog.pop_front() }
    }

    /// True if only a commit can bring more.
    pub(super) const fn is_up_to_date(&self) -> bool {
        matches!(self.course, Course::Plain { more: false, .. })
    }

    /// Asks the store for what can be sent next, once; its disk may be slow, and receipts are read meanwhile.
    pub(super) fn ask(&mut self, store: &store::Handle, newest: u64) {
        if self.asked.is_some() {
            return;
        }
        self.advance(newest);
        let (store, batch) = (store.clone(), self.batch);
        let news = newest > self.known;
        match &mut self.course {
            Course::Plain { after, more } => {
                *more |= news;
                let after = *after;
                if *more && self.backlog.is_empty() {
                    self.known = newest;
                    self.asked = Some(Box::pin(async move {
                        let pending = store.offer(after, batch).await?;
                        let seen = pending.last().map_or(after, |last| last.seq);
                        Ok(Answer { of: Of::All, pending, seen })
                    }));
                }
            }
            &mut Course::Lanes { lane, after, live, done } => {
                let (of, after, last, set) = if self.new.is_empty() && done != 0 && live < newest {
                    (Of::New, live, newest, done)
                } else if self.backlog.is_empty() && after < live {
                    (Of::Backlog, after, live, 1 << lane)
                } else {
                    return;
                };
                let lanes = Lanes { skip: self.skip, set };
                self.asked = Some(Box::pin(async move {
                    let store::Offered { pending, seen } =
                        store.offer_lanes(after, last, lanes, batch).await?;
                    Ok(Answer { of, pending, seen })
                }));
            }
        }
    }

    /// A lane is done when its backlog has been sent as far as the others have: from then on it is one of them.
    fn advance(&mut self, newest: u64) {
        while let Course::Lanes { lane, after, live, done } = self.course
            && after >= live
            && self.backlog.is_empty()
        {
            let (lane, done) = (lane + 1, done | 1 << lane);
            self.course = if lane < Lanes::COUNT {
                Course::Lanes { lane, after: 0, live, done }
            } else {
                Course::Plain { after: live, more: live < newest }
            };
        }
    }

    /// The answer of the store; waits for ever if nothing was asked.
    pub(super) async fn arrived(&mut self) -> Result<Answer, Closed> {
        match &mut self.asked {
            Some(asked) => asked.await,
            None => std::future::pending().await,
        }
    }

    /// Takes the answer; `newest` is the highest number committed.
    pub(super) fn take(&mut self, answer: Answer, newest: u64) {
        self.asked = None;
        let Answer { of, pending, seen } = answer;
        match (of, &mut self.course) {
            (Of::All, Course::Plain { after, more }) => {
                let first = pending.first().map_or(newest, |first| first.seq);
                if *after == 0 && newest.saturating_sub(first) >= LONG {
                    self.course = Course::Lanes { lane: 0, after: 0, live: newest, done: 0 };
                    return;
                }
                *after = seen;
                *more = pending.len() == self.batch;
                self.backlog = pending.into();
            }
            (Of::Backlog, Course::Lanes { after, .. }) => {
                *after = seen;
                self.backlog = pending.into();
            }
            (Of::New, Course::Lanes { live, .. }) => {
                *live = seen;
                self.new = pending.into();
            }
            (Of::All, Course::Lanes { .. }) | (Of::Backlog | Of::New, Course::Plain { .. }) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Dropped, Entry, Rules, Worth, Writer};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    const PREFIX: &str = "p/gw/";

    async fn put(store: &store::Handle, from: u64, count: u64, meters: u64) {
        for n in from..from + count {
            let topic = match n % (meters + 1) {
                0 => format!("{PREFIX}event/x"),
                meter => format!("{PREFIX}meter/m{meter}/data/live"),
            };
            let entry = Entry {
                topic,
                body: "\"n\":1}".into(),
                retain: false,
                worth: Worth::Event,
                identity: None,
                notes: Vec::new(),
            };
            store.put(entry).await.unwrap();
        }
        store.flush().await.unwrap();
    }

    /// Sends up to `count` messages and says which; fewer if the store has no more.
    async fn send(feed: &mut Feed, store: &store::Handle, count: usize) -> Vec<Pending> {
        let mut sent = Vec::new();
        while sent.len() < count {
            let newest = *store.committed().borrow();
            feed.ask(store, newest);
            if feed.asked.is_some() {
                let answer = feed.arrived().await.unwrap();
                feed.take(answer, newest);
                continue;
            }
            let Some(pending) = feed.next() else { break };
            sent.push(pending);
        }
        sent
    }

    fn in_order_by_topic(sent: &[Pending]) {
        let mut last = BTreeMap::new();
        for Pending { seq, topic, .. } in sent {
            let before = last.insert(topic.clone(), *seq);
            assert!(before < Some(*seq), "{topic}: {before:?} before {seq}");
        }
    }

    fn store() -> (tempfile::TempDir, store::Handle) {
        let dir = tempfile::tempdir().unwrap();
        let (store, _task) = {
            let rules = Rules { exposure: Duration::from_millis(5), ..Rules::default() };
            let announce = |dropped: &Dropped| -> Entry { panic!("dropped: {dropped:?}") };
            store::start(Writer::open(dir.path()).unwrap(), rules, Clock::system(), Arc::new(announce))
        };
        (dir, store)
    }

    #[tokio::test]
    async fn a_short_backlog_and_what_is_new_go_in_the_order_of_the_store() {
        let (_dir, store) = store();
        put(&store, 0, 300, 7).await;
        let mut feed = Feed::new(PREFIX.len(), 100);
        let mut sent = send(&mut feed, &store, 150).await;
        put(&store, 300, 100, 7).await;
        sent.extend(send(&mut feed, &store, 1000).await);
        assert_eq!(sent.iter().map(|p| p.seq).collect::<Vec<_>>(), (1..=400).collect::<Vec<u64>>());
        assert!(feed.is_up_to_date());
    }

    #[tokio::test]
    async fn new_messages_pass_a_long_backlog_by_half_of_the_places_and_no_meter_passes_itself() {
        const BACKLOG: u64 = 4000;
        let (_dir, store) = store();
        put(&store, 0, BACKLOG, 40).await;
        let mut feed = Feed::new(PREFIX.len(), 100);
        let (mut sent, mut stored) = (Vec::new(), BACKLOG);
        // For each two messages sent, one more is stored: as much as new ones may take.
        while sent.len() < 2000 {
            sent.extend(send(&mut feed, &store, 100).await);
            put(&store, stored, 50, 40).await;
            stored += 50;
        }
        let new: Vec<usize> = (0..sent.len()).filter(|place| sent[*place].seq > BACKLOG).collect();
        assert!(new[0] < 200, "the gateway's own messages do not wait for the meters: {}", new[0]);
        let meters: BTreeSet<&str> =
            new.iter().map(|place| sent[*place].topic.as_str()).filter(|t| t.contains("/meter/")).collect();
        assert!(meters.len() > 4, "meters are live before the backlog has gone: {meters:?}");
        for places in sent.chunks(100) {
            let old = places.iter().filter(|p| p.seq <= BACKLOG).count();
            assert!(old >= 45, "the backlog has its half: {old} of 100");
        }
        sent.extend(send(&mut feed, &store, 100_000).await);
        in_order_by_topic(&sent);
        let all: BTreeSet<u64> = sent.iter().map(|p| p.seq).collect();
        assert_eq!((all.len(), sent.len() as u64), (sent.len(), stored), "each once, none is missing");
        put(&store, stored, 10, 40).await;
        assert_eq!(send(&mut feed, &store, 100).await.len(), 10, "and then in order as ever");
    }
}
