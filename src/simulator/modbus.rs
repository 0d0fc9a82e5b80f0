//! A virtual Modbus meter of a profile: which registers it has, and what it answers at a given time.
//!
//! Where its registers are and how their words are made is the profile's; what they measure is what a DL/T 645 meter
//! of the same house would measure, or what a scenario fixed. It has no state at all, and nothing can be written to it.

mod cell;
mod hearing;
mod measured;

pub(super) use hearing::{Hearing, Silence};

use super::line::Said;
use super::meter::{MeterSettings, VirtualMeter};
use catalogue::{Map, Profile};
use cell::Cell;
use dlt645::Address;
use jiff::Timestamp;
use measured::Ratios;
use modbus::rtu::{Reply, Request};
use modbus::{Exception, Function, Span, UnitId};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Everything that makes one virtual Modbus meter differ from another.
#[derive(Clone, Debug)]
pub struct ModbusSettings {
    /// Its address on the line (从站地址).
    pub unit: UnitId,
    /// Which model it is; of Modbus.
    pub profile: &'static Profile,
    /// Which of the profile's maps it has, by its place; of no use where the profile has none.
    pub map: usize,
    /// The ratio of its current transformers that it is set to.
    pub ct: Decimal,
    /// The ratio of its voltage transformers that it is set to.
    pub pt: Decimal,
    /// What it answers whatever it measures, by registers.
    pub fixed: BTreeMap<Span, FixedWords>,
    /// What it measures, its clock, its rate and when it answers, as a DL/T 645 meter; what only such a meter has is
    /// of no use here.
    pub meter: MeterSettings,
}

/// Registers that a scenario fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FixedWords {
    /// These words.
    Words(Vec<u16>),
    /// Illegal data address (02) for whatever reaches over them.
    Refused,
}

impl ModbusSettings {
    /// A meter of this model as it comes from the works: three-phase where the model is, without transformers.
    pub fn new(unit: UnitId, profile: &'static Profile) -> Self {
        // Twelve digits have room for any unit.
        let address = unit.to_string().parse().unwrap_or(Address::BROADCAST);
        let mut meter = MeterSettings::household(address);
        if profile.catalogue().by_name("voltage_l2").is_some() {
            meter.phases = super::Phases::Three;
        }
        Self { unit, profile, map: 0, ct: Decimal::ONE, pt: Decimal::ONE, fixed: BTreeMap::new(), meter }
    }

    /// The map that it has, where the profile has several.
    fn own_map(&self) -> Option<&'static Map> {
        self.profile.manner()?.maps.get(self.map)
    }
}

/// One Modbus meter of a virtual line. The same seed, settings and time give the same words.
#[derive(Clone, Debug)]
pub struct ModbusMeter {
    settings: ModbusSettings,
    house: VirtualMeter,
    cells: Vec<Cell>,
}

impl ModbusMeter {
    /// Makes a meter; its house depends on the seed and the unit, not on its place on the line.
    pub fn new(settings: ModbusSettings, seed: u64) -> Self {
        let house = VirtualMeter::new(settings.meter.clone(), seed);
        let cells = cell::cells(&settings);
        Self { settings, house, cells }
    }

    /// What it was made with.
    pub fn settings(&self) -> &ModbusSettings {
        &self.settings
    }

    /// Whether it has power; without it hears and says nothing.
    pub fn has_power(&self, now: Timestamp) -> bool {
        self.house.has_power(now)
    }

    /// The words that it answers to a read of `span` at `now`.
    ///
    /// # Errors
    /// The exception that it answers instead.
    pub fn read(&self, span: Span, now: Timestamp) -> Result<Vec<u16>, Exception> {
        let manner = self.settings.profile.manner();
        let (most, align, gaps) = manner.map_or((MOST, 1, true), |own| (own.most, own.align, own.gaps));
        if span.count == 0 || span.count > most.min(MOST) {
            return Err(Exception::IllegalDataValue);
        }
        let lacks = Exception::IllegalDataAddress;
        if span.end() > 0x1_0000 || !span.address.is_multiple_of(align.max(1)) {
            return Err(lacks);
        }
        let ratios = Ratios { ct: self.settings.ct, pt: self.settings.pt };
        if let Some(alone) = self.cells.iter().find(|cell| cell.alone && cell.span == span) {
            return alone.words(&self.house, ratios, now).ok_or(lacks);
        }
        let own = || self.cells.iter().filter(|cell| !cell.alone && cell.span.function == span.function);
        let first = own().map(|cell| cell.span.address).min().ok_or(lacks)?;
        let last = own().map(|cell| cell.span.end()).max().ok_or(lacks)?;
        let (start, end) = (u32::from(span.address), span.end());
        if start < u32::from(first) || end > last || self.is_of_another_map(span) {
            return Err(lacks);
        }
        let mut words = vec![None; usize::from(span.count)];
        for cell in own().filter(|cell| u32::from(cell.span.address) < end && cell.span.end() > start) {
            let had = cell.words(&self.house, ratios, now).ok_or(lacks)?;
            for (address, word) in (u32::from(cell.span.address)..).zip(had) {
                let place = address.checked_sub(start).and_then(|at| words.get_mut(at as usize));
                if let Some(place) = place {
                    *place = Some(word);
                }
            }
        }
        if !gaps && words.contains(&None) {
            return Err(lacks);
        }
        Ok(words.into_iter().map(|word| word.unwrap_or(0)).collect())
    }

    /// Whether it reaches over registers that meters with another map of the profile have, and this one has not.
    fn is_of_another_map(&self, span: Span) -> bool {
        let meets = |other: Span| {
            other.function == span.function
                && u32::from(other.address) < span.end()
                && other.end() > u32::from(span.address)
        };
        let has = |other: Span| self.cells.iter().any(|cell| cell.span == other);
        let rows = self.settings.profile.catalogue().registers().filter_map(|register| register.location());
        let others = rows.filter(|row| row.map.is_some_and(|map| usize::from(map) != self.settings.map));
        others.map(|row| row.span).any(|other| meets(other) && !has(other))
    }

    /// What it answers to a request that is to it, and what that is.
    pub(super) fn answer(&self, request: &Request, now: Timestamp) -> (Reply, Said) {
        let unit = self.settings.unit.get();
        let read = match (request.span(), Function::of(request.function())) {
            (Some(span), _) => self.read(span, now).map(|words| (span, words)),
            // An address and a count is all that a read has.
            (None, Some(_)) => Err(Exception::IllegalDataValue),
            (None, None) => Err(Exception::IllegalFunction),
        };
        match read {
            Ok((span, words)) => {
                (Reply::registers(unit, span.function, &words), Said::Registers { span, words })
            }
            Err(exception) => (
                Reply::refusal(unit, request.function(), exception),
                Said::Exception { span: request.span(), exception },
            ),
        }
    }

    /// Whether more than one register of the profile is asked for.
    pub(super) fn is_block(&self, span: Span) -> bool {
        self.cells.iter().filter(|cell| !cell.alone && span.contains(&cell.span)).count() > 1
    }
}

/// Registers that one answer has room for (Modbus application protocol 1.1b3, section 6.3).
const MOST: u16 = 125;

#[cfg(test)]
mod tests;
