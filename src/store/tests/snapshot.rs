use super::*;
use crate::store::snapshot::{Snapshot, SnapshotError};

const BOOT: &str = "6f0b3c1e-3f0e-4f0e-9d1c-0a1b2c3d4e5f";

fn written(store: &Store, at: i64) -> Vec<u8> {
    let mut out = Snapshot::begin(BOOT, uptime(at));
    let mut after = None;
    while let Some(name) = store.write_points(after.as_deref(), &mut out) {
        after = Some(name);
    }
    Snapshot::seal(&mut out);
    out
}

fn measured(at: i64) -> Batch {
    let of = |cpu: u64| point(Some(-9_000), at, cpu + at as u64, 4);
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    batch.set_node(of(100));
    for (pod, container, cpu) in [("pod1", "a", 10), ("pod1", "b", 20), ("pod2", "c", 30)] {
        let mut point = of(cpu);
        point.set_swap(Bytes(5));
        batch.set_container(Key { namespace: "ns1", pod, container }, point).unwrap();
    }
    batch.finish();
    batch
}

#[test]
fn the_first_scrape_after_a_restart_gives_the_rates_that_a_second_one_would_have() {
    let mut old = store_with(15);
    old.commit("node1", &measured(0), uptime(0));
    let mut new = store_with(15);
    new.restore(Snapshot::read(written(&old, 5), BOOT, uptime(20)).ok().unwrap());
    assert_eq!((pod_text(&new, "pod1"), node_text(&new, "node1")), (None, None), "nothing before a scrape");
    old.commit("node1", &measured(30), uptime(30));
    new.commit("node1", &measured(30), uptime(30));
    assert_eq!(pod_text(&new, "pod1").unwrap(), "30 over 30s [a 1 4Mi, b 1 4Mi]");
    for name in ["pod1", "pod2"] {
        assert_eq!(pod_text(&new, name), pod_text(&old, name));
    }
    assert_eq!(node_text(&new, "node1"), node_text(&old, "node1"));
    assert!(new.restored.is_none(), "given back once every node was read");
}

#[test]
fn a_restarted_container_or_a_stepped_clock_gives_no_rate_over_the_restart() {
    let mut old = store_with(15);
    old.commit("node1", &measured(0), uptime(0));
    let mut new = store_with(15);
    new.restore(Snapshot::read(written(&old, 5), BOOT, uptime(20)).ok().unwrap());
    let done = new.commit("node1", &measured(3_630), uptime(30));
    assert_eq!((pod_text(&new, "pod1"), done.clock_steps), (None, 4));
    let mut new = store_with(15);
    new.restore(Snapshot::read(written(&old, 5), BOOT, uptime(20)).ok().unwrap());
    let restarted = point(Some(2), 40, 900, 4);
    new.commit("node1", &batch(None, &[("pod1", "a", restarted)]), uptime(40));
    assert_eq!(pod_text(&new, "pod1"), None);
    assert_eq!(new.occupancy().containers, 1, "what the scrape lacks is gone");
}

#[test]
fn old_points_are_not_used() {
    let mut old = store_with(15);
    old.commit("node1", &measured(0), uptime(0));
    let late = uptime(301 + 5);
    assert_eq!(Snapshot::read(written(&old, 5), BOOT, late).err(), Some(SnapshotError::Old));
    // The file is young, its node was last scraped long ago.
    let mut new = store_with(15);
    new.restore(Snapshot::read(written(&old, 290), BOOT, uptime(300)).ok().unwrap());
    new.commit("node1", &measured(310), uptime(310));
    assert_eq!((pod_text(&new, "pod1"), new.restored.is_none()), (None, true));
}

#[test]
fn files_of_another_boot_or_version_and_damaged_ones_are_refused_whole() {
    let mut old = store_with(15);
    old.commit("node1", &measured(0), uptime(0));
    let good = written(&old, 5);
    let read = |bytes: &[u8], boot: &str, at| Snapshot::read(bytes.to_vec(), boot, uptime(at)).err();
    assert_eq!(read(&good, BOOT, 6), None);
    assert_eq!(read(&good, "another", 6), Some(SnapshotError::OtherBoot));
    assert_eq!(read(&good, BOOT, 4), Some(SnapshotError::OtherBoot), "written in the future");
    assert_eq!(read(b"toplet points 1\n", BOOT, 6), Some(SnapshotError::OtherVersion));
    for len in 0..good.len() {
        assert!(read(&good[..len], BOOT, 6).is_some(), "cut at {len}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert!(read(&bytes, BOOT, 6).is_some(), "bit {bit} of byte {at}");
        }
    }
    // With a right checksum, any content is either refused or harmless.
    let mut lcg = crate::wire::tests::Lcg(5);
    for _ in 0..2_000 {
        let mut bytes = good[..good.len() - 8].to_vec();
        let at = lcg.below(bytes.len());
        bytes[at] = (lcg.next() >> 40) as u8;
        Snapshot::seal(&mut bytes);
        if let Ok(snapshot) = Snapshot::read(bytes, BOOT, uptime(6)) {
            let mut new = store_with(15);
            new.restore(snapshot);
            new.commit("node1", &measured(30), uptime(30));
        }
    }
}
