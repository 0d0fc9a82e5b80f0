//! One connection's worth of the session: from CONNACK to the first fault, or to an orderly farewell.

use super::outage::Outage;
use super::window::{Cargo, Unknown, Window};
use super::{Counters, Settings, WINDOW, stopped};
use crate::clock::Clock;
use crate::mqtt::connection::{Client, Event, Events, Fault, Publish};
use crate::mqtt::payload::{self, Digits};
use crate::mqtt::status::{Offline, Status, StatusMessage};
use crate::store::{self, Closed, Pending};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Messages asked of the store at a time.
const BATCH: usize = WINDOW as usize;
/// How long a farewell may take. After it the connection is cut, and the last will speaks for us.
const FAREWELL: Duration = Duration::from_secs(3);
/// A connection that lasted this long was of use. Two gateways with one name throw each other out sooner.
const LASTED: Duration = Duration::from_secs(30);
/// Room for a packet's header and properties beside topic and payload.
const HEADER: usize = 16;

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
    /// The broker refused a message; the rest was signed for.
    #[error("the broker refused a message: {0}")]
    Refused(String),
    /// The library and the window disagree.
    #[error("{0}")]
    Unknown(#[from] Unknown),
}

/// A question to the store on its way.
type Asked = Pin<Box<dyn Future<Output = Result<Vec<Pending>, Closed>> + Send>>;

/// The answer to it; waits for ever if nothing was asked.
async fn arrived(asked: &mut Option<Asked>) -> Result<Vec<Pending>, Closed> {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

pub(super) struct Conversation<'a> {
    settings: &'a Settings,
    store: &'a store::Handle,
    clock: &'a Clock,
    status: watch::Receiver<Status>,
    counters: &'a Counters,
    outage: &'a mut Outage,
    client: Client,
    window: Window,
    /// Taken from the store and not yet handed to the connection; at most a batch.
    ready: VecDeque<Pending>,
    /// The highest number handed to this connection.
    offered: u64,
    /// The store may have more than `offered` and what is `ready`.
    more: bool,
    /// A batch that the store was asked for.
    asked: Option<Asked>,
    /// What is newly committed.
    committed: watch::Receiver<u64>,
    /// When the broker took us in.
    begun: Option<Duration>,
    /// The same as it is published.
    since: String,
    /// The status is to be published.
    status_due: bool,
    max_packet: usize,
    /// The broker signed for something.
    signed_any: bool,
    /// The broker refused something: nothing more is sent, and the connection ends with the last receipt.
    refused: Option<String>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        store: &'a store::Handle,
        clock: &'a Clock,
        status: watch::Receiver<Status>,
        counters: &'a Counters,
        outage: &'a mut Outage,
        client: Client,
    ) -> Self {
        Self {
            settings,
            store,
            clock,
            status,
            counters,
            outage,
            client,
            window: Window::new(1),
            ready: VecDeque::new(),
            offered: 0,
            more: true,
            asked: None,
            committed: store.committed(),
            begun: None,
            since: String::new(),
            status_due: true,
            max_packet: 0,
            signed_any: false,
            refused: None,
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
            if let Some(reason) = &self.refused {
                if self.window.is_empty() {
                    return Err(self.broken(Broken::Refused(reason.clone())));
                }
            } else {
                self.publish_status();
                self.publish_ready();
                self.ask_for_more();
            }
            let overdue = self.window.overdue_at(self.settings.ack_deadline);
            tokio::select! {
                event = events.recv() => self.handle(event, events).await?,
                batch = arrived(&mut self.asked) => {
                    self.asked = None;
                    self.ready = batch?.into();
                    self.more = self.ready.len() == BATCH;
                }
                changed = self.committed.changed(), if !self.more => {
                    changed.map_err(|_| End::StoreClosed)?;
                    self.more = true;
                }
                Ok(()) = self.status.changed() => self.status_due = true,
                () = tokio::time::sleep_until(self.clock.instant(overdue.unwrap_or_default())), if overdue.is_some() => {
                    return Err(self.broken(Broken::AckDeadline(self.settings.ack_deadline)));
                }
            }
        }
    }

    fn broken(&self, why: Broken) -> End {
        let lasted = self.begun.is_some_and(|begun| self.clock.elapsed().saturating_sub(begun) >= LASTED);
        End::Broken { why, useful: lasted && self.refused.is_none() }
    }

    /// The first event must be the broker's yes.
    fn begin(&mut self, event: Option<Event>) -> Result<(), End> {
        match event {
            Some(Event::Connected { receive_max, max_packet }) => {
                self.window = Window::new(usize::from(receive_max.min(WINDOW)));
                self.max_packet = max_packet;
                self.begun = Some(self.clock.elapsed());
                self.since = payload::instant(self.clock.now(), &self.settings.zone, Digits::Seconds);
                self.counters.connections.fetch_add(1, Ordering::Relaxed);
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
            let status = *self.status.borrow_and_update();
            let gateway = self.settings.gateway.as_str();
            let message = StatusMessage::online(gateway, self.store.id(), self.since.clone(), status);
            self.send_status(&message);
        }
    }

    fn send_status(&mut self, message: &StatusMessage) {
        let publish = Publish { topic: self.settings.status_topic(), payload: message.to_json() };
        match self.client.publish(publish, true) {
            Ok(()) => {
                self.window.queued(Cargo::Status, self.clock.elapsed());
                self.status_due = false;
            }
            Err(fault) => error!(broker = self.settings.broker(), "the status was not published: {fault}"),
        }
    }

    /// Hands messages to the connection while the window has room.
    fn publish_ready(&mut self) {
        while self.window.room() > 0 {
            let Some(pending) = self.ready.pop_front() else { break };
            self.offered = pending.seq;
            self.publish(pending);
        }
    }

    /// Asks the store for the next batch, once; its disk may be slow, and receipts are read meanwhile.
    fn ask_for_more(&mut self) {
        if self.more && self.ready.is_empty() && self.asked.is_none() {
            self.committed.mark_unchanged();
            let (store, after) = (self.store.clone(), self.offered);
            self.asked = Some(Box::pin(async move { store.offer(after, BATCH).await }));
        }
    }

    fn publish(&mut self, pending: Pending) {
        let Pending { seq, topic, body, retain } = pending;
        let payload = payload::compose(self.store.id(), seq, &body);
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
    async fn handle(&mut self, event: Option<Event>, events: &mut Events) -> Result<(), End> {
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
        }
        outcome
    }

    fn take(&mut self, event: Option<Event>, forget: &mut Vec<u64>) -> Result<(), End> {
        let now = self.clock.elapsed();
        match event {
            Some(Event::Sent(pkid)) => self.window.sent(pkid).map_err(|u| self.broken(u.into())),
            Some(Event::Signed(pkid)) => {
                let cargo = self.window.signed(pkid, now).map_err(|u| self.broken(u.into()))?;
                self.signed(now);
                match cargo {
                    Cargo::Message(seq) => forget.push(seq),
                    Cargo::Status => {}
                }
                Ok(())
            }
            Some(Event::Refused(pkid, reason)) => {
                let cargo = self.window.signed(pkid, now).map_err(|u| self.broken(u.into()))?;
                self.refuse(cargo, reason);
                Ok(())
            }
            Some(Event::Fault(fault)) => Err(self.broken(fault.into())),
            None => Err(self.broken(Fault::Silent.into())),
            Some(
                Event::Connected { .. } | Event::Received(_) | Event::NotSubscribed | Event::Disconnected,
            ) => Ok(()),
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

    fn refuse(&mut self, cargo: Cargo, reason: String) {
        let broker = self.settings.broker();
        match cargo {
            Cargo::Message(seq) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                if self.refused.is_none() {
                    warn!(%broker, seq, "the broker refuses a message: {reason}; it stays in the store and is sent again after reconnecting");
                }
            }
            Cargo::Status => warn!(%broker, "the broker refuses the status message: {reason}"),
        }
        self.refused.get_or_insert(reason);
    }

    /// Says offline, waits for receipts, and disconnects; if that takes too long, it is cut short.
    async fn farewell(&mut self, events: &mut Events) -> Result<(), End> {
        let left = tokio::time::timeout(FAREWELL, self.say_farewell(events)).await;
        match left {
            Ok(outcome) => outcome,
            Err(_) => {
                let (broker, unsigned) = (self.settings.broker(), self.window.len());
                warn!(%broker, unsigned, "the broker did not acknowledge in time; unsigned messages stay in the store");
                Ok(())
            }
        }
    }

    async fn say_farewell(&mut self, events: &mut Events) -> Result<(), End> {
        let now = payload::instant(self.clock.now(), &self.settings.zone, Digits::Seconds);
        let offline = StatusMessage::offline(self.settings.gateway.as_str(), Offline::Shutdown, Some(now));
        self.status_due = true;
        while self.status_due || !self.window.is_empty() {
            if self.status_due && self.window.room() > 0 {
                self.send_status(&offline);
            }
            let event = events.recv().await;
            self.handle(event, events).await?;
        }
        if self.client.disconnect().is_ok() {
            while !matches!(events.recv().await, Some(Event::Disconnected | Event::Fault(_)) | None) {}
        }
        Ok(())
    }
}
