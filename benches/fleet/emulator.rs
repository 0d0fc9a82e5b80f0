//! The meters: one process behind all TCP lines, which answers at the pace of a real line and knows its answers before.

use super::process::{answer_to, ready};
use super::work::{self, RESPONSE_DELAY, Work};
use dlt645::pdu::Request;
use dlt645::scanner::{Found, Scanner};
use dlt645::{Address, Di};
use meterd::planner::Line;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

pub(crate) const ROLE: &str = "emulator";
/// A pause between two exchanges that is longer was no turnaround: nothing was due.
const TURNAROUND: Duration = Duration::from_millis(500);

/// How replies are handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pieces {
    /// With their last octet.
    Whole,
    /// In pieces of so many octets, each with its last one.
    Of(usize),
}

impl FromStr for Pieces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "whole" => Ok(Self::Whole),
            Ok(size) if size > 0 => Ok(Self::Of(size)),
            Ok(_) | Err(_) => Err(format!("\"{text}\" is neither whole nor a number of octets")),
        }
    }
}

impl std::fmt::Display for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Of(size) => size.fmt(f),
        }
    }
}

impl Pieces {
    /// Cuts a reply; each piece with the air time from the reply's begin to the piece's end.
    pub(crate) fn cut(self, reply: &[u8], line: Line) -> impl Iterator<Item = (Duration, &[u8])> {
        let size = match self {
            Self::Whole => reply.len(),
            Self::Of(size) => size,
        };
        let mut octets = 0;
        reply.chunks(size.max(1)).map(move |piece| {
            octets += piece.len();
            (line.octets(octets), piece)
        })
    }
}

/// The meters of one line and what each of them answers.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    replies: HashMap<(Address, Di), Vec<u8>>,
}

impl Meters {
    pub(crate) fn of(meters: impl Iterator<Item = usize>, work: &Work) -> Self {
        let each = meters.flat_map(|meter| work.asks.iter().map(move |ask| (meter, ask)));
        let replies = each
            .map(|(meter, ask)| {
                (
                    (work::address(meter), ask.subject.id().di().expect("all meters speak DL/T 645")),
                    work::reply(meter, ask),
                )
            })
            .collect();
        Self { replies }
    }

    /// What answers to what was heard: the octets of each request, and its reply if a meter has one.
    pub(crate) fn hear(&self, scanner: &mut Scanner, octets: &[u8]) -> Vec<(usize, Option<&[u8]>)> {
        scanner.push(octets);
        let mut heard = Vec::new();
        while let Some(found) = scanner.next() {
            let Found::Frame { frame, preamble } = found else { continue };
            let reply = match Request::parse(&frame) {
                Ok(Request::Read { address, di }) => self.replies.get(&(address, di)).map(Vec::as_slice),
                Ok(_) | Err(_) => None,
            };
            heard.push((preamble + frame.octets().len(), reply));
        }
        heard
    }
}

/// What all lines count together, and how replies are handed over now.
#[derive(Debug)]
struct Shared {
    line: Line,
    pieces: Cell<Pieces>,
    counts: Cell<Counts>,
}

/// What was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Requests that were heard.
    pub(crate) requests: u64,
    /// Requests that were answered.
    pub(crate) exchanges: u64,
    /// Requests that no meter has an answer to.
    pub(crate) unanswered: u64,
    /// Air time of requests and replies with the response delays.
    pub(crate) air_us: u64,
    /// From the last octet of a reply to the next request, while there was one to come.
    pub(crate) turnaround_us: u64,
    /// How many of these there were.
    pub(crate) turnarounds: u64,
    /// How late the last octets left, after their time.
    pub(crate) late_us: u64,
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            exchanges: self.exchanges - before.exchanges,
            unanswered: self.unanswered - before.unanswered,
            air_us: self.air_us - before.air_us,
            turnaround_us: self.turnaround_us - before.turnaround_us,
            turnarounds: self.turnarounds - before.turnarounds,
            late_us: self.late_us - before.late_us,
        }
    }

    fn numbers(self) -> [u64; 7] {
        let Self { requests, exchanges, unanswered, air_us, turnaround_us, turnarounds, late_us } = self;
        [requests, exchanges, unanswered, air_us, turnaround_us, turnarounds, late_us]
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            requests: next()?,
            exchanges: next()?,
            unanswered: next()?,
            air_us: next()?,
            turnaround_us: next()?,
            turnarounds: next()?,
            late_us: next()?,
        })
    }
}

/// `emulator LINES METERS KIND BAUD REGISTERS`: listens, says on which ports, and obeys what standard input says until it
/// ends: `count`, or a way of pieces.
pub(crate) fn main(args: &[String]) {
    let [lines, meters, work @ ..] = args else { panic!("LINES METERS and the work") };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (lines, meters, work) = (number(lines), number(meters), Work::from_args(work));
    let shared = Rc::new(Shared {
        line: work.line,
        pieces: Cell::new(Pieces::Whole),
        counts: Cell::new(Counts::default()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut ports = Vec::new();
        for line in 0..lines {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            ports.push(listener.local_addr().expect("it is bound").port());
            let meters = Rc::new(Meters::of(work::meters_of(line, lines, meters), &work));
            tokio::task::spawn_local(accept(listener, meters, Rc::clone(&shared)));
        }
        ready(&ports);
        let mut orders = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(order)) = orders.next_line().await {
            if let Ok(pieces) = order.parse() {
                shared.pieces.set(pieces);
            }
            answer_to(&shared.counts.get().numbers().map(|number| number.to_string()).join(" "));
        }
    });
}

async fn accept(listener: TcpListener, meters: Rc<Meters>, shared: Rc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (meters, shared) = (Rc::clone(&meters), Rc::clone(&shared));
        // It ends with its connection.
        tokio::task::spawn_local(async move { drop(serve(stream, &meters, &shared).await) });
    }
}

async fn serve(mut stream: TcpStream, meters: &Meters, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut scanner, mut octets) = (Scanner::default(), [0; 512]);
    let mut quiet_since: Option<Instant> = None;
    loop {
        let count = stream.read(&mut octets).await?;
        if count == 0 {
            return Ok(());
        }
        let now = Instant::now();
        for (request, reply) in meters.hear(&mut scanner, &octets[..count]) {
            let mut counts = shared.counts.get();
            counts.requests += 1;
            if let Some(pause) = quiet_since.map(|since| now - since).filter(|pause| *pause < TURNAROUND) {
                counts.turnarounds += 1;
                counts.turnaround_us += pause.as_micros() as u64;
            }
            let Some(reply) = reply else {
                counts.unanswered += 1;
                shared.counts.set(counts);
                continue;
            };
            shared.counts.set(counts);
            let begin = now + shared.line.octets(request) + RESPONSE_DELAY;
            let mut due = begin;
            for (air, piece) in shared.pieces.get().cut(reply, shared.line) {
                due = begin + air;
                sleep_until(due).await;
                stream.write_all(piece).await?;
            }
            let end = Instant::now();
            let mut counts = shared.counts.get();
            counts.exchanges += 1;
            counts.air_us += (due - now).as_micros() as u64;
            counts.late_us += (end - due).as_micros() as u64;
            shared.counts.set(counts);
            quiet_since = Some(end);
        }
    }
}
