//! The meters of a month, drawn by a seed, and the configuration that reads them.

use dlt645::Edition;
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span, Timestamp};
use meterd::planner::Line;
use meterd::simulator::{
    Dice, Injection, Intervals, LineFault, Memory, MeterSettings, Pair, Phases, Refreeze, VirtualLine,
    VirtualMeter,
};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// The zone of the gateway and of the meters' clocks, which has no summer time.
pub(crate) const ZONE: &str = "Asia/Shanghai";
/// The registers of the daily freeze and of the month; hourly freezes do not have the last one.
pub(crate) const FROZEN: [&str; 3] = ["active_energy_import", "active_energy_export", "reactive_energy_q1"];
/// The registers of the load profile.
pub(crate) const RECORDED: [&str; 2] = ["active_energy_import", "active_energy_export"];

/// How large a month is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) days: u64,
    pub(crate) meters: usize,
    pub(crate) buses: usize,
    /// Nights with an outage.
    pub(crate) nights: u64,
}

/// A meter and where it hangs.
#[derive(Clone, Debug)]
pub(crate) struct OnBus {
    pub(crate) name: String,
    pub(crate) bus: usize,
    pub(crate) meter: VirtualMeter,
}

impl OnBus {
    /// What it freezes and records.
    pub(crate) fn memory(&self) -> &Memory {
        &self.meter.settings().memory
    }

    pub(crate) fn is_of_1997(&self) -> bool {
        self.meter.settings().edition == Edition::E1997
    }

    /// Whether it has no freeze, so that its present registers stand in.
    pub(crate) fn freezes_nothing(&self) -> bool {
        self.is_of_1997() || (self.memory().daily_freeze.is_none() && !self.memory().hourly_freeze)
    }
}

/// All meters of a month.
pub(crate) fn draw(seed: u64, size: Size, start: Date) -> Vec<OnBus> {
    let mut dice = Dice::new(seed ^ 0xF1EE7);
    (0..size.meters).map(|n| one(n, seed, size, start, &mut dice)).collect()
}

fn one(n: usize, seed: u64, size: Size, start: Date, dice: &mut Dice) -> OnBus {
    let address = format!("{}", 2_610_000 + n);
    let mut settings = MeterSettings::household(address.parse().unwrap());
    settings.energy = dice.between(0, 9_000_000);
    settings.solar = dice.hits(0.3);
    settings.response_delay = Duration::from_millis(dice.between(20, 120));
    if dice.hits(0.2) {
        settings.phases = Phases::Three;
    }
    settings.clock_offset = clock_offset(dice);
    settings.memory.load_records = Intervals::all([15, 15, 30, 60][dice.between(0, 4) as usize]);
    settings.memory.refreeze = [Refreeze::Each, Refreeze::Once, Refreeze::None][dice.between(0, 3) as usize];
    settings.memory.power_cuts = cuts(dice, size.days, start);
    // Of 25: one of each other kind and two with hourly freezes alone, each on another line.
    match n % 25 {
        3 => settings.edition = Edition::E1997,
        8 | 13 => {
            settings.memory.daily_freeze = None;
            settings.memory.load_records = Intervals::NONE;
        }
        17 => {
            settings.memory.daily_freeze = None;
            settings.memory.hourly_freeze = false;
        }
        22 => {
            settings.memory.daily_freeze = None;
            settings.memory.hourly_freeze = false;
            settings.memory.load_records = Intervals::NONE;
        }
        _ => {}
    }
    let kind = if settings.edition == Edition::E1997 { "old" } else { "new" };
    OnBus { name: format!("{kind}-{n}"), bus: n % size.buses, meter: VirtualMeter::new(settings, seed) }
}

/// Most clocks are right within a minute, some within the bound, and some past it; one in a hundred is a day behind.
fn clock_offset(dice: &mut Dice) -> SignedDuration {
    let side = if dice.hits(0.5) { 1 } else { -1 };
    let seconds = match dice.between(0, 100) {
        0 => return SignedDuration::from_hours(-24),
        1..6 => dice.between(301, 2400),
        6..30 => dice.between(60, 270),
        _ => dice.between(0, 60),
    };
    SignedDuration::from_secs(side * seconds as i64)
}

/// A third of the meters has a night without power, or two, or one of 30 hours that has two midnights; some by day too.
fn cuts(dice: &mut Dice, days: u64, start: Date) -> Vec<(DateTime, DateTime)> {
    let mut cuts = Vec::new();
    let mut next = 1;
    for _ in 0..[0, 0, 0, 1, 1, 2][dice.between(0, 6) as usize] {
        let night = next + dice.between(0, days / 2);
        let long = dice.hits(0.1);
        let begin = if dice.hits(0.8) { dice.between(0, 4 * 3600) as i64 } else { -6 * 3600 };
        let midnight = start.at(0, 0, 0, 0).saturating_add(Span::new().days(night as i64));
        let from = midnight.saturating_sub(SignedDuration::from_secs(begin));
        let lasts = if long { 30 * 3600 } else { dice.between(1800, 8 * 3600) };
        cuts.push((from, from.saturating_add(SignedDuration::from_secs(lasts as i64))));
        next = night + 3;
    }
    cuts
}

/// The configuration of a gateway that reads them.
pub(crate) fn configuration(fleet: &[OnBus], buses: usize, data: &Path) -> String {
    let mut text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"{ZONE}\"\ndata_dir = \"{}\"\n\
         [[task]]\nname = \"day\"\nread = \"daily-freeze\"\ndaily = \"00:05\"\nregisters = {FROZEN:?}\n\
         [[task]]\nname = \"profile\"\nread = \"load-profile\"\nevery = \"1h\"\nregisters = {RECORDED:?}\n\
         meters = [\"new-*\"]\n\
         [[task]]\nname = \"month\"\nread = \"month\"\nmonthly = \"1 00:05\"\nregisters = {FROZEN:?}\n",
        data.display()
    );
    for bus in 0..buses {
        write!(text, "[[bus]]\nname = \"riser-{bus}\"\nport = \"/dev/null{bus}\"\nbaud = 2400\n").unwrap();
    }
    for of in fleet {
        let OnBus { name, bus, meter } = of;
        let address = meter.settings().address;
        let protocol = if of.is_of_1997() { "dlt645-1997" } else { "dlt645-2007" };
        write!(
            text,
            "[[meter]]\nname = \"{name}\"\nbus = \"riser-{bus}\"\naddress = \"{address}\"\nprotocol = \"{protocol}\"\n"
        )
        .unwrap();
    }
    text
}

/// The rate of all lines.
const RATE: Line = Line { baud: 2400, frame: meterd::planner::CharFormat::EVEN };

/// What the line does to its octets, a share of the exchanges each.
const FAULTS: [(LineFault, f64); 7] = [
    (LineFault::Silent, 0.004),
    (LineFault::Late, 0.003),
    (LineFault::Cut, 0.002),
    (LineFault::Damaged, 0.002),
    (LineFault::Stray, 0.003),
    (LineFault::Glued, 0.002),
    (LineFault::Split, 0.002),
];

/// A line with its meters, as a life of the gateway finds it; an octet takes its time, and the receiver hands over
/// handfuls as a UART does.
pub(crate) fn line(fleet: &[OnBus], bus: usize, seed: u64) -> Pair {
    let meters = fleet.iter().filter(|of| of.bus == bus).map(|of| of.meter.clone()).collect();
    let faults = FAULTS.map(|(fault, rate)| Injection { fault, rate });
    Pair::from(VirtualLine::new(meters))
        .at(RATE)
        .delivered(meterd::simulator::Delivery::Pieces(16))
        .with_faults(&faults, seed, true)
}

/// 00:00 of a day by the gateway's wall.
pub(crate) fn midnight(day: Date) -> Timestamp {
    day.to_zoned(jiff::tz::TimeZone::get(ZONE).unwrap()).unwrap().timestamp()
}
