//! Names of bits in bit words.

use crate::Edition;
use dlt645::format::Word;

/// A meaning of some bits of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BitSpec {
    /// Which of the words that the row's `nn` counts.
    pub(crate) number: Option<u8>,
    pub(crate) first: u8,
    pub(crate) last: u8,
    /// What the bits are when they mean this.
    pub(crate) value: u8,
    pub(crate) name: Box<str>,
    pub(crate) zh: Box<str>,
    pub(crate) edition: Edition,
}

/// Something that a bit word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bit {
    /// The bit, or the first of several; 0 is the lowest of the first octet.
    pub first: u8,
    /// The same, or the last of several.
    pub last: u8,
    /// What it means; `None` for a bit that is set and that the table does not name.
    pub name: Option<&'static str>,
    /// In Chinese.
    pub name_zh: Option<&'static str>,
    /// Who gave it this meaning; `None` where it has none.
    pub edition: Option<Edition>,
}

/// What a word says by these meanings: in the order of its bits, those that nobody named last.
pub(crate) fn said(
    specs: &'static [BitSpec],
    number: Option<u8>,
    word: Word,
) -> impl Iterator<Item = Bit> + use<> {
    let own = move || specs.iter().filter(move |spec| spec.number == number);
    let named = own().filter(move |spec| word.bits(spec.first, spec.last) == spec.value).map(|spec| Bit {
        first: spec.first,
        last: spec.last,
        name: Some(&*spec.name),
        name_zh: Some(&*spec.zh),
        edition: Some(spec.edition),
    });
    let known = move |n: u8| own().any(|spec| (spec.first..=spec.last).contains(&n));
    let others = (0..word.len()).filter(move |&n| word.bit(n) && !known(n));
    named.chain(others.map(|n| Bit { first: n, last: n, name: None, name_zh: None, edition: None }))
}
