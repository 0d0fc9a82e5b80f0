//! How much a line damages what comes over it (线路干扰). Pure.
//!
//! The 8-bit sum of a frame lets some damage through, and parity half of a burst. What came damaged visibly tells how
//! much came damaged unseen: while a line is noisy, a value is believed when two answers agree. `examples/noise.rs`
//! measures what that is worth.
//!
//! Silence, late answers and other meters' answers are no noise; nor is a meter of which never a frame comes, which has
//! another rate.

use super::exchange::Noted;
use dlt645::exchange::{Failure, Outcome};

/// Octets that are no noise yet: an adapter that turns round makes them, and they say nothing about rate and parity.
pub(super) const GLITCH: usize = 2;
/// Answers behind a damaged one that a burst may have hit too.
const BURST: u64 = 16;
/// Two damaged answers within so many are more than chance: one in 250. Where characters have no parity, 10^7 answers of
/// a line half as noisy bring no wrong value that fits the sum.
const OFTEN: u64 = 512;
/// Damaged answers that are told of, and within how many.
const TOLD: usize = 4;
const WITHIN: u64 = 128;
/// Exchanges behind one without an answer in which the end of a late one may come, which is no frame.
const LATE: u8 = 2;

/// The noise of one line, by its last answers.
#[derive(Debug, Default)]
pub struct Noise {
    answers: u64,
    /// Numbers of the last damaged answers, from 1 on, the newest first.
    damaged: [u64; TOLD],
    /// Of the question that is asked: an answer came damaged, or octets that were no frame.
    garbled: bool,
    shapeless: bool,
    /// Exchanges to come in which the end of a late answer may come.
    late: u8,
    told: bool,
}

/// What has become of a line, told once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It damages so many of the last answers.
    Noisy {
        /// Damaged ones.
        damaged: usize,
        /// Of so many.
        answers: u64,
    },
    /// It does not any more.
    Quiet,
}

impl Noise {
    /// Takes one exchange of a question: how it ended, and what else came.
    pub fn heard(&mut self, outcome: &Outcome, noted: &Noted) {
        let garbage = noted.noise > GLITCH && self.late == 0;
        self.late = self.late.saturating_sub(1);
        self.garbled |= noted.damaged > 0;
        match outcome {
            Outcome::Failed(Failure::Damaged { .. }) => self.shapeless |= garbage,
            Outcome::Failed(Failure::Silent | Failure::Stray | Failure::Unfinished) => self.late = LATE,
            Outcome::Data { .. }
            | Outcome::Address { .. }
            | Outcome::Done { .. }
            | Outcome::Refused(_)
            | Outcome::Sent => self.garbled |= garbage,
        }
    }

    /// The question is over, with an answer or a refusal or without. Tells if the line has become another.
    pub fn over(&mut self, is_answered: bool) -> Option<Turn> {
        let shapeless = std::mem::take(&mut self.shapeless) && is_answered;
        let is_damaged = std::mem::take(&mut self.garbled) || shapeless;
        if is_answered || is_damaged {
            self.answers += 1;
        }
        if is_damaged {
            self.damaged.rotate_right(1);
            self.damaged[0] = self.answers;
        }
        if !self.told && self.have_come(TOLD, WITHIN) {
            self.told = true;
            let answers = self.answers - self.damaged[TOLD - 1] + 1;
            return Some(Turn::Noisy { damaged: TOLD, answers });
        }
        (!self.is_noisy() && std::mem::take(&mut self.told)).then_some(Turn::Quiet)
    }

    /// Whether an answer that came now may be damaged though it looks sound.
    pub fn is_noisy(&self) -> bool {
        self.have_come(1, BURST) || self.have_come(2, OFTEN)
    }

    /// Whether so many of the last answers came damaged.
    fn have_come(&self, damaged: usize, answers: u64) -> bool {
        let oldest = self.damaged[damaged - 1];
        oldest > 0 && self.answers - oldest < answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlt645::ErrorWord;

    const DATA: Outcome = Outcome::Refused(ErrorWord::NO_REQUESTED_DATA);
    const SILENT: Outcome = Outcome::Failed(Failure::Silent);
    const SHAPELESS: Outcome = Outcome::Failed(Failure::Damaged { octets: 20, never_a_frame: true });

    fn noted(damaged: u32, noise: usize) -> Noted {
        Noted { damaged, noise, ..Noted::default() }
    }

    /// A question with its tries.
    fn asked(noise: &mut Noise, tries: &[(&Outcome, Noted)]) -> Option<Turn> {
        tries.iter().for_each(|(outcome, noted)| noise.heard(outcome, noted));
        noise.over(tries.last().is_some_and(|(outcome, _)| **outcome == DATA))
    }

    fn sound(noise: &mut Noise, answers: u64) -> Vec<Turn> {
        (0..answers).filter_map(|_| asked(noise, &[(&DATA, noted(0, 0))])).collect()
    }

    #[test]
    fn damage_shows_also_where_the_answer_was_sound_in_the_end() {
        let bad = Outcome::Failed(Failure::Damaged { octets: 20, never_a_frame: false });
        for tries in [
            &[(&DATA, noted(1, 0))][..],
            &[(&DATA, noted(0, 3))],
            &[(&bad, noted(1, 20)), (&DATA, noted(0, 0))],
            &[(&SHAPELESS, noted(0, 20)), (&DATA, noted(0, 0))],
            &[(&bad, noted(1, 20)), (&bad, noted(1, 20))],
        ] {
            let mut noise = Noise::default();
            asked(&mut noise, tries);
            assert!(noise.is_noisy(), "{tries:?}");
        }
    }

    #[test]
    fn silence_late_answers_glitches_and_another_rate_are_no_noise() {
        let mut noise = Noise::default();
        for _ in 0..100 {
            for tries in [
                &[(&SILENT, noted(0, 0)), (&SILENT, noted(0, 0))][..],
                // The late answer to the first try is taken; the one to the second ends in the next question.
                &[(&SILENT, noted(0, 0)), (&DATA, noted(0, 0))],
                &[(&DATA, noted(0, 12))],
                &[(&Outcome::Failed(Failure::Stray), noted(0, 0)), (&DATA, noted(0, 9))],
                &[(&DATA, noted(0, 0))],
                &[(&DATA, noted(0, 2))],
                &[(&SHAPELESS, noted(0, 20)), (&SHAPELESS, noted(0, 17))],
            ] {
                assert_eq!(asked(&mut noise, tries), None);
                assert!(!noise.is_noisy(), "{tries:?}");
            }
        }
    }

    #[test]
    fn one_hit_is_a_burst_and_a_second_one_within_512_answers_is_noise() {
        let mut noise = Noise::default();
        let hit = [(&DATA, noted(1, 0))];
        asked(&mut noise, &hit);
        sound(&mut noise, BURST - 1);
        assert!(noise.is_noisy());
        sound(&mut noise, 1);
        assert!(!noise.is_noisy(), "a rare hit costs 16 answers");
        sound(&mut noise, OFTEN);
        asked(&mut noise, &hit);
        sound(&mut noise, BURST);
        assert!(!noise.is_noisy(), "the one before it is too long ago");
        asked(&mut noise, &hit);
        sound(&mut noise, OFTEN - BURST - 3);
        assert!(noise.is_noisy());
        sound(&mut noise, BURST);
        assert!(!noise.is_noisy());
    }

    #[test]
    fn a_noisy_line_is_told_once_and_once_when_it_is_quiet() {
        let mut noise = Noise::default();
        let hit = [(&DATA, noted(1, 0))];
        let mut told = Vec::new();
        for _ in 0..10 {
            told.extend(asked(&mut noise, &hit));
            told.extend(sound(&mut noise, 9));
        }
        assert_eq!(told, [Turn::Noisy { damaged: 4, answers: 31 }]);
        assert_eq!(sound(&mut noise, OFTEN), [Turn::Quiet]);
        assert_eq!(sound(&mut noise, OFTEN), []);
        for _ in 0..3 {
            assert_eq!(asked(&mut noise, &hit), None, "rare hits are not told");
            assert_eq!(sound(&mut noise, WITHIN), []);
        }
    }
}
