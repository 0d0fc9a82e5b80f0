//! Virtual meters on one virtual line: what `meterd simulate`, `meterd demo` and the tests read from.
//!
//! ```text
//! scenario ─► VirtualMeter × n ─► VirtualLine ─► Pair ─► port (pty · TCP · memory · Modbus TCP)
//!             ModbusMeter × m        ▲           wire      │
//!             house ◄─ load          └──── octets heard ◄──┘
//! ```
//!
//! Everything left of the port is pure: a seed and a time give the octets. Formats and layouts are those
//! of the same catalogue that the daemon reads with, so a mistake in it shows in the golden frames,
//! never here; those of Modbus are of the meter's profile. A virtual meter answers reads, and obeys a freeze command and the time that is broadcast; nothing else can be
//! written to it.

mod calendar;
mod dice;
mod edition_1997;
mod fault;
mod freeze;
mod gateway;
mod house;
mod in_memory;
mod line;
mod listen;
mod load;
mod memory;
mod meter;
mod modbus;
mod paced;
mod pair;
mod profile;
mod pty;
mod scenario;
mod serve;
mod supply;
mod tcp;
mod wire;

pub use calendar::{BadOffset, utc_offset};
pub use dice::Dice;
pub use fault::{BadInjection, Injection, LineFault, Noise, NoiseModel, Per, Tally};
pub use freeze::Refreeze;
pub use house::Phases;
pub use in_memory::{InMemory, Outage, in_memory, in_memory_with};
pub use line::{Answer, Log, Said, Sender, Sent, VirtualLine};
pub use listen::{BadListen, Bound, Listen, ListenError};
pub use memory::Memory;
pub use meter::{Fixed, MOST_TARIFFS, MeterSettings, VirtualMeter};
pub use modbus::{FixedWords, ModbusMeter, ModbusSettings};
pub use pair::Pair;
pub use profile::{CLASSES, Intervals};
pub use scenario::{DEFAULT_SEED, Fault, Faults, Scenario, TooMany, TooManyUnits};
pub use serve::{Port, Running, bind, serve, spawn};
pub use wire::{Delivery, Octet};
