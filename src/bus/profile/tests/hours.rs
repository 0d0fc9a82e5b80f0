//! Meters without load records.

use super::*;

#[test]
fn a_meter_without_load_records_is_read_from_its_hourly_freezes() {
    let meter = remembering(|m| {
        m.load_records = Intervals::NONE;
        m.power_cuts = vec![(local("06:30"), local("08:30"))];
    });
    let both = ["active_energy_import", "active_energy_export", "voltage_l1"];
    let times = ["05:00", "07:00", "08:00", "09:00", "09:15", "10:00", "11:00"];
    let mut profile = of(wants(&times, 15, &both));
    let asked = visit(&meter, &mut profile, "10:20", undisturbed);
    assert_eq!(asked[..5], ["04000901", "06010001 1 05:00", "06010002 1", "06040001 1 05:00", "06040002 1"]);
    assert_eq!(asked.last().unwrap(), "05040001", "no freeze fell between");
    assert_eq!(profile.found(), Some(Kind::HourlyFreeze));
    let settings = profile.settings();
    let outcomes = profile.finish();
    assert_eq!(exact(&meter, &both, &outcomes), ["05:00", "09:00", "10:00"]);
    for outcome in &outcomes {
        assert_eq!(outcome.origin.source, Source::HourlyFreeze);
    }
    assert_eq!(outcomes[0].readings.len(), 2);
    for (n, why) in
        [(1, "none of its hourly freezes"), (2, "none of its hourly freezes"), (4, "of full hours")]
    {
        assert!(outcomes[n].failures.iter().any(|failure| failure.detail.contains(why)), "{outcomes:?}");
        assert!(matches!(outcomes[n].fate, Fate::Gone(_)));
    }
    assert_eq!(outcomes[6].fate, Fate::Later, "11:00 is not frozen yet");

    let mut known = Profile::new(wants(&["10:00"], 60, ENERGY), settings, Some(Kind::HourlyFreeze));
    assert_eq!(visit(&meter, &mut known, "10:20", undisturbed), ["05040001", "05040101", "05040001"]);
    assert_eq!(exact(&meter, ENERGY, &known.finish()), ["10:00"]);
}

#[test]
fn a_freeze_between_stamp_and_value_is_noticed() {
    let meter = remembering(|m| m.load_records = Intervals::NONE);
    let mut profile =
        Profile::new(wants(&["09:00"], 60, ENERGY), Settings::default(), Some(Kind::HourlyFreeze));
    let (before, after) = (instant(local("09:59:59")), instant(local("10:00:01")));
    let mut asked = 0;
    while let Some(question) = profile.next() {
        asked += 1;
        let now = if asked < 2 { before } else { after };
        profile.take(answer(&meter, question, now).map(|octets| heard(octets, now)).map_err(refused));
    }
    let outcomes = profile.finish();
    assert_eq!(asked, 3);
    assert_eq!((outcomes[0].readings.len(), &outcomes[0].fate), (0, &Fate::Later));
    assert!(outcomes[0].failures[0].detail.starts_with("the meter froze (整点冻结) while"), "{outcomes:?}");
}

#[test]
fn a_meter_with_neither_says_so() {
    let meter = remembering(|m| {
        m.load_records = Intervals::NONE;
        m.hourly_freeze = false;
    });
    let mut profile = of(wants(&["09:00"], 60, ENERGY));
    visit(&meter, &mut profile, "09:10", undisturbed);
    assert_eq!(profile.found(), None);
    assert_eq!(
        gone(&profile.finish()[0]),
        "the meter has neither load records (负荷记录) nor hourly freezes (整点冻结)"
    );
}
