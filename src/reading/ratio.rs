//! Ratios of transformers (变比), exact.

use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;

/// `primary/secondary` of a CT or PT as it is printed on its plate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ratio {
    primary: u32,
    secondary: u32,
    exact: Decimal,
}

/// A text that is no ratio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRatio {
    /// Not two numbers with a slash.
    #[error("a ratio is primary/secondary as on the transformer's plate, e.g. 75/5")]
    Form,
    /// Such as 100/3: its multiplier has no end.
    #[error("the ratio is no finite decimal, so no exact primary value can be given")]
    NotFinite,
}

impl Ratio {
    /// A multiplier that a meter itself is set to; `None` where it is none, or has more digits than are exact.
    pub fn of(multiplier: Decimal) -> Option<Self> {
        let plain = multiplier.normalize();
        let secondary = 10_u32.checked_pow(plain.scale())?;
        let primary = u32::try_from(plain.mantissa()).ok().filter(|primary| *primary > 0)?;
        Some(Self { primary, secondary, exact: plain })
    }

    /// The multiplier, e.g. 15 of 75/5.
    pub const fn exact(self) -> Decimal {
        self.exact
    }
}

impl FromStr for Ratio {
    type Err = BadRatio;

    fn from_str(text: &str) -> Result<Self, BadRatio> {
        let (primary, secondary) = text.split_once('/').ok_or(BadRatio::Form)?;
        let number = |t: &str| t.trim().parse::<u32>().ok().filter(|n| *n > 0).ok_or(BadRatio::Form);
        let (primary, secondary) = (number(primary)?, number(secondary)?);
        let (p, s) = (Decimal::from(primary), Decimal::from(secondary));
        let exact = (p / s).normalize();
        if exact * s == p && exact.scale() <= 9 {
            Ok(Self { primary, secondary, exact })
        } else {
            Err(BadRatio::NotFinite)
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.primary, self.secondary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_exact_or_refused() {
        assert_eq!("75/5".parse::<Ratio>().unwrap().exact(), Decimal::from(15));
        assert_eq!("10000/100".parse::<Ratio>().unwrap().exact().to_string(), "100");
        assert_eq!("1/8".parse::<Ratio>().unwrap().exact().to_string(), "0.125");
        assert_eq!("100/3".parse::<Ratio>(), Err(BadRatio::NotFinite));
        let own = |text: &str| Ratio::of(text.parse().unwrap()).map(|ratio| ratio.to_string());
        assert_eq!(
            [own("15"), own("2.50"), own("0"), own("-1")],
            [Some("15/1".to_owned()), Some("25/10".to_owned()), None, None]
        );
        for text in ["", "75", "75/0", "a/b", "75/5/1", "-75/5"] {
            assert_eq!(text.parse::<Ratio>(), Err(BadRatio::Form), "{text}");
        }
    }
}
