//! Exact scales.

use core::fmt;
use core::str::FromStr;
use rust_decimal::Decimal;

/// What a raw number is multiplied by: an exact fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    numerator: u32,
    denominator: u32,
}

/// A text that is no scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a scale is an exact number, 0.1, or a fraction, 1/3600")]
pub struct BadScale;

impl Scale {
    /// The number itself.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    const fn reduced(numerator: u32, denominator: u32) -> Self {
        let (mut a, mut b) = (numerator, denominator);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        Self { numerator: numerator / a, denominator: denominator / a }
    }

    /// How many digits behind the point a whole number has once it is scaled; `None` where they have no end.
    pub const fn decimals(self) -> Option<u8> {
        let (mut left, mut twos, mut fives) = (self.denominator, 0, 0);
        while left % 2 == 0 {
            (left, twos) = (left / 2, twos + 1);
        }
        while left % 5 == 0 {
            (left, fives) = (left / 5, fives + 1);
        }
        let most = if twos > fives { twos } else { fives };
        if left == 1 { Some(most) } else { None }
    }

    /// Whether whole numbers are still finite decimals once they are scaled.
    pub const fn is_finite_decimal(self) -> bool {
        self.decimals().is_some()
    }

    /// The scaled number; exact if the scale is a finite decimal and there is room for its digits.
    pub(crate) fn times(self, number: Decimal) -> Option<Decimal> {
        number.checked_mul(Decimal::from(self.numerator))?.checked_div(Decimal::from(self.denominator))
    }

    /// What was scaled to this.
    pub(crate) fn undone(self, number: Decimal) -> Option<Decimal> {
        number.checked_mul(Decimal::from(self.denominator))?.checked_div(Decimal::from(self.numerator))
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decimals() {
            Some(_) => (Decimal::from(self.numerator) / Decimal::from(self.denominator)).normalize().fmt(f),
            None => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

impl FromStr for Scale {
    type Err = BadScale;

    fn from_str(text: &str) -> Result<Self, BadScale> {
        let whole = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
            text.parse::<u32>().ok().filter(|number| plain && *number > 0).ok_or(BadScale)
        };
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Ok(Self::reduced(whole(numerator)?, whole(denominator)?));
        }
        let Some((before, after)) = text.split_once('.') else { return Ok(Self::reduced(whole(text)?, 1)) };
        let places = u32::try_from(after.len()).map_err(|_| BadScale)?;
        let denominator = 10_u32.checked_pow(places).filter(|_| places > 0).ok_or(BadScale)?;
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        if before.is_empty() || !digits(before) || !digits(after) {
            return Err(BadScale);
        }
        let (before, after) =
            (before.parse::<u32>().map_err(|_| BadScale)?, after.parse::<u32>().map_err(|_| BadScale)?);
        let numerator = before.checked_mul(denominator).and_then(|all| all.checked_add(after));
        numerator
            .filter(|numerator| *numerator > 0)
            .map(|all| Self::reduced(all, denominator))
            .ok_or(BadScale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_scale_is_exact_or_refused() {
        let of = |text: &str| text.parse::<Scale>().map(|scale| (scale.to_string(), scale.decimals()));
        for (text, shown, decimals) in [
            ("1", "1", Some(0)),
            ("0.1", "0.1", Some(1)),
            ("1/10", "0.1", Some(1)),
            ("10", "10", Some(0)),
            ("0.001", "0.001", Some(3)),
            ("0.6", "0.6", Some(1)),
            ("1/8", "0.125", Some(3)),
            ("1/3600", "1/3600", None),
            ("2/6", "1/3", None),
        ] {
            assert_eq!(of(text), Ok((shown.to_string(), decimals)), "{text}");
        }
        for text in ["", "0", "0.0", "-1", "1/0", "0/1", ".1", "1.", "1e3", "1/2/3", "99999999999"] {
            assert_eq!(text.parse::<Scale>(), Err(BadScale), "{text}");
        }
    }
}
