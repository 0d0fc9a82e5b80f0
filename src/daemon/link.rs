//! The MQTT session, which ends and begins anew when its settings change.

use crate::clock::Clock;
use crate::config::Plan;
use crate::mqtt::{self, Counters, Settings, Status, Ways};
use crate::store;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A session at work.
#[derive(Debug)]
pub(super) struct Link {
    settings: Settings,
    stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<Ways>,
}

/// What a session begins with.
pub(super) enum Before {
    /// It is the first.
    None(Ways),
    /// That one says farewell first: both have one name at the broker.
    Link(Box<Link>),
}

impl From<Ways> for Before {
    fn from(ways: Ways) -> Self {
        Self::None(ways)
    }
}

/// Starts a session behind what was `before`.
pub(super) fn open(
    plan: &Plan,
    store: &store::Handle,
    clock: &Clock,
    status: watch::Receiver<Status>,
    sent: &Arc<Counters>,
    before: Before,
) -> Link {
    let settings = Settings::of(plan);
    let (stop, stopped) = watch::channel(false);
    if let Before::Link(before) = &before {
        before.stop();
    }
    let (of, store, clock, sent) = (settings.clone(), store.clone(), clock.clone(), Arc::clone(sent));
    let subscribe = super::office::subscriptions(plan);
    let task = tokio::spawn(async move {
        let mut ways = match before {
            Before::None(ways) => ways,
            Before::Link(link) => link.task.await.unwrap_or_else(|died| {
                super::joined("session", Err(died));
                Ways::none()
            }),
        };
        ways.subscribe = subscribe;
        mqtt::session::run(of, store, clock, status, &mut ways, sent, stopped).await;
        ways
    });
    Link { settings, stop, task }
}

impl Link {
    /// Whether a session for this plan would be another one.
    pub(super) fn differs_from(&self, plan: &Plan) -> bool {
        self.settings != Settings::of(plan)
    }

    /// Tells it to say farewell.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}
