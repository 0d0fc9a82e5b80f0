//! Registers of one virtual Modbus meter and their words.

use super::super::meter::VirtualMeter;
use super::measured::{Named, Ratios};
use super::{FixedWords, ModbusSettings};
use catalogue::Location;
use jiff::Timestamp;
use modbus::{Format, Span, Type};
use rust_decimal::Decimal;

/// One register of a meter.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) span: Span,
    /// It is answered where it alone is asked for, and is no register where others are asked for with it.
    pub(super) alone: bool,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Fixed(Vec<u16>),
    Refused,
    Measured { name: Named, location: &'static Location, exponent: i32 },
}

/// The registers of a meter with its map, each with what stands in it; the probe's among them.
pub(super) fn cells(settings: &ModbusSettings) -> Vec<Cell> {
    let probe = settings.own_map().and_then(|map| Some((map.probe, map.format.words(*map.values.first()?))));
    let of_map = |location: &Location| location.map.is_none_or(|map| usize::from(map) == settings.map);
    let registers = || {
        let all = settings.profile.catalogue().registers();
        all.filter_map(|register| Some((register, register.location().filter(|own| of_map(own))?)))
    };
    // A scenario's words for a power of ten are taken; else it is 0.
    let exponent = |name: &str| {
        let (register, location) = registers().find(|(register, _)| register.name().to_string() == name)?;
        let Some(FixedWords::Words(words)) = settings.fixed.get(&location.span) else { return None };
        i32::try_from(register.decode_words(words, 0).ok()?.number()?).ok()
    };
    let exponents: Vec<&str> = registers().filter_map(|(_, own)| own.exponent.as_deref()).collect();
    let own = registers().map(|(register, location)| {
        let known = probe.as_ref().filter(|(span, _)| *span == location.span).map(|(_, words)| words);
        let name = register.name().to_string();
        let content = match (settings.fixed.get(&location.span), known) {
            (Some(FixedWords::Words(words)), _) | (None, Some(words)) => Content::Fixed(words.clone()),
            (Some(FixedWords::Refused), _) => Content::Refused,
            (None, None) if exponents.contains(&&*name) => Content::Fixed(location.format.words(0)),
            (None, None) => Content::Measured {
                name: Named::of(&name, register.quantity(), location.primary),
                location,
                exponent: location.exponent.as_deref().and_then(exponent).unwrap_or(0),
            },
        };
        Cell { span: location.span, alone: location.alone, content }
    });
    let mut cells: Vec<Cell> = own.collect();
    // Registers that no row has: of the probe, and those that a scenario gives.
    let probed = probe.iter().map(|(span, words)| (*span, FixedWords::Words(words.clone())));
    let given = settings.fixed.iter().map(|(span, fixed)| (*span, fixed.clone()));
    for (span, fixed) in given.chain(probed) {
        if !cells.iter().any(|cell| cell.span == span) {
            let content = match fixed {
                FixedWords::Words(words) => Content::Fixed(words),
                FixedWords::Refused => Content::Refused,
            };
            cells.push(Cell { span, alone: false, content });
        }
    }
    cells
}

impl Cell {
    /// Its words; `None` where it is refused.
    pub(super) fn words(&self, house: &VirtualMeter, ratios: Ratios, now: Timestamp) -> Option<Vec<u16>> {
        let mut words = match &self.content {
            Content::Fixed(words) => words.clone(),
            Content::Refused => return None,
            Content::Measured { name, location, exponent } => {
                let format = &location.format;
                match (format.kind, name.value(house, ratios, now)) {
                    (Type::Text { .. }, _) => text(format, &house.settings().address.to_string()),
                    (_, Some(value)) => number(format, value, *exponent),
                    (_, None) => format.words(format.missing.first().copied().unwrap_or(0)),
                }
            }
        };
        // A scenario may give another number of words than the register has.
        words.resize(usize::from(self.span.count), 0);
        Some(words)
    }
}

/// The words of a value; of one below zero where the register has no sign those of its amount, as meters do.
fn number(format: &Format, value: Decimal, exponent: i32) -> Vec<u16> {
    if let Type::Bits { .. } = format.kind {
        return format.words(u64::try_from(value).unwrap_or(0));
    }
    let mut value = value;
    for _ in 0..exponent.unsigned_abs().min(28) {
        value = if exponent > 0 { value / Decimal::TEN } else { value * Decimal::TEN };
    }
    let amount = |_| format.encode(value.abs());
    format.encode(value).or_else(amount).unwrap_or_else(|_| format.words(0))
}

/// The words of a text, of a long one its end.
fn text(format: &Format, text: &str) -> Vec<u16> {
    let room = usize::from(format.kind.words()) * 2;
    let end = text.get(text.len().saturating_sub(room)..).unwrap_or_default();
    format.encode_text(end).unwrap_or_else(|_| format.words(0))
}
