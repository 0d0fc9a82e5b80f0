//! A line behind TCP: a transparent serial server that we connect to, or a DTU that has dialled in.
//!
//! A silent meter and a connection that is up at our side only look the same from above. The kernel
//! knows the difference: what a serial server's kernel got it acknowledges, whatever its meters do.

use super::dial_in::Turn;
use super::heartbeat::Heartbeats;
use super::{PortError, Received, ioctl};
use crate::config::PortSettings;
use rustix::io::Errno;
use rustix::net::sockopt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The kernel's own limit is minutes; a serial server on a site's network answers in milliseconds.
const CONNECT: Duration = Duration::from_secs(5);
/// Requests of which no octet was acknowledged when the time for their answers was over.
const UNHEARD: u32 = 3;
/// Between slots nothing is sent that could be acknowledged: the kernel asks after so much silence …
const PROBE: Duration = Duration::from_secs(15);
/// … and gives up when nothing has been acknowledged for so long.
const DEAD: Duration = Duration::from_secs(60);
/// Reads of what a new connection brings along.
const SETTLE: usize = 16;

/// A serial server that can be connected to, again and again.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    latency: Duration,
}

impl Server {
    pub(super) fn new(host: &str, port: u16, settings: &PortSettings) -> Self {
        Self { host: host.to_owned(), port, latency: settings.latency }
    }

    pub(super) async fn open(&self) -> Result<Tcp, PortError> {
        let failed = |source: io::Error| PortError::Open {
            address: format!("tcp://{}:{}", self.host, self.port),
            hint: hint(&source).to_owned(),
            source,
        };
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"))),
        };
        Tcp::settled(stream, self.latency, Heartbeats::new(Vec::new()), None).await
    }
}

fn hint(error: &io::Error) -> &'static str {
    let hints = [
        (io::ErrorKind::ConnectionRefused, " (does the serial server listen on this port?)"),
        (io::ErrorKind::TimedOut, " (is the serial server on, and the way to it open?)"),
        (io::ErrorKind::HostUnreachable, " (is the serial server on, and in this network?)"),
    ];
    hints.into_iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, hint)| hint)
}

/// What every connection of a line needs, whoever has made it.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // A request is one small segment; it must not wait for an acknowledgement.
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE)?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(DEAD.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

/// A connection behind which a line is.
#[derive(Debug)]
pub struct Tcp {
    stream: TcpStream,
    pub(super) latency: Duration,
    heartbeats: Heartbeats,
    /// Requests since the other side was last known to be there.
    unheard: u32,
    /// Of a DTU: whether it has dialled in again.
    turn: Option<Turn>,
}

impl Tcp {
    /// A connection from which everything has gone that was meant for an earlier one: a serial server
    /// hands over what it has kept as soon as somebody connects.
    pub(super) async fn settled(
        stream: TcpStream,
        latency: Duration,
        heartbeats: Heartbeats,
        turn: Option<Turn>,
    ) -> Result<Self, PortError> {
        prepare(&stream)?;
        let mut tcp = Self { stream, latency, heartbeats, unheard: 0, turn };
        for _ in 0..SETTLE {
            match tokio::time::timeout(latency / 4, tcp.stream.readable()).await {
                Ok(readable) => readable?,
                Err(_) => break,
            }
            let stale = tcp.drain()?;
            if stale > 0 {
                tracing::debug!(octets = stale, "octets from before the connection are dropped");
            }
        }
        Ok(tcp)
    }

    pub(super) fn drain(&mut self) -> Result<usize, PortError> {
        if self.turn.as_ref().is_some_and(Turn::is_over) {
            return Err(PortError::DialledInAgain);
        }
        let (mut drained, mut unasked) = (0, Vec::new());
        let mut octets = [0; 512];
        loop {
            // The kernel itself is asked: try_read() knows only what was there when the runtime last looked.
            match rustix::io::read(&self.stream, &mut octets) {
                Ok(0) => return Err(PortError::Gone),
                Ok(n) => {
                    drained += n;
                    self.heartbeats.take(octets.get(..n).unwrap_or_default(), &mut unasked);
                    unasked.clear();
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(e) => return Err(PortError::Io(e.into())),
            }
        }
        self.heartbeats.drain();
        if drained > 0 || (self.unheard > 0 && ioctl::unacknowledged(&self.stream)? == 0) {
            self.unheard = 0;
        }
        if self.unheard >= UNHEARD {
            return Err(PortError::HalfOpen { requests: self.unheard });
        }
        Ok(drained)
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), PortError> {
        self.stream.write_all(octets).await?;
        self.unheard += 1;
        Ok(())
    }

    pub(super) async fn receive(&mut self, into: &mut Received) -> Result<(), PortError> {
        let before = into.octets.len();
        let mut octets = [0; 512];
        while into.octets.len() == before {
            let holds = self.heartbeats.holds();
            tokio::select! {
                biased;
                () = over(&mut self.turn) => return Err(PortError::DialledInAgain),
                came = self.stream.read(&mut octets) => match came? {
                    0 => return Err(PortError::Gone),
                    n => {
                        self.unheard = 0;
                        self.heartbeats.take(octets.get(..n).unwrap_or_default(), &mut into.octets);
                    }
                },
                // What looks like a heartbeat's beginning cannot be kept from the line for long.
                () = lapse(self.latency / 2), if holds => self.heartbeats.give_up(&mut into.octets),
            }
        }
        Ok(())
    }
}

/// Sleeps, from when it is first waited for: a timer that nobody waits for costs nothing.
async fn lapse(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Comes when the DTU has dialled in again; never for a serial server.
async fn over(turn: &mut Option<Turn>) {
    match turn {
        Some(turn) => turn.over().await,
        None => std::future::pending().await,
    }
}
