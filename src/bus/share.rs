//! A bounded share of a line's air time, for what is worth asking but must not hold up the readings. Pure.

use std::time::Duration;

/// So many thousandths of the time at most, counted over what was spent last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    per_mille: u32,
    free_at: Duration,
}

impl Share {
    /// A share of the time from the clock's origin on.
    pub const fn per_mille(per_mille: u32) -> Self {
        Self { per_mille, free_at: Duration::ZERO }
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
        self.free_at = self.free_at.max(now) + whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
