//! Meters that keep things to themselves, and lines that damage.

use super::*;

#[test]
fn a_meter_that_does_not_tell_its_settings_is_asked_for_records_all_the_same() {
    let meter = meter(|s| {
        s.fixed.insert(Di::new(0x0400_0901), Fixed::Refused);
    });
    let mut profile = of(wants(&["09:00", "09:15"], 15, ENERGY));
    assert_eq!(visit(&meter, &mut profile, "10:00", undisturbed), ["04000901", "06040001 2 09:00"]);
    assert_eq!(profile.settings().recorded, Setting::Untold);
    assert_eq!(exact(&meter, ENERGY, &profile.finish()), ["09:00", "09:15"]);
}

#[test]
fn a_meter_that_gives_one_record_at_a_time_is_asked_so() {
    let meter = meter(|_| {});
    let mut profile = of(wants(&["09:30", "09:45", "10:00", "10:15"], 15, ENERGY));
    let single = |question: &str, came: Result<Vec<u8>, NoReply>| match question.split(' ').nth(1) {
        Some("1") | None => came.map_or_else(Err, |octets| match octets.as_slice() {
            [] => Err(refused(ErrorWord::NO_REQUESTED_DATA)),
            _ => Ok(octets),
        }),
        Some(_) => Err(refused(ErrorWord::NO_REQUESTED_DATA)),
    };
    let asked = visit(&meter, &mut profile, "10:05", single);
    assert_eq!(asked[2..], ["06040001 4 09:30", "06040002 1", "06040001 1 09:30", "06040001 1 09:45"]);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, ENERGY, &outcomes), ["09:30", "09:45", "10:00"]);
    assert_eq!(outcomes[3].fate, Fate::Later);
}

#[test]
fn silence_on_the_first_question_ends_the_visit_and_damage_leaves_the_rest_to_be_read() {
    let meter = meter(|_| {});
    let mut profile = of(wants(&["09:00", "09:15"], 15, ENERGY));
    let silent = |_: &str, _| Err(NoReply::of(Reason::Silent, "no octet came"));
    assert_eq!(visit(&meter, &mut profile, "10:00", silent), ["04000901"]);
    assert!(!profile.is_answered());
    assert_eq!(profile.settings(), Settings::default());
    for outcome in profile.finish() {
        assert_eq!((reasons(&outcome.failures), outcome.fate), (vec![Reason::Silent], Fate::Later));
    }

    let both = ["active_energy_import", "voltage_l1"];
    let mut profile = of(wants(&["09:00", "09:15"], 15, &both));
    let damaged = |question: &str, came| match question {
        "06010001 2 09:00" => Err(NoReply::of(Reason::Damaged, "the checksum is wrong")),
        _ => came,
    };
    visit(&meter, &mut profile, "10:00", damaged);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, &both, &outcomes), ["09:00", "09:15"]);
    for outcome in outcomes {
        assert_eq!((reasons(&outcome.failures), outcome.fate), (vec![Reason::Damaged], Fate::Later));
    }
}

#[test]
fn what_is_left_when_the_bus_stops_comes_later_and_what_was_read_stays() {
    let meter = meter(|_| {});
    let both = ["active_energy_import", "voltage_l1"];
    let mut profile = of(wants(&["09:00", "09:15"], 15, &both));
    let now = instant(local("10:00"));
    while profile.next().is_some_and(|question| asked(question) != "06040001 2 09:00") {
        let question = profile.next().unwrap();
        profile.take(answer(&meter, question, now).map(|octets| heard(octets, now)).map_err(refused));
    }
    profile.abandon(Reason::Expired, "the bus was stopped");
    assert_eq!(profile.next(), None);
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, &both, &outcomes), ["09:00", "09:15"]);
    assert!(matches!(outcomes[0].readings[0].value(), Some(Value::Number(_))));
    assert_eq!((reasons(&outcomes[0].failures), &outcomes[0].fate), (vec![Reason::Expired], &Fate::Later));
}
