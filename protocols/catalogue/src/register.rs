//! One value that a meter holds.

use crate::axes::{Axis, wild, with_place};
use crate::block::Layout;
use crate::row::Row;
use crate::{Access, Block, Catalogue, Edition, Quantity, Unit};
use dlt645::Di;
use dlt645::format::{DoesNotFit, Format, NoValue, Value};
use std::fmt;

/// A value that a meter holds (示数): a row of the table with its axes filled in. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Register {
    pub(crate) row: &'static Row,
    pub(crate) di: Di,
    pub(crate) table: &'static Catalogue,
}

impl Register {
    /// The identifier to ask for.
    pub fn di(&self) -> Di {
        self.di
    }

    /// The stable name, e.g. `active_energy_import_t1_s2`; by `Display`, without allocation.
    pub fn name(&self) -> impl fmt::Display + use<> {
        Name(*self)
    }

    /// The Chinese name, e.g. 上2结算日正向有功费率1电能; by `Display`, without allocation.
    pub fn name_zh(&self) -> impl fmt::Display + use<> {
        NameZh(*self)
    }

    /// The OBIS code, where there is one, e.g. `1-0:1.8.1*102`; by `Display`, without allocation.
    pub fn obis(&self) -> Option<impl fmt::Display + use<>> {
        self.row.obis.is_some().then_some(Obis(*self))
    }

    /// What it measures.
    pub fn quantity(&self) -> Quantity {
        self.row.quantity
    }

    /// Its unit.
    pub fn unit(&self) -> Option<Unit> {
        self.row.unit
    }

    /// How its octets are read.
    pub fn format(&self) -> Format {
        self.row.format
    }

    /// How many octets it has on the wire.
    pub fn octets(&self) -> usize {
        self.row.octets
    }

    /// Phase 1 to 3, where it is of one phase.
    pub fn phase(&self) -> Option<u8> {
        self.number(Axis::Phase).filter(|&n| n != 0)
    }

    /// Tariff 1 to 63, where it is of one tariff.
    pub fn tariff(&self) -> Option<u8> {
        self.number(Axis::Tariff).filter(|&n| n != 0)
    }

    /// Order of the harmonic, where it is of one; 1 is the fundamental.
    pub fn harmonic(&self) -> Option<u8> {
        self.number(Axis::Harmonic)
    }

    /// Settlement days back; 0 is the present value.
    pub fn settlement(&self) -> u8 {
        self.number(Axis::Settlement).unwrap_or(0)
    }

    /// What the standard allows with it.
    pub fn access(&self) -> Access {
        self.row.access
    }

    /// Who defined it.
    pub fn edition(&self) -> Edition {
        self.row.edition
    }

    /// The table of the standard's annex that has it, e.g. `A.1`; empty where no table has it.
    pub fn clause(&self) -> &'static str {
        &self.row.clause
    }

    /// Decodes its octets (after -33H), by the register's format.
    ///
    /// The length must be the register's. Meters with currents of 2 or 4 octets are told of, but none is documented:
    /// a guess at the place of the point would be a wrong value that looks right.
    ///
    /// # Errors
    /// As [`Format::decode`]; a length that is not the register's is [`NoValue::Implausible`].
    pub fn decode(&self, octets: &[u8]) -> Result<Value, NoValue> {
        if octets.len() != self.octets() {
            return Err(NoValue::Implausible("a length that does not fit the register"));
        }
        if self.is_filled(octets) {
            return Err(NoValue::Missing);
        }
        self.format().decode(octets)
    }

    /// Appends its octets (before +33H), as a meter would send them.
    ///
    /// # Errors
    /// As [`Format::encode`]; `out` is then as it was.
    pub fn encode(&self, value: Value, out: &mut Vec<u8>) -> Result<(), DoesNotFit> {
        let start = out.len();
        out.resize(start + self.octets(), 0);
        self.format().encode(value, &mut out[start..]).inspect_err(|_| out.truncate(start))
    }

    /// The blocks that hold it, nearest first: with its neighbours, the tariffs of its settlement day, the phases, the
    /// harmonics of its phase, its list, then the settlement days of its tariff.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        const NEAREST: [Axis; 5] =
            [Axis::Tariff, Axis::Phase, Axis::Harmonic, Axis::Number, Axis::Settlement];
        let Self { row, di, table } = *self;
        let at = move |n| with_place(di, n, wild(row.standard));
        let joined = row.joined.then(|| Block { layout: Layout::Joined, di: at(0), table });
        let along = NEAREST.into_iter().filter(|axis| row.blocks.contains(axis)).filter_map(move |axis| {
            let (n, _) = row.axis(axis)?;
            Some(Block { layout: Layout::Along(row, axis), di: at(n), table })
        });
        joined.into_iter().chain(along)
    }

    /// Meters of 1997 write BB over what they do not have.
    fn is_filled(&self, octets: &[u8]) -> bool {
        self.row.standard == dlt645::Edition::E1997 && self.is_bcd() && octets.iter().all(|&o| o == 0xBB)
    }

    /// Whether no octet of it can have a nibble above 9, so that AA and BB say something else.
    pub(crate) fn is_bcd(&self) -> bool {
        match self.row.format {
            Format::Number { .. }
            | Format::Demand { .. }
            | Format::Date
            | Format::Time
            | Format::DateTime
            | Format::Digits => true,
            Format::Bits => false,
        }
    }

    pub(crate) fn number(&self, axis: Axis) -> Option<u8> {
        self.row.number(axis, self.di)
    }
}

impl PartialEq for Register {
    fn eq(&self, other: &Self) -> bool {
        self.di == other.di
    }
}
impl Eq for Register {}
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({} {})", self.di, self.name())
    }
}

struct Name(Register);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.row.stem)?;
        for axis in Axis::ALL {
            match (axis, self.0.number(axis).unwrap_or(0)) {
                (_, 0) => {}
                (Axis::Harmonic | Axis::Number, n) => write!(f, "_{n}")?,
                (Axis::Phase, n) => write!(f, "_l{n}")?,
                (Axis::Tariff, n) => write!(f, "_t{n}")?,
                (Axis::Settlement, n) => write!(f, "_s{n}")?,
            }
        }
        Ok(())
    }
}

struct NameZh(Register);

impl fmt::Display for NameZh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.settlement() {
            0 => {}
            n => write!(f, "上{n}结算日")?,
        }
        self.0.row.zh.chinese(f, |axis| self.0.number(axis))
    }
}

struct Obis(Register);

impl fmt::Display for Obis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(obis) = &self.0.row.obis else { return Ok(()) };
        obis.numeric(f, |axis| self.0.number(axis))?;
        match self.0.settlement() {
            0 => Ok(()),
            // Historical values are 101, 102, … back: group F (IEC 62056-6-1).
            n => write!(f, "*{}", 100 + u16::from(n)),
        }
    }
}
