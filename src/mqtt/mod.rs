//! The way to the head-end (主站): topics, payloads, and the session that keeps the store's promise.
//!
//! What the store holds is published in order and leaves the store only when the broker has signed
//! for it (PUBACK). This part never holds a message that the store does not hold, never changes a
//! value, and never lets a type of the MQTT library out.

pub mod asyncapi;
mod connection;
pub mod home_assistant;
pub mod json;
pub mod payload;
pub mod session;
pub mod status;
pub mod topics;
pub mod watch;

pub use connection::access::worth_a_look;
pub use session::{Counters, Counts, DIRECTS, Direct, INCOMING, Incoming, Properties, Qos, Settings, Ways};
pub use status::{Alarm, AlarmWord, Status, StatusMessage};

/// Version of the payloads, the key `v` of every message. A change that breaks a reader raises it.
pub const PAYLOAD_VERSION: u8 = 1;
