//! Which of the daily freezes it is.

use super::*;
use crate::simulator::Refreeze;

#[test]
fn a_daily_freeze_is_read_with_its_stamp_in_two_questions() {
    let meter = household(|_| {});
    let wanted = tonight().wanted;
    let visited = visit(&meter, tonight());
    assert_eq!(visited.asked, ["05060001", "05060101"]);
    visited.assert_held(&meter, &wanted, date(2026, 11, 21).at(0, 0, 0, 0));
    visited.assert_quality(Quality::Good, None);
    assert_eq!(visited.found, Some(Kind::Daily));
    let outcome = visited.outcome;
    assert_eq!(outcome.slot.to_string(), "2026-11-20T16:00:00Z");
    assert_eq!(outcome.origin.source, Source::DailyFreeze);
    assert_eq!(outcome.origin.day, Some(date(2026, 11, 20)));
    assert_eq!(outcome.origin.meter_time, Some(date(2026, 11, 21).at(0, 0, 0, 0)));
    assert!(!outcome.origin.backfilled);
}

/// Two midnights without power: of the 19th and the 20th.
fn dark(refreeze: Refreeze) -> VirtualMeter {
    remembering(|memory| {
        memory.refreeze = refreeze;
        memory.power_cuts = vec![(date(2026, 11, 18).at(23, 30, 0, 0), date(2026, 11, 20).at(6, 15, 0, 0))];
    })
}

fn of_november(day: i8) -> Want {
    let slot = date(2026, 11, day).at(0, 0, 0, 0);
    Want { is_backfill: true, ..want(slot, date(2026, 11, 22).at(6, 0, 0, 0)) }
}

#[test]
fn after_nights_without_power_the_stamp_tells_the_day_and_never_the_count() {
    let power_up = date(2026, 11, 20).at(6, 15, 0, 0);
    let odd = "the freeze of the day bears 06:15 and the meter is set to freeze at 00:00: its clock was off, or it froze \
               when power came back";
    for refreeze in [Refreeze::Each, Refreeze::Once, Refreeze::None] {
        let meter = dark(refreeze);
        for day in 17..=22 {
            let want = of_november(day);
            let (wanted, slot) = (want.wanted.clone(), want.frozen_at);
            let visited = visit(&meter, want);
            assert_eq!(visited.found, Some(Kind::Daily));
            let (taken, stamp, quality) = match (day, refreeze) {
                (19 | 20, Refreeze::Each) => (power_up, slot, (Quality::Good, None)),
                (20, Refreeze::Once) => (power_up, power_up, (Quality::ClockOff, Some(odd))),
                (19 | 20, _) => {
                    let newer = if refreeze == Refreeze::Once { "20T06:15" } else { "21T00:00" };
                    let why = format!(
                        "the meter has no daily freeze (日冻结) of 2026-11-{day}T00:00: the one before that of \
                         2026-11-{newer} is of 2026-11-18T00:00"
                    );
                    assert_eq!(visited.gone(), why);
                    continue;
                }
                (_, _) => (slot, slot, (Quality::Good, None)),
            };
            visited.assert_held(&meter, &wanted, taken);
            visited.assert_quality(quality.0, quality.1);
            assert_eq!(visited.stamp(), Some(stamp.to_string()));
            assert!(visited.outcome.origin.backfilled);
        }
    }
}

#[test]
fn days_back_with_missing_nights_are_found_in_few_steps() {
    let meter = remembering(|memory| {
        memory.refreeze = Refreeze::None;
        let night = |(month, day)| {
            let evening = date(2026, month, day).at(22, 0, 0, 0);
            (evening, evening.saturating_add(SignedDuration::from_hours(6)))
        };
        memory.power_cuts = [(10, 20), (10, 25), (11, 3), (11, 4), (11, 17)].map(night).to_vec();
    });
    let visit_of = |slot: DateTime| {
        let want = Want { is_backfill: true, ..want(slot, date(2026, 11, 21).at(1, 0, 0, 0)) };
        (want.wanted.clone(), visit(&meter, want))
    };
    for (slot, asked) in [
        // 40 days back, and five nights are missing.
        (date(2026, 10, 12), ["05060029", "05060024", "05060124"]),
        (date(2026, 11, 16), ["05060006", "05060005", "05060105"]),
    ] {
        let slot = slot.at(0, 0, 0, 0);
        let (wanted, visited) = visit_of(slot);
        assert_eq!(visited.asked, asked);
        visited.assert_held(&meter, &wanted, slot);
        assert_eq!(visited.stamp(), Some(slot.to_string()));
    }
    let (_, missing) = visit_of(date(2026, 11, 18).at(0, 0, 0, 0));
    assert_eq!(missing.asked, ["05060004", "05060003"]);
    assert!(missing.gone().ends_with("before that of 2026-11-19T00:00 is of 2026-11-17T00:00"));
}

#[test]
fn a_day_older_than_the_meter_or_than_what_it_keeps_is_gone() {
    let young = household(|settings| settings.installed = date(2026, 11, 10));
    let backfill = want(date(2026, 11, 1).at(0, 0, 0, 0), date(2026, 11, 21).at(1, 0, 0, 0));
    let oldest =
        "the meter has no daily freeze (日冻结) of 2026-11-01T00:00: its oldest is of 2026-11-11T00:00";
    assert_eq!(visit(&young, backfill).gone(), oldest);
    let old = want(date(2026, 8, 1).at(0, 0, 0, 0), date(2026, 11, 21).at(1, 0, 0, 0));
    let kept = "the meter has no daily freeze (日冻结) of 2026-08-01T00:00 any more: the last of the 62 it keeps is of \
                2026-09-21T00:00";
    assert_eq!(visit(&household(|_| {}), old).gone(), kept);
}

#[test]
fn a_meter_that_has_not_frozen_yet_is_asked_later() {
    for slow in [SignedDuration::from_hours(24), SignedDuration::from_mins(20)] {
        let meter = household(|settings| settings.clock_offset = -slow);
        let visited = visit(&meter, tonight());
        assert_eq!((visited.outcome.fate, visited.outcome.readings.len()), (Fate::Later, 0));
        let detail = &visited.outcome.failures[0].detail;
        assert_eq!(detail, "not frozen yet: the meter's newest daily freeze (日冻结) is of 2026-11-20T00:00");
        assert_eq!((visited.outcome.failures.len(), visited.found), (5, Some(Kind::Daily)));
    }
}

#[test]
fn a_freeze_of_a_meter_whose_clock_is_a_day_behind_is_never_good() {
    let day = SignedDuration::from_hours(24);
    let meter = household(|settings| settings.clock_offset = -day);
    let want = Want { clock_offset: Some(-day), ..of_november(21) };
    let wanted = want.wanted.clone();
    let visited = visit(&meter, want);
    // Its midnight of the 21st is ours of the 22nd.
    visited.assert_held(&meter, &wanted, date(2026, 11, 22).at(0, 0, 0, 0));
    let why = "the meter's clock was 86400 s behind when it was last measured, and the bound is 300 s";
    visited.assert_quality(Quality::ClockOff, Some(why));
    assert_eq!(visited.outcome.origin.clock_offset, Some(-day));
}

#[test]
fn another_hour_that_the_meter_is_set_to_is_no_fault_of_its_clock() {
    let meter = remembering(|memory| memory.daily_freeze = Some(civil::time(6, 30, 0, 0)));
    let want = Want { now: date(2026, 11, 21).at(8, 0, 0, 0), ..tonight() };
    let wanted = want.wanted.clone();
    let visited = visit(&meter, want);
    assert_eq!(visited.asked, ["05060001", "04001203", "05060101"]);
    visited.assert_held(&meter, &wanted, date(2026, 11, 21).at(6, 30, 0, 0));
    visited.assert_quality(Quality::Good, None);
    assert_eq!(visited.stamp().as_deref(), Some("2026-11-21T06:30:00"));
}

/// The octets of a stamp in November, low byte first.
fn stamp(day: u8, hour: u8, minute: u8) -> Vec<u8> {
    vec![minute, hour, day, 0x11, 0x26]
}

#[test]
fn a_freeze_at_power_up_hides_no_freeze_of_midnight_before_it() {
    let visited = visit_through(tonight(), |di, _| match di.get() {
        0x0506_0001 => Ok(stamp(0x21, 0x00, 0x04)),
        0x0506_0002 => Ok(stamp(0x21, 0x00, 0x00)),
        0x0400_1203 => Ok(vec![0, 0]),
        0x0506_0102 => Ok([0x01, 0x00, 0x00, 0x00].repeat(5)),
        _ => panic!("{di}"),
    });
    visited.assert_quality(Quality::Good, None);
    assert_eq!((visited.outcome.readings.len(), visited.outcome.fate), (5, Fate::Settled));
}

#[test]
fn values_between_which_and_their_stamp_a_freeze_may_fall_are_proved_by_the_stamp() {
    let slot = date(2026, 11, 20).at(0, 0, 0, 0);
    let backfill = want(slot, date(2026, 11, 20).at(23, 59, 59, 0));
    let wanted = backfill.wanted.clone();
    // The stamp before midnight, the values at midnight: all is read again.
    let meter = household(|_| {});
    let visited = visit(&meter, backfill.clone());
    let again = ["05060001", "05060101", "05060001", "05060001", "05060002", "05060102", "05060002"];
    assert_eq!(visited.asked, again);
    visited.assert_held(&meter, &wanted, slot);
    // Of a clock that was measured, midnight is known to be over.
    let fast = SignedDuration::from_mins(4);
    let meter = household(|settings| settings.clock_offset = fast);
    let visited = visit(&meter, Want { clock_offset: Some(fast), ..backfill });
    assert_eq!(visited.asked, ["05060001", "05060002", "05060102"]);
    visited.assert_quality(Quality::Good, None);
    visited.assert_held(&meter, &wanted, slot.saturating_sub(fast));
}

#[test]
fn a_stamp_that_never_stays_gives_no_value() {
    let mut asked = 0;
    let near = Want { now: date(2026, 11, 21).at(23, 59, 59, 0), ..tonight() };
    let visited = visit_through(near, |di, _| {
        asked += 1;
        match (di.get(), asked) {
            (0x0506_0001, 3 | 6) => Ok(stamp(0x22, 0, 0)),
            (0x0506_0001, _) => Ok(stamp(0x21, 0, 0)),
            _ => Ok([0x01, 0x00, 0x00, 0x00].repeat(5)),
        }
    });
    assert_eq!(visited.asked.len(), 6);
    assert_eq!((visited.outcome.readings.len(), visited.outcome.fate), (0, Fate::Later));
    assert!(visited.outcome.failures[0].detail.starts_with("the meter froze again while"));
}
