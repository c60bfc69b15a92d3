use super::*;

#[test]
fn beyond_a_capacity_objects_are_refused_counted_and_nothing_grows() {
    let capacity = Capacity { nodes: 1, pods: 2, containers: 3, text_len: 64 };
    let mut store = Store::new(capacity, Window::from_secs(60));
    store.upsert_node(&node_record("node1")).unwrap();
    assert_eq!(store.upsert_node(&node_record("node2")), Err(Refused::Nodes));
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod2")).unwrap();
    assert_eq!(store.upsert_pod(&pod_record("ns1", "pod3")), Err(Refused::Pods));
    let at = |at| point(None, at, 1, 1);
    let reported = batch(
        None,
        &[
            ("pod1", "a", at(1)),
            ("pod1", "b", at(1)),
            ("pod2", "a", at(1)),
            ("pod2", "c", at(1)),
            ("pod4", "a", at(1)),
        ],
    );
    let done = commit(&mut store, "node1", &reported);
    assert_eq!((done.pods, done.containers, done.refused, done.unlisted_pods), (1, 2, 1, 1));
    assert_eq!(done.first_refusal, Some(Refused::Containers));
    assert_eq!(store.occupancy().refused_pods, 2);
    assert_eq!((store.occupancy().containers, store.occupancy().pods), (2, 2));
    let long = "x".repeat(80);
    assert_eq!(
        store.upsert_pod(&PodRecord { labels: vec![("a", &long)], ..pod_record("ns1", "pod1") }),
        Err(Refused::Text)
    );
    assert!(store.pod("ns1", "pod1").is_some(), "what was known stays");
    assert_eq!(
        store.upsert_node(&NodeRecord { labels: vec![("a", &long)], ..node_record("node1") }),
        Err(Refused::Text)
    );
    assert!(store.node("node1").is_some());
    commit(&mut store, "node1", &batch(None, &[]));
    assert_eq!(
        commit(&mut store, "node1", &batch(None, &[("pod2", "a", at(2)), ("pod2", "c", at(2))])).refused,
        0
    );
}

#[test]
fn a_pod_that_grows_beyond_the_capacity_loses_its_points_whole() {
    let mut store = Store::new(Capacity { containers: 1, ..CAPACITY }, Window::from_secs(60));
    store.upsert_node(&node_record("node1")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    let at = |at| point(None, at, 1, 1);
    commit_pod(&mut store, &[("b", at(1))]);
    commit_pod(&mut store, &[("b", at(2))]);
    assert!(pod_text(&store, "pod1").is_some());
    assert_eq!(commit_pod(&mut store, &[("a", at(3)), ("b", at(3))]).refused, 1);
    assert_eq!((pod_text(&store, "pod1"), store.occupancy().containers), (None, 0));
    assert_eq!(store.pod("ns1", "pod1").unwrap().node(), None);
}

#[test]
fn a_node_a_pod_and_a_container_stay_small() {
    const { assert!(Slab::<Node>::SLOT_LEN <= 160) };
    const { assert!(Slab::<Pod>::SLOT_LEN <= 64) };
    const { assert!(Rows::ROW_LEN <= 80 && Names::ENTRY_LEN <= 28) };
}

#[test]
fn the_steady_path_of_decode_and_commit_allocates_nothing() {
    use crate::allocator::allocation_count;
    let body = |round: u64| {
        let at = 1_795_735_658_000 + 15_000 * round;
        let mut body = format!("node_cpu_usage_seconds_total {}.5 {at}\n", 100 + round);
        body += &format!("node_memory_working_set_bytes 5e8 {at}\n");
        for family in ["cpu_usage_seconds_total", "memory_working_set_bytes", "start_time_seconds"] {
            for number in 0..500_u64 {
                let value = if family.starts_with("start") { 1_795_000_000 } else { 7 + number + round };
                body += &format!(
                    "container_{family}{{container=\"main\",namespace=\"ns1\",pod=\"pod-{number:03}\"}} {value} {at}\n"
                );
            }
        }
        body
    };
    let bodies: Vec<String> = (0..6).map(body).collect();
    let capacity = Capacity { pods: 600, containers: 600, ..CAPACITY };
    let mut store = Store::new(capacity, Window::from_secs(15)).with_history(60);
    store.upsert_node(&node_record("node1")).unwrap();
    let names: Vec<String> = (0..500).map(|number| format!("pod-{number:03}")).collect();
    names.iter().for_each(|name| store.upsert_pod(&pod_record("ns1", name)).unwrap());
    let mut batch = Batch::new();
    let counts: Vec<u64> = bodies
        .iter()
        .zip(0..)
        .map(|(body, round)| {
            let before = allocation_count();
            batch.begin(UnixNanos(0));
            body.as_bytes().chunks(8_192).for_each(|piece| batch.feed(piece).unwrap());
            batch.finish();
            let done = store.commit("node1", &batch, uptime(15 * round));
            assert_eq!((done.pods, done.refused), (500, 0));
            allocation_count() - before
        })
        .collect();
    println!("allocations of decoding and committing 500 pods, scrape by scrape: {counts:?}");
    assert!(counts[0] > 0, "what is counted is counted");
    assert_eq!(counts[2..], [0; 4], "{counts:?}");
    assert!(store.pod("ns1", "pod-123").unwrap().usage.is_some());
}

#[test]
fn refused_nodes_are_counted_apart_from_pods() {
    let capacity = Capacity { nodes: 1, pods: 2, containers: 2, text_len: 4096 };
    let mut store = Store::new(capacity, Window::from_secs(60));
    store.upsert_node(&node_record("node1")).unwrap();
    for _ in 0..2 {
        assert_eq!(store.upsert_node(&node_record("node2")), Err(Refused::Nodes));
    }
    assert_eq!((store.occupancy().refused_nodes, store.occupancy().refused_pods), (2, 0));
    store.remove_node("node1");
    store.upsert_node(&node_record("node2")).unwrap();
    assert_eq!(store.occupancy().refused_nodes, 2);
}
