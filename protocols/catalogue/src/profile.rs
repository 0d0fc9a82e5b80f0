//! Profiles (表型): what one meter model or family has beside its standard, one TOML file each.
//!
//! A profile's registers are rows as those of a table, read and checked by the same reader. It is looked up
//! through a [`Catalogue`] of its own, which holds them and behind them the standard's. Built-in profiles and
//! files of a user go through the same loader. It opens no file.

mod head;
mod modbus;
mod modbus_test;
mod read;
mod test;

use crate::{Catalogue, Manner, Standard, Summary, TableFaults};
use std::fmt;
use std::sync::OnceLock;

/// What one meter model or family has beside its standard (表型).
pub struct Profile {
    name: String,
    standard: Standard,
    model: String,
    source: String,
    notes: Option<String>,
    catalogue: Catalogue,
    tests: Vec<Test>,
}

/// A frame of a profile and what it says.
enum Test {
    Dlt645(test::Test),
    Modbus(modbus_test::Test),
}

/// A name that no built-in profile has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no profile is called {asked}{}", match .nearest {
    Some(nearest) => format!("; did you mean {nearest}?"),
    None => format!("; write the path of a .toml file, or one of: {}", known()),
})]
pub struct UnknownProfile {
    /// What was asked for.
    pub asked: String,
    /// The nearest known name.
    pub nearest: Option<&'static str>,
}

/// Read when it is first asked for.
struct BuiltIn {
    name: &'static str,
    text: &'static str,
    profile: OnceLock<Profile>,
}

fn built_in() -> &'static [BuiltIn] {
    static ALL: OnceLock<Box<[BuiltIn]>> = OnceLock::new();
    ALL.get_or_init(|| {
        let all = dlt645::tables::PROFILES.iter().chain(::modbus::tables::PROFILES);
        all.map(|&(name, text)| BuiltIn { name, text, profile: OnceLock::new() }).collect()
    })
}

fn known() -> String {
    built_in().iter().map(|own| own.name).collect::<Vec<_>>().join(", ")
}

impl BuiltIn {
    fn get(&'static self) -> &'static Profile {
        self.profile.get_or_init(|| {
            // A test reads the built-in profiles, so this cannot fail in a build that passed it.
            match Profile::read(self.name, &format!("{}.toml", self.name), self.text) {
                Ok(profile) => profile,
                Err(faults) => panic!("the built-in profile {} is faulty: {faults}", self.name),
            }
        })
    }
}

/// Its name: all of its tables would bury what it stands in.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.name)
    }
}

impl Profile {
    /// The built-in profiles, by name.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        built_in().iter().map(BuiltIn::get)
    }

    /// The built-in profile of this name.
    ///
    /// # Errors
    /// [`UnknownProfile`] with the nearest known name, or all.
    pub fn named(name: &str) -> Result<&'static Self, UnknownProfile> {
        let asked = name.trim();
        if let Some(found) = built_in().iter().find(|own| own.name == asked) {
            return Ok(found.get());
        }
        let near = built_in().iter().map(|own| (strsim::osa_distance(asked, own.name), own.name));
        let bound = (asked.chars().count() / 3).max(1);
        let nearest = near.filter(|(distance, _)| *distance <= bound).min().map(|(_, name)| name);
        Err(UnknownProfile { asked: asked.to_owned(), nearest })
    }

    /// Reads a profile: TOML, its keys explained in `protocols/README.md`. `file` is its name in faults.
    ///
    /// Registers point into their catalogue, so a profile that is read at start is leaked to be looked up.
    ///
    /// # Errors
    /// [`TableFaults`] with all that is wrong, by line and key.
    pub fn read(name: &str, file: &str, text: &str) -> Result<Self, TableFaults> {
        read::profile(name, file, text)
    }

    /// What it is called by: of a built-in one the name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its meters speak.
    pub const fn standard(&self) -> Standard {
        self.standard
    }

    /// How its meters want to be asked, where it says it; every profile of Modbus does.
    pub const fn manner(&self) -> Option<&Manner> {
        self.catalogue.manner()
    }

    /// What stands on the front of the meters, or what the family is called.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Where it is from, in a sentence.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What else there is to know of these meters.
    pub fn notes(&self) -> Option<&str> {
        self.notes.as_deref()
    }

    /// Its registers, and behind them those of the standard.
    pub fn catalogue(&'static self) -> &'static Catalogue {
        &self.catalogue
    }

    /// Its own rows alone, found as [`Catalogue::search`] finds them.
    pub fn search(&'static self, text: &str) -> impl Iterator<Item = Summary> + use<> {
        self.catalogue.search_rows(0..self.catalogue.own, text)
    }

    /// Frames with the readings that are expected of them.
    pub fn tests(&self) -> usize {
        self.tests.len()
    }

    /// Decodes the frames of its tests.
    ///
    /// # Errors
    /// [`TableFaults`] with every reading that is not what the test expects.
    pub fn run_tests(&'static self) -> Result<(), TableFaults> {
        let run = |test: &'static Test| match test {
            Test::Dlt645(test) => test.run(&self.catalogue),
            Test::Modbus(test) => test.run(&self.catalogue),
        };
        let faults: Vec<_> = self.tests.iter().flat_map(run).collect();
        if faults.is_empty() { Ok(()) } else { Err(TableFaults(faults)) }
    }
}
