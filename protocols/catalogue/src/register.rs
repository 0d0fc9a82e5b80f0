//! One value that a meter holds.

use crate::axes::{Axis, wild, with_place};
use crate::block::Layout;
use crate::layout::Spec;
use crate::row::{Form, Row};
use crate::{
    Access, Bit, Block, Catalogue, Edition, Identifier, Item, LayoutFault, Location, Quantity, Standard,
    Unit, bits,
};
use dlt645::Di;
use dlt645::format::{DoesNotFit, Format, NoValue, Value, Word};
use std::fmt;

/// A value that a meter holds (示数): a row of the table with its axes filled in. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Register {
    pub(crate) row: &'static Row,
    pub(crate) id: Identifier,
    /// Which of those that one reply to the DI holds.
    pub(crate) item: u8,
    pub(crate) table: &'static Catalogue,
}

impl Register {
    /// By what it is asked for.
    pub const fn id(&self) -> Identifier {
        self.id
    }

    /// The data identifier to ask for, of a register of DL/T 645.
    pub const fn di(&self) -> Option<Di> {
        self.id.di()
    }

    /// A byte of the data identifier, DI0 by 0; 0 where there is none.
    pub fn di_byte(&self, n: usize) -> u8 {
        self.di().map_or(0, |di| di.byte(n))
    }

    /// How it is read of a Modbus meter, where it is of one.
    pub fn location(&self) -> Option<&'static Location> {
        self.row.location()
    }

    /// What it is of.
    pub const fn standard(&self) -> Standard {
        self.id.standard()
    }

    /// The table that it was found in: the standard's, or that of a profile.
    pub const fn table(&self) -> &'static Catalogue {
        self.table
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
        self.spec().map_or(self.row.quantity, |spec| spec.quantity)
    }

    /// Its unit.
    pub fn unit(&self) -> Option<Unit> {
        self.spec().map_or(self.row.unit, |spec| spec.unit)
    }

    /// How its octets are read; [`Format::Composite`] of a record and of octets without a documented layout.
    pub fn format(&self) -> Format {
        self.table.as_sent(self.spec().map_or(self.row.format, |spec| spec.format))
    }

    /// How many octets it has on the wire: of a record those of the standard, 0 where no length is documented.
    pub fn octets(&self) -> usize {
        self.spec().map_or(self.row.octets, |spec| spec.octets)
    }

    /// The field of a record that it is.
    fn spec(&self) -> Option<&'static Spec> {
        match &self.row.form {
            Form::FieldOf(layout) => {
                let number = self.number(Axis::Field)?;
                layout.specs.get(usize::from(number).checked_sub(1)?)
            }
            Form::Plain | Form::Record(_) | Form::Load(_) | Form::Raw | Form::Modbus(_) => None,
        }
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

    /// Place in a list, where it is of one: the n-th holiday, table, price.
    pub fn place(&self) -> Option<u8> {
        self.number(Axis::Number)
    }

    /// Whether it is the present value, not one of the past: of a settlement day, a frozen state, a record.
    pub fn is_present(&self) -> bool {
        self.back().is_none()
    }

    /// What counts it backwards in time, and how far; none for what is present.
    pub(crate) fn back(&self) -> Option<(Axis, u8)> {
        let of_reply = self.row.items.as_ref().map(|(axis, values)| (*axis, values.byte(self.item.into())));
        let of_di = self.di().into_iter().flat_map(|di| self.row.all_numbers(di));
        let mut all = of_reply.into_iter().chain(of_di);
        all.find(|(axis, number)| Axis::BACK.contains(axis) && *number != 0)
    }

    /// Which record of an event it is, 1 the newest.
    pub fn record_back(&self) -> Option<u8> {
        self.number(Axis::Record)
    }

    /// What a value of it says, where it is a bit word.
    pub fn bits(&self, word: Word) -> impl Iterator<Item = Bit> + use<> {
        bits::said(&self.row.bits, self.number(Axis::Number), word)
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

    /// Decodes the octets of a reply to its DI (after -33H), by the register's format. Of a reply with several
    /// registers, as a frozen energy with its tariffs, it takes its own.
    ///
    /// The length must be the register's, or another that is documented of some meters. Meters with currents of 2 or 4
    /// octets are told of, but none is documented: a guess at the place of the point would be a wrong value that looks
    /// right.
    ///
    /// # Errors
    /// As [`Format::decode`]; a length that is not the register's is [`NoValue::Implausible`], and so is any octet of a
    /// record, which has [fields](Register::fields).
    pub fn decode(&self, octets: &[u8]) -> Result<Value, NoValue> {
        const LENGTH: NoValue = NoValue::Implausible("a length that does not fit the register");
        if self.location().is_some() {
            return self.decode_own(octets);
        }
        let own = match &self.row.items {
            None if octets.len() == self.octets() || self.row.lengths.contains(&octets.len()) => octets,
            None => return Err(LENGTH),
            Some((_, values)) => {
                let each = self.octets();
                if !octets.len().is_multiple_of(each) || !(1..=values.len()).contains(&(octets.len() / each))
                {
                    return Err(LENGTH);
                }
                let fewer = NoValue::Implausible("the meter sent fewer tariffs than this one's number");
                octets.chunks_exact(each).nth(usize::from(self.item)).ok_or(fewer)?
            }
        };
        self.decode_own(own)
    }

    /// The registers of a reply to its DI, where one reply has several.
    pub(crate) fn in_one_reply<'a>(
        &self,
        octets: &'a [u8],
    ) -> Option<Result<impl Iterator<Item = Item<'a>> + use<'a>, LayoutFault>> {
        let (_, values) = self.row.items.as_ref()?;
        let each = self.octets();
        let count = octets.len() / each;
        if !octets.len().is_multiple_of(each) || !(1..=values.len()).contains(&count) {
            return Some(Err(LayoutFault { id: self.id, got: octets.len(), each }));
        }
        let first = *self;
        let item = move |(n, octets)| Item { register: Self { item: n as u8, ..first }, octets };
        Some(Ok(octets.chunks_exact(each).enumerate().map(item)))
    }

    /// Appends its octets (before +33H), as a meter would send them: of several registers in one reply, its own.
    ///
    /// # Errors
    /// As [`Format::encode`]; `out` is then as it was. A record has no value that could be encoded.
    pub fn encode(&self, value: Value, out: &mut Vec<u8>) -> Result<(), DoesNotFit> {
        if self.location().is_some() {
            out.extend(self.encode_words(value)?.iter().flat_map(|word| word.to_be_bytes()));
            return Ok(());
        }
        let start = out.len();
        out.resize(start + self.octets(), 0);
        self.format().encode(value, &mut out[start..]).inspect_err(|_| out.truncate(start))
    }

    /// The blocks that hold it, nearest first: with its neighbours, the tariffs of its settlement day, the phases, the
    /// harmonics of its phase, its list, then the settlement days of its tariff, the records of its event.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        const NEAREST: [Axis; 6] =
            [Axis::Tariff, Axis::Phase, Axis::Harmonic, Axis::Number, Axis::Settlement, Axis::Record];
        let Self { row, id, table, .. } = *self;
        let at = move |n| id.di().map(|di| with_place(di, n, wild(di.edition())));
        let joined = at(0).filter(|_| row.joined).map(|di| Block { layout: Layout::Joined, di, table });
        let along = NEAREST.into_iter().filter(|axis| row.blocks.contains(axis)).filter_map(move |axis| {
            let (n, _) = row.axis(axis)?;
            Some(Block { layout: Layout::Along(row, axis), di: at(n)?, table })
        });
        joined.into_iter().chain(along).filter(move |block| table.has_block(row, block.di))
    }

    /// Decodes the octets of this register alone.
    pub(crate) fn decode_own(&self, octets: &[u8]) -> Result<Value, NoValue> {
        if self.location().is_some() {
            return self.decode_words(&Self::words(octets), 0);
        }
        if self.is_filled(octets) {
            return Err(NoValue::Missing);
        }
        self.format().decode(octets)
    }

    /// Meters of 1997 write BB over what they do not have.
    fn is_filled(&self, octets: &[u8]) -> bool {
        self.row.standard.is(dlt645::Edition::E1997) && self.is_bcd() && octets.iter().all(|&o| o == 0xBB)
    }

    /// Whether no octet of it can have a nibble above 9, so that AA and BB say something else.
    pub(crate) fn is_bcd(&self) -> bool {
        match self.row.format {
            Format::Number { .. }
            | Format::Demand { .. }
            | Format::Date
            | Format::Time
            | Format::DateTime
            | Format::Minute
            | Format::Second
            | Format::YearlyMinute
            | Format::YearlyDay
            | Format::MonthlyHour
            | Format::DailyMinute
            | Format::Period
            | Format::Zone
            | Format::Holiday
            | Format::Digits => true,
            Format::Text
            | Format::TextAsTyped
            | Format::Bits
            | Format::Hex
            | Format::Binary
            | Format::Composite => false,
        }
    }

    pub(crate) fn number(&self, axis: Axis) -> Option<u8> {
        match &self.row.items {
            Some((own, values)) if *own == axis => Some(values.byte(self.item.into())),
            Some(_) | None => self.row.number(axis, self.id),
        }
    }
}

impl PartialEq for Register {
    fn eq(&self, other: &Self) -> bool {
        // Two profiles can have one identifier, each for a register of its own.
        std::ptr::eq(self.row, other.row) && self.id == other.id && self.item == other.item
    }
}
impl Eq for Register {}
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({} {})", self.id, self.name())
    }
}

struct Name(Register);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.row.stem)?;
        for axis in Axis::ALL {
            match (axis, self.0.number(axis).unwrap_or(0)) {
                (_, 0) => {}
                (Axis::Field, _) => write!(f, "_{}", self.0.spec().map_or("", |spec| &spec.name))?,
                (
                    Axis::Harmonic
                    | Axis::Number
                    | Axis::Phase
                    | Axis::Tariff
                    | Axis::Settlement
                    | Axis::Month
                    | Axis::Day
                    | Axis::Hour
                    | Axis::Timed
                    | Axis::Instant
                    | Axis::Record,
                    n,
                ) => write!(f, "_{}{n}", axis.word())?,
            }
        }
        Ok(())
    }
}

struct NameZh(Register);

impl fmt::Display for NameZh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.back() {
            Some((Axis::Settlement, n)) => write!(f, "上{n}结算日")?,
            Some((Axis::Month, n)) => write!(f, "上{n}月")?,
            Some((_, n)) => write!(f, "上{n}次")?,
            None if self.0.row.counts(Axis::Month) => f.write_str("本月")?,
            None => {}
        }
        self.0.row.zh.chinese(f, |axis| self.0.number(axis))?;
        self.0.spec().map_or(Ok(()), |spec| f.write_str(&spec.zh))
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
