//! One connection's worth of the session: from CONNACK to the first fault, or to an orderly farewell.

use super::directs::Directs;
use super::feed::Feed;
use super::outage::Outage;
use super::refusals::{Refusals, Step};
use super::ways::{self, Ways};
use super::window::{Cargo, Unknown, Window};
use super::{Counters, Settings, stopped};
use crate::clock::Clock;
use crate::config::Mqtt;
use crate::mqtt::connection::{Client, Event, Events, Fault, Publish, Reason};
use crate::mqtt::payload::{self, Digits};
use crate::mqtt::status::{Status, StatusMessage};
use crate::mqtt::topics::Kind;
use crate::store::{self, Closed, Pending};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Messages asked of the store at a time.
const BATCH: usize = Mqtt::WINDOW as usize;
/// A connection that lasted this long was of use. Two gateways with one name throw each other out sooner.
const LASTED: Duration = Duration::from_secs(30);
/// Room for a packet's header and properties beside topic and payload.
const HEADER: usize = 64;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// We were told to stop.
    Stopped,
    /// The store is closed.
    StoreClosed,
    /// A fault.
    Broken {
        /// Which.
        why: Broken,
        /// True if it lasted, and nothing was refused: the next one need not wait long.
        useful: bool,
    },
}

impl From<Closed> for End {
    fn from(Closed: Closed) -> Self {
        Self::StoreClosed
    }
}

/// Why a connection is given up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The connection's own fault.
    #[error("no connection to the broker: {0}")]
    Connection(#[from] Fault),
    /// The oldest packet has no receipt.
    #[error("the broker has not acknowledged a message for {} s", .0.as_secs_f32())]
    AckDeadline(Duration),
    /// The library and the window disagree.
    #[error("{0}")]
    Unknown(#[from] Unknown),
}

/// What every connection of a session shares.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) settings: &'a Settings,
    pub(super) store: &'a store::Handle,
    pub(super) clock: &'a Clock,
    pub(super) counters: &'a Counters,
}

/// What one connection after the other goes on with.
pub(super) struct Kept<'a> {
    pub(super) ways: &'a mut Ways,
    pub(super) outage: &'a mut Outage,
    pub(super) refusals: &'a mut Refusals,
}

/// One connection, seen from the session.
pub(super) struct Conversation<'a> {
    pub(super) settings: &'a Settings,
    store: &'a store::Handle,
    pub(super) clock: &'a Clock,
    status: watch::Receiver<Status>,
    pub(super) ways: &'a mut Ways,
    counters: &'a Counters,
    outage: &'a mut Outage,
    pub(super) client: Client,
    pub(super) window: Window,
    pub(super) directs: Directs,
    pub(super) feed: Feed,
    refusals: &'a mut Refusals,
    /// What is newly committed.
    committed: watch::Receiver<u64>,
    /// How many of those that were signed for have left the outbox durably.
    forgotten: watch::Receiver<u64>,
    /// When the broker took us in.
    begun: Option<Duration>,
    /// The same as it is published.
    since: String,
    /// The status is to be published.
    pub(super) status_due: bool,
    max_packet: usize,
    /// The broker signed for something.
    signed_any: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        given: Given<'a>,
        kept: Kept<'a>,
        status: watch::Receiver<Status>,
        client: Client,
    ) -> Self {
        let Given { settings, store, clock, counters } = given;
        let Kept { ways, outage, refusals } = kept;
        let directs = Directs::new(ways);
        Self {
            settings,
            store,
            clock,
            status,
            ways,
            counters,
            outage,
            client,
            window: Window::new(1),
            directs,
            feed: Feed::new(settings.topic_skip(), BATCH),
            refusals,
            committed: store.committed(),
            forgotten: store.forgotten(),
            begun: None,
            since: String::new(),
            status_due: true,
            max_packet: 0,
            signed_any: false,
        }
    }

    pub(super) async fn run(&mut self, mut events: Events, stop: &mut watch::Receiver<bool>) -> End {
        match self.converse(&mut events, stop).await {
            Ok(()) => End::Stopped,
            Err(end) => end,
        }
    }

    async fn converse(&mut self, events: &mut Events, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        tokio::select! {
            event = events.recv() => self.begin(event)?,
            () = stopped(stop) => return Ok(()),
            never = self.ways.drop_directs() => match never {},
        }
        tokio::select! {
            end = self.serve(events) => end.map(|never| match never {}),
            () = stopped(stop) => self.farewell(events).await,
        }
    }

    /// Serves until the connection ends. What it waits for may be cut off: a receipt that the store was not
    /// told of brings the message once more.
    async fn serve(&mut self, events: &mut Events) -> Result<Infallible, End> {
        loop {
            match self.refusals.step(self.window.is_empty(), self.clock.elapsed()) {
                Step::Hold => {}
                Step::Rewind => {
                    self.feed.rewind();
                    continue;
                }
                Step::Send => {
                    self.publish_status();
                    self.publish_directs();
                    self.publish_ready();
                    self.ask_for_more();
                }
            }
            let resume = self.refusals.wake_at().filter(|at| *at > self.clock.elapsed());
            let overdue = self.window.overdue_at(self.settings.ack_deadline);
            tokio::select! {
                event = events.recv() => self.handle(event, events).await?,
                answer = self.feed.arrived() => {
                    let newest = *self.committed.borrow();
                    self.feed.take(answer?, newest);
                }
                changed = self.committed.changed(), if self.feed.is_up_to_date() => {
                    changed.map_err(|_| End::StoreClosed)?;
                }
                Ok(()) = self.forgotten.changed(), if self.room() == 0 => {}
                () = tokio::time::sleep_until(self.clock.instant(resume.unwrap_or_default())), if resume.is_some() => {}
                Ok(()) = self.status.changed() => self.status_due = true,
                Ok(()) = self.ways.retained.changed() => self.retained_changed(),
                direct = ways::next(&mut self.ways.direct), if self.directs.takes_answers() => self.directs.answer(direct),
                () = tokio::time::sleep_until(self.clock.instant(overdue.unwrap_or_default())), if overdue.is_some() => {
                    return Err(self.broken(Broken::AckDeadline(self.settings.ack_deadline)));
                }
            }
        }
    }

    fn broken(&self, why: Broken) -> End {
        let lasted = self.begun.is_some_and(|begun| self.clock.elapsed().saturating_sub(begun) >= LASTED);
        End::Broken { why, useful: lasted }
    }

    /// The first event must be the broker's yes.
    fn begin(&mut self, event: Option<Event>) -> Result<(), End> {
        match event {
            Some(Event::Connected { receive_max, max_packet }) => {
                self.window = Window::new(usize::from(receive_max.min(self.settings.mqtt.window)));
                self.max_packet = max_packet;
                self.begun = Some(self.clock.elapsed());
                self.since = payload::instant(self.clock.now(), &self.settings.zone, Digits::Seconds);
                self.counters.connections.fetch_add(1, Ordering::Relaxed);
                self.refusals.connected();
                self.subscribe();
                Ok(())
            }
            Some(Event::Fault(fault)) => Err(self.broken(fault.into())),
            Some(
                Event::Sent(_)
                | Event::Signed(_)
                | Event::Refused(..)
                | Event::Received(_)
                | Event::NotSubscribed
                | Event::Disconnected,
            )
            | None => Err(self.broken(Fault::Silent.into())),
        }
    }

    fn publish_status(&mut self) {
        if self.status_due && self.window.room() > 0 {
            let status = self.status.borrow_and_update().clone();
            let Settings { gateway, zone, .. } = self.settings;
            let (id, since) = (self.store.id(), self.since.clone());
            let message = StatusMessage::online(gateway.as_str(), &id, since, &status, zone);
            self.send_status(&message);
        }
    }

    pub(super) fn send_status(&mut self, message: &StatusMessage) {
        let publish = Publish { topic: self.settings.status_topic(), payload: message.to_json() };
        match self.client.publish(publish, Kind::Status.retain()) {
            Ok(()) => {
                self.window.queued(Cargo::Status, self.clock.elapsed());
                self.status_due = false;
            }
            Err(fault) => error!(broker = self.settings.broker(), "the status was not published: {fault}"),
        }
    }

    /// Messages that may be handed to the connection now. One that was signed for counts until it has left the outbox
    /// durably: a crash now would bring it again, and no more than a window comes twice.
    fn room(&self) -> usize {
        let most = usize::from(self.settings.mqtt.window).saturating_sub(self.kept());
        self.window.room().min(most.saturating_sub(self.window.len()))
    }

    /// Messages that were signed for and have not left the outbox durably.
    fn kept(&self) -> usize {
        let signed = self.counters.signed_for.load(Ordering::Relaxed);
        usize::try_from(signed.saturating_sub(*self.forgotten.borrow())).unwrap_or(usize::MAX)
    }

    /// Hands messages to the connection while there is room.
    fn publish_ready(&mut self) {
        while self.room() > 0 {
            let Some(pending) = self.feed.next() else { break };
            self.publish(pending);
        }
    }

    fn ask_for_more(&mut self) {
        let newest = *self.committed.borrow_and_update();
        self.feed.ask(self.store, newest);
    }

    fn publish(&mut self, pending: Pending) {
        let Pending { seq, topic, body, retain } = pending;
        let payload = payload::compose(&self.store.id(), seq, &body);
        let octets = payload.len() + topic.len() + HEADER;
        if octets > self.max_packet {
            let (broker, most) = (self.settings.broker(), self.max_packet);
            warn!(%broker, seq, %topic, octets, most, "the broker does not take a message of this size; it stays in the store, raise the broker's limit");
            return;
        }
        match self.client.publish(Publish { topic, payload }, retain) {
            Ok(()) => {
                self.window.queued(Cargo::Message(seq), self.clock.elapsed());
                self.counters.published.fetch_add(1, Ordering::Relaxed);
            }
            Err(fault) => {
                error!(broker = self.settings.broker(), seq, "the message stays in the store: {fault}");
            }
        }
    }

    /// Takes this event and all that wait behind it, so that receipts are forgotten together.
    pub(super) async fn handle(&mut self, event: Option<Event>, events: &mut Events) -> Result<(), End> {
        let mut forget = Vec::new();
        let mut next = event;
        let outcome = loop {
            let outcome = self.take(next, &mut forget);
            if outcome.is_err() || forget.len() >= BATCH {
                break outcome;
            }
            match events.try_recv() {
                Ok(event) => next = Some(event),
                Err(_) => break outcome,
            }
        };
        if !forget.is_empty() {
            let count = forget.len() as u64;
            self.store.forget(forget).await?;
            self.counters.signed_for.fetch_add(count, Ordering::Relaxed);
            // The store gathers half of the largest window; a smaller one would wait for the exposure.
            let window = usize::from(self.settings.mqtt.window);
            if window < usize::from(Mqtt::WINDOW) && 2 * self.kept() >= window {
                self.store.settle().await?;
            }
        }
        outcome
    }

    fn take(&mut self, event: Option<Event>, forget: &mut Vec<u64>) -> Result<(), End> {
        let now = self.clock.elapsed();
        match event {
            Some(Event::Sent(0)) => self.window.left(now).map_err(|u| self.broken(u.into())),
            Some(Event::Sent(pkid)) => self.window.sent(pkid).map_err(|u| self.broken(u.into())),
            Some(Event::Signed(pkid)) => {
                let cargo = self.window.signed(pkid, now).map_err(|u| self.broken(u.into()))?;
                self.signed(now);
                self.refusals.signed();
                match cargo {
                    Cargo::Message(seq) => forget.push(seq),
                    Cargo::Status | Cargo::Direct => {}
                }
                Ok(())
            }
            Some(Event::Refused(pkid, reason, words)) => {
                let cargo = self.window.signed(pkid, now).map_err(|u| self.broken(u.into()))?;
                self.refuse(cargo, reason, &words, now);
                Ok(())
            }
            Some(Event::Fault(fault)) => Err(self.broken(fault.into())),
            None => Err(self.broken(Fault::Silent.into())),
            Some(Event::Received(incoming)) => {
                self.ways.received(incoming);
                Ok(())
            }
            Some(Event::NotSubscribed) => {
                self.not_subscribed();
                Ok(())
            }
            Some(Event::Connected { .. } | Event::Disconnected) => Ok(()),
        }
    }

    /// The broker signs: if this is news, say so.
    fn signed(&mut self, now: Duration) {
        if self.signed_any {
            return;
        }
        self.signed_any = true;
        let broker = self.settings.broker();
        match self.outage.sound(now) {
            Some(told) => {
                info!(%broker, after_s = told.lasted.as_secs(), faults = told.faults, "connected; sending what the store holds");
            }
            None if self.counters.connections.load(Ordering::Relaxed) == 1 => info!(%broker, "connected"),
            None => tracing::debug!(%broker, "connected again"),
        }
    }

    fn refuse(&mut self, cargo: Cargo, reason: Reason, words: &str, now: Duration) {
        let (broker, advice) = (self.settings.broker(), reason.advice());
        let seq = match cargo {
            Cargo::Message(seq) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                Some(seq)
            }
            Cargo::Status | Cargo::Direct => None,
        };
        let news = self.refusals.refused(reason, seq, now);
        match cargo {
            Cargo::Message(seq) if news => {
                warn!(%broker, seq, "the broker refuses a message: {words}; {advice}. It stays in the store and goes again later");
            }
            Cargo::Message(_) => {}
            Cargo::Status => {
                self.status_due = reason == Reason::Quota;
                warn!(%broker, "the broker refuses the status message: {words}; {advice}");
            }
            Cargo::Direct => {
                if reason == Reason::Quota {
                    self.directs.again();
                }
                if news {
                    warn!(%broker, "the broker refuses an answer or a retained message: {words}; {advice}");
                }
            }
        }
    }
}
