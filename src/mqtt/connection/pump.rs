//! What moves a connection: all that is ready leaves in one write, and all that came is taken from one read.

use super::prompt::Prompt;
use super::{CONNECT_TIMEOUT, Event, Fault, Publish, REQUESTS, of_system, of_tls};
use crate::mqtt::session::{Direct, Qos};
use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

/// Room for what is read at once: a window of receipts fits it.
const READ: usize = 4096;
/// No more packets are written into a buffer that has so many octets already; the socket is slower than we are.
const FULL: usize = 256 * 1024;

/// What is asked of a connection.
#[derive(Debug)]
pub(super) enum Ask {
    /// Of the store: with QoS 1, retained or not.
    Publish(Publish, bool),
    /// Not of the store.
    Direct(Direct),
    /// To what this filter lets through, with this QoS at most.
    Subscribe(String, Qos),
    /// A sign of life.
    Ping,
    Disconnect,
}

/// A version of the protocol: octets of packets, and what is remembered from one to the next. No I/O.
pub(super) trait Wire {
    /// Writes CONNECT.
    fn hello(&mut self, out: &mut BytesMut) -> Result<(), Fault>;

    /// Writes what was asked for.
    fn send(&mut self, ask: Ask, out: &mut BytesMut) -> Result<(), Fault>;

    /// Takes the packet at the front of `read`, and writes what answers it; false if it is not all there yet.
    fn receive(&mut self, read: &mut BytesMut, out: &mut BytesMut) -> Result<bool, Fault>;

    /// What happened by these, oldest first; none when all was told.
    fn event(&mut self) -> Option<Event>;

    /// How often the other side expects a sign of life. Known with CONNACK.
    fn keep_alive(&self) -> Duration;
}

/// Whom to connect to.
#[derive(Debug)]
pub(super) struct Broker {
    /// A name, or an address; one of IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Connects and serves until the first fault, which is told; then it waits to be dropped.
pub(super) async fn pump(
    mut wire: impl Wire,
    to: Broker,
    mut asks: mpsc::Receiver<Ask>,
    events: mpsc::Sender<Event>,
) -> Infallible {
    let fault = match serve(&mut wire, to, &mut asks, &events).await {
        Ok(never) => match never {},
        Err(fault) => fault,
    };
    // Whoever listened may be gone.
    let _ = events.send(Event::Fault(fault)).await;
    std::future::pending().await
}

async fn serve(
    wire: &mut impl Wire,
    Broker { host, port, tls }: Broker,
    asks: &mut mpsc::Receiver<Ask>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Fault> {
    match tls {
        None => talk(connect(&host, port), wire, asks, events).await,
        Some(config) => {
            let secured = async {
                let stream = connect(&host, port).await?;
                let name = ServerName::try_from(host).map_err(|error| Fault::Tls(error.to_string()))?;
                TlsConnector::from(config).connect(name, stream).await.map_err(lost)
            };
            talk(secured, wire, asks, events).await
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<Prompt, Fault> {
    let stream = TcpStream::connect((host, port)).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(Prompt::of(stream))
}

/// From the first octet to the end.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: impl Future<Output = Result<S, Fault>>,
    wire: &mut impl Wire,
    asks: &mut mpsc::Receiver<Ask>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Fault> {
    let mut buffers = Buffers::default();
    let greeted = timeout(CONNECT_TIMEOUT, async {
        let mut stream = stream.await?;
        greet(&mut stream, wire, &mut buffers).await?;
        Ok::<_, Fault>(stream)
    });
    let stream = greeted.await.map_err(|_| Fault::Silent)??;
    converse(stream, wire, buffers, asks, events).await
}

/// What was read and not understood yet, and what was written and has not left.
#[derive(Debug, Default)]
struct Buffers {
    read: BytesMut,
    out: BytesMut,
}

/// From CONNECT to CONNACK.
async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    wire: &mut impl Wire,
    Buffers { read, out }: &mut Buffers,
) -> Result<(), Fault> {
    wire.hello(out)?;
    stream.write_all_buf(out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    while !wire.receive(read, out)? {
        take(stream, read).await?;
    }
    Ok(())
}

/// From CONNACK to the end.
async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    wire: &mut impl Wire,
    Buffers { mut read, mut out }: Buffers,
    asks: &mut mpsc::Receiver<Ask>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Fault> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut alive = interval(wire.keep_alive());
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one would be at once.
    alive.reset();
    let mut asked = Vec::with_capacity(REQUESTS);
    // TLS may hold what it has taken until it is flushed.
    let mut is_held = false;
    loop {
        while wire.receive(&mut read, &mut out)? {}
        while let Some(event) = wire.event() {
            if events.send(event).await.is_err() {
                return std::future::pending().await;
            }
        }
        // Each of them may be cut off by another without a loss.
        tokio::select! {
            biased;
            count = asks.recv_many(&mut asked, REQUESTS), if out.len() < FULL => {
                if count == 0 {
                    return std::future::pending().await;
                }
                let is_last = asked.iter().any(|ask| matches!(ask, Ask::Disconnect));
                for ask in asked.drain(..) {
                    wire.send(ask, &mut out)?;
                }
                if is_last {
                    // It has left when it is told of.
                    writer.write_all_buf(&mut out).await.map_err(lost)?;
                    writer.flush().await.map_err(lost)?;
                }
            }
            given = give(&mut writer, &mut out, &mut is_held), if is_held || !out.is_empty() => given?,
            taken = take(&mut reader, &mut read) => taken?,
            _ = alive.tick() => wire.send(Ask::Ping, &mut out)?,
        }
    }
}

/// Writes what there is room for, and sees to it that it leaves.
async fn give(
    to: &mut (impl AsyncWrite + Unpin),
    out: &mut BytesMut,
    is_held: &mut bool,
) -> Result<(), Fault> {
    if !out.is_empty() {
        to.write_buf(out).await.map_err(lost)?;
        *is_held = true;
    }
    if out.is_empty() {
        to.flush().await.map_err(lost)?;
        *is_held = false;
    }
    Ok(())
}

/// Reads what is there, at least an octet.
async fn take(from: &mut (impl AsyncRead + Unpin), read: &mut BytesMut) -> Result<(), Fault> {
    read.reserve(READ);
    match from.read_buf(read).await {
        Ok(0) => Err(Fault::Lost("the broker closed the connection".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(lost(error)),
    }
}

fn lost(error: io::Error) -> Fault {
    of_tls(&error).unwrap_or_else(|| Fault::Lost(of_system(&error)))
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
