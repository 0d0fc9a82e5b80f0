//! The settlement days (结算日) behind a look at a clock: near them no clock is set.

use super::{ClockCheck, Step};
use crate::bus::round::Lesson;
use crate::bus::settlements::Days;
use crate::bus::talk::{Answer, NoReply};
use crate::reading::Reason;
use catalogue::{Catalogue, Register};
use dlt645::Edition;
use dlt645::format::{NoValue, Value};

impl ClockCheck {
    /// Goes on with the settlement days, if they are wanted and to be had; else the visit is over. What one answer says
    /// counts, so that a noisy line is asked another time.
    pub(super) fn settlement(&mut self) {
        let is_asked = self.want.settlements && self.finding.is_some() && !self.noisy;
        let lacks = |register: Register| self.want.refused.contains(&register.id());
        let next = is_asked.then(|| self.settlement_day()).flatten().filter(|next| !lacks(*next));
        self.step = if next.is_some() { Step::Settlement } else { Step::Over };
    }

    /// The next one that has not been heard.
    pub(super) fn settlement_day(&self) -> Option<Register> {
        let (edition, heard) = (self.want.standard.edition()?, self.settlements.heard());
        let table = self.want.wanted.first().map_or_else(|| Catalogue::of(edition), Register::table);
        let is_left = heard < Days::count(edition);
        is_left.then(|| table.by_name(&format!("settlement_day_{}", heard + 1))).flatten()
    }

    /// Takes a day. What is not to be understood, or not to be had, leaves them unknown.
    pub(super) fn take_settlement(&mut self, register: Register, came: Result<Answer, NoReply>) {
        self.step = Step::Over;
        let id = register.id();
        let answer = match came {
            Ok(answer) => answer,
            Err(none) => {
                let lacks = none.lacks();
                let unheard = none.reason == Reason::Silent && self.want.standard.is(Edition::E1997);
                self.lessons.extend(lacks.then_some(Lesson::Lacks(id)));
                self.lessons.extend(unheard.then_some(Lesson::Unheard(id)));
                return;
            }
        };
        self.lessons.push(Lesson::Has(id));
        let is_taken = match register.decode(&answer.octets) {
            Ok(Value::Recurring(set)) => self.settlements.push(Some(set)),
            Err(NoValue::Unset) => self.settlements.push(None),
            Ok(_) | Err(NoValue::Missing | NoValue::Implausible(_)) => false,
        };
        if is_taken {
            self.settlement();
        }
    }
}
