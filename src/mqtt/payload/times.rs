//! Instants as texts, many of them near each other.

use super::{Digits, instant};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write;

/// Writes what [`instant`] gives; the zone is asked once for each of its periods, and a second is a text once.
#[derive(Debug)]
pub(super) struct Times {
    zone: TimeZone,
    period: Option<Period>,
    /// Seconds since 1970 and their text in the period, without the offset.
    second: Option<(i64, String)>,
}

/// Between two changes of the zone's offset.
#[derive(Debug)]
struct Period {
    from: Timestamp,
    until: Timestamp,
    offset: Offset,
    /// `+08:00`.
    text: String,
}

impl Times {
    pub(super) const fn new(zone: TimeZone) -> Self {
        Self { zone, period: None, second: None }
    }

    /// Appends an instant.
    pub(super) fn write(&mut self, out: &mut String, at: Timestamp, digits: Digits) {
        if at < Timestamp::UNIX_EPOCH {
            // A clock that was never set; whole seconds are counted the other way there.
            out.push_str(&instant(at, &self.zone, digits));
            return;
        }
        let period = match self.period.take() {
            Some(period) if (period.from..period.until).contains(&at) => period,
            _ => {
                self.second = None;
                Period::of(&self.zone, at)
            }
        };
        let text = match self.second.take() {
            Some((second, text)) if second == at.as_second() => text,
            _ => period.offset.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        };
        out.push_str(&text);
        match digits {
            Digits::Seconds => {}
            Digits::Milliseconds => {
                // Writing to a String cannot fail.
                let _ = write!(out, ".{:03}", at.subsec_millisecond());
            }
        }
        out.push_str(&period.text);
        self.second = Some((at.as_second(), text));
        self.period = Some(period);
    }
}

impl Period {
    fn of(zone: &TimeZone, at: Timestamp) -> Self {
        // The period begins with its first nanosecond.
        let after = at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
        let from = zone.preceding(after).next().map_or(Timestamp::MIN, |change| change.timestamp());
        let until = zone.following(at).next().map_or(Timestamp::MAX, |change| change.timestamp());
        let text = at.to_zoned(zone.clone()).strftime("%:z").to_string();
        Self { from, until, offset: zone.to_offset(at), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_is_the_text_that_it_always_was(
            zone in prop::sample::select(
                vec!["UTC", "Asia/Shanghai", "Asia/Kolkata", "Europe/Berlin", "Africa/Casablanca"],
            ),
            begin in -1_000_000_000_i64..4_000_000_000,
            steps in prop::collection::vec(prop_oneof![-3000_i64..3000, -20_000_000_000..20_000_000_000_i64], 1..40),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let mut times = Times::new(zone.clone());
            let mut ms = begin * 1000;
            for step in steps {
                ms += step;
                let at = Timestamp::from_millisecond(ms).unwrap();
                for digits in [Digits::Seconds, Digits::Milliseconds] {
                    let mut text = String::new();
                    times.write(&mut text, at, digits);
                    prop_assert_eq!(text, instant(at, &zone, digits));
                }
            }
        }
    }

    #[test]
    fn a_change_of_the_offset_is_seen_in_the_very_second() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut times = Times::new(zone);
        for (at, text) in [
            ("2026-10-25T00:59:59.999Z", "2026-10-25T02:59:59.999+02:00"),
            ("2026-10-25T01:00:00Z", "2026-10-25T02:00:00.000+01:00"),
            ("2026-10-25T00:59:59.5Z", "2026-10-25T02:59:59.500+02:00"),
        ] {
            let mut written = String::new();
            times.write(&mut written, at.parse().unwrap(), Digits::Milliseconds);
            assert_eq!(written, text);
        }
    }
}
