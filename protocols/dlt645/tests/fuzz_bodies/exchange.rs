//! Any request, any octets, damaged octets and times: it ends once and by its deadline, asks a bounded number
//! of times, and believes nothing that was not said, whole and undamaged, by the asked meter.
//!
//! Input: function, address, counted data of the request; then steps, each an octet and what it needs.

use super::Input;
use dlt645::exchange::{Event, Exchange, MAX_FRAMES, Outcome, Timing};
use dlt645::frame::{Control, Frame, MAX_LEN, emit};
use dlt645::pdu::Request;
use dlt645::{Address, Di, Edition};
use std::time::Duration;

const TIMING: Timing = Timing {
    octet: Duration::from_millis(1),
    first_octet: Duration::from_millis(500),
    slack: Duration::from_millis(100),
    preamble: 4,
};

/// An exchange under way, with all that was said to it.
struct Talk {
    request: Request,
    exchange: Exchange,
    now: Duration,
    /// The request that is out must have ended by then.
    limit: Duration,
    asked: u32,
    /// Octets taken, and whether each is damaged.
    stream: Vec<u8>,
    damaged: Vec<bool>,
    outcome: Option<Outcome>,
}

/// Fails if a promise is broken; how the exchange ended.
pub fn exchange(data: &[u8]) -> Outcome {
    let mut input = Input(data);
    let request = request(&mut input);
    let mut talk = Talk {
        exchange: Exchange::new(request.clone(), TIMING, Duration::ZERO),
        request,
        now: Duration::ZERO,
        limit: Duration::ZERO,
        asked: 0,
        stream: Vec::new(),
        damaged: Vec::new(),
        outcome: None,
    };
    talk.settle();
    while !input.is_empty() && talk.outcome.is_none() {
        match input.octet() % 5 {
            0 => talk.now += Duration::from_millis(u64::from(input.octet())),
            1 => talk.hear(input.counted()),
            2 => talk.hear_damaged(input.octet()),
            3 => talk.hear(&answer(&talk.request, &mut input)),
            _ => talk.exchange.handle_timeout(talk.now),
        }
        talk.settle();
    }
    while let Some((at, _)) = talk.exchange.poll_timeout() {
        talk.now = talk.now.max(at);
        talk.exchange.handle_timeout(talk.now);
        talk.settle();
    }
    let outcome = talk.outcome.clone().unwrap();
    talk.check(&outcome);
    outcome
}

/// Any request that a frame can carry; a read where the octets make up none.
fn request(input: &mut Input<'_>) -> Request {
    let (function, address, data) = (input.octet() & 0x1F, input.array(), input.counted());
    let address = Address::from_wire(address);
    let mut octets = Vec::new();
    emit(address, Control::request(function), data, &mut octets).unwrap();
    let mut di = [0; 4];
    di.iter_mut().zip(data).for_each(|(own, octet)| *own = *octet);
    let di = Di::new(u32::from_le_bytes(di));
    Request::parse(&Frame::parse(&octets).unwrap()).unwrap_or(Request::Read { address, di })
}

/// What fits, or nearly fits: address and data of the request, each with one octet changed or none.
fn answer(request: &Request, input: &mut Input<'_>) -> Vec<u8> {
    let mut own = Vec::new();
    request.emit(0, &mut own);
    let own = Frame::parse(&own).unwrap();
    let mut address = own.address().to_wire();
    let [control, which, change, keep] = input.array();
    if let Some(octet) = address.get_mut(usize::from(which)) {
        *octet ^= change;
    }
    let mut data: Vec<u8> = own.data().take(usize::from(keep % 16)).collect();
    if let Some(octet) = usize::from(which).checked_sub(6).and_then(|at| data.get_mut(at)) {
        *octet ^= change;
    }
    data.extend_from_slice(input.counted());
    data.truncate(255);
    let control = Control::new(if control < 0x10 { own.control().get() | control << 4 } else { control });
    let mut out = Vec::new();
    emit(Address::from_wire(address), control, &data, &mut out).unwrap();
    out
}

impl Talk {
    fn hear(&mut self, octets: &[u8]) {
        self.stream.extend_from_slice(octets);
        self.damaged.resize(self.stream.len(), false);
        self.exchange.handle_bytes(self.now, octets);
    }

    fn hear_damaged(&mut self, octet: u8) {
        self.stream.push(octet);
        self.damaged.push(true);
        self.exchange.handle_damaged(self.now, octet);
    }

    /// Takes what the exchange has to say, as its caller must after each call.
    fn settle(&mut self) {
        let mut events = 0;
        while let Some(event) = self.exchange.poll_event() {
            events += 1;
            assert_eq!(self.outcome, None, "an event after the end");
            if let Event::Done(outcome) = event {
                self.outcome = Some(outcome);
            }
        }
        assert!(events <= 65, "{events} events were kept");
        if let Some(sent) = self.exchange.poll_transmit() {
            assert_eq!(self.exchange.poll_transmit(), None, "a request is sent once");
            self.asked += 1;
            let air = TIMING.octet * (sent.len() + 4 + MAX_LEN) as u32;
            self.limit = self.now + air + TIMING.first_octet + TIMING.slack;
        }
        // Each frame of the answer is asked for once, the first one once more after an active report.
        assert!(self.asked <= u32::from(MAX_FRAMES) + 1, "{} requests", self.asked);
        match self.exchange.poll_timeout() {
            Some((at, _)) => {
                assert_eq!(self.outcome, None, "a deadline after the end");
                assert!(at <= self.limit, "a deadline behind the longest answer");
            }
            None => assert!(self.outcome.is_some(), "it waits for nothing"),
        }
    }

    /// What is believed was said.
    fn check(&self, outcome: &Outcome) {
        let request = &self.request;
        let said = |fits: &dyn Fn(&Frame<'_>) -> bool| {
            let sound = (0..self.stream.len()).filter_map(|at| {
                let frame = Frame::parse(&self.stream[at..]).ok()?;
                let end = at + frame.octets().len();
                (!self.damaged[at..end].contains(&true)).then_some(frame)
            });
            sound.into_iter().any(|frame| fits(&frame))
        };
        let obeys = |frame: &Frame<'_>| {
            frame.control().from_meter()
                && !frame.control().abnormal()
                && frame.control().function() == request.function()
        };
        match outcome {
            Outcome::Sent => assert!(!request.is_answered()),
            Outcome::Failed(_) => assert!(request.is_answered()),
            Outcome::Refused(_) => assert!(said(&|frame| {
                let control = frame.control();
                is_asked(request, frame.address())
                    && (control.abnormal() && control.function() == request.function()
                        || matches!(request, Request::SetRate { .. }) && frame.data().eq([0xFF]))
            })),
            Outcome::Address { address, .. } => assert!(said(&|frame| {
                obeys(frame)
                    && frame.data().eq(address.to_wire())
                    && (frame.address() == *address || frame.address() == Address::ANY)
            })),
            Outcome::Done { from, .. } => {
                assert!(is_asked(request, *from) && !request.is_read());
                assert!(said(&|frame| obeys(frame) && frame.address() == *from));
            }
            Outcome::Data { from, di, octets, first_octet } => {
                assert!(is_asked(request, *from) && request.is_read() && *first_octet <= self.now);
                if let Request::Read { di: asked, .. }
                | Request::ReadRecords { di: asked, .. }
                | Request::ReadMore { di: asked, .. } = request
                {
                    assert_eq!(di, asked);
                }
                // SEQ stands behind the octets of a follow-up frame.
                let tail = usize::from(request.function() == dlt645::pdu::function::READ_MORE);
                assert!(said(&|frame| {
                    let mut data = frame.data();
                    let own = data.take_di(di.edition()) == Some(*di);
                    let data: Vec<u8> = data.collect();
                    let first = data.len().checked_sub(tail).map(|len| &data[..len]);
                    obeys(frame)
                        && own
                        && frame.address() == *from
                        && first.is_some_and(|first| {
                            if frame.control().more() { octets.starts_with(first) } else { octets == first }
                        })
                }));
            }
        }
    }
}

/// Whether a frame from there can be the answer; a meter may answer by its new name.
fn is_asked(request: &Request, from: Address) -> bool {
    let to = request.address();
    let renamed = matches!(request, Request::WriteAddress { new, .. } if from == *new || from == to);
    renamed || to.is_answered_by(from, request.edition().unwrap_or(Edition::E2007))
}
