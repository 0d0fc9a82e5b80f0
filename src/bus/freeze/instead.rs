//! How a freeze is looked for, kind by kind, and what stands in for a freeze that a meter does not have: of a month its settlement registers (结算日), at the slot itself
//! the present ones.

use super::values::Said;
use super::walk::Walk;
use super::{Freeze, Kind, Step, Want};
use crate::bus::settlements::Days;
use crate::bus::talk::NoReply;
use crate::reading::{Quality, Reason, Source};
use catalogue::Standard;
use dlt645::Edition;
use dlt645::format::Value;
use jiff::SignedDuration;
use jiff::civil;
use std::cmp::Ordering;

/// How late present registers may stand in for a freeze that a meter does not have.
pub const STANDS_IN: SignedDuration = SignedDuration::from_mins(15);
/// The times of a meter's settlements in a month.
const SETTLEMENTS: u8 = 3;

impl Freeze {
    /// Begins to look for the slot's freeze of this kind.
    pub(super) fn begin_walk(&mut self, kind: Kind) {
        self.kind = kind;
        self.source = kind.source();
        self.freeze = None;
        self.doubt = None;
        let commanded = self.want.commanded_at().filter(|_| kind == Kind::Instant);
        let slot = commanded.unwrap_or(self.want.frozen_at);
        self.step = Step::Stamp(Walk::new(kind, slot, self.want.now));
    }

    /// The next kind that the meter may have.
    pub(super) fn next_kind(&mut self) {
        match Kind::FROZEN.into_iter().find(|kind| !self.lacking.contains(kind)) {
            Some(kind) => self.begin_walk(kind),
            None => self.instead(),
        }
    }

    /// A meter that is known to have no freeze.
    pub(super) fn without_freeze(&mut self) {
        // Where a Modbus meter would keep its last settlement, each model has another way.
        if self.want.standard == Standard::Modbus || !self.begin_settlement() {
            self.instead();
        }
    }

    /// The freeze that was commanded, else the present registers.
    pub(super) fn instead(&mut self) {
        let is_commanded = self.want.commanded.is_some() && self.want.standard.is(Edition::E2007);
        if is_commanded && !self.lacking.contains(&Kind::Instant) {
            self.begin_walk(Kind::Instant);
        } else {
            self.kind = Kind::NotFrozen;
            let found = (self.want.standard.is(Edition::E2007)).then_some(Kind::NotFrozen);
            self.found = self.found.or(found);
            self.present();
        }
    }

    /// Present registers stand in, if they still can.
    pub(super) fn present(&mut self) {
        self.source = Source::Present;
        if !self.want.is_in_time() {
            let slot = self.want.frozen_at.strftime("%Y-%m-%dT%H:%M");
            return self.gone(format!(
                "the meter has no freeze of {slot}, and its present registers can stand in for one only in the {} \
                 minutes after it",
                STANDS_IN.as_mins()
            ));
        }
        let why = "the meter does not freeze its registers: the present ones were read".to_owned();
        self.doubt = Some((Quality::NotFrozen, why));
        self.read_values("", "present registers");
    }

    /// Goes to the settlement registers; `false` where they are not the slot's or were asked for already.
    pub(super) fn begin_settlement(&mut self) -> bool {
        let Want { is_month, now, frozen_at, .. } = self.want;
        let is_last = frozen_at.date().day() == 1
            && frozen_at.time() == civil::Time::midnight()
            && now.date().first_of_month() == frozen_at.date();
        let begins = is_month && is_last && !std::mem::replace(&mut self.settlement_asked, true);
        if begins {
            self.source = Source::Settlement;
            self.step = Step::Settlement(1);
        }
        begins
    }

    /// What was heard of the meter's settlement days (结算日), from the first on; nothing where they were not asked for.
    pub const fn settlements(&self) -> &Days {
        &self.settlements
    }

    pub(super) fn take_settlement(&mut self, n: u8, said: &Said) {
        match said {
            Said::Value(Value::Recurring(set)) => drop(self.settlements.push(Some(*set))),
            Said::Unset => drop(self.settlements.push(None)),
            Said::Value(_) | Said::Lacks => {}
        }
        let days = if self.want.standard.is(Edition::E1997) { 1 } else { SETTLEMENTS };
        let (fits, more) = match (n, said) {
            (1, Said::Value(Value::Recurring(set))) => {
                (set.day == 1 && set.time.is_none_or(|time| time.hour == 0), n < days)
            }
            (1, _) => (false, false),
            (_, Said::Unset) => (true, n < days),
            (_, Said::Value(_) | Said::Lacks) => (false, false),
        };
        if !fits {
            self.no_settlement();
        } else if more {
            self.step = Step::Settlement(n + 1);
        } else {
            self.step = Step::Today;
        }
    }

    /// The last settlement is the month's only where the meter's clock is in the month after it.
    pub(super) fn take_today(&mut self, said: &Said) {
        let Said::Value(Value::Date(today)) = said else { return self.no_settlement() };
        let month = |year: i16, month: i8| i32::from(year) * 12 + i32::from(month);
        let its = month(2000 + i16::from(today.year), i8::try_from(today.month).unwrap_or(0));
        let first = self.want.frozen_at.date();
        match its.cmp(&month(first.year(), first.month())) {
            Ordering::Equal => self.read_values("_s1", "settlement day (结算日)"),
            Ordering::Less => {
                let detail = format!("not settled yet (结算日): the meter's clock shows {today}");
                self.fail(&NoReply::of(Reason::Missing, detail));
            }
            // It has settled another month since.
            Ordering::Greater => self.no_settlement(),
        }
    }

    /// The settlement registers are not those of the month.
    fn no_settlement(&mut self) {
        match self.absent.take() {
            Some(why) => self.gone(format!(
                "{why}; and it is not set to settle at 00:00 of the 1st alone, so that its settlement registers cannot \
                 stand in"
            )),
            None if self.kind == Kind::NotFrozen => self.instead(),
            None if !self.lacking.contains(&self.kind) => self.begin_walk(self.kind),
            None => self.next_kind(),
        }
    }
}
