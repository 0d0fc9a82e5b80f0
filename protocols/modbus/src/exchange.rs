//! One request and what comes back (一次抄读), without I/O: time is an argument, a duration since an origin of the caller's.
//!
//! An answer has no head of its own and does not say which registers it is of. So it is believed only if its CRC, its
//! unit, its function and its length are those of the question, and if it began after the question was out. Anything
//! else is stray or noise, and listening goes on until the deadline.

use crate::rtu::{Frame, Reply, Side, length};
use crate::tcp;
use crate::{Exception, Span, UnitId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

/// What is asked of whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Whom.
    pub unit: UnitId,
    /// Which registers.
    pub span: Span,
}

/// What carries the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Frames with a CRC.
    Rtu,
    /// Frames with a head.
    Tcp {
        /// By which the answer is known.
        transaction: u16,
    },
}

/// How long to wait for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// One character on the wire.
    pub octet: Duration,
    /// From the end of the request to the first octet of the answer, at most.
    pub first_octet: Duration,
    /// What the rest may take beyond its own air time (late octets of a serial server).
    pub slack: Duration,
    /// From the beginning of the request to the first octet of its answer, at least: what comes sooner answers an earlier
    /// one. On a line that is the request's own air time; where somebody else sends at a rate of his, zero.
    pub earliest: Duration,
}

/// How an exchange ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The registers that were asked for.
    Registers {
        /// In their order.
        words: Vec<u16>,
        /// When the answer's first octet came.
        first_octet: Duration,
    },
    /// The meter refused.
    Refused(Exception),
    /// There is no answer.
    Failed(NoAnswer),
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoAnswer {
    /// Nothing came.
    Silent,
    /// Sound frames came that answer another question.
    Stray,
    /// Octets came and no sound frame among them.
    Damaged {
        /// How many, echo not counted.
        octets: usize,
        /// Not even one that had a CRC.
        never_a_frame: bool,
    },
}

/// What happens in an exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A sound frame that answers another question.
    Stray,
    /// The request itself came back.
    Echo,
    /// So many octets that are of no frame.
    Noise(usize),
    /// What began as the answer and has another CRC, or holds a damaged octet.
    Damaged,
    /// The end.
    Done(Outcome),
}

/// Octets that are kept at most while the answer has not begun.
const BOUND: usize = 1024;
/// Octets that are looked at in one go: a search takes the square of what is there.
const CHUNK: usize = 256;
/// Events that are kept at most while nobody asks for them; the end is always told.
const MAX_EVENTS: usize = 64;
/// The rest of a frame that began may take so many times its air time, as a serial server hands it over in pieces.
const PATIENCE: u32 = 2;

/// The state machine. One request is sent once, by the caller at the time of [`Exchange::new`]; retries are new
/// exchanges. Memory is bounded whatever comes in.
#[derive(Debug)]
pub struct Exchange {
    request: Request,
    transport: Transport,
    timing: Timing,
    /// The request as it stands on the line, by which its echo is known.
    own: Vec<u8>,
    /// When the request began to go out.
    began: Duration,
    /// What came and is not decided yet: the octet, whether it is damaged, when it came.
    heard: VecDeque<(u8, bool, Duration)>,
    octets: usize,
    frames: usize,
    strays: usize,
    echoed: bool,
    deadline: Duration,
    latest: Duration,
    events: VecDeque<Event>,
    accepted: Option<Vec<u8>>,
    done: bool,
}

impl Exchange {
    /// Begins: the request goes out at `now`.
    pub fn new(request: Request, transport: Transport, timing: Timing, now: Duration) -> Self {
        let asked = crate::rtu::Request::read(request.unit.get(), request.span);
        let own = match transport {
            Transport::Rtu => asked.to_rtu(),
            Transport::Tcp { transaction } => {
                let mut out = Vec::new();
                tcp::Frame { transaction, unit: request.unit.get(), pdu: &asked.pdu() }.emit(&mut out);
                out
            }
        };
        let air = |octets: usize| timing.octet * u32::try_from(octets).unwrap_or(u32::MAX);
        let sent = now + air(own.len());
        let deadline = sent + timing.first_octet;
        let answer = 5 + 2 * usize::from(request.span.count);
        // An echo, strays of others, and the answer itself: nobody is waited for longer.
        let latest = deadline + air(own.len() + answer) * PATIENCE * 2 + timing.slack * 2;
        Self {
            request,
            transport,
            timing,
            own,
            began: now,
            heard: VecDeque::new(),
            octets: 0,
            frames: 0,
            strays: 0,
            echoed: false,
            deadline,
            latest,
            events: VecDeque::new(),
            accepted: None,
            done: false,
        }
    }

    /// Octets came at `now`.
    pub fn handle_bytes(&mut self, now: Duration, octets: &[u8]) {
        octets.chunks(CHUNK).for_each(|chunk| self.heard(now, chunk, false));
    }

    /// An octet came at `now` that the line damaged (parity, framing).
    pub fn handle_damaged(&mut self, now: Duration, octet: u8) {
        self.heard(now, &[octet], true);
    }

    /// The deadline is there.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.done || now < self.deadline {
            return;
        }
        self.look(true);
        if self.done {
            return;
        }
        let own_words = if self.echoed { self.own.len() } else { 0 };
        let failed = match (self.strays, self.octets.saturating_sub(own_words)) {
            (0, 0) => NoAnswer::Silent,
            (0, octets) => NoAnswer::Damaged { octets, never_a_frame: self.frames == 0 },
            (_, _) => NoAnswer::Stray,
        };
        self.end(Outcome::Failed(failed));
    }

    /// When [`Exchange::handle_timeout`] is to be called; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Duration> {
        (!self.done).then_some(self.deadline)
    }

    /// What happened since it was last asked.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The frame that was believed, whole, as it stood on the line.
    pub fn accepted(&self) -> Option<&[u8]> {
        self.accepted.as_deref()
    }

    fn heard(&mut self, now: Duration, octets: &[u8], is_damaged: bool) {
        if self.done {
            return;
        }
        self.octets = self.octets.saturating_add(octets.len());
        self.heard.extend(octets.iter().map(|octet| (*octet, is_damaged, now)));
        self.look(false);
        while self.heard.len() > BOUND {
            self.drop_first(1);
        }
        if let (false, Some(missing)) = (self.done, self.begun()) {
            let rest = self.timing.octet * u32::try_from(missing).unwrap_or(u32::MAX) * PATIENCE;
            self.deadline = self.deadline.max(now + rest + self.timing.slack).min(self.latest);
        }
    }

    /// How many octets are missing of what begins as an answer or as the echo; `None` if nothing does.
    fn begun(&self) -> Option<usize> {
        let octets: Vec<u8> = self.heard.iter().map(|(octet, ..)| *octet).collect();
        (0..octets.len()).find_map(|from| {
            let rest = octets.get(from..)?;
            if self.own.starts_with(rest) {
                return Some(self.own.len() - rest.len());
            }
            let whole = self.expected(rest)?;
            (rest.len() < whole).then(|| whole - rest.len())
        })
    }

    /// How many octets the answer has that begins so, an exception too; `None` if no answer to this begins so.
    fn expected(&self, octets: &[u8]) -> Option<usize> {
        let function = self.request.span.function.code();
        let data = 2 * usize::from(self.request.span.count);
        let head: &[u8] = match self.transport {
            Transport::Rtu => &[],
            Transport::Tcp { .. } => self.own.get(..4)?,
        };
        let (before, rest) = octets.split_at(head.len().min(octets.len()));
        if !head.starts_with(before) {
            return None;
        }
        if before.len() < head.len() {
            return Some(head.len() + 2 + 3 + data);
        }
        let (length, rest) = match self.transport {
            Transport::Rtu => (5 + data, rest),
            Transport::Tcp { .. } => (head.len() + 2 + 3 + data, rest.get(2..).unwrap_or_default()),
        };
        match *rest {
            [] => Some(length),
            [unit, ..] if unit != self.request.unit.get() => None,
            [_] => Some(length),
            [_, code, ..] if code == function | 0x80 => Some(length - data),
            [_, code, ..] if code != function => None,
            [_, _] => Some(length),
            [_, _, count, ..] => (usize::from(count) == data).then_some(length),
        }
    }

    /// Looks at what came. At the end what is not complete will not be any more.
    fn look(&mut self, at_end: bool) {
        while !self.done && !self.heard.is_empty() {
            let octets: Vec<u8> = self.heard.iter().map(|(octet, ..)| *octet).collect();
            if octets.starts_with(&self.own) && !self.echoed {
                self.echoed = true;
                self.tell(Event::Echo);
                self.drop_first(self.own.len());
                continue;
            }
            let length = match self.transport {
                Transport::Rtu => length(&octets, Side::Meter).ok(),
                Transport::Tcp { .. } => tcp::Frame::parse(&octets).ok().map(|frame| frame.octets()),
            };
            match length.and_then(|length| octets.get(..length)) {
                Some(frame) if self.reply(frame).is_some() => {
                    let frame = frame.to_vec();
                    self.frame(&frame);
                }
                // It may be complete in a while, or be a false head in front of the answer.
                _ if !at_end && !self.is_answer_behind(&octets) && self.could_go_on(&octets) => return,
                _ => {
                    if self.expected(&octets).is_some_and(|whole| whole <= octets.len()) {
                        self.tell(Event::Damaged);
                    } else {
                        self.noise();
                    }
                    self.drop_first(1);
                }
            }
        }
    }

    /// Whether what came so far may be the beginning of a frame.
    fn could_go_on(&self, octets: &[u8]) -> bool {
        if self.own.starts_with(octets) {
            return true;
        }
        match self.transport {
            Transport::Rtu => length(octets, Side::Meter)
                .map_or_else(|bad| bad == crate::rtu::BadFrame::Incomplete, |length| octets.len() < length),
            Transport::Tcp { .. } => tcp::Frame::parse(octets) == Err(tcp::BadFrame::Incomplete),
        }
    }

    /// Whether the whole answer stands somewhere behind the first octet.
    fn is_answer_behind(&self, octets: &[u8]) -> bool {
        (1..octets.len()).any(|from| {
            let rest = octets.get(from..).unwrap_or_default();
            let own = self.expected(rest).and_then(|whole| rest.get(..whole));
            own.is_some_and(|own| self.reply(own).is_some())
        })
    }

    /// The answer in a sound frame.
    fn reply(&self, frame: &[u8]) -> Option<Reply> {
        match self.transport {
            Transport::Rtu => {
                let frame = Frame::checked(frame).ok()?;
                Reply::of_pdu(frame.unit, frame.pdu)
            }
            Transport::Tcp { .. } => {
                let frame = tcp::Frame::parse(frame).ok()?;
                Reply::of_pdu(frame.unit, frame.pdu)
            }
        }
    }

    /// A sound frame stands at the beginning.
    fn frame(&mut self, frame: &[u8]) {
        self.frames += 1;
        let own = self.heard.iter().take(frame.len());
        let is_damaged = own.clone().any(|(_, damaged, _)| *damaged);
        let first_octet = own.map(|(.., at)| *at).next().unwrap_or_default();
        if is_damaged {
            self.tell(Event::Damaged);
            return self.drop_first(frame.len());
        }
        let Some(reply) = self.reply(frame) else { return self.drop_first(1) };
        let of_other = match self.transport {
            Transport::Rtu => false,
            Transport::Tcp { .. } => frame.get(..2) != self.own.get(..2),
        };
        let is_of_this = reply.unit() == self.request.unit.get()
            && reply.function() == self.request.span.function.code()
            && !of_other
            // What came while we spoke answers an earlier question.
            && first_octet >= self.began + self.timing.earliest;
        let words = reply.words().filter(|words| words.len() == usize::from(self.request.span.count));
        match (is_of_this, reply.exception(), words) {
            (true, Some(exception), _) => {
                self.accepted = Some(frame.to_vec());
                self.end(Outcome::Refused(exception));
            }
            (true, None, Some(words)) => {
                self.accepted = Some(frame.to_vec());
                self.end(Outcome::Registers { words, first_octet });
            }
            (_, _, _) => {
                self.strays += 1;
                self.tell(Event::Stray);
                self.drop_first(frame.len());
            }
        }
    }

    fn noise(&mut self) {
        match self.events.back_mut() {
            Some(Event::Noise(octets)) => *octets += 1,
            Some(Event::Stray | Event::Echo | Event::Damaged | Event::Done(_)) | None => {
                self.tell(Event::Noise(1));
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    fn drop_first(&mut self, octets: usize) {
        self.heard.drain(..octets.min(self.heard.len()));
    }

    fn end(&mut self, outcome: Outcome) {
        self.done = true;
        self.events.push_back(Event::Done(outcome));
    }
}
