//! What holds for all octets, all cuts and all noise.
#![expect(clippy::unwrap_used, reason = "a frame that cannot be built fails the test")]

use dlt645::exchange::{Event, Exchange, Outcome, Timing};
use dlt645::frame::{Control, Frame, MAX_LEN, emit};
use dlt645::meter::{Answering, Manner};
use dlt645::pdu::{
    ClockTime, Count, EventScope, FreezeAt, Operator, OutputSignal, Password, Payload, Rate, RecordTime,
    RelayAction, RelayOrder, Reply, Request, function,
};
use dlt645::scanner::{Damage, Found, Scanner};
use dlt645::{Address, Di, Edition, ErrorWord, meter};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 6]>().prop_map(Address::from_wire)
}

fn di() -> impl Strategy<Value = Di> {
    any::<u32>().prop_map(Di::new)
}

fn sound_frame() -> impl Strategy<Value = Vec<u8>> {
    (address(), any::<u8>(), vec(any::<u8>(), 0..=255)).prop_map(|(address, control, data)| {
        let mut out = Vec::new();
        emit(address, Control::new(control), &data, &mut out).unwrap();
        out
    })
}

/// Noise with more 68H, FE and 16H than chance would have.
fn noise(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0x68), Just(0xFE), Just(0x16), Just(0x00), any::<u8>()], 0..len)
}

/// Frames, noise, cut frames and FE in any order.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        sound_frame(),
        noise(30),
        (sound_frame(), any::<prop::sample::Index>()).prop_map(|(frame, cut)| {
            let cut = cut.index(frame.len());
            frame[..cut].to_vec()
        }),
        (0usize..6).prop_map(|len| vec![0xFE; len]),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What fits, nearly fits or does not fit a read of 02010100 from 0000 0000 AA34.
fn near_answer() -> impl Strategy<Value = Vec<u8>> {
    let control = prop::sample::select(vec![0x11, 0x91, 0xB1, 0x92, 0xB2, 0xD1, 0xD2, 0x93]);
    let answer = (control, 0x33u8..0x36, 0u8..2, 0u8..3, vec(any::<u8>(), 0..4)).prop_map(
        |(control, address, di, sequence, octets)| {
            let mut out = Vec::new();
            let data = [&[di, 1, 1, 2][..], &octets, &[sequence]].concat();
            let address = Address::from_wire([address, 0x12, 0, 0, 0, 0]);
            emit(address, Control::new(control), &data, &mut out).unwrap();
            out
        },
    );
    prop_oneof![3 => answer, 1 => stream()]
}

fn old_di() -> impl Strategy<Value = Di> {
    any::<u16>().prop_map(Di::new_1997)
}

fn any_di() -> impl Strategy<Value = Di> {
    prop_oneof![di(), old_di()]
}

fn edition() -> impl Strategy<Value = Edition> {
    prop::sample::select(vec![Edition::E1997, Edition::E2007])
}

fn password() -> impl Strategy<Value = Password> {
    (any::<u8>(), any::<[u8; 3]>()).prop_map(|(level, digits)| Password { level, digits })
}

fn operator() -> impl Strategy<Value = Operator> {
    any::<[u8; 4]>().prop_map(Operator)
}

fn payload() -> impl Strategy<Value = Payload> {
    vec(any::<u8>(), 0..=Payload::MAX).prop_map(|octets| Payload::new(octets).unwrap())
}

/// Who has the right to command: 1997 knows no operator.
fn right(edition: Edition, operator: Operator) -> Operator {
    match edition {
        Edition::E1997 => Operator::NONE,
        Edition::E2007 => operator,
    }
}

fn order() -> impl Strategy<Value = RelayOrder> {
    prop_oneof![
        (any::<u8>(), any::<u8>(), any::<[u8; 6]>()).prop_map(|(action, delay, until)| RelayOrder::Plain {
            action: RelayAction(action),
            delay,
            until: ClockTime::from_wire(until),
        }),
        any::<[u8; 20]>().prop_map(RelayOrder::Sealed),
    ]
}

fn asked() -> impl Strategy<Value = Request> {
    prop_oneof![
        (address(), any_di()).prop_map(|(address, di)| Request::Read { address, di }),
        (address(), di(), any::<u8>(), prop::option::of(any::<[u8; 5]>())).prop_map(
            |(address, di, count, from)| Request::ReadRecords {
                address,
                di,
                count: Count::from_wire(count),
                from: from.map(RecordTime::from_wire),
            }
        ),
        (address(), any_di(), any::<u8>()).prop_map(|(address, di, sequence)| Request::ReadMore {
            address,
            di,
            sequence: if di.edition() == Edition::E1997 { 0 } else { sequence },
        }),
        address().prop_map(|address| Request::ReRead { address }),
        Just(Request::ReadAddress),
    ]
}

fn commanded() -> impl Strategy<Value = Request> {
    prop_oneof![
        (address(), any_di(), password(), operator(), payload()).prop_map(
            |(address, di, password, operator, data)| Request::Write {
                address,
                di,
                password,
                operator: right(di.edition(), operator),
                data,
            }
        ),
        (address(), edition(), address()).prop_map(|(address, edition, new)| Request::WriteAddress {
            address,
            edition,
            new
        }),
        (address(), any::<[u8; 6]>())
            .prop_map(|(address, time)| Request::BroadcastTime { address, time: ClockTime::from_wire(time) }),
        (address(), any::<[u8; 4]>())
            .prop_map(|(address, at)| Request::Freeze { address, at: FreezeAt::from_wire(at) }),
        (address(), edition(), any::<u8>()).prop_map(|(address, edition, word)| Request::SetRate {
            address,
            rate: Rate::from_wire(edition, word),
        }),
        (address(), prop_oneof![di(), Just(Di::new_1997(0xC212))], password(), password())
            .prop_map(|(address, di, old, new)| Request::SetPassword { address, di, old, new }),
        (address(), edition(), password(), operator()).prop_map(|(address, edition, password, operator)| {
            Request::ResetDemand { address, edition, password, operator: right(edition, operator) }
        }),
        (address(), password(), operator()).prop_map(|(address, password, operator)| Request::ClearMeter {
            address,
            password,
            operator
        }),
        (address(), password(), operator(), any::<[u8; 4]>()).prop_map(
            |(address, password, operator, scope)| Request::ClearEvents {
                address,
                password,
                operator,
                scope: EventScope::from_wire(scope),
            }
        ),
        (address(), password(), operator(), order()).prop_map(|(address, password, operator, order)| {
            Request::Relay { address, password, operator, order }
        }),
        (address(), any::<u8>())
            .prop_map(|(address, signal)| Request::Output { address, signal: OutputSignal(signal) }),
        (address(), di(), operator(), payload())
            .prop_map(|(address, di, operator, data)| { Request::Security { address, di, operator, data } }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![asked(), commanded()]
}

/// The same request to the meter that the test asks.
fn readdressed(mut request: Request, own: Address) -> Request {
    match &mut request {
        Request::Read { address, .. }
        | Request::ReadRecords { address, .. }
        | Request::ReadMore { address, .. }
        | Request::ReRead { address }
        | Request::Write { address, .. }
        | Request::WriteAddress { address, .. }
        | Request::BroadcastTime { address, .. }
        | Request::Freeze { address, .. }
        | Request::SetRate { address, .. }
        | Request::SetPassword { address, .. }
        | Request::ResetDemand { address, .. }
        | Request::ClearMeter { address, .. }
        | Request::ClearEvents { address, .. }
        | Request::Relay { address, .. }
        | Request::Output { address, .. }
        | Request::Security { address, .. } => *address = own,
        Request::ReadAddress => {}
    }
    request
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Frame(Vec<u8>, usize),
    Damaged(Damage),
    Noise(usize),
}

fn drain(scanner: &mut Scanner, seen: &mut Vec<Seen>) {
    while let Some(found) = scanner.next() {
        seen.push(match found {
            Found::Frame { frame, preamble } => Seen::Frame(frame.octets().to_vec(), preamble),
            Found::Damaged(damage) => Seen::Damaged(damage),
            Found::Noise(octets) => Seen::Noise(octets),
        });
    }
}

/// Scans a stream cut into pieces of these lengths, over and over.
fn scan(stream: &[u8], damaged: &[usize], cuts: &[usize]) -> Vec<Seen> {
    let (mut scanner, mut seen, mut at) = (Scanner::default(), Vec::new(), 0);
    let mut cuts = cuts.iter().cycle();
    while at < stream.len() {
        let until = (at + cuts.next().unwrap()).min(stream.len());
        for at in at..until {
            if damaged.contains(&at) {
                scanner.push_damaged(stream[at]);
            } else {
                scanner.push(&stream[at..=at]);
            }
        }
        at = until;
        drain(&mut scanner, &mut seen);
        let kept = at as u64 - scanner.decided();
        assert!(kept < MAX_LEN as u64, "{kept} octets kept");
    }
    scanner.end();
    drain(&mut scanner, &mut seen);
    assert_eq!(scanner.decided(), stream.len() as u64);
    seen
}

proptest! {
    #[test]
    fn what_is_emitted_parses_to_itself(address in address(), control: u8, data in vec(any::<u8>(), 0..=255)) {
        let mut out = vec![0x16];
        emit(address, Control::new(control), &data, &mut out).unwrap();
        let frame = Frame::parse(&out[1..]).unwrap();
        prop_assert_eq!(frame.octets(), &out[1..]);
        prop_assert_eq!(frame.address(), address);
        prop_assert_eq!(frame.control().get(), control);
        prop_assert_eq!(frame.data().collect::<Vec<_>>(), data);
    }

    #[test]
    fn what_parses_is_emitted_as_itself(octets in sound_frame()) {
        let frame = Frame::parse(&octets).unwrap();
        let data: Vec<u8> = frame.data().collect();
        let mut out = Vec::new();
        emit(frame.address(), frame.control(), &data, &mut out).unwrap();
        prop_assert_eq!(out, octets);
    }

    #[test]
    fn requests_and_replies_are_emitted_as_parsed(octets in sound_frame()) {
        let frame = Frame::parse(&octets).unwrap();
        let mut out = Vec::new();
        if let Ok(request) = Request::parse(&frame) {
            request.emit(0, &mut out);
            // A 13H is sent to the wildcard, whatever address it was seen with.
            prop_assert!(out == octets || request == Request::ReadAddress);
        } else if let Ok(reply) = Reply::parse(&frame) {
            reply.emit(&mut out).unwrap();
            prop_assert!(out == octets || frame.control().abnormal() && frame.data_len() == 0);
        }
    }

    #[test]
    fn requests_parse_as_emitted(request in request(), preamble in 0u8..9) {
        let mut out = Vec::new();
        request.emit(preamble, &mut out);
        let frame = Frame::parse(&out[usize::from(preamble)..]).unwrap();
        prop_assert_eq!(request.frame_len(), frame.octets().len());
        prop_assert_eq!(Request::parse(&frame), Ok(request.clone()));
        prop_assert_eq!(Request::parse_of(&frame, request.edition()), Ok(request.clone()));
        let other = match request.edition() {
            Some(Edition::E1997) => Edition::E2007,
            Some(Edition::E2007) => Edition::E1997,
            None => return Ok(()),
        };
        prop_assert!(Request::parse_of(&frame, Some(other)).is_err());
    }

    #[test]
    fn replies_parse_as_emitted(from in address(), di in any_di(), address in address(), number: u8, more: bool,
        octets in vec(any::<u8>(), 0..=250), edition in edition(), new in password(), serr: u16) {
        let mut carrier = Vec::new();
        emit(from, Control::new(0), &octets, &mut carrier).unwrap();
        let octets = Frame::parse(&carrier).unwrap().data();
        let old = di.edition() == Edition::E1997;
        let sequence = if old { 0 } else { number };
        let repeated = if old {
            Reply::Repeated { from, di, octets: octets.clone(), more }
        } else {
            Reply::Security { from, di, octets: octets.clone(), more }
        };
        for (reply, edition) in [
            (Reply::Data { from, di, octets: octets.clone(), more }, di.edition()),
            (Reply::More { from, di, octets, sequence, more }, di.edition()),
            (repeated, di.edition()),
            (Reply::Address { from, address }, Edition::E2007),
            (Reply::Done { from, function: function::RELAY }, Edition::E2007),
            (Reply::Done { from, function: function::WRITE_1997 }, Edition::E1997),
            (Reply::Rate { from, rate: Rate::from_wire(edition, number) }, edition),
            (Reply::Password { from, edition, new }, edition),
            (Reply::Output { from, signal: OutputSignal(number) }, Edition::E2007),
            (Reply::Refused { from, function: 0x11 + number % 13, word: ErrorWord::Of2007(number) }, Edition::E2007),
            (Reply::Refused { from, function: 0x01, word: ErrorWord::Of1997(number) }, Edition::E1997),
            (Reply::Refused { from, function: 0x03, word: ErrorWord::Of1997(number) }, Edition::E1997),
            (Reply::Refused { from, function: 0x03, word: ErrorWord::Security(serr) }, Edition::E2007),
        ] {
            let mut out = Vec::new();
            reply.emit(&mut out).unwrap();
            prop_assert_eq!(Reply::parse_of(&Frame::parse(&out).unwrap(), Some(edition)), Ok(reply));
        }
    }

    /// Any request, any octets as its answer: it ends once, by its deadlines, and nothing panics.
    #[test]
    fn exchange_of_any_request_ends_by_its_deadline(
        request in request(), pieces in vec((0u64..400, prop_oneof![stream(), near_answer()]), 0..6),
        damaged: bool,
    ) {
        let ms = Duration::from_millis;
        let timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 4 };
        let mut exchange = Exchange::new(request.clone(), timing, ms(0));
        let (mut now, mut done, mut requests) = (ms(0), 0, 0u32);
        let mut pieces = pieces.into_iter();
        while done == 0 {
            requests += std::iter::from_fn(|| exchange.poll_transmit()).count() as u32;
            match pieces.next() {
                Some((gap, octets)) => {
                    now += ms(gap);
                    exchange.handle_bytes(now, &octets);
                    if damaged {
                        exchange.handle_damaged(now, 0x68);
                    }
                }
                None => now = exchange.poll_timeout().map_or(now, |(at, _)| at.max(now)),
            }
            exchange.handle_timeout(now);
            while let Some(event) = exchange.poll_event() {
                prop_assert_eq!(done, 0, "an event after the end");
                if let Event::Done(outcome) = event {
                    done += 1;
                    prop_assert_eq!(outcome == Outcome::Sent, !request.is_answered());
                }
            }
            // Each request: 16 to 267 octets out, the wait, the longest answer.
            prop_assert!(now <= ms(2000) + ms(1150) * requests);
        }
        prop_assert_eq!(exchange.poll_timeout(), None);
    }

    /// What a meter answers is what the exchange understands, for every request that a meter can obey.
    #[test]
    fn reader_and_meter_agree_on_any_request(request in request(), block in vec(any::<u8>(), 0..900), accept: bool) {
        let own: Address = "000000001234".parse().unwrap();
        let manner = Manner { edition: request.edition(), unknown: meter::Unknown::Refused, broadcast_reads: true };
        let request = readdressed(request, own);
        let ms = Duration::from_millis;
        let timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 0 };
        let mut exchange = Exchange::new(request.clone(), timing, ms(0));
        let (mut answering, mut now) = (Answering::default(), ms(0));
        let outcome = loop {
            if let Some(Event::Done(outcome)) = exchange.poll_event() {
                break outcome;
            }
            let answer = exchange.poll_transmit().and_then(|sent| {
                meter::answer(own, manner, &mut answering, &Frame::parse(&sent).unwrap(), |request, out| {
                    let most = if matches!(request, Request::Security { .. }) { 200 } else { block.len() };
                    out.extend_from_slice(&block[..most.min(block.len())]);
                    if accept { Ok(()) } else { Err(ErrorWord::OTHER) }
                })
            });
            match answer {
                Some(octets) => exchange.handle_bytes(now, &octets),
                None => {
                    now = exchange.poll_timeout().map_or(now, |(at, _)| at);
                    exchange.handle_timeout(now);
                }
            }
        };
        let fits = match (&request, outcome) {
            (Request::BroadcastTime { .. }, outcome) => outcome == Outcome::Sent,
            (Request::ReadAddress, outcome) => matches!(outcome, Outcome::Address { .. }),
            // Nothing was read before.
            (Request::ReadMore { .. } | Request::ReRead { .. }, outcome) => matches!(outcome, Outcome::Refused(_)),
            (Request::WriteAddress { .. }, Outcome::Failed(failure)) => {
                !accept && failure == dlt645::exchange::Failure::Silent
            }
            (Request::Read { .. } | Request::ReadRecords { .. }, Outcome::Data { octets, .. }) => {
                accept && octets == block
            }
            (_, Outcome::Done { .. }) => accept,
            (_, Outcome::Refused(_)) => !accept || matches!(&request,
                Request::SetRate { rate, .. } if rate.edition() == Edition::E1997 && rate.word() == 0xFF),
            _ => false,
        };
        prop_assert!(fits, "{request}");
    }

    #[test]
    fn any_octets_are_parsed_printed_and_answered_without_a_panic(octets in noise(300), frame in sound_frame()) {
        for octets in [&octets, &frame] {
            if let Ok(frame) = Frame::parse(octets) {
                prop_assert!(!frame.to_string().contains('\n'));
                let _ = (Request::parse(&frame), Reply::parse(&frame));
                for manner in [Manner::E2007, Manner::E1997] {
                    let mut answering = Answering::default();
                    let answered = meter::answer(frame.address(), manner, &mut answering, &frame, |_, out| {
                        out.extend([0; 100]);
                        Ok(())
                    });
                    if let Some(answer) = answered {
                        prop_assert!(Reply::parse_of(&Frame::parse(&answer).unwrap(), manner.edition).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn scanner_finds_the_same_however_the_stream_is_cut(stream in stream(), cuts in vec(1usize..40, 1..10),
        damaged in vec(0usize..600, 0..4)) {
        let whole = scan(&stream, &damaged, &[usize::MAX / 2]);
        prop_assert_eq!(&scan(&stream, &damaged, &cuts), &whole);
        prop_assert_eq!(&scan(&stream, &damaged, &[1]), &whole);
    }

    #[test]
    fn every_octet_is_frame_preamble_or_noise(stream in stream(), damaged in vec(0usize..600, 0..4)) {
        let counted: usize = scan(&stream, &damaged, &[7]).iter().map(|seen| match seen {
            Seen::Frame(octets, preamble) => octets.len() + preamble,
            Seen::Noise(octets) => *octets,
            Seen::Damaged(_) => 0,
        }).sum();
        prop_assert_eq!(counted, stream.len());
    }

    #[test]
    fn after_any_noise_a_frame_sent_twice_is_found(noise in noise(300), frame in sound_frame()) {
        let seen = scan(&[noise, frame.clone(), frame.clone()].concat(), &[], &[13]);
        prop_assert!(seen.iter().any(|seen| matches!(seen, Seen::Frame(octets, _) if *octets == frame)));
    }

    #[test]
    fn frame_with_a_damaged_octet_is_never_found(frame in sound_frame(), at: prop::sample::Index) {
        let seen = scan(&frame, &[at.index(frame.len())], &[50]);
        prop_assert!(!seen.contains(&Seen::Frame(frame, 0)));
    }

    #[test]
    fn exchange_ends_in_time_once_and_believes_only_the_asked(
        pieces in vec((0u64..400, near_answer()), 0..6),
    ) {
        let (asked, di) = (Address::from_wire([0x34, 0xAA, 0, 0, 0, 0]), Di::new(0x0201_0100));
        let ms = Duration::from_millis;
        let timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 4 };
        let mut exchange = Exchange::new(Request::Read { address: asked, di }, timing, ms(0));
        let (mut now, mut done, mut requests) = (ms(0), 0, 0);
        let mut pieces = pieces.into_iter();
        while done == 0 {
            requests += std::iter::from_fn(|| exchange.poll_transmit()).count() as u32;
            match pieces.next() {
                Some((gap, octets)) => {
                    now += ms(gap);
                    exchange.handle_bytes(now, &octets);
                }
                None => now = exchange.poll_timeout().map_or(now, |(at, _)| at.max(now)),
            }
            exchange.handle_timeout(now);
            while let Some(event) = exchange.poll_event() {
                prop_assert_eq!(done, 0, "an event after the end");
                if let Event::Done(outcome) = event {
                    done += 1;
                    if let Outcome::Data { from, di: read, .. } = outcome {
                        prop_assert!(asked.matches(from) && read == di);
                    }
                }
            }
            prop_assert!(now <= ms(2000) + ms(900) * requests);
        }
        prop_assert_eq!(exchange.poll_timeout(), None);
    }
}
