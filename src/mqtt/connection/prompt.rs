//! A connection whose octets are acknowledged at once, and whose last words are heard.
//!
//! While our window is full nothing of ours leaves that could carry TCP's acknowledgement, and the kernel keeps it for
//! 40 ms; a broker that gathers small packets (Nagle, as mosquitto does) keeps its receipts for as long.
//!
//! A broker that will not have us says why and closes. Where we write then, writing fails before its word is read: what
//! is written from then on is let go, and the read side tells how the connection ended.

use std::io::{
    self,
    ErrorKind::{BrokenPipe, ConnectionReset},
};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A stream that asks for it after each read, since the kernel forgets it.
#[derive(Debug)]
pub(super) struct Prompt {
    stream: TcpStream,
    /// The other side takes nothing any more.
    is_shut: bool,
}

impl Prompt {
    pub(super) const fn of(stream: TcpStream) -> Self {
        Self { stream, is_shut: false }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.stream).poll_read(context, room);
        if came.is_ready() {
            // Without it the connection is slower, and nothing else.
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
        }
        came
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut {
            return Poll::Ready(Ok(octets.len()));
        }
        match Pin::new(&mut self.stream).poll_write(context, octets) {
            Poll::Ready(Err(e)) if matches!(e.kind(), BrokenPipe | ConnectionReset) => {
                self.is_shut = true;
                Poll::Ready(Ok(octets.len()))
            }
            written @ (Poll::Ready(_) | Poll::Pending) => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
