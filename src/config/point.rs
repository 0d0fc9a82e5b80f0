//! What the archive (档案) says of a meter point beside how it is read: whose it is, what for, what is settled by it.
//!
//! Nothing of it changes how a meter is asked; it is handed on in the birth message.

use super::findings::{At, Findings};
use super::keys::not_among;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the archive says of a meter point; all of it is optional.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Number of the customer (户号).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub customer: Option<String>,
    /// Name of the customer (户名).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub customer_name: Option<String>,
    /// Supply area (台区).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub area: Option<String>,
    /// Kind of customer (用户类别).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Class")]
    pub class: Option<Class>,
    /// Asset number of the meter (资产编号).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub asset: Option<String>,
    /// Number of the measuring point (测量点号) in the head-end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub measuring_point: Option<String>,
    /// Digits of the energy register before and behind the point (示数位数), such as 6.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub digits: Option<Digits>,
    /// The phase that a single-phase meter is on (相别).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// Whether the point is in use (运行状态).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "InUse")]
    pub state: Option<InUse>,
    /// Labels of the tariffs (费率) from 1 on, 63 at most, such as 尖, 峰, 平, 谷; empty where none are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tariffs: Vec<String>,
}

/// A word of a short list, in configuration and payloads.
macro_rules! words {
    ($(#[$of:meta])* $name:ident { $($(#[$each:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$of])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$each])* #[serde(rename = $text)] $word,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word of the configuration and of payloads.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }
    };
}

words! {
    /// Kind of customer (用户类别).
    Class {
        /// A household (居民).
        Household = "household",
        /// Any other customer (非居民).
        Other = "other",
        /// The meter of a whole area (总表, 考核表).
        Total = "total",
        /// A customer who is looked at first (重点用户).
        Key = "key",
    }
}

words! {
    /// Phase of a single-phase meter (相别).
    Phase {
        /// A相.
        L1 = "l1",
        /// B相.
        L2 = "l2",
        /// C相.
        L3 = "l3",
    }
}

words! {
    /// Whether a meter point is in use (运行状态).
    InUse {
        /// 运行.
        InUse = "in_use",
        /// 暂停.
        Suspended = "suspended",
        /// 拆除.
        Removed = "removed",
        /// 销户.
        Closed = "closed",
    }
}

/// Digits of an energy register before and behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digits {
    /// Before the point, 1 to 9.
    pub before: u8,
    /// Behind it, 0 to 4.
    pub behind: u8,
}

/// A text that says no digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write the digits before and behind the point, such as \"6.2\": 1 to 9 before, 0 to 4 behind")]
pub struct BadDigits;

impl FromStr for Digits {
    type Err = BadDigits;

    fn from_str(text: &str) -> Result<Self, BadDigits> {
        let (before, behind) = text.split_once('.').ok_or(BadDigits)?;
        let one = |part: &str| match part.as_bytes() {
            [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
            _ => Err(BadDigits),
        };
        match (one(before)?, one(behind)?) {
            (before @ 1..=9, behind @ 0..=4) => Ok(Self { before, behind }),
            _ => Err(BadDigits),
        }
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.before, self.behind)
    }
}

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Point {
    /// What is written as `key=value`, in the order of the keys; nothing for a point of which nothing is.
    pub(super) fn written(&self) -> Vec<String> {
        let texts = [
            ("customer", self.customer.clone()),
            ("customer_name", self.customer_name.clone()),
            ("area", self.area.clone()),
            ("class", self.class.map(|class| class.word().to_owned())),
            ("asset", self.asset.clone()),
            ("measuring_point", self.measuring_point.clone()),
            ("digits", self.digits.map(|digits| digits.to_string())),
            ("phase", self.phase.map(|phase| phase.word().to_owned())),
            ("state", self.state.map(|state| state.word().to_owned())),
            ("tariffs", (!self.tariffs.is_empty()).then(|| self.tariffs.join("|"))),
        ];
        texts.into_iter().filter_map(|(key, text)| Some(format!("{key}={}", text?))).collect()
    }
}

/// Keys of one text; `tariffs` is a list.
const TEXTS: [&str; 9] =
    ["customer", "customer_name", "area", "class", "asset", "measuring_point", "digits", "phase", "state"];
/// Tariffs of DL/T 645-2007 (appendix A: rates 1 to 63).
const TARIFFS: usize = 63;
/// Characters of one text.
const LONGEST: usize = 128;

/// The texts of one meter point, wherever it is written.
#[derive(Debug, Default)]
pub(super) struct Cells {
    texts: [Option<At<String>>; TEXTS.len()],
    tariffs: Option<At<Vec<At<String>>>>,
}

impl Cells {
    /// Each text by its key; an empty one is not written.
    pub(super) fn of(
        mut text: impl FnMut(&'static str) -> Option<At<String>>,
        tariffs: Option<At<Vec<At<String>>>>,
    ) -> Self {
        Self { texts: TEXTS.map(|key| text(key).filter(|text| !text.value.is_empty())), tariffs }
    }

    /// The labels of one cell of a spreadsheet, parted by `|`.
    pub(super) fn labels(cell: At<String>) -> At<Vec<At<String>>> {
        let At { value, here } = cell;
        let each = value.split('|').map(|label| At { value: label.trim().to_owned(), here: here.clone() });
        At { value: each.collect(), here }
    }
}

/// Proves them; `None` after a fault.
pub(super) fn read(cells: &Cells, findings: &mut Findings) -> Option<Point> {
    let Cells { texts, tariffs } = cells;
    let [customer, customer_name, area, class, asset, measuring_point, digits, phase, state] = texts;
    let customer = plain(customer.as_ref(), "customer", findings);
    let customer_name = plain(customer_name.as_ref(), "customer_name", findings);
    let area = plain(area.as_ref(), "area", findings);
    let class = word(class.as_ref(), "class", Class::ALL, Class::word, findings);
    let asset = plain(asset.as_ref(), "asset", findings);
    let measuring_point = plain(measuring_point.as_ref(), "measuring_point", findings);
    let digits = digits_of(digits.as_ref(), findings);
    let phase = word(phase.as_ref(), "phase", Phase::ALL, Phase::word, findings);
    let state = word(state.as_ref(), "state", InUse::ALL, InUse::word, findings);
    let tariffs = tariffs_of(tariffs.as_ref(), findings);
    Some(Point {
        customer: customer?,
        customer_name: customer_name?,
        area: area?,
        class: class?,
        asset: asset?,
        measuring_point: measuring_point?,
        digits: digits?,
        phase: phase?,
        state: state?,
        tariffs: tariffs?,
    })
}

/// `None` after a fault; `Some(None)` if nothing is written. So all below.
fn plain(text: Option<&At<String>>, key: &str, findings: &mut Findings) -> Option<Option<String>> {
    let Some(text) = text else { return Some(None) };
    sound(text, key, findings).then(|| Some(text.value.clone()))
}

fn sound(text: &At<String>, key: &str, findings: &mut Findings) -> bool {
    let value = &text.value;
    let count = value.chars().count();
    let fault = if value.chars().any(char::is_control) {
        format!("{key} has a control character; leave it out")
    } else if value.trim() != value {
        format!("{key} \"{value}\" has a space at its end; write \"{}\"", value.trim())
    } else if count > LONGEST {
        format!("{key} has {count} characters; {LONGEST} are the most")
    } else {
        return true;
    };
    findings.fault(&text.here, fault);
    false
}

fn word<T: Copy>(
    text: Option<&At<String>>,
    key: &str,
    all: &[T],
    word: fn(T) -> &'static str,
    findings: &mut Findings,
) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    let found = all.iter().copied().find(|one| word(*one) == text.value);
    if found.is_none() {
        let known: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        findings.fault(&text.here, not_among(key, &text.value, &known));
    }
    found.map(Some)
}

fn digits_of(text: Option<&At<String>>, findings: &mut Findings) -> Option<Option<Digits>> {
    let Some(text) = text else { return Some(None) };
    match text.value.parse() {
        Ok(digits) => Some(Some(digits)),
        Err(bad) => {
            findings.fault(&text.here, format!("digits \"{}\" cannot be used: {bad}", text.value));
            None
        }
    }
}

fn tariffs_of(tariffs: Option<&At<Vec<At<String>>>>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(At { value: labels, here }) = tariffs else { return Some(Vec::new()) };
    if labels.len() > TARIFFS {
        let count = labels.len();
        findings.fault(here, format!("tariffs has {count} labels; a meter has {TARIFFS} tariffs at most"));
        return None;
    }
    let mut all = Vec::with_capacity(labels.len());
    for label in labels {
        if label.value.is_empty() || label.value.contains('|') {
            let fault = "tariffs has a label that is empty or holds |; name each tariff, such as \"峰\"";
            findings.fault(&label.here, fault);
        } else if sound(label, "tariffs", findings) {
            all.push(label.value.clone());
        }
    }
    (all.len() == labels.len()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_one_before_and_one_behind_the_point() {
        for text in ["6.2", "1.0", "9.4"] {
            assert_eq!(text.parse::<Digits>().unwrap().to_string(), text);
        }
        for text in ["", "6", "0.2", "6.5", "10.2", "6.", "6.2.1", "a.b", "6,2"] {
            assert_eq!(text.parse::<Digits>(), Err(BadDigits), "{text}");
        }
    }

    #[test]
    fn a_point_of_which_nothing_is_written_adds_nothing_to_the_archives_digits() {
        assert_eq!(Point::default().written(), Vec::<String>::new());
        let point = Point {
            class: Some(Class::Key),
            digits: "6.2".parse().ok(),
            tariffs: vec!["峰".to_owned(), "谷".to_owned()],
            ..Point::default()
        };
        assert_eq!(point.written(), ["class=key", "digits=6.2", "tariffs=峰|谷"]);
    }
}
