//! What the archive (档案) says of a meter point beside how it is read: whose it is, what for, what is settled by it.
//!
//! Nothing of it changes how a meter is asked; it is handed on in the birth message.

pub(super) mod cells;
mod digits;
mod words;

pub use digits::{BadCapacity, BadDigits, Capacity, Digits};
pub use words::{Class, InUse, Metering, Phase};

use super::exchange::Exchange;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the archive says of a meter point; all of it is optional.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Number of the customer (户号).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub customer: Option<String>,
    /// Name of the customer (户名).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub customer_name: Option<String>,
    /// Supply area (台区).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub area: Option<String>,
    /// Name of the meter point of the total meter (总表) that this one is counted under (总分表). They nest, and go round
    /// nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub total_meter: Option<String>,
    /// Kind of customer (用户类别).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Class")]
    pub class: Option<Class>,
    /// The head-end's own number of the kind of customer (用户大类号), 0 to 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u8")]
    pub major_class: Option<u8>,
    /// Its number within that kind (用户小类号), 0 to 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u8")]
    pub minor_class: Option<u8>,
    /// Asset number of the meter (资产编号).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub asset: Option<String>,
    /// Number of the measuring point (测量点号) in the head-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub measuring_point: Option<String>,
    /// On which sides of a transformer is supplied and metered (计量方式).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Metering")]
    pub metering: Option<Metering>,
    /// Contracted capacity (合同容量) with its unit, such as 315 kVA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub capacity: Option<Capacity>,
    /// Digits of the energy register before and behind the point (示数位数), such as 6.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub digits: Option<Digits>,
    /// The phase that a single-phase meter is on (相别).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// The day from which on there is a meter (装表日期).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub installed: Option<Date>,
    /// Whether the point is in use (运行状态).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "InUse")]
    pub state: Option<InUse>,
    /// First day of this state, if it was not always so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub state_since: Option<Date>,
    /// Last day of this state, if its end is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date"))]
    pub state_until: Option<Date>,
    /// How many tariffs are settled (费率个数), 1 to 63.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u8")]
    pub tariff_count: Option<u8>,
    /// Labels of the tariffs (费率) from 1 on, 63 at most, such as 尖, 峰, 平, 谷; empty where none are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tariffs: Vec<String>,
    /// Meters that were exchanged here (换表), by their dates. The birth message has them in a form of its own.
    #[serde(skip)]
    pub exchanges: Vec<Exchange>,
}

impl Point {
    /// Whether readings of a day (数据日期) are due: there is a meter, and it is in use at the end of that day. A point of
    /// which nothing is written is always due.
    ///
    /// Outside of the dates of its state the opposite holds: before a suspension and after it a point is in use, and
    /// before it came into use it is not.
    pub fn is_due(&self, date: Date) -> bool {
        if self.installed.is_some_and(|installed| date < installed) {
            return false;
        }
        let Some(state) = self.state else { return true };
        let holds = self.state_since.is_none_or(|since| since <= date)
            && self.state_until.is_none_or(|until| date <= until);
        (state == InUse::InUse) == holds
    }

    /// What is written as `key=value`, in the order of the keys; nothing for a point of which nothing is.
    pub(super) fn written(&self) -> Vec<String> {
        let date = |date: Option<Date>| date.map(|date| date.to_string());
        let number = |number: Option<u8>| number.map(|number| number.to_string());
        let texts = [
            ("customer", self.customer.clone()),
            ("customer_name", self.customer_name.clone()),
            ("area", self.area.clone()),
            ("class", self.class.map(|class| class.word().to_owned())),
            ("asset", self.asset.clone()),
            ("measuring_point", self.measuring_point.clone()),
            ("digits", self.digits.map(|digits| digits.to_string())),
            ("phase", self.phase.map(|phase| phase.word().to_owned())),
            ("state", self.state.map(|state| state.word().to_owned())),
            ("tariffs", (!self.tariffs.is_empty()).then(|| self.tariffs.join("|"))),
            ("total_meter", self.total_meter.clone()),
            ("major_class", number(self.major_class)),
            ("minor_class", number(self.minor_class)),
            ("metering", self.metering.map(|metering| metering.word().to_owned())),
            ("capacity", self.capacity.map(|capacity| capacity.to_string())),
            ("installed", date(self.installed)),
            ("state_since", date(self.state_since)),
            ("state_until", date(self.state_until)),
            ("tariff_count", number(self.tariff_count)),
        ];
        let texts = texts.into_iter().filter_map(|(key, text)| Some(format!("{key}={}", text?)));
        texts.chain(self.exchanges.iter().map(Exchange::written)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_which_nothing_is_written_adds_nothing_to_the_archives_digits() {
        assert_eq!(Point::default().written(), Vec::<String>::new());
        let point = Point {
            class: Some(Class::Key),
            digits: "6.2".parse().ok(),
            tariffs: vec!["峰".to_owned(), "谷".to_owned()],
            capacity: "315".parse().ok(),
            ..Point::default()
        };
        assert_eq!(point.written(), ["class=key", "digits=6.2", "tariffs=峰|谷", "capacity=315 kVA"]);
    }

    fn due(point: &Point, dates: &[&str]) -> Vec<bool> {
        dates.iter().map(|text| point.is_due(text.parse().unwrap())).collect()
    }

    const DAYS: [&str; 4] = ["2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01"];

    fn in_state(state: InUse, since: Option<&str>, until: Option<&str>) -> Point {
        let date = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Point { state: Some(state), state_since: date(since), state_until: date(until), ..Point::default() }
    }

    #[test]
    fn a_customer_is_due_on_every_day_but_those_of_a_suspension() {
        assert_eq!(due(&Point::default(), &DAYS), [true; 4]);
        let (since, until) = (Some("2026-11-01"), Some("2026-11-30"));
        for state in [InUse::Suspended, InUse::Dismantled] {
            assert_eq!(due(&in_state(state, since, until), &DAYS), [true, false, false, true]);
            assert_eq!(due(&in_state(state, since, None), &DAYS), [true, false, false, false]);
            assert_eq!(due(&in_state(state, None, until), &DAYS), [false, false, false, true]);
        }
    }

    #[test]
    fn a_closed_or_removed_customer_is_due_until_the_day_before() {
        for state in [InUse::Closed, InUse::Removed] {
            assert_eq!(due(&in_state(state, Some("2026-11-30"), None), &DAYS), [true, true, false, false]);
            assert_eq!(due(&in_state(state, None, None), &DAYS), [false; 4]);
        }
    }

    #[test]
    fn nothing_is_due_before_there_is_a_meter_or_before_it_came_into_use() {
        let installed = Point { installed: "2026-11-01".parse().ok(), ..Point::default() };
        assert_eq!(due(&installed, &DAYS), [false, true, true, true]);
        let back = in_state(InUse::InUse, Some("2026-11-30"), None);
        assert_eq!(due(&back, &DAYS), [false, false, true, true]);
    }
}
