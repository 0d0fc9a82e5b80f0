//! A meter that was exchanged at its point (换表), and what was consumed across it. Pure.
//!
//! The point's name stays; its registers begin anew. The last values of the old meter (止码) and the first of the new one
//! (起码) join the two. What is not written is never guessed.

pub(super) mod cells;

use super::plan::Meter;
use super::point::{Digits, Point};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

/// A meter was taken down at a point, and another one put up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// The day, in the gateway's zone.
    pub date: Date,
    /// The time of that day, where it is known.
    pub time: Option<Time>,
    /// Address of the meter that was taken down.
    pub address: Option<String>,
    /// Its asset number.
    pub asset: Option<String>,
    /// Digits of its registers; those of the point where none are written.
    pub digits: Option<Digits>,
    /// What registers of the old meter and of the new one showed, by name.
    pub registers: Vec<Joint>,
}

/// A register at an exchange, in the register's unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joint {
    /// Name of the register.
    pub register: String,
    /// The old meter's last value (止码).
    pub last: Decimal,
    /// The new meter's first value (起码).
    pub first: Decimal,
}

/// A value of a register that only counts up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown<'a> {
    /// The instant that it is for, in the gateway's zone.
    pub at: DateTime,
    /// Address of the meter that showed it, as on its plate.
    pub address: &'a str,
    /// The value, in the register's unit.
    pub value: Decimal,
}

/// Why two values say nothing of what was consumed between them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoConsumption {
    /// The second value is older than the first.
    #[error("the second value is of an earlier time than the first")]
    Backwards,
    /// On the day of an exchange without its time, nobody knows of which meter a value is.
    #[error(
        "the meter was exchanged on {0}, and it is not known at what time; write the time behind the date"
    )]
    Unclear(Date),
    /// A value is of a meter that did not hang there by the archive.
    #[error("address {0} did not hang at this point then; write the exchange of its meter")]
    OtherMeter(String),
    /// The values of the register at an exchange are not written.
    #[error("the exchange of {date} says nothing of {register}; write its last and first value")]
    Unwritten {
        /// The day of the exchange.
        date: Date,
        /// The register.
        register: String,
    },
    /// A register fell, and not over the end of its digits.
    #[error("the register fell from {from} to {to}")]
    Fell {
        /// Before.
        from: Decimal,
        /// Behind.
        to: Decimal,
    },
}

impl Exchange {
    /// Whether a value is of a later meter than the one that was taken down; `None` if nobody knows.
    fn is_over(&self, shown: &Shown<'_>) -> Option<bool> {
        if shown.at.date() != self.date {
            return Some(shown.at.date() > self.date);
        }
        match (self.time, &self.address) {
            (Some(time), _) => Some(shown.at.time() >= time),
            // What is frozen at midnight is the old meter's.
            (None, _) if shown.at.time() == Time::midnight() => Some(false),
            (None, Some(address)) if address != shown.address => Some(true),
            (None, Some(_) | None) => None,
        }
    }

    /// As one text, for the archive's digits.
    pub(super) fn written(&self) -> String {
        let moment = self.time.map_or_else(|| self.date.to_string(), |time| format!("{} {time}", self.date));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let digits = self.digits.map(|digits| digits.to_string()).unwrap_or_default();
        let mut written = format!("exchange={moment};{};{};{digits}", text(&self.address), text(&self.asset));
        for Joint { register, last, first } in &self.registers {
            written.push_str(&format!(";{register}={last}|{first}"));
        }
        written
    }

    /// When the new meter hangs there for sure: where no time is written, the end of the day.
    pub fn over_at(&self) -> DateTime {
        match self.time {
            Some(time) => self.date.to_datetime(time),
            None => self.date.saturating_add(jiff::Span::new().days(1)).to_datetime(Time::midnight()),
        }
    }
}

impl Meter {
    /// What it froze before is not the point's: it hangs there only since its installation (装表), or the last exchange
    /// (换表), of which the day is known and not the hour. `None` where neither is in the archive.
    pub fn freezes_since(&self, zone: &TimeZone) -> Option<Timestamp> {
        let installed =
            self.point.installed.and_then(|day| day.tomorrow().ok()).map(|day| day.at(0, 0, 0, 0));
        let exchanged = self.point.exchanges.last().map(Exchange::over_at);
        installed.max(exchanged)?.to_zoned(zone.clone()).ok().map(|at| at.timestamp())
    }

    /// Since when another meter with the very same address hangs at the point, which no address tells from the one
    /// before it; `None` where there is no such exchange.
    pub fn hangs_since(&self, zone: &TimeZone) -> Option<Timestamp> {
        let last = self.point.exchanges.last()?;
        if last.address.as_ref().is_some_and(|old| *old != self.protocol.address()) {
            return None;
        }
        last.over_at().to_zoned(zone.clone()).ok().map(|at| at.timestamp())
    }
}

impl Point {
    /// What a register counted from one value to the next, over all exchanges between them: exact, in the register's
    /// unit, not multiplied by any ratio. `current` is the address of the meter that hangs there now.
    ///
    /// # Errors
    /// [`NoConsumption`] with why the values do not say; then nothing is to be filled in.
    pub fn consumption(
        &self,
        register: &str,
        current: &str,
        from: &Shown<'_>,
        to: &Shown<'_>,
    ) -> Result<Decimal, NoConsumption> {
        if to.at < from.at {
            return Err(NoConsumption::Backwards);
        }
        let (start, end) = (self.place(from, current)?, self.place(to, current)?);
        let mut sum = Decimal::ZERO;
        let mut value = from.value;
        for exchange in self.exchanges.get(start..end).unwrap_or_default() {
            let joint = exchange.registers.iter().find(|joint| joint.register == register);
            let joint = joint.ok_or_else(|| NoConsumption::Unwritten {
                date: exchange.date,
                register: register.to_owned(),
            })?;
            sum += counted(value, joint.last, exchange.digits.or(self.digits))?;
            value = joint.first;
        }
        let digits = self.exchanges.get(end).and_then(|exchange| exchange.digits).or(self.digits);
        Ok(sum + counted(value, to.value, digits)?)
    }

    /// How many exchanges there were before a value.
    fn place(&self, shown: &Shown<'_>, current: &str) -> Result<usize, NoConsumption> {
        let mut place = 0;
        for exchange in &self.exchanges {
            if !exchange.is_over(shown).ok_or(NoConsumption::Unclear(exchange.date))? {
                break;
            }
            place += 1;
        }
        let of = self.exchanges.get(place).map_or(Some(current), |next| next.address.as_deref());
        match of {
            Some(address) if address != shown.address => {
                Err(NoConsumption::OtherMeter(shown.address.to_owned()))
            }
            Some(_) | None => Ok(place),
        }
    }
}

/// From one value of a meter to the next. A register that fell out of the top quarter of its digits into the lowest began
/// again at 0.
fn counted(from: Decimal, to: Decimal, digits: Option<Digits>) -> Result<Decimal, NoConsumption> {
    if to >= from {
        return Ok(to - from);
    }
    let quarter = digits.map(|digits| (digits.range(), digits.range() / Decimal::from(4)));
    match quarter {
        Some((range, quarter)) if from >= range - quarter && from < range && to < quarter => {
            Ok(range - from + to)
        }
        Some(_) | None => Err(NoConsumption::Fell { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOTAL: &str = "active_energy_import";
    const OLD: &str = "000000000001";
    const NEW: &str = "000000000002";

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn exchange(date: &str, address: &str, last: &str, first: &str) -> Exchange {
        Exchange {
            date: date.parse().unwrap(),
            time: None,
            address: Some(address.to_owned()),
            asset: None,
            digits: None,
            registers: vec![Joint { register: TOTAL.to_owned(), last: number(last), first: number(first) }],
        }
    }

    fn point(exchanges: Vec<Exchange>) -> Point {
        Point { digits: "6.2".parse().ok(), exchanges, ..Point::default() }
    }

    fn shown<'a>(at: &str, address: &'a str, value: &str) -> Shown<'a> {
        Shown { at: at.parse().unwrap(), address, value: number(value) }
    }

    fn consumed(point: &Point, from: &Shown<'_>, to: &Shown<'_>) -> Result<String, String> {
        let sum = point.consumption(TOTAL, NEW, from, to);
        sum.map(|sum| sum.to_string()).map_err(|why| why.to_string())
    }

    #[test]
    fn consumption_across_an_exchange_is_what_both_meters_counted() {
        let point = point(vec![exchange("2026-11-15", OLD, "12345.67", "0.10")]);
        let before = shown("2026-11-15T00:00", OLD, "12340.00");
        let after = shown("2026-11-16T00:00", NEW, "3.20");
        assert_eq!(consumed(&point, &before, &after).as_deref(), Ok("8.77"));
        let earlier = shown("2026-11-14T00:00", OLD, "12330.50");
        assert_eq!(consumed(&point, &earlier, &before).as_deref(), Ok("9.50"), "of the old meter alone");
        let later = shown("2026-11-17T00:00", NEW, "5.00");
        assert_eq!(consumed(&point, &after, &later).as_deref(), Ok("1.80"), "of the new meter alone");
    }

    #[test]
    fn a_meter_that_was_exchanged_twice_has_both_joints_counted() {
        let point = point(vec![
            exchange("2026-11-10", OLD, "100.00", "5.00"),
            exchange("2026-11-20", "000000000009", "7.50", "0.00"),
        ]);
        let (from, to) = (shown("2026-11-01T00:00", OLD, "90.00"), shown("2026-12-01T00:00", NEW, "4.00"));
        assert_eq!(consumed(&point, &from, &to).as_deref(), Ok("16.50"));
    }

    #[test]
    fn a_register_that_began_again_at_0_is_counted_over_the_end_of_the_digits_of_its_own_meter() {
        let mut old = exchange("2026-11-15", OLD, "3.00", "0.00");
        old.digits = "4.2".parse().ok();
        let point = point(vec![old]);
        let from = shown("2026-11-01T00:00", OLD, "9990.50");
        let to = shown("2026-11-20T00:00", NEW, "1.00");
        assert_eq!(consumed(&point, &from, &to).as_deref(), Ok("13.50"));
        let from = shown("2026-11-20T00:00", NEW, "999999.99");
        let to = shown("2026-11-21T00:00", NEW, "0.01");
        assert_eq!(consumed(&point, &from, &to).as_deref(), Ok("0.02"));
    }

    #[test]
    fn a_register_that_fell_for_no_reason_gives_no_consumption() {
        let from = shown("2026-11-20T00:00", NEW, "5000.00");
        let to = shown("2026-11-21T00:00", NEW, "1.00");
        let fell = Err("the register fell from 5000.00 to 1.00");
        assert_eq!(consumed(&point(vec![]), &from, &to).as_deref().map_err(String::as_str), fell);
        let without = Point::default();
        let from = shown("2026-11-20T00:00", NEW, "999999.99");
        assert!(
            without.consumption(TOTAL, NEW, &from, &to).is_err(),
            "digits that nobody wrote are not known"
        );
    }

    #[test]
    fn what_is_not_written_of_an_exchange_is_not_filled_in() {
        let point = point(vec![exchange("2026-11-15", OLD, "100.00", "0.00")]);
        let from = shown("2026-11-01T00:00", OLD, "90.00");
        let to = shown("2026-12-01T00:00", NEW, "4.00");
        let said = point.consumption("active_energy_export", NEW, &from, &to).unwrap_err().to_string();
        assert_eq!(
            said,
            "the exchange of 2026-11-15 says nothing of active_energy_export; write its last and first value"
        );
        let stranger = shown("2026-12-01T00:00", "000000000007", "4.00");
        assert!(matches!(
            point.consumption(TOTAL, NEW, &from, &stranger),
            Err(NoConsumption::OtherMeter(address)) if address == "000000000007"
        ));
        assert_eq!(point.consumption(TOTAL, NEW, &to, &from), Err(NoConsumption::Backwards));
    }

    #[test]
    fn on_the_day_of_an_exchange_the_time_or_the_address_says_which_meter_it_was() {
        let mut point = point(vec![exchange("2026-11-15", OLD, "100.00", "0.00")]);
        let from = shown("2026-11-15T00:00", OLD, "90.00");
        let noon = shown("2026-11-15T12:00", NEW, "1.00");
        assert_eq!(
            consumed(&point, &from, &noon).as_deref(),
            Ok("11.00"),
            "another address is another meter"
        );
        point.exchanges[0].address = None;
        assert_eq!(
            point.consumption(TOTAL, NEW, &from, &noon),
            Err(NoConsumption::Unclear(point.exchanges[0].date))
        );
        point.exchanges[0].time = "10:30".parse().ok();
        assert_eq!(consumed(&point, &from, &noon).as_deref(), Ok("11.00"));
        let nine = shown("2026-11-15T09:00", OLD, "95.00");
        assert_eq!(consumed(&point, &from, &nine).as_deref(), Ok("5.00"));
    }

    proptest! {
        #[test]
        fn consumption_over_any_exchanges_and_rollovers_is_the_sum_of_what_was_counted(
            starts in prop::collection::vec(0_i64..10_000, 1..5),
            used in prop::collection::vec(0_i64..2_500, 5),
        ) {
            // Registers of 2.2 digits, in hundredths.
            let show = |hundredths: i64| Decimal::new(hundredths % 10_000, 2);
            let mut exchanges = Vec::new();
            for (n, pair) in starts.windows(2).enumerate() {
                let (last, first) = (show(pair[0] + used[n]), show(pair[1]));
                exchanges.push(Exchange {
                    date: Date::new(2026, 1, 2 + n as i8).unwrap(),
                    registers: vec![Joint { register: TOTAL.to_owned(), last, first }],
                    ..exchange("2026-01-01", OLD, "0", "0")
                });
                exchanges[n].address = None;
            }
            let count = starts.len();
            let point = Point { digits: "2.2".parse().ok(), exchanges, ..Point::default() };
            let from = Shown { at: "2026-01-01T00:00".parse().unwrap(), address: NEW, value: show(starts[0]) };
            let value = show(starts[count - 1] + used[count - 1]);
            let to = Shown { at: "2026-12-01T00:00".parse().unwrap(), address: NEW, value };
            let sum: i64 = used[..count].iter().sum();
            prop_assert_eq!(point.consumption(TOTAL, NEW, &from, &to), Ok(Decimal::new(sum, 2)));
        }
    }
}
