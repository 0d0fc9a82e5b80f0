//! A whole reply, whatever was asked for: names, values, units, as a person reads them.

use crate::field::load_records;
use crate::row::Form;
use crate::{Bit, Block, Catalogue, Entry, Field, Identifier, Item, Register, Unit};
use dlt645::format::load::Fault;
use dlt645::format::{Date, NoValue, Time, Value};

/// One register of a reply.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// What was asked for.
    pub id: Identifier,
    /// The register; `None` where the catalogue does not know the DI, or the length fits no layout of a block.
    pub name: Option<String>,
    /// In Chinese.
    pub name_zh: Option<String>,
    /// Its OBIS code, where it has one.
    pub obis: Option<String>,
    /// Its octets after -33H.
    pub octets: &'a [u8],
    /// Its value, or why it has none. `None` for a record, which has `fields`, and for octets whose layout is not known.
    pub value: Option<Result<Value, NoValue>>,
    /// Its unit.
    pub unit: Option<Unit>,
    /// When a demand occurred, a state was frozen, a load record was stored.
    pub at: Option<(Date, Time)>,
    /// What the bits of a bit word say.
    pub bits: Vec<Bit>,
    /// The fields of a record.
    pub fields: Vec<Field<'a>>,
    /// What speaks against the value.
    pub doubt: Option<&'static str>,
}

impl<'a> Decoded<'a> {
    fn raw(id: impl Into<Identifier>, octets: &'a [u8]) -> Self {
        Self {
            id: id.into(),
            name: None,
            name_zh: None,
            obis: None,
            octets,
            value: None,
            unit: None,
            at: None,
            bits: Vec::new(),
            fields: Vec::new(),
            doubt: None,
        }
    }

    fn no_value(self, why: &'static str) -> Self {
        Self { value: Some(Err(NoValue::Implausible(why))), ..self }
    }

    fn named(register: Register, octets: &'a [u8]) -> Self {
        Self {
            name: Some(register.name().to_string()),
            name_zh: Some(register.name_zh().to_string()),
            obis: register.obis().map(|code| code.to_string()),
            unit: register.unit(),
            ..Self::raw(register.id(), octets)
        }
    }

    fn plain(register: Register, octets: &'a [u8], value: Result<Value, NoValue>) -> Self {
        let at = value.ok().and_then(|value| value.at());
        let word = value.ok().and_then(|value| value.bits());
        let bits = word.into_iter().flat_map(|word| register.bits(word)).collect();
        Self { value: Some(value), at, bits, ..Self::named(register, octets) }
    }
}

impl Catalogue {
    /// Reads the octets (after DI and -33H) of a whole reply to a request for this DI.
    ///
    /// One entry for each register in wire order: the items of a block or of a frozen state, one for a record with all
    /// its fields, one for each register of each load record. An event record of all 00 has no fields, since the event
    /// never happened, nor has a record of all FF. What the catalogue does not know, or what fits no layout, is one entry with its octets.
    pub fn decode<'a>(&'static self, id: impl Into<Identifier>, octets: &'a [u8]) -> Vec<Decoded<'a>> {
        let id = id.into();
        match self.by_id(id) {
            None => vec![Decoded::raw(id, octets)],
            Some(Entry::Block(block)) => self.decode_block(block, octets),
            Some(Entry::Register(register)) => self.decode_register(register, octets),
        }
    }

    fn decode_block<'a>(&'static self, block: Block, octets: &'a [u8]) -> Vec<Decoded<'a>> {
        let Ok(items) = block.items(octets) else {
            let raw = Decoded::raw(block.di(), octets);
            return vec![raw.no_value("a length that does not fit the block")];
        };
        let items = items
            .map(|Item { register, octets }| Decoded::plain(register, octets, register.decode_own(octets)));
        let mut all: Vec<_> = items.collect();
        if let Some((di, octets)) = block.tail(octets) {
            all.extend(self.decode(di, octets));
        }
        all
    }

    fn decode_register<'a>(&'static self, register: Register, octets: &'a [u8]) -> Vec<Decoded<'a>> {
        let wrong =
            || vec![Decoded::named(register, octets).no_value("a length that does not fit the register")];
        match &register.row.form {
            Form::Raw => vec![Decoded::named(register, octets)],
            Form::Plain | Form::FieldOf(_) | Form::Modbus(_) => match register.in_one_reply(octets) {
                None => vec![Decoded::plain(register, octets, register.decode(octets))],
                Some(Err(_)) => wrong(),
                Some(Ok(items)) => items
                    .map(|Item { register, octets }| {
                        Decoded::plain(register, octets, register.decode_own(octets))
                    })
                    .collect(),
            },
            Form::Record(_) => match register.record(octets) {
                Err(why) => vec![Decoded { value: Some(Err(why)), ..Decoded::named(register, octets) }],
                Ok(fields) => {
                    let frozen = fields.first().filter(|first| first.name().to_string() == "freeze_time");
                    let at = match frozen.map(|field| field.value) {
                        Some(Ok(Value::DateTime(date, time))) => Some((date, time)),
                        Some(_) | None => None,
                    };
                    vec![Decoded { fields, at, ..Decoded::named(register, octets) }]
                }
            },
            Form::Load(layouts) => {
                let mut all = Vec::new();
                for record in load_records(self, layouts, register.load_class(), octets) {
                    match record {
                        Ok((_, fields)) => {
                            all.extend(fields.iter().map(|field| self.of_field(register, field)))
                        }
                        Err((Fault::BadBlock, octets)) => {
                            let own = Decoded::named(register, octets);
                            all.push(own.no_value("E0 E0: the meter cannot read this block of its memory"));
                        }
                        Err((Fault::NoRecord, octets)) => {
                            all.push(
                                Decoded::named(register, octets).no_value("octets that are no load record"),
                            );
                        }
                    }
                }
                all
            }
        }
    }

    /// A field of a load record is the register of its name at another instant.
    fn of_field<'a>(&'static self, register: Register, field: &Field<'a>) -> Decoded<'a> {
        let name = field.name().to_string();
        let own = self.by_name(&name);
        Decoded {
            name_zh: Some(field.name_zh().to_string()),
            obis: own.and_then(|own| own.obis().map(|code| code.to_string())),
            name: Some(name),
            value: Some(field.value),
            unit: field.unit,
            at: field.at,
            doubt: field.doubt,
            ..Decoded::raw(register.id(), field.octets)
        }
    }
}
