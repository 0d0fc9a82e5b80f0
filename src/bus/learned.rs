//! What a bus learned, as facts that outlive a restart, and back. Pure.
//!
//! Facts of a meter carry its address, since the meter of a point may be exchanged: what one was like says
//! nothing of the next.

use super::refusals::Refusals;
use super::timing::{Class, Deadlines, Turnaround};
use dlt645::Di;
use std::time::Duration;

/// Something to be kept, or to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// A meter does not have this.
    Lacks {
        /// Index of the meter.
        meter: usize,
        /// The register or block.
        di: Di,
    },
    /// A meter has it after all.
    Has {
        /// Index of the meter.
        meter: usize,
        /// The register or block.
        di: Di,
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
    /// The pause between two exchanges of the bus.
    Turnaround(Duration),
}

/// A fact's key, and its value; none where the fact is to be dropped.
pub type Fact = (String, Option<String>);

const LACKS: &str = "not_supported";
const SLOWEST: &str = "slowest_us";
const TURNAROUND: &str = "turnaround_us";

impl Learned {
    /// Whose fact it is; none where it is the bus's own.
    pub const fn meter(self) -> Option<usize> {
        match self {
            Self::Lacks { meter, .. } | Self::Has { meter, .. } | Self::Slowest { meter, .. } => Some(meter),
            Self::Turnaround(_) => None,
        }
    }

    /// Key and value; `address` is that of the meter.
    pub fn fact(self, address: &str) -> Fact {
        match self {
            Self::Lacks { di, .. } => {
                (format!("{LACKS}/{address}/{di}"), Some("no requested data".to_owned()))
            }
            Self::Has { di, .. } => (format!("{LACKS}/{address}/{di}"), None),
            Self::Slowest { class, delay, .. } => {
                (format!("{SLOWEST}/{address}/{}", class.word()), Some(delay.as_micros().to_string()))
            }
            Self::Turnaround(pause) => (TURNAROUND.to_owned(), Some(pause.as_micros().to_string())),
        }
    }

    /// A fact of the meter that has this address now; `None` for one of another meter or of no use.
    pub fn of_meter(meter: usize, address: &str, key: &str, value: &str) -> Option<Self> {
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
            _ => None,
        }
    }

    /// A fact of the bus.
    pub fn of_bus(key: &str, value: &str) -> Option<Self> {
        (key == TURNAROUND).then(|| micros(value).map(Self::Turnaround)).flatten()
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
}

impl Memory {
    /// Takes over what earlier runs learned; a pause that is set is not learned.
    pub fn of(learned: impl IntoIterator<Item = Learned>, pinned: Option<Duration>) -> Self {
        let start = pinned.map_or(Turnaround::learned_from(Turnaround::START), Turnaround::pinned);
        let mut memory =
            Self { deadlines: Deadlines::default(), turnaround: start, refusals: Refusals::default() };
        for one in learned {
            match one {
                Learned::Lacks { meter, di } => memory.refusals.recall(meter, di),
                Learned::Has { .. } => {}
                Learned::Slowest { meter, class, delay } => memory.deadlines.recall(meter, class, delay),
                Learned::Turnaround(pause) if pinned.is_none() => {
                    memory.turnaround = Turnaround::learned_from(pause);
                }
                Learned::Turnaround(_) => {}
            }
        }
        memory
    }
}

fn micros(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_as_what_was_learned() {
        let (meter, address) = (3, "000012345678");
        let ms = Duration::from_millis;
        let mut all = vec![Learned::Lacks { meter, di: Di::new(0x0203_FF00) }];
        all.extend(Class::ALL.map(|class| Learned::Slowest { meter, class, delay: ms(71) }));
        for learned in all {
            let (key, value) = learned.fact(address);
            let value = value.unwrap();
            assert_eq!(Learned::of_meter(meter, address, &key, &value), Some(learned));
            assert_eq!(Learned::of_meter(meter, "000087654321", &key, &value), None, "of another meter");
        }
        let (key, value) = Learned::Turnaround(ms(7)).fact("");
        assert_eq!(Learned::of_bus(&key, &value.unwrap()), Some(Learned::Turnaround(ms(7))));
        for (key, value) in [("", ""), ("turnaround_us", "x"), ("slowest_us/000012345678/never", "1")] {
            assert_eq!(Learned::of_bus(key, value).or(Learned::of_meter(meter, address, key, value)), None);
        }
    }

    #[test]
    fn a_pause_that_is_set_is_not_overruled_by_what_was_learned() {
        let learned = || [Learned::Turnaround(Duration::from_millis(7))];
        assert_eq!(Memory::of(learned(), None).turnaround.pause(), Duration::from_millis(7));
        assert_eq!(Memory::of(learned(), Some(Duration::ZERO)).turnaround.pause(), Duration::ZERO);
    }
}
