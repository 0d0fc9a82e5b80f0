//! Heads of the columns of an archive: the keys of `[[meter]]`, and what the trade writes above them.

use crate::config::exchange::cells::COLUMNS;
use crate::config::keys::{METER, nearest};

/// Keys of `[[meter]]` that are no column: they hold tables.
const NO_COLUMN: &str = "exchange";

/// A key, and the heads of the trade; the first is the usual one.
const TRADE: [(&str, &[&str]); 37] = [
    ("name", &["计量点名称", "计量点", "计量点编号"]),
    ("bus", &["端口", "端口号", "总线", "通信端口"]),
    ("protocol", &["规约", "通信规约", "通讯规约", "通信协议", "规约类型"]),
    ("address", &["表地址", "通信地址", "通讯地址", "电表地址", "表号"]),
    ("baud", &["波特率", "通信速率", "通讯速率"]),
    ("frame", &["帧格式"]),
    ("preamble", &["前导字节", "前导字节数"]),
    ("wiring", &["接线方式"]),
    ("ct", &["CT", "CT变比", "电流互感器", "电流互感器变比", "电流变比"]),
    ("pt", &["PT", "PT变比", "电压互感器", "电压互感器变比", "电压变比"]),
    ("multiplier", &["倍率", "综合倍率"]),
    ("profile", &["表型"]),
    ("customer", &["户号", "用户编号", "用户号", "客户编号"]),
    ("customer_name", &["户名", "用户名称", "客户名称"]),
    ("area", &["台区编号", "台区", "台区名称"]),
    ("total_meter", &["上级总表", "所属总表"]),
    ("class", &["用户类别", "客户类别"]),
    ("major_class", &["大类号", "用户大类号"]),
    ("minor_class", &["小类号", "用户小类号"]),
    ("asset", &["资产编号", "资产号", "电表资产编号"]),
    ("measuring_point", &["测量点号", "测量点"]),
    ("metering", &["计量方式"]),
    ("capacity", &["合同容量", "运行容量"]),
    ("digits", &["示数位数"]),
    ("phase", &["相别", "相位"]),
    ("installed", &["装表日期", "安装日期"]),
    ("state", &["运行状态", "状态"]),
    ("state_since", &["状态开始日期", "状态起始日期"]),
    ("state_until", &["状态结束日期", "状态截止日期"]),
    ("tariff_count", &["费率个数", "费率数"]),
    ("tariffs", &["费率", "费率名称"]),
    ("exchange_date", &["换表日期"]),
    ("exchange_address", &["旧表地址"]),
    ("exchange_asset", &["旧表资产编号"]),
    ("exchange_digits", &["旧表示数位数"]),
    ("exchange_last", &["旧表止码", "旧表止度"]),
    ("exchange_first", &["新表起码", "新表起度"]),
];

/// What a head stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Head {
    /// This key.
    Key(&'static str),
    /// Probably this key, misspelt as this head.
    Near(&'static str, &'static str),
    /// Nothing of ours.
    Strange,
}

/// Every key that is a column.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    METER.keys.iter().copied().filter(|key| *key != NO_COLUMN).chain(COLUMNS)
}

/// The usual head of the trade for a key.
pub(super) fn trade_head(key: &str) -> Option<&'static str> {
    TRADE.iter().find(|(own, _)| *own == key).and_then(|(_, heads)| heads.first().copied())
}

/// Reads a head. Blanks and a unit behind it in brackets make no difference: 合同容量 (kVA).
pub(super) fn read(text: &str) -> Head {
    let plain: String = text.split(['(', '（']).next().unwrap_or(text).split_whitespace().collect();
    if plain.is_empty() {
        return Head::Strange;
    }
    if let Some(key) = keys().find(|key| key.eq_ignore_ascii_case(&plain)) {
        return Head::Key(key);
    }
    let trade = || TRADE.iter().flat_map(|(key, heads)| heads.iter().map(move |head| (*key, *head)));
    if let Some((key, _)) = trade().find(|(_, head)| head.eq_ignore_ascii_case(&plain)) {
        return Head::Key(key);
    }
    if plain.is_ascii() {
        return nearest(&plain, keys()).map_or(Head::Strange, |key| Head::Near(key, key));
    }
    // One wrong letter makes another word of a short one: 地址 of a house is no 表地址.
    let long = || trade().filter(|(_, head)| plain.chars().count() >= 4 && head.chars().count() >= 4);
    let near = nearest(&plain, long().map(|(_, head)| head));
    let key = near.and_then(|near| long().find(|(_, head)| *head == near));
    key.map_or(Head::Strange, |(key, head)| Head::Near(key, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_head_of_the_trade_and_no_head_stands_for_two() {
        let mut seen = std::collections::BTreeSet::new();
        for key in keys() {
            assert!(trade_head(key).is_some(), "{key}");
        }
        for (key, heads) in TRADE {
            assert!(keys().any(|own| own == key), "{key}");
            for head in heads {
                assert!(seen.insert(*head), "{head}");
                assert_eq!(read(head), Head::Key(key));
            }
        }
    }

    #[test]
    fn a_head_is_read_in_either_language_with_blanks_and_its_unit() {
        assert_eq!(read("customer_name"), Head::Key("customer_name"));
        assert_eq!(read(" 户 号 "), Head::Key("customer"));
        assert_eq!(read("合同容量（kVA）"), Head::Key("capacity"));
        assert_eq!(read("ct变比"), Head::Key("ct"));
        assert_eq!(read("adress"), Head::Near("address", "address"));
        assert_eq!(read("资产编码"), Head::Near("asset", "资产编号"));
        assert_eq!(read("地址"), Head::Strange);
        assert_eq!(read("楼层"), Head::Strange);
        assert_eq!(read(""), Head::Strange);
    }

    #[test]
    fn the_heads_that_a_head_end_exports_are_all_read() {
        let heads =
            "户号 户名 表地址 资产编号 规约 波特率 端口 倍率 台区编号 测量点号 费率个数 大类号 小类号";
        assert!(heads.split(' ').all(|head| matches!(read(head), Head::Key(_))));
    }
}
