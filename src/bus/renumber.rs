//! Maps by index under the indices of another configuration. Pure.

use std::collections::BTreeMap;

/// Gives every key its new one; what has none is dropped.
pub(super) fn renumbered<K: Ord, V>(map: &mut BTreeMap<K, V>, to: impl Fn(&K) -> Option<K>) {
    *map = std::mem::take(map).into_iter().filter_map(|(key, value)| Some((to(&key)?, value))).collect();
}
