//! Words of the archive that are chosen out of a short list, as the configuration has them and as the trade writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A word of a short list, in configuration and payloads, with how the trade writes it; the first of these is the usual.
macro_rules! words {
    ($(#[$of:meta])* $name:ident { $($(#[$each:meta])* $word:ident = $text:literal | $usual:literal $(| $trade:literal)*,)+ }) => {
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

            /// The word that the trade writes.
            pub const fn word_zh(self) -> &'static str {
                match self { $(Self::$word => $usual,)+ }
            }

            /// By the word of the configuration, or one of those that the trade writes.
            pub fn read(text: &str) -> Option<Self> {
                match text { $($text | $usual $(| $trade)* => Some(Self::$word),)+ _ => None }
            }
        }
    };
}

words! {
    /// Kind of customer (用户类别).
    Class {
        /// A household (居民).
        Household = "household" | "居民" | "居民用户",
        /// Any other customer (非居民).
        Other = "other" | "非居民" | "非居民用户" | "其他",
        /// The meter of a whole area (总表, 考核表).
        Total = "total" | "总表" | "考核表" | "台区总表",
        /// A customer who is looked at first (重点用户).
        Key = "key" | "重点" | "重点用户",
    }
}

words! {
    /// Phase of a single-phase meter (相别).
    Phase {
        /// A相.
        L1 = "l1" | "A相" | "A",
        /// B相.
        L2 = "l2" | "B相" | "B",
        /// C相.
        L3 = "l3" | "C相" | "C",
    }
}

words! {
    /// Whether a meter point is in use (运行状态).
    InUse {
        /// 运行.
        InUse = "in_use" | "运行" | "在用" | "正常",
        /// 暂停: the supply rests for a while, at the customer's wish.
        Suspended = "suspended" | "暂停",
        /// 暂拆: the meter was taken down for a while.
        Dismantled = "dismantled" | "暂拆",
        /// 拆除: the meter was taken down for good.
        Removed = "removed" | "拆除" | "已拆除",
        /// 销户: the customer's account is closed.
        Closed = "closed" | "销户" | "已销户",
    }
}

words! {
    /// On which sides of a transformer is supplied and metered (计量方式).
    Metering {
        /// 高供高计: supplied and metered at high voltage.
        HvHv = "hv_hv" | "高供高计",
        /// 高供低计: supplied at high voltage, metered at low.
        HvLv = "hv_lv" | "高供低计",
        /// 低供低计: supplied and metered at low voltage.
        LvLv = "lv_lv" | "低供低计",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_the_configuration_and_as_the_trade_writes_it() {
        for class in Class::ALL {
            assert_eq!(Class::read(class.word()), Some(*class));
            assert_eq!(Class::read(class.word_zh()), Some(*class));
        }
        assert_eq!(Class::read("考核表"), Some(Class::Total));
        assert_eq!(InUse::read("暂拆"), Some(InUse::Dismantled));
        assert_eq!(Metering::read("高供低计"), Some(Metering::HvLv));
        assert_eq!(Phase::read("B"), Some(Phase::L2));
        assert_eq!(InUse::read("off"), None);
    }
}
