//! The orderly end of a connection.

use super::conversation::{Conversation, End};
use crate::mqtt::connection::{Event, Events};
use crate::mqtt::payload::{self, Digits};
use crate::mqtt::status::{Offline, StatusMessage};
use std::time::Duration;
use tracing::warn;

/// How long a farewell may take. After it the connection is cut, and the last will speaks for us.
const FAREWELL: Duration = Duration::from_secs(3);

impl Conversation<'_> {
    /// Says offline, waits for receipts, and disconnects; if that takes too long, it is cut short.
    pub(super) async fn farewell(&mut self, events: &mut Events) -> Result<(), End> {
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
