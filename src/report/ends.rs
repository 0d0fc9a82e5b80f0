//! What a report of consumption is made of, read from the store.

use super::consumption::{Consumption, Ends, Period, REGISTER, consumption};
use super::gather::midnight;
use crate::config::{Plan, Read, Task};
use crate::store::{Look, SlotState, StoreError};
use jiff::civil::Date;

/// Why there is nothing to report.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPeriod {
    /// It ends before it begins, or no calendar has it.
    #[error("{0} to {1} is no period: write its first day and its last")]
    Backwards(Date, Date),
    /// There is no such meter point.
    #[error("there is no meter \"{0}\" in the configuration")]
    Unknown(String),
}

/// The consumption from the first day to the last, both counted; of one meter point where it is named.
///
/// # Errors
/// The store could not be read. Within: why there is nothing to report.
pub fn consumed(
    look: &Look,
    plan: &Plan,
    (from, to): (Date, Date),
    only: Option<&str>,
) -> Result<Result<Consumption, NoPeriod>, StoreError> {
    if let Some(only) = only.filter(|only| !plan.meters.iter().any(|meter| meter.name.as_str() == *only)) {
        return Ok(Err(NoPeriod::Unknown(only.to_owned())));
    }
    let behind = to.tomorrow().ok().filter(|_| from <= to).and_then(|behind| midnight(plan, behind));
    let Some((begin, end)) = midnight(plan, from).zip(behind) else {
        return Ok(Err(NoPeriod::Backwards(from, to)));
    };
    let period = Period { from, to, ends: [begin, end] };
    let mut known = Ends::default();
    for (at, (stands, why)) in period.ends.iter().zip(known.stands.iter_mut().zip(&mut known.why)) {
        stands.extend(look.stands(*at)?.into_iter().map(|stand| (stand.meter.clone(), stand)));
        for task in plan.tasks.iter().filter(|task| matches!(task.read, Read::DailyFreeze | Read::Month)) {
            let notes = look.slot_notes(task.name.as_str(), *at)?.into_iter();
            let notes = notes.filter(|note| note.slot == *at && !note.why.is_empty());
            why.extend(notes.map(|note| (note.meter, format!("{}: {}", state(note.state), note.why))));
        }
        let is_read = |meter: usize| plan.tasks.iter().any(|task| is_read_by(plan, task, meter));
        let never = (0..plan.meters.len()).filter(|meter| !is_read(*meter));
        let names = never.filter_map(|meter| Some(plan.meters.get(meter)?.name.to_string()));
        why.extend(names.map(|name| (name, format!("no task reads {REGISTER} of its freezes"))));
    }
    Ok(Ok(consumption(plan, period, &known, only)))
}

fn is_read_by(plan: &Plan, task: &Task, meter: usize) -> bool {
    let Some(of) = plan.meters.get(meter) else { return false };
    matches!(task.read, Read::DailyFreeze | Read::Month)
        && task.meters.contains(&meter)
        && task.registers.of(of.dialect()).iter().any(|register| register.name().to_string() == REGISTER)
}

const fn state(state: SlotState) -> &'static str {
    match state {
        SlotState::Open => "open",
        SlotState::Settled => "without values",
        SlotState::Gone => "gone",
        SlotState::GivenUp => "given up",
    }
}
