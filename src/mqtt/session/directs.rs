//! What goes out beside the outbox on one connection: what the broker keeps, and answers.
//!
//! It shares the window with the outbox. While both wait, it gets a quarter of the places that are free,
//! and at least one in turn with the outbox: neither starves the other.

use super::conversation::Conversation;
use super::ways::{Direct, Qos, Retained, Ways};
use super::window::Cargo;
use tracing::{error, warn};

/// Share of the free places while the outbox waits too: one in so many.
const SHARE: usize = 4;

#[derive(Debug)]
pub(super) struct Directs {
    retained: Retained,
    /// An answer that waits for a place; others wait in their queue.
    answer: Option<Direct>,
    /// The last place went to one of them.
    had_last: bool,
    /// A subscription was refused, and this was said.
    not_subscribed: bool,
}

impl Directs {
    pub(super) fn new(ways: &mut Ways) -> Self {
        let retained = Retained::new(ways.retained.borrow_and_update().clone());
        Self { retained, answer: None, had_last: false, not_subscribed: false }
    }

    pub(super) const fn takes_answers(&self) -> bool {
        self.answer.is_none()
    }

    pub(super) fn answer(&mut self, direct: Direct) {
        self.answer = Some(direct);
    }

    /// The broker had no room for one: all that it is to keep is sent again.
    pub(super) fn again(&mut self) {
        self.retained.again();
    }

    /// Somebody waits for an answer: it goes first.
    fn next(&mut self) -> Option<Direct> {
        self.answer.take().or_else(|| self.retained.next())
    }

    /// How many of the free places they may take.
    fn places(&mut self, free: usize, outbox_waits: bool) -> usize {
        if !outbox_waits {
            return free;
        }
        // With one place at a time, in turn.
        let turn = !std::mem::take(&mut self.had_last);
        if free == 1 { usize::from(turn) } else { free.div_ceil(SHARE) }
    }
}

impl Conversation<'_> {
    pub(super) fn retained_changed(&mut self) {
        let now = self.ways.retained.borrow_and_update().clone();
        self.directs.retained.change(now);
    }

    pub(super) fn subscribe(&mut self) {
        for filter in &self.ways.subscribe {
            if let Err(fault) = self.client.subscribe(filter.clone(), Qos::AtLeastOnce) {
                error!(broker = self.settings.broker(), %filter, "not subscribed: {fault}");
            }
        }
    }

    pub(super) fn not_subscribed(&mut self) {
        if !std::mem::replace(&mut self.directs.not_subscribed, true) {
            let (broker, filters) = (self.settings.broker(), self.ways.subscribe.join(", "));
            warn!(%broker, %filters, "the broker refuses a subscription, no command will come by it; allow this user to read the topics there");
        }
    }

    pub(super) fn publish_directs(&mut self) {
        let places = self.directs.places(self.window.room(), self.feed.waits());
        for _ in 0..places {
            let Some(direct) = self.directs.next() else { return };
            self.send_direct(direct);
        }
    }

    fn send_direct(&mut self, direct: Direct) {
        let topic = direct.topic.clone();
        if let Err(fault) = self.client.send(direct) {
            error!(broker = self.settings.broker(), %topic, "a message is dropped: {fault}");
            return;
        }
        self.directs.had_last = true;
        self.window.queued(Cargo::Direct, self.clock.elapsed());
    }
}
