//! The kill loop: the daemon is started, ended at a moment that the seed says, and started again.

use super::lines::Frame;
use super::plant::{Daemon, Plant};
use super::stub::{Acks, Cut, Manners, Moment, Open, PubAckReason};
use meterd::simulator::Dice;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a daemon is ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum At {
    /// Before, after or in the middle of a call of the store.
    StoreBefore,
    StoreAfter,
    StoreTorn,
    /// The power goes at a call of the store.
    StorePower,
    /// A frame on the line.
    Request,
    Reply,
    /// A packet of MQTT.
    Publish,
    BeforePuback,
    AfterPuback,
}

impl At {
    const ALL: [Self; 9] = [
        Self::StoreBefore,
        Self::StoreAfter,
        Self::StoreTorn,
        Self::StorePower,
        Self::Request,
        Self::Reply,
        Self::Publish,
        Self::BeforePuback,
        Self::AfterPuback,
    ];

    fn how(self) -> Option<&'static str> {
        match self {
            Self::StoreBefore => Some("before"),
            Self::StoreAfter => Some("after"),
            Self::StoreTorn => Some("torn"),
            Self::StorePower => Some("power"),
            Self::Request | Self::Reply | Self::Publish | Self::BeforePuback | Self::AfterPuback => None,
        }
    }
}

/// One kill.
#[derive(Clone, Debug)]
pub(crate) struct Kill {
    pub(crate) at: At,
    pub(crate) n: u64,
    /// Also what was not synced is lost.
    pub(crate) power: bool,
    pub(crate) seed: u64,
    pub(crate) manners: Manners,
}

/// How many times the moment came, by where it was; and how often it did not come in time.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) by: BTreeMap<At, u64>,
    /// Of these, how many were a loss of power.
    pub(crate) power: u64,
    /// The moment did not come, and the daemon was ended then.
    pub(crate) in_vain: u64,
    /// From the start of the process until it last opened a line, at most.
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(crate) fn kills(&self) -> u64 {
        self.by.values().sum::<u64>() + self.in_vain
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (at, count) in &other.by {
            *self.by.entry(*at).or_default() += count;
        }
        self.power += other.power;
        self.in_vain += other.in_vain;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// Calls of the store and packets that a daemon comes to within a slot or two.
const CALLS: u64 = 60;
const FRAMES: u64 = 60;
/// A moment that did not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(4);

impl Kill {
    /// The next one.
    pub(crate) fn by(dice: &mut Dice, version: u8) -> Self {
        let manners = manners(dice, version);
        let mut at = At::ALL[dice.between(0, At::ALL.len() as u64) as usize];
        let receipts = manners.acks != Acks::Never && manners.open == Open::Yes;
        if matches!(at, At::BeforePuback | At::AfterPuback) && !receipts
            || at == At::Publish && manners.open != Open::Yes
        {
            at = At::StorePower;
        }
        let n = match at.how() {
            Some(_) => dice.between(1, CALLS),
            None if matches!(at, At::Request | At::Reply) => dice.between(1, FRAMES),
            None => dice.between(1, 20),
        };
        let power = at == At::StorePower || at.how().is_none() && dice.hits(0.5);
        Self { at, n, power, seed: dice.roll() >> 1, manners }
    }

    fn plan(&self) -> String {
        match self.at.how() {
            Some(how) => format!("kill={}:{how}:{}", self.n, self.seed),
            None if self.power => format!("power={}", self.seed),
            None => String::new(),
        }
    }
}

/// Mostly a broker as it should be; else one that lets a backlog grow, or ends connections.
pub(crate) fn manners(dice: &mut Dice, version: u8) -> Manners {
    let usual = Manners::default();
    match dice.between(0, 16) {
        0..=2 => Manners { acks: Acks::Never, ..usual },
        3 | 4 => Manners { acks: Acks::Backwards(8), ..usual },
        5 if version == 5 => Manners { receive_max: Some(dice.between(1, 20) as u16), ..usual },
        6 if version == 5 => {
            Manners { refuses: Some((dice.between(3, 9), PubAckReason::QuotaExceeded)), ..usual }
        }
        7 => Manners { cut: Some(Cut::MidPublish(dice.between(0, 12))), ..usual },
        8 => Manners { cut: Some(Cut::AfterPuback(dice.between(1, 12))), ..usual },
        9 => Manners { unknown_ids: true, ..usual },
        10 => Manners { open: Open::No, ..usual },
        11 => Manners { open: Open::Frozen, ..usual },
        _ => usual,
    }
}

/// Starts the daemon and ends it there.
pub(crate) async fn strike(plant: &mut Plant, kill: &Kill, tally: &mut Tally) {
    plant.stub.set(kill.manners);
    let mut daemon = plant.start(&kill.plan());
    arm(plant, &daemon, kill);
    let ended = daemon.ended(PATIENCE).await;
    if ended.is_none() {
        daemon.signal()(if kill.power && kill.at.how().is_none() { Signal::USR2 } else { Signal::KILL });
        tally.in_vain += 1;
        if daemon.ended(Duration::from_secs(10)).await.is_none() {
            plant.account.wrong.push(format!("it does not end: {kill:?}"));
        }
    } else {
        *tally.by.entry(kill.at).or_default() += 1;
        tally.power += u64::from(kill.power);
    }
    plant.lines.act(None);
    plant.stub.act_no_more();
    tally.slowest = tally.slowest.max(plant.lines.connected().saturating_sub(daemon.started()));
    if let Some(ended) = ended
        && std::os::unix::process::ExitStatusExt::signal(&ended) != Some(libc::SIGKILL)
    {
        plant.account.wrong.push(format!("it ended with {ended} before {kill:?}: {}", tail(&plant.log())));
    }
    drop(daemon);
    let before = plant.account.wrong.len();
    plant.settle().await;
    // What the daemon itself knew is said with the first.
    let log = plant.log();
    let knew = log.lines().find(|line| line.contains(" ERROR ")).unwrap_or_default();
    for (wrong, knew) in
        plant.account.wrong[before..].iter_mut().zip(std::iter::once(knew).chain(std::iter::repeat("")))
    {
        wrong.push_str(&format!(" (after {kill:?}) {knew}"));
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn arm(plant: &Plant, daemon: &Daemon, kill: &Kill) {
    if kill.at.how().is_some() {
        return;
    }
    let end = daemon.signal();
    let signal = if kill.power { Signal::USR2 } else { Signal::KILL };
    let mut left = kill.n;
    let mut blow = move || {
        left = left.saturating_sub(1);
        if left == 0 {
            end(signal);
        }
    };
    let moment = match kill.at {
        At::Request => {
            return plant.lines.act(Some(Box::new(move |f| {
                if f == Frame::Request {
                    blow()
                }
            })));
        }
        At::Reply => {
            return plant.lines.act(Some(Box::new(move |f| {
                if f == Frame::Reply {
                    blow()
                }
            })));
        }
        At::Publish => Moment::Publish,
        At::BeforePuback => Moment::BeforePuback,
        At::AfterPuback => Moment::AfterPuback,
        At::StoreBefore | At::StoreAfter | At::StoreTorn | At::StorePower => return,
    };
    plant.stub.act(move |m| {
        if m == moment {
            blow();
        }
    });
}

/// Strikes so many times, and drains what is left.
pub(crate) async fn campaign(plant: &mut Plant, kills: u64, seed: u64, version: u8) -> Tally {
    let (mut dice, mut tally) = (Dice::new(seed), Tally::default());
    for _ in 0..kills {
        let kill = Kill::by(&mut dice, version);
        strike(plant, &kill, &mut tally).await;
    }
    plant.drain().await;
    tally
}
