use super::*;
use crate::units::{Bytes, Nanocores};
use crate::wire::allocatable::Allocatable;

#[test]
fn a_pod_the_kubelet_reported_first_is_served_as_soon_as_it_is_listed() {
    let mut store = store();
    let other = |at| batch(None, &[("early", "c1", point(None, at, 1, 4))]);
    commit(&mut store, "node1", &other(10));
    commit(&mut store, "node1", &other(20));
    assert!(store.pod("ns1", "early").is_none());
    assert!(store.pods_after(None, None).all(|pod| pod.name() != "early"));
    store.upsert_pod(&pod_record("ns1", "early")).unwrap();
    let pod = store.pod("ns1", "early").unwrap();
    assert!(pod.usage.is_some());
    assert_eq!(pod.served_since, store.generation());
    store.remove_pod("ns1", "early");
    assert!(store.pod("ns1", "early").is_none());
    assert_eq!(store.occupancy().pods, 3, "its points are kept");
    commit(&mut store, "node1", &batch(None, &[]));
    assert_eq!((store.occupancy().pods, store.occupancy().containers), (2, 0));
}

#[test]
fn a_commit_of_an_unknown_node_is_ignored() {
    let mut store = store();
    let generation = store.generation();
    let done = commit(
        &mut store,
        "node9",
        &batch(Some(point(None, 1, 1, 1)), &[("pod1", "c", point(None, 1, 1, 1))]),
    );
    assert_eq!((done, store.occupancy().containers), (Commit::default(), 0));
    store.fail("node9", uptime(0));
    assert_eq!(store.generation(), generation);
}

#[test]
fn a_list_removes_what_it_did_not_name() {
    let mut store = store();
    store.upsert_node(&node_record("gone")).unwrap();
    assert_eq!(store.readiness(), Readiness::default());
    store.begin_list(Inventory::Nodes);
    store.upsert_node(&node_record("node2")).unwrap();
    store.upsert_node(&node_record("node3")).unwrap();
    assert!(store.node("gone").is_some(), "served until the list is whole");
    store.end_list(Inventory::Nodes);
    store.begin_list(Inventory::Pods);
    store.upsert_pod(&pod_record("ns1", "pod2")).unwrap();
    store.end_list(Inventory::Pods);
    assert_eq!(store.nodes_after(None).map(|node| node.name).collect::<Vec<_>>(), ["node2", "node3"]);
    assert_eq!(store.pods_after(None, None).map(|pod| pod.name()).collect::<Vec<_>>(), ["pod2"]);
    assert!(store.readiness().nodes_synced && store.readiness().pods_synced);
}

#[test]
fn walks_go_by_key_and_resume_behind_any() {
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    for (namespace, name) in [("b", "z"), ("a", "y"), ("b", "a"), ("a-b", "x"), ("c", "k"), ("a", "x")] {
        store.upsert_pod(&pod_record(namespace, name)).unwrap();
    }
    let walk = |namespace, after| -> Vec<String> {
        store.pods_after(namespace, after).map(|pod| format!("{}/{}", pod.namespace(), pod.name())).collect()
    };
    assert_eq!(walk(None, None), ["a/x", "a/y", "a-b/x", "b/a", "b/z", "c/k"]);
    assert_eq!(walk(Some("b"), None), ["b/a", "b/z"]);
    assert_eq!(walk(Some("b"), Some(("b", "a"))), ["b/z"]);
    assert_eq!(walk(Some("b"), Some(("a", "z"))), ["b/a", "b/z"]);
    assert_eq!(walk(Some("b"), Some(("c", ""))), [""; 0]);
    assert_eq!(walk(None, Some(("a", "y"))), ["a-b/x", "b/a", "b/z", "c/k"]);
    assert_eq!(walk(None, Some(("a", "xx"))), ["a/y", "a-b/x", "b/a", "b/z", "c/k"]);
    assert_eq!(walk(Some("nope"), None), [""; 0]);
    for name in ["n2", "n1", "n10"] {
        store.upsert_node(&node_record(name)).unwrap();
    }
    let nodes = |after| store.nodes_after(after).map(|node| node.name).collect::<Vec<_>>();
    assert_eq!(nodes(None), ["n1", "n10", "n2"]);
    assert_eq!(nodes(Some("n1")), ["n10", "n2"]);
    assert_eq!(nodes(Some("n15")), ["n2"]);
}

#[test]
fn labels_are_sorted_shared_and_replaced() {
    let mut store = store();
    let labels = vec![("tier", "front"), ("app", "web"), ("empty", ""), ("app", "web2")];
    for name in ["pod1", "pod2"] {
        store.upsert_pod(&PodRecord { labels: labels.clone(), ..pod_record("ns1", name) }).unwrap();
    }
    let pod = store.pod("ns1", "pod1").unwrap();
    assert_eq!(pod.labels.iter().collect::<Vec<_>>(), [("app", "web2"), ("empty", ""), ("tier", "front")]);
    assert_eq!(pod.labels.value("empty"), Some(""));
    assert_eq!((pod.labels.value("tier"), pod.labels.value("ti")), (Some("front"), None));
    let shared = store.occupancy().text_len;
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    assert_eq!(store.occupancy().text_len, shared, "the other pod still uses them");
    store.upsert_pod(&pod_record("ns1", "pod2")).unwrap();
    assert!(store.occupancy().text_len < shared);
    assert_eq!(store.pod("ns1", "pod1").unwrap().labels.iter().count(), 0);
}

#[test]
fn targets_say_what_the_inventory_was_told() {
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    let record = NodeRecord {
        name: "edge",
        labels: vec![("a", "b")],
        addresses: vec![("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1"), ("Hostname", "edge")],
        kubelet_port: 10250,
        metrics_path: "/fake",
        ready: true,
        allocatable: Allocatable { cpu: Nanocores(7), memory: Bytes(8), swap: Some(Bytes(9)) },
    };
    store.upsert_node(&record).unwrap();
    store.upsert_node(&node_record("bare")).unwrap();
    assert_eq!(store.node("edge").unwrap().allocatable, record.allocatable);
    let targets = store.targets();
    let owned = |(kind, address): &(&str, &str)| ((*kind).to_owned(), (*address).to_owned());
    assert_eq!(
        targets[1],
        Target {
            name: "edge".to_owned(),
            addresses: record.addresses.iter().map(owned).collect(),
            kubelet_port: 10250,
            metrics_path: "/fake".to_owned(),
            ready: true,
        }
    );
    assert_eq!((targets[0].addresses.len(), targets[0].metrics_path.as_str()), (0, ""));
    assert_eq!(store.node("edge").unwrap().labels.value("a"), Some("b"));
}
