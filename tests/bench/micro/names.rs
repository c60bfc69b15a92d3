//! Interned names: the table's own files, which are private to it, compiled here once more.

use crate::measure::Work;
use crate::world;

#[allow(dead_code)]
#[path = "../../../src/store/names.rs"]
mod interned;
#[allow(dead_code)]
#[path = "../../../src/store/pool.rs"]
mod pool;

/// Finds names that are known, each counted once more and once less, as an inventory does that is listed again.
pub fn known() -> Work {
    let (names, bytes) = all();
    let mut table = interned::Names::new(4 << 20, 16_000);
    let ids: Vec<_> = names.iter().map(|name| table.intern(name).unwrap()).collect();
    Work::new(bytes, names.len(), move || {
        for (name, id) in names.iter().zip(&ids) {
            assert!(table.intern(name) == Some(*id));
            table.release(*id);
        }
        table.live_len()
    })
}

/// The same in the standard library's map, without counting.
pub fn in_a_map() -> Work {
    let (names, bytes) = all();
    let map: std::collections::HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
    Work::new(bytes, names.len(), move || names.iter().map(|name| map[&**name]).sum())
}

/// Names of all pods, and their bytes.
fn all() -> (Vec<String>, usize) {
    let names: Vec<String> = world::pods().into_iter().map(|(_, name, _)| name).collect();
    let bytes = names.iter().map(String::len).sum();
    (names, bytes)
}
