//! What the library alone can deliver: payloads that are in memory, and each receipt counted.

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use std::time::{Duration, Instant};

/// Packets that may wait for the library, as in the daemon.
const REQUESTS: usize = 128;
const LARGEST: u32 = 1 << 20;

/// Publishes all of them with QoS 1, up to `window` in flight, until the broker has signed for each.
pub(crate) async fn deliver(port: u16, window: u16, messages: Vec<(String, Bytes)>) -> Duration {
    let mut options = MqttOptions::new("bare", "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(window).set_max_packet_size(Some(LARGEST));
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    while !matches!(events.poll().await.expect("the broker is up"), Event::Incoming(Incoming::ConnAck(_))) {}
    let count = messages.len();
    let begin = Instant::now();
    let publishing = tokio::spawn(async move {
        for (topic, payload) in messages {
            client.publish(topic, QoS::AtLeastOnce, false, payload).await.expect("the queue is open");
        }
        client
    });
    let mut signed = 0;
    while signed < count {
        let event = events.poll().await.expect("the broker is up");
        signed += usize::from(matches!(event, Event::Incoming(Incoming::PubAck(_))));
    }
    let took = begin.elapsed();
    publishing.await.expect("all were handed over");
    took
}
