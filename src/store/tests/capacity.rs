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
    assert_eq!(store.pod("ns1", "pod1").unwrap().node, None);
}

#[test]
fn a_node_a_pod_and_a_container_stay_small() {
    const { assert!(Slab::<Node>::SLOT_LEN <= 128) };
    const { assert!(Slab::<Pod>::SLOT_LEN <= 64) };
    const { assert!(Rows::ROW_LEN <= 80 && Names::ENTRY_LEN <= 28) };
}
