//! Which requests bring the registers of a Modbus meter: neighbours in one, as far as that saves air time.

use super::ask::{Ask, Costs, Subject};
use catalogue::{Identifier, Manner, Register};
use modbus::Span;
use std::collections::BTreeSet;
use std::time::Duration;

/// A wanted register and where it is.
#[derive(Clone, Copy)]
struct Spot {
    register: Register,
    span: Span,
    alone: bool,
}

/// The requests that bring all of `wanted` in the least air time. Spans in `refused`, which a meter answered with
/// *illegal data address*, are not part of a larger request.
pub(super) fn plan(wanted: &[Register], refused: &BTreeSet<Identifier>, costs: &Costs) -> Vec<Ask> {
    let manner = wanted.first().and_then(|register| register.table().manner());
    let usual = Manner::default();
    let manner = manner.unwrap_or(&usual);
    let mut spots: Vec<Spot> = wanted.iter().filter_map(spot).collect();
    spots.sort_by_key(|spot| (spot.span.function, spot.span.address, spot.span.count));
    let known = if manner.gaps { Vec::new() } else { known(&spots) };
    let refused: Vec<Span> = refused.iter().filter_map(|id| id.span()).collect();
    let allowed = |run: &[Spot]| {
        let span = whole(run, manner)?;
        let is_split = |lost: &Span| run.len() > 1 && span.contains(lost);
        let fits = run.len() == 1
            || (span.count <= manner.most
                && run.iter().all(|spot| !spot.alone && spot.span.function == span.function)
                && (manner.gaps || is_covered(span, &known)));
        (fits && !refused.iter().any(is_split)).then_some(span)
    };
    let mut asks: Vec<(Span, Vec<Register>)> = Vec::new();
    for (span, run) in cheapest(&spots, allowed, costs) {
        asks.push((span, run.iter().map(|spot| spot.register).collect()));
    }
    // What others need to be read comes first; then as wanted: what a person wrote first is read first.
    let place = |registers: &[Register]| wanted.iter().position(|own| registers.contains(own));
    asks.sort_by_key(|(_, registers)| (!registers.iter().any(is_scale), place(registers)));
    asks.into_iter()
        .map(|(span, wanted)| Ask { subject: Subject::Span(span), wanted: wanted.into() })
        .collect()
}

/// The registers that the wanted ones need to be understood: the meter's own ratios, powers of ten.
pub(super) fn with_scales(wanted: &[Register]) -> Vec<Register> {
    let mut all = wanted.to_vec();
    for register in wanted {
        let (table, manner) = (register.table(), register.table().manner());
        let Some(location) = register.location() else { continue };
        let ratios = manner.into_iter().flat_map(|manner| [&manner.ct, &manner.pt]).flatten();
        let names = ratios.filter(|_| !location.primary).chain(&location.exponent);
        for scale in names.filter_map(|name| table.by_name(name)) {
            if !all.contains(&scale) {
                all.push(scale);
            }
        }
    }
    all
}

/// Whether others are scaled by it.
fn is_scale(register: &Register) -> bool {
    let name = register.name().to_string();
    let manner = register.table().manner();
    let is_ratio =
        manner.is_some_and(|manner| [&manner.ct, &manner.pt].into_iter().flatten().any(|own| **own == *name));
    is_ratio
        || register.table().registers().any(|other| {
            other.location().is_some_and(|location| location.exponent.as_deref() == Some(&*name))
        })
}

fn spot(register: &Register) -> Option<Spot> {
    let location = register.location()?;
    Some(Spot { register: *register, span: location.span, alone: location.alone })
}

/// The registers of a run of neighbours, from an address that the meter takes.
fn whole(run: &[Spot], manner: &Manner) -> Option<Span> {
    let first = run.first()?.span;
    let start = first.address - first.address % manner.align.max(1);
    let end = run.iter().map(|spot| spot.span.end()).max()?;
    let count = u16::try_from(end - u32::from(start)).ok()?;
    // A register that its own meter would not be asked for so is asked for as it is.
    Some(if run.len() == 1 { first } else { Span { address: start, count, ..first } })
}

/// Every address that the profile has a register at, of the functions that are asked by.
fn known(spots: &[Spot]) -> Vec<Span> {
    let mut all: Vec<Span> = spots
        .first()
        .into_iter()
        .flat_map(|spot| spot.register.table().registers())
        .filter_map(|register| register.location().map(|location| location.span))
        .collect();
    all.sort_unstable();
    all
}

fn is_covered(span: Span, known: &[Span]) -> bool {
    let mut reached = u32::from(span.address);
    for own in known.iter().filter(|own| own.function == span.function) {
        if u32::from(own.address) <= reached {
            reached = reached.max(own.end());
        }
    }
    reached >= span.end()
}

/// The runs of neighbours that together take the least air time.
fn cheapest<'s>(
    spots: &'s [Spot],
    allowed: impl Fn(&[Spot]) -> Option<Span>,
    costs: &Costs,
) -> Vec<(Span, &'s [Spot])> {
    // By how many of the first spots: the least time, and where the last run begins.
    let mut best: Vec<(Duration, usize, Option<Span>)> = vec![(Duration::ZERO, 0, None)];
    for end in 1..=spots.len() {
        let mut least: Option<(Duration, usize, Option<Span>)> = None;
        for begin in (0..end).rev() {
            let Some(span) = allowed(&spots[begin..end]) else { continue };
            let time = best[begin].0 + costs.span(span);
            if least.is_none_or(|(before, ..)| time < before) {
                least = Some((time, begin, Some(span)));
            }
        }
        // One alone is always allowed.
        best.push(least.unwrap_or((Duration::MAX, end - 1, None)));
    }
    let mut runs = Vec::new();
    let mut end = spots.len();
    while let Some((_, begin, Some(span))) = best.get(end).copied().filter(|_| end > 0) {
        runs.push((span, &spots[begin..end]));
        end = begin;
    }
    runs.reverse();
    runs
}

#[cfg(test)]
mod tests;
