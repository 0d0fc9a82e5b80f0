//! One question on the line and all that may come back, whatever the protocol.

use super::port::{Piece, Port, PortError, Received};
use crate::clock::Clock;
use dlt645::Address;
use dlt645::exchange::{Event, Exchange as Dlt645, Outcome};
use std::time::Duration;

/// What passed on the line, for a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed<'a> {
    /// Octets that we sent.
    Sent(&'a [u8]),
    /// Octets that came.
    Came(&'a [u8]),
    /// An octet that came damaged.
    CameDamaged(u8),
}

/// Watches what passes on the line.
pub type Tap = Box<dyn FnMut(Passed<'_>) + Send>;

/// An active report (主动上报) of the asked meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActiveReport {
    /// The meter that reports.
    pub from: Address,
    /// Octets after the DI, after -33H.
    pub octets: Vec<u8>,
    /// When its first octet came, since the clock's origin.
    pub first_octet: Duration,
}

/// What happened beside the outcome, for counters, for events and for a person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Noted {
    /// Sound frames that answered another question.
    pub strays: u32,
    /// Frames with a bad checksum or a damaged octet.
    pub damaged: u32,
    /// Octets that were no frame.
    pub noise: usize,
    /// Octets that came, whatever they were.
    pub octets: usize,
    /// When the last of them came.
    pub last_octet: Option<Duration>,
    /// Our own request came back.
    pub echoed: bool,
    /// Active reports that the asked meter gave in place of its answer.
    pub active_reports: Vec<ActiveReport>,
}

impl Noted {
    /// Notes what came, shows it to the tap, and hands it on piece by piece.
    pub(super) fn came(
        &mut self,
        received: &Received,
        now: Duration,
        tap: &mut Option<Tap>,
        mut take: impl FnMut(Piece<'_>),
    ) {
        self.octets += received.octets().len();
        self.last_octet = Some(now);
        for piece in received.pieces() {
            if let Some(tap) = tap {
                tap(match piece {
                    Piece::Good(octets) => Passed::Came(octets),
                    Piece::Damaged(octet) => Passed::CameDamaged(octet),
                });
            }
            take(piece);
        }
    }

    /// Takes what an exchange tells; its outcome is given back.
    pub fn take(&mut self, event: Event) -> Option<Outcome> {
        match event {
            Event::Stray(_) => self.strays += 1,
            Event::Echo => self.echoed = true,
            Event::Noise(octets) => self.noise += octets,
            Event::Damaged => self.damaged += 1,
            Event::ActiveReport { from, octets, first_octet } => {
                self.active_reports.push(ActiveReport { from, octets, first_octet });
            }
            Event::Done(outcome) => return Some(outcome),
        }
        None
    }
}

/// Drives an exchange of DL/T 645 over the port until it is done. The port was drained before, so that an answer to an
/// earlier question is not there to be mistaken. What else happened stands in `noted`, whatever the end.
///
/// # Errors
/// The port is gone and must be opened again.
pub async fn dlt645(
    mut exchange: Dlt645,
    port: &mut Port,
    clock: &Clock,
    tap: &mut Option<Tap>,
    noted: &mut Noted,
) -> Result<Outcome, PortError> {
    let mut received = Received::default();
    loop {
        while let Some(event) = exchange.poll_event() {
            if let Some(outcome) = noted.take(event) {
                return Ok(outcome);
            }
        }
        if let Some(octets) = exchange.poll_transmit() {
            if let Some(tap) = tap {
                tap(Passed::Sent(&octets));
            }
            port.send(&octets).await?;
            continue;
        }
        // Without a deadline nothing would end the wait; the exchange always has one until it is done.
        let deadline = exchange.poll_timeout().map_or(Duration::ZERO, |(at, _)| at);
        received.clear();
        tokio::select! {
            biased;
            came = port.receive(&mut received) => {
                came?;
                let now = clock.elapsed();
                noted.came(&received, now, tap, |piece| match piece {
                    Piece::Good(octets) => exchange.handle_bytes(now, octets),
                    Piece::Damaged(octet) => exchange.handle_damaged(now, octet),
                });
                // A babbling line always has something to read: its deadline comes all the same.
                if now >= deadline {
                    exchange.handle_timeout(now);
                }
            }
            () = tokio::time::sleep_until(clock.instant(deadline)) => exchange.handle_timeout(clock.elapsed()),
        }
    }
}
