//! Values of a month, and meters of 1997.

use super::*;
use crate::simulator::{Fixed, Refreeze};

/// 1 November 2026 as the value of October.
fn month() -> Want {
    let slot = date(2026, 11, 1).at(0, 0, 0, 0);
    Want { is_month: true, ..want(slot, date(2026, 11, 1).at(0, 5, 10, 0)) }
}

/// The same on another day.
fn month_on(now: civil::Date) -> Want {
    Want { now: now.at(1, 0, 0, 0), is_backfill: true, ..month() }
}

#[test]
fn a_month_is_the_daily_freeze_of_the_first() {
    let meter = household(|_| {});
    for want in [month(), month_on(date(2026, 11, 20)), month_on(date(2026, 12, 20))] {
        let wanted = want.wanted.clone();
        let visited = visit(&meter, want);
        visited.assert_held(&meter, &wanted, month().frozen_at);
        assert_eq!(visited.outcome.origin.source, Source::DailyFreeze);
        assert_eq!(visited.outcome.origin.day, Some(date(2026, 10, 31)));
        assert_eq!(visited.stamp().as_deref(), Some("2026-11-01T00:00:00"));
    }
}

/// A meter that never freezes by itself.
fn settling(change: impl FnOnce(&mut MeterSettings)) -> VirtualMeter {
    household(|settings| {
        (settings.memory.daily_freeze, settings.memory.hourly_freeze) = (None, false);
        change(settings);
    })
}

#[test]
fn settlement_registers_are_the_month_if_the_meter_settles_at_the_first_alone() {
    let want = month_on(date(2026, 11, 20));
    let meter = settling(|_| {});
    let visited = visit(&meter, want.clone());
    assert_eq!(visited.asked[..5], ["05060014", "05060001", "04000B01", "04000B02", "04000B03"]);
    visited.assert_held(&meter, &want.wanted, month().frozen_at);
    visited.assert_quality(Quality::Good, None);
    assert_eq!((visited.outcome.origin.source, visited.stamp()), (Source::Settlement, None));
    assert_eq!(visited.outcome.origin.day, Some(date(2026, 10, 31)));

    for (di, octets) in [
        (0x0400_0B01, [0x00, 0x02]),
        (0x0400_0B01, [0x01, 0x01]),
        (0x0400_0B02, [0x00, 0x15]),
        (0x0400_0B03, [0xFF, 0xFF]),
    ] {
        let otherwise = settling(|settings| {
            settings.fixed.insert(Di::new(di), Fixed::Octets(octets.to_vec()));
        });
        let visited = visit(&otherwise, want.clone());
        assert!(visited.gone().starts_with("the meter has no freeze of 2026-11-01T00:00"));
    }
}

#[test]
fn the_last_settlement_of_a_clock_in_another_month_is_not_the_months() {
    for (late, off) in [(false, -24), (false, -1), (true, 24 * 14)] {
        let off = SignedDuration::from_hours(off);
        let meter = settling(|settings| settings.clock_offset = off);
        let want = if late { month_on(date(2026, 11, 20)) } else { month() };
        let visited = visit(&meter, Want { known: Some(Kind::NotFrozen), ..want });
        assert_eq!(visited.asked.last().map(String::as_str), Some("04000101"));
        if late {
            assert!(visited.gone().starts_with("the meter has no freeze of 2026-11-01T00:00"));
        } else {
            let detail = &visited.outcome.failures[0].detail;
            assert_eq!(detail, "not settled yet (结算日): the meter's clock shows 2026-10-31");
            assert_eq!((visited.outcome.readings.len(), visited.outcome.fate), (0, Fate::Later));
        }
    }
}

#[test]
fn in_the_month_after_the_last_settlement_is_another() {
    let visited = visit(&settling(|_| {}), month_on(date(2026, 12, 1)));
    assert!(visited.gone().starts_with("the meter has no freeze of 2026-11-01T00:00"));
    assert!(visited.asked.iter().all(|di| di.starts_with("05")), "{:?}", visited.asked);
}

#[test]
fn a_meter_that_is_known_to_freeze_nothing_is_asked_for_its_settlement_alone() {
    let visited = visit(&settling(|_| {}), Want { known: Some(Kind::NotFrozen), ..month() });
    assert_eq!(visited.asked[0], "04000B01");
    assert_eq!(visited.outcome.origin.source, Source::Settlement);
}

/// Without power when October ended, and not frozen when it came back.
fn dark() -> VirtualMeter {
    remembering(|memory| {
        memory.refreeze = Refreeze::None;
        memory.power_cuts = vec![(date(2026, 10, 31).at(20, 0, 0, 0), date(2026, 11, 1).at(4, 0, 0, 0))];
    })
}

#[test]
fn settlement_registers_are_the_month_where_its_night_was_without_power() {
    let meter = dark();
    let want = month_on(date(2026, 11, 3));
    let visited = visit(&meter, want.clone());
    visited.assert_held(&meter, &want.wanted, month().frozen_at);
    assert_eq!((visited.outcome.origin.source, visited.found), (Source::Settlement, Some(Kind::Daily)));

    let wanted = registers(Edition::E2007, &["max_demand_active_import"]);
    let visited = visit_through(Want { wanted, ..want.clone() }, |di, at| match di.get() {
        0x0101_0001 => Ok(vec![0xFF; 8]),
        _ => read(&meter, di, at),
    });
    assert_eq!(visited.failures(), [("max_demand_active_import".to_owned(), Reason::Missing)]);
    assert_eq!(visited.outcome.fate, Fate::Settled);

    let visited = visit_through(want, |di, at| match di.get() {
        0x0400_0B02 => Ok(vec![0x00, 0x15]),
        _ => read(&meter, di, at),
    });
    let why = "the meter has no daily freeze (日冻结) of 2026-11-01T00:00: the one before that of 2026-11-02T00:00 is of \
               2026-10-31T00:00; and it is not set to settle at 00:00 of the 1st alone, so that its settlement \
               registers cannot stand in";
    assert_eq!(visited.gone(), why);
}

/// Total and first tariff of a meter of 1997.
fn of_1997(want: Want) -> Want {
    let wanted = registers(Edition::E1997, &["active_energy_import", "active_energy_import_t1"]);
    Want { standard: Edition::E1997.into(), wanted, ..want }
}

/// A meter of 1997 that settles on a day, in BCD, at 00:00.
fn settling_1997(day: u8) -> VirtualMeter {
    household(|settings| {
        settings.edition = Edition::E1997;
        settings.fixed.insert(Di::new_1997(0xC117), Fixed::Octets(vec![0x00, day]));
    })
}

#[test]
fn days_of_a_meter_of_1997_are_its_present_registers() {
    let meter = settling_1997(1);
    let visited = visit(&meter, of_1997(tonight()));
    assert_eq!(visited.asked, ["901F"]);
    visited.assert_held(&meter, &tonight().wanted[..2], tonight().now);
    visited.assert_quality(
        Quality::NotFrozen,
        Some("the meter does not freeze its registers: the present ones were read"),
    );
    assert_eq!(visited.outcome.readings[0].register.di(), Some(Di::new_1997(0x9010)));
    let visited = visit(&meter, of_1997(Want { is_backfill: true, ..tonight() }));
    assert!(visited.gone().starts_with("the meter has no freeze"));
}

#[test]
fn months_of_a_meter_of_1997_are_its_last_month_if_it_settles_at_the_first() {
    let meter = settling_1997(1);
    let late = of_1997(month_on(date(2026, 11, 9)));
    let visited = visit(&meter, late.clone());
    assert_eq!(visited.asked, ["C117", "C010", "941F"]);
    visited.assert_held(&meter, &month().wanted[..2], month().frozen_at);
    visited.assert_quality(Quality::Good, None);
    assert_eq!((visited.outcome.origin.source, visited.stamp()), (Source::Settlement, None));
    assert_eq!(visited.outcome.readings[1].register, late.wanted[1]);
    let visited = visit(&settling_1997(0x25), late);
    assert!(visited.gone().starts_with("the meter has no freeze of 2026-11-01T00:00"));

    // A word that it does not know is met with silence.
    let silence = |di: Di, at| if di == Di::new_1997(0xC117) { Err(silent()) } else { read(&meter, di, at) };
    let visited = visit_through(of_1997(month()), silence);
    visited.assert_held(&meter, &month().wanted[..2], date(2026, 11, 1).at(0, 5, 11, 0));
    assert_eq!(visited.outcome.readings[0].quality, Quality::NotFrozen);
    // Nor does one that is not there say anything, which is no reason to give its month up.
    let visited = visit_through(of_1997(month_on(date(2026, 11, 9))), silence);
    assert_eq!((visited.failures()[0].1, visited.outcome.fate), (Reason::Silent, Fate::Later));
}
