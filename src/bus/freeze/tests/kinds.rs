//! What else a meter may have frozen, and what is left where it has not.

use super::*;
use crate::simulator::Fixed;
use dlt645::pdu::FreezeAt;

const NOT_FROZEN: &str = "the meter does not freeze its registers: the present ones were read";
const NEVER: &str = "the meter has no freeze of 2026-11-21T00:00, and its present registers can stand in for one only \
                     in the 15 minutes after it";

/// No daily freeze, and hourly ones or none.
fn without_daily(hourly: bool) -> VirtualMeter {
    remembering(|memory| (memory.daily_freeze, memory.hourly_freeze) = (None, hourly))
}

#[test]
fn where_there_is_no_daily_freeze_the_hourly_one_of_midnight_has_the_totals() {
    let meter = without_daily(true);
    let slot = tonight().frozen_at;
    for (now, known, asked) in [
        (date(2026, 11, 21).at(0, 5, 10, 0), None, &["05060001", "05040001", "05040101"][..]),
        (date(2026, 11, 21).at(0, 10, 0, 0), Some(Kind::Hourly), &["05040001", "05040101"]),
        (date(2026, 11, 24).at(6, 10, 0, 0), Some(Kind::Hourly), &["0504004F", "0504014F"]),
    ] {
        let want = Want { known, ..want(slot, now) };
        let total = want.wanted[..1].to_vec();
        let visited = visit(&meter, want);
        assert_eq!(visited.asked, asked);
        assert_eq!(values(&visited.outcome.readings), held(&meter, &total, slot));
        let tariffs = [1, 2, 3, 4].map(|t| (format!("active_energy_import_t{t}"), Reason::Missing));
        assert_eq!(visited.failures(), tariffs);
        assert_eq!(visited.outcome.fate, Fate::Settled);
        assert_eq!(
            (visited.found, visited.outcome.origin.source),
            (Some(Kind::Hourly), Source::HourlyFreeze)
        );
        assert_eq!(visited.stamp(), Some(slot.to_string()));
    }
}

#[test]
fn a_timed_freeze_counts_if_it_is_of_the_slot() {
    let slot = tonight().frozen_at;
    for (hour, source) in [(0, Source::TimedFreeze), (6, Source::Present)] {
        let mut meter = without_daily(false);
        let set_at = instant(date(2026, 11, 1).at(12, 0, 0, 0));
        meter.freeze(FreezeAt::daily(hour, 0).unwrap(), set_at).unwrap();
        let visited = visit(&meter, tonight());
        assert_eq!(visited.asked[..3], ["05060001", "05040001", "05000001"]);
        assert_eq!(visited.outcome.origin.source, source);
        if hour == 0 {
            visited.assert_held(&meter, &tonight().wanted, slot);
            assert_eq!((visited.found, visited.stamp()), (Some(Kind::Timed), Some(slot.to_string())));
        } else {
            visited.assert_quality(Quality::NotFrozen, Some(NOT_FROZEN));
            assert_eq!((visited.found, visited.stamp()), (Some(Kind::NotFrozen), None));
        }
    }
}

#[test]
fn present_registers_stand_in_at_the_slot_alone_and_say_so() {
    let meter = without_daily(false);
    let visited = visit(&meter, tonight());
    assert_eq!(visited.asked, ["05060001", "05040001", "05000001", "0001FF00"]);
    visited.assert_held(&meter, &tonight().wanted, date(2026, 11, 21).at(0, 5, 13, 0));
    visited.assert_quality(Quality::NotFrozen, Some(NOT_FROZEN));
    assert_eq!((visited.found, visited.outcome.origin.source), (Some(Kind::NotFrozen), Source::Present));
    assert_eq!(visited.outcome.origin.day, Some(date(2026, 11, 20)));

    let known = Want { known: Some(Kind::NotFrozen), ..tonight() };
    assert_eq!(visit(&meter, known.clone()).asked, ["0001FF00"]);
    let late = Want { now: date(2026, 11, 21).at(0, 16, 0, 0), ..known.clone() };
    for gone in [late, Want { is_backfill: true, ..known }, Want { is_backfill: true, ..tonight() }] {
        let visited = visit(&meter, gone);
        assert_eq!((visited.gone(), visited.found), (NEVER, Some(Kind::NotFrozen)));
    }
}

#[test]
fn a_meter_that_lost_the_freeze_it_was_known_for_is_looked_at_anew() {
    let meter = remembering(|memory| memory.hourly_freeze = false);
    let visited = visit(&meter, Want { known: Some(Kind::Hourly), ..tonight() });
    assert_eq!(visited.asked, ["05040001", "05060001", "05060101"]);
    assert_eq!((visited.found, visited.outcome.readings.len()), (Some(Kind::Daily), 5));
}

#[test]
fn status_words_are_read_as_they_are_and_what_is_not_frozen_is_missing() {
    let meter = household(|settings| {
        settings.fixed.insert(Di::new(0x0400_0501), Fixed::Octets(vec![0x04, 0x00]));
    });
    let wanted = registers(Edition::E2007, &["status_word_1", "voltage_l1", "max_demand_active_import"]);
    let clock_offset = Some(SignedDuration::from_mins(6));
    let visited = visit(&meter, Want { wanted: wanted.clone(), clock_offset, ..tonight() });
    assert_eq!(visited.failures(), [("voltage_l1".to_owned(), Reason::Missing)]);
    let [word, demand] = &visited.outcome.readings[..] else { panic!("{:?}", visited.outcome) };
    assert_eq!((word.register, word.quality), (wanted[0], Quality::Good));
    assert_eq!((demand.register, demand.quality), (wanted[2], Quality::ClockOff));
    let held = held(&meter, &wanted[2..], tonight().frozen_at);
    assert_eq!(values(std::slice::from_ref(demand)), held);
}

#[test]
fn silence_ends_the_visit_and_what_was_refused_is_settled() {
    let visited = visit_through(tonight(), |_, _| Err(silent()));
    assert_eq!((visited.asked.len(), visited.found, &visited.outcome.fate), (1, None, &Fate::Later));
    assert_eq!(visited.failures().iter().filter(|(_, reason)| *reason == Reason::Silent).count(), 5);

    for (last, fate) in [(silent(), Fate::Later), (refused(), Fate::Settled)] {
        let visited = visit_through(tonight(), |di, _| match di.get() {
            0x0506_0001 => Ok(vec![0, 0, 0x21, 0x11, 0x26]),
            _ => Err(last.clone()),
        });
        assert_eq!(visited.outcome.fate, fate);
        assert_eq!(visited.failures().iter().filter(|(_, reason)| *reason == last.reason).count(), 5);
    }
    let mut cut_off = Freeze::new(tonight());
    cut_off.abandon(Reason::PortGone, "the port is gone");
    assert!(cut_off.next().is_none() && !cut_off.is_answered());
    let outcome = cut_off.finish();
    assert_eq!((outcome.failures[0].reason, outcome.fate), (Reason::PortGone, Fate::Later));
}

#[test]
fn what_a_meter_has_not_is_learned_from_its_present_registers_alone() {
    let mut visit = Freeze::new(Want { known: Some(Kind::NotFrozen), ..tonight() });
    while visit.next().is_some() {
        visit.take(Err(refused()));
    }
    let block = Lesson::Lacks(Di::new(0x0001_FF00).into());
    assert!(visit.lessons().any(|lesson| lesson == block));
    let mut visit = Freeze::new(tonight());
    visit.take(Ok(answer(vec![0, 0, 0x21, 0x11, 0x26], tonight().slot)));
    visit.take(Err(refused()));
    assert!(visit.next().is_none() && visit.lessons().next().is_none());
}

#[test]
fn a_visit_that_is_cut_off_keeps_what_it_read_unless_its_stamp_is_in_doubt() {
    let meter = household(|_| {});
    let wanted = registers(Edition::E2007, &["active_energy_import", "active_energy_export"]);
    for (now, kept) in [(tonight().now, 1), (date(2026, 11, 21).at(23, 59, 50, 0), 0)] {
        let mut visit = Freeze::new(Want { wanted: wanted.clone(), ..want(tonight().frozen_at, now) });
        for di in ["05060001", "05060101"] {
            let question = visit.next().unwrap();
            assert_eq!(question.id().to_string(), di);
            let mut octets = Vec::new();
            meter.read(question.id().di().unwrap(), instant(now), &mut octets).unwrap();
            visit.take(Ok(answer(octets, instant(now))));
        }
        visit.abandon(Reason::Expired, "the bus was stopped");
        let outcome = visit.finish();
        assert_eq!((outcome.readings.len(), outcome.failures.len()), (kept, 2 - kept));
        assert!(outcome.failures.iter().all(|failure| failure.reason == Reason::Expired));
        assert_eq!(outcome.fate, Fate::Later);
    }
}
