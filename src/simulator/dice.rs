//! Chance from a seed: the same seed gives the same throws. Splitmix64, one multiplication chain a throw.

/// A source of throws.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice of this seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `from..to`; `from` where there is none.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        let span = to.saturating_sub(from);
        if span == 0 { from } else { from + self.roll() % span }
    }

    /// At least 0, less than 1.
    pub fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn hits(&mut self, probability: f64) -> bool {
        self.share() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws_and_another_gives_others() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            std::iter::repeat_with(|| dice.roll()).take(8).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        // The first number of splitmix64 from 0, as its author publishes it.
        assert_eq!(throws(0)[0], 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn a_probability_is_met_in_the_long_run() {
        let mut dice = Dice::new(7);
        let hits = (0..100_000).filter(|_| dice.hits(0.1)).count();
        assert!((9_700..10_300).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| (3..9).contains(&dice.between(3, 9))));
    }
}
