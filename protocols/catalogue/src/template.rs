//! Texts of a table with places for the axes: Chinese names and OBIS codes.
//!
//! Written `{t}` tariff, `{p}` phase, `{h}` harmonic order, `{n}` place in a list, `{32/52/72}` one text
//! for each value of the phase. It says nothing about settlement days: those stand before or behind the whole text.

use crate::axes::Axis;
use std::fmt;

/// A text and its places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(Box<[Piece]>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(Box<str>),
    Of(Axis),
    ByPhase(Box<[Box<str>]>),
}

impl Template {
    /// None if a brace is not closed, or what stands in it is no place.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, behind) = after.split_once('}')?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(match place {
                "t" => Piece::Of(Axis::Tariff),
                "p" => Piece::Of(Axis::Phase),
                "h" => Piece::Of(Axis::Harmonic),
                "n" => Piece::Of(Axis::Number),
                list if list.contains('/') => Piece::ByPhase(list.split('/').map(Into::into).collect()),
                _ => return None,
            });
            rest = behind;
        }
        if rest.contains('}') {
            return None;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Some(Self(pieces.into()))
    }

    /// A text without places.
    pub(crate) fn plain(text: &str) -> Self {
        Self([Piece::Text(text.into())].into())
    }

    /// Whether the axis has a place, as itself or by a list.
    pub(crate) fn has(&self, axis: Axis) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Of(own) => *own == axis,
            Piece::ByPhase(_) => axis == Axis::Phase,
        })
    }

    /// How many texts the shortest of its lists has.
    pub(crate) fn listed(&self) -> Option<usize> {
        let lists = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) | Piece::Of(_) => None,
            Piece::ByPhase(texts) => Some(texts.len()),
        });
        lists.min()
    }

    /// As Chinese: tariff 费率3 or 总, phase A相 or 总. `number` gives the number on an axis.
    pub(crate) fn chinese(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: impl Fn(Axis) -> Option<u8>,
    ) -> fmt::Result {
        self.write(f, &number, |f, axis, n| match (axis, n) {
            (Axis::Phase | Axis::Tariff, 0) => f.write_str("总"),
            (Axis::Phase, 1) => f.write_str("A相"),
            (Axis::Phase, 2) => f.write_str("B相"),
            (Axis::Phase, _) => f.write_str("C相"),
            (Axis::Tariff, n) => write!(f, "费率{n}"),
            (
                Axis::Field
                | Axis::Harmonic
                | Axis::Number
                | Axis::Settlement
                | Axis::Month
                | Axis::Day
                | Axis::Hour
                | Axis::Timed
                | Axis::Instant
                | Axis::Record,
                n,
            ) => write!(f, "{n}"),
        })
    }

    /// With plain numbers in the places, as in an OBIS code.
    pub(crate) fn numeric(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: impl Fn(Axis) -> Option<u8>,
    ) -> fmt::Result {
        self.write(f, &number, |f, _, n| write!(f, "{n}"))
    }

    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: &impl Fn(Axis) -> Option<u8>,
        word: impl Fn(&mut fmt::Formatter<'_>, Axis, u8) -> fmt::Result,
    ) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Of(axis) => word(f, *axis, number(*axis).unwrap_or(0)),
            Piece::ByPhase(texts) => {
                // Three texts are of A, B, C; four begin with the total.
                let phase = usize::from(number(Axis::Phase).unwrap_or(0));
                let place = phase.saturating_sub(usize::from(texts.len() == 3));
                texts.get(place).map_or(Ok(()), |text| f.write_str(text))
            }
        })
    }
}

/// As it is written in a table.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            // The first of the letters: {t}, {p}, {h}, {n}.
            Piece::Of(axis) => write!(f, "{{{}}}", &axis.letters()[..1]),
            Piece::ByPhase(texts) => write!(f, "{{{}}}", texts.join("/")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_or_listed_and_closed() {
        let template = Template::parse("1-0:{32/52/72}.7.{h}").unwrap();
        assert!(template.has(Axis::Phase) && template.has(Axis::Harmonic) && !template.has(Axis::Tariff));
        assert_eq!(template.listed(), Some(3));
        for wrong in ["{t", "t}", "{x}", "{}", "{{t}}"] {
            assert_eq!(Template::parse(wrong), None, "{wrong}");
        }
    }
}
