//! What a report is made of, read from the store.

use super::rate::{Seen, is_billing, rate};
use super::{By, Report};
use crate::config::{Plan, Read, Task};
use crate::schedule::Slots;
use crate::store::{Look, StoreError};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::HashMap;

/// Why there is nothing to report.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoDay {
    /// No task reads what meters keep.
    #[error(
        "no task reads what meters keep, of which a day is complete or not: write read = \"daily-freeze\", \"month\" or \"load-profile\""
    )]
    NoTask,
    /// The named task is none of those.
    #[error("there is no task \"{0}\" of values that meters keep; there are: {1}")]
    Unknown(String, String),
    /// Nothing has run yet.
    #[error("no task has run yet, so there is no day to report")]
    NotYet,
    /// Nothing of that day.
    #[error("no task has run for {0} yet; the last day is {1}")]
    NotThen(Date, Date),
}

/// The report of a day, or of the last one whose run has begun; of all kept tasks, or one.
///
/// # Errors
/// The store could not be read. Within: why there is nothing to report.
pub fn gather(
    look: &Look,
    plan: &Plan,
    (day, only): (Option<Date>, Option<&str>),
    by: Option<By>,
) -> Result<Result<Report, NoDay>, StoreError> {
    let kept: Vec<&Task> = plan.tasks.iter().filter(|task| task.read.is_kept()).collect();
    if kept.is_empty() {
        return Ok(Err(NoDay::NoTask));
    }
    let mut tasks = Vec::new();
    for task in kept.iter().filter(|task| only.is_none_or(|only| task.name.as_str() == only)) {
        tasks.push((*task, look.newest(task.name.as_str())?));
    }
    if let (true, Some(only)) = (tasks.is_empty(), only) {
        let known: Vec<&str> = kept.iter().map(|task| task.name.as_str()).collect();
        return Ok(Err(NoDay::Unknown(only.to_owned(), known.join(", "))));
    }
    let Some(last) = last_day(plan, &tasks) else { return Ok(Err(NoDay::NotYet)) };
    let day = day.unwrap_or(last);
    let mut rates = Vec::new();
    for (task, newest) in tasks {
        let Some(newest) = newest else { continue };
        let slots: Vec<Timestamp> =
            slots_of(plan, task, day).into_iter().filter(|slot| *slot <= newest).collect();
        if !slots.is_empty() {
            let seen = seen(look, plan, task, &slots)?;
            rates.extend(rate(plan, task, (day, &slots), &seen, by));
        }
    }
    let none = rates.is_empty();
    Ok(if none { Err(NoDay::NotThen(day, last)) } else { Ok(Report { day, tasks: rates }) })
}

/// The newest day of the tasks that come first: freezes of days before those of months, and records last.
fn last_day(plan: &Plan, tasks: &[(&Task, Option<Timestamp>)]) -> Option<Date> {
    [Read::DailyFreeze, Read::Month, Read::LoadProfile].into_iter().find_map(|read| {
        let own = tasks.iter().filter(|(task, _)| task.read == read);
        own.filter_map(|(task, newest)| day_of(plan, task, (*newest)?)).max()
    })
}

/// The day that a slot closes, or for a record the one that it is in.
fn day_of(plan: &Plan, task: &Task, slot: Timestamp) -> Option<Date> {
    let zone = &plan.gateway.zone;
    if task.read == Read::LoadProfile {
        return Some(zone.to_datetime(slot).date());
    }
    Slots::of(&task.when, task.read, zone.clone()).day(slot)
}

/// The slots of a task that belong to a day, ascending.
fn slots_of(plan: &Plan, task: &Task, day: Date) -> Vec<Timestamp> {
    let zone = &plan.gateway.zone;
    let (Ok(next), Some(start)) = (day.tomorrow(), midnight(plan, day)) else { return Vec::new() };
    let Some(end) = midnight(plan, next) else { return Vec::new() };
    match task.read {
        Read::DailyFreeze => vec![end],
        Read::Month if next.day() == 1 => vec![end],
        Read::LoadProfile => {
            let slots = Slots::of(&task.when, task.read, zone.clone());
            let first = Some(slots.at_or_before(start)).filter(|slot| *slot == start);
            let first = first.unwrap_or_else(|| slots.after(start));
            std::iter::successors(Some(first), |slot| Some(slots.after(*slot)))
                .take_while(|slot| *slot < end)
                .collect()
        }
        Read::Month | Read::Live | Read::Events | Read::Clock | Read::Nameplate => Vec::new(),
    }
}

/// When a day begins.
pub(super) fn midnight(plan: &Plan, day: Date) -> Option<Timestamp> {
    plan.gateway.zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).compatible().ok()
}

fn seen(look: &Look, plan: &Plan, task: &Task, slots: &[Timestamp]) -> Result<Seen, StoreError> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(Seen::default()) };
    let name = task.name.as_str();
    let notes = look.slot_notes(name, *first)?.into_iter().filter(|note| note.slot <= *last);
    let notes: HashMap<_, _> = notes.map(|note| ((note.meter.clone(), note.slot), note)).collect();
    let meters: HashMap<&str, _> = plan.meters.iter().map(|meter| (meter.name.as_str(), meter)).collect();
    let mut read = HashMap::new();
    for slot in look.slots_read(name, *first..=*last)? {
        let Some(meter) = meters.get(slot.meter.as_str()) else { continue };
        let key = (slot.meter.clone(), slot.slot);
        let missing = notes.get(&key).map_or(&[][..], |note| &note.registers);
        let is_there = |register: &str| {
            // What is neither read nor missing the meter does not have.
            look.has(&slot, register) || (!missing.is_empty() && !missing.iter().any(|own| own == register))
        };
        let mut billing = task.registers.of(meter.dialect()).iter().filter(|register| is_billing(register));
        let billed = billing.all(|register| is_there(&register.name().to_string()));
        read.insert(key, billed);
    }
    let runs = look.runs(name, *first)?.into_iter().filter(|run| run.slot <= *last);
    let seconds = runs.filter_map(|run| u64::try_from(run.ended?.duration_since(run.began).as_secs()).ok());
    Ok(Seen { read, notes, last: look.last_read(name)?, seconds: seconds.max() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::path::Path;

    fn plan(zone: &str) -> Plan {
        let text = format!(
            "[gateway]\nid = \"gw01\"\ntimezone = \"{zone}\"\n[[bus]]\nname = \"one\"\nport = \"/dev/ttyS1\"\n\
             [[meter]]\nname = \"a\"\nbus = \"one\"\naddress = \"1\"\n\
             [[task]]\nname = \"daily\"\nread = \"daily-freeze\"\ndaily = \"00:05\"\n\
             [[task]]\nname = \"month\"\nread = \"month\"\nmonthly = [\"1 00:05\"]\n\
             [[task]]\nname = \"curve\"\nread = \"load-profile\"\nevery = \"1h\"\n"
        );
        config::plan_from_text("m.toml", &text, Path::new("")).unwrap().plan
    }

    fn slots(plan: &Plan, task: usize, day: &str) -> Vec<String> {
        let local =
            |slot: &Timestamp| slot.to_zoned(plan.gateway.zone.clone()).strftime("%m-%dT%H:%M%z").to_string();
        slots_of(plan, &plan.tasks[task], day.parse().unwrap()).iter().map(local).collect()
    }

    #[test]
    fn a_freeze_belongs_to_the_day_that_it_closes_and_a_month_to_its_last_day() {
        let plan = plan("Asia/Shanghai");
        assert_eq!(slots(&plan, 0, "2026-12-31"), ["01-01T00:00+0800"]);
        assert_eq!(slots(&plan, 1, "2026-12-31"), ["01-01T00:00+0800"]);
        assert_eq!(slots(&plan, 1, "2026-12-30"), [""; 0]);
        assert_eq!(slots(&plan, 0, "2028-02-28"), ["02-29T00:00+0800"]);
        assert_eq!(slots(&plan, 1, "2028-02-29"), ["03-01T00:00+0800"]);
        let slot = "2026-12-31T16:00:00Z".parse().unwrap();
        let days = plan.tasks.iter().map(|task| day_of(&plan, task, slot).unwrap().to_string());
        assert_eq!(days.collect::<Vec<_>>(), ["2026-12-31", "2026-12-31", "2027-01-01"]);
    }

    #[test]
    fn a_day_has_as_many_records_as_it_has_hours() {
        let plan = plan("Europe/Berlin");
        let count = |day| slots(&plan, 2, day).len();
        assert_eq!([count("2026-03-29"), count("2026-07-01"), count("2026-10-25")], [23, 24, 25]);
        assert_eq!(slots(&plan, 2, "2026-10-25").first().unwrap(), "10-25T00:00+0200");
        assert_eq!(slots(&plan, 2, "2026-10-25").last().unwrap(), "10-25T23:00+0100");
        assert_eq!(slots(&plan, 0, "2026-10-25"), ["10-26T00:00+0100"]);
    }
}
