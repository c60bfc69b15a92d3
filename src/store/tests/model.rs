use super::*;
use crate::wire::tests::Lcg;
use std::collections::BTreeMap;

/// The plain model: for each pod its owner and its containers' rows.
type Model = BTreeMap<String, (usize, BTreeMap<String, rate::Advanced>)>;

/// What a commit of one node's points does to the model.
fn model_commit(known: &mut Model, node: usize, reported: &BTreeMap<(String, String), Point>, at: Uptime) {
    let mut new: BTreeMap<String, BTreeMap<String, rate::Advanced>> = BTreeMap::new();
    for ((pod, container), point) in reported {
        let old = known.get(pod);
        // Another node's pod: the younger instance has it, and begins again.
        let old = match old {
            Some((owner, rows)) if *owner != node => {
                let start = |points: &mut dyn Iterator<Item = UnixNanos>| points.max();
                let ours = reported.iter().filter(|((other, _), _)| other == pod);
                let ours = start(&mut ours.map(|(_, point)| point.started_at));
                if ours <= start(&mut rows.values().map(|kept| kept.row.last.started_at)) {
                    continue;
                }
                None
            }
            old => old,
        };
        let old = old.and_then(|(_, rows)| rows.get(container));
        let old =
            old.map_or(rate::KnownRow::NONE, |old| rate::KnownRow { row: old.row, seen_at: old.seen_at });
        let row = rate::advance_container(old, *point, at, Window::from_secs(15));
        new.entry(pod.clone()).or_default().insert(container.clone(), row);
    }
    known.retain(|pod, (owner, _)| *owner != node && !new.contains_key(pod));
    known.extend(new.into_iter().map(|(pod, rows)| (pod, (node, rows))));
}

#[test]
fn any_history_serves_what_a_plain_model_serves() {
    let mut lcg = Lcg(31);
    let mut store =
        Store::new(Capacity { nodes: 4, pods: 30, containers: 60, text_len: 4096 }, Window::from_secs(15));
    let nodes = ["n0", "n1", "n2"];
    nodes.iter().for_each(|name| store.upsert_node(&node_record(name)).unwrap());
    let mut listed: BTreeMap<String, ()> = BTreeMap::new();
    let mut known = Model::new();
    for step in 0..4_000_i64 {
        let name = format!("pod{}", lcg.below(12));
        match lcg.next() % 8 {
            0 => {
                store.upsert_pod(&pod_record("ns1", &name)).unwrap();
                listed.insert(name, ());
            }
            1 => {
                store.remove_pod("ns1", &name);
                listed.remove(&name);
            }
            2 => {
                let node = lcg.below(3);
                store.fail(nodes[node], uptime(0));
                known.retain(|_, (owner, _)| *owner != node);
            }
            _ => {
                let node = lcg.below(3);
                let mut reported: BTreeMap<(String, String), Point> = BTreeMap::new();
                for _ in 0..lcg.below(9) {
                    let key = (format!("pod{}", lcg.below(12)), format!("c{}", lcg.below(3)));
                    let start =
                        (!lcg.next().is_multiple_of(4)).then(|| step - (lcg.below(70)).cast_signed() as i64);
                    reported.insert(
                        key,
                        point(start, step - (lcg.below(3)).cast_signed() as i64, 1 + lcg.next() % 9, 1),
                    );
                }
                let flat: Vec<_> =
                    reported.iter().map(|((pod, c), point)| (pod.as_str(), c.as_str(), *point)).collect();
                let at = uptime(step);
                store.commit(nodes[node], &batch(None, &flat), at);
                model_commit(&mut known, node, &reported, at);
            }
        }
        assert_serves(&store, &listed, &known, &nodes, step);
        assert_in_order(&store);
    }
    nodes.iter().for_each(|name| store.remove_node(name));
    listed.keys().for_each(|name| store.remove_pod("ns1", name));
    let empty = Occupancy::default();
    assert_eq!(store.occupancy(), empty, "every name, row and pod was given back");
}

/// Compares what the store serves with the model.
fn assert_serves(store: &Store, listed: &BTreeMap<String, ()>, known: &Model, nodes: &[&str], step: i64) {
    let served: Vec<String> = store
        .pods_after(None, None)
        .filter_map(|pod| Some((pod.name(), pod.node(), pod.usage?.containers().collect::<Vec<_>>())))
        .map(|(name, node, containers)| format!("{name} {node:?} {containers:?}"))
        .collect();
    let expected: Vec<String> = listed
        .keys()
        .filter_map(|name| Some((name, known.get(name)?)))
        .filter(|(_, (_, rows))| rows.values().all(|kept| kept.row.prev.is_some()))
        .map(|(name, (node, rows))| {
            let containers: Vec<_> = rows
                .iter()
                .filter_map(|(name, kept)| Some((name.as_str(), rate::usage(&kept.row)?)))
                .collect();
            (containers.is_empty(), format!("{name} {:?} {containers:?}", Some(nodes[*node])))
        })
        .filter(|(is_empty, _)| !is_empty)
        .map(|(_, text)| text)
        .collect();
    assert_eq!(served, expected, "step {step}");
    let containers: usize = known.values().map(|(_, rows)| rows.len()).sum();
    let rated =
        known.values().flat_map(|(_, rows)| rows.values()).filter(|kept| kept.row.prev.is_some()).count();
    let occupancy = store.occupancy();
    assert_eq!((occupancy.containers as usize, occupancy.container_points as usize), (containers, rated));
    assert_eq!(occupancy.refused_pods, 0);
}

/// A node's pods stand in the order of batches, so that a commit finds each without a search.
fn assert_in_order(store: &Store) {
    for node in store.nodes.order().iter().filter_map(|slot| store.nodes.at(*slot)) {
        let mut next = node.pods;
        let pods = std::iter::from_fn(|| {
            let pod = store.pods.at(next)?;
            next = pod.next_of_node;
            Some((store.names.text(pod.namespace), store.names.text(pod.name)))
        });
        let pods: Vec<_> = pods.collect();
        assert!(pods.is_sorted(), "{pods:?}");
    }
}
