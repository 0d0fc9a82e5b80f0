//! A bounded share of a line's air time, for what is worth asking but must not hold up the readings. Pure.

use std::time::Duration;

/// So many thousandths of the time at most, counted over what was spent last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    per_mille: u32,
    /// How long a time counts in which nothing was spent.
    saved: Duration,
    free_at: Duration,
}

impl Share {
    /// A share of the time from the clock's origin on.
    pub const fn per_mille(per_mille: u32) -> Self {
        Self { per_mille, saved: Duration::ZERO, free_at: Duration::ZERO }
    }

    /// The same, of which what was not spent may be spent later, up to what so long a time has.
    pub const fn saved_for(self, saved: Duration) -> Self {
        Self { saved, ..self }
    }

    /// Whether the share has anything left.
    pub fn allows(&self, now: Duration) -> bool {
        now >= self.free_at
    }

    /// When it will have something left.
    pub const fn free_at(&self) -> Duration {
        self.free_at
    }

    /// Air time was spent: nothing more is allowed until it is no more than the share.
    pub fn spend(&mut self, now: Duration, cost: Duration) {
        let whole = cost.saturating_mul(1000) / self.per_mille.max(1);
        self.free_at = self.free_at.max(now.saturating_sub(self.saved)) + whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_spent_can_be_spent_later_within_bounds() {
        let mut share = Share::per_mille(100).saved_for(Duration::from_secs(30));
        let (now, cost) = (Duration::from_secs(3600), Duration::from_secs(1));
        let mut times = 0;
        while share.allows(now) {
            share.spend(now, cost);
            times += 1;
        }
        assert_eq!(times, 4, "30 s of it, and the one that empties it");
        assert_eq!(share.free_at(), now + Duration::from_secs(10));
    }

    #[test]
    fn what_is_spent_is_never_more_than_the_share() {
        let mut share = Share::per_mille(10);
        let cost = Duration::from_millis(300);
        let (mut now, mut spent) = (Duration::ZERO, Duration::ZERO);
        while now < Duration::from_secs(3600) {
            if share.allows(now) {
                share.spend(now, cost);
                spent += cost;
            }
            now += Duration::from_millis(50);
        }
        assert!(spent <= Duration::from_secs(36) + cost, "{spent:?}");
        assert!(spent > Duration::from_secs(35), "{spent:?}");
    }
}
