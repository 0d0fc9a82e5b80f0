//! What the broker was given, against what the meters hold: each slot that was due is delivered as it is held, or announced
//! as a gap that nobody could read.

use crate::fleet::OnBus;
use crate::held::{Held, Kept, STANDS_IN, Task, digits, has, has_power, held};
use crate::nights::Nights;
use jiff::{SignedDuration, Timestamp};
use meterd::mqtt::payload::{Body, EventJson, EventMessage, GapJson, ReadingJson, compose};
use meterd::reading::{Quality, Source};
use meterd::store::Pending;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// When a task runs for a slot.
const RUN: SignedDuration = SignedDuration::from_mins(5);

/// A task, the place of its meter in the fleet, and a slot.
pub(crate) type Of = (Task, usize, Timestamp);

/// Everything that was delivered so far.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    fleet: &'a [OnBus],
    places: HashMap<&'a str, usize>,
    nights: &'a Nights,
    /// The slots of the month.
    due: (Timestamp, Timestamp),
    /// Numbers, with a hash of what came under them.
    seen: HashMap<u64, u64>,
    read: BTreeMap<Of, Read>,
    gaps: HashMap<Of, usize>,
    wrong: Vec<String>,
}

/// What came of a slot.
#[derive(Clone, Debug, Default)]
struct Read {
    registers: HashSet<String>,
    backfilled: bool,
}

/// The sum of a month.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Account {
    pub(crate) planned: usize,
    pub(crate) delivered: usize,
    pub(crate) backfilled: usize,
    pub(crate) announced: usize,
    /// Slots of which nothing is known, or not all that the meter holds.
    pub(crate) lost: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { planned, delivered, backfilled, announced, lost, wrong } = self;
        write!(
            f,
            "slots: {planned} planned, {delivered} delivered, {backfilled} of them backfilled, {announced} announced, \
             {} lost, {} wrong",
            lost.len(),
            wrong.len()
        )
    }
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(fleet: &'a [OnBus], nights: &'a Nights, due: (Timestamp, Timestamp)) -> Self {
        let places = fleet.iter().enumerate().map(|(n, of)| (of.name.as_str(), n)).collect();
        let (seen, read, gaps) = (HashMap::new(), BTreeMap::new(), HashMap::new());
        Self { fleet, places, nights, due, seen, read, gaps, wrong: Vec::new() }
    }

    /// A message that the broker signs for.
    pub(crate) fn take(&mut self, pending: &Pending) {
        let Pending { seq, topic, body, .. } = pending;
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(before) = self.seen.insert(*seq, hash) {
            if before != hash {
                self.wrong.push(format!("seq {seq} came with two bodies"));
            }
            return;
        }
        if topic.contains("/data/") {
            let body: Body = serde_json::from_str(&format!("{{{body}")).unwrap();
            self.data(*seq, &body);
        } else if topic.ends_with("/event/gap") {
            let message = EventMessage::parse(&compose("", *seq, body)).unwrap();
            let EventJson::Gap(gap) = message.body.event else { panic!("{topic}: {body}") };
            self.gap(&message.body.meter.unwrap(), &gap);
        }
    }

    pub(crate) fn data(&mut self, seq: u64, body: &Body) {
        if body.readings.is_empty() {
            return;
        }
        let (Some(of), Ok(slot)) = (self.of(&body.task, &body.meter), body.slot.parse::<Timestamp>()) else {
            self.wrong.push(format!("seq {seq} is of no task, meter or slot: {body:?}"));
            return;
        };
        let (task, meter) = of;
        let mut wrong = Vec::new();
        if !task.is_slot(slot) {
            wrong.push("no slot of the task".to_owned());
        }
        let day = (task != Task::Profile).then(|| day_closed(slot));
        if body.day != day {
            wrong.push(format!("day {:?} in place of {day:?}", body.day));
        }
        match held(&self.fleet[meter], task, slot) {
            Held::Kept(kept) => self.as_kept(meter, body, &kept, &mut wrong),
            Held::Present => self.as_present(meter, slot, body, &mut wrong),
            Held::Nothing => wrong.push("invented: no meter held it".to_owned()),
        }
        for taken in body.readings.iter().map(taken_at) {
            if !body.backfilled && taken >= task.next_slot(slot) + RUN {
                wrong.push(format!("read at {taken} and not called backfilled"));
            }
        }
        let read = self.read.entry((task, meter, slot)).or_default();
        read.backfilled |= body.backfilled;
        for reading in &body.readings {
            if !read.registers.insert(reading.register.clone()) {
                wrong.push(format!("{} is doubled", reading.register));
            }
        }
        let name = &self.fleet[meter].name;
        let said = |why: String| format!("seq {seq}, {} of {name} at {slot}: {why}", task.name());
        self.wrong.extend(wrong.into_iter().map(said));
    }

    fn as_kept(&self, meter: usize, body: &Body, kept: &Kept, wrong: &mut Vec<String>) {
        let stamp = kept.stamp.map(|at| at.strftime("%Y-%m-%dT%H:%M").to_string());
        if (body.source, &body.meter_time) != (kept.source, &stamp) {
            wrong.push(format!("from {:?} of {:?} in place of {kept:?}", body.source, body.meter_time));
        }
        for reading in &body.readings {
            let held = digits(&self.fleet[meter], &reading.register, kept.taken);
            if value(reading) != held || !has(kept.source, &reading.register) {
                let came = value(reading);
                wrong.push(format!("{} is {came:?} in place of {held:?} ({kept:?})", reading.register));
            }
            if reading.quality != kept.quality && !is_unconfirmed(reading) {
                wrong
                    .push(format!("{:?} in place of {:?}: {:?}", reading.quality, kept.quality, reading.why));
            }
        }
    }

    /// The digits are those of an instant shortly before the answer came, which is soon enough.
    fn as_present(&self, meter: usize, slot: Timestamp, body: &Body, wrong: &mut Vec<String>) {
        if (body.source, &body.meter_time) != (Source::Present, &None) {
            wrong.push(format!("from {:?} of {:?}", body.source, body.meter_time));
        }
        for reading in &body.readings {
            let taken = taken_at(reading);
            if taken < slot || taken > slot + STANDS_IN + SignedDuration::from_mins(1) {
                wrong.push(format!("taken at {taken}, which does not stand in"));
            }
            let shown = |at| digits(&self.fleet[meter], &reading.register, at);
            // A late answer is of the question before: as long as a meter may take, and a retry.
            let mut instants = (0..=20).map(|half| taken - SignedDuration::from_millis(500 * half));
            if !instants.any(|at| value(reading) == shown(at)) {
                wrong.push(format!("{} never showed {:?}", reading.register, value(reading)));
            }
            if reading.quality != Quality::NotFrozen && !is_unconfirmed(reading) {
                wrong.push(format!("{:?} in place of NotFrozen", reading.quality));
            }
        }
    }

    pub(crate) fn gap(&mut self, meter: &str, gap: &GapJson) {
        let (Some((task, meter)), Ok(first), Ok(until)) =
            (self.of(&gap.task, meter), gap.first.parse::<Timestamp>(), gap.until.parse::<Timestamp>())
        else {
            self.wrong.push(format!("a gap of no task, meter or slot: {gap:?}"));
            return;
        };
        let mut slot = first;
        while slot < until {
            if !task.is_slot(slot) {
                self.wrong.push(format!("the gap of {slot} is no slot: {gap:?}"));
                return;
            }
            *self.gaps.entry((task, meter, slot)).or_default() += 1;
            slot = task.next_slot(slot);
        }
    }

    /// The sum, when nothing more comes.
    pub(crate) fn account(mut self) -> Account {
        let mut account = Account { wrong: std::mem::take(&mut self.wrong), ..Account::default() };
        for (of, times) in &self.gaps {
            let said = self.say(of);
            if *times > 1 {
                account.wrong.push(format!("{said} is announced {times} times as a gap"));
            }
            if self.read.get(of).is_some_and(|read| self.is_whole(of, read)) {
                account.wrong.push(format!("{said} is delivered, and announced as a gap"));
            }
            // What is older than the gateway had less than the days for fetching it.
            if of.2 >= self.due.0 && self.is_readable(of) {
                account.wrong.push(format!("{said} is announced as a gap, and the meter holds it"));
            }
        }
        for of in self.due() {
            account.planned += 1;
            let is_announced = self.gaps.contains_key(&of);
            account.announced += usize::from(is_announced);
            match self.read.get(&of) {
                Some(read) if self.is_whole(&of, read) => {
                    account.delivered += 1;
                    account.backfilled += usize::from(read.backfilled);
                }
                Some(read) => account.lost.push(format!("{}: only {read:?}", self.say(&of))),
                None if is_announced => {}
                None => account.lost.push(self.say(&of)),
            }
        }
        account
    }

    /// How many meters delivered a slot of a task whole.
    pub(crate) fn delivered(&self, task: Task, slot: Timestamp) -> usize {
        let whole = |meter: &usize| {
            let of = (task, *meter, slot);
            self.read.get(&of).is_some_and(|read| self.is_whole(&of, read))
        };
        (0..self.fleet.len()).filter(whole).count()
    }

    /// The slots that were due in the month.
    fn due(&self) -> Vec<Of> {
        let (from, to) = self.due;
        let mut all = Vec::new();
        for task in Task::ALL {
            let mut slot = task.next_slot(from - SignedDuration::from_secs(1));
            while slot < to {
                let has_task = |of: &OnBus| task != Task::Profile || !of.is_of_1997();
                let meters = self.fleet.iter().enumerate().filter(|(_, of)| has_task(of));
                all.extend(meters.map(|(meter, _)| (task, meter, slot)));
                slot = task.next_slot(slot);
            }
        }
        all
    }

    fn is_whole(&self, (task, meter, slot): &Of, read: &Read) -> bool {
        let is_held = |register: &&&str| match held(&self.fleet[*meter], *task, *slot) {
            Held::Kept(kept) => has(kept.source, register),
            Held::Present | Held::Nothing => true,
        };
        task.registers().iter().filter(is_held).all(|register| read.registers.contains(*register))
    }

    /// Whether the meter holds it, and could be asked.
    fn is_readable(&self, (task, meter, slot): &Of) -> bool {
        let of = &self.fleet[*meter];
        match held(of, *task, *slot) {
            Held::Kept(_) => true,
            Held::Nothing => false,
            Held::Present => {
                // Who was away before it may not be back at once.
                let (from, to) = (*slot - SignedDuration::from_mins(10), *slot + STANDS_IN);
                self.nights.is_open(of.bus, from, to) && has_power(of, from, to)
            }
        }
    }

    fn of(&self, task: &str, meter: &str) -> Option<(Task, usize)> {
        let task = Task::ALL.into_iter().find(|of| of.name() == task)?;
        Some((task, *self.places.get(meter)?))
    }

    fn say(&self, (task, meter, slot): &Of) -> String {
        let of = &self.fleet[*meter];
        format!("{} of {} at {slot}: {:?}", task.name(), of.name, held(of, *task, *slot))
    }
}

fn taken_at(reading: &ReadingJson) -> Timestamp {
    reading.taken_at.parse().unwrap()
}

/// On a noisy line a value that no second answer confirmed is said to be one.
fn is_unconfirmed(reading: &ReadingJson) -> bool {
    reading.quality == Quality::Suspect && reading.why.as_ref().is_some_and(|why| why.contains("noisy"))
}

fn value(reading: &ReadingJson) -> Option<String> {
    reading.value.as_ref().map(ToString::to_string)
}

/// 数据日期: the day before the midnight.
pub(crate) fn day_closed(midnight: Timestamp) -> String {
    let before = midnight - SignedDuration::from_secs(1);
    jiff::tz::offset(8).to_datetime(before).date().to_string()
}
