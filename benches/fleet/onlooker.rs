//! A subscriber to all data, in a thread of its own: what reached the broker is what counts.

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// What has come so far.
#[derive(Debug, Default)]
struct Tally {
    messages: AtomicU64,
    readings: AtomicU64,
    failures: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Came {
    pub(crate) messages: u64,
    pub(crate) readings: u64,
    pub(crate) failures: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Onlooker(Arc<Tally>);

impl Onlooker {
    /// Subscribes; returns when the broker has confirmed it. It listens until the process ends.
    pub(crate) fn of(port: u16) -> Self {
        let tally = Arc::new(Tally::default());
        let (subscribed, confirmed) = mpsc::channel();
        let counted = Arc::clone(&tally);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(listen(port, &counted, &subscribed));
        });
        confirmed.recv().expect("the broker takes a subscription");
        Self(tally)
    }

    pub(crate) fn came(&self) -> Came {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { messages, readings, failures } = &*self.0;
        Came { messages: read(messages), readings: read(readings), failures: read(failures) }
    }
}

impl Came {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            readings: self.readings - before.readings,
            failures: self.failures - before.failures,
        }
    }
}

async fn listen(port: u16, tally: &Tally, subscribed: &mpsc::Sender<()>) {
    let mut options = MqttOptions::new("fleet-onlooker", "127.0.0.1", port);
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut eventloop) = AsyncClient::new(options, 10);
    // QoS 0: a receipt for each message would be work for the broker that nobody else makes it do.
    client.try_subscribe("meterd/v1/+/meter/+/data/#", QoS::AtMostOnce).expect("the queue is empty");
    while let Ok(event) = eventloop.poll().await {
        match event {
            Event::Incoming(Incoming::SubAck(_)) => {
                // Whoever waited may have given up.
                let _ = subscribed.send(());
            }
            Event::Incoming(Incoming::Publish(message)) => {
                let text = String::from_utf8_lossy(&message.payload);
                let count = |key: &str| text.matches(key).count() as u64;
                tally.messages.fetch_add(1, Ordering::Relaxed);
                tally.readings.fetch_add(count("\"taken_at\":"), Ordering::Relaxed);
                tally.failures.fetch_add(count("\"reason\":"), Ordering::Relaxed);
            }
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}
