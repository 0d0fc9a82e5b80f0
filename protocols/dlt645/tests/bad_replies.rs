//! Replies that must not be believed: to each, the exchange goes on listening and the good answer that
//! comes behind it is taken.
#![expect(clippy::unwrap_used, reason = "a frame that cannot be built fails the test")]

use dlt645::exchange::{Event, Exchange, Failure, MAX_FRAMES, Outcome, Timing};
use dlt645::frame::{Control, emit};
use dlt645::pdu::{ClockTime, Operator, OutputSignal, Password, Rate, RelayAction, RelayOrder, Request};
use dlt645::{Address, Di, Edition, ErrorWord};
use std::time::Duration;

const VOLTAGE: Di = Di::new(0x0201_0100);
const OLD_VOLTAGE: Di = Di::new_1997(0xB611);
const TIMING: Timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 4 };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn own() -> Address {
    "1234".parse().unwrap()
}

fn frame(address: &str, control: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    emit(address.parse().unwrap(), Control::new(control), data, &mut out).unwrap();
    out
}

/// The frame with one octet changed; the sum is that of before.
fn bent(mut octets: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
    octets[at] = octet;
    octets
}

/// All outcomes, after these pieces came 50 ms apart and then nothing.
fn after(request: Request, pieces: &[Vec<u8>]) -> Outcome {
    let mut exchange = Exchange::new(request, TIMING, ms(0));
    let mut now = ms(30);
    let mut pieces = pieces.iter();
    loop {
        exchange.poll_transmit();
        while let Some(event) = exchange.poll_event() {
            if let Event::Done(outcome) = event {
                return outcome;
            }
        }
        match pieces.next() {
            Some(octets) => {
                now += ms(50);
                exchange.handle_bytes(now, octets);
            }
            None => {
                let (at, _) = exchange.poll_timeout().unwrap();
                now = at.max(now);
                exchange.handle_timeout(now);
            }
        }
    }
}

fn is_answer(outcome: &Outcome, expected: &[u8]) -> bool {
    matches!(outcome, Outcome::Data { octets, .. } if octets == expected)
}

/// Each alone is no answer; before the good one it does no harm.
fn never_believed(request: &Request, good: &[u8], expected: &[u8], bad: &[(&str, Vec<u8>)]) {
    assert!(is_answer(&after(request.clone(), &[good.to_vec()]), expected));
    for (why, octets) in bad {
        let alone = after(request.clone(), std::slice::from_ref(octets));
        assert!(matches!(alone, Outcome::Failed(_)), "{why}: {alone:?}");
        let followed = after(request.clone(), &[octets.clone(), good.to_vec()]);
        assert!(is_answer(&followed, expected), "{why}: {followed:?}");
    }
}

#[test]
fn bad_reply_to_a_read_of_2007_is_never_believed() {
    let good = frame("1234", 0x91, &[0, 1, 1, 2, 0x05, 0x22]);
    let data = &[0, 1, 1, 2, 0x05, 0x22][..];
    let bad = [
        ("another meter", frame("1235", 0x91, data)),
        ("another meter in the highest digit", frame("900000001234", 0x91, data)),
        ("all wildcards", frame("AAAAAAAAAAAA", 0x91, data)),
        ("broadcast", frame("999999999999", 0x91, data)),
        ("the fill of 1997", frame("AAAAAAAA1234", 0x91, data)),
        ("D7 = 0: a request", frame("1234", 0x11, data)),
        ("D7 = 0 and D5", frame("1234", 0x31, data)),
        ("function 12", frame("1234", 0x92, &[0, 1, 1, 2, 0x05, 0x22, 1])),
        ("function 14", frame("1234", 0x94, &[])),
        ("function 13", frame("1234", 0x93, &own().to_wire())),
        ("a function that nobody has", frame("1234", 0x9F, data)),
        ("a read of 1997", frame("1234", 0x81, data)),
        ("another DI", frame("1234", 0x91, &[0, 2, 1, 2, 0x05, 0x22])),
        ("the DI of its block", frame("1234", 0x91, &[0, 0xFF, 1, 2, 0x05, 0x22])),
        ("the DI backwards", frame("1234", 0x91, &[2, 1, 1, 0, 0x05, 0x22])),
        ("half a DI", frame("1234", 0x91, &[0, 1])),
        ("no data", frame("1234", 0x91, &[])),
        ("a refusal with D5", frame("1234", 0xF1, &[2])),
        ("a refusal of two octets", frame("1234", 0xD1, &[2, 0])),
        ("a refusal of a write", frame("1234", 0xD4, &[4])),
        ("a refusal of another meter", frame("1235", 0xD1, &[2])),
        ("checksum", bent(good.clone(), 16, 0x0B)),
        ("data without its checksum", bent(good.clone(), 15, 0x56)),
        ("no end octet", bent(good.clone(), 17, 0x17)),
        ("length too small", bent(good.clone(), 9, 0x05)),
        ("no second 68", bent(good.clone(), 7, 0x69)),
        ("no first 68", bent(good.clone(), 0, 0x69)),
        ("cut short", good[..13].to_vec()),
    ];
    let request = Request::Read { address: own(), di: VOLTAGE };
    // A length too great, and a frame cut short, swallow what follows until the deadline gives them up.
    never_believed(&request, &good, &[0x05, 0x22], &bad);
    never_believed(&request, &good, &[0x05, 0x22], &[("length too great", bent(good.clone(), 9, 0x20))]);
}

#[test]
fn bad_reply_to_a_read_of_1997_is_never_believed() {
    let good = frame("1234", 0x81, &[0x11, 0xB6, 0x20, 0x02]);
    let data = &[0x11, 0xB6, 0x20, 0x02][..];
    let bad = [
        ("another meter", frame("1235", 0x81, data)),
        ("another meter behind the fill", frame("AAAAAAAA1235", 0x81, data)),
        ("all wildcards", frame("AAAAAAAAAAAA", 0x81, data)),
        ("D7 = 0", frame("1234", 0x01, data)),
        ("a follow-up", frame("1234", 0x82, data)),
        ("the last answer again", frame("1234", 0x83, data)),
        ("a read of 2007", frame("1234", 0x91, &[0x11, 0xB6, 0x20, 0x02, 1, 1])),
        ("another DI", frame("1234", 0x81, &[0x12, 0xB6, 0x20, 0x02])),
        ("half a DI", frame("1234", 0x81, &[0x11])),
        ("a refusal of two octets", frame("1234", 0xC1, &[2, 0])),
        ("a refusal of a write", frame("1234", 0xC4, &[2])),
        ("the active report of 2007", frame("1234", 0x91, &[0x01, 0x15, 0x00, 0x04, 1, 2, 3])),
        ("checksum", bent(good.clone(), 14, 0x00)),
    ];
    let request = Request::Read { address: own(), di: OLD_VOLTAGE };
    never_believed(&request, &good, &[0x20, 0x02], &bad);
}

#[test]
fn fill_of_1997_is_believed_in_either_form() {
    for (to, from) in [
        ("1234", "AAAAAAAA1234"),
        ("AAAAAAAA1234", "1234"),
        ("AAAAAAAAAAAA", "1234"),
        ("999999999999", "1234"),
    ] {
        let request = Request::Read { address: to.parse().unwrap(), di: OLD_VOLTAGE };
        let outcome = after(request, &[frame(from, 0x81, &[0x11, 0xB6, 0x20, 0x02])]);
        assert!(is_answer(&outcome, &[0x20, 0x02]), "{to} {from}");
        let Outcome::Data { from: real, .. } = outcome else { unreachable!() };
        assert_eq!(real, from.parse().unwrap());
    }
}

#[test]
fn bad_follow_up_is_never_joined() {
    let begun = frame("1234", 0xB1, &[0, 1, 1, 2, 0x05]);
    let good = frame("1234", 0x92, &[0, 1, 1, 2, 0x22, 1]);
    let request = Request::Read { address: own(), di: VOLTAGE };
    let whole = after(request.clone(), &[begun.clone(), good.clone()]);
    assert!(is_answer(&whole, &[0x05, 0x22]));
    for (why, octets) in [
        ("no SEQ", frame("1234", 0x92, &[0, 1, 1, 2])),
        ("SEQ 0", frame("1234", 0x92, &[0, 1, 1, 2, 0x22, 0])),
        ("the next SEQ", frame("1234", 0x92, &[0, 1, 1, 2, 0x22, 2])),
        ("the first frame again", begun.clone()),
        ("another DI", frame("1234", 0x92, &[0, 2, 1, 2, 0x22, 1])),
        ("another meter", frame("1235", 0x92, &[0, 1, 1, 2, 0x22, 1])),
        ("a follow-up of 1997", frame("1234", 0x82, &[0, 1, 0x22])),
        ("a refusal of the read", frame("1234", 0xD1, &[2])),
    ] {
        let alone = after(request.clone(), &[begun.clone(), octets.clone()]);
        assert_eq!(alone, Outcome::Failed(Failure::Unfinished), "{why}");
        let followed = after(request.clone(), &[begun.clone(), octets, good.clone()]);
        assert!(is_answer(&followed, &[0x05, 0x22]), "{why}");
    }
    // The frame that was joined already.
    let second = frame("1234", 0xB2, &[0, 1, 1, 2, 0x22, 1]);
    let third = frame("1234", 0x92, &[0, 1, 1, 2, 0x33, 2]);
    let twice = after(request, &[begun, second.clone(), second, third]);
    assert!(is_answer(&twice, &[0x05, 0x22, 0x33]));
}

#[test]
fn follow_up_without_end_is_given_up_in_either_edition() {
    let endless = |first: Vec<u8>, next: &dyn Fn(u8) -> Vec<u8>| -> Vec<Vec<u8>> {
        std::iter::once(first).chain((1..=200).map(next)).collect()
    };
    let of_2007 =
        endless(frame("1234", 0xB1, &[0, 1, 1, 2, 1]), &|n| frame("1234", 0xB2, &[0, 1, 1, 2, n, n]));
    let outcome = after(Request::Read { address: own(), di: VOLTAGE }, &of_2007);
    assert_eq!(outcome, Outcome::Failed(Failure::Unfinished));
    let of_1997 = endless(frame("1234", 0xA1, &[0x1F, 0x90, 1]), &|n| frame("1234", 0xA2, &[0x1F, 0x90, n]));
    let read = Request::Read { address: own(), di: Di::new_1997(0x901F) };
    assert_eq!(after(read.clone(), &of_1997), Outcome::Failed(Failure::Unfinished));
    // One that ends just in time is whole.
    let mut whole = of_1997[..usize::from(MAX_FRAMES) - 1].to_vec();
    whole.push(frame("1234", 0x82, &[0x1F, 0x90, 0xFF]));
    assert!(
        matches!(after(read, &whole), Outcome::Data { octets, .. } if octets.len() == usize::from(MAX_FRAMES))
    );
}

#[test]
fn refusal_in_the_middle_leaves_no_value() {
    let outcome = after(
        Request::Read { address: own(), di: Di::new_1997(0x901F) },
        &[frame("1234", 0xA1, &[0x1F, 0x90, 1]), frame("1234", 0xC2, &[2])],
    );
    assert_eq!(outcome, Outcome::Failed(Failure::Unfinished));
    let alone = after(Request::Read { address: own(), di: OLD_VOLTAGE }, &[frame("1234", 0xC1, &[2])]);
    assert_eq!(alone, Outcome::Refused(ErrorWord::Of1997(2)));
}

#[test]
fn acknowledgement_of_another_command_is_never_believed() {
    let (password, operator) = (Password::new(2, 123_456).unwrap(), Operator([1, 0, 0, 0]));
    let until = ClockTime::new([26, 11, 22, 10, 0, 0]).unwrap();
    let order = RelayOrder::Plain { action: RelayAction::TRIP, delay: 0, until };
    let rate = |edition, baud| Rate::new(edition, baud).unwrap();
    let relay = Request::Relay { address: own(), password, operator, order };
    let set = Request::SetRate { address: own(), rate: rate(Edition::E2007, 4800) };
    let set_old = Request::SetRate { address: own(), rate: rate(Edition::E1997, 4800) };
    let put_out = Request::Output { address: own(), signal: OutputSignal::DEMAND_PERIOD };
    let clear = Request::ClearMeter { address: own(), password, operator };
    let new = "5678".parse().unwrap();
    let call = Request::WriteAddress { address: Address::ANY, edition: Edition::E2007, new };
    for (request, octets) in [
        (&relay, frame("1234", 0x9A, &[])),
        (&relay, frame("1234", 0x9C, &[0])),
        (&relay, frame("1235", 0x9C, &[])),
        (&relay, frame("1234", 0x1C, &[])),
        (&relay, frame("1234", 0xBC, &[])),
        (&relay, frame("1234", 0xDA, &[4])),
        (&clear, frame("1234", 0x9C, &[])),
        (&set, frame("1234", 0x97, &[0x20])),
        (&set, frame("1234", 0x97, &[])),
        (&set, frame("1234", 0x8C, &[0x10])),
        (&set_old, frame("1234", 0x8C, &[0x10])),
        (&set_old, frame("1234", 0x97, &[0x20])),
        (&put_out, frame("1234", 0x9D, &[0])),
        (&call, frame("1234", 0x95, &[])),
        (&call, frame("5678", 0x93, &[])),
    ] {
        let outcome = after(request.clone(), std::slice::from_ref(&octets));
        assert_eq!(outcome, Outcome::Failed(Failure::Stray), "{request}: {octets:02X?}");
    }
    for (request, octets) in [
        (relay, frame("1234", 0x9C, &[])),
        (clear, frame("1234", 0x9A, &[])),
        (set, frame("1234", 0x97, &[0x10])),
        (set_old, frame("1234", 0x8C, &[0x20])),
        (put_out, frame("1234", 0x9D, &[1])),
        (call, frame("5678", 0x95, &[])),
    ] {
        let outcome = after(request, std::slice::from_ref(&octets));
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }
}

#[test]
fn a_rate_of_ff_is_refused_also_where_it_was_asked_for() {
    let rate = Rate::from_wire(Edition::E1997, 0xFF);
    let mut exchange = Exchange::new(Request::SetRate { address: own(), rate }, TIMING, ms(0));
    assert!(exchange.poll_transmit().is_some());
    exchange.handle_bytes(ms(60), &frame("1234", 0x8C, &[0xFF]));
    let refused = Outcome::Refused(ErrorWord::Of1997(0));
    assert_eq!(exchange.poll_event(), Some(Event::Done(refused)));
}

#[test]
fn command_is_never_sent_twice_because_of_an_active_report() {
    let password = Password::new(4, 0).unwrap();
    let request =
        Request::ResetDemand { address: own(), edition: Edition::E2007, password, operator: Operator::NONE };
    let mut exchange = Exchange::new(request, TIMING, ms(0));
    assert!(exchange.poll_transmit().is_some());
    exchange.handle_bytes(ms(60), &frame("1234", 0x91, &[0x01, 0x15, 0x00, 0x04, 1, 2]));
    let told = Event::ActiveReport { from: own(), octets: vec![1, 2], first_octet: ms(60) };
    assert_eq!(exchange.poll_event(), Some(told));
    assert_eq!(exchange.poll_transmit(), None);
    exchange.handle_bytes(ms(120), &frame("1234", 0x99, &[]));
    assert!(matches!(exchange.poll_event(), Some(Event::Done(Outcome::Done { .. }))));
}

#[test]
fn broadcast_ends_when_it_is_sent_whatever_comes() {
    let time = ClockTime::new([26, 11, 21, 22, 45, 0]).unwrap();
    let request = Request::BroadcastTime { address: Address::BROADCAST, time };
    assert_eq!(after(request.clone(), &[]), Outcome::Sent);
    assert_eq!(after(request.clone(), &[frame("1234", 0x88, &[])]), Outcome::Sent);
    let mut exchange = Exchange::new(request, TIMING, ms(0));
    // 4 FE and 18 octets.
    assert_eq!(exchange.poll_timeout().map(|(at, _)| at), Some(ms(22)));
    exchange.handle_timeout(ms(22));
    assert_eq!(exchange.poll_event(), Some(Event::Done(Outcome::Sent)));
}
