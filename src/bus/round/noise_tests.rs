//! What a round makes of an energy on a noisy line.

use super::*;
use crate::bus::exchange::Noted;
use crate::planner::Line;
use catalogue::Catalogue;
use dlt645::{Address, Di};
use std::time::Duration;

const TOTAL: Di = Di::new(0x0001_0000);

fn energy(digits: u32) -> Result<Answer, NoReply> {
    let octets = u32::from_str_radix(&format!("{digits:08}"), 16).unwrap().to_le_bytes().to_vec();
    let (from, taken_at, delay) = (Address::ANY, Timestamp::UNIX_EPOCH, Duration::ZERO);
    Ok(Answer { from, octets, taken_at, delay, tries: 1, noted: Noted::default() })
}

fn damaged() -> Result<Answer, NoReply> {
    Err(NoReply::of(Reason::Damaged, "20 octets came"))
}

/// What comes of these answers of a meter that said 1000.00 kWh a minute ago: the value with its quality, or why there
/// is none; the words of events; the digits that the next round is judged by.
fn round(noisy: bool, answers: Vec<Result<Answer, NoReply>>) -> (String, Vec<&'static str>, Option<i64>) {
    let last = Last { digits: 100_000, at: Timestamp::UNIX_EPOCH };
    let known = vec![(TOTAL.into(), Base { last, age: Some(Duration::from_secs(60)) })];
    let wanted = Catalogue::dlt645_2007().find("active_energy_import", 4).unwrap();
    let mut round = Round::new(&wanted, BTreeSet::new(), Costs::usual(Line::DEFAULT), Point::default());
    round = round.judged_by(known);
    round.over_noise(noisy);
    for answer in answers {
        assert!(round.next().is_some(), "asked too seldom");
        round.take(answer);
    }
    assert!(round.next().is_none(), "asked too often");
    let words = round.jumps().map(|(_, kind)| kind.word()).collect();
    let base = round.energies().first().map(|(_, last)| last.digits);
    let decoded = round.finish();
    let reading = decoded.readings.first().map(|r| format!("{} {}", r.value().unwrap(), r.quality.word()));
    let failure = decoded.failures.first().map(|failure| failure.reason.word().to_owned());
    assert_eq!(decoded.readings.len() + decoded.failures.len(), 1);
    (reading.or(failure).unwrap(), words, base)
}

#[test]
fn on_a_noisy_line_an_energy_is_good_when_two_of_three_answers_agree_and_it_is_plausible() {
    let next = Some(100_001);
    for (answers, came, words, base) in [
        (vec![energy(100_001), energy(100_001)], "1000.01 good", vec![], next),
        // What could have been counted too is no confirmation.
        (vec![energy(100_041), energy(100_001), energy(100_001)], "1000.01 good", vec![], next),
        (vec![energy(100_001), energy(900), energy(100_001)], "1000.01 good", vec![], next),
        (vec![energy(100_001), damaged(), energy(100_001)], "1000.01 good", vec![], next),
        // The meter was cleared, or exchanged.
        (vec![energy(900), energy(900)], "9.00 suspect", vec!["suspect"], Some(900)),
        // Nothing is confirmed: it is told in the reading, and nothing is judged by it.
        (vec![energy(100_001), energy(100_002), energy(100_003)], "1000.03 suspect", vec![], None),
        (vec![energy(900), energy(800), energy(100_001)], "1000.01 suspect", vec![], None),
        (vec![energy(100_001), damaged(), damaged()], "1000.01 suspect", vec![], None),
        (vec![energy(900), energy(800), energy(700)], "implausible", vec![], None),
        // What is no number is asked for again, and twice the same is what the meter says.
        (vec![answer(0xAA), energy(100_001), energy(100_001)], "1000.01 good", vec![], next),
        (vec![answer(0xFF), answer(0xFF)], "missing", vec![], None),
    ] {
        let said = format!("{answers:?}");
        assert_eq!(round(true, answers), (came.to_owned(), words, base), "{said}");
    }
}

#[test]
fn what_came_while_the_line_was_noisy_is_confirmed_also_when_it_is_quiet_again() {
    let wanted = Catalogue::dlt645_2007().find("voltage_l1", 4).unwrap();
    let mut round = Round::new(&wanted, BTreeSet::new(), Costs::usual(Line::DEFAULT), Point::default());
    round.over_noise(true);
    let volts = |tenths: u8| energy(u32::from(tenths)).map(|a| Answer { octets: vec![tenths, 0x22], ..a });
    round.take(volts(0x01));
    round.over_noise(false);
    round.take(volts(0x02));
    assert!(round.next().is_some(), "it was noisy when the first came");
    round.abandon(Reason::Expired, "the daemon was stopped");
    let decoded = round.finish();
    assert_eq!(decoded.readings[0].quality, crate::reading::Quality::Suspect);
    let why = "the line is noisy (线路干扰), and no two of 2 answers agree: 220.1, 220.2";
    assert_eq!(decoded.readings[0].why.as_deref(), Some(why));
}

#[test]
fn on_a_quiet_line_one_answer_is_enough() {
    assert_eq!(round(false, vec![energy(100_001)]).0, "1000.01 good");
    assert_eq!(round(false, vec![answer(0xFF)]).0, "missing");
}

/// Four octets that are all the same.
fn answer(octet: u8) -> Result<Answer, NoReply> {
    energy(0).map(|answer| Answer { octets: vec![octet; 4], ..answer })
}
