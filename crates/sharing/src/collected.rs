//! Owns how maps of facts are collected.

use std::collections::BTreeMap;

/// Collects pairs into a map; of equal keys, the last one counts. `collect` does the same, but it sorts the pairs first, with a
/// sort of its own for each place where it is called: these took 18 KB of the zip.
pub(crate) fn into_map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(pairs);
    map
}
