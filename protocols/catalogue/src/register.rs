//! Registers, blocks and their look-up.

use crate::{Quantity, Unit};
use dlt645::Di;
use dlt645::format::{Format, NoValue, Value};
use std::fmt;

/// All registers of one edition of the standard, read from its table once.
#[derive(Debug)]
pub struct Catalogue {}

/// One row of the table. It says nothing about tariff or settlement: those are of a [`Register`].
#[derive(Debug)]
pub(crate) struct Row {}

/// A value that a meter holds (示数): a row of the table with its axes filled in. Two words to copy.
#[derive(Clone, Copy)]
pub struct Register {
    row: &'static Row,
    di: Di,
}

/// A data identifier that stands for several registers (数据块): FF in DI2, DI1 or DI0.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    row: &'static Row,
    di: Di,
}

/// What a data identifier stands for.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// One register.
    Register(Register),
    /// Several.
    Block(Block),
}

/// One register of a block's reply with its octets.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Which register.
    pub register: Register,
    /// Its octets after -33H.
    pub octets: &'a [u8],
}

/// Octets whose number fits no layout of the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{got} octets do not fit the block {di}, whose items have {each}")]
pub struct LayoutFault {
    /// The block.
    pub di: Di,
    /// Octets of the reply.
    pub got: usize,
    /// Octets of one item.
    pub each: usize,
}

/// A text that names no register.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no register is called {asked}{}", .nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
pub struct Unknown {
    /// What was asked for.
    pub asked: String,
    /// The nearest known name.
    pub nearest: Option<String>,
}

impl Catalogue {
    /// DL/T 645-2007.
    pub fn dlt645_2007() -> &'static Self {
        unimplemented!()
    }

    /// What a data identifier stands for; cheap, allocates nothing.
    pub fn by_di(&'static self, _di: Di) -> Option<Entry> {
        unimplemented!()
    }

    /// Registers by name (`voltage_l1`, `_a _b _c` understood), by OBIS code (`1-0:1.8.0`, short `1.8.0`), by DI
    /// (`02030000`; a block's DI gives its usual registers), or by pattern (`active_energy_import_t*`:
    /// tariffs 1 to `tariffs`, not the total; `voltage_l*`).
    ///
    /// # Errors
    /// [`Unknown`] with the nearest known name.
    pub fn find(&'static self, _text: &str, _tariffs: u8) -> Result<Vec<Register>, Unknown> {
        unimplemented!()
    }

    /// Every register with every value of its axes.
    pub fn registers(&'static self) -> impl Iterator<Item = Register> {
        std::iter::empty()
    }
}

impl Register {
    /// The identifier to ask for.
    pub fn di(&self) -> Di {
        self.di
    }
    /// The stable name, e.g. `active_energy_import_t1_s2`; by `Display`, without allocation.
    pub fn name(&self) -> impl fmt::Display {
        let _ = self.row;
        ""
    }
    /// The Chinese name.
    pub fn name_zh(&self) -> impl fmt::Display {
        ""
    }
    /// The OBIS code, where there is one.
    pub fn obis(&self) -> Option<impl fmt::Display> {
        None::<&str>
    }
    /// What it measures.
    pub fn quantity(&self) -> Quantity {
        unimplemented!()
    }
    /// Its unit.
    pub fn unit(&self) -> Option<Unit> {
        unimplemented!()
    }
    /// How its octets are read.
    pub fn format(&self) -> Format {
        unimplemented!()
    }
    /// How many octets it has on the wire.
    pub fn octets(&self) -> usize {
        unimplemented!()
    }
    /// Phase 1 to 3, where it is of one phase.
    pub fn phase(&self) -> Option<u8> {
        unimplemented!()
    }
    /// Tariff 1 to 63, where it is of one tariff.
    pub fn tariff(&self) -> Option<u8> {
        unimplemented!()
    }
    /// Settlement days back; 0 is the present value.
    pub fn settlement(&self) -> u8 {
        unimplemented!()
    }
    /// Decodes its octets (after -33H), by the register's format; a length that is not the register's is implausible.
    ///
    /// # Errors
    /// As [`Format::decode`].
    pub fn decode(&self, _octets: &[u8]) -> Result<Value, NoValue> {
        unimplemented!()
    }
    /// The blocks that hold it, nearest first (tariffs, phases, then settlement days).
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        std::iter::empty()
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
        write!(f, "Register({})", self.di)
    }
}

impl Block {
    /// The identifier to ask for.
    pub fn di(&self) -> Di {
        self.di
    }
    /// Registers in wire order that a meter with this many tariffs answers.
    pub fn registers(&self, _tariffs: u8) -> impl Iterator<Item = Register> + use<> {
        let _ = self.row;
        std::iter::empty()
    }
    /// Cuts the reply's octets (after DI) into registers in wire order; the number of items follows from the length.
    ///
    /// # Errors
    /// [`LayoutFault`] if the length is no multiple of an item, or is of more items than the block can have.
    pub fn items<'a>(
        &self,
        _octets: &'a [u8],
    ) -> Result<impl Iterator<Item = Item<'a>> + use<'a>, LayoutFault> {
        Ok(std::iter::empty())
    }
}
