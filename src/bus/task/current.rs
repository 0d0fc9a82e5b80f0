//! What is under way on the line: the questions to one meter, and for what.

use crate::bus::clock_check::ClockCheck;
use crate::bus::round::Round;
use crate::bus::visit::{Asks, Visit};
use crate::reading::Reason;
use crate::schedule::{Errand, Job};

/// What is under way.
#[derive(Debug)]
pub(super) enum Current {
    /// What a meter shows now.
    Round(Job, Box<Round>),
    /// What its clock shows.
    Check(Job, Box<ClockCheck>),
    /// What it keeps.
    Visit(Errand, Visit),
}

impl Current {
    /// Index of the meter.
    pub(super) const fn meter(&self) -> usize {
        match self {
            Self::Round(job, _) | Self::Check(job, _) => job.meter,
            Self::Visit(errand, _) => errand.meter,
        }
    }

    /// Who asks.
    pub(super) fn asks(&mut self) -> &mut (dyn Asks + Send) {
        match self {
            Self::Round(_, round) => round.as_mut(),
            Self::Check(_, check) => check.as_mut(),
            Self::Visit(_, visit) => visit,
        }
    }

    /// Ends it where it is.
    pub(super) fn abandoned(mut self, detail: &str) -> Self {
        self.asks().abandon(Reason::Expired, detail);
        self
    }
}
