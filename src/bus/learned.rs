//! What a bus learned, as facts that outlive a restart, and back. Pure.
//!
//! Facts of a meter carry its address, since the meter of a point may be exchanged: what one was like says
//! nothing of the next.

use super::clocks::{self, Clocks};
use super::energies::Energies;
use super::habits::{Freezes, Habits, Records};
use super::refusals::Refusals;
use super::settlements::{Days, Settling};
use super::timing::{Class, Deadlines, Turnaround};
use crate::reading::plausible::Last;
use catalogue::Identifier;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// Something to be kept, or to be dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Learned {
    /// A meter does not have this.
    Lacks {
        /// Index of the meter.
        meter: usize,
        /// The register or block.
        di: Identifier,
    },
    /// A meter has it after all.
    Has {
        /// Index of the meter.
        meter: usize,
        /// The register or block.
        di: Identifier,
    },
    /// A meter's slowest answer to questions of a kind.
    Slowest {
        /// Index of the meter.
        meter: usize,
        /// The kind.
        class: Class,
        /// Until its first octet.
        delay: Duration,
    },
    /// The last values of a meter's energies, all of them.
    Energies {
        /// Index of the meter.
        meter: usize,
        /// By register, or by the block whose sum differs.
        last: Vec<(Identifier, Last)>,
    },
    /// What a meter freezes by.
    Freezes {
        /// Index of the meter.
        meter: usize,
        /// By what.
        freezes: Freezes,
    },
    /// What a meter records.
    Records {
        /// Index of the meter.
        meter: usize,
        /// What.
        records: Records,
    },
    /// What is known of a meter's clock.
    Clock {
        /// Index of the meter.
        meter: usize,
        /// What.
        kept: clocks::Kept,
    },
    /// When a meter settles; none where that is not known any more.
    Settles {
        /// Index of the meter.
        meter: usize,
        /// Its settlement days.
        days: Option<Days>,
    },
    /// The meter is the one at its point: slots have been opened for it, and what another one left there was told.
    InService {
        /// Index of the meter.
        meter: usize,
    },
    /// The pause between two exchanges of the bus.
    Turnaround(Duration),
    /// When the time was last broadcast on the bus.
    Synced(Timestamp),
    /// For which instant a freeze was last broadcast on the bus.
    Frozen(Timestamp),
}

/// A fact's key, and its value; none where the fact is to be dropped.
pub type Fact = (String, Option<String>);

const LACKS: &str = "not_supported";
const SLOWEST: &str = "slowest_us";
const LAST: &str = "last";
const ENERGIES: &str = "energies";
const TURNAROUND: &str = "turnaround_us";
const KEEPS: &str = "keeps";
const FREEZES: &str = "freezes";
const RECORDS: &str = "records";
const CLOCK: &str = "clock";
/// Its value is the address, so that a point has one of them, whoever hangs there.
const IN_SERVICE: &str = "in_service";
const SETTLEMENTS: &str = "settlement_days";
const SYNCED: &str = "synced";
const FROZEN: &str = "instant_frozen";

impl Learned {
    /// Whose fact it is; none where it is the bus's own.
    pub const fn meter(&self) -> Option<usize> {
        match self {
            Self::Lacks { meter, .. }
            | Self::Has { meter, .. }
            | Self::Slowest { meter, .. }
            | Self::Energies { meter, .. }
            | Self::Freezes { meter, .. }
            | Self::Records { meter, .. }
            | Self::Clock { meter, .. }
            | Self::Settles { meter, .. }
            | Self::InService { meter } => Some(*meter),
            Self::Turnaround(_) | Self::Synced(_) | Self::Frozen(_) => None,
        }
    }

    /// Key and value; `address` is that of the meter.
    pub fn fact(&self, address: &str) -> Fact {
        match self {
            Self::Lacks { di, .. } => {
                (format!("{LACKS}/{address}/{di}"), Some("no requested data".to_owned()))
            }
            Self::Has { di, .. } => (format!("{LACKS}/{address}/{di}"), None),
            Self::Slowest { class, delay, .. } => {
                (format!("{SLOWEST}/{address}/{}", class.word()), Some(delay.as_micros().to_string()))
            }
            Self::Energies { last, .. } => (format!("{LAST}/{address}/{ENERGIES}"), Some(texts(last))),
            Self::Freezes { freezes, .. } => {
                (format!("{KEEPS}/{address}/{FREEZES}"), serde_json::to_string(freezes).ok())
            }
            Self::Records { records, .. } => {
                (format!("{KEEPS}/{address}/{RECORDS}"), serde_json::to_string(records).ok())
            }
            Self::Clock { kept, .. } => (format!("{KEEPS}/{address}/{CLOCK}"), Some(kept.to_string())),
            Self::Settles { days, .. } => {
                (format!("{KEEPS}/{address}/{SETTLEMENTS}"), days.as_ref().map(ToString::to_string))
            }
            Self::InService { .. } => (IN_SERVICE.to_owned(), Some(address.to_owned())),
            Self::Synced(at) => (SYNCED.to_owned(), Some(at.to_string())),
            Self::Frozen(at) => (FROZEN.to_owned(), Some(at.to_string())),
            Self::Turnaround(pause) => (TURNAROUND.to_owned(), Some(pause.as_micros().to_string())),
        }
    }

    /// A fact of the meter that has this address now; `None` for one of another meter or of no use.
    pub fn of_meter(meter: usize, address: &str, key: &str, value: &str) -> Option<Self> {
        if key == IN_SERVICE {
            return (value == address).then_some(Self::InService { meter });
        }
        let mut parts = key.split('/');
        let (kind, of, what) = (parts.next()?, parts.next()?, parts.next()?);
        if of != address || parts.next().is_some() {
            return None;
        }
        match kind {
            LACKS => what.parse().ok().map(|di| Self::Lacks { meter, di }),
            SLOWEST => {
                let class = Class::ALL.into_iter().find(|class| class.word() == what)?;
                Some(Self::Slowest { meter, class, delay: micros(value)? })
            }
            LAST if what == ENERGIES => {
                Some(Self::Energies { meter, last: value.split(' ').filter_map(last_of).collect() })
            }
            KEEPS if what == FREEZES => {
                serde_json::from_str(value).ok().map(|freezes| Self::Freezes { meter, freezes })
            }
            KEEPS if what == RECORDS => {
                serde_json::from_str(value).ok().map(|records| Self::Records { meter, records })
            }
            KEEPS if what == CLOCK => value.parse().ok().map(|kept| Self::Clock { meter, kept }),
            KEEPS if what == SETTLEMENTS => {
                value.parse().ok().map(|days| Self::Settles { meter, days: Some(days) })
            }
            _ => None,
        }
    }

    /// Whether another meter than the one of this address was the last at a point, by its facts, each a key and its value.
    /// A store that does not say whose service it was knows only of whom it learned anything.
    pub fn is_exchanged<'a>(facts: impl Iterator<Item = (&'a str, &'a str)> + Clone, address: &str) -> bool {
        if let Some((_, last)) = facts.clone().find(|(key, _)| *key == IN_SERVICE) {
            return last != address;
        }
        let mut of = facts.filter_map(|(key, _)| Self::address_of(key)).peekable();
        of.peek().is_some() && of.all(|other| other != address)
    }

    /// The address of the meter that a fact is of.
    fn address_of(key: &str) -> Option<&str> {
        let mut parts = key.split('/');
        let kind = parts.next()?;
        [LACKS, SLOWEST, LAST, KEEPS].contains(&kind).then(|| parts.next()).flatten()
    }

    /// What of it holds of a meter that hangs there since then: energies that were read before are of another one.
    pub fn since(self, instant: Timestamp) -> Option<Self> {
        match self {
            Self::Energies { meter, mut last } => {
                last.retain(|(_, last)| last.at >= instant);
                (!last.is_empty()).then_some(Self::Energies { meter, last })
            }
            Self::Lacks { .. }
            | Self::Has { .. }
            | Self::Slowest { .. }
            | Self::Freezes { .. }
            | Self::Records { .. }
            | Self::Clock { .. }
            | Self::Settles { .. }
            | Self::InService { .. }
            | Self::Turnaround(_)
            | Self::Synced(_)
            | Self::Frozen(_) => Some(self),
        }
    }

    /// A fact of the bus.
    pub fn of_bus(key: &str, value: &str) -> Option<Self> {
        match key {
            TURNAROUND => micros(value).map(Self::Turnaround),
            SYNCED => value.parse().ok().map(Self::Synced),
            FROZEN => value.parse().ok().map(Self::Frozen),
            _ => None,
        }
    }
}

/// All that a bus starts with.
#[derive(Debug)]
pub struct Memory {
    /// How long to wait.
    pub deadlines: Deadlines,
    /// How long to pause.
    pub turnaround: Turnaround,
    /// What not to ask for.
    pub refusals: Refusals,
    /// What the next energies are judged by.
    pub energies: Energies,
    /// In what meters keep their values.
    pub habits: Habits,
    /// How far their clocks are off.
    pub clocks: Clocks,
    /// When they settle.
    pub settling: Settling,
    /// Meters that are kept as those at their points.
    pub in_service: BTreeSet<usize>,
    /// When the time was last broadcast.
    pub synced: Option<Timestamp>,
    /// For which instant a freeze was last broadcast.
    pub frozen: Option<Timestamp>,
}

impl Memory {
    /// Takes over what earlier runs learned; a pause that is set is not learned.
    pub fn of(learned: impl IntoIterator<Item = Learned>, pinned: Option<Duration>) -> Self {
        let start = pinned.map_or(Turnaround::learned_from(Turnaround::START), Turnaround::pinned);
        let mut memory = Self {
            deadlines: Deadlines::default(),
            turnaround: start,
            refusals: Refusals::default(),
            energies: Energies::default(),
            habits: Habits::default(),
            clocks: Clocks::default(),
            settling: Settling::default(),
            in_service: BTreeSet::new(),
            synced: None,
            frozen: None,
        };
        for one in learned {
            if let (Learned::Turnaround(pause), None) = (&one, pinned) {
                memory.turnaround = Turnaround::learned_from(*pause);
            }
            memory.recall(one);
        }
        memory
    }

    /// Takes over what an earlier run learned of a meter.
    fn recall(&mut self, learned: Learned) {
        match learned {
            Learned::Lacks { meter, di } => self.refusals.recall(meter, di),
            Learned::Slowest { meter, class, delay } => self.deadlines.recall(meter, class, delay),
            Learned::Energies { meter, last } => self.energies.recall(meter, &last),
            Learned::Freezes { meter, freezes } => self.habits.recall_freeze(meter, freezes),
            Learned::Records { meter, records } => self.habits.recall_records(meter, records),
            Learned::Clock { meter, kept } => self.clocks.recall(meter, kept),
            Learned::Synced(at) => self.synced = Some(at),
            Learned::Frozen(at) => self.frozen = Some(at),
            Learned::Settles { meter, days: Some(days) } => self.settling.recall(meter, days),
            Learned::InService { meter } => drop(self.in_service.insert(meter)),
            Learned::Has { .. } | Learned::Settles { days: None, .. } | Learned::Turnaround(_) => {}
        }
    }

    /// Meters have other indices now; what has none is forgotten. `learned` is known of those that are new here. The
    /// pause stays as it is.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize> + Copy, learned: Vec<Learned>) {
        self.deadlines.renumber(to);
        self.refusals.renumber(to);
        self.energies.renumber(to);
        self.habits.renumber(to);
        self.clocks.renumber(to);
        self.settling.renumber(to);
        self.in_service = std::mem::take(&mut self.in_service).into_iter().filter_map(to).collect();
        learned.into_iter().for_each(|one| self.recall(one));
    }
}

/// `00010000=1234567@1793491200000`: digits, and milliseconds since 1970.
fn texts(last: &[(Identifier, Last)]) -> String {
    let mut text = String::new();
    for (di, Last { digits, at }) in last {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{gap}{di}={digits}@{}", at.as_millisecond());
    }
    text
}

fn last_of(text: &str) -> Option<(Identifier, Last)> {
    let (di, rest) = text.split_once('=')?;
    let (digits, at) = rest.split_once('@')?;
    let at = Timestamp::from_millisecond(at.parse().ok()?).ok()?;
    Some((di.parse().ok()?, Last { digits: digits.parse().ok()?, at }))
}

fn micros(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
