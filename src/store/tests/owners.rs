use super::*;

#[test]
fn k15_of_two_nodes_with_one_pod_the_first_has_it_until_it_lacks_it() {
    let mut store = store();
    let pod = |at| batch(None, &[("pod1", "c1", point(None, at, 1, 4))]);
    commit(&mut store, "node1", &pod(10));
    let second = commit(&mut store, "node2", &pod(11));
    assert_eq!((second.claimed_pods, second.pods), (1, 0));
    commit(&mut store, "node1", &pod(20));
    assert_eq!(store.pod("ns1", "pod1").unwrap().node(), Some("node1"));
    assert_eq!(pod_text(&store, "pod1").unwrap(), "20 over 10s [c1 0 4Mi]");
    commit(&mut store, "node1", &batch(None, &[]));
    assert_eq!((pod_text(&store, "pod1"), store.pod("ns1", "pod1").unwrap().node()), (None, None));
    commit(&mut store, "node2", &pod(21));
    commit(&mut store, "node2", &pod(31));
    assert_eq!(store.pod("ns1", "pod1").unwrap().node(), Some("node2"));
    assert!(pod_text(&store, "pod1").is_some());
}

fn assigned<'a>(name: &'a str, node_name: &'a str) -> PodRecord<'a> {
    PodRecord { node_name, ..pod_record("ns1", name) }
}

#[test]
fn the_node_that_the_api_server_names_has_the_pod_in_any_order() {
    for first in ["node1", "node2"] {
        let mut store = store();
        store.upsert_pod(&assigned("pod1", "node2")).unwrap();
        let claims = |store: &mut Store, at| {
            let mut claims = Vec::new();
            for node in [first, if first == "node1" { "node2" } else { "node1" }] {
                // The other node claims newer samples and a younger start.
                let lead = if node == "node1" { 1_000 } else { 0 };
                let point = point(Some(at + lead - 500), at + lead, 1 + at as u64, 4);
                claims.push(store.commit(node, &batch(None, &[("pod1", "c", point)]), uptime(at)));
            }
            claims
        };
        claims(&mut store, 10);
        let claims = claims(&mut store, 20);
        assert_eq!(store.pod("ns1", "pod1").unwrap().node(), Some("node2"));
        assert_eq!(pod_text(&store, "pod1").unwrap(), "20 over 10s [c 1 4Mi]");
        let refused = claims.iter().find(|done| done.claimed_pods == 1).unwrap();
        let claim = refused.first_claim.as_ref().unwrap();
        assert_eq!((&*claim.namespace, &*claim.pod, &*claim.owner), ("ns1", "pod1", "node2"));
        // A failed scrape of the owner gives the pod to nobody.
        store.fail("node2", uptime(30));
        assert_eq!(
            store.commit("node1", &batch(None, &[("pod1", "c", point(None, 40, 1, 1))]), uptime(40)).pods,
            0
        );
    }
}

#[test]
fn a_pod_that_moves_loses_the_points_of_its_old_node() {
    let mut store = store();
    for at in [10, 20] {
        commit(&mut store, "node1", &batch(None, &[("pod1", "c", point(None, at, 1, 4))]));
    }
    assert!(pod_text(&store, "pod1").is_some());
    store.upsert_pod(&assigned("pod1", "node1")).unwrap();
    assert!(pod_text(&store, "pod1").is_some(), "the same node");
    store.upsert_pod(&assigned("pod1", "node2")).unwrap();
    assert_eq!((pod_text(&store, "pod1"), store.occupancy().containers), (None, 0));
    // A node that is not known yet may be named.
    store.upsert_pod(&assigned("pod1", "node7")).unwrap();
    assert_eq!(
        commit(&mut store, "node2", &batch(None, &[("pod1", "c", point(None, 30, 1, 4))])).claimed_pods,
        1
    );
}

fn decoded(body: &str) -> Batch {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(1));
    batch.feed(body.as_bytes()).unwrap();
    batch.finish();
    batch
}

#[test]
fn a_ghost_of_a_pod_that_moved_loses_to_the_live_one_in_any_order() {
    let ghost = include_str!("../../../tests/golden/kubelet/ghost-node1.txt");
    let live = include_str!("../../../tests/golden/kubelet/ghost-node2.txt");
    // Fifteen seconds and fifteen core-seconds later; the ghost's row is frozen.
    let live_later = live.replace("1795735658000", "1795735673000").replace("} 30 ", "} 45 ");
    // With and without its old time: some kubelets stamp a frozen row with the time of the scrape.
    let fresh_ghost = ghost.replace("1795476458000", "1795735658000");
    for (ghost, first) in
        [(ghost, "node1"), (ghost, "node2"), (&fresh_ghost, "node1"), (&fresh_ghost, "node2")]
    {
        let mut store = store_with(15);
        store.upsert_pod(&pod_record("default", "web-0")).unwrap();
        let mut claims = 0;
        for (round, live) in [live, &live_later].into_iter().enumerate() {
            let mut bodies = [("node1", ghost), ("node2", live)];
            if first == "node2" {
                bodies.reverse();
            }
            for (node, body) in bodies {
                let done = store.commit(node, &decoded(body), Uptime(10_000 + 150 * round as u32));
                claims += done.claimed_pods;
            }
        }
        let pod = store.pod("default", "web-0").unwrap();
        assert_eq!(pod.node(), Some("node2"), "{first} first");
        let usage: Vec<_> = pod.usage.unwrap().containers().map(|(_, usage)| usage.cpu.0).collect();
        assert_eq!(usage, [1_000_000_000]);
        assert!(claims > 0, "said with both names");
    }
}

#[test]
fn once_pods_are_listed_a_kubelet_may_report_a_few_others() {
    let mut store = Store::new(Capacity { pods: 600, containers: 900, ..CAPACITY }, Window::from_secs(15));
    store.upsert_node(&node_record("node1")).unwrap();
    let names: Vec<String> = (0..500).map(|n| format!("made-up-{n}")).collect();
    let point = point(None, 10, 1, 1);
    let pods: Vec<_> = names.iter().map(|name| (name.as_str(), "c", point)).collect();
    // Before the list every pod may turn out to be listed.
    assert_eq!(commit(&mut store, "node1", &batch(None, &pods)).pods, 500);
    store.begin_list(Inventory::Pods);
    store.upsert_pod(&pod_record("ns1", "real")).unwrap();
    store.end_list(Inventory::Pods);
    let mut reported = pods.clone();
    reported.push(("real", "c", point));
    let done = commit(&mut store, "node1", &batch(None, &reported));
    assert_eq!((done.pods, done.refused), (crate::limits::UNLISTED_PODS_MAX + 1, 0));
    assert_eq!(done.unlisted_pods, 500 - crate::limits::UNLISTED_PODS_MAX);
    assert_eq!(store.occupancy().pods, done.pods);
    // Many containers in one of them count as well.
    let containers: Vec<String> =
        (0..=crate::limits::UNLISTED_CONTAINERS_MAX).map(|n| format!("c{n}")).collect();
    let fat: Vec<_> = containers.iter().map(|name| ("fat", name.as_str(), point)).collect();
    let done = commit(&mut store, "node1", &batch(None, &fat));
    assert_eq!((done.pods, done.unlisted_pods, store.occupancy().containers), (0, 1, 0));
}

#[test]
fn listed_pods_take_the_room_of_those_that_only_a_kubelet_reports() {
    let capacity = Capacity { nodes: 2, pods: 40, containers: 44, text_len: 1_200 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    store.upsert_node(&node_record("node1")).unwrap();
    store.upsert_node(&node_record("node2")).unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("made-up-{n}")).collect();
    let at = point(None, 10, 1, 1);
    let pods: Vec<_> = names.iter().map(|name| (name.as_str(), "c", at)).collect();
    assert_eq!(commit(&mut store, "node1", &batch(None, &pods)).pods, 40);
    let real: Vec<String> = (0..40).map(|n| format!("real-{n}")).collect();
    store.begin_list(Inventory::Pods);
    for name in &real {
        let record = PodRecord { labels: vec![("name", name)], ..pod_record("ns1", name) };
        store.upsert_pod(&record).unwrap();
    }
    store.end_list(Inventory::Pods);
    assert_eq!((store.occupancy().pods, store.occupancy().refused_pods), (40, 0));
    let reported: Vec<_> = real.iter().map(|name| (name.as_str(), "c", at)).collect();
    let done = commit(&mut store, "node2", &batch(None, &reported));
    assert_eq!((done.pods, done.refused), (40, 0));
    // The kubelet that lies finds nothing left, and disturbs nobody.
    let done = commit(&mut store, "node1", &batch(None, &pods));
    assert_eq!((done.pods, done.unlisted_pods), (0, 100));
    assert_eq!(store.occupancy().containers, 40);
}

#[test]
fn a_new_list_is_due_once_what_was_refused_has_room() {
    let capacity = Capacity { nodes: 1, pods: 16, containers: 16, text_len: 4_096 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    let names: Vec<String> = (0..19).map(|n| format!("pod-{n}")).collect();
    let list = |store: &mut Store, names: &[String]| {
        store.begin_list(Inventory::Pods);
        let refused = names.iter().filter(|name| store.upsert_pod(&pod_record("ns1", name)).is_err()).count();
        store.end_list(Inventory::Pods);
        refused
    };
    assert_eq!(list(&mut store, &names), 3);
    assert!(!store.has_room_again(Inventory::Pods), "full");
    store.remove_pod("ns1", "pod-0");
    assert!(!store.has_room_again(Inventory::Pods), "room for one of three, and not for an eighth of all");
    store.remove_pod("ns1", "pod-1");
    assert!(store.has_room_again(Inventory::Pods));
    assert!(!store.has_room_again(Inventory::Nodes));
    // What a list does not name goes at its end: one object more finds room in the next.
    assert_eq!(list(&mut store, &names[3..]), 1);
    assert!(store.has_room_again(Inventory::Pods));
    assert_eq!(list(&mut store, &names[3..]), 0);
    assert!(!store.has_room_again(Inventory::Pods), "nothing was refused since");
    store.upsert_node(&node_record("a")).unwrap();
    store.upsert_node(&node_record("b")).unwrap_err();
    assert!(!store.has_room_again(Inventory::Nodes));
    store.remove_node("a");
    assert!(store.has_room_again(Inventory::Nodes));
}
