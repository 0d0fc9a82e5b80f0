//! A virtual line behind TCP, as a transparent serial server (串口服务器) has it.
//!
//! All clients share the one line: what any of them sends is heard by the meters, and every answer goes
//! to all. Two that ask at once disturb each other as they would there. It never frames or delays.

use super::listen::{Bound, ListenError};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

/// Pieces that clients sent and the line has not heard yet; when it is full, clients are read no further.
const HEARD: usize = 64;
/// Answers that a client has not taken yet; when it is full, that client loses its oldest.
const SAID: usize = 512;
/// Clients at once; a further one is turned away.
const CLIENTS: usize = 32;

/// A listening socket and its clients. Dropping it ends all of them.
#[derive(Debug)]
pub(super) struct Tcp {
    listener: TcpListener,
    at: SocketAddr,
    clients: JoinSet<()>,
    heard: mpsc::Receiver<Vec<u8>>,
    /// Cloned for each client; our own keeps `heard` open while there is none.
    hearing: mpsc::Sender<Vec<u8>>,
    said: broadcast::Sender<Vec<u8>>,
}

impl Tcp {
    pub(super) async fn bind(host: &str, port: u16) -> Result<Self, ListenError> {
        let no_socket = |error| ListenError::NoSocket { host: host.to_owned(), port, error };
        let listener = TcpListener::bind((host, port)).await.map_err(no_socket)?;
        let at = listener.local_addr().map_err(no_socket)?;
        let (hearing, heard) = mpsc::channel(HEARD);
        Ok(Self { listener, at, clients: JoinSet::new(), heard, hearing, said: broadcast::channel(SAID).0 })
    }

    pub(super) const fn port(&self) -> u16 {
        self.at.port()
    }

    pub(super) fn bound(&self) -> Bound {
        Bound::Tcp(self.at)
    }

    /// Waits for octets of any client, accepting clients meanwhile; loses none if it is dropped while it waits.
    pub(super) async fn hear(&mut self) -> io::Result<Vec<u8>> {
        loop {
            tokio::select! {
                Some(octets) = self.heard.recv() => return Ok(octets),
                Some(ended) = self.clients.join_next() => {
                    if let Err(e) = ended {
                        return Err(io::Error::other(e));
                    }
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if self.clients.len() < CLIENTS => {
                        self.clients.spawn(client(stream, self.hearing.clone(), self.said.subscribe()));
                    }
                    Ok(_) => tracing::warn!(clients = CLIENTS, "virtual line: one client too many was turned away"),
                    // A client that was gone before it was accepted; the listener itself is sound.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(e) => return Err(e),
                },
            }
        }
    }

    /// What speaks to all clients, also from another thread.
    pub(super) fn voice(&self) -> Voice {
        Voice(self.said.clone())
    }
}

/// The way out to all clients.
#[derive(Debug)]
pub(super) struct Voice(broadcast::Sender<Vec<u8>>);

impl Voice {
    /// Sends to all clients; without one it is lost, as on a line.
    pub(super) fn say(&self, octets: Vec<u8>) {
        // The only failure is that nobody listens.
        let _ = self.0.send(octets);
    }
}

/// One client until it closes, fails, or the line is gone.
async fn client(
    mut stream: TcpStream,
    hearing: mpsc::Sender<Vec<u8>>,
    mut said: broadcast::Receiver<Vec<u8>>,
) {
    // An answer is one segment; without this it may wait for the last one's receipt.
    let _ = stream.set_nodelay(true);
    let (mut from, mut to) = stream.split();
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    let octets = buffer.get(..n).unwrap_or_default().to_vec();
                    if hearing.send(octets).await.is_err() {
                        return;
                    }
                }
            },
            answer = said.recv() => match answer {
                Ok(octets) => if to.write_all(&octets).await.is_err() { return },
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "virtual line: a client does not take its answers");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}
