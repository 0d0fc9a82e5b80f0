//! What a Modbus meter's own settings make of its registers: which of its model's maps it has, its ratios, powers of
//! ten; and which requests it refuses to be asked at once.

use crate::planner::{Ask, Costs, Subject, replan};
use crate::reading::{Content, Decoded, Failure, Quality, Ratio, Reading, Reason, Transformers, one};
use catalogue::{Identifier, Manner, Register, Standard};
use jiff::Timestamp;
use modbus::Span;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeSet;

/// A request that was refused as a whole, and was asked for in two.
#[derive(Debug)]
struct Split {
    /// What the meter refuses if it takes both halves: the addresses between them, else the whole.
    culprit: Span,
    /// Halves that were not answered yet.
    open: Vec<Span>,
}

/// The model of one meter in one round.
#[derive(Debug)]
pub(super) struct Model {
    manner: &'static Manner,
    /// What is wanted, in the maps of which it was named.
    wanted: Vec<Register>,
    /// Which map the meter has.
    map: Option<u8>,
    /// The map whose probe is out.
    probing: Option<u8>,
    /// Registers that others are scaled by, and what they said.
    scales: Vec<(String, Result<Decimal, String>)>,
    splits: Vec<Split>,
}

/// What is to be done with the registers of a model after an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// Another probe is to go out.
    Probe(Ask),
    /// The map is known: these are to be read.
    Read(Vec<Register>),
    /// The meter has none of the maps.
    NoMap(String),
}

impl Model {
    /// The model of the meter that these are wanted of; `None` where it speaks no Modbus.
    pub(super) fn of(wanted: &[Register], map: Option<u8>) -> Option<Self> {
        let first = wanted.first().filter(|first| first.standard() == Standard::Modbus)?;
        let manner = first.table().manner()?;
        let map = map.filter(|map| usize::from(*map) < manner.maps.len());
        Some(Self {
            manner,
            wanted: wanted.to_vec(),
            map,
            probing: None,
            scales: Vec::new(),
            splits: Vec::new(),
        })
    }

    /// What is to be asked first: the map, where some of the registers depend on it, or where an identification says
    /// whether it is this model at all.
    pub(super) fn begin(&mut self) -> Next {
        let maps = &self.manner.maps;
        let depends = self.wanted.iter().any(|wanted| wanted.location().is_some_and(|own| own.map.is_some()));
        let identifies = maps.iter().any(|map| !map.values.is_empty());
        if maps.is_empty() || self.map.is_some() || !(depends || identifies) {
            return Next::Read(self.variants());
        }
        self.probe(0)
    }

    fn probe(&mut self, from: u8) -> Next {
        self.probing = Some(from);
        match self.manner.maps.get(usize::from(from)) {
            Some(map) => Next::Probe(Ask { subject: Subject::Span(map.probe), wanted: [].into() }),
            None => Next::NoMap("it has none of the maps of its profile; look at its model".to_owned()),
        }
    }

    /// What is wanted.
    pub(super) fn wanted(&self) -> &[Register] {
        &self.wanted
    }

    /// Whether a probe is out.
    pub(super) const fn is_probing(&self) -> bool {
        self.probing.is_some()
    }

    /// The map that the meter was found to have.
    pub(super) const fn map(&self) -> Option<u8> {
        self.map
    }

    /// Takes the answer to the probe; `None` where the meter refused it.
    pub(super) fn probed(&mut self, octets: Option<&[u8]>) -> Next {
        let Some(from) = self.probing.take() else { return Next::Read(self.variants()) };
        let Some(asked) = self.manner.maps.get(usize::from(from)) else { return self.probe(u8::MAX) };
        let Some(octets) = octets else {
            // Another map may be known by the same registers, which the meter does not have.
            let other = (from + 1..).zip(self.manner.maps.iter().skip(usize::from(from) + 1));
            let next = other.into_iter().find(|(_, map)| map.probe != asked.probe).map(|(n, _)| n);
            return self.probe(next.unwrap_or(u8::MAX));
        };
        let words = words(octets);
        let said = asked.format.raw(&words);
        let fits = |map: &catalogue::Map| {
            map.probe == asked.probe
                && (map.values.is_empty() || said.is_some_and(|said| map.values.contains(&said)))
        };
        let candidates = (from..).zip(self.manner.maps.iter().skip(usize::from(from)));
        match candidates.clone().find(|(_, map)| fits(map)) {
            Some((found, _)) => {
                self.map = Some(found);
                Next::Read(self.variants())
            }
            None => match candidates.into_iter().find(|(_, map)| map.probe != asked.probe) {
                Some((next, _)) => self.probe(next),
                None => Next::NoMap(format!(
                    "its identification is {}, which is none of its profile; look at its model",
                    said.map_or_else(|| "unreadable".to_owned(), |said| said.to_string())
                )),
            },
        }
    }

    /// The registers of the meter's own map that stand for those that are wanted.
    fn variants(&self) -> Vec<Register> {
        self.wanted.iter().filter_map(|wanted| self.variant(wanted)).collect()
    }

    fn variant(&self, wanted: &Register) -> Option<Register> {
        let own = wanted.location()?.map;
        if own.is_none() || own == self.map {
            return Some(*wanted);
        }
        let name = wanted.name().to_string();
        let is_it = |other: &Register| {
            other.location().is_some_and(|location| location.map == self.map)
                && other.name().to_string() == name
        };
        wanted.table().registers().find(is_it)
    }

    /// The wanted registers that the meter's map does not have.
    pub(super) fn lacking(&self) -> Vec<Register> {
        self.wanted.iter().filter(|wanted| self.variant(wanted).is_none()).copied().collect()
    }

    /// What was wanted where this was read; `None` of what was read for others alone.
    pub(super) fn wanted_by(&self, read: &Register) -> Option<Register> {
        let is_it = |wanted: &&Register| {
            *wanted == read || self.variant(wanted).is_some_and(|variant| variant == *read)
        };
        self.wanted.iter().find(is_it).copied()
    }

    /// Decodes an answer.
    pub(super) fn decode(
        &mut self,
        ask: &Ask,
        octets: &[u8],
        taken_at: Timestamp,
        archive: Transformers,
    ) -> Decoded {
        let Subject::Span(span) = ask.subject else { return Decoded::default() };
        let all = words(octets);
        let mut decoded = Decoded::default();
        let mut registers = ask.wanted.to_vec();
        registers.sort_by_key(|register| !self.is_scale(register));
        for register in registers {
            let Some(location) = register.location() else { continue };
            let from = usize::from(location.span.address - span.address);
            let own = all.get(from..from + usize::from(location.span.count)).unwrap_or_default();
            let mut read = Decoded::default();
            match self.exponent(location.exponent.as_deref()) {
                Ok(exponent) => {
                    let (transformers, unknown) = self.transformers(&register, archive);
                    let value = register.decode_words(own, exponent).map(Content::Value);
                    one(&mut read, register, value, &octets_of(own), taken_at, transformers);
                    if let (Some(why), Some(reading)) = (unknown, read.readings.last_mut()) {
                        (reading.quality, reading.why) = (Quality::Suspect, Some(why));
                    }
                }
                Err(detail) => {
                    read.failures.push(Failure { register, reason: Reason::Missing, detail, raw: None })
                }
            }
            if self.is_scale(&register) {
                self.learn(&register, &read);
            }
            let Some(wanted) = self.wanted_by(&register) else { continue };
            decoded
                .readings
                .extend(read.readings.into_iter().map(|reading| Reading { register: wanted, ..reading }));
            decoded
                .failures
                .extend(read.failures.into_iter().map(|failure| Failure { register: wanted, ..failure }));
        }
        decoded
    }

    fn is_scale(&self, register: &Register) -> bool {
        let name = register.name().to_string();
        let is_ratio = [&self.manner.ct, &self.manner.pt].into_iter().flatten().any(|own| **own == *name);
        is_ratio || self.exponents().any(|own| *own == *name)
    }

    fn exponents(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.wanted.iter().filter_map(|wanted| wanted.location()?.exponent.as_deref())
    }

    fn learn(&mut self, register: &Register, read: &Decoded) {
        let said = match (
            read.readings.first().and_then(|reading| reading.value()?.number()),
            read.failures.first(),
        ) {
            (Some(number), _) => Ok(number),
            (None, Some(failure)) => Err(failure.detail.clone()),
            (None, None) => Err("it is no number".to_owned()),
        };
        let name = register.name().to_string();
        self.scales.retain(|(own, _)| *own != name);
        self.scales.push((name, said));
    }

    /// What could not be read, so that others cannot be scaled by it.
    pub(super) fn failed(&mut self, registers: &[Register], detail: &str) {
        for register in registers.iter().filter(|register| self.is_scale(register)).collect::<Vec<_>>() {
            self.scales.push((register.name().to_string(), Err(detail.to_owned())));
        }
    }

    fn scale(&self, name: &str) -> Result<Decimal, String> {
        match self.scales.iter().find(|(own, _)| own == name) {
            Some((_, Ok(number))) => Ok(*number),
            Some((_, Err(why))) => Err(format!("its {name} could not be read: {why}")),
            None => Err(format!("its {name} was not read")),
        }
    }

    fn exponent(&self, name: Option<&str>) -> Result<i32, String> {
        let Some(name) = name else { return Ok(0) };
        let exponent = self.scale(name)?;
        let whole = exponent.is_integer().then(|| exponent.to_i32()).flatten();
        whole.filter(|n| n.abs() <= 18).ok_or_else(|| format!("its {name} {exponent} is no power of ten"))
    }

    /// The transformers of a register: those of the archive, else the meter's own; and why they are not known, where
    /// they could not be read.
    fn transformers(&self, register: &Register, archive: Transformers) -> (Transformers, Option<String>) {
        let is_primary = register.location().is_some_and(|location| location.primary);
        if is_primary || self.is_scale(register) {
            return (Transformers::default(), None);
        }
        if archive.multiplier().is_some() {
            return (archive, None);
        }
        let mut unknown = None;
        let mut own = |name: &Option<Box<str>>| {
            let said = self.scale(name.as_deref()?);
            let ratio = said
                .and_then(|number| Ratio::of(number).ok_or_else(|| format!("its ratio {number} is none")));
            ratio.map_err(|why| unknown = Some(why)).ok()
        };
        let (ct, pt) = (own(&self.manner.ct), own(&self.manner.pt));
        if let Some(why) = unknown {
            return (Transformers::default(), Some(why));
        }
        (Transformers { ct, pt, multiplier: None }, None)
    }

    /// A request for several registers was refused: it is asked for in two.
    pub(super) fn split(&mut self, ask: &Ask, refused: &BTreeSet<Identifier>, costs: &Costs) -> Vec<Ask> {
        let Subject::Span(span) = ask.subject else { return Vec::new() };
        self.splits.retain(|split| !split.open.contains(&span));
        let mut spots: Vec<(Span, Register)> =
            ask.wanted.iter().filter_map(|register| Some((register.location()?.span, *register))).collect();
        spots.sort_by_key(|(span, _)| *span);
        let gap = |n: &usize| {
            let (before, after) = (spots[n - 1].0.end(), u32::from(spots[*n].0.address));
            (after.saturating_sub(before), usize::MAX - n.abs_diff(spots.len() / 2))
        };
        let Some(at) = (1..spots.len()).max_by_key(gap) else { return Vec::new() };
        let (before, after) = (spots[at - 1].0.end(), u32::from(spots[at].0.address));
        let between = u16::try_from(before).ok().filter(|_| after > before);
        let culprit =
            between.map_or(span, |address| Span { address, count: (after - before) as u16, ..span });
        let halves = [&spots[..at], &spots[at..]].map(|half| {
            let registers: Vec<Register> = half.iter().map(|(_, register)| *register).collect();
            let mut refused = refused.clone();
            refused.insert(span.into());
            replan(&registers, &refused, costs)
        });
        let asks: Vec<Ask> = halves.into_iter().flatten().collect();
        let open = asks.iter().filter_map(|ask| ask.subject.id().span()).collect();
        self.splits.push(Split { culprit, open });
        asks
    }

    /// The meter answered this request. What it is found to refuse, now that it took all parts of a larger one.
    pub(super) fn answered(&mut self, span: Span) -> Option<Span> {
        let n = self.splits.iter().position(|split| split.open.contains(&span))?;
        self.splits[n].open.retain(|open| *open != span);
        self.splits[n].open.is_empty().then(|| self.splits.remove(n).culprit)
    }

    /// The meter did not answer a part: what it refuses is in there, or nobody knows.
    pub(super) fn unanswered(&mut self, span: Span) {
        self.splits.retain(|split| !split.open.contains(&span));
    }
}

fn words(octets: &[u8]) -> Vec<u16> {
    octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

fn octets_of(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
