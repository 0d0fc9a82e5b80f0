//! What was consumed in a period (用电量), by what the registers showed at its two ends, and what was lost between a total
//! meter (总表) and those that are counted under it (线损). Pure. What is not there is never estimated.

use crate::config::{Meter, Plan, Shown};
use crate::reading::Quality;
use crate::store::Stand;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::HashMap;

/// The register by which is counted.
pub const REGISTER: &str = "active_energy_import";

/// A period, both of whose days belong to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Period {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// 00:00 of the first, and 00:00 behind the last.
    pub ends: [Timestamp; 2],
}

/// What is known of the ends of a period.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// What meter points showed at each end, by name.
    pub stands: [HashMap<String, Stand>; 2],
    /// Why there is none, in a sentence, by name.
    pub why: [HashMap<String, String>; 2],
}

/// The consumption of all points, in the order of the configuration, and of the balance groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consumption {
    /// Of when.
    pub period: Period,
    /// Meter points.
    pub points: Vec<OfPoint>,
    /// Total meters with those under them.
    pub balances: Vec<Balance>,
}

/// A meter point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfPoint {
    /// Its name.
    pub meter: String,
    /// What it showed at each end.
    pub ends: [Option<End>; 2],
    /// What was consumed, or a sentence why nobody knows.
    pub used: Result<Used, String>,
}

/// What a register showed at an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Address of the meter that hung there.
    pub address: String,
    /// The value, in kWh.
    pub value: Decimal,
    /// How far it is to be believed.
    pub quality: Quality,
}

/// What was consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// By the register, over all exchanges of the meter (换表), in kWh.
    pub value: Decimal,
    /// The ratio (倍率); 1 where none is written.
    pub ratio: Decimal,
    /// Value times ratio.
    pub primary: Decimal,
}

/// A total meter, and those that are counted under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Balance {
    /// Name of the total meter.
    pub total: String,
    /// How many are counted under it.
    pub members: usize,
    /// What was lost between them, or whose consumption nobody knows.
    pub loss: Result<Loss, Vec<String>>,
}

/// What was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// What the total meter counted (供电量), in kWh of its primary side.
    pub supplied: Decimal,
    /// What those under it counted together (售电量).
    pub sold: Decimal,
    /// The difference (损失电量); negative where more was sold.
    pub lost: Decimal,
    /// In per cent of what was supplied (线损率), rounded to two decimals; `None` where that is nothing.
    pub percent: Option<Decimal>,
}

/// The consumption of a period; of one meter point and its balance group where that is named.
pub fn consumption(plan: &Plan, period: Period, known: &Ends, only: Option<&str>) -> Consumption {
    let all: Vec<OfPoint> = plan.meters.iter().map(|meter| of_point(plan, &period, meter, known)).collect();
    let totals = plan.meters.iter().filter(|meter| only.is_none_or(|only| meter.name.as_str() == only));
    let balances = totals.filter_map(|total| balance(plan, &period, total.name.as_str(), &all)).collect();
    let points = all.into_iter().filter(|point| only.is_none_or(|only| point.meter == only)).collect();
    Consumption { period, points, balances }
}

fn of_point(plan: &Plan, period: &Period, meter: &Meter, known: &Ends) -> OfPoint {
    let name = meter.name.as_str();
    let [from, to] = [0, 1].map(|end| known.stands.get(end).and_then(|stands| stands.get(name)));
    let ends = [from, to].map(|stand| {
        let Stand { address, value, quality, .. } = stand?;
        Some(End { address: address.clone(), value: *value, quality: *quality })
    });
    let used = match (from, to) {
        (Some(from), Some(to)) => used(plan, meter, from, to),
        (from, to) => Err(missing(plan, period, name, known, [from.is_none(), to.is_none()])),
    };
    OfPoint { meter: name.to_owned(), ends, used }
}

fn missing(plan: &Plan, period: &Period, name: &str, known: &Ends, is_missing: [bool; 2]) -> String {
    let said = period.ends.iter().zip(&known.why).zip(is_missing).filter(|(_, is_missing)| *is_missing);
    let said = said.map(|((at, why), _)| {
        let at = plan.gateway.zone.to_datetime(*at).strftime("%Y-%m-%dT%H:%M");
        let why = why.get(name).map_or("none was read", String::as_str);
        format!("no value of {at}: {why}")
    });
    said.collect::<Vec<_>>().join("; ")
}

fn used(plan: &Plan, meter: &Meter, from: &Stand, to: &Stand) -> Result<Used, String> {
    let shown = |stand: &'_ Stand| plan.gateway.zone.to_datetime(stand.slot);
    let [first, last] =
        [from, to].map(|stand| Shown { at: shown(stand), address: &stand.address, value: stand.value });
    let current = meter.protocol.address();
    let value = meter.point.consumption(REGISTER, &current, &first, &last).map_err(|why| why.to_string())?;
    let [before, ratio] = [from, to].map(|stand| stand.ratio.unwrap_or(Decimal::ONE));
    if before != ratio {
        return Err(format!("the ratio (倍率) was {before} and is {ratio}, and nobody knows since when"));
    }
    let primary = value * ratio;
    Ok(Used { value, ratio, primary })
}

/// `None` where nobody is counted under it. A point that is out of use (暂停, 销户) and was not read is let be.
fn balance(plan: &Plan, period: &Period, total: &str, all: &[OfPoint]) -> Option<Balance> {
    let is_under = |meter: &Meter| meter.point.total_meter.as_deref() == Some(total);
    let under = plan.meters.iter().zip(all).filter(|(meter, _)| is_under(meter));
    let is_due = |meter: &Meter| meter.point.is_due(period.from) || meter.point.is_due(period.to);
    let members: Vec<&OfPoint> =
        under.filter(|(meter, point)| is_due(meter) || point.used.is_ok()).map(|(_, point)| point).collect();
    if members.is_empty() {
        return None;
    }
    let total_point = all.iter().find(|point| point.meter == total)?;
    let unknown = std::iter::once(total_point).chain(members.iter().copied());
    let unknown: Vec<String> =
        unknown.filter(|point| point.used.is_err()).map(|point| point.meter.clone()).collect();
    let loss = match &total_point.used {
        Ok(supplied) if unknown.is_empty() => {
            let sold = members.iter().filter_map(|point| point.used.as_ref().ok()).map(|used| used.primary);
            Ok(Loss::of(supplied.primary, sold.sum()))
        }
        Ok(_) | Err(_) => Err(unknown),
    };
    Some(Balance { total: total.to_owned(), members: members.len(), loss })
}

impl Loss {
    fn of(supplied: Decimal, sold: Decimal) -> Self {
        let lost = supplied - sold;
        let percent = (lost * Decimal::ONE_HUNDRED).checked_div(supplied).map(|percent| {
            let mut percent = percent.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
            percent.rescale(2);
            percent
        });
        Self { supplied, sold, lost, percent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_from_text;
    use std::path::Path;

    const METERS: &str = "\
[[meter]]
name = \"total\"
bus = \"a\"
address = \"1\"
[[meter]]
name = \"flat-1\"
bus = \"a\"
address = \"2\"
total_meter = \"total\"
[[meter.exchange]]
date = \"2026-11-15\"
address = \"9\"
last = \"99.50\"
first = \"0.10\"
[[meter]]
name = \"flat-2\"
bus = \"a\"
address = \"3\"
total_meter = \"total\"
";

    fn plan(meters: &str) -> Plan {
        let text = format!(
            "[gateway]\nid = \"gw\"\ntimezone = \"Asia/Shanghai\"\n[[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n{meters}"
        );
        match plan_from_text("m.toml", &text, Path::new("")) {
            Ok(loaded) => loaded.plan,
            Err(faults) => panic!("{faults}"),
        }
    }

    fn november() -> Period {
        Period {
            from: "2026-11-01".parse().unwrap(),
            to: "2026-11-30".parse().unwrap(),
            ends: ["2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z"].map(|at| at.parse().unwrap()),
        }
    }

    /// Of each: name, last digit of the address, value, ratio.
    fn ends(all: [&[(&str, u8, &str, i64)]; 2]) -> Ends {
        let mut known = Ends::default();
        for ((stands, all), slot) in known.stands.iter_mut().zip(all).zip(november().ends) {
            stands.extend(all.iter().map(|(meter, address, value, ratio)| {
                let stand = Stand {
                    meter: (*meter).to_owned(),
                    slot,
                    address: format!("{address:012}"),
                    value: value.parse().unwrap(),
                    ratio: Some(Decimal::from(*ratio)),
                    quality: Quality::Good,
                };
                (stand.meter.clone(), stand)
            }));
        }
        known
    }

    fn used(of: &OfPoint) -> Result<(String, String), String> {
        of.used.clone().map(|used| (used.value.to_string(), used.primary.to_string()))
    }

    #[test]
    fn consumption_across_an_exchange_is_joined_by_the_archive_and_the_loss_is_of_the_primary_side() {
        let known = ends([
            &[("total", 1, "10.00", 40), ("flat-1", 9, "90.00", 1), ("flat-2", 3, "100.00", 1)],
            &[("total", 1, "11.00", 40), ("flat-1", 2, "8.60", 1), ("flat-2", 3, "120.00", 1)],
        ]);
        let report = consumption(&plan(METERS), november(), &known, None);
        let said: Vec<_> = report.points.iter().map(|of| used(of).unwrap()).collect();
        let of = |value: &str, primary: &str| (value.to_owned(), primary.to_owned());
        assert_eq!(said, [of("1.00", "40.00"), of("18.00", "18.00"), of("20.00", "20.00")]);
        let [Balance { members: 2, loss: Ok(loss), .. }] = &report.balances[..] else { panic!("{report:?}") };
        let [supplied, sold, lost, percent] = [loss.supplied, loss.sold, loss.lost, loss.percent.unwrap()];
        assert_eq!(
            [supplied, sold, lost, percent].map(|n| n.to_string()),
            ["40.00", "38.00", "2.00", "5.00"]
        );
        let one = consumption(&plan(METERS), november(), &known, Some("flat-1"));
        assert_eq!((one.points.len(), one.balances.len()), (1, 0));
        let total = consumption(&plan(METERS), november(), &known, Some("total"));
        assert_eq!((total.points.len(), total.balances), (1, report.balances));
    }

    #[test]
    fn what_is_missing_at_an_end_is_said_and_no_loss_is_told_without_it() {
        let mut known = ends([
            &[("total", 1, "10.00", 40), ("flat-1", 9, "90.00", 1)],
            &[("total", 1, "11.00", 60), ("flat-1", 2, "8.60", 1), ("flat-2", 3, "120.00", 1)],
        ]);
        known.why[0].insert("flat-2".to_owned(), "no octet came".to_owned());
        let report = consumption(&plan(METERS), november(), &known, None);
        let said: Vec<_> = report.points.iter().map(|of| used(of).err()).collect();
        let ratio = "the ratio (倍率) was 40 and is 60, and nobody knows since when".to_owned();
        let none = "no value of 2026-11-01T00:00: no octet came".to_owned();
        assert_eq!(said, [Some(ratio), None, Some(none)]);
        assert_eq!(report.balances[0].loss, Err(vec!["total".to_owned(), "flat-2".to_owned()]));
        let known = ends([&[], &[]]);
        let of = &consumption(&plan(METERS), november(), &known, Some("flat-1")).points[0];
        let both = "no value of 2026-11-01T00:00: none was read; no value of 2026-12-01T00:00: none was read";
        assert_eq!(used(of), Err(both.to_owned()));
    }

    #[test]
    fn a_point_out_of_use_that_was_not_read_keeps_no_loss_back() {
        let meters = METERS.replace("address = \"3\"\n", "address = \"3\"\nstate = \"suspended\"\n");
        let known = ends([
            &[("total", 1, "10.00", 1), ("flat-1", 9, "90.00", 1)],
            &[("total", 1, "10.00", 1), ("flat-1", 2, "0.10", 1)],
        ]);
        let report = consumption(&plan(&meters), november(), &known, None);
        let Balance { members, loss: Ok(loss), .. } = &report.balances[0] else { panic!("{report:?}") };
        assert_eq!((*members, loss.lost.to_string().as_str(), loss.percent), (1, "-9.50", None));
    }
}
