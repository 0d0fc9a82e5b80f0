//! What the gateway says of itself: its status, its birth, and what happened to it.

use super::alarms::Alarms;
use super::judge::Trusted;
use super::past::{ARCHIVE, Past};
use crate::clock::Clock;
use crate::config::Plan;
use crate::event::{Event, Kind, Of};
use crate::mqtt::{AlarmWord, Direct, Status, payload};
use crate::store::{self, About, Fact};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Numbers of the status are said anew so often at most; alarms at once.
const NUMBERS: Duration = Duration::from_secs(60);
/// Events that may wait for the disk.
pub(super) const EVENTS: usize = 16;

/// The task that composes status and birth.
pub(super) struct Herald {
    pub(super) in_force: watch::Receiver<Arc<Plan>>,
    pub(super) clock: Clock,
    pub(super) trust: Trusted,
    pub(super) store: watch::Receiver<store::State>,
    pub(super) lines: watch::Receiver<Alarms>,
    pub(super) past: Past,
    /// What happened, to [`tell`].
    pub(super) events: mpsc::Sender<Event>,
    pub(super) status: watch::Sender<Status>,
    pub(super) retained: watch::Sender<Arc<[Direct]>>,
    /// Of `retained`, what is of the birth.
    pub(super) born: Vec<Direct>,
    /// Of `retained`, what Home Assistant finds meters by.
    pub(super) announced: watch::Receiver<Arc<[Direct]>>,
}

impl Herald {
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut own = Alarms::default();
        let mut said_at = self.clock.elapsed();
        loop {
            self.look_back();
            let now = self.look(&mut own);
            let shown = self.status.borrow().clone();
            let is_urgent = now.alarms != shown.alarms
                || now.distrust.is_some() != shown.distrust.is_some()
                || trouble(&now) != trouble(&shown);
            let waits = said_at + NUMBERS;
            if is_urgent || (now != shown && self.clock.elapsed() >= waits) {
                said_at = self.clock.elapsed();
                self.status.send_replace(now);
            }
            tokio::select! {
                biased;
                stopped = stop.changed() => if stopped.is_err() || *stop.borrow() { return },
                Ok(()) = self.in_force.changed() => self.born(),
                Ok(()) = self.announced.changed() => self.say_retained(),
                Ok(()) = self.trust.changed() => {}
                Ok(()) = self.lines.changed() => {}
                Ok(()) = self.store.changed() => {}
                () = tokio::time::sleep_until(self.clock.instant(said_at + NUMBERS)), if self.clock.elapsed() < waits => {}
            }
        }
    }

    /// Everything as it is now.
    fn look(&mut self, own: &mut Alarms) -> Status {
        let distrust = self.trust.borrow_and_update().err();
        let store = self.store.borrow_and_update().clone();
        let (plan, at) = (self.in_force.borrow().clone(), self.clock.now());
        own.set(AlarmWord::ClockNotTrusted, None, distrust.is_some(), at);
        own.set(AlarmWord::StoreTrouble, None, store.trouble.is_some(), at);
        let lines = self.lines.borrow_and_update().clone();
        let alarms = own.of(&plan).chain(lines.of(&plan)).collect();
        Status { distrust, store: Some(store), alarms }
    }

    /// Says what is known of the run before, and which archive is another: once the time of an event can be right.
    fn look_back(&mut self) {
        if self.trust.borrow().is_err() {
            return;
        }
        if let Some(away_since) = self.past.away_since.take() {
            self.happened(Kind::PowerBack { away_since });
        }
        let after = self.in_force.borrow().archive.clone();
        if after != self.past.archive {
            let before = std::mem::replace(&mut self.past.archive, after.clone());
            self.happened(Kind::ArchiveChanged { before, after });
        }
    }

    fn happened(&self, kind: Kind) {
        let event = Event { of: Of::Gateway, at: self.clock.now(), kind };
        if let Err(lost) = self.events.try_send(event) {
            tracing::error!(%lost, "an event is lost: the store takes nothing");
        }
    }

    /// Another configuration is in force.
    fn born(&mut self) {
        let plan = self.in_force.borrow_and_update().clone();
        let mut directs = payload::birth(&plan);
        let topics: BTreeSet<&str> = directs.iter().map(|direct| direct.topic.as_str()).collect();
        // The broker is to forget parts that there are no more.
        let gone: Vec<Direct> = self
            .born
            .iter()
            .filter(|old| !topics.contains(old.topic.as_str()))
            .map(|old| Direct { payload: Vec::new(), ..old.clone() })
            .collect();
        directs.extend(gone);
        self.born = directs;
        self.say_retained();
    }

    fn say_retained(&mut self) {
        let announced = self.announced.borrow_and_update().clone();
        self.retained.send_replace(self.born.iter().chain(&*announced).cloned().collect());
    }
}

/// What may not wait of the store.
fn trouble(status: &Status) -> Option<&store::StoreError> {
    status.store.as_ref().and_then(|store| store.trouble.as_ref())
}

/// Puts events of the gateway into the store, and waits for the disk where others must not. Ends when nobody is left
/// who has any.
pub(super) async fn tell(
    in_force: watch::Receiver<Arc<Plan>>,
    store: store::Handle,
    mut events: mpsc::Receiver<Event>,
) {
    while let Some(event) = events.recv().await {
        let plan = in_force.borrow().clone();
        let mut put = store.put(payload::event(&event, &plan)).await;
        if let (Ok(()), Kind::ArchiveChanged { after, .. }) = (&put, event.kind) {
            // Behind the event: after a crash it is rather said twice than never.
            put = store
                .learn(About::Gateway, Fact { key: ARCHIVE.to_owned(), value: after, at: event.at })
                .await;
        }
        if let Err(store::Closed) = put {
            tracing::error!("an event is lost: the store has ended before the daemon");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_from_text;

    fn plan(meters: usize) -> Arc<Plan> {
        let mut text = "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n\
                        [[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n"
            .to_owned();
        for n in 0..meters {
            text += &format!("[[meter]]\nname = \"m{n}\"\nbus = \"a\"\naddress = \"{n}\"\n");
        }
        Arc::new(plan_from_text("meterd.toml", &text, std::path::Path::new("/")).unwrap().plan)
    }

    fn state() -> store::State {
        store::State { id: "8f".into(), backlog: 0, oldest: None, bytes: 0, max_bytes: 1, trouble: None }
    }

    #[tokio::test(start_paused = true)]
    async fn another_configuration_is_another_birth_and_parts_that_are_no_more_are_forgotten() {
        let clock = Clock::virtual_at("2026-11-21T10:00:30Z".parse().unwrap());
        let (first, second) = (plan(2000), plan(2));
        let (in_force_in, in_force) = watch::channel(Arc::clone(&first));
        let old = payload::birth(&first);
        let (retained, mut born) = watch::channel(old.clone().into());
        let (_announced, announced) = watch::channel(Arc::from([]));
        let (events, mut happened) = mpsc::channel(EVENTS);
        let (stop_in, stop) = watch::channel(false);
        let (_trust, trust) = watch::channel(Ok(()));
        let (store_in, store) = watch::channel(state());
        let (_lines, lines) = watch::channel(Alarms::default());
        let (status, mut shown) = watch::channel(Status::default());
        let past = Past { away_since: None, archive: first.archive.clone() };
        let herald = Herald {
            in_force,
            clock: clock.clone(),
            trust,
            store,
            lines,
            past,
            events,
            status,
            retained,
            born: old,
            announced,
        };
        let task = tokio::spawn(herald.run(stop));
        in_force_in.send_replace(Arc::clone(&second));
        born.changed().await.unwrap();
        let directs = born.borrow_and_update().clone();
        let empty: Vec<&str> =
            directs.iter().filter(|d| d.payload.is_empty()).map(|d| d.topic.as_str()).collect();
        assert!(empty.starts_with(&["meterd/v1/gw/birth/1", "meterd/v1/gw/birth/2"]), "{empty:?}");
        assert_eq!(directs.len(), 1 + empty.len());
        let (before, after) = (first.archive.clone(), second.archive.clone());
        assert_eq!(happened.recv().await.unwrap().kind, Kind::ArchiveChanged { before, after });

        // A disk that takes nothing is said at once, and that it does again.
        let at = clock.elapsed();
        for trouble in [Some(store::StoreError::Full { detail: String::new() }), None] {
            let is_there = trouble.is_some();
            store_in.send_replace(store::State { trouble, ..state() });
            let alarm = |status: &Status| status.alarms.iter().any(|a| a.word == AlarmWord::StoreTrouble);
            shown.wait_for(|status| alarm(status) == is_there).await.unwrap();
        }
        assert!(clock.elapsed() - at < Duration::from_secs(1));
        stop_in.send_replace(true);
        task.await.unwrap();
    }
}
