//! What may happen between a question and its answer.
#![allow(clippy::unwrap_used, reason = "what cannot be made fails the test")]

use modbus::exchange::{Event, Exchange, NoAnswer, Outcome, Request, Timing, Transport};
use modbus::rtu::{Reply, Request as Frame};
use modbus::{Exception, Function, Span, UnitId, tcp};
use proptest::prelude::*;
use std::time::Duration;

const ASKED: Span = Span { function: Function::Input, address: 0x0034, count: 2 };
/// At 9600 8N1.
const OCTET: Duration = Duration::from_micros(1042);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn exchange(transport: Transport) -> Exchange {
    let request = Request { unit: UnitId::new(17).unwrap(), span: ASKED };
    let timing = Timing { octet: OCTET, first_octet: ms(500), slack: ms(20), earliest: OCTET * 8 };
    Exchange::new(request, transport, timing, Duration::ZERO)
}

fn reply(unit: u8, function: Function, words: &[u16]) -> Vec<u8> {
    Reply::registers(unit, function, words).to_rtu()
}

fn answer() -> Vec<u8> {
    reply(17, Function::Input, &[0x4366, 0x3333])
}

/// All that happened; at the end the deadline comes.
fn events(mut exchange: Exchange, came: &[(Duration, &[u8])]) -> Vec<Event> {
    for (at, octets) in came {
        while let Some(deadline) = exchange.poll_timeout().filter(|deadline| deadline <= at) {
            exchange.handle_timeout(deadline);
        }
        exchange.handle_bytes(*at, octets);
    }
    while let Some(deadline) = exchange.poll_timeout() {
        exchange.handle_timeout(deadline);
    }
    std::iter::from_fn(|| exchange.poll_event()).collect()
}

fn outcome(came: &[(Duration, &[u8])]) -> Outcome {
    match events(exchange(Transport::Rtu), came).pop() {
        Some(Event::Done(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn registers(at: Duration) -> Outcome {
    Outcome::Registers { words: vec![0x4366, 0x3333], first_octet: at }
}

#[test]
fn the_answer_is_believed_in_one_piece_or_octet_by_octet() {
    assert_eq!(outcome(&[(ms(40), &answer())]), registers(ms(40)));
    let all = answer();
    let pieces: Vec<(Duration, &[u8])> =
        all.chunks(1).zip(0..).map(|(octet, n)| (ms(40 + n), octet)).collect();
    assert_eq!(outcome(&pieces), registers(ms(40)));
}

#[test]
fn nothing_is_silence_and_our_own_words_are_too() {
    assert_eq!(outcome(&[]), Outcome::Failed(NoAnswer::Silent));
    let echo = Frame::read(17, ASKED).to_rtu();
    assert_eq!(outcome(&[(ms(9), &echo)]), Outcome::Failed(NoAnswer::Silent));
    let both = [&echo[..], &answer()].concat();
    assert_eq!(outcome(&[(ms(9), &both[..8]), (ms(40), &both[8..])]), registers(ms(40)));
    assert_eq!(outcome(&[(ms(40), &both)]), registers(ms(40)));
}

#[test]
fn our_own_words_are_not_counted_as_damage() {
    let echo = Frame::read(17, ASKED).to_rtu();
    let damaged = NoAnswer::Damaged { octets: 2, never_a_frame: true };
    assert_eq!(outcome(&[(ms(9), &echo), (ms(60), &[0, 1])]), Outcome::Failed(damaged));
}

#[test]
fn a_flood_of_strays_keeps_events_bounded_and_the_answer_is_told() {
    let mut flooded = exchange(Transport::Rtu);
    let stray = [&reply(18, Function::Input, &[1, 2])[..], &[0]].concat();
    for _ in 0..10_000 {
        flooded.handle_bytes(ms(40), &stray);
    }
    flooded.handle_bytes(ms(40), &answer());
    let events: Vec<Event> = std::iter::from_fn(|| flooded.poll_event()).collect();
    assert!(events.len() <= 65, "{}", events.len());
    assert_eq!(events.last(), Some(&Event::Done(registers(ms(40)))));
}

#[test]
fn an_exception_is_a_refusal_with_its_name() {
    let refusal = Reply::refusal(17, 4, Exception::IllegalDataAddress).to_rtu();
    assert_eq!(outcome(&[(ms(40), &refusal)]), Outcome::Refused(Exception::IllegalDataAddress));
    let of_other = Reply::refusal(17, 3, Exception::IllegalDataAddress).to_rtu();
    assert_eq!(outcome(&[(ms(40), &of_other)]), Outcome::Failed(NoAnswer::Stray));
}

#[test]
fn what_another_question_was_answered_with_is_stray_and_listening_goes_on() {
    for stray in [
        reply(18, Function::Input, &[1, 2]),
        reply(17, Function::Holding, &[1, 2]),
        reply(17, Function::Input, &[1]),
        reply(17, Function::Input, &[1, 2, 3]),
        Reply::refusal(18, 4, Exception::Busy).to_rtu(),
    ] {
        assert_eq!(outcome(&[(ms(40), &stray)]), Outcome::Failed(NoAnswer::Stray), "{stray:02X?}");
        assert_eq!(outcome(&[(ms(40), &stray), (ms(90), &answer())]), registers(ms(90)), "{stray:02X?}");
        let both = [&stray[..], &answer()].concat();
        assert_eq!(outcome(&[(ms(40), &both)]), registers(ms(40)), "{stray:02X?}");
    }
}

#[test]
fn an_answer_that_began_before_the_question_was_out_is_of_an_earlier_one() {
    // The request takes 8 characters, 8.3 ms.
    assert_eq!(outcome(&[(ms(2), &answer())]), Outcome::Failed(NoAnswer::Stray));
    assert_eq!(outcome(&[(ms(2), &answer()), (ms(60), &answer())]), registers(ms(60)));
}

#[test]
fn damage_is_no_answer_whatever_the_crc_says() {
    let mut wrong = answer();
    wrong[4] ^= 1;
    assert!(matches!(
        outcome(&[(ms(40), &wrong)]),
        Outcome::Failed(NoAnswer::Damaged { never_a_frame: true, .. })
    ));
    assert_eq!(outcome(&[(ms(40), &wrong), (ms(90), &answer())]), registers(ms(90)));
    let mut marked = exchange(Transport::Rtu);
    let all = answer();
    marked.handle_bytes(ms(40), &all[..3]);
    marked.handle_damaged(ms(40), all[3]);
    marked.handle_bytes(ms(41), &all[4..]);
    while let Some(deadline) = marked.poll_timeout() {
        marked.handle_timeout(deadline);
    }
    let events: Vec<Event> = std::iter::from_fn(|| marked.poll_event()).collect();
    assert!(events.contains(&Event::Damaged), "{events:?}");
    assert!(
        matches!(events.last(), Some(Event::Done(Outcome::Failed(NoAnswer::Damaged { .. })))),
        "{events:?}"
    );
}

#[test]
fn noise_before_the_answer_does_not_hide_it() {
    // What looks like the beginning of a long answer, and of the answer itself.
    for noise in [&[0x11, 0x04, 0xF0][..], &[0x11, 0x04, 0x04, 0x43], &[0xFE; 4], &[0x68, 0x12, 0x34]] {
        let all = [noise, &answer()].concat();
        assert_eq!(outcome(&[(ms(40), &all)]), registers(ms(40)), "{noise:02X?}");
    }
}

#[test]
fn what_began_in_time_is_waited_for_by_its_length_and_no_longer() {
    let all = answer();
    // It begins just before the deadline, and comes on at its rate.
    let (begins, goes_on) = (ms(505), ms(512));
    assert_eq!(outcome(&[(begins, &all[..2]), (goes_on, &all[2..])]), registers(begins));
    // What stops is not waited for without end.
    let mut stopped = exchange(Transport::Rtu);
    stopped.handle_bytes(ms(40), &all[..5]);
    let mut last = Duration::ZERO;
    while let Some(deadline) = stopped.poll_timeout() {
        last = deadline;
        stopped.handle_timeout(deadline);
    }
    assert!(last < ms(800), "{last:?}");
}

#[test]
fn over_tcp_the_transaction_tells_which_question_it_answers() {
    let frame = |transaction: u16, words: &[u16]| {
        let mut out = Vec::new();
        let pdu = Reply::registers(17, Function::Input, words).pdu();
        tcp::Frame { transaction, unit: 17, pdu: &pdu }.emit(&mut out);
        out
    };
    let of =
        |came: &[(Duration, &[u8])]| match events(exchange(Transport::Tcp { transaction: 7 }), came).pop() {
            Some(Event::Done(outcome)) => outcome,
            other => panic!("{other:?}"),
        };
    let (right, late) = (frame(7, &[0x4366, 0x3333]), frame(6, &[1, 2]));
    assert_eq!(of(&[(ms(40), &right)]), registers(ms(40)));
    assert_eq!(of(&[(ms(40), &right[..5]), (ms(41), &right[5..])]), registers(ms(40)));
    assert_eq!(of(&[(ms(40), &late), (ms(50), &right)]), registers(ms(50)));
    assert_eq!(of(&[(ms(40), &late)]), Outcome::Failed(NoAnswer::Stray));
    assert_eq!(of(&[]), Outcome::Failed(NoAnswer::Silent));
}

proptest! {
    /// Whatever comes, in whatever pieces: it ends in bounded time, and only the registers that were asked for are an
    /// answer.
    #[test]
    fn any_octets_end_in_bounded_time_and_are_believed_only_as_the_answer(
        pieces in proptest::collection::vec((0..30_u64, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..40),
        answers: bool,
    ) {
        let mut exchange = exchange(Transport::Rtu);
        let (mut at, mut all) = (ms(10), Vec::new());
        for (wait, octets, damaged) in pieces {
            at += ms(wait);
            while let Some(deadline) = exchange.poll_timeout().filter(|deadline| *deadline <= at) {
                exchange.handle_timeout(deadline);
            }
            for octet in &octets {
                if damaged { exchange.handle_damaged(at, *octet) } else { exchange.handle_bytes(at, &[*octet]) }
            }
            if !damaged { all.extend(octets) }
        }
        if answers {
            exchange.handle_bytes(at, &answer());
            all.extend(answer());
        }
        let mut last = at;
        while let Some(deadline) = exchange.poll_timeout() {
            last = last.max(deadline);
            exchange.handle_timeout(deadline);
        }
        prop_assert!(last < at.max(ms(500)) + ms(500));
        let events: Vec<Event> = std::iter::from_fn(|| exchange.poll_event()).collect();
        prop_assert!(matches!(events.last(), Some(Event::Done(_))));
        if let Some(Event::Done(Outcome::Registers { words, .. })) = events.last() {
            let frame = reply(17, Function::Input, words);
            prop_assert!(all.windows(frame.len()).any(|part| part == frame));
        }
    }
}
