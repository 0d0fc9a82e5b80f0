//! Which class of load records holds a register, what a meter is set to record, and what an answer costs.

use super::common::{CLASSES, FROM, interval_setting, load_record};
use catalogue::{Catalogue, Register};
use dlt645::Di;
use dlt645::format::{Date, Time, Value};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What is known of a setting of the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting<T> {
    /// Nobody asked.
    #[default]
    Unasked,
    /// The meter was asked and does not tell.
    Untold,
    /// This is what it is set to.
    Is(T),
}

/// What a meter is set to record. It is asked for once and given back to be passed in the next time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// The classes that are recorded (04000901): bit 0 is class 1.
    pub recorded: Setting<u8>,
    /// Minutes between the records of classes 1 to 6 (04000A02 to 04000A07).
    pub intervals: [Setting<u16>; CLASSES as usize],
}

/// Load record mode word (负荷记录模式字).
const MODE_WORD: Di = Di::new(0x0400_0901);
/// Octets of a request and of the frame around an answer, with the wake-up octets and the DI of each.
const FRAME: usize = 40;
/// Octets of records that one frame carries.
const IN_ONE_FRAME: usize = 195;
/// Octets of a record around its groups: head, length, time, six AA, sum, end.
const AROUND: usize = 16;

impl Settings {
    /// The next setting that these classes need to be known.
    pub(super) fn unasked(&self, classes: impl IntoIterator<Item = u8>) -> Option<Di> {
        match self.recorded {
            Setting::Unasked => Some(MODE_WORD),
            // Who does not tell which classes there are is asked for the records themselves.
            Setting::Untold => None,
            Setting::Is(_) => classes
                .into_iter()
                .filter(|class| self.records(*class) != Some(false))
                .find(|class| self.interval_of(*class) == Setting::Unasked)
                .and_then(interval_setting)
                .and_then(|setting| setting.di()),
        }
    }

    /// Takes the value of a setting; `None` where the meter does not tell.
    pub(super) fn learn(&mut self, di: Di, value: Option<Value>) {
        if di == MODE_WORD {
            let word = value.and_then(|value| value.bits()).map(|word| word.bits(0, CLASSES - 1));
            self.recorded = word.map_or(Setting::Untold, Setting::Is);
            return;
        }
        let own = (1..)
            .zip(&mut self.intervals)
            .find(|(class, _)| interval_setting(*class).is_some_and(|setting| setting.di() == Some(di)));
        if let Some((_, interval)) = own {
            let minutes =
                value.and_then(|value| value.number()).and_then(|minutes| u16::try_from(minutes).ok());
            *interval = minutes.map_or(Setting::Untold, Setting::Is);
        }
    }

    /// Whether it records this class; `None` where that is not known.
    pub(super) fn records(&self, class: u8) -> Option<bool> {
        match self.recorded {
            Setting::Is(word) => Some(class.checked_sub(1).is_some_and(|bit| word >> bit & 1 == 1)),
            Setting::Unasked | Setting::Untold => None,
        }
    }

    /// Whether it says that it records nothing at all.
    pub(super) fn records_nothing(&self) -> bool {
        self.recorded == Setting::Is(0)
    }

    /// Minutes between the records of a class, where they are known.
    pub(super) fn interval(&self, class: u8) -> Option<u16> {
        match self.interval_of(class) {
            Setting::Is(minutes) if minutes > 0 => Some(minutes),
            Setting::Is(_) | Setting::Unasked | Setting::Untold => None,
        }
    }

    fn interval_of(&self, class: u8) -> Setting<u16> {
        let place = class.checked_sub(1).map(usize::from);
        place.and_then(|place| self.intervals.get(place)).copied().unwrap_or(Setting::Untold)
    }
}

/// One class, or all six of them, and what is wanted of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Class {
    /// 1 to 6; 0 for all.
    pub(super) number: u8,
    /// The plain registers that are wanted.
    pub(super) wanted: Vec<Register>,
    /// Octets of one of its records.
    pub(super) octets: usize,
}

/// What the catalogue says of a record of one class.
struct Of {
    /// Of its fields, in their order.
    names: Vec<String>,
    /// Of one record.
    octets: usize,
}

/// The records of all classes, 1 first: made once, since each visit asks.
fn records() -> &'static [Of] {
    static RECORDS: LazyLock<Vec<Of>> = LazyLock::new(|| {
        let at = (Date { year: 0, month: 1, day: 1 }, Time { hour: 0, minute: 0, second: None });
        let of = |number| {
            let (mut names, mut octets) = (Vec::new(), Vec::new());
            let name = |name: &str| {
                names.push(name.to_owned());
                None
            };
            let record = load_record(0, FROM)?;
            record.encode_load_record(at, |class| class == number, name, &mut octets).ok()?;
            Some(Of { names, octets: octets.len() })
        };
        // A class without a layout holds nothing.
        (1..=CLASSES).map(|number| of(number).unwrap_or(Of { names: Vec::new(), octets: 0 })).collect()
    });
    &RECORDS
}

/// The classes that hold these registers by the layouts of the catalogue, and the registers that none holds.
pub(super) fn classes(wanted: &[Register]) -> (Vec<Class>, Vec<Register>) {
    let mut rest: Vec<(Register, String)> =
        wanted.iter().map(|register| (*register, register.name().to_string())).collect();
    let mut found = Vec::new();
    for (number, Of { names, octets }) in (1..).zip(records()) {
        let (own, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(register, name)| register.is_present() && names.contains(name));
        rest = others;
        if !own.is_empty() {
            let wanted = own.into_iter().map(|(register, _)| register).collect();
            found.push(Class { number, wanted, octets: *octets });
        }
    }
    (found, rest.into_iter().map(|(register, _)| register).collect())
}

/// All classes at once where `records` of them are fewer octets so than class by class.
pub(super) fn joined(classes: Vec<Class>, settings: &Settings, records: usize) -> Vec<Class> {
    let intervals = || classes.iter().map(|class| settings.interval(class.number));
    let same = intervals().all(|interval| Some(interval) == intervals().next());
    if classes.len() < 2 || !same {
        return classes;
    }
    let singly: usize = classes.iter().map(|class| cost(class.octets, records)).sum();
    let octets =
        AROUND + (1..=CLASSES).filter(|n| settings.records(*n) != Some(false)).map(group).sum::<usize>();
    if cost(octets, records) >= singly {
        return classes;
    }
    vec![Class { number: 0, wanted: classes.into_iter().flat_map(|class| class.wanted).collect(), octets }]
}

/// Octets of the group of a class.
fn group(number: u8) -> usize {
    let of = usize::from(number).checked_sub(1).and_then(|place| records().get(place));
    of.map_or(0, |of| of.octets.saturating_sub(AROUND))
}

/// Octets that so many records of this length take, with the frames around them.
pub(super) const fn cost(octets: usize, records: usize) -> usize {
    let data = octets * records;
    let frames = data.div_ceil(IN_ONE_FRAME);
    data + if frames == 0 { FRAME } else { frames * FRAME }
}

/// Where the hourly freeze (整点冻结) keeps a plain register: the DI of its newest; `None` where it does not.
pub(super) fn hourly(plain: &Register) -> Option<Di> {
    let frozen = || Catalogue::dlt645_2007().by_name(&format!("{}_hour1", plain.name()));
    plain.is_present().then(frozen)?.and_then(|register| register.di())
}
