//! An open line and the manners on it: the pause before a request, the deadline, the one retry.
//!
//! It never decides what to ask; the bus task and `meterd read` do.

use super::exchange::{Exchange, Noted, Tap};
use super::port::{Opener, Port, PortError};
use crate::clock::Clock;
use crate::config::Protocol;
use crate::planner::{Costs, Line};
use crate::reading::Reason;
use dlt645::exchange::{Exchange as Dlt645, Failure as NoAnswer, Outcome, Timing};
use dlt645::pdu::Request;
use dlt645::{Address, Di, ErrorWord};
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// How patient the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From the end of the request to the first octet of the answer, at most.
    pub first_octet: Duration,
    /// How often a question is asked again when no answer came.
    pub retries: u32,
    /// Silence on the line before a request.
    pub turnaround: Duration,
}

impl Default for Patience {
    /// Td ≤ 500 ms (DL/T 645-2007 clause 5.3) and a margin, one retry, the usual 30 ms.
    fn default() -> Self {
        Self { first_octet: Duration::from_millis(550), retries: 1, turnaround: Duration::from_millis(30) }
    }
}

/// Octets that say nothing about rate and parity.
const GLITCH: usize = 2;

/// A line that is talked on.
pub struct Talk {
    opener: Opener,
    line: Line,
    clock: Clock,
    patience: Patience,
    port: Option<Port>,
    tap: Option<Tap>,
    quiet_since: Duration,
}

/// An answer that is to be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The meter that answered; of use where the question had wildcards.
    pub from: Address,
    /// Octets after the DI, after -33H.
    pub octets: Vec<u8>,
    /// The instant of the reply's first octet.
    pub taken_at: Timestamp,
}

/// Why a question has no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoReply {
    /// By the one list of words.
    pub reason: Reason,
    /// A sentence for a person.
    pub detail: String,
    /// The error word of a refusal.
    pub word: Option<ErrorWord>,
    /// Octets came and never a sound frame: a matter of baud or parity rather than of the meter.
    pub never_a_frame: bool,
}

impl NoReply {
    /// The daemon ended before an answer came.
    pub fn stopped() -> Self {
        Self {
            reason: Reason::Expired,
            detail: "the daemon was stopped".to_owned(),
            word: None,
            never_a_frame: false,
        }
    }

    fn port(error: &PortError) -> Self {
        Self { reason: Reason::PortGone, detail: error.to_string(), word: None, never_a_frame: false }
    }
}

impl Talk {
    /// A line that is opened when it is first needed.
    pub fn new(opener: Opener, line: Line, clock: Clock, patience: Patience) -> Self {
        Self { opener, line, clock, patience, port: None, tap: None, quiet_since: Duration::ZERO }
    }

    /// Shows everything that passes on the line to `tap`.
    pub fn watch(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// True while the port is open.
    pub const fn is_open(&self) -> bool {
        self.port.is_some()
    }

    /// Whether a port that failed is to be left alone for a while.
    pub const fn backs_off(&self) -> bool {
        self.opener.backs_off()
    }

    /// Opens the port if it is not.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub async fn open(&mut self) -> Result<(), PortError> {
        if self.port.is_none() {
            let mut port = self.opener.open(self.line).await?;
            port.set_line(self.line)?;
            self.port = Some(port);
        }
        Ok(())
    }

    /// Closes the port, so that the next question opens it again.
    pub fn close(&mut self) {
        self.port = None;
    }

    /// Asks a meter for one data identifier, again if no answer came.
    ///
    /// # Errors
    /// Why there is no answer; after [`Reason::PortGone`] the port is closed.
    pub async fn read(&mut self, protocol: Protocol, di: Di) -> Result<Answer, NoReply> {
        let request = match protocol {
            Protocol::Dlt645_1997(address) | Protocol::Dlt645_2007(address) => Request::Read { address, di },
        };
        self.ask(request).await
    }

    /// Asks whoever is on the line for its address (13H); of use where one meter is on it.
    ///
    /// # Errors
    /// As [`Talk::read`].
    pub async fn read_address(&mut self) -> Result<Answer, NoReply> {
        self.ask(Request::ReadAddress).await
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, NoReply> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (outcome, noted) = self.once(request.clone()).await?;
            let no_answer = match outcome {
                Outcome::Data { from, octets, first_octet, .. } => {
                    return Ok(Answer { from, octets, taken_at: self.wall(first_octet) });
                }
                Outcome::Address { address, first_octet } => {
                    let octets = address.to_wire().to_vec();
                    return Ok(Answer { from: address, octets, taken_at: self.wall(first_octet) });
                }
                Outcome::Refused(word) => {
                    let detail = word.to_string();
                    return Err(NoReply {
                        reason: Reason::Refused,
                        detail,
                        word: Some(word),
                        never_a_frame: false,
                    });
                }
                Outcome::Failed(no_answer) => no_answer,
                // Only reads of one meter are asked here; neither ends one.
                Outcome::Done { .. } => NoAnswer::Stray,
                Outcome::Sent => NoAnswer::Silent,
            };
            tracing::debug!(%tries, ?request, ?no_answer, ?noted, "no answer");
            if tries > self.patience.retries {
                return Err(self.say(no_answer, noted, tries));
            }
        }
    }

    async fn once(&mut self, request: Request) -> Result<(Outcome, Noted), NoReply> {
        // What has ended while nothing was asked costs no question: it is opened anew at once.
        if let Some(Err(ended)) = self.port.as_mut().map(Port::drain) {
            tracing::info!(%ended, "the port is opened anew");
            self.port = None;
        }
        self.open().await.map_err(|e| NoReply::port(&e))?;
        let due = self.clock.instant(self.quiet_since + self.patience.turnaround);
        tokio::time::sleep_until(due).await;
        let Some(port) = self.port.as_mut() else { return Err(NoReply::port(&PortError::Gone)) };
        let timing = Timing {
            octet: self.line.octets(1),
            first_octet: self.patience.first_octet + port.latency(),
            slack: port.latency(),
            preamble: Costs::usual(self.line).preamble,
        };
        let result = match port.drain() {
            Ok(_) => {
                let exchange = Exchange::Dlt645(Dlt645::new(request, timing, self.clock.elapsed()));
                exchange.drive(port, &self.clock, &mut self.tap).await
            }
            Err(e) => Err(e),
        };
        self.quiet_since = self.clock.elapsed();
        result.map_err(|e| {
            self.port = None;
            NoReply::port(&e)
        })
    }

    fn say(&self, no_answer: NoAnswer, noted: Noted, tries: u32) -> NoReply {
        let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
        let (reason, never_a_frame, detail) = match no_answer {
            NoAnswer::Silent => {
                let echo = if noted.echoed { "; the adapter echoes" } else { "" };
                (Reason::Silent, false, format!("no octet of an answer, asked {times}{echo}"))
            }
            NoAnswer::Stray => (
                Reason::Stray,
                false,
                format!("{} frame(s) came that answer another question, asked {times}", noted.strays),
            ),
            NoAnswer::Unfinished => (
                Reason::Damaged,
                false,
                format!("the meter announced follow-up frames and did not send them, asked {times}"),
            ),
            // One or two octets are a glitch on the pair, and what had the shape of a frame came at the
            // right rate; a wrong rate or parity makes many octets and no shape.
            NoAnswer::Damaged { octets, never_a_frame: true } if octets > GLITCH && noted.damaged == 0 => (
                Reason::Damaged,
                true,
                format!(
                    "{octets} octets came and never a frame, asked {times}: look at parity and baud ({})",
                    self.line
                ),
            ),
            NoAnswer::Damaged { octets, .. } => (
                Reason::Damaged,
                false,
                format!("{octets} octets came, no sound answer among them, asked {times}"),
            ),
        };
        NoReply { reason, detail, word: None, never_a_frame }
    }

    /// Wall time of a monotonic instant that is just past.
    fn wall(&self, elapsed: Duration) -> Timestamp {
        let ago = self.clock.elapsed().saturating_sub(elapsed);
        self.clock.now().saturating_sub(ago).unwrap_or(Timestamp::MIN)
    }
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk").field("opener", &self.opener).field("line", &self.line).finish_non_exhaustive()
    }
}
