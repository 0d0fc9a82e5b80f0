//! Modbus as electricity meters speak it: registers and their values, frames, exchanges.
//!
//! - [`Span`]: registers of one request; [`UnitId`]: whom; [`Exception`]: why a meter refuses.
//! - [`Format`]: how the words of a register are a [`Value`]: type, order of words and octets, exact scale.
//! - [`rtu`] and [`tcp`]: the frames of both directions, as they stand on the line.
//! - [`exchange`]: one request and what comes back, without I/O; time is an argument.
//! - [`tables`]: the text of the profiles of meter models, which it does not read.
//!
//! Who asks uses a library for the requests; this crate says which octets answer them, explains frames to people, and
//! is the meters' side of tests.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod exception;
pub mod exchange;
mod pdu;
pub mod rtu;
mod scale;
mod span;
pub mod tables;
pub mod tcp;
mod unit;
mod value;

pub use exception::Exception;
pub use scale::{BadScale, Scale};
pub use span::{BadSpan, Function, Span};
pub use unit::{BadUnitId, UnitId};
pub use value::{DoesNotFit, Format, NoValue, Order, Type, Value};
