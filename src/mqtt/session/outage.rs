//! How long to wait before the next connection, and when to speak of a broker that stays away. Pure.

use std::time::Duration;

/// The shortest wait before the next connection.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(30);

/// Back-off with jitter: a thousand gateways must not come back to a restarted broker in one second.
#[derive(Debug)]
pub(in crate::mqtt) struct Backoff {
    ceiling: Duration,
    state: u64,
}

impl Backoff {
    /// With a seed that differs from gateway to gateway.
    pub(in crate::mqtt) fn new(seed: u64) -> Self {
        Self { ceiling: SHORTEST, state: seed }
    }

    /// Seeded by the system's randomness; if there is none, by what little differs between processes.
    pub(in crate::mqtt) fn seeded() -> Self {
        Self::new(getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
    }

    /// The next wait: anything from 1 s to a ceiling that doubles from 2 s to 30 s.
    pub(in crate::mqtt) fn next(&mut self) -> Duration {
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        let span = (self.ceiling - SHORTEST).as_millis() as u64;
        SHORTEST + Duration::from_millis(self.random() % (span + 1))
    }

    /// The connection was of use.
    pub(in crate::mqtt) fn reset(&mut self) {
        self.ceiling = SHORTEST;
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Distances between two lines about the same trouble; the last one repeats.
const DISTANCES: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// A connection that lasted this long ends the old trouble: the next fault is news.
const SOUND: Duration = Duration::from_secs(10 * 60);

/// Decides which faults are worth a line. A recovery is said if and only if its fault was.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// When it began, and how many faults it has had.
    began: Option<(Duration, u32)>,
    /// Before this no fault is said.
    quiet_until: Duration,
    /// How many were said at growing distance.
    step: usize,
    /// A fault was said and its recovery was not.
    said: bool,
    /// When the present connection became sound.
    sound_since: Option<Duration>,
}

/// How an outage stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// Faults so far.
    pub(super) faults: u32,
    /// For how long.
    pub(super) lasted: Duration,
}

impl Outage {
    /// There was a fault; what to say, if it is time to say something.
    pub(super) fn fault(&mut self, now: Duration) -> Option<Told> {
        if self.sound_since.take().is_some_and(|since| now.saturating_sub(since) >= SOUND) {
            self.step = 0;
            self.quiet_until = now;
        }
        let (began, faults) = self.began.map_or((now, 1), |(began, faults)| (began, faults + 1));
        self.began = Some((began, faults));
        if now < self.quiet_until {
            return None;
        }
        self.quiet_until = now + DISTANCES[self.step];
        self.step = (self.step + 1).min(DISTANCES.len() - 1);
        self.said = true;
        Some(Told { faults, lasted: now.saturating_sub(began) })
    }

    /// The broker signs for what we send; what to say, if the fault was said.
    pub(super) fn sound(&mut self, now: Duration) -> Option<Told> {
        self.sound_since.get_or_insert(now);
        let (began, faults) = self.began.take()?;
        std::mem::take(&mut self.said).then(|| Told { faults, lasted: now.saturating_sub(began) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn waits_grow_stay_between_1_and_30_s_and_start_again_after_use() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed);
            for ceiling in [2, 4, 8, 16, 30, 30, 30] {
                let wait = backoff.next();
                assert!(wait >= SHORTEST && wait <= at(ceiling), "{wait:?} of {ceiling}");
            }
            backoff.reset();
            assert!(backoff.next() <= at(2));
        }
    }

    #[test]
    fn gateways_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<_> = (0..100).map(|seed| Backoff::new(seed).next()).collect();
        assert!(waits.len() > 80, "{}", waits.len());
    }

    #[test]
    fn a_broker_that_stays_away_is_spoken_of_at_growing_distance() {
        let mut outage = Outage::default();
        let mut lines = Vec::new();
        // A day of one attempt every 20 s.
        for now in (0..86_400).step_by(20) {
            lines.extend(outage.fault(at(now)).map(|_| now));
        }
        assert_eq!(lines[..5], [0, 60, 360, 1260, 4860]);
        assert!(lines.len() < 30, "{} lines", lines.len());
        let told = outage.sound(at(86_400)).unwrap();
        assert_eq!(told, Told { faults: 4320, lasted: at(86_400) });
    }

    #[test]
    fn a_recovery_is_said_if_and_only_if_its_fault_was() {
        let mut outage = Outage::default();
        assert_eq!(outage.sound(at(0)), None);
        assert!(outage.fault(at(5)).is_some());
        assert!(outage.sound(at(6)).is_some());
        // It flaps: both lines stay away until the distance is over.
        for now in [10, 20, 30] {
            assert_eq!(outage.fault(at(now)), None);
            assert_eq!(outage.sound(at(now + 1)), None);
        }
        assert!(outage.fault(at(70)).is_some());
        assert!(outage.sound(at(71)).is_some());
    }

    #[test]
    fn a_fault_after_a_long_sound_connection_is_news() {
        let mut outage = Outage::default();
        outage.fault(at(0));
        outage.fault(at(60));
        outage.sound(at(61));
        assert!(outage.fault(at(61 + 600)).is_some());
        // And the distance grows from the beginning again.
        assert!(outage.fault(at(61 + 660)).is_some());
    }
}
