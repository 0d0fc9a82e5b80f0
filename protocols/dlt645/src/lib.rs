//! DL/T 645-2007 and -1997: what goes over the wire between a reader and an electricity meter (电能表).
//!
//! Everything here is pure: octets and times come in as arguments, octets and events go out. It never
//! opens a port, reads a clock, or decides which register to ask for.
//!
//! - [`Address`], [`Di`]: who is asked, and for what (通信地址, 数据标识).
//! - [`frame`]: one frame as a checked view over octets, and its emission.
//! - [`scanner`]: frames out of any stream of octets: noise, echo, pieces.
//! - [`pdu`]: [`Request`](pdu::Request) and [`Reply`](pdu::Reply) by control code and direction, every
//!   function of both editions.
//! - [`error_word`]: why a meter refuses, in the words of its edition (错误信息字).
//! - [`exchange`]: one request and all that may come back, as a state machine without I/O.
//! - [`meter`]: the other side: from a request to the frame that a meter answers.
//! - [`format`](mod@format): octets of one register to its value and back.
//! - [`tables`]: the text of the tables of registers, which this crate does not read.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod di;
pub mod error_word;
pub mod exchange;
pub mod format;
pub mod frame;
pub mod meter;
pub mod pdu;
pub mod scanner;
pub mod tables;

pub use address::{Address, BadAddress};
pub use di::{BadDi, Di, Edition, Wire};
pub use error_word::ErrorWord;
