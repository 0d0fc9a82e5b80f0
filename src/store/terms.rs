//! What the writer is told to go by, and how it says it is.

use super::room;
use super::writer::count;
use super::{Announce, Dropped, Rules, State, StoreError, Why, Writer};
use jiff::Timestamp;

impl Writer {
    /// Holds the store to these rules from the next commit on; until then to [`Rules::default`].
    pub const fn hold_to(&mut self, rules: Rules) {
        self.terms.rules = rules;
    }

    /// Has every later loss announced by the entry that this makes; until then it is only logged.
    pub fn announce_by(&mut self, announce: Announce) {
        self.terms.announce = Some(announce);
    }

    /// The wall time that later messages are stored at, where they have no slot.
    pub const fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Has it announced with the next commit that so many messages, in all since the last one, found no room in
    /// memory while the disk refused them.
    pub fn refused(&mut self, messages: u64) {
        self.losses.retain(|loss| loss.why != Why::Refused);
        if messages > 0 {
            self.losses.push(Dropped { ranges: Vec::new(), messages, why: Why::Refused });
        }
    }

    /// Whether a loss waits for its announcement.
    pub const fn has_losses(&self) -> bool {
        !self.losses.is_empty()
    }

    /// How the store is, whether or not it can be read.
    pub(super) fn first_state(&mut self) -> State {
        let (id, max_bytes) = (self.id.as_str().into(), self.terms.rules.max_bytes);
        self.state().unwrap_or_else(|cause| State {
            id,
            backlog: 0,
            oldest: None,
            bytes: 0,
            max_bytes,
            trouble: Some(cause),
        })
    }

    /// How the store is.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn state(&mut self) -> Result<State, StoreError> {
        let (id, max_bytes) = (self.id.as_str().into(), self.terms.rules.max_bytes);
        self.with(|open| {
            let oldest = open.oldest()?.and_then(|at| Timestamp::from_millisecond(at).ok());
            let backlog = count(&open.connection)?.backlog.cast_unsigned();
            let bytes = room::used(&open.connection)? * room::PAGE;
            Ok(State { id, backlog, oldest, bytes, max_bytes, trouble: None })
        })
    }
}
