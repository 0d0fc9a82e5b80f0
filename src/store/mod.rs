//! The durable store: one SQLite file that stands between the lines and the broker.
//!
//! An [`Entry`] is put, committed with its place in the outbox under a number of its own, offered to
//! the MQTT session as [`Pending`], and leaves the outbox when the broker has signed for that very number. It
//! then stays for a time in which it can be asked for again. The store knows which slots have their readings, what is
//! missing of the others, and keeps what was learned of meters and buses.
//!
//! It never offers what is not durable, never gives a number twice, never drops what nobody signed for without
//! an entry that says so, and never looks at a clock: time comes with what it is given.
//!
//! [`Writer`] is synchronous and holds the data directory's lock; [`start`] gives it to a task of its
//! own, which groups commits, and everyone else holds a [`Handle`]. No type of the database library
//! leaves this module.

mod audit;
mod cost;
mod error;
mod handle;
mod identity;
mod lanes;
mod learned;
mod lock;
mod look;
mod open;
mod ranges;
mod recent;
mod resend;
mod room;
mod runs;
mod salvage;
mod schema;
mod slots;
mod stands;
mod storing;
mod sum;
mod task;
mod terms;
mod writer;

pub use audit::{Audited, Begun, NotAudited};
pub use cost::written;
pub use error::{OpenError, StoreError};
pub use handle::Handle;
pub use lanes::{Lanes, Offered};
pub use learned::{About, Fact, Known, Scope};
pub use look::{Look, NoLook, SlotRead, look};
pub use runs::Run;
pub use slots::{SlotNote, SlotState};
pub use stands::Stand;
pub use task::{Lost, start};
pub use writer::{Batch, Committed, Writer};

use crate::config;
use jiff::Timestamp;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One message on its way into the store: its text, and what it is the readings of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Topic to publish on.
    pub topic: String,
    /// The JSON object's text behind `"seq":N,`: it begins with a key and ends with `}`.
    pub body: String,
    /// Whether the broker is to keep it for who subscribes later.
    pub retain: bool,
    /// What it is worth when the store is at its bound.
    pub worth: Worth,
    /// Whose readings it has; `None` for a message that is none of readings, which is always stored.
    pub identity: Option<Identity>,
    /// What is known of slots by it. Written with the message, and also where that is a duplicate.
    pub notes: Vec<SlotNote>,
}

/// What a message is worth: when the store is at its bound, of what nobody has signed for live data goes first, then
/// events, and settlement data last; within one worth the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Worth {
    /// Present values; the next ones come soon.
    Live,
    /// Something that happened, and a meter's state.
    Event,
    /// Daily and monthly values (日冻结, 月冻结), by which is settled.
    Settlement,
}

/// Which messages are asked for once more, signed for or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// By their numbers.
    Seq(RangeInclusive<u64>),
    /// Readings by their slot, all else by when it was stored.
    Time(RangeInclusive<Timestamp>),
}

/// Messages that are gone and that nobody had signed for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// Their numbers, ascending, in at most 100 ranges (of more, the nearest are joined); none of messages that the disk never took, which got no numbers.
    pub ranges: Vec<RangeInclusive<u64>>,
    /// How many, as far as is known.
    pub messages: u64,
    /// Why.
    pub why: Why,
}

/// Why messages are gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// The store is at its bound of bytes.
    Space,
    /// They were older than the store keeps them.
    Age,
    /// The disk took nothing for so long that memory was full.
    Refused,
    /// The file was damaged.
    Damaged,
}

/// Makes the message that tells of a loss. It runs inside a transaction, so it neither waits nor blocks.
pub type Announce = Arc<dyn Fn(&Dropped) -> Entry + Send + Sync>;

/// What the store is held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long a message may be in memory only.
    pub exposure: Duration,
    /// Bound of the file and its log together, in octets; at least [`config::Store::LEAST_BYTES`].
    pub max_bytes: u64,
    /// How long a message waits for the broker.
    pub max_age: Duration,
    /// How long a message that the broker has signed for can be asked for again.
    pub keep: Duration,
    /// Slots of this time before the newest stay known even at the bound, lest they be read again.
    pub known: Duration,
}

impl Rules {
    /// How long slots stay known where only present values are read.
    pub const KNOWN: Duration = Duration::from_secs(48 * 3600);

    /// The bound where none is set and the file system is large.
    pub const MOST_BYTES: u64 = 1 << 30;

    /// Those of the configuration, for a store in `dir`. Where no bound is set it is a quarter of the file system, from
    /// 16 MiB to 1 GiB: beside the store there is room for one that was set aside and for the one made of it. 64 MiB
    /// where the system does not say.
    pub fn of(written: &config::Store, dir: &Path) -> Self {
        let config::Store { exposure, max_bytes, max_age, keep } = *written;
        let size =
            || rustix::fs::statvfs(dir).map_or(256 << 20, |of| of.f_blocks.saturating_mul(of.f_frsize));
        let quarter = || (size() / 4).clamp(config::Store::LEAST_BYTES, Self::MOST_BYTES);
        Self { exposure, max_bytes: max_bytes.unwrap_or_else(quarter), max_age, keep, known: Self::KNOWN }
    }
}

impl Default for Rules {
    /// Those of a configuration without `[store]`, with 1 GiB.
    fn default() -> Self {
        let config::Store { exposure, max_age, keep, .. } = config::Store::default();
        Self { exposure, max_bytes: Self::MOST_BYTES, max_age, keep, known: Self::KNOWN }
    }
}

/// How the store is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Random id, 16 hexadecimal digits; a store that is made anew after damage has another.
    pub id: Arc<str>,
    /// Messages that nobody has signed for.
    pub backlog: u64,
    /// The oldest of them: the slot of readings, else when it was stored.
    pub oldest: Option<Timestamp>,
    /// Octets in use in the file.
    pub bytes: u64,
    /// Bound of the file and its log, in octets.
    pub max_bytes: u64,
    /// Why nothing is stored at present; what is read waits in memory.
    pub trouble: Option<StoreError>,
}

/// Whose readings a message has; what is stored with an identity is not stored again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Meter point.
    pub meter: String,
    /// Task.
    pub task: String,
    /// The instant that the readings are for; the store tells slots apart by the millisecond.
    pub slot: Timestamp,
    /// Names of the registers that have a value here; with meter, task and slot they are the identity. Messages that
    /// share the list cost the store less.
    pub registers: Arc<[String]>,
}

/// A message on its way to the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Its number; gapless within this store.
    pub seq: u64,
    /// Topic.
    pub topic: String,
    /// As in [`Entry`].
    pub body: String,
    /// As in [`Entry`].
    pub retain: bool,
}

/// The store's task has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store has been closed")]
pub struct Closed;
