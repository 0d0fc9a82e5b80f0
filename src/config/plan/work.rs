//! What is read when, of which meters.

use super::{Dialect, Name};
use crate::config::when::When;
use crate::event::Broadcast;
use catalogue::Register;
use jiff::civil::Time;

/// `[[task]]`.
#[derive(Clone, Debug)]
pub struct Task {
    /// Last level of the data topic.
    pub name: Name,
    /// When.
    pub when: When,
    /// What kind of value.
    pub read: Read,
    /// Of several tasks at once the lower number goes first, 1 to 9.
    pub priority: u8,
    /// From when to when on a day it may run; at any time without it. It may go over midnight.
    pub window: Option<(Time, Time)>,
    /// Days that are fetched later by itself from what meters keep (补抄).
    pub backfill: u8,
    /// What it broadcasts to all meters of its lines.
    pub broadcast: Option<Broadcast>,
    /// Which registers.
    pub registers: Registers,
    /// Indices of meters, ascending.
    pub meters: Vec<usize>,
}

/// The registers of a task by what its meters speak, in the order they were written, each once.
///
/// What a dialect does not have is left out of its list: meters of several can stand in one task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    /// One list for each dialect of the task's meters; few.
    lists: Vec<(Dialect, Vec<Register>)>,
}

/// What a task reads.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Present registers, now (实时).
    Live,
    /// What meters froze at midnight (日冻结).
    DailyFreeze,
    /// What meters froze at the begin of a month (月冻结).
    Month,
    /// What meters recorded at each slot (负荷曲线).
    LoadProfile,
    /// Event records (事件记录), now.
    Events,
    /// How far the meters' clocks are off, now.
    Clock,
    /// What is written in the meter and changes seldom (铭牌, 参数), now.
    Nameplate,
}

impl Read {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Live,
        Self::DailyFreeze,
        Self::Month,
        Self::LoadProfile,
        Self::Events,
        Self::Clock,
        Self::Nameplate,
    ];

    /// The word of the configuration and of payloads.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::DailyFreeze => "daily-freeze",
            Self::Month => "month",
            Self::LoadProfile => "load-profile",
            Self::Events => "events",
            Self::Clock => "clock",
            Self::Nameplate => "nameplate",
        }
    }

    /// Whether meters keep it, so that a slot that was missed can be read later.
    pub const fn is_kept(self) -> bool {
        match self {
            Self::DailyFreeze | Self::Month | Self::LoadProfile => true,
            Self::Live | Self::Events | Self::Clock | Self::Nameplate => false,
        }
    }

    /// What is read where no registers are written; nothing where they must be.
    pub const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Live | Self::Events => &[],
            Self::DailyFreeze | Self::Month => {
                &["active_energy_import", "active_energy_import_t*", "active_energy_export"]
            }
            Self::LoadProfile => &["active_energy_import", "active_energy_export"],
            Self::Clock => &["clock_date", "clock_time"],
            Self::Nameplate => &["communication_address"],
        }
    }
}

impl Registers {
    /// Those of meters that speak so.
    pub fn of(&self, dialect: Dialect) -> &[Register] {
        let own = self.lists.iter().find(|(own, _)| *own == dialect);
        own.map_or(&[], |(_, registers)| registers)
    }

    /// Every dialect that has registers here.
    pub fn dialects(&self) -> impl Iterator<Item = Dialect> {
        self.lists.iter().map(|(dialect, _)| *dialect)
    }

    /// Adds those that are not there yet.
    pub(in crate::config) fn add(&mut self, dialect: Dialect, registers: Vec<Register>) {
        let place = self.lists.iter().position(|(own, _)| *own == dialect);
        let place = place.unwrap_or_else(|| {
            self.lists.push((dialect, Vec::new()));
            self.lists.len() - 1
        });
        let Some((_, own)) = self.lists.get_mut(place) else { return };
        for register in registers {
            if !own.contains(&register) {
                own.push(register);
            }
        }
    }
}
