//! What the tasks cost on the lines: exchanges and air time of a whole plan. Pure.

use super::findings::Findings;
use super::{Dialect, Meter, Plan, Read, Task, Wiring, bus, meter};
use crate::planner::{Costs, Line, RATES, plan};
use catalogue::Register;
use dlt645::Edition;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// One task on one bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskLoad {
    /// Index of the task.
    pub task: usize,
    /// Meters of it on this bus.
    pub meters: usize,
    /// Registers of one period, over all its meters here.
    pub registers: usize,
    /// Exchanges of one period.
    pub exchanges: usize,
    /// Air time of one period: octets × bits ÷ baud + response delay + turnaround, per exchange.
    pub air: Duration,
    /// Its period.
    pub every: Duration,
}

/// One bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusLoad {
    /// Index of the bus.
    pub bus: usize,
    /// Its tasks, in the plan's order.
    pub tasks: Vec<TaskLoad>,
}

/// What a line has.
const WHOLE: u64 = 1000;
/// Up to here retries and commands find room.
const WELL: u64 = 800;
/// The highest rate that DL/T 645-2007 clause 4.3 has for RS-485.
const FASTEST_METER: u32 = 19_200;

impl TaskLoad {
    /// Thousandths of the period that the line is busy, a part of one counted whole: of what a line
    /// lacks nothing is rounded away.
    pub const fn per_mille(&self) -> u64 {
        let every = self.every.as_millis() as u64;
        // No proved period is zero.
        (self.air.as_micros() as u64).div_ceil(if every == 0 { 1 } else { every })
    }
}

impl BusLoad {
    /// Thousandths of the time that the line is busy: what its tasks need, added up. Over 1000 the
    /// plan does not fit.
    pub fn per_mille(&self) -> u64 {
        self.tasks.iter().map(TaskLoad::per_mille).sum()
    }
}

/// The load of every bus, as if every meter had four tariffs and refused nothing.
pub fn air_time(whole: &Plan) -> Vec<BusLoad> {
    let meters: Vec<On> = whole.meters.iter().map(On::of).collect();
    loads(whole.buses.len(), &meters, &whole.tasks)
}

/// What a meter costs: its bus, what it speaks and how it is asked. Meters that are alike cost the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct On {
    bus: usize,
    dialect: Dialect,
    line: Line,
    preamble: u8,
    wiring: Option<Wiring>,
}

impl On {
    fn of(meter: &Meter) -> Self {
        let Meter { bus, line, preamble, wiring, .. } = *meter;
        Self { bus, dialect: meter.dialect(), line, preamble, wiring }
    }
}

/// Meters and tasks go by index.
fn loads(buses: usize, meters: &[On], tasks: &[Task]) -> Vec<BusLoad> {
    (0..buses).map(|bus| load(bus, meters, tasks)).collect()
}

fn load(bus: usize, meters: &[On], tasks: &[Task]) -> BusLoad {
    let refused = BTreeSet::new();
    let mut kinds: Vec<On> = Vec::new();
    for on in meters.iter().filter(|on| on.bus == bus) {
        if !kinds.contains(on) {
            kinds.push(*on);
        }
    }
    let tasks = tasks.iter().enumerate().filter_map(|(task, planned)| {
        let mut load = TaskLoad {
            task,
            meters: 0,
            registers: 0,
            exchanges: 0,
            air: Duration::ZERO,
            every: planned.when.every(),
        };
        for kind in &kinds {
            let here = |meter: &&usize| meters.get(**meter) == Some(kind);
            let count = planned.meters.iter().filter(here).count();
            if count == 0 {
                continue;
            }
            let registers = planned.registers.of(kind.dialect);
            let has = |register: &&Register| match (kind.wiring, register.phase()) {
                (Some(wiring), Some(phase)) => wiring.has_phase(phase),
                (None, _) | (_, None) => true,
            };
            let mut there: Vec<Register> = registers.iter().filter(has).copied().collect();
            there.extend(stamp(planned.read, kind.dialect));
            let costs = Costs { preamble: kind.preamble, ..kind.dialect.costs(kind.line) };
            let asks = plan(&there, &refused, &costs);
            let one: Duration = asks.iter().map(|a| a.air_time(&costs)).sum();
            load.meters += count;
            load.registers += registers.len() * count;
            load.exchanges += asks.len() * count;
            load.air += one * u32::try_from(count).unwrap_or(u32::MAX);
        }
        (load.meters > 0).then_some(load)
    });
    BusLoad { bus, tasks: tasks.collect() }
}

/// The stamp that is read before what a meter froze; the frozen values cost what the present ones do, and load records
/// no more.
fn stamp(read: Read, dialect: Dialect) -> Option<Register> {
    let is_frozen = matches!(read, Read::DailyFreeze | Read::Month) && dialect.standard.is(Edition::E2007);
    let found = is_frozen.then(|| dialect.catalogue().find("daily_freeze_time_day1", 0).ok()).flatten()?;
    found.first().copied()
}

/// Refuses what a line cannot carry, and warns of what it carries without room for a retry. Every
/// part must be sound: what a fault leaves out or counts twice would make these numbers wrong.
pub(super) fn prove(
    buses: &[bus::Written],
    meters: &[meter::Written],
    tasks: &[Task],
    findings: &mut Findings,
) {
    let lines: Vec<Line> = buses.iter().filter_map(|b| b.bus.as_ref()).map(|b| b.line).collect();
    let meters: Vec<On> = meters.iter().filter_map(|m| m.meter.as_ref()).map(On::of).collect();
    for load in loads(lines.len(), &meters, tasks) {
        let (Some(line), Some(name)) =
            (lines.get(load.bus), buses.get(load.bus).and_then(|b| b.name.as_ref()))
        else {
            continue;
        };
        let need = load.per_mille();
        if need <= WELL {
            continue;
        }
        let faster = RATES
            .into_iter()
            .filter(|baud| *baud > line.baud && *baud <= FASTEST_METER)
            .map(|baud| {
                // Those that are faster already stay so.
                let faster = |on: &On| On { line: Line { baud: baud.max(on.line.baud), ..on.line }, ..*on };
                let meters: Vec<On> = meters.iter().map(faster).collect();
                (baud, self::load(load.bus, &meters, tasks).per_mille())
            })
            .find(|(_, need)| *need <= WELL);
        let (needs, remedy) = (needs(&load, tasks, *line), remedy(faster));
        let asked = &name.value;
        if need > WHOLE {
            findings.fault(&name.here, format!("\"{asked}\" {needs}; {remedy}"));
        } else {
            let room = "over 80 % leaves too little for retries and commands";
            findings.warn(&name.here, format!("\"{asked}\" {needs}, and {room}; {remedy}"));
        }
    }
}

/// `needs 121.5 % of its air time at 2400 8E1: task "live" 72.9 s every 60 s = 121.5 %`.
fn needs(load: &BusLoad, tasks: &[Task], line: Line) -> String {
    let mut text = format!("needs {} of its air time at {line}:", percent(load.per_mille()));
    for (index, task) in load.tasks.iter().enumerate() {
        let name = tasks.get(task.task).map_or("", |t| t.name.as_str());
        let and = if index == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{and} task \"{name}\" {} every {} s = {}",
            tenths(task.air),
            task.every.as_secs(),
            percent(task.per_mille())
        );
    }
    text
}

fn remedy(faster: Option<(u32, u64)>) -> String {
    let baud = match faster {
        Some((baud, need)) => {
            format!("a higher baud if the meters can be set to it (at {baud} it is {})", percent(need))
        }
        None => "a higher baud if the meters can be set to it".to_owned(),
    };
    format!("write a longer every, fewer registers or {baud}, or move meters to another bus")
}

/// Thousandths as a person reads them: `12.5 %`.
pub fn percent(per_mille: u64) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// A time in tenths of a second, a part of one counted whole: `72.9 s`.
pub fn tenths(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, plan_from_text};
    use std::path::Path;

    const HEAD: &str = "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\n";

    /// A bus with so many meters.
    fn bus(name: &str, baud: u32, meters: usize) -> String {
        let mut text = format!("[[bus]]\nname = \"{name}\"\nport = \"/dev/tty-{name}\"\nbaud = {baud}\n");
        for number in 1..=meters {
            text +=
                &format!("[[meter]]\nname = \"{name}-{number}\"\nbus = \"{name}\"\naddress = \"{number}\"\n");
        }
        text
    }

    /// A task that reads one register of four octets: 44 characters and 60 ms an exchange.
    fn task(name: &str, every: &str) -> String {
        format!("[[task]]\nname = \"{name}\"\nevery = \"{every}\"\nregisters = [\"active_energy_import\"]\n")
    }

    fn proved(parts: &[String]) -> Result<Loaded, Vec<String>> {
        plan_from_text("m.toml", &format!("{HEAD}{}", parts.concat()), Path::new(""))
            .map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_several_tasks_need_of_a_line_adds_up() {
        // 44 × 11 ÷ 2400 s + 60 ms = 261.7 ms; of two meters 523.4 ms.
        let loaded = proved(&[bus("a", 2400, 2), task("t", "1s"), task("u", "2s"), task("v", "1d")]).unwrap();
        let loads = air_time(&loaded.plan);
        let parts: Vec<u64> = loads[0].tasks.iter().map(TaskLoad::per_mille).collect();
        assert_eq!(parts, [524, 262, 1], "rounded up, so that nothing needed is called nothing");
        assert_eq!(loads[0].per_mille(), 787);
        assert_eq!((loads[0].tasks[0].meters, loads[0].tasks[0].exchanges), (2, 2));
        assert_eq!(loads[0].tasks[0].air.as_micros(), 523_333);
    }

    #[test]
    fn each_line_carries_its_own_meters_only() {
        let loaded = proved(&[bus("a", 2400, 3), bus("b", 9600, 3), task("t", "1s")]).unwrap();
        let loads: Vec<u64> = air_time(&loaded.plan).iter().map(BusLoad::per_mille).collect();
        assert_eq!(loads, [785, 332]);
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn over_100_per_cent_is_refused_with_the_numbers_and_the_remedy() {
        let faults = proved(&[bus("a", 2400, 3), task("live", "1s"), task("more", "2s")]).unwrap_err();
        assert_eq!(
            faults,
            [
                "m.toml:5:8: [[bus]] \"a\" needs 117.8 % of its air time at 2400 8E1: task \"live\" 0.8 s every \
              1 s = 78.5 %, task \"more\" 0.8 s every 2 s = 39.3 %; write a longer every, fewer registers or a \
              higher baud if the meters can be set to it (at 4800 it is 72.5 %), or move meters to another bus"
            ]
        );
    }

    #[test]
    fn over_80_per_cent_is_a_warning_and_80_is_none() {
        let warnings = |parts: &[String]| {
            proved(parts).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(warnings(&[bus("a", 2400, 3), task("t", "1s")]), Vec::<String>::new());
        let near = warnings(&[bus("a", 2400, 3), task("t", "1s"), task("u", "1m")]);
        assert_eq!(near.len(), 0, "79.9 %: {near:?}");
        let over = warnings(&[bus("a", 2400, 3), task("t", "1s"), task("u", "30s")]);
        assert_eq!(over.len(), 1);
        assert!(over[0].starts_with("m.toml:5:8: [[bus]] \"a\" needs 81.2 %"), "{over:?}");
        assert!(over[0].contains("over 80 % leaves too little for retries"), "{over:?}");
    }

    #[test]
    fn no_rate_is_offered_that_would_not_do() {
        let faults = proved(&[bus("a", 19_200, 100), task("t", "1s")]).unwrap_err();
        assert!(faults[0].contains("can be set to it, or move meters"), "{faults:?}");
        let faults = proved(&[bus("a", 300, 100), task("t", "1s")]).unwrap_err();
        assert!(faults[0].contains("can be set to it, or move meters"), "{faults:?}");
    }

    #[test]
    fn air_time_is_not_judged_while_another_fault_may_be_its_cause() {
        // A task that is there twice needs the line twice.
        let faults = proved(&[bus("a", 2400, 3), task("t", "1s"), task("t", "1s")]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("is taken"), "{faults:?}");
    }
}
