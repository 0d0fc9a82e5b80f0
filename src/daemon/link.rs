//! The MQTT session, which ends and begins anew when its settings change.

use crate::clock::Clock;
use crate::config::Plan;
use crate::mqtt::{self, Counters, Settings, Status};
use crate::store;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A session at work.
#[derive(Debug)]
pub(super) struct Link {
    settings: Settings,
    stop: watch::Sender<bool>,
    pub(super) task: JoinHandle<()>,
}

/// Starts a session. Where one was `before`, that one says farewell first: both have one name at the broker.
pub(super) fn open(
    plan: &Plan,
    store: &store::Handle,
    clock: &Clock,
    status: watch::Receiver<Status>,
    sent: &Arc<Counters>,
    before: Option<Link>,
) -> Link {
    let settings = Settings::of(plan);
    let (stop, stopped) = watch::channel(false);
    if let Some(before) = &before {
        before.stop();
    }
    let (of, store, clock, sent) = (settings.clone(), store.clone(), clock.clone(), Arc::clone(sent));
    let task = tokio::spawn(async move {
        if let Some(before) = before {
            super::joined("session", before.task.await);
        }
        mqtt::session::run(of, store, clock, status, sent, stopped).await;
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
