//! All registers of one table, and the look-up by DI.

use crate::axes::{Axis, Cell, place, wild, with_place};
use crate::layout::Layout;
use crate::row::Row;
use crate::table;
use crate::{Block, Identifier, Manner, Register, Standard, TableFaults, TextOrder};
use dlt645::Di;
use dlt645::format::Format;
use std::sync::{Arc, LazyLock};

/// All registers of one edition of the standard, read from its table once; or of a meter's profile, which
/// has its own registers before them.
#[derive(Debug)]
pub struct Catalogue {
    pub(crate) rows: Vec<Arc<Row>>,
    /// How many of them, the first ones, are a profile's.
    pub(crate) own: usize,
    /// How the meters of a profile want to be asked.
    manner: Option<Manner>,
    /// Rows of the standard of which the profile has some identifiers instead.
    met: Vec<Arc<Row>>,
    /// What the fields of records can follow.
    pub(crate) layouts: Vec<Arc<Layout>>,
    /// Which rows a DI can be of, by its two high places; ascending, a row once for each value of the second.
    heads: Vec<(u16, usize)>,
    /// The items of blocks over several rows: the block's DI, the item's DI and its row; ascending.
    joined: Vec<(Di, Di, usize)>,
}

/// A table's file name, for faults, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// As it is printed in faults.
    pub file: &'a str,
    /// CSV.
    pub text: &'a str,
}

/// All that a catalogue is read from.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// The registers.
    pub registers: Text<'a>,
    /// The fields of the records among them.
    pub layouts: Option<Text<'a>>,
    /// The names of the bits of the words among them.
    pub bits: Option<Text<'a>>,
}

/// What a data identifier stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// One register.
    Register(Register),
    /// Several.
    Block(Block),
}

impl Catalogue {
    /// DL/T 645-2007.
    pub fn dlt645_2007() -> &'static Self {
        static TABLE: LazyLock<Catalogue> = LazyLock::new(|| {
            // A test reads the built-in table, so this cannot fail in a build that passed it.
            let tables = Tables {
                registers: Text { file: "2007.csv", text: dlt645::tables::REGISTERS_2007 },
                layouts: Some(Text { file: "layouts-2007.csv", text: dlt645::tables::LAYOUTS_2007 }),
                bits: Some(Text { file: "bits-2007.csv", text: dlt645::tables::BITS_2007 }),
            };
            match Catalogue::read_tables(tables) {
                Ok(catalogue) => catalogue,
                Err(faults) => panic!("the built-in table of registers is faulty: {faults}"),
            }
        });
        &TABLE
    }

    /// DL/T 645-1997.
    pub fn dlt645_1997() -> &'static Self {
        static TABLE: LazyLock<Catalogue> = LazyLock::new(|| {
            // As above.
            match Catalogue::read("1997.csv", dlt645::tables::REGISTERS_1997) {
                Ok(catalogue) => catalogue,
                Err(faults) => panic!("the built-in table of registers is faulty: {faults}"),
            }
        });
        &TABLE
    }

    /// The registers of an edition of the standard.
    pub fn of(edition: dlt645::Edition) -> &'static Self {
        match edition {
            dlt645::Edition::E1997 => Self::dlt645_1997(),
            dlt645::Edition::E2007 => Self::dlt645_2007(),
        }
    }

    /// The registers of a profile of Modbus, which has no standard's behind them.
    pub(crate) fn of_modbus(rows: Vec<Row>, manner: Manner) -> Self {
        let own = rows.len();
        Self {
            own,
            manner: Some(manner),
            ..Self::of_rows(rows.into_iter().map(Arc::new).collect(), Vec::new())
        }
    }

    /// The registers that every meter of a standard can have: of Modbus none, whose models have each its own.
    pub fn of_standard(standard: Standard) -> &'static Self {
        static NONE: LazyLock<Catalogue> =
            LazyLock::new(|| Catalogue::of_modbus(Vec::new(), Manner::default()));
        standard.edition().map_or_else(|| &*NONE, Self::of)
    }

    /// Reads a table: CSV, its columns explained in `protocols/README.md`. `file` is its name in faults.
    ///
    /// Registers point into their catalogue, so a table that is read at start is leaked to be looked up.
    ///
    /// # Errors
    /// [`TableFaults`] with all that is wrong, by line and column.
    pub fn read(file: &str, text: &str) -> Result<Self, TableFaults> {
        Self::read_tables(Tables { registers: Text { file, text }, layouts: None, bits: None })
    }

    /// Reads a table together with the layouts of its records and the names of its bits.
    ///
    /// # Errors
    /// As [`Catalogue::read`], of all three.
    pub fn read_tables(tables: Tables<'_>) -> Result<Self, TableFaults> {
        let (rows, layouts) = table::rows(tables)?;
        Ok(Self::of_rows(rows.into_iter().map(Arc::new).collect(), layouts))
    }

    /// The standard's registers behind those of a profile, which win where both have an identifier.
    pub(crate) fn with_own(own: Vec<Row>, manner: Option<Manner>, standard: &Self) -> Self {
        let is_left = |row: &&Arc<Row>| !own.iter().any(|own| own.covers(row));
        let left: Vec<_> = standard.rows.iter().filter(is_left).map(Arc::clone).collect();
        let met = left.iter().filter(|row| own.iter().any(|own| own.meets(row))).map(Arc::clone).collect();
        // A block over several rows is cut wrongly if one of its items is another than the table says.
        let is_gone = |di: Di| own.iter().any(|row| row.holds(di) && !row.joined);
        let gone = standard.joined.iter().filter(|(_, item, _)| is_gone(*item));
        let gone: Vec<Di> = gone.map(|(block, ..)| *block).collect();
        let count = own.len();
        let rows = own.into_iter().map(Arc::new).chain(left).collect();
        let mut table = Self { own: count, manner, met, ..Self::of_rows(rows, standard.layouts.clone()) };
        let own = &table.rows[..count];
        // What the profile has instead is there once.
        let is_hidden = |item: Di, row: usize| row >= count && own.iter().any(|own| own.holds(item));
        table.joined.retain(|&(block, item, row)| !gone.contains(&block) && !is_hidden(item, row));
        table
    }

    fn of_rows(rows: Vec<Arc<Row>>, layouts: Vec<Arc<Layout>>) -> Self {
        let mut heads = Vec::new();
        let mut joined = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let (Some(edition), [.., second, class]) = (row.standard.edition(), &*row.cells) else {
                continue;
            };
            for class in (0..class.len()).map(|n| class.byte(n)) {
                let wild = matches!(second, Cell::Over(axis, _) if row.blocks.contains(axis))
                    .then_some(wild(edition));
                for second in (0..second.len()).map(|n| second.byte(n)).chain(wild) {
                    heads.push((u16::from_be_bytes([class, second]), number));
                }
            }
            let own = row.dis().filter(|_| row.joined);
            joined.extend(own.map(|di| (with_place(di, 0, wild(edition)), di, number)));
        }
        heads.sort_unstable();
        joined.sort_unstable();
        Self { rows, own: 0, manner: None, met: Vec::new(), layouts, heads, joined }
    }

    /// Whether the row's block of this DI holds what the table says: not if a profile has one of the
    /// registers, or the block's DI, for something else.
    pub(crate) fn has_block(&self, row: &Row, di: Di) -> bool {
        let is = |own: &Arc<Row>| std::ptr::eq(&**own, row);
        let own = &self.rows[..self.own];
        own.iter().any(is)
            || (!self.met.iter().any(is)
                && !own.iter().any(|own| own.holds(di))
                && (!row.joined || self.joined.binary_search_by_key(&di, |&(block, ..)| block).is_ok()))
    }

    /// The registers of one of its rows, without those that a profile has for something else.
    pub(crate) fn registers_of(&'static self, row: &'static Row) -> impl Iterator<Item = Register> + use<> {
        row.registers(self).filter(self.is_left_of(row))
    }

    /// Of those that are present or so far back.
    pub(crate) fn registers_at(
        &'static self,
        row: &'static Row,
        back: Option<(Axis, u8)>,
    ) -> impl Iterator<Item = Register> + use<> {
        row.registers_at(self, back).filter(self.is_left_of(row))
    }

    /// Whether no row of the profile has the identifier of a register of this row instead.
    fn is_left_of(&'static self, row: &'static Row) -> impl FnMut(&Register) -> bool + use<> {
        let met = self.met.iter().any(|own| std::ptr::eq(&**own, row));
        let own = &self.rows[..if met { self.own } else { 0 }];
        move |register| !register.di().is_some_and(|di| own.iter().any(|own| own.holds(di)))
    }

    /// What a data identifier stands for; cheap, allocates nothing.
    pub fn by_di(&'static self, di: Di) -> Option<Entry> {
        let head = u16::from_be_bytes([place(di, 3), place(di, 2)]);
        let first = self.heads.partition_point(|&(own, _)| own < head);
        let near = self.heads[first..].iter().take_while(|&&(own, _)| own == head);
        let rows =
            near.filter_map(|&(_, row)| self.rows.get(row)).filter(|row| row.standard.is(di.edition()));
        rows.into_iter().find_map(|row| row.entry(self, di))
    }

    /// How the meters want to be asked, where their profile says it; every one of Modbus does.
    pub const fn manner(&self) -> Option<&Manner> {
        self.manner.as_ref()
    }

    /// How its meters send what the tables have in this format.
    pub(crate) fn as_sent(&self, format: Format) -> Format {
        let order = self.manner.as_ref().map_or(TextOrder::Reversed, |manner| manner.text_order);
        if order == TextOrder::AsTyped && format == Format::Text { Format::TextAsTyped } else { format }
    }

    /// What an identifier stands for: of a Modbus meter one register, and never several.
    pub fn by_id(&'static self, id: Identifier) -> Option<Entry> {
        match id {
            Identifier::Di(di) => self.by_di(di),
            Identifier::Modbus(_) => {
                self.registers().find(|register| register.id() == id).map(Entry::Register)
            }
        }
    }

    /// Every register with every value of its axes, in the order of the table.
    pub fn registers(&'static self) -> impl Iterator<Item = Register> {
        self.rows.iter().flat_map(move |row| self.registers_of(row))
    }

    /// The n-th item of a block over several rows.
    pub(crate) fn joined(&'static self, block: Di, n: usize) -> Option<Register> {
        let first = self.joined.partition_point(|&(own, ..)| own < block);
        let &(own, di, row) = self.joined.get(first + n)?;
        let row = self.rows.get(row).filter(|_| own == block)?;
        Some(Register { row, id: di.into(), item: 0, table: self })
    }
}
