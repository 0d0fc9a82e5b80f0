//! Why slots passed unread. Pure.

use crate::clock::Steps;
use crate::event::Passed;
use jiff::Timestamp;
use std::time::Duration;

/// The looks at the clock that open slots.
#[derive(Debug, Default)]
pub(super) struct Looks {
    steps: Steps,
    distrusted: bool,
}

impl Looks {
    /// The clock was not trusted, so no slot was opened.
    pub(super) const fn distrusted(&mut self) {
        self.distrusted = true;
    }

    /// A look that opens slots: why those that it finds passed were not opened before.
    pub(super) fn at(&mut self, elapsed: Duration, wall: Timestamp) -> Passed {
        let stepped = self.steps.look(elapsed, wall).is_some_and(|(before, after)| after > before);
        match (std::mem::take(&mut self.distrusted), stepped) {
            (true, _) => Passed::ClockNotTrusted,
            (false, true) => Passed::ClockStepped,
            (false, false) => Passed::Late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_pass_by_a_step_by_distrust_or_by_a_busy_line() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut looks = Looks::default();
        let mut look = |elapsed, wall| looks.at(Duration::from_secs(elapsed), at(wall));
        assert_eq!(look(0, 0), Passed::Late);
        assert_eq!(look(300, 300), Passed::Late);
        assert_eq!(look(301, 901), Passed::ClockStepped);
        assert_eq!(look(302, 902), Passed::Late);
        assert_eq!(look(303, 300), Passed::Late, "a step back passes no slot over");
        looks.distrusted();
        assert_eq!(looks.at(Duration::from_secs(400), at(900)), Passed::ClockNotTrusted);
        assert_eq!(looks.at(Duration::from_secs(401), at(901)), Passed::Late);
    }
}
