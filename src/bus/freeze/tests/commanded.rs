//! A freeze that was broadcast (瞬时冻结), for meters that freeze nothing by themselves.

use super::*;
use dlt645::pdu::FreezeAt;

/// A meter that freezes nothing by itself, fast by so many seconds, and was told to freeze at these times.
fn told(fast: i64, at: &[DateTime]) -> VirtualMeter {
    let mut meter = household(|settings| {
        (settings.memory.daily_freeze, settings.memory.hourly_freeze) = (None, false);
        settings.clock_offset = SignedDuration::from_secs(fast);
    });
    at.iter().for_each(|at| meter.freeze(FreezeAt::INSTANT, instant(*at)).unwrap());
    meter
}

fn commanded(known: Option<Kind>) -> Want {
    Want { commanded: Some(tonight().slot), known, ..tonight() }
}

#[test]
fn a_freeze_that_was_broadcast_has_the_values_of_its_instant_with_tariffs() {
    let slot = tonight().frozen_at;
    let meter = told(0, &[slot]);
    for (known, asked) in [
        (None, &["05060001", "05040001", "05000001", "05010001", "05010101"][..]),
        (Some(Kind::NotFrozen), &["05010001", "05010101"]),
        (Some(Kind::Instant), &["05010001", "05010101"]),
    ] {
        let visited = visit(&meter, commanded(known));
        assert_eq!(visited.asked, asked);
        visited.assert_held(&meter, &tonight().wanted, slot);
        visited.assert_quality(Quality::Good, None);
        assert_eq!(
            (visited.found, visited.outcome.origin.source),
            (Some(Kind::Instant), Source::InstantFreeze)
        );
        assert_eq!(
            (visited.stamp(), visited.outcome.origin.day),
            (Some(slot.to_string()), Some(date(2026, 11, 20)))
        );
    }
    // Later nights pushed it back.
    let later = [0, 1, 2].map(|n| slot.saturating_add(SignedDuration::from_hours(24 * n)));
    let meter = told(0, &later);
    let now = date(2026, 11, 23).at(6, 0, 0, 0);
    let backfill = Want { now, is_backfill: true, ..commanded(Some(Kind::Instant)) };
    let visited = visit(&meter, backfill);
    assert_eq!(visited.asked, ["05010001", "05010002", "05010003", "05010103"]);
    visited.assert_held(&meter, &tonight().wanted, slot);
}

#[test]
fn what_was_commanded_is_of_our_instant_whatever_the_meters_clock_shows() {
    let slot = tonight().frozen_at;
    for (fast, clock_offset) in [(-90, None), (4000, Some(4000)), (-4000, Some(-3990))] {
        let clock_offset = clock_offset.map(SignedDuration::from_secs);
        let visited = visit(&told(fast, &[slot]), Want { clock_offset, ..commanded(Some(Kind::Instant)) });
        visited.assert_held(&told(fast, &[]), &tonight().wanted, slot);
        visited.assert_quality(Quality::Good, None);
    }
}

#[test]
fn another_masters_freeze_is_not_taken_for_ours_and_one_that_did_not_hear_it_is_read_as_it_is() {
    let noon = date(2026, 11, 20).at(12, 0, 0, 0);
    for (meter, known) in
        [(told(0, &[noon]), None), (told(0, &[]), Some(Kind::NotFrozen)), (told(0, &[]), Some(Kind::Instant))]
    {
        let visited = visit(&meter, commanded(known));
        assert_eq!(visited.asked.last().map(String::as_str), Some("0001FF00"));
        assert_eq!(visited.outcome.origin.source, Source::Present);
        assert_eq!(visited.outcome.readings[0].quality, Quality::NotFrozen);
        assert_eq!((visited.found, visited.stamp()), (Some(Kind::NotFrozen), None));
    }
}

#[test]
fn without_a_broadcast_nobody_is_asked_for_one() {
    let meter = told(0, &[tonight().frozen_at]);
    let visited = visit(&meter, Want { known: Some(Kind::Instant), ..tonight() });
    assert_eq!(visited.asked, ["0001FF00"]);
    assert_eq!((visited.found, visited.outcome.origin.source), (Some(Kind::Instant), Source::Present));
    let has_its_own = visit(&household(|_| {}), commanded(None));
    assert_eq!((has_its_own.found, has_its_own.asked.len()), (Some(Kind::Daily), 2));
}
