//! Visits to virtual meters, octet for octet.

mod hours;
mod manners;

use super::super::exchange::Noted;
use super::super::visit::Fate;
use super::*;
use crate::reading::Failure;
use crate::simulator::{Fixed, Intervals, Memory, MeterSettings, VirtualMeter};
use catalogue::Catalogue;
use dlt645::format::Value;
use dlt645::{Address, ErrorWord};
use jiff::civil::date;
use jiff::tz::Offset;
use std::time::Duration;

const ENERGY: &[&str] = &["active_energy_import"];

fn meter(change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
    let mut settings = MeterSettings::household("000000001234".parse::<Address>().unwrap());
    change(&mut settings);
    VirtualMeter::new(settings, 1)
}

fn remembering(change: impl FnOnce(&mut Memory)) -> VirtualMeter {
    meter(|settings| change(&mut settings.memory))
}

/// On 2026-11-21.
fn local(time: &str) -> DateTime {
    date(2026, 11, 21).to_datetime(time.parse().unwrap())
}

fn instant(local: DateTime) -> Timestamp {
    Offset::constant(8).to_timestamp(local).unwrap()
}

fn register(name: &str) -> Register {
    Catalogue::dlt645_2007().find(name, 4).unwrap()[0]
}

fn wants(times: &[&str], interval: u16, registers: &[&str]) -> Wants {
    let slot = |time: &&str| {
        let local = local(time);
        Slot { at: instant(local), local, is_twice: false, backfilled: false }
    };
    Wants {
        slots: times.iter().map(slot).collect(),
        interval,
        registers: registers.iter().map(|name| register(name)).collect(),
        transformers: Transformers::default(),
        clock_offset: None,
    }
}

fn of(wants: Wants) -> Profile {
    Profile::new(wants, Settings::default(), None)
}

/// The octets that a meter answers.
fn answer(meter: &VirtualMeter, question: Question, now: Timestamp) -> Result<Vec<u8>, ErrorWord> {
    let mut octets = Vec::new();
    match question {
        Question::Read(id) => meter.read(id.di().unwrap(), now, &mut octets),
        Question::Records(di, count, from) => {
            meter.read_records(di, count.get().unwrap(), from, now, &mut octets)
        }
    }
    .map(|()| octets)
}

fn heard(octets: Vec<u8>, taken_at: Timestamp) -> Answer {
    Answer {
        from: "000000001234".parse().unwrap(),
        octets,
        taken_at,
        delay: Duration::ZERO,
        tries: 1,
        noted: Noted::default(),
    }
}

fn refused(word: ErrorWord) -> NoReply {
    NoReply { word: Some(word), ..NoReply::of(Reason::Refused, word.to_string()) }
}

fn asked(question: Question) -> String {
    match question {
        Question::Read(di) => di.to_string(),
        Question::Records(di, count, from) => {
            let from = from.map_or_else(String::new, |from| format!(" {}", &from.to_string()[11..]));
            format!("{di} {}{from}", count.get().unwrap())
        }
    }
}

/// Asks until there is no question left; `changed` may change what came of one.
fn visit(
    meter: &VirtualMeter,
    profile: &mut Profile,
    now: &str,
    mut changed: impl FnMut(&str, Result<Vec<u8>, NoReply>) -> Result<Vec<u8>, NoReply>,
) -> Vec<String> {
    let now = instant(local(now));
    let mut all = Vec::new();
    while let Some(question) = profile.next() {
        assert!(all.len() < 60, "it never ends: {all:?}");
        let text = asked(question);
        let came = answer(meter, question, now).map_err(refused);
        profile.take(changed(&text, came).map(|octets| heard(octets, now)));
        all.push(text);
    }
    all
}

fn undisturbed(_: &str, came: Result<Vec<u8>, NoReply>) -> Result<Vec<u8>, NoReply> {
    came
}

/// Each value is the meter's at the slot, digit for digit, from the record of that time; and no register is without
/// an answer. Gives the times of the slots that have values.
fn exact(meter: &VirtualMeter, wanted: &[&str], outcomes: &[Outcome]) -> Vec<String> {
    let mut times = Vec::new();
    for outcome in outcomes {
        let mut named: Vec<String> = outcome.readings.iter().map(|r| r.register.name().to_string()).collect();
        named.extend(outcome.failures.iter().map(|f| f.register.name().to_string()));
        let mut all: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        named.sort();
        all.sort();
        assert_eq!(named, all, "{outcome:?}");
        for reading in &outcome.readings {
            assert_eq!(
                reading.value().copied(),
                meter.value(reading.register.di().unwrap(), outcome.slot),
                "{outcome:?}"
            );
        }
        if let Some(at) = outcome.origin.meter_time {
            assert_eq!(instant(at), outcome.slot);
            times.push(at.strftime("%H:%M").to_string());
        }
    }
    times
}

fn gone(outcome: &Outcome) -> &str {
    match &outcome.fate {
        Fate::Gone(why) => why,
        Fate::Settled | Fate::Later => panic!("{outcome:?}"),
    }
}

fn reasons(failures: &[Failure]) -> Vec<Reason> {
    failures.iter().map(|failure| failure.reason).collect()
}

#[test]
fn one_slot_is_one_record_and_what_was_learned_is_not_asked_again() {
    let meter = meter(|_| {});
    let mut first = of(wants(&["10:00"], 15, ENERGY));
    assert_eq!(visit(&meter, &mut first, "10:05", undisturbed), ["04000901", "04000A05", "06040001 1 10:00"]);
    assert_eq!((first.found(), first.is_answered()), (Some(Kind::LoadRecords), true));
    let settings = first.settings();
    assert_eq!(settings.recorded, Setting::Is(0b11_1111));
    assert_eq!(settings.intervals[3], Setting::Is(15));
    let outcomes = first.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["10:00"]);
    assert_eq!((&outcomes[0].fate, outcomes[0].origin.source), (&Fate::Settled, Source::LoadRecord));

    let mut late = wants(&["10:15"], 15, ENERGY);
    late.slots[0].backfilled = true;
    late.clock_offset = Some(SignedDuration::from_secs(3));
    let mut second = Profile::new(late, settings, Some(Kind::LoadRecords));
    assert_eq!(visit(&meter, &mut second, "12:00", undisturbed), ["06040001 1 10:15"]);
    let outcomes = second.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["10:15"]);
    assert!(outcomes[0].origin.backfilled);
    assert_eq!(outcomes[0].origin.clock_offset, Some(SignedDuration::from_secs(3)));
}

#[test]
fn slots_after_an_outage_of_the_line_come_ten_at_a_time() {
    let meter = meter(|_| {});
    let times = [
        "07:30", "07:45", "08:00", "08:15", "08:30", "08:45", "09:00", "09:15", "09:30", "09:45", "10:00",
        "10:15",
    ];
    let mut profile = of(wants(&times, 15, ENERGY));
    let asked = visit(&meter, &mut profile, "10:20", undisturbed);
    assert_eq!(asked[2..], ["06040001 10 07:30", "06040001 2 10:00"]);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), times);
    assert!(outcomes.iter().all(|outcome| outcome.fate == Fate::Settled));
}

#[test]
fn a_meter_that_records_oftener_than_the_task_wants_is_asked_for_the_slots_alone() {
    let meter = remembering(|m| m.load_records = Intervals::all(15));
    let mut hourly = of(wants(&["08:00", "09:00", "10:00"], 60, ENERGY));
    let asked = visit(&meter, &mut hourly, "10:20", undisturbed);
    assert_eq!(asked[2..], ["06040001 1 08:00", "06040001 1 09:00", "06040001 1 10:00"]);
    assert_eq!(exact(&meter, ENERGY, &hourly.finish()), ["08:00", "09:00", "10:00"]);
    let mut half = of(wants(&["08:00", "08:30", "10:00"], 30, ENERGY));
    let asked = visit(&meter, &mut half, "10:20", undisturbed);
    assert_eq!(asked[2..], ["06040001 3 08:00", "06040001 1 10:00"], "one record between costs less");
}

#[test]
fn several_classes_are_asked_for_one_by_one_or_all_at_once_by_what_is_fewer_octets() {
    let meter = meter(|_| {});
    let two = ["active_energy_import", "voltage_l1", "current_l1"];
    let mut profile = of(wants(&["09:45", "10:00"], 15, &two));
    let asked = visit(&meter, &mut profile, "10:05", undisturbed);
    assert_eq!(asked, ["04000901", "04000A02", "04000A05", "06010001 2 09:45", "06040001 2 09:45"]);
    assert_eq!(exact(&meter, &two, &profile.finish()), ["09:45", "10:00"]);
    let four = ["active_energy_import", "voltage_l1", "active_power", "power_factor", "frequency"];
    let mut profile = of(wants(&["10:00"], 15, &four));
    let asked = visit(&meter, &mut profile, "10:05", undisturbed);
    assert_eq!(asked.last().unwrap(), "06000001 1 10:00");
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, &four, &outcomes), ["10:00"]);
    assert_eq!(outcomes[0].readings.len(), 5);
}

#[test]
fn a_class_that_is_not_recorded_is_missing_and_does_not_hold_up_the_others() {
    let meter = remembering(|m| m.load_records = Intervals([None, None, None, Some(15), None, None]));
    let both = ["active_energy_import", "voltage_l1"];
    let mut profile = of(wants(&["10:00"], 15, &both));
    assert_eq!(
        visit(&meter, &mut profile, "10:05", undisturbed),
        ["04000901", "04000A05", "06040001 1 10:00"]
    );
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, &both, &outcomes), ["10:00"]);
    assert_eq!(outcomes[0].fate, Fate::Settled);
    assert_eq!(reasons(&outcomes[0].failures), [Reason::Missing]);
    assert!(outcomes[0].failures[0].detail.contains("class 1"), "{outcomes:?}");

    let mut profile = of(wants(&["10:00"], 15, &["voltage_l1", "active_energy_import_t1"]));
    assert_eq!(visit(&meter, &mut profile, "10:05", undisturbed), ["04000901"]);
    let outcomes = profile.finish();
    assert!(gone(&outcomes[0]).contains("no load record (负荷记录) holds active_energy_import_t1"));
    assert!(outcomes[0].failures[1].detail.contains("class 1"), "{outcomes:?}");
}

#[test]
fn slots_that_the_meters_interval_leaves_out_are_gone_and_the_others_read() {
    let meter = remembering(|m| m.load_records = Intervals::all(60));
    let mut profile = of(wants(&["09:00", "09:15", "09:30", "09:45", "10:00"], 15, ENERGY));
    assert_eq!(visit(&meter, &mut profile, "10:05", undisturbed)[2..], ["06040001 2 09:00"]);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["09:00", "10:00"]);
    let why = "the meter records every 60 min (负荷记录间隔), so that it has no record of 2026-11-21T09:15; set the meter \
               to 15 min, or the task's interval to 60";
    assert_eq!(gone(&outcomes[1]), why);
}

#[test]
fn slots_without_power_are_gone_and_those_around_are_read() {
    let dark = [(local("08:20"), local("09:10"))];
    let meter = remembering(|m| m.power_cuts = dark.to_vec());
    let times = ["08:00", "08:15", "08:30", "08:45", "09:00", "09:15", "09:30"];
    let mut profile = of(wants(&times, 15, ENERGY));
    assert_eq!(visit(&meter, &mut profile, "09:35", undisturbed)[2..], ["06040001 7 08:00"]);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["08:00", "08:15", "09:15", "09:30"]);
    for outcome in &outcomes[2..5] {
        assert!(gone(outcome).starts_with("the meter has no record of it: "), "{outcome:?}");
    }
    // A cut that begins at the first and lasts beyond the last of them.
    let mut profile = of(wants(&["08:30", "08:45"], 15, ENERGY));
    visit(&meter, &mut profile, "09:35", undisturbed);
    let outcomes = profile.finish();
    assert!(outcomes.iter().all(|outcome| matches!(outcome.fate, Fate::Gone(_))), "{outcomes:?}");
}

#[test]
fn a_slot_that_is_not_recorded_yet_comes_later() {
    let meter = meter(|_| {});
    let mut profile = of(wants(&["10:00", "10:15", "10:30"], 15, ENERGY));
    assert_eq!(
        visit(&meter, &mut profile, "10:14", undisturbed)[2..],
        ["06040001 3 10:00", "06040001 2 10:15"]
    );
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["10:00"]);
    assert_eq!(outcomes[1].fate, Fate::Later);
    assert_eq!(
        outcomes[1].failures[0].detail,
        "the meter has not recorded 2026-11-21T10:15 yet (负荷记录); the newest seen is of 2026-11-21T10:00"
    );
}

/// Damages these of the records of class 4 in an answer, 32 octets each.
fn damaged(which: &[usize], octets: &mut [u8], how: impl Fn(&mut [u8])) {
    for (n, record) in octets.chunks_exact_mut(32).enumerate() {
        assert!(record.starts_with(&[0xA0, 0xA0]) && record.ends_with(&[0xE5]), "{record:02X?}");
        if which.contains(&n) {
            how(record);
        }
    }
}

#[test]
fn a_damaged_record_is_not_believed_and_is_asked_for_once_more_alone() {
    let meter = meter(|_| {});
    let hows: [fn(&mut [u8]); 3] = [
        |record| record[..2].fill(0xE0),
        |record| record[12] ^= 0x01,
        |record| {
            // A 32nd of November, with its sum.
            record[5] = 0x32;
            record[30] = record[..30].iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet));
        },
    ];
    for how in hows {
        let times = ["09:00", "09:15", "09:30"];
        let mut mended = of(wants(&times, 15, ENERGY));
        let once = |question: &str, came: Result<Vec<u8>, NoReply>| {
            let mut octets = came?;
            if question == "06040001 3 09:00" {
                damaged(&[1], &mut octets, how);
            }
            Ok(octets)
        };
        assert_eq!(visit(&meter, &mut mended, "10:00", once)[2..], ["06040001 3 09:00", "06040001 1 09:15"]);
        assert_eq!(exact(&meter, ENERGY, &mended.finish()), times);

        let mut lasting = of(wants(&times, 15, ENERGY));
        let twice = |question: &str, came: Result<Vec<u8>, NoReply>| {
            let mut octets = came?;
            match question {
                "06040001 3 09:00" => damaged(&[1], &mut octets, how),
                "06040001 1 09:15" => damaged(&[0], &mut octets, how),
                _ => {}
            }
            Ok(octets)
        };
        assert_eq!(visit(&meter, &mut lasting, "10:00", twice).len(), 4);
        let outcomes = lasting.finish();
        assert_eq!(exact(&meter, ENERGY, &outcomes), ["09:00", "09:30"]);
        assert_eq!(outcomes[1].fate, Fate::Later);
        assert_eq!(reasons(&outcomes[1].failures), [Reason::Implausible]);
        assert_eq!(outcomes[1].failures[0].raw.as_ref().map(Vec::len), Some(32));
    }
}

#[test]
fn a_record_of_another_time_is_credited_to_no_slot() {
    let meter = meter(|_| {});
    let mut profile = of(wants(&["09:00"], 15, ENERGY));
    let earlier = |question: &str, came: Result<Vec<u8>, NoReply>| {
        let Some(_) = question.strip_prefix("06") else { return came };
        let mut other = of(wants(&["08:45"], 15, ENERGY));
        let mut octets = Vec::new();
        visit(&meter, &mut other, "10:00", |_, came| {
            octets = came.clone().unwrap();
            came
        });
        Ok(octets)
    };
    visit(&meter, &mut profile, "10:00", earlier);
    let outcomes = profile.finish();
    assert_eq!((outcomes[0].readings.len(), &outcomes[0].fate), (0, &Fate::Later));
}
