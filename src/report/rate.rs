//! The numbers of one task for one day, and whether they are good enough.

use crate::config::{Class, Meter, Plan, Read, Task};
use crate::store::{SlotNote, SlotState};
use catalogue::{Quantity, Register};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What meters are put together by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, clap::ValueEnum)]
pub enum By {
    /// Each meter point by itself.
    Meter,
    /// RS-485 line (总线).
    Bus,
    /// Supply area (台区).
    Area,
    /// Kind of customer (用户类别).
    Class,
}

/// So many of so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fraction {
    /// How many are.
    pub done: usize,
    /// How many should be.
    pub of: usize,
}

impl Fraction {
    /// In hundredths of a per cent, rounded down: what is short of a bar never looks like it, and 10000 is all. `None`
    /// of nothing.
    pub fn hundredths(self) -> Option<u64> {
        let (done, of) = (self.done as u128, self.of as u128);
        (done * 10_000).checked_div(of).and_then(|all| u64::try_from(all).ok())
    }

    /// Whether it is at least `per_mille`.
    pub fn meets(self, per_mille: u16) -> bool {
        self.done as u128 * 1000 >= self.of as u128 * u128::from(per_mille)
    }
}

/// In per cent with two decimals, without the sign; `-` of nothing.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hundredths() {
            Some(all) => write!(f, "{}.{:02}", all / 100, all % 100),
            None => f.write_str("-"),
        }
    }
}

/// Slots of meters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// How many were to be read (应抄).
    pub planned: usize,
    /// Of how many every register was read at the first pass.
    pub first: usize,
    /// Of how many every register is read by now.
    pub read: usize,
    /// How many the meter does not have.
    pub gone: usize,
}

impl Counts {
    /// What the first pass brought (一次采集成功率).
    pub const fn first_rate(&self) -> Fraction {
        Fraction { done: self.first, of: self.planned }
    }

    /// What is there by now (日采集成功率).
    pub const fn rate(&self) -> Fraction {
        Fraction { done: self.read, of: self.planned }
    }
}

/// Customers (户) of one kind, of whom every billing register is really read (实抄率).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Customers {
    /// The kind; `None` where the archive says none.
    pub class: Option<Class>,
    /// How many of those that are due.
    pub read: Fraction,
}

impl Customers {
    /// What is asked for, in per mille: 98 % of households, all others. None where the kind is not written.
    pub const fn bar(&self) -> Option<u16> {
        match self.class {
            Some(Class::Household) => Some(980),
            Some(Class::Other | Class::Total | Class::Key) => Some(1000),
            None => None,
        }
    }

    /// Whether it is reached.
    pub fn is_met(&self) -> Option<bool> {
        self.bar().map(|bar| self.read.meets(bar))
    }
}

/// Meters that were put together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What they have in common; `None` where the archive says nothing of it.
    pub name: Option<String>,
    /// Their slots.
    pub counts: Counts,
}

/// A meter of which something is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Meter point.
    pub meter: String,
    /// How many of its slots.
    pub slots: usize,
    /// The newest slot of which anything was ever read.
    pub last: Option<Timestamp>,
    /// How the newest of the missing slots is; `None` if nobody has asked for it yet.
    pub state: Option<SlotState>,
    /// How often that was asked for.
    pub tries: u32,
    /// Why it is missing, in a sentence.
    pub why: String,
}

/// One task of a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskRate {
    /// Its name.
    pub task: String,
    /// What it reads.
    pub read: Read,
    /// First and last slot of the day.
    pub slots: (Timestamp, Timestamp),
    /// All its slots.
    pub counts: Counts,
    /// Meters that are not due, since they are suspended (暂停), removed (暂拆) or closed (销户).
    pub not_due: usize,
    /// Seconds of the first pass, where it is over; of several the longest.
    pub seconds: Option<u64>,
    /// By kind; nothing for a task by which nothing is settled.
    pub customers: Vec<Customers>,
    /// By what was asked for.
    pub groups: Vec<Group>,
    /// By name.
    pub missing: Vec<Missing>,
}

impl TaskRate {
    /// What is asked for of a day by the morning, in per mille.
    pub const BAR: u16 = 995;

    /// All customers together.
    pub fn all_customers(&self) -> Fraction {
        self.customers.iter().fold(Fraction::default(), |sum, of| Fraction {
            done: sum.done + of.read.done,
            of: sum.of + of.read.of,
        })
    }
}

/// All tasks of a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The day (数据日期).
    pub day: Date,
    /// Its tasks.
    pub tasks: Vec<TaskRate>,
}

/// What the store knows of the slots of a task and a day, by name of the meter and slot.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Slots with at least one register, and whether all billing registers are there.
    pub(super) read: HashMap<(String, Timestamp), bool>,
    pub(super) notes: HashMap<(String, Timestamp), SlotNote>,
    pub(super) last: HashMap<String, Timestamp>,
    pub(super) seconds: Option<u64>,
}

/// What became of one slot of one meter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Became {
    First,
    Later,
    Partly,
    None,
    Gone,
}

impl Seen {
    fn of(&self, key: &(String, Timestamp)) -> Became {
        match (self.read.contains_key(key), self.notes.get(key).map(|note| note.state)) {
            (true, None) => Became::First,
            (true, Some(SlotState::Settled)) => Became::Later,
            (_, Some(SlotState::Gone)) => Became::Gone,
            (true, Some(SlotState::Open | SlotState::GivenUp)) => Became::Partly,
            (false, None | Some(SlotState::Open | SlotState::GivenUp | SlotState::Settled)) => Became::None,
        }
    }

    /// Whether all that is settled by is there.
    fn is_billed(&self, key: &(String, Timestamp), became: Became) -> bool {
        match became {
            Became::First | Became::Later => true,
            Became::Partly => self.read.get(key).is_some_and(|billed| *billed),
            Became::None | Became::Gone => false,
        }
    }
}

/// Whether a register is settled by.
pub(super) fn is_billing(register: &Register) -> bool {
    use Quantity as Of;
    matches!(register.quantity(), Of::ActiveEnergy | Of::ReactiveEnergy | Of::ApparentEnergy | Of::MaxDemand)
}

/// The numbers of a task; `slots` are those of the day, ascending and at least one.
pub(super) fn rate(
    plan: &Plan,
    task: &Task,
    (day, slots): (Date, &[Timestamp]),
    seen: &Seen,
    by: Option<By>,
) -> Option<TaskRate> {
    let own = || task.meters.iter().filter_map(|meter| plan.meters.get(*meter));
    let due: Vec<&Meter> = own().filter(|meter| meter.point.is_due(day)).collect();
    let mut counts = Counts::default();
    let mut customers = Households::default();
    let mut groups: BTreeMap<(bool, Option<String>), Counts> = BTreeMap::new();
    let mut missing = Vec::new();
    for meter in &due {
        let mut of_meter = Counts::default();
        let (mut billed, mut lacks) = (true, Vec::new());
        for slot in slots {
            let key = (meter.name.to_string(), *slot);
            let became = seen.of(&key);
            let is_read = matches!(became, Became::First | Became::Later);
            of_meter.planned += 1;
            of_meter.first += usize::from(became == Became::First);
            of_meter.read += usize::from(is_read);
            of_meter.gone += usize::from(became == Became::Gone);
            billed &= seen.is_billed(&key, became);
            if !is_read {
                lacks.push(key);
            }
        }
        missing.extend(lacks.last().map(|key| seen.missing(key, lacks.len())));
        customers.add(meter, billed);
        counts.add(of_meter);
        if let Some(by) = by {
            let name = name(plan, meter, by);
            groups.entry((name.is_none(), name)).or_default().add(of_meter);
        }
    }
    missing.sort_by(|one: &Missing, other| one.meter.cmp(&other.meter));
    let is_settled = matches!(task.read, Read::DailyFreeze | Read::Month);
    Some(TaskRate {
        task: task.name.to_string(),
        read: task.read,
        slots: (*slots.first()?, *slots.last()?),
        counts,
        not_due: own().count() - due.len(),
        seconds: seen.seconds,
        customers: if is_settled { customers.by_class() } else { Vec::new() },
        groups: groups.into_iter().map(|((_, name), counts)| Group { name, counts }).collect(),
        missing,
    })
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.planned += other.planned;
        self.first += other.first;
        self.read += other.read;
        self.gone += other.gone;
    }
}

impl Seen {
    fn missing(&self, key: &(String, Timestamp), slots: usize) -> Missing {
        let note = self.notes.get(key);
        Missing {
            meter: key.0.clone(),
            slots,
            last: self.last.get(&key.0).copied(),
            state: note.map(|note| note.state),
            tries: note.map_or(0, |note| note.tries),
            why: note.map_or("nobody has asked for it yet".to_owned(), |note| note.why.clone()),
        }
    }
}

fn name(plan: &Plan, meter: &Meter, by: By) -> Option<String> {
    match by {
        By::Meter => Some(meter.name.to_string()),
        By::Bus => plan.buses.get(meter.bus).map(|bus| bus.name.to_string()),
        By::Area => meter.point.area.clone(),
        By::Class => meter.point.class.map(|class| class.word().to_owned()),
    }
}

/// Customers with what is known of them: one number can have several meters, and a meter without one is a customer.
#[derive(Default)]
struct Households<'a> {
    numbered: BTreeMap<&'a str, (Option<Class>, bool)>,
    others: Vec<(Option<Class>, bool)>,
}

impl<'a> Households<'a> {
    fn add(&mut self, meter: &'a Meter, billed: bool) {
        let class = meter.point.class;
        let Some(number) = meter.point.customer.as_deref() else {
            self.others.push((class, billed));
            return;
        };
        let own = self.numbered.entry(number).or_insert((class, true));
        own.1 &= billed;
        // Of several kinds the one of which more is asked.
        if rank(class) > rank(own.0) {
            own.0 = class;
        }
    }

    fn by_class(&self) -> Vec<Customers> {
        let mut all: BTreeMap<u8, Customers> = BTreeMap::new();
        for (class, read) in self.numbered.values().chain(&self.others) {
            let of =
                all.entry(rank(*class)).or_insert(Customers { class: *class, read: Fraction::default() });
            of.read.of += 1;
            of.read.done += usize::from(*read);
        }
        all.into_values().collect()
    }
}

const fn rank(class: Option<Class>) -> u8 {
    match class {
        None => 0,
        Some(Class::Household) => 1,
        Some(Class::Other) => 2,
        Some(Class::Key) => 3,
        Some(Class::Total) => 4,
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
