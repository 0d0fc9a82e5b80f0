//! An open line and the manners on it: the pause before a request, the deadline, the one retry.
//!
//! It never decides what to ask; the bus task and `meterd read` do.

mod modbus;
mod raw;

use super::exchange::{self, ActiveReport, Noted, Tap};
use super::noise::{GLITCH, Noise, Turn};
use super::port::{Opener, Port, PortError, Received};
use super::visit::Question;
use crate::clock::Clock;
use crate::config::Protocol;
use crate::planner::Line;
use crate::reading::Reason;
use ::modbus::{Exception, UnitId};
use catalogue::Identifier;
use dlt645::exchange::{Exchange as Dlt645, Failure as NoAnswer, Outcome, Timing};
use dlt645::pdu::{Count, RecordTime, Request};
use dlt645::{Address, Di, ErrorWord};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How patient the reader is with one question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From the end of the request to the first octet of the answer, at most.
    pub first_octet: Duration,
    /// The same when it is asked again.
    pub again: Duration,
    /// How often a question is asked again when no answer came.
    pub retries: u32,
    /// Silence on the line before a request.
    pub turnaround: Duration,
}

impl Patience {
    /// A question asked again when no answer came, as a rule.
    pub const RETRIES: u32 = 1;
}

/// Who is asked, and how the line is set for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// What it speaks, with its address.
    pub protocol: Protocol,
    /// Its rate and character.
    pub line: Line,
    /// FE octets before a request.
    pub preamble: u8,
}

/// Why nothing came of what was due when the daemon ended, or a new configuration ended the bus.
pub(super) const STOPPED: &str = "the bus was stopped";
/// Why a question is not put to a meter.
const OTHER_PROTOCOL: &str = "the meter speaks another protocol than the register is of";
/// So many octets and still more at the deadline: somebody talks without end.
const BABBLE: usize = 64;
/// Octets are still coming if the last one came so shortly before the deadline, the port's latency beside it.
const STILL: Duration = Duration::from_millis(50);
/// Silence after the rate of a line was switched: the other meters heard garbage. One that took it for the head of a
/// frame forgets it after 500 ms (Tb), which the wait for the first answer lasts, so the second try finds it ready.
const SWITCHED: Duration = Duration::from_millis(50);

/// A line that is talked on.
pub struct Talk {
    opener: Opener,
    /// How the port is set.
    line: Line,
    clock: Clock,
    port: Option<Port>,
    tap: Option<Tap>,
    quiet_since: Duration,
    /// The rate was switched and nothing was asked since.
    switched: bool,
    /// Of the exchange under way: it may be broken off.
    noted: Noted,
    reports: Vec<Report>,
    noise: Noise,
    turn: Option<Turn>,
    /// Of which questions to Modbus meters an answer may still come.
    open: BTreeMap<UnitId, modbus::Open>,
}

/// One try of a question.
struct Once {
    outcome: Outcome,
    noted: Noted,
    /// When the request was out on the wire.
    sent: Duration,
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
    /// From the end of the request to the first octet; of a late answer, from the end of the request that it
    /// must have been the answer to.
    pub delay: Duration,
    /// How often it was asked.
    pub tries: u32,
    /// What else passed.
    pub noted: Noted,
}

/// An active report (主动上报) that the asked meter gave in place of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The meter that reports.
    pub from: Address,
    /// Octets after the DI, after -33H.
    pub octets: Vec<u8>,
    /// The instant of its first octet.
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
    /// The exception of a Modbus meter's refusal.
    pub exception: Option<Exception>,
    /// Octets came and never a sound frame: a matter of baud or parity rather than of the meter.
    pub never_a_frame: bool,
    /// Octets came and came, up to the deadline: somebody talks without end.
    pub jammed: bool,
    /// How often it was asked.
    pub tries: u32,
    /// What else passed at the last try.
    pub noted: Noted,
}

impl NoReply {
    /// Nothing was asked, or nobody waited for what came.
    pub fn of(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            word: None,
            exception: None,
            never_a_frame: false,
            jammed: false,
            tries: 0,
            noted: Noted::default(),
        }
    }

    /// Whether the meter said that it has no such data.
    pub fn lacks(&self) -> bool {
        self.word.is_some_and(|word| word.no_requested_data()) || self.exception.is_some_and(Exception::lacks)
    }

    /// The daemon ended before an answer came.
    pub fn stopped() -> Self {
        Self::of(Reason::Expired, STOPPED)
    }

    fn port(error: &PortError) -> Self {
        Self::of(Reason::PortGone, error.to_string())
    }
}

impl Talk {
    /// A line that is opened when it is first needed.
    pub fn new(opener: Opener, line: Line, clock: Clock) -> Self {
        Self {
            opener,
            line,
            clock,
            port: None,
            tap: None,
            quiet_since: Duration::ZERO,
            switched: false,
            noted: Noted::default(),
            reports: Vec::new(),
            noise: Noise::default(),
            turn: None,
            open: BTreeMap::new(),
        }
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

    /// Has the line at these settings and quiet, so that the next request goes out at its time. A port that cannot be had
    /// is found out then.
    pub async fn prepare(&mut self, line: Line) {
        if let Err(error) = self.ready(line, SWITCHED).await {
            tracing::debug!(%error, "the line could not be prepared");
        }
    }

    /// How long nothing passed on the line, as far as was listened.
    pub fn quiet_for(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.quiet_since)
    }

    /// Closes the port, so that the next question opens it again.
    pub fn close(&mut self) {
        self.port = None;
    }

    /// Puts the question of a visit, again if no answer came.
    ///
    /// # Errors
    /// As [`Talk::read`].
    pub async fn put(
        &mut self,
        asked: Asked,
        question: Question,
        patience: Patience,
    ) -> Result<Answer, NoReply> {
        match question {
            Question::Read(id) => self.read(asked, id, patience).await,
            Question::Records(di, count, from) => self.read_records(asked, (di, count, from), patience).await,
        }
    }

    /// Asks a meter for one identifier, again if no answer came.
    ///
    /// # Errors
    /// Why there is no answer; after [`Reason::PortGone`] the port is closed.
    pub async fn read(
        &mut self,
        asked: Asked,
        id: Identifier,
        patience: Patience,
    ) -> Result<Answer, NoReply> {
        match (asked.protocol, id) {
            (Protocol::Dlt645_1997(address) | Protocol::Dlt645_2007(address), Identifier::Di(di)) => {
                self.ask(Request::Read { address, di }, asked, patience).await
            }
            (Protocol::ModbusRtu(unit) | Protocol::ModbusTcp(unit), Identifier::Modbus(span)) => {
                self.ask_registers(unit, span, asked, patience).await
            }
            (Protocol::Dlt645_1997(_) | Protocol::Dlt645_2007(_), Identifier::Modbus(_))
            | (Protocol::ModbusRtu(_) | Protocol::ModbusTcp(_), Identifier::Di(_)) => {
                Err(NoReply::of(Reason::Refused, OTHER_PROTOCOL))
            }
        }
    }

    /// Asks a meter of 2007 for load records: the earliest, those from a time, or the latest, as the identifier says.
    /// The address is that of `asked`.
    ///
    /// # Errors
    /// As [`Talk::read`].
    pub async fn read_records(
        &mut self,
        asked: Asked,
        (di, count, from): (Di, Count, Option<RecordTime>),
        patience: Patience,
    ) -> Result<Answer, NoReply> {
        let Some(address) = asked.protocol.dlt645_address() else {
            return Err(NoReply::of(Reason::Refused, OTHER_PROTOCOL));
        };
        self.ask(Request::ReadRecords { address, di, count, from }, asked, patience).await
    }

    /// Asks whoever is on the line for its address (13H); of use where one meter is on it. The address of `asked` is
    /// not used.
    ///
    /// # Errors
    /// As [`Talk::read`].
    pub async fn read_address(&mut self, asked: Asked, patience: Patience) -> Result<Answer, NoReply> {
        self.ask(Request::ReadAddress, asked, patience).await
    }

    /// Active reports (主动上报) that asked meters gave in place of an answer since this was last called; also in an
    /// exchange that was broken off.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.note_reports();
        std::mem::take(&mut self.reports)
    }

    fn note_reports(&mut self) {
        for ActiveReport { from, octets, first_octet } in std::mem::take(&mut self.noted.active_reports) {
            self.reports.push(Report { from, octets, taken_at: self.wall(first_octet) });
        }
    }

    /// Whether the line damages so much that what looks sound may be damaged too.
    pub fn is_noisy(&self) -> bool {
        self.noise.is_noisy()
    }

    /// What has become of the line's noise since this was last called.
    pub const fn take_turn(&mut self) -> Option<Turn> {
        self.turn.take()
    }

    /// Throws away what comes until the line was silent for `quiet`, for `limit` at most. True if it was.
    ///
    /// # Errors
    /// The port is gone, and closed.
    pub async fn listen(&mut self, quiet: Duration, limit: Duration) -> Result<bool, PortError> {
        self.open().await?;
        let Some(port) = self.port.as_mut() else { return Err(PortError::Gone) };
        let mut received = Received::default();
        let began = self.clock.elapsed();
        let mut last = began;
        loop {
            let until = (last + quiet).min(began + limit);
            received.clear();
            tokio::select! {
                biased;
                came = port.receive(&mut received) => if let Err(e) = came {
                    self.port = None;
                    return Err(e);
                },
                () = tokio::time::sleep_until(self.clock.instant(until)) => {}
            }
            let now = self.clock.elapsed();
            if !received.is_empty() {
                last = now;
                self.quiet_since = now;
            }
            if now >= last + quiet {
                return Ok(true);
            }
            if now >= began + limit {
                return Ok(false);
            }
        }
    }

    async fn ask(&mut self, request: Request, asked: Asked, patience: Patience) -> Result<Answer, NoReply> {
        let came = self.tries(request, asked, patience).await;
        let is_answered = came.as_ref().map_or_else(|none| none.reason == Reason::Refused, |_| true);
        self.turn = self.noise.over(is_answered).or(self.turn);
        came
    }

    async fn tries(&mut self, request: Request, asked: Asked, patience: Patience) -> Result<Answer, NoReply> {
        let mut tries = 0;
        let mut asked_before = None;
        loop {
            tries += 1;
            let first_octet = if tries == 1 { patience.first_octet } else { patience.again };
            let once = self.once(request.clone(), asked, first_octet, patience.turnaround).await?;
            let Once { outcome, noted, sent } = once;
            self.noise.heard(&outcome, &noted);
            // What begins before the request is out answers the one before it, which was the same.
            let delay = |first: Duration| {
                first.checked_sub(sent).or_else(|| first.checked_sub(asked_before?)).unwrap_or_default()
            };
            let no_answer = match outcome {
                Outcome::Data { from, octets, first_octet, .. } => {
                    let (taken_at, delay) = (self.wall(first_octet), delay(first_octet));
                    return Ok(Answer { from, octets, taken_at, delay, tries, noted });
                }
                Outcome::Address { address, first_octet } => {
                    let (taken_at, delay) = (self.wall(first_octet), delay(first_octet));
                    let octets = address.to_wire().to_vec();
                    return Ok(Answer { from: address, octets, taken_at, delay, tries, noted });
                }
                Outcome::Refused(word) => {
                    let refused = NoReply::of(Reason::Refused, word.to_string());
                    return Err(NoReply { word: Some(word), tries, noted, ..refused });
                }
                Outcome::Failed(no_answer) => no_answer,
                // Only reads of one meter are asked here; neither ends one.
                Outcome::Done { .. } => NoAnswer::Stray,
                Outcome::Sent => NoAnswer::Silent,
            };
            tracing::debug!(%tries, ?request, ?no_answer, ?noted, "no answer");
            let jammed = self.is_jammed(no_answer, &noted);
            if jammed || tries > patience.retries {
                let said = self.say(no_answer, &noted, tries);
                return Err(NoReply { jammed, tries, noted, ..said });
            }
            asked_before = Some(sent);
        }
    }

    /// Whether octets that are no frames were still coming when the exchange ended.
    fn is_jammed(&self, no_answer: NoAnswer, noted: &Noted) -> bool {
        let latency = self.port.as_ref().map_or(Duration::ZERO, Port::latency);
        let still = noted.last_octet.is_some_and(|at| self.clock.elapsed() <= at + STILL + latency);
        matches!(no_answer, NoAnswer::Damaged { octets, .. } if octets >= BABBLE) && still
    }

    async fn once(
        &mut self,
        request: Request,
        asked: Asked,
        first_octet: Duration,
        turnaround: Duration,
    ) -> Result<Once, NoReply> {
        self.ready_anew(asked.line, turnaround).await?;
        let Some(port) = self.port.as_mut() else { return Err(NoReply::port(&PortError::Gone)) };
        let octet = self.line.octets(1);
        let timing = Timing {
            octet,
            first_octet: first_octet + port.latency(),
            slack: port.latency(),
            preamble: asked.preamble,
        };
        let now = self.clock.elapsed();
        let length = usize::from(asked.preamble) + request.frame_len();
        let sent = now + octet * u32::try_from(length).unwrap_or(u32::MAX);
        let exchange = Dlt645::new(request, timing, now);
        self.noted = Noted::default();
        let result = exchange::dlt645(exchange, port, &self.clock, &mut self.tap, &mut self.noted).await;
        self.quiet_since = self.clock.elapsed();
        self.note_reports();
        let noted = std::mem::take(&mut self.noted);
        match result {
            Ok(outcome) => Ok(Once { outcome, noted, sent }),
            Err(e) => Err(self.lost(&e)),
        }
    }

    /// Makes the port ready; what has ended while nothing was asked costs no question: it is opened anew at once.
    async fn ready_anew(&mut self, line: Line, turnaround: Duration) -> Result<(), NoReply> {
        let was_open = self.port.is_some();
        let mut ready = self.ready(line, turnaround).await;
        if let Err(ended) = &ready
            && was_open
        {
            tracing::info!(%ended, "the port is opened anew");
            self.port = None;
            ready = self.ready(line, turnaround).await;
        }
        ready.map_err(|e| self.lost(&e))
    }

    /// Makes the port ready for a request: open, at this rate, after the pause, and with nothing on it that came
    /// unasked.
    async fn ready(&mut self, line: Line, turnaround: Duration) -> Result<(), PortError> {
        self.open().await?;
        let Some(port) = self.port.as_mut() else { return Err(PortError::Gone) };
        if line != self.line {
            self.line = line;
            self.switched = true;
            port.set_line(line)?;
        }
        let pause = if self.switched { turnaround.max(SWITCHED) } else { turnaround };
        let due = self.quiet_since + pause;
        if due > self.clock.elapsed() {
            tokio::time::sleep_until(self.clock.instant(due)).await;
        }
        port.drain()?;
        self.switched = false;
        Ok(())
    }

    fn lost(&mut self, error: &PortError) -> NoReply {
        self.port = None;
        NoReply::port(error)
    }

    fn say(&self, no_answer: NoAnswer, noted: &Noted, tries: u32) -> NoReply {
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
        NoReply { never_a_frame, ..NoReply::of(reason, detail) }
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
