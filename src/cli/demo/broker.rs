//! A broker on loopback for the demo: rumqttd in a thread of its own.

use crate::clock::Clock;
use anyhow::{Context, bail};
use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// A broker that runs until the process ends: rumqttd cannot be asked to stop.
pub(super) struct Broker {
    /// Where it speaks MQTT 3.1.1.
    pub(super) v4: SocketAddr,
    /// Where it speaks MQTT 5.
    pub(super) v5: SocketAddr,
}

/// How long it may take until it listens.
const READY: Duration = Duration::from_secs(5);

impl Broker {
    /// Starts it on free ports and waits until it listens.
    pub(super) async fn start(clock: &Clock) -> anyhow::Result<Self> {
        let (v4, v5) = free()?;
        let config = Config {
            id: 0,
            router: RouterConfig {
                max_connections: 64,
                max_outgoing_packet_count: 200,
                max_segment_size: 4 * 1024 * 1024,
                max_segment_count: 4,
                ..RouterConfig::default()
            },
            v4: Some(server("v4", v4)),
            v5: Some(server("v5", v5)),
            ..Config::default()
        };
        let mut broker = rumqttd::Broker::new(config);
        std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
            if let Err(e) = broker.start() {
                tracing::error!("the demo's broker ended: {e}");
            }
        })?;
        let started = clock.elapsed();
        for at in [v4, v5] {
            while tokio::net::TcpStream::connect(at).await.is_err() {
                if clock.elapsed() - started > READY {
                    bail!("nothing listens on {at} after {} s", READY.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(Self { v4, v5 })
    }
}

/// Two ports that were free a moment ago, both held until both are known so that they differ.
fn free() -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1");
    let (one, other) = (bind()?, bind()?);
    Ok((one.local_addr()?, other.local_addr()?))
}

fn server(name: &str, listen: SocketAddr) -> HashMap<String, ServerSettings> {
    let settings = ServerSettings {
        name: name.to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5000,
            max_payload_size: 256 * 1024,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    HashMap::from([(name.to_owned(), settings)])
}
