//! What the store knows of slots of kept values: read back for a bus that begins, and noted as the buses say it.

use crate::bus::task::{Note, State};
use crate::config::{Plan, Read, Task};
use crate::reading::{Content, Report};
use crate::report::REGISTER;
use crate::schedule::Past;
use crate::store::{Rules, SlotNote, SlotState, Stand, StoreError, Writer};
use catalogue::Register;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// What earlier runs left of the slots of kept tasks, by bus; of those pairs of task and meter that are `wanted`.
///
/// # Errors
/// The store could not be read.
pub(super) fn past(
    writer: &mut Writer,
    plan: &Plan,
    wanted: impl Fn(usize, usize) -> bool,
) -> Result<Vec<Past>, StoreError> {
    let mut all = vec![Past::default(); plan.buses.len()];
    let Some(newest) = writer.newest()? else { return Ok(all) };
    let meters: HashMap<&str, usize> =
        plan.meters.iter().enumerate().map(|(index, meter)| (meter.name.as_str(), index)).collect();
    for (index, task) in plan.tasks.iter().enumerate().filter(|(_, task)| task.read.is_kept()) {
        let since = newest.saturating_sub(reach(task)).unwrap_or(Timestamp::MIN);
        let own = |name: &str| {
            let meter = *meters.get(name)?;
            let is_own = task.meters.binary_search(&meter).is_ok() && wanted(index, meter);
            is_own.then(|| plan.meters.get(meter).map(|of| (meter, of))).flatten()
        };
        writer.slots_read(task.name.as_str(), since, &mut |name, slot| {
            if let Some((meter, of)) = own(name)
                && let Some(past) = all.get_mut(of.bus)
            {
                past.is_settled(index, meter, slot);
            }
        })?;
        for note in writer.slot_notes(task.name.as_str(), since)? {
            let Some((meter, of)) = own(&note.meter) else { continue };
            let Some(past) = all.get_mut(of.bus) else { continue };
            match note.state {
                SlotState::Settled | SlotState::Gone => past.is_settled(index, meter, note.slot),
                // What was given up is out of reach, or in reach again by another configuration.
                SlotState::Open | SlotState::GivenUp => {
                    let missing = missing(&note, task.registers.of(of.dialect()));
                    past.is_missing(index, meter, note.slot, (missing.map(Into::into), note.tries));
                }
            }
        }
    }
    Ok(all)
}

/// How long the store has to know of slots, lest they be fetched twice.
pub(super) fn known(plan: &Plan) -> Duration {
    let kept = plan.tasks.iter().filter(|task| task.read.is_kept());
    let longest = kept.map(reach).max().and_then(|reach| Duration::try_from(reach).ok());
    longest.map_or(Rules::KNOWN, |longest| longest.max(Rules::KNOWN))
}

/// How far back slots of a task are fetched, and somewhat more.
fn reach(task: &Task) -> SignedDuration {
    let month = if task.read == Read::Month { 32 } else { 0 };
    SignedDuration::from_hours(24 * (i64::from(task.backfill) + month + 2))
}

/// Which registers a slot still lacks; `None` if all, or none that the task still reads.
fn missing(note: &SlotNote, registers: &[Register]) -> Option<Vec<Register>> {
    let is_named = |register: &Register| {
        let name = register.name().to_string();
        note.registers.contains(&name)
    };
    let missing: Vec<Register> = registers.iter().copied().filter(is_named).collect();
    (!missing.is_empty()).then_some(missing)
}

/// What the energy register showed at a midnight, if the report says it.
pub(super) fn stand(plan: &Plan, report: &Report) -> Option<Stand> {
    let (task, meter) = (plan.tasks.get(report.task)?, plan.meters.get(report.meter)?);
    if !matches!(task.read, Read::DailyFreeze | Read::Month) {
        return None;
    }
    let reading = report.readings.iter().find(|reading| reading.register.name().to_string() == REGISTER)?;
    let Content::Value(value) = &reading.content else { return None };
    Some(Stand {
        meter: meter.name.to_string(),
        slot: report.slot,
        address: meter.protocol.address(),
        value: value.number()?,
        ratio: reading.primary.map(|primary| primary.ratio),
        quality: reading.quality,
    })
}

/// A note as the store keeps it.
pub(super) fn kept(
    plan: &Plan,
    (task, meter, slot): (usize, usize, Timestamp),
    note: &Note,
    at: Timestamp,
) -> Option<SlotNote> {
    Some(SlotNote {
        meter: plan.meters.get(meter)?.name.to_string(),
        task: plan.tasks.get(task)?.name.to_string(),
        slot,
        state: match note.state {
            State::Open => SlotState::Open,
            State::Settled => SlotState::Settled,
            State::Gone => SlotState::Gone,
            State::GivenUp => SlotState::GivenUp,
        },
        why: note.why.clone(),
        reason: note.reason,
        tries: note.tries,
        registers: note.missing.iter().map(|register| register.name().to_string()).collect(),
        at,
    })
}
