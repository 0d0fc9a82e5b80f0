//! How long to wait for what, learned from the meters' own answers with care. Pure: times are arguments.
//!
//! Two things are learned. How soon a meter begins to answer, per kind of register, bounds the wait for
//! the first octet. How short the pause between two exchanges may be is learned of the whole line, since
//! it is the others that need it: they must know the answer that they heard from a request to them.
//! Nothing here ever shortens the wait for octets that are on their way: that is by length and rate.

use super::renumber::renumbered;
use catalogue::Identifier;
use dlt645::Edition;
use std::collections::BTreeMap;
use std::time::Duration;

/// Kinds of questions by how long meters take to begin their answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Present values and parameters.
    Present,
    /// What was settled or frozen (结算, 冻结): meters look it up in their memory.
    History,
    /// Event records (事件记录).
    Event,
    /// Load records (负荷记录).
    Load,
    /// Registers of a Modbus meter: many take up to a second for their first answer.
    Modbus,
    /// Anything in the minutes after midnight, when meters are busy with their freezes.
    Midnight,
}

impl Class {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 6] =
        [Self::Present, Self::History, Self::Event, Self::Load, Self::Modbus, Self::Midnight];

    /// The kind of a data identifier at any other time than after midnight.
    pub fn of(id: Identifier) -> Self {
        let Some(di) = id.di() else { return Self::Modbus };
        match (di.edition(), di.byte(3), di.byte(1)) {
            // Energy and demand of 1997 have the month in bits 3 and 2 of DI1; B6xx is of now.
            (Edition::E1997, _, 0x94 | 0x95 | 0x98 | 0x99 | 0xA4 | 0xA5 | 0xA8 | 0xA9) => Self::History,
            (Edition::E1997, _, 0xB4 | 0xB5 | 0xB8 | 0xB9) => Self::History,
            (Edition::E1997, ..) => Self::Present,
            (Edition::E2007, 0x00 | 0x01, _) if di.byte(0) != 0 => Self::History,
            (Edition::E2007, 0x05, _) => Self::History,
            (Edition::E2007, 0x03 | 0x10..=0x21, _) => Self::Event,
            (Edition::E2007, 0x06, _) => Self::Load,
            (Edition::E2007, ..) => Self::Present,
        }
    }

    /// The word under which it is kept.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::History => "history",
            Self::Event => "event",
            Self::Load => "load",
            Self::Modbus => "modbus",
            Self::Midnight => "midnight",
        }
    }

    /// What the first octet may take before anything is known. Td is 500 ms at most (DL/T 645-2007 clause
    /// 5.3); meters are known to be slower with what they keep in flash, and while they freeze.
    pub const fn patience(self) -> Duration {
        match self {
            Self::Present => Duration::from_millis(550),
            Self::Modbus => Duration::from_millis(1000),
            Self::History | Self::Event | Self::Load | Self::Midnight => Duration::from_millis(1500),
        }
    }
}

/// Answers after which a meter's delays are known well enough.
const ENOUGH: u32 = 16;
/// The shortest wait for a first octet, whatever was learned.
const LEAST: Duration = Duration::from_millis(100);
/// The longest; a meter that takes half of it is as good as absent.
const MOST: Duration = Duration::from_secs(5);

/// The delays of one meter for one kind of question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Delays {
    slowest: Duration,
    answers: u32,
    /// What was last handed out to be kept.
    kept: Option<Duration>,
}

impl Delays {
    fn deadline(self, class: Class) -> Duration {
        let safe = if self.answers >= ENOUGH { LEAST } else { class.patience() };
        (self.slowest * 2).clamp(safe, MOST)
    }
}

/// What has been learned of the delays of the meters of one bus.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    meters: BTreeMap<(usize, Class), Delays>,
}

impl Deadlines {
    /// Takes over what an earlier run learned: the slowest delay.
    pub fn recall(&mut self, meter: usize, class: Class, slowest: Duration) {
        let delays = Delays { slowest, answers: ENOUGH, kept: Some(slowest) };
        self.meters.insert((meter, class), delays);
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.meters, |(meter, class)| Some((to(*meter)?, *class)));
    }

    /// How long to wait for the first octet after the request, at the first try; the second one waits for as
    /// long as of a meter that nothing is known of.
    pub fn first_octet(&self, meter: usize, class: Class) -> Duration {
        self.meters.get(&(meter, class)).copied().unwrap_or_default().deadline(class)
    }

    /// How long to wait when it is asked again: the meter may have become slower.
    pub fn again(&self, meter: usize, class: Class) -> Duration {
        self.first_octet(meter, class).max(class.patience())
    }

    /// An answer began after `delay`. The slowest delay, where it is worth keeping and was not kept yet.
    pub fn answered(&mut self, meter: usize, class: Class, delay: Duration) -> Option<Duration> {
        let delays = self.meters.entry((meter, class)).or_default();
        delays.slowest = delays.slowest.max(delay);
        delays.answers = delays.answers.saturating_add(1);
        // A tenth more is not worth a write to flash.
        let news = delays.kept.is_none_or(|kept| delays.slowest > kept + kept / 10);
        if delays.answers < ENOUGH || !news {
            return None;
        }
        delays.kept = Some(delays.slowest);
        delays.kept
    }
}

/// The pause between two exchanges of a bus, from the last octet of one to the first of the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turnaround {
    now: Duration,
    pinned: bool,
    /// Exchanges since the last change that needed no second try.
    good: u32,
}

impl Turnaround {
    /// Where it starts: what every meter manages.
    pub const START: Duration = Duration::from_millis(30);
    /// Never below this by itself.
    pub const FLOOR: Duration = Duration::from_millis(5);
    const CEILING: Duration = Duration::from_millis(120);
    /// Exchanges without a second try before it is made a fifth shorter: from 30 to 5 ms in 108 of them.
    const STREAK: u32 = 12;

    /// One that is learned from `start` on.
    pub fn learned_from(start: Duration) -> Self {
        Self { now: start.clamp(Self::FLOOR, Self::CEILING), pinned: false, good: 0 }
    }

    /// The same, learned from now on if it was set.
    #[must_use]
    pub fn learned(self) -> Self {
        if self.pinned { Self::learned_from(Self::START) } else { self }
    }

    /// One that is as it was set, 0 too.
    pub const fn pinned(at: Duration) -> Self {
        Self { now: at, pinned: true, good: 0 }
    }

    /// The pause before the next request.
    pub const fn pause(&self) -> Duration {
        self.now
    }

    /// An exchange went well at the first try. True if the pause is another now.
    pub fn good(&mut self) -> bool {
        self.good += 1;
        if self.pinned || self.good < Self::STREAK || self.now == Self::FLOOR {
            return false;
        }
        self.good = 0;
        self.now = (self.now * 4 / 5).max(Self::FLOOR);
        true
    }

    /// A question right behind another exchange was only answered at its second try, after a long silence.
    /// True if the pause is another now.
    pub fn too_short(&mut self) -> bool {
        self.good = 0;
        if self.pinned || self.now == Self::CEILING {
            return false;
        }
        self.now = (self.now * 2).clamp(Self::START, Self::CEILING);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn history_events_and_load_records_are_waited_for_longer() {
        let class = |text: &str| Class::of(text.parse().unwrap());
        for di in ["00010000", "0201FF00", "04000101", "9010", "B611", "B31F", "C010"] {
            assert_eq!((class(di), class(di).patience()), (Class::Present, MS(550)), "{di}");
        }
        for di in ["00010001", "000100FF", "05060101", "9410", "B810"] {
            assert_eq!((class(di), class(di).patience()), (Class::History, MS(1500)), "{di}");
        }
        assert_eq!(
            (class("03110001"), class("10010001"), class("06010001")),
            (Class::Event, Class::Event, Class::Load)
        );
    }

    #[test]
    fn a_deadline_starts_safe_and_is_learned_from_the_meter_alone() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.first_octet(0, Class::Present), MS(550));
        let told: Vec<_> =
            (0..40).filter_map(|n| deadlines.answered(0, Class::Present, MS(40 + n % 7))).collect();
        assert_eq!(told, [MS(46)], "once, when enough is known");
        assert_eq!(deadlines.first_octet(0, Class::Present), LEAST);
        assert_eq!(deadlines.first_octet(1, Class::Present), MS(550), "another meter");
        assert_eq!(deadlines.first_octet(0, Class::History), MS(1500), "another kind");
        assert_eq!(deadlines.again(0, Class::Present), MS(550), "the second try has all patience");
    }

    #[test]
    fn a_deadline_is_never_below_twice_the_slowest_answer_seen() {
        let mut deadlines = Deadlines::default();
        for n in 0..100u64 {
            let delay = MS((n * 37) % 450);
            deadlines.answered(3, Class::Present, delay);
            assert!(deadlines.first_octet(3, Class::Present) >= delay * 2);
        }
        assert_eq!(deadlines.first_octet(3, Class::Present), MS(2 * 445));
        deadlines.answered(3, Class::Present, MS(9000));
        assert_eq!(deadlines.first_octet(3, Class::Present), MOST, "and bounded whatever came");
    }

    #[test]
    fn what_was_learned_before_a_restart_holds() {
        let mut deadlines = Deadlines::default();
        deadlines.recall(0, Class::History, MS(300));
        assert_eq!(deadlines.first_octet(0, Class::History), MS(600));
        assert_eq!(deadlines.answered(0, Class::History, MS(310)), None, "a tenth more is not worth a write");
        assert_eq!(deadlines.answered(0, Class::History, MS(400)), Some(MS(400)));
    }

    #[test]
    fn the_pause_is_learned_down_to_its_floor_within_20_rounds() {
        let mut pause = Turnaround::learned_from(Turnaround::START);
        let mut exchanges = 0;
        while pause.pause() > Turnaround::FLOOR {
            pause.good();
            exchanges += 1;
        }
        // The 27 registers of a three-phase meter are 10 exchanges a round.
        assert!(exchanges <= 20 * 10, "{exchanges}");
        for _ in 0..1000 {
            assert!(!pause.good());
        }
        assert_eq!(pause.pause(), Turnaround::FLOOR);
    }

    #[test]
    fn the_pause_is_safe_again_at_once_when_it_was_too_short() {
        let mut pause = Turnaround::learned_from(MS(5));
        assert!(pause.too_short());
        assert_eq!(pause.pause(), Turnaround::START);
        assert!(pause.too_short() && pause.too_short() && !pause.too_short());
        assert_eq!(pause.pause(), Turnaround::CEILING);
    }

    #[test]
    fn a_pause_that_was_set_stays_even_at_0() {
        let mut pause = Turnaround::pinned(Duration::ZERO);
        for _ in 0..100 {
            assert!(!pause.good() && !pause.too_short());
        }
        assert_eq!(pause.pause(), Duration::ZERO);
    }
}
