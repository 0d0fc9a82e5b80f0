//! One exchange (一次抄读) as a state machine without I/O: one request, its follow-up requests (12H, 1997
//! 02H), and all frames of the answer.
//!
//! Times are durations since an origin of the caller's. It never believes a frame because it came: the
//! checksum, the direction, the address ([`Address::is_answered_by`]), the function and the DI must fit;
//! any other frame is stray and listening goes on until the deadline. It never retries, but for a read
//! that was answered with an active report.
//!
//! 1997 has no SEQ: a follow-up frame that comes twice cannot be told from the next one. Only the
//! deadline and the function stand between them.

mod judge;
mod outcome;

pub use judge::ACTIVE_REPORT;
pub use outcome::{Accepted, Deadline, Event, Failure, Outcome};

use crate::frame::MAX_LEN;
use crate::pdu::{FIRST_SEQUENCE, Request};
use crate::scanner::{Found, Scanner};
use crate::{Address, Di, Edition};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;
use judge::{Verdict, judge};

/// Frames of one answer, the first included. The largest block of the tables has 6; a meter that
/// promises more for ever must not hold the line.
pub const MAX_FRAMES: u8 = 32;

/// FE octets that a reply may take air time for; clause 5.3.1 names 4.
const REPLY_PREAMBLE: u32 = 4;

/// Events kept for the caller. When they are full, further ones are dropped, except the last.
const MAX_EVENTS: usize = 64;

/// Octets that are searched in one go, so that a large input leaves no large buffer behind.
const CHUNK: usize = 256;

/// How long to wait for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// One character on the wire.
    pub octet: Duration,
    /// From the end of the request on the wire to the first octet of the answer, at most.
    pub first_octet: Duration,
    /// What the rest may take beyond its own air time (late octets of a serial server).
    pub slack: Duration,
    /// FE octets before the request.
    pub preamble: u8,
}

/// The state machine. One request is sent once; retries are the caller's, each a new exchange.
///
/// After each `handle_*` the caller takes what [`Exchange::poll_event`] and
/// [`Exchange::poll_transmit`] have, and waits until [`Exchange::poll_timeout`]. Memory is bounded
/// whatever comes in.
#[derive(Debug)]
pub struct Exchange {
    timing: Timing,
    /// What was asked last: the caller's request, then its follow-ups.
    asked: Request,
    /// What is sent of `asked`: FE and the frame, by which its echo is known.
    own: Vec<u8>,
    to_send: bool,
    /// Requests put out so far.
    turns: u32,
    /// The meter gave its active report: the request was repeated, which is done once.
    reported: bool,
    scanner: Scanner,
    /// When the octets came that are not decided yet: number of the first octet, time.
    arrivals: VecDeque<(u64, Duration)>,
    /// Octets taken in all.
    taken: u64,
    first_deadline: Duration,
    total_deadline: Duration,
    heard: Heard,
    joined: Option<Joined>,
    events: VecDeque<Event>,
    done: bool,
}

/// What came since the last request, answers not counted.
#[derive(Debug, Default)]
struct Heard {
    /// The scanner's place when the request went out.
    from: u64,
    echoes: u64,
    strays: u64,
    a_stray: bool,
}

/// An answer that goes on in follow-up frames.
#[derive(Debug)]
struct Joined {
    from: Address,
    octets: Vec<u8>,
    frames: u8,
    first_octet: Duration,
}

impl Exchange {
    /// Begins; the request is to be sent at `now`.
    pub fn new(request: Request, timing: Timing, now: Duration) -> Self {
        let mut exchange = Self {
            timing,
            asked: request.clone(),
            own: Vec::new(),
            to_send: false,
            turns: 0,
            reported: false,
            scanner: Scanner::default(),
            arrivals: VecDeque::new(),
            taken: 0,
            first_deadline: now,
            total_deadline: now,
            heard: Heard::default(),
            joined: None,
            events: VecDeque::new(),
            done: false,
        };
        exchange.ask(request, now, 0);
        exchange
    }

    /// The octets to send now (FE preamble included), each request once: after [`Exchange::new`], and
    /// again whenever an answer goes on in a follow-up frame. Poll it after every `handle_*`.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if self.done || !core::mem::take(&mut self.to_send) {
            return None;
        }
        Some(self.own.clone())
    }

    /// Octets came. What comes after the end is ignored.
    pub fn handle_bytes(&mut self, now: Duration, octets: &[u8]) {
        for chunk in octets.chunks(CHUNK) {
            if self.done {
                return;
            }
            self.note_arrival(now, chunk.len());
            self.scanner.push(chunk);
            self.search(now);
        }
    }

    /// An octet came that the line damaged (parity, framing).
    pub fn handle_damaged(&mut self, now: Duration, octet: u8) {
        if self.done {
            return;
        }
        self.note_arrival(now, 1);
        self.scanner.push_damaged(octet);
        self.search(now);
    }

    /// The time of [`Exchange::poll_timeout`] has come. Called too early, it does nothing.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some((at, deadline)) = self.poll_timeout() {
            if now < at {
                return;
            }
            match deadline {
                Deadline::Rest if at < self.total_deadline => self.scanner.give_up(),
                Deadline::Rest | Deadline::FirstOctet => self.scanner.end(),
            }
            let last = deadline == Deadline::FirstOctet || at >= self.total_deadline;
            let turns = self.turns;
            self.search(now);
            // A frame behind a false start may have been an answer that goes on.
            if last && !self.done && self.turns == turns {
                self.fail();
            }
        }
    }

    /// When to call [`Exchange::handle_timeout`], and why; `None` once done.
    pub fn poll_timeout(&self) -> Option<(Duration, Deadline)> {
        if self.done {
            return None;
        }
        let Some(missing) = self.scanner.missing() else {
            return Some((self.first_deadline, Deadline::FirstOctet));
        };
        let last_octet = self.arrivals.back().map_or(Duration::ZERO, |&(_, at)| at);
        let rest = last_octet + self.air_time(missing as u32) + self.timing.slack;
        // Listening goes on until the first deadline anyway: a slow frame may use the time.
        Some((rest.clamp(self.first_deadline, self.total_deadline), Deadline::Rest))
    }

    /// What happened since the last call. At most 64 events wait; when they are full, further ones
    /// are dropped, except [`Event::Done`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn air_time(&self, octets: u32) -> Duration {
        self.timing.octet * octets
    }

    /// Puts a request out; octets before `place` of the stream are none of its answer.
    fn ask(&mut self, request: Request, now: Duration, place: u64) {
        self.own.clear();
        request.emit(self.timing.preamble, &mut self.own);
        self.to_send = true;
        self.turns += 1;
        self.first_deadline = now + self.air_time(self.own.len() as u32);
        self.total_deadline = self.first_deadline;
        if request.is_answered() {
            self.first_deadline += self.timing.first_octet;
            // No babble and no trickle gets more than the longest reply would.
            self.total_deadline =
                self.first_deadline + self.air_time(MAX_LEN as u32 + REPLY_PREAMBLE) + self.timing.slack;
        }
        self.asked = request;
        self.heard = Heard { from: place, ..Heard::default() };
    }

    fn note_arrival(&mut self, now: Duration, octets: usize) {
        if self.arrivals.back().is_none_or(|&(_, at)| at != now) {
            self.arrivals.push_back((self.taken, now));
        }
        self.taken += octets as u64;
    }

    /// When the octet with this number came.
    fn came_at(&self, octet: u64) -> Duration {
        let came = self.arrivals.iter().take_while(|(first, _)| *first <= octet).last();
        came.map_or(Duration::ZERO, |&(_, at)| at)
    }

    fn search(&mut self, now: Duration) {
        let mut scanner = core::mem::take(&mut self.scanner);
        while !self.done {
            let Some(found) = scanner.next() else { break };
            match found {
                Found::Noise(octets) => self.tell(Event::Noise(octets)),
                Found::Damaged(_) => self.tell(Event::Damaged),
                Found::Frame { frame, preamble } => {
                    let octets = (frame.octets().len() + preamble) as u64;
                    let own = &self.own[usize::from(self.timing.preamble)..];
                    let verdict = judge(&self.asked, own, &frame);
                    let may_be_stray = matches!(verdict, Verdict::Stray | Verdict::Report { .. });
                    let raw = if may_be_stray { frame.octets().to_vec() } else { Vec::new() };
                    let first_octet = self.came_at(scanner.decided() - octets);
                    let stray = |exchange: &mut Self| {
                        exchange.heard.strays += octets;
                        exchange.heard.a_stray = true;
                    };
                    match verdict {
                        Verdict::Echo => {
                            self.heard.echoes += octets;
                            self.tell(Event::Echo);
                        }
                        Verdict::Report { from, octets } if !self.reported => {
                            self.reported = true;
                            self.tell(Event::ActiveReport { from, octets, first_octet });
                            if self.asked.is_read() {
                                self.ask(self.asked.clone(), now, scanner.decided());
                            } else {
                                stray(self);
                            }
                        }
                        Verdict::Stray | Verdict::Report { .. } => {
                            stray(self);
                            self.tell(Event::Stray(raw));
                        }
                        Verdict::Refused(_) if self.joined.is_some() => {
                            self.finish(Outcome::Failed(Failure::Unfinished));
                        }
                        Verdict::Refused(word) => self.finish(Outcome::Refused(word)),
                        Verdict::Address(address) => self.finish(Outcome::Address { address, first_octet }),
                        Verdict::Done { from, accepted } => {
                            self.finish(Outcome::Done { from, accepted, first_octet });
                        }
                        Verdict::Data { from, di, octets: data, more } => {
                            let joined = self.join(from, data, first_octet);
                            if more {
                                self.ask_for_more(joined, di, now, scanner.decided());
                            } else {
                                let Joined { from, octets, first_octet, .. } = joined;
                                self.finish(Outcome::Data { from, di, octets, first_octet });
                            }
                        }
                    }
                }
            }
        }
        let earliest = scanner.earliest();
        while self.arrivals.get(1).is_some_and(|&(first, _)| first <= earliest) {
            self.arrivals.pop_front();
        }
        self.scanner = scanner;
    }

    fn join(&mut self, from: Address, octets: Vec<u8>, first_octet: Duration) -> Joined {
        match self.joined.take() {
            Some(mut joined) => {
                joined.octets.extend_from_slice(&octets);
                joined.frames += 1;
                joined
            }
            None => Joined { from, octets, frames: 1, first_octet },
        }
    }

    fn ask_for_more(&mut self, joined: Joined, di: Di, now: Duration, place: u64) {
        let sequence = match (di.edition(), &self.asked) {
            (Edition::E1997, _) => Some(0),
            (Edition::E2007, Request::ReadMore { sequence, .. }) => sequence.checked_add(1),
            (Edition::E2007, _) => Some(FIRST_SEQUENCE),
        };
        let Some(sequence) = sequence.filter(|_| joined.frames < MAX_FRAMES) else {
            return self.finish(Outcome::Failed(Failure::Unfinished));
        };
        // The meter that began must go on: a wildcard is now the one who answered.
        let asked = self.asked.address();
        let address = if asked.is_one_meter() { asked } else { joined.from };
        self.joined = Some(joined);
        self.ask(Request::ReadMore { address, di, sequence }, now, place);
    }

    /// No answer came: says the worst that happened.
    fn fail(&mut self) {
        if !self.asked.is_answered() {
            return self.finish(Outcome::Sent);
        }
        let heard = self.scanner.decided() - self.heard.from - self.heard.echoes;
        self.finish(Outcome::Failed(if heard > self.heard.strays {
            Failure::Damaged { octets: heard as usize, never_a_frame: !self.heard.a_stray }
        } else if self.joined.is_some() {
            Failure::Unfinished
        } else if self.heard.a_stray {
            Failure::Stray
        } else {
            Failure::Silent
        }));
    }

    fn finish(&mut self, outcome: Outcome) {
        self.done = true;
        self.to_send = false;
        self.joined = None;
        self.events.push_back(Event::Done(outcome));
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }
}
