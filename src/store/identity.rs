//! Who carries what: names as small numbers, and sets of registers as octets.

use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::sync::Arc;

/// Names that stand in the file as numbers. There are as many as the configurations ever had, which is
/// why all of them are kept in memory.
#[derive(Debug)]
pub(super) struct Names {
    insert: &'static str,
    ids: HashMap<String, u32>,
}

impl Names {
    /// Names of meter points and tasks.
    pub(super) fn points(connection: &Connection) -> rusqlite::Result<Self> {
        Self::load(connection, "SELECT text, id FROM name", "INSERT INTO name (id, text) VALUES (?1, ?2)")
    }

    /// Names of registers.
    fn registers(connection: &Connection) -> rusqlite::Result<Self> {
        Self::load(
            connection,
            "SELECT text, id FROM register",
            "INSERT INTO register (id, text) VALUES (?1, ?2)",
        )
    }

    fn load(connection: &Connection, select: &str, insert: &'static str) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(select)?;
        let ids = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(Self { insert, ids })
    }

    /// The number of a name, given to it now if it has none. After a rollback this value is stale.
    pub(super) fn intern(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<u32> {
        if let Some(id) = self.ids.get(text) {
            return Ok(*id);
        }
        let id = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        connection.prepare_cached(self.insert)?.execute(params![id, text])?;
        self.ids.insert(text.to_owned(), id);
        Ok(id)
    }

    /// The number of a name, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }
}

/// Lists of names that are remembered with their sets; fleets have few.
const LISTS: usize = 64;

/// Registers by name, and the sets of the lists that messages share.
#[derive(Debug)]
pub(super) struct Sets {
    names: Names,
    lists: Vec<(Arc<[String]>, Registers)>,
}

impl Sets {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self { names: Names::registers(connection)?, lists: Vec::new() })
    }

    /// The set of these names. After a rollback this value is stale, as that of [`Names::intern`].
    pub(super) fn of(
        &mut self,
        connection: &Connection,
        list: &Arc<[String]>,
    ) -> rusqlite::Result<&Registers> {
        let known = self.lists.iter().position(|(of, _)| Arc::ptr_eq(of, list));
        let place = match known {
            Some(place) => place,
            None => {
                let mut set = Registers::default();
                for name in list.iter() {
                    set.insert(self.names.intern(connection, name)?);
                }
                if self.lists.len() == LISTS {
                    self.lists.clear();
                }
                self.lists.push((Arc::clone(list), set));
                self.lists.len() - 1
            }
        };
        Ok(&self.lists[place].1)
    }

    /// The number of a register, if it has one.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.names.find(name)
    }
}

/// A set of registers by their numbers: bit n of octet n ÷ 8, without zero octets at the end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Registers(Vec<u8>);

impl Registers {
    pub(super) fn insert(&mut self, id: u32) {
        let (octet, bit) = place(id);
        if self.0.len() <= octet {
            self.0.resize(octet + 1, 0);
        }
        self.0[octet] |= bit;
    }

    /// Takes out what is in `other`, a set as it stands in the file.
    pub(super) fn remove(&mut self, other: &[u8]) {
        for (mine, theirs) in self.0.iter_mut().zip(other) {
            *mine &= !theirs;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it stands in the file.
    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Whether a set, as it stands in the file, has the register.
    pub(super) fn has(octets: &[u8], id: u32) -> bool {
        let (octet, bit) = place(id);
        octets.get(octet).is_some_and(|octet| octet & bit != 0)
    }
}

const fn place(id: u32) -> (usize, u8) {
    ((id / 8) as usize, 1 << (id % 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_registers_is_a_set(
            mine in prop::collection::btree_set(0_u32..100, 0..40),
            theirs in prop::collection::btree_set(0_u32..100, 0..40),
        ) {
            let make = |ids: &BTreeSet<u32>| {
                let mut set = Registers::default();
                ids.iter().for_each(|id| set.insert(*id));
                set
            };
            let left: BTreeSet<u32> = mine.difference(&theirs).copied().collect();
            let mut set = make(&mine);
            set.remove(make(&theirs).octets());
            prop_assert_eq!(&set, &make(&left));
            prop_assert_eq!(set.is_empty(), left.is_empty());
            prop_assert!((0..110).all(|id| Registers::has(set.octets(), id) == left.contains(&id)));
        }
    }
}
