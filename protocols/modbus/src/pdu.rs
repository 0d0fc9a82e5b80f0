//! What a request asks and an answer says, whatever frame carries it.

use crate::{Exception, Function, Span};
use alloc::vec::Vec;
use core::fmt;

/// Bit of the function that makes an answer an exception.
const EXCEPTION: u8 = 0x80;

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    unit: u8,
    function: u8,
    data: Vec<u8>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    unit: u8,
    function: u8,
    data: Vec<u8>,
}

impl Request {
    /// A request for registers.
    pub fn read(unit: u8, span: Span) -> Self {
        let [a1, a0] = span.address.to_be_bytes();
        let [c1, c0] = span.count.to_be_bytes();
        Self { unit, function: span.function.code(), data: [a1, a0, c1, c0].into() }
    }

    /// The request of a function and its data; `None` where there is not even a function.
    pub fn of_pdu(unit: u8, pdu: &[u8]) -> Option<Self> {
        let (function, data) = pdu.split_first()?;
        Some(Self { unit, function: *function, data: data.into() })
    }

    /// Whom it is to.
    pub const fn unit(&self) -> u8 {
        self.unit
    }

    /// The code of its function.
    pub const fn function(&self) -> u8 {
        self.function
    }

    /// The registers that it asks for, where it reads some.
    pub fn span(&self) -> Option<Span> {
        let function = Function::of(self.function)?;
        let [a1, a0, c1, c0] = *self.data.as_slice() else { return None };
        Some(Span { function, address: u16::from_be_bytes([a1, a0]), count: u16::from_be_bytes([c1, c0]) })
    }

    /// The function and its data.
    pub fn pdu(&self) -> Vec<u8> {
        pdu(self.function, &self.data)
    }
}

impl Reply {
    /// Registers.
    pub fn registers(unit: u8, function: Function, words: &[u16]) -> Self {
        let mut data = Vec::with_capacity(1 + 2 * words.len());
        data.push(u8::try_from(2 * words.len()).unwrap_or(u8::MAX));
        data.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        Self { unit, function: function.code(), data }
    }

    /// A refusal of this function.
    pub fn refusal(unit: u8, function: u8, exception: Exception) -> Self {
        Self { unit, function: function | EXCEPTION, data: [exception.code()].into() }
    }

    /// The answer of a function and its data; `None` where there is not even a function.
    pub fn of_pdu(unit: u8, pdu: &[u8]) -> Option<Self> {
        let (function, data) = pdu.split_first()?;
        Some(Self { unit, function: *function, data: data.into() })
    }

    /// Who gave it.
    pub const fn unit(&self) -> u8 {
        self.unit
    }

    /// The code of the function that it answers.
    pub const fn function(&self) -> u8 {
        self.function & !EXCEPTION
    }

    /// Its registers, where it has some and says how many octets they are.
    pub fn words(&self) -> Option<Vec<u16>> {
        Function::of(self.function)?;
        let (length, octets) = self.data.split_first()?;
        let whole = usize::from(*length) == octets.len() && octets.len().is_multiple_of(2);
        whole.then(|| octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// Why it refuses, where it does.
    pub fn exception(&self) -> Option<Exception> {
        let [code] = *self.data.as_slice() else { return None };
        (self.function & EXCEPTION != 0).then(|| Exception::of(code))
    }

    /// The function and its data.
    pub fn pdu(&self) -> Vec<u8> {
        pdu(self.function, &self.data)
    }
}

fn pdu(function: u8, data: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(1 + data.len());
    all.push(function);
    all.extend_from_slice(data);
    all
}

/// What a function does.
fn name(function: u8) -> &'static str {
    match function & !EXCEPTION {
        0x01 => "read coils",
        0x02 => "read discrete inputs",
        0x03 => "read holding registers",
        0x04 => "read input registers",
        0x05 => "write one coil",
        0x06 => "write one register",
        0x0F => "write coils",
        0x10 => "write registers",
        _ => "function of the maker's own",
    }
}

fn octets(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, " {octet:02X}"))
}

/// `unit 1, read input registers (04), 0034+2`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unit {}, {} ({:02X})", self.unit, name(self.function), self.function)?;
        match self.span() {
            Some(span) => write!(f, ", {:04X}+{}", span.address, span.count),
            None if self.data.is_empty() => Ok(()),
            None => {
                f.write_str(",")?;
                octets(f, &self.data)
            }
        }
    }
}

/// `unit 1, read input registers (04): 4366 3333`, `unit 1, read input registers (84): illegal data address (02)`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unit {}, {} ({:02X}):", self.unit, name(self.function), self.function)?;
        match (self.exception(), self.words()) {
            (Some(exception), _) => write!(f, " {exception}"),
            (None, Some(words)) => words.iter().try_for_each(|word| write!(f, " {word:04X}")),
            (None, None) => octets(f, &self.data),
        }
    }
}
