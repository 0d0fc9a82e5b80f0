//! The exchanges of fixtures/frames from both sides: the reader sends what the meter must hear and takes
//! what it answers; the meter answers, to the octet, what the reader must hear.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be read fails the test")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test means all the others")]

mod golden;

use dlt645::exchange::{Event, Exchange, Outcome, Timing};
use dlt645::format::Format;
use dlt645::frame::Frame;
use dlt645::meter::{Answering, Manner, Unknown, answer};
use dlt645::pdu::{Reply, Request, function};
use dlt645::{Address, Edition, ErrorWord};
use golden::golden;
use std::time::Duration;

const FILES: [(&str, Edition); 2] =
    [("exchanges-2007.csv", Edition::E2007), ("exchanges-1997.csv", Edition::E1997)];

/// Its asks, each with its answer.
struct Talk {
    id: String,
    turns: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Talk {
    fn replies(&self, edition: Edition) -> Vec<Reply<'_>> {
        let read = |octets| Reply::parse_of(&Frame::parse(octets).unwrap(), Some(edition)).unwrap();
        self.turns.iter().filter_map(|(_, answer)| answer.as_deref()).map(read).collect()
    }

    fn asks(&self, edition: Edition) -> impl Iterator<Item = Request> {
        let read =
            move |octets: &Vec<u8>| Request::parse_of(&Frame::parse(octets).unwrap(), Some(edition)).unwrap();
        self.turns.iter().map(move |(ask, _)| read(ask))
    }

    /// All that is read in it, without what a repetition repeats.
    fn octets(&self, edition: Edition) -> Vec<u8> {
        let mut all = Vec::new();
        for reply in self.replies(edition) {
            if let Reply::Data { octets, .. } | Reply::More { octets, .. } | Reply::Security { octets, .. } =
                reply
            {
                all.extend(octets);
            }
        }
        all
    }

    fn refusal(&self, edition: Edition) -> Option<ErrorWord> {
        self.replies(edition).into_iter().find_map(|reply| match reply {
            Reply::Refused { word, .. } => Some(word),
            Reply::Rate { rate, .. } if edition == Edition::E1997 && rate.word() == 0xFF => {
                Some(ErrorWord::Of1997(0))
            }
            _ => None,
        })
    }
}

fn talks(file: &str) -> Vec<Talk> {
    let mut talks: Vec<Talk> = Vec::new();
    for row in golden(file) {
        let [id, turn, side] = row.id.split('.').collect::<Vec<_>>().try_into().expect("exchange.turn.side");
        if talks.last().is_none_or(|talk| talk.id != id) {
            talks.push(Talk { id: id.to_owned(), turns: Vec::new() });
        }
        let turns = &mut talks.last_mut().unwrap().turns;
        match side {
            "ask" => turns.push((row.octets, None)),
            "answer" => turns.last_mut().unwrap().1 = Some(row.octets),
            other => panic!("{}: {other}", row.id),
        }
        assert_eq!(turns.len().to_string(), turn, "{}", row.id);
    }
    talks
}

/// What the reader makes of the answers; it must send the asks to the octet.
fn read(talk: &Talk, edition: Edition) -> Vec<Outcome> {
    let ms = Duration::from_millis;
    let timing = Timing { octet: ms(1), first_octet: ms(500), slack: ms(100), preamble: 0 };
    let mut outcomes = Vec::new();
    let mut running: Option<Exchange> = None;
    for (turn, (request, (ask, answer))) in (1..).zip(talk.asks(edition).zip(&talk.turns)) {
        let now = ms(200 * turn);
        let mut exchange = running.take().unwrap_or_else(|| Exchange::new(request, timing, now));
        assert_eq!(exchange.poll_transmit().as_ref(), Some(ask), "{} turn {turn}", talk.id);
        match answer {
            Some(answer) => exchange.handle_bytes(now + ms(50), answer),
            None => exchange.handle_timeout(now + ms(150)),
        }
        match exchange.poll_event() {
            Some(Event::Done(outcome)) => outcomes.push(outcome),
            None => running = Some(exchange),
            Some(other) => panic!("{} turn {turn}: {other:?}", talk.id),
        }
    }
    assert!(running.is_none(), "{} does not end", talk.id);
    outcomes
}

#[test]
fn reader_asks_and_understands_every_exchange() {
    let (mut refused, mut sent, mut done, mut data) = (0, 0, 0, 0);
    for (file, edition) in FILES {
        for talk in talks(file) {
            for outcome in read(&talk, edition) {
                match outcome {
                    Outcome::Data { octets, .. } => {
                        assert_eq!(octets, talk.octets(edition), "{}", talk.id);
                        data += 1;
                    }
                    Outcome::Address { address, .. } => assert_eq!(address.to_string(), "000000001234"),
                    Outcome::Done { .. } => done += 1,
                    Outcome::Refused(word) => {
                        assert_eq!(Some(word), talk.refusal(edition), "{}", talk.id);
                        assert!(talk.id.contains("refused"), "{}", talk.id);
                        refused += 1;
                    }
                    Outcome::Sent => sent += 1,
                    Outcome::Failed(failure) => panic!("{}: {failure:?}", talk.id),
                }
            }
        }
    }
    assert_eq!((data, done, refused, sent), (38, 41, 21, 3));
}

#[test]
fn meter_answers_every_exchange_to_the_octet() {
    for (file, edition) in FILES {
        for talk in talks(file) {
            let own: Address = "1234".parse().unwrap();
            let manner = Manner { edition: Some(edition), unknown: Unknown::Refused, broadcast_reads: true };
            let mut answering = Answering::default();
            let octets = talk.octets(edition);
            for (ask, expected) in &talk.turns {
                let frame = Frame::parse(ask).unwrap();
                let answered = answer(own, manner, &mut answering, &frame, |request, out| {
                    assert_eq!(Request::parse_of(&frame, Some(edition)).as_ref(), Ok(request));
                    talk.refusal(edition).map_or(Ok(()), Err)?;
                    out.extend_from_slice(&octets);
                    Ok(())
                });
                assert_eq!(answered.as_ref(), expected.as_ref(), "{}", talk.id);
            }
        }
    }
}

#[test]
fn every_function_of_both_editions_has_its_exchange() {
    for (file, edition) in FILES {
        let mut functions: Vec<u8> = talks(file)
            .iter()
            .flat_map(|talk| talk.asks(edition).collect::<Vec<_>>())
            .map(|r| r.function())
            .collect();
        functions.sort_unstable();
        functions.dedup();
        let all: &[u8] = match edition {
            Edition::E2007 => {
                &[0x03, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D]
            }
            Edition::E1997 => &[0x01, 0x02, 0x03, 0x04, 0x08, 0x0A, 0x0C, 0x0F, 0x10],
        };
        assert_eq!(functions, all);
        let told =
            functions.into_iter().filter(|f| ![function::SECURITY, function::BROADCAST_TIME].contains(f));
        assert!(told.map(function::edition).all(|of| of == Some(edition)));
    }
}

#[test]
fn edition_of_03_is_told_without_a_hint_by_the_rule() {
    for (file, edition) in FILES {
        for talk in talks(file) {
            for (ask, answer) in &talk.turns {
                let ask = Frame::parse(ask).unwrap();
                assert_eq!(Request::parse(&ask), Request::parse_of(&ask, Some(edition)), "{}", talk.id);
                let Some(answer) = answer else { continue };
                let answer = Frame::parse(answer).unwrap();
                assert_eq!(Reply::parse(&answer), Reply::parse_of(&answer, Some(edition)), "{}", talk.id);
            }
        }
    }
}

#[test]
fn password_is_printed_of_no_frame() {
    for (file, edition) in FILES {
        for talk in talks(file) {
            for request in talk.asks(edition) {
                let secret = match &request {
                    Request::Write { password, .. }
                    | Request::ResetDemand { password, .. }
                    | Request::ClearMeter { password, .. }
                    | Request::ClearEvents { password, .. }
                    | Request::Relay { password, .. }
                    | Request::SetPassword { old: password, .. } => *password,
                    _ => continue,
                };
                let [p0, p1, p2] = secret.digits;
                for text in [request.to_string(), format!("{request:?}"), format!("{secret:?} {secret}")] {
                    assert!(text.contains("******"), "{text}");
                    let digits = format!("{p0:02X} {p1:02X} {p2:02X}");
                    assert!(digits == "00 00 00" || !text.contains(&digits), "{text}");
                }
            }
        }
    }
}

#[test]
fn values_are_those_that_the_sources_state() {
    let signed = |decimals| Format::Number { decimals, signed: true };
    let unsigned = |decimals| Format::Number { decimals, signed: false };
    let demand = Format::Demand { decimals: 4, signed: false };
    // Exchange, first octet, octets, format, value.
    let stated = [
        ("block-of-63-tariffs", 0, 4, unsigned(2), "2036.16"),
        ("block-of-63-tariffs", 4 * 63, 4, unsigned(2), "63.63"),
        ("max-demand", 0, 8, demand, "12.3456"),
        ("max-demand-block", 8, 8, demand, "11.3456"),
        ("reactive-block", 0, 4, signed(2), "12345.67"),
        ("reactive-block", 4, 4, signed(2), "1.00"),
        ("reactive-block", 8, 4, signed(2), "-2.50"),
        ("reactive-block", 12, 4, signed(2), "0.00"),
        ("reactive-block", 16, 4, signed(2), "-799999.99"),
        ("power-block", 0, 3, signed(4), "-1.2345"),
        ("power-block", 3, 3, signed(4), "-0.4115"),
        ("reactive-power-negative", 0, 3, signed(4), "-79.9999"),
        ("power-factor-negative", 0, 2, signed(3), "-0.985"),
        ("daily-freeze-energy", 0, 4, unsigned(2), "12345.67"),
        ("daily-freeze-energy", 16, 4, unsigned(2), "2000.00"),
        ("daily-freeze-reactive", 0, 4, signed(2), "-1.00"),
        ("daily-freeze-demand", 32, 8, demand, "1.0004"),
        ("hourly-freeze-energy", 0, 4, unsigned(2), "12345.67"),
        // A record: both its start octets, its length and its time stand before the first value.
        ("load-record-latest", 8, 2, unsigned(1), "220.5"),
        ("load-records-from", 103 + 10, 2, unsigned(1), "221.0"),
        ("old-energy", 0, 4, unsigned(2), "123456.78"),
        ("old-energy-block", 16, 4, unsigned(2), "1.00"),
        ("old-max-demand", 0, 3, unsigned(4), "12.3456"),
        ("old-voltage", 0, 2, unsigned(0), "220"),
        ("old-power", 0, 3, unsigned(4), "1.2345"),
        ("old-reactive-power", 0, 2, unsigned(2), "12.34"),
        ("old-follow-up-thrice", 4 * 89, 4, unsigned(2), "89.89"),
    ];
    let all: Vec<_> = FILES
        .into_iter()
        .flat_map(|(file, edition)| talks(file).into_iter().map(move |talk| (talk, edition)))
        .collect();
    for (id, begin, len, format, value) in stated {
        let (talk, edition) = all.iter().find(|(talk, _)| talk.id == id).unwrap();
        let octets = &talk.octets(*edition)[begin..begin + len];
        assert_eq!(format.decode(octets).unwrap().to_string(), value, "{id} from {begin}");
    }
}

#[test]
fn records_of_a_load_record_close_with_their_own_sum() {
    let all = talks("exchanges-2007.csv");
    for (id, records) in [("load-record-latest", 1), ("load-record-earliest", 1), ("load-records-from", 2)] {
        let octets = all.iter().find(|talk| talk.id == id).unwrap().octets(Edition::E2007);
        let mut rest = &octets[..];
        for _ in 0..records {
            // A0 A0, how many octets up to the last AA, these, their sum with what stands before, E5.
            assert_eq!(rest[..2], [0xA0, 0xA0], "{id}");
            let end = 3 + usize::from(rest[2]);
            let sum = rest[..end].iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
            assert_eq!((rest[end - 1], rest[end], rest[end + 1]), (0xAA, sum, 0xE5), "{id}");
            rest = &rest[end + 2..];
        }
        assert!(rest.is_empty(), "{id}");
    }
}
