//! From what the parser gives to a tree of our own.

use super::{Entry, Table, Value};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

pub(super) fn table(tree: &DeTable<'_>, header: Range<usize>) -> Table {
    let mut entries: Vec<Entry> = tree
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            value: self::value(value.get_ref(), value.span()),
            span: value.span(),
        })
        .collect();
    entries.sort_by_key(|e| e.key_span.start);
    Table { entries, header }
}

fn value(value: &DeValue<'_>, span: Range<usize>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Foreign, Value::Integer)
        }
        DeValue::Array(items) => {
            Value::List(items.iter().map(|i| (self::value(i.get_ref(), i.span()), i.span())).collect())
        }
        DeValue::Table(inner) => Value::Table(table(inner, span)),
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => Value::Foreign,
    }
}
