//! Fields of records.

use crate::layout::{Layout, Nth, Piece, Spec};
use crate::row::Form;
use crate::{Bit, Catalogue, LayoutFault, Quantity, Register, Unit, bits};
use dlt645::format::load::{self, Fault};
use dlt645::format::{Date, Format, NoValue, Time, Value};
use std::fmt;
use std::sync::Arc;

/// One value of a record: of an event, of a frozen state, of a table, of a load record.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    spec: &'static Spec,
    nth: Nth,
    /// How its octets are read.
    pub format: Format,
    /// Its unit.
    pub unit: Option<Unit>,
    /// Its octets after -33H.
    pub octets: &'a [u8],
    /// What it holds.
    pub value: Result<Value, NoValue>,
    /// The instant of the load record that it is of; other records have theirs as fields.
    pub at: Option<(Date, Time)>,
    /// What speaks against its record.
    pub doubt: Option<&'static str>,
}

impl<'a> Field<'a> {
    /// `table` is that of the meter which sent it.
    pub(crate) fn new(piece: &Piece<'a>, table: &Catalogue) -> Self {
        let Piece { spec, nth, octets } = *piece;
        let (format, unit) = (table.as_sent(spec.format), spec.unit);
        Self { spec, nth, format, unit, octets, value: format.decode(octets), at: None, doubt: None }
    }

    /// Its name within the record, e.g. `voltage_l1`, `period_3`; by `Display`, without allocation.
    pub fn name(&self) -> impl fmt::Display + use<> {
        Name { text: &self.spec.name, nth: self.nth }
    }

    /// In Chinese.
    pub fn name_zh(&self) -> impl fmt::Display + use<> {
        NameZh { text: &self.spec.zh, nth: self.nth }
    }

    /// What it measures.
    pub fn quantity(&self) -> Quantity {
        self.spec.quantity
    }

    /// What its bits say, where it is a bit word.
    pub fn bits(&self) -> impl Iterator<Item = Bit> + use<> {
        let word = self.value.ok().and_then(|value| value.bits());
        let specs: &'static [bits::BitSpec] = &self.spec.bits;
        word.into_iter().flat_map(move |word| bits::said(specs, None, word))
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({} {:?})", self.name(), self.value)
    }
}

struct Name {
    text: &'static str,
    nth: Nth,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, self.nth)
    }
}

struct NameZh {
    text: &'static str,
    nth: Nth,
}

impl fmt::Display for NameZh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nth {
            Nth::Only => f.write_str(self.text),
            Nth::Of(n) => write!(f, "第{n}{}", self.text),
            Nth::Tariff(0) => write!(f, "{}(总)", self.text),
            Nth::Tariff(n) => write!(f, "{}(费率{n})", self.text),
        }
    }
}

/// A load record, or what is none, with its octets.
pub(crate) type LoadRecord<'a> = Result<(load::Record<'a>, Vec<Field<'a>>), (Fault, &'a [u8])>;

/// The records of a reply of class 06, each with the fields of the groups that it has.
pub(crate) fn load_records<'a>(
    table: &'static Catalogue,
    layouts: &'static [Arc<Layout>],
    class: u8,
    octets: &'a [u8],
) -> impl Iterator<Item = LoadRecord<'a>> {
    load::records(class, octets).map(move |record| {
        let record = record?;
        let mut fields = Vec::new();
        for (layout, group) in layouts.iter().zip(record.groups) {
            if group.is_empty() {
                continue;
            }
            let pieces = layout.cut(group).ok_or((Fault::NoRecord, record.octets))?;
            fields.extend(pieces.iter().map(|piece| Field {
                at: record.at.ok(),
                doubt: (!record.sum_fits).then_some("the checksum inside the load record is wrong"),
                ..Field::new(piece, table)
            }));
        }
        Ok((record, fields))
    })
}

impl Register {
    /// The fields of a record in wire order; none of a register that is no record.
    ///
    /// Of load records (class 06) all fields of all records that came, each with the instant of its record; blocks
    /// that the meter calls bad are left out here, [`Catalogue::decode`](crate::Catalogue::decode) shows them.
    ///
    /// # Errors
    /// [`LayoutFault`] if the octets fit no layout that is documented for the record.
    pub fn fields<'a>(
        &self,
        octets: &'a [u8],
    ) -> Result<impl Iterator<Item = Field<'a>> + use<'a>, LayoutFault> {
        self.field_list(octets).map(Vec::into_iter)
    }

    /// The fields of a record as a meter sent it, or why it has none.
    ///
    /// # Errors
    /// [`NoValue::Unset`] for an event record of zeros and for no load record at all: it never happened.
    /// [`NoValue::Missing`] for FF fill, where FF is no value of its fields. [`NoValue::Implausible`] for octets that
    /// fit no layout that is documented for the record, and of a register that is none.
    pub fn record<'a>(&self, octets: &'a [u8]) -> Result<Vec<Field<'a>>, NoValue> {
        const LENGTH: NoValue = NoValue::Implausible("a length that does not fit the register");
        let all = |octet| !octets.is_empty() && octets.iter().all(|&o| o == octet);
        match &self.row.form {
            Form::Plain | Form::Raw | Form::FieldOf(_) | Form::Modbus(_) => {
                Err(NoValue::Implausible("no record"))
            }
            Form::Load(_) if octets.is_empty() => Err(NoValue::Unset),
            Form::Load(_) => {
                self.field_list(octets).or(Err(NoValue::Implausible("octets that are no load record")))
            }
            Form::Record(_) if self.record_back().is_some() && all(0) => Err(NoValue::Unset),
            Form::Record(_) if self.record_back().is_some() && all(0xFF) => Err(NoValue::Missing),
            Form::Record(_) => {
                let fields = self.field_list(octets).or(Err(LENGTH))?;
                let missing = |field: &Field<'_>| field.value == Err(NoValue::Missing);
                if all(0xFF) && fields.iter().any(missing) { Err(NoValue::Missing) } else { Ok(fields) }
            }
        }
    }

    pub(crate) fn field_list<'a>(&self, octets: &'a [u8]) -> Result<Vec<Field<'a>>, LayoutFault> {
        let fault = LayoutFault { id: self.id(), got: octets.len(), each: self.octets() };
        match &self.row.form {
            Form::Plain | Form::Raw | Form::FieldOf(_) | Form::Modbus(_) => Ok(Vec::new()),
            Form::Record(layouts) => {
                let pieces = layouts.iter().find_map(|layout| layout.cut(octets)).ok_or(fault)?;
                Ok(pieces.iter().map(|piece| Field::new(piece, self.table)).collect())
            }
            Form::Load(layouts) => {
                let mut fields = Vec::new();
                for record in load_records(self.table, layouts, self.load_class(), octets) {
                    match record {
                        Ok((_, own)) => fields.extend(own),
                        Err((Fault::BadBlock, _)) => {}
                        Err((Fault::NoRecord, _)) => return Err(fault),
                    }
                }
                Ok(fields)
            }
        }
    }

    /// Whether it is a record: several values by one DI, which [`Register::fields`] cuts.
    pub fn is_record(&self) -> bool {
        match &self.row.form {
            Form::Plain | Form::Raw | Form::FieldOf(_) | Form::Modbus(_) => false,
            Form::Record(_) | Form::Load(_) => true,
        }
    }

    /// The class that a load record is of: DI2.
    pub(crate) fn load_class(&self) -> u8 {
        self.di().map_or(0, |di| di.byte(2))
    }

    /// Whether it is a load record (负荷记录), which is asked for with a count and an instant.
    pub fn is_load_record(&self) -> bool {
        matches!(self.row.form, Form::Load(_))
    }
}
