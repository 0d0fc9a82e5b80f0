//! A transparent serial server: octets over TCP, out to it.

use super::{PortError, Received};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A connection to a serial server.
#[derive(Debug)]
pub struct Tcp {
    stream: TcpStream,
}

/// The kernel's own limit is minutes; a serial server on a site's network answers in milliseconds.
const CONNECT: Duration = Duration::from_secs(5);

impl Tcp {
    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect((host, port)))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"))??;
        // A request is one small segment; it must not wait for an acknowledgement.
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    pub(super) fn drain(&mut self) -> Result<usize, PortError> {
        let mut drained = 0;
        let mut octets = [0; 512];
        loop {
            match self.stream.try_read(&mut octets) {
                Ok(0) => return Err(PortError::Gone),
                Ok(n) => drained += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(drained),
                Err(e) => return Err(e.into()),
            }
        }
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), PortError> {
        self.stream.write_all(octets).await?;
        Ok(())
    }

    pub(super) async fn receive(&mut self, into: &mut Received) -> Result<(), PortError> {
        let mut octets = [0; 512];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut octets) {
                Ok(0) => return Err(PortError::Gone),
                Ok(n) => {
                    into.push(&octets[..n]);
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
