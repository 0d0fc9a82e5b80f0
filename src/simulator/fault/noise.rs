//! Noise on the wires, octet by octet (线路干扰).

use super::super::dice::Dice;
use super::super::wire::Octet;

/// Bits of a character with a parity bit: start, eight of data, parity, stop.
const CHECKED_BITS: u32 = 11;

/// What noise does to a character that it hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoiseModel {
    /// Flips bits of the character, each by itself; one at least.
    Bits,
    /// Replaces all eight bits, as a burst does.
    Octets,
}

/// Noise of one kind and strength.
#[derive(Clone, Debug)]
pub struct Noise {
    model: NoiseModel,
    per_octet: f64,
    checked: bool,
    dice: Dice,
    /// Octets that pass before the next one that is hit.
    passing: u64,
}

impl Noise {
    /// Noise that hits an octet with this probability. With `checked`, characters carry parity and the receiver
    /// marks those whose parity or stop bit is wrong; without, they come as they are.
    pub fn new(model: NoiseModel, per_octet: f64, checked: bool, seed: u64) -> Self {
        let mut noise = Self { model, per_octet, checked, dice: Dice::new(seed), passing: 0 };
        noise.passing = noise.gap();
        noise
    }

    /// Octets pass; how many of them were hit.
    pub fn pass(&mut self, octets: &mut [Octet]) -> usize {
        let (mut at, mut hit) = (0, 0);
        while let Some(octet) = usize::try_from(self.passing).ok().and_then(|n| octets.get_mut(at + n)) {
            at += self.passing as usize + 1;
            hit += 1;
            self.strike(octet);
            self.passing = self.gap();
        }
        self.passing -= (octets.len() - at) as u64;
        hit
    }

    /// How many octets pass until one is hit: geometric, so that sound octets cost no throw.
    fn gap(&mut self) -> u64 {
        if self.per_octet <= 0.0 {
            return u64::MAX;
        }
        if self.per_octet >= 1.0 {
            return 0;
        }
        let gap = (1.0 - self.dice.share()).ln() / (-self.per_octet).ln_1p();
        // More octets than any line ever carries.
        gap.min(1e15) as u64
    }

    fn strike(&mut self, octet: &mut Octet) {
        match self.model {
            NoiseModel::Bits => self.flip(octet),
            NoiseModel::Octets => {
                let roll = self.dice.roll();
                octet.octet = roll as u8;
                // A random parity bit is the right one half of the time.
                octet.damaged |= self.checked && roll >> 63 == 1;
            }
        }
    }

    fn flip(&mut self, octet: &mut Octet) {
        let bits = if self.checked { CHECKED_BITS } else { CHECKED_BITS - 1 };
        // The probability of one bit that gives the probability of the character.
        let sound = (-self.per_octet.min(0.999_999)).ln_1p() / f64::from(bits);
        let (bit, mut flips) = (-sound.exp_m1(), 0u32);
        // The first bit that is hit, given that one is; those behind it by themselves.
        let first = (self.dice.share() * self.per_octet.min(0.999_999)).mul_add(-1.0, 1.0).ln() / sound;
        let first = (first as u32).min(bits - 1);
        flips |= 1 << first;
        for other in first + 1..bits {
            flips |= u32::from(self.dice.hits(bit)) << other;
        }
        let (start, data, stop) = (flips & 1 != 0, (flips >> 1) as u8, flips >> (bits - 1) & 1 != 0);
        if self.checked {
            let parity = (flips >> 1 & 0x1FF).count_ones() % 2 == 1;
            octet.damaged |= start || stop || parity;
            octet.octet ^= data;
        } else if start {
            // Without its start bit the receiver begins in the middle of the character.
            octet.octet = self.dice.roll() as u8;
        } else {
            octet.octet ^= data;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 200,000 octets: how many were hit, came otherwise, and were marked; and changed ones that were not marked.
    fn struck(model: NoiseModel, per_octet: f64, checked: bool) -> [usize; 4] {
        let mut noise = Noise::new(model, per_octet, checked, 3);
        let (mut sums, mut piece) = ([0; 4], 0);
        for _ in 0..20_000 {
            // Pieces of different lengths, 10 octets on the average.
            piece = piece % 19 + 1;
            let mut octets = vec![Octet::of(0x5A); piece];
            sums[0] += noise.pass(&mut octets);
            sums[1] += octets.iter().filter(|o| o.octet != 0x5A).count();
            sums[2] += octets.iter().filter(|o| o.damaged).count();
            sums[3] += octets.iter().filter(|o| o.octet != 0x5A && !o.damaged).count();
        }
        sums
    }

    #[test]
    fn octets_are_hit_with_the_stated_probability_however_they_are_cut() {
        for (per_octet, range) in [(0.001, 150..250), (0.01, 1850..2150), (0.1, 19_500..20_500)] {
            for model in [NoiseModel::Bits, NoiseModel::Octets] {
                let [hit, ..] = struck(model, per_octet, true);
                assert!(range.contains(&hit), "{model:?} {per_octet}: {hit}");
            }
        }
        assert_eq!(struck(NoiseModel::Bits, 0.0, true), [0; 4]);
        assert!(struck(NoiseModel::Octets, 1.0, false)[0] > 190_000);
    }

    #[test]
    fn parity_marks_every_single_flip_and_half_of_the_replaced_octets() {
        let [hit, changed, marked, unseen] = struck(NoiseModel::Bits, 0.001, true);
        assert_eq!((marked, unseen), (hit, 0));
        assert!(changed < hit, "some flips are of the parity bit alone");
        let [hit, _, marked, unseen] = struck(NoiseModel::Octets, 0.1, true);
        assert!((hit * 9 / 20..hit * 11 / 20).contains(&marked) && unseen > hit * 2 / 5);
        for model in [NoiseModel::Bits, NoiseModel::Octets] {
            let [_, changed, marked, unseen] = struck(model, 0.1, false);
            assert_eq!((marked, unseen), (0, changed));
        }
    }
}
