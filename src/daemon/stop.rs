//! The end of a daemon: within 5 s, with everything that was read on disk.

use super::{Running, joined, past};
use crate::mqtt;
use crate::store;
use crate::telemetry::Snapshot;
use std::time::Duration;
use tokio::time::timeout;

/// From the start of the end: when what the buses still have to say is to be on disk. An exchange has 1 s of it.
const POLLED: Duration = Duration::from_secs(2);
/// When the buses are left behind if the disk is too slow for what they say.
const LEFT: Duration = Duration::from_secs(3);
/// When the session is cut: its farewell takes 3 s at most.
const FAREWELL: Duration = Duration::from_millis(4200);
/// When the store is left behind, with what the disk has not taken.
const LAST: Duration = Duration::from_millis(4800);

impl Running {
    /// Stops the buses and waits until what they read is durable; delivery goes on.
    pub async fn stop_polling(&mut self) {
        self.polled().await;
        if let Err(store::Closed) = self.store.flush().await {
            tracing::error!("the store has ended before the daemon");
        }
    }

    /// Stops the buses and waits until the store has heard all that they say. May be dropped and called again.
    async fn polled(&mut self) {
        self.listening.stop();
        for line in self.buses.iter().chain(&self.ending) {
            line.stop();
        }
        // The collector ends with the last who could say something.
        self.ground = None;
        for lines in [&mut self.buses, &mut self.ending] {
            while let Some(line) = lines.last_mut() {
                joined("bus", (&mut line.task).await);
                lines.pop();
            }
        }
        self.listening.ended().await;
        if let Some(collector) = &mut self.collector {
            joined("collector", collector.await);
            self.collector = None;
        }
    }

    /// Ends everything, in the order of the readings' way; what was read is durable afterwards. It takes 5 s at most,
    /// whatever a line, the broker or the disk does; what the disk does not take by then is lost, and said.
    pub async fn stop(mut self) -> (Snapshot, mqtt::Counts) {
        let began = self.clock.elapsed();
        let clock = self.clock.clone();
        let until = |end: Duration| (began + end).saturating_sub(clock.elapsed());
        // Many last words, few commits.
        if self.store.ending().await.is_err() {
            tracing::error!("the store has ended before the daemon");
        }
        let is_durable = timeout(until(POLLED), self.stop_polling()).await.is_ok();
        let link = self.link.take();
        link.iter().for_each(|link| link.stop());
        if !is_durable {
            tracing::warn!("the disk is slow or refuses: what was read last is not on it yet");
            if timeout(until(LEFT), self.polled()).await.is_err() {
                tracing::error!("buses still have something to say that the store does not take");
            }
        }
        if let Some(mut link) = link {
            let patience = if is_durable { until(FAREWELL) } else { Duration::ZERO };
            match timeout(patience, &mut link.task).await {
                Ok(ended) => joined("session", ended.map(drop)),
                Err(_) => link.task.abort(),
            }
        }
        self.stop_judge.send_replace(true);
        joined("judge", self.judge.await);
        joined("herald", self.herald.await);
        // It ends with the last who has an event.
        if timeout(until(LAST), &mut self.teller).await.is_err() {
            tracing::error!("an event is lost: the store takes nothing, and the daemon is to end");
            self.teller.abort();
        }
        // It ends with the collector.
        if timeout(until(LAST), &mut self.announcer).await.is_err() {
            self.announcer.abort();
        }
        self.office.ended().await;
        // If it has ended already, its own word follows.
        let _ = timeout(until(LAST), self.store.close()).await;
        match timeout(until(LAST), self.writer).await {
            Ok(Ok(Ok(mut writer))) => {
                past::ended(&mut writer);
                writer.leave();
            }
            Ok(Ok(Err(lost))) => tracing::error!("{lost}"),
            Ok(Err(died)) => joined("store", Err(died)),
            Err(_) => tracing::error!("the disk did not take the last messages in time: they may be lost"),
        }
        (self.counts.now(), self.sent.counts())
    }
}
