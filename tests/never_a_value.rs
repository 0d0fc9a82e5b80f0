//! Whatever comes back on a line, only the answer of the meter that was asked becomes a value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use catalogue::Catalogue;
use dlt645::ErrorWord;
use dlt645::frame::Control;
use meterd::bus::port::memory::{self, MemoryWire};
use meterd::bus::port::{Opener, Received};
use meterd::bus::round::{Point, Round};
use meterd::bus::talk::{Asked, Patience, Talk};
use meterd::clock::Clock;
use meterd::config::Protocol;
use meterd::planner::{Costs, Line};
use meterd::reading::{Decoded, Reason};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{asked, frame, reply};

const METER: &str = "000012345678";
const ENERGY: &str = "00010000";

/// As patient as with a meter of which nothing is known, without a retry.
const ONCE: Patience = Patience {
    first_octet: Duration::from_millis(550),
    again: Duration::from_millis(550),
    retries: 0,
    turnaround: Duration::from_millis(30),
};

fn the_meter() -> Asked {
    Asked { protocol: Protocol::Dlt645_2007(METER.parse().unwrap()), line: Line::DEFAULT, preamble: 4 }
}

/// 123456.78 kWh, low byte first.
const OCTETS: [u8; 4] = [0x78, 0x56, 0x34, 0x12];

/// Reads `register` once, without a retry, from a line on which `answer` follows the request.
async fn read(register: &str, answer: impl AsyncFn(&MemoryWire, &[u8])) -> Decoded {
    let clock = Clock::virtual_at("2026-11-21T10:00:00Z".parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let mut talk = Talk::new(Opener::Memory(opener), Line::DEFAULT, clock);
    let wanted = Catalogue::dlt645_2007().find(register, 4).unwrap();
    let mut round = Round::new(&wanted, BTreeSet::new(), Costs::usual(Line::DEFAULT), Point::default());
    let reader = async {
        while let Some(ask) = round.next() {
            let came = talk.read(the_meter(), ask.subject.id(), ONCE).await;
            round.take(came);
        }
        round.finish()
    };
    let meters = async {
        while let Some(request) = wire.hear().await {
            answer(&wire, &request).await;
        }
    };
    tokio::select! {
        decoded = reader => decoded,
        () = meters => panic!("the port was closed"),
    }
}

fn good() -> Vec<u8> {
    reply(METER, ENERGY, &OCTETS)
}

fn only_failure(decoded: &Decoded) -> Reason {
    assert_eq!(decoded.readings, [], "no value may come of this");
    assert_eq!(decoded.failures.len(), 1);
    decoded.failures[0].reason
}

fn only_value(decoded: &Decoded) -> String {
    assert_eq!(decoded.failures, []);
    assert_eq!(decoded.readings.len(), 1);
    decoded.readings[0].value().unwrap().to_string()
}

async fn says(octets: Vec<u8>) -> Decoded {
    read(ENERGY, async |wire, _| {
        wire.say(&octets).await;
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_the_meter_that_was_asked_is_a_value() {
    let decoded = read(ENERGY, async |wire, request| {
        assert_eq!(asked(request), (ENERGY.to_owned(), METER.to_owned()));
        wire.say(&good()).await;
    })
    .await;
    assert_eq!(only_value(&decoded), "123456.78");
}

#[tokio::test(start_paused = true)]
async fn another_meters_answer_is_stray() {
    assert_eq!(only_failure(&says(reply("000012345679", ENERGY, &OCTETS)).await), Reason::Stray);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_question_is_stray() {
    assert_eq!(only_failure(&says(reply(METER, "00020000", &OCTETS)).await), Reason::Stray);
    let write = frame(METER, Control::reply(0x14, false), &[]);
    assert_eq!(only_failure(&says(write).await), Reason::Stray);
}

#[tokio::test(start_paused = true)]
async fn nobody_at_the_address_is_silent() {
    assert_eq!(only_failure(&says(Vec::new()).await), Reason::Silent);
}

#[tokio::test(start_paused = true)]
async fn an_echo_is_never_a_reading_and_does_not_hide_the_answer() {
    let echo_only = read(ENERGY, async |wire, request| {
        wire.say(request).await;
    })
    .await;
    assert_eq!(only_failure(&echo_only), Reason::Silent);
    let with_answer = read(ENERGY, async |wire, request| {
        wire.say(request).await;
        wire.say(&good()).await;
    })
    .await;
    assert_eq!(only_value(&with_answer), "123456.78");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_checksum_is_damaged() {
    let mut octets = good();
    let sum = octets.len() - 2;
    octets[sum] ^= 0x01;
    assert_eq!(only_failure(&says(octets).await), Reason::Damaged);
}

#[tokio::test(start_paused = true)]
async fn every_single_flipped_bit_is_no_value() {
    for at in 0..good().len() * 8 {
        let mut octets = good();
        octets[at / 8] ^= 1 << (at % 8);
        let decoded = says(octets).await;
        assert_eq!(decoded.readings, [], "bit {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_octet_that_the_line_damaged_spoils_its_frame_though_the_sum_is_right() {
    for at in 0..good().len() {
        let decoded = read(ENERGY, async |wire, _| {
            let octets = good();
            let mut received = Received::default();
            received.push(&octets[..at]);
            received.push_damaged(octets[at]);
            received.push(&octets[at + 1..]);
            wire.say_marked(received).await;
        })
        .await;
        assert_eq!(only_failure(&decoded), Reason::Damaged, "octet {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_cut_short_is_damaged_wherever_it_is_cut() {
    let whole = good();
    for cut in 1..whole.len() {
        assert_eq!(only_failure(&says(whole[..cut].to_vec()).await), Reason::Damaged, "{cut} octets");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_one_octet_too_long_is_implausible_and_shows_its_octets() {
    let long = [0x78, 0x56, 0x34, 0x12, 0x00];
    let decoded = says(reply(METER, ENERGY, &long)).await;
    assert_eq!(only_failure(&decoded), Reason::Implausible);
    assert_eq!(decoded.failures[0].raw.as_deref(), Some(&long[..]));
    assert_eq!(only_failure(&says(reply(METER, ENERGY, &OCTETS[..3])).await), Reason::Implausible);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_sound_answer_does_not_change_it() {
    let mut octets = vec![0xFE; 4];
    octets.extend(good());
    octets.extend([0x00, 0x16, 0xFE]);
    assert_eq!(only_value(&says(octets).await), "123456.78");
}

#[tokio::test(start_paused = true)]
async fn ff_fill_is_missing_and_a_nibble_above_nine_implausible() {
    assert_eq!(only_failure(&says(reply(METER, ENERGY, &[0xFF; 4])).await), Reason::Missing);
    assert_eq!(
        only_failure(&says(reply(METER, ENERGY, &[0x78, 0x5A, 0x34, 0x12])).await),
        Reason::Implausible
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_the_meter_said() {
    let refusal = frame(METER, Control::refusal(0x11), &[ErrorWord::NO_REQUESTED_DATA.bits() as u8]);
    let decoded = says(refusal).await;
    assert_eq!(only_failure(&decoded), Reason::Refused);
    assert_eq!(decoded.failures[0].detail, "no requested data");
    let of_another = frame("000000000001", Control::refusal(0x11), &[0x02]);
    assert_eq!(only_failure(&says(of_another).await), Reason::Stray);
}

#[tokio::test(start_paused = true)]
async fn extreme_values_stay_as_sent() {
    let read = async |register: &str, octets: &[u8]| {
        let di = Catalogue::dlt645_2007().find(register, 4).unwrap()[0].id().to_string();
        only_value(
            &read(register, async |wire, _| {
                wire.say(&reply(METER, &di, octets)).await;
            })
            .await,
        )
    };
    assert_eq!(read("active_energy_import", &[0x99; 4]).await, "999999.99");
    assert_eq!(read("active_power", &[0x56, 0x34, 0x92]).await, "-12.3456");
    assert_eq!(read("voltage_l1", &[0x00, 0x22]).await, "220.0");
    assert_eq!(read("active_energy_import", &[0x50, 0x00, 0x00, 0x00]).await, "0.50");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_credited_to_the_next_question() {
    // The answer to the first question comes while the second is out, and has another DI.
    let mut questions = 0;
    let clock = Clock::virtual_at("2026-11-21T10:00:00Z".parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let mut talk = Talk::new(Opener::Memory(opener), Line::DEFAULT, clock);
    let reader = async {
        let first = talk.read(the_meter(), ENERGY.parse().unwrap(), ONCE).await;
        let second = talk.read(the_meter(), "00020000".parse().unwrap(), ONCE).await;
        (first, second)
    };
    let meters = async {
        while let Some(request) = wire.hear().await {
            questions += 1;
            if questions == 2 {
                wire.say(&good()).await;
                let (di, _) = asked(&request);
                tokio::time::sleep(Duration::from_millis(40)).await;
                wire.say(&reply(METER, &di, &[0x76, 0x98, 0x00, 0x00])).await;
            }
        }
    };
    let (first, second) = tokio::select! {
        both = reader => both,
        () = meters => panic!("the port was closed"),
    };
    assert_eq!(first.unwrap_err().reason, Reason::Silent);
    assert_eq!(second.unwrap().octets, [0x76, 0x98, 0x00, 0x00]);
}

#[tokio::test(start_paused = true)]
async fn babble_ends_with_the_deadline() {
    let decoded = read(ENERGY, async |wire, _| {
        for _ in 0..100_000 {
            if !wire.say(&[0x68; 16]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(only_failure(&decoded), Reason::Damaged);
}
