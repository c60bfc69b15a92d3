use super::batch::Batch;
use super::row::Point;
use super::*;
use crate::units::CoreNanos;
use crate::wire::exposition::Key;
use crate::wire::tests::Lcg;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
/// Any instant: times of the cases are seconds after it.
const BASE: i64 = 1_633_253_809;
const CAPACITY: Capacity = Capacity { nodes: 8, pods: 64, containers: 128, text_len: 1 << 16 };

/// `P(start, ts, cpu, mem)` of the cases: seconds after the base, core-seconds, MiB. A start of `None` is unknown.
fn point(start: Option<i64>, at: i64, cpu: u64, mem: u64) -> Point {
    let nanos = |secs: i64| UnixNanos((BASE + secs) * 1_000_000_000);
    let mut point = Point::NONE;
    point.taken_at = nanos(at);
    (point.cpu, point.working_set) = (CoreNanos(cpu * 1_000_000_000), Bytes(mem * MIB));
    point.started_at = start.map_or(UnixNanos::UNKNOWN, nanos);
    point
}

fn node_record(name: &str) -> NodeRecord<'_> {
    NodeRecord { name, ready: true, ..NodeRecord::default() }
}

fn pod_record<'a>(namespace: &'a str, name: &'a str) -> PodRecord<'a> {
    PodRecord { namespace, name, labels: vec![] }
}

/// A store with one node and one listed pod, as most cases have it.
fn store_with(resolution_secs: i64) -> Store {
    let mut store = Store::new(CAPACITY, Window::from_secs(resolution_secs));
    store.upsert_node(&node_record("node1")).unwrap();
    store.upsert_node(&node_record("node2")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    store.upsert_pod(&pod_record("ns1", "pod2")).unwrap();
    store
}

fn store() -> Store {
    store_with(60)
}

fn batch(node: Option<Point>, pods: &[(&str, &str, Point)]) -> Batch {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    if let Some(point) = node {
        batch.set_node(point);
    }
    for (pod, container, point) in pods {
        batch.set_container(Key { namespace: "ns1", pod, container }, *point).unwrap();
    }
    batch.finish();
    batch
}

fn commit_node(store: &mut Store, point: Point) {
    store.commit("node1", &batch(Some(point), &[]));
}

fn commit_pod(store: &mut Store, containers: &[(&str, Point)]) -> Commit {
    let pods: Vec<_> = containers.iter().map(|(name, point)| ("pod1", *name, *point)).collect();
    store.commit("node1", &batch(None, &pods))
}

/// What is served: seconds after the base, window in nanoseconds, canonical CPU and memory.
fn node_text(store: &Store, name: &str) -> Option<String> {
    store.node(name)?.usage.map(usage_text)
}

fn usage_text(usage: Usage) -> String {
    let at = usage.at.0 - BASE * 1_000_000_000;
    let at = crate::wire::time::duration_text(Window(at));
    let window = crate::wire::time::duration_text(usage.window);
    let cpu = crate::wire::quantity::cpu_text(usage.cpu);
    let memory = crate::wire::quantity::bytes_text(usage.working_set);
    format!("at {} over {}: {} {}", at.as_str(), window.as_str(), cpu.as_str(), memory.as_str())
}

fn pod_text(store: &Store, name: &str) -> Option<String> {
    let usage = store.pod("ns1", name)?.usage?;
    let (at, window) = usage.span();
    let at = at.map_or("never".to_owned(), |at| (at.seconds() - BASE).to_string());
    let window = crate::wire::time::duration_text(window);
    let containers: Vec<_> = usage
        .containers()
        .map(|(name, usage)| {
            let cpu = crate::wire::quantity::cpu_text(usage.cpu);
            let memory = crate::wire::quantity::bytes_text(usage.working_set);
            format!("{name} {} {}", cpu.as_str(), memory.as_str())
        })
        .collect();
    Some(format!("{at} over {} [{}]", window.as_str(), containers.join(", ")))
}

fn is_ready(store: &Store) -> bool {
    let readiness = store.readiness();
    readiness.nodes && readiness.pods
}

#[test]
fn e1_two_points_give_node_metrics() {
    let mut store = store();
    commit_node(&mut store, point(Some(0), 10, 10, 2));
    assert_eq!((node_text(&store, "node1"), store.readiness().nodes), (None, false));
    commit_node(&mut store, point(Some(0), 20, 20, 3));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 20s over 10s: 1 3Mi");
    assert!(store.readiness().nodes);
    assert_eq!(node_text(&store, "node2"), None);
    store.commit("node1", &batch(None, &[]));
    assert_eq!((node_text(&store, "node1"), store.readiness().nodes), (None, false));
}

#[test]
fn e2_a_repeated_node_point_gives_nothing() {
    let mut store = store();
    commit_node(&mut store, point(Some(0), 10, 10, 2));
    commit_node(&mut store, point(Some(0), 10, 10, 2));
    assert_eq!((node_text(&store, "node1"), store.readiness().nodes), (None, false));
}

#[test]
fn e3_points_count_nodes_that_have_two() {
    let mut store = store();
    assert_eq!(store.occupancy().node_points, 0);
    commit_node(&mut store, point(Some(0), 10, 10, 2));
    assert_eq!((store.occupancy().node_points, store.occupancy().container_points), (0, 0));
    commit_node(&mut store, point(Some(0), 20, 21, 3));
    assert_eq!((store.occupancy().node_points, store.occupancy().container_points), (1, 0));
}

#[test]
fn e4_e5_a_nodes_counter_that_went_back_gives_nothing() {
    for (first, second) in [
        (point(Some(0), 10, 10, 2), point(Some(15), 20, 5, 3)),
        (point(Some(0), 15, 50, 3), point(Some(0), 25, 10, 5)),
    ] {
        let mut store = store();
        commit_node(&mut store, first);
        commit_node(&mut store, second);
        assert_eq!(node_text(&store, "node1"), None);
    }
}

#[test]
fn e6_a_node_point_older_than_both_gives_nothing() {
    let mut store = store();
    for (at, cpu, mem) in [(15, 10, 3), (35, 50, 5), (5, 6, 2)] {
        commit_node(&mut store, point(Some(0), at, cpu, mem));
    }
    assert_eq!(node_text(&store, "node1"), None);
}

#[test]
fn e7_a_node_point_between_both_is_rated_from_the_older() {
    let mut store = store();
    for (at, cpu, mem) in [(15, 10, 1), (35, 50, 4), (25, 35, 2)] {
        commit_node(&mut store, point(Some(0), at, cpu, mem));
    }
    assert_eq!(node_text(&store, "node1").unwrap(), "at 25s over 10s: 2500m 2Mi");
}

#[test]
fn e8_a_node_without_start_time_is_served() {
    let mut store = store();
    commit_node(&mut store, point(None, 10, 10, 2));
    assert_eq!((node_text(&store, "node1"), store.readiness().nodes), (None, false));
    commit_node(&mut store, point(None, 20, 20, 3));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 20s over 10s: 1 3Mi");
}

#[test]
fn e9_two_points_give_pod_metrics() {
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(Some(0), 120, 1, 4))]);
    assert_eq!((pod_text(&store, "pod1"), store.readiness().pods), (None, false));
    commit_pod(&mut store, &[("container1", point(Some(0), 125, 6, 5))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "125 over 5s [container1 1 5Mi]");
    assert!(store.readiness().pods);
    assert_eq!(pod_text(&store, "pod2"), None);
    commit_pod(&mut store, &[]);
    assert_eq!((pod_text(&store, "pod1"), store.readiness().pods), (None, false));
}

#[test]
fn e10_e12_the_earliest_container_gives_the_pods_time() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 110, 1, 4)), ("c2", point(Some(0), 115, 2, 5))]);
    assert_eq!(store.occupancy().container_points, 0);
    commit_pod(&mut store, &[("c1", point(Some(0), 120, 6, 6)), ("c2", point(Some(0), 125, 7, 7))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "120 over 10s [c1 500m 6Mi, c2 500m 7Mi]");
    assert_eq!((store.occupancy().container_points, store.occupancy().node_points), (2, 0));
}

#[test]
fn e11_a_repeated_container_point_gives_nothing() {
    let mut store = store();
    for _ in 0..2 {
        commit_pod(&mut store, &[("container1", point(Some(0), 110, 1, 4))]);
        assert_eq!((pod_text(&store, "pod1"), store.readiness().pods), (None, false));
    }
}

#[test]
fn e13_restart_takes_window_from_start() {
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(Some(0), 10, 1, 4))]);
    commit_pod(&mut store, &[("container1", point(Some(15), 25, 5, 5))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "25 over 10s [container1 500m 5Mi]");
}

#[test]
fn e14_a_counter_that_went_back_gives_the_pod_without_containers() {
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(Some(0), 110, 20, 4))]);
    commit_pod(&mut store, &[("container1", point(Some(0), 120, 10, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "never over 0s []");
}

#[test]
fn e15_a_container_point_older_than_both_gives_nothing() {
    let mut store = store();
    for (at, cpu) in [(1115, 20), (1125, 40), (115, 10)] {
        commit_pod(&mut store, &[("container1", point(Some(0), at, cpu, 4))]);
    }
    assert_eq!(pod_text(&store, "pod1"), None);
}

#[test]
fn e16_a_container_point_between_both_is_rated_from_the_older() {
    let mut store = store();
    for (at, cpu, mem) in [(115, 10, 4), (125, 50, 5), (120, 35, 5)] {
        commit_pod(&mut store, &[("container1", point(Some(0), at, cpu, mem))]);
    }
    assert_eq!(pod_text(&store, "pod1").unwrap(), "120 over 5s [container1 5 5Mi]");
}

#[test]
fn e17_e18_e19_e20_k19_only_a_fresh_container_is_served_after_one_scrape() {
    for (age_secs, served) in [(120, false), (10, true), (59, true), (60, false), (9, false), (-10, false)] {
        let mut store = store();
        commit_pod(&mut store, &[("container1", point(Some(0), age_secs, 10, 4))]);
        assert_eq!(pod_text(&store, "pod1").is_some(), served, "{age_secs}");
        assert_eq!(store.readiness().pods, served, "{age_secs}");
    }
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(Some(0), 10, 10, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "10 over 10s [container1 1 4Mi]");
    let mut almost = point(Some(0), 10, 10, 4);
    almost.taken_at.0 -= 1_000_000;
    commit_pod(&mut store, &[]);
    commit_pod(&mut store, &[("container1", almost)]);
    assert_eq!(pod_text(&store, "pod1"), None, "9.999 s");
}

#[test]
fn e21_a_container_without_start_time_is_served_after_two_scrapes() {
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(None, 120, 1, 4))]);
    assert_eq!((pod_text(&store, "pod1"), store.readiness().pods), (None, false));
    commit_pod(&mut store, &[("container1", point(None, 125, 6, 5))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "125 over 5s [container1 1 5Mi]");
}

#[test]
fn e22_all_containers_or_nothing() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 110, 1, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 120, 6, 6)), ("c2", point(Some(0), 120, 8, 5))]);
    assert_eq!(pod_text(&store, "pod1"), None);
}

#[test]
fn e23_e24_e25_ready_needs_a_node_and_a_pod_with_two_points() {
    let nodes = [point(Some(0), 10, 10, 2), point(Some(0), 20, 20, 3)];
    let pods = [point(Some(0), 120, 1, 4), point(Some(0), 125, 6, 5)];
    for (with_nodes, with_pods) in [(true, false), (false, true), (true, true)] {
        let mut store = store();
        for round in 0..2 {
            let node = with_nodes.then_some(nodes[round]);
            let pod = [("pod1", "container1", pods[round])];
            store.commit("node1", &batch(node, if with_pods { &pod } else { &[] }));
            assert_eq!(is_ready(&store), with_nodes && with_pods && round == 1);
        }
    }
}

#[test]
fn e29_a_window_of_milliseconds_is_divided_exactly() {
    let mut store = store();
    let at = |millis: i64, cpu: u64, mem: u64| {
        let mut point = point(Some(0), 0, 0, 0);
        point.taken_at.0 += millis * 1_000_000;
        (point.cpu, point.working_set) = (CoreNanos(cpu), Bytes(mem));
        point
    };
    commit_node(&mut store, at(10, 300, 400));
    commit_node(&mut store, at(20, 500, 600));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 20ms over 10ms: 20u 600");
}

#[test]
fn e30_e31_k22_a_start_or_a_counter_that_went_back_has_no_rate() {
    for (first, second) in [
        (point(Some(100), 110, 3, 4), point(Some(50), 120, 5, 4)),
        (point(Some(0), 110, 3, 4), point(Some(0), 120, 1, 4)),
        (point(Some(0), 110, 3, 4), point(None, 120, 5, 4)),
    ] {
        let mut store = store_with(15);
        commit_node(&mut store, first);
        commit_node(&mut store, second);
        assert_eq!(node_text(&store, "node1"), None);
        commit_pod(&mut store, &[("c1", first)]);
        commit_pod(&mut store, &[("c1", second)]);
        assert!(pod_text(&store, "pod1").unwrap().ends_with("over 0s []"), "{first:?}");
    }
}

#[test]
fn k15_of_two_nodes_with_one_pod_the_first_has_it_until_it_lacks_it() {
    let mut store = store();
    let pod = |at| batch(None, &[("pod1", "c1", point(None, at, 1, 4))]);
    store.commit("node1", &pod(10));
    let second = store.commit("node2", &pod(11));
    assert_eq!((second.duplicate_pods, second.pods), (1, 0));
    store.commit("node1", &pod(20));
    assert_eq!(store.pod("ns1", "pod1").unwrap().node, Some("node1"));
    assert_eq!(pod_text(&store, "pod1").unwrap(), "20 over 10s [c1 0 4Mi]");
    store.commit("node1", &batch(None, &[]));
    assert_eq!((pod_text(&store, "pod1"), store.pod("ns1", "pod1").unwrap().node), (None, None));
    store.commit("node2", &pod(21));
    store.commit("node2", &pod(31));
    assert_eq!(store.pod("ns1", "pod1").unwrap().node, Some("node2"));
    assert!(pod_text(&store, "pod1").is_some());
}

#[test]
fn k16_after_a_gap_two_points_are_needed_again() {
    let mut store = store();
    let mut served = Vec::new();
    for (at, present) in [(110, true), (120, true), (130, false), (140, true), (150, true)] {
        let pod = [("c1", point(Some(0), at, 1, 4))];
        commit_pod(&mut store, if present { &pod } else { &[] });
        served.push(pod_text(&store, "pod1").is_some());
    }
    assert_eq!(served, [false, true, false, false, true]);
}

#[test]
fn k17_a_container_that_exited_is_left_out() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 110, 1, 4)), ("c2", point(Some(0), 110, 1, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 120, 11, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "120 over 10s [c1 1 4Mi]");
    assert_eq!(store.occupancy().containers, 1);
}

#[test]
fn k18_a_container_without_earlier_point_and_a_repeated_one_makes_the_pod_absent() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 110, 1, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 120, 2, 4)), ("c2", point(Some(0), 120, 2, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 130, 3, 4)), ("c2", point(Some(0), 120, 2, 4))]);
    assert_eq!(pod_text(&store, "pod1"), None);
}

#[test]
fn k20_a_container_too_young_at_first_is_served_from_its_two_points() {
    let mut store = store_with(15);
    commit_pod(&mut store, &[("c1", point(Some(0), 4, 1, 4))]);
    assert_eq!(pod_text(&store, "pod1"), None);
    commit_pod(&mut store, &[("c1", point(Some(0), 19, 16, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "19 over 15s [c1 1 4Mi]");
}

#[test]
fn k21_a_fresh_container_is_rated_from_its_start_even_with_an_earlier_point() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 15, 1, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 30, 15, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "30 over 30s [c1 500m 4Mi]");
}

#[test]
fn k23_a_node_time_that_does_not_advance_changes_nothing() {
    let mut store = store();
    commit_node(&mut store, point(None, 10, 10, 2));
    commit_node(&mut store, point(None, 20, 20, 3));
    let before = node_text(&store, "node1");
    let again = store.commit("node1", &batch(Some(point(None, 20, 20, 3)), &[]));
    assert_eq!(node_text(&store, "node1"), before);
    assert_eq!((again.node, again.node_advanced), (true, false));
    assert!(store.commit("node1", &batch(Some(point(None, 30, 20, 3)), &[])).node_advanced);
}

#[test]
fn k24_a_container_whose_counter_went_back_is_left_out_alone() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(Some(0), 110, 5, 4)), ("c2", point(Some(0), 111, 5, 4))]);
    commit_pod(&mut store, &[("c1", point(Some(0), 120, 1, 4)), ("c2", point(Some(0), 121, 15, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "121 over 10s [c2 1 4Mi]");
}

#[test]
fn k25_k26_unchanged_cpu_is_zero_and_fractions_are_cut() {
    let mut store = store();
    commit_node(&mut store, point(None, 10, 10, 2));
    commit_node(&mut store, point(None, 20, 10, 2));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 20s over 10s: 0 2Mi");
    let mut third = point(None, 30, 10, 2);
    third.cpu.0 += 1_067_432_519;
    commit_node(&mut store, third);
    assert_eq!(node_text(&store, "node1").unwrap(), "at 30s over 10s: 106743251n 2Mi");
}

#[test]
fn a_pod_the_kubelet_reported_first_is_served_as_soon_as_it_is_listed() {
    let mut store = store();
    let other = |at| batch(None, &[("early", "c1", point(None, at, 1, 4))]);
    store.commit("node1", &other(10));
    store.commit("node1", &other(20));
    assert!(store.pod("ns1", "early").is_none());
    assert!(store.pods_after(None, None).all(|pod| pod.name != "early"));
    store.upsert_pod(&pod_record("ns1", "early")).unwrap();
    let pod = store.pod("ns1", "early").unwrap();
    assert!(pod.usage.is_some());
    assert_eq!(pod.served_since, store.generation());
    store.remove_pod("ns1", "early");
    assert!(store.pod("ns1", "early").is_none());
    assert_eq!(store.occupancy().pods, 3, "its points are kept");
    store.commit("node1", &batch(None, &[]));
    assert_eq!((store.occupancy().pods, store.occupancy().containers), (2, 0));
}

#[test]
fn a_failed_node_loses_its_points_and_those_of_its_pods_only() {
    let mut store = store();
    for at in [10, 20] {
        store.commit("node1", &batch(Some(point(None, at, 1, 1)), &[("pod1", "c", point(None, at, 1, 4))]));
        store.commit("node2", &batch(Some(point(None, at, 1, 1)), &[("pod2", "c", point(None, at, 1, 4))]));
    }
    store.fail("node1");
    assert_eq!((node_text(&store, "node1"), pod_text(&store, "pod1")), (None, None));
    assert!(node_text(&store, "node2").is_some() && pod_text(&store, "pod2").is_some());
    store.remove_node("node2");
    assert!(store.node("node2").is_none() && pod_text(&store, "pod2").is_none());
    let occupancy = store.occupancy();
    assert_eq!((occupancy.nodes, occupancy.pods, occupancy.containers), (1, 2, 0));
    assert_eq!((occupancy.node_points, occupancy.container_points), (0, 0));
}

#[test]
fn a_commit_of_an_unknown_node_is_ignored() {
    let mut store = store();
    let generation = store.generation();
    let done =
        store.commit("node9", &batch(Some(point(None, 1, 1, 1)), &[("pod1", "c", point(None, 1, 1, 1))]));
    assert_eq!((done, store.occupancy().containers), (Commit::default(), 0));
    store.fail("node9");
    assert_eq!(store.generation(), generation);
}

#[test]
fn served_since_is_the_change_that_made_usage_servable_and_stays() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(None, 110, 1, 4))]);
    let begun = store.generation();
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, 0);
    store.commit("node1", &batch(Some(point(None, 1, 1, 1)), &[("pod1", "c1", point(None, 120, 1, 4))]));
    let since = store.pod("ns1", "pod1").unwrap().served_since;
    assert!(since > begun);
    store.commit("node1", &batch(Some(point(None, 2, 1, 1)), &[("pod1", "c1", point(None, 130, 1, 4))]));
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, since);
    assert_eq!(store.node("node1").unwrap().served_since, store.generation());
    commit_pod(&mut store, &[]);
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, 0);
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
    assert_eq!(store.pods_after(None, None).map(|pod| pod.name).collect::<Vec<_>>(), ["pod2"]);
    assert!(store.readiness().nodes_synced && store.readiness().pods_synced);
}

#[test]
fn walks_go_by_key_and_resume_behind_any() {
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    for (namespace, name) in [("b", "z"), ("a", "y"), ("b", "a"), ("a-b", "x"), ("c", "k"), ("a", "x")] {
        store.upsert_pod(&pod_record(namespace, name)).unwrap();
    }
    let walk = |namespace, after| -> Vec<String> {
        store.pods_after(namespace, after).map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
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
    let labels = vec![("tier", "front"), ("app", "web"), ("empty", ""), ("app", "web2"), ("bad\0key", "x")];
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
    };
    store.upsert_node(&record).unwrap();
    store.upsert_node(&node_record("bare")).unwrap();
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
    let done = store.commit("node1", &reported);
    assert_eq!((done.pods, done.containers, done.refused), (1, 2, 2));
    assert_eq!(done.first_refusal, Some(Refused::Containers));
    assert_eq!(store.occupancy().refused_pods, 3);
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
    store.commit("node1", &batch(None, &[]));
    assert_eq!(store.commit("node1", &batch(None, &[("pod2", "a", at(2)), ("pod2", "c", at(2))])).refused, 0);
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

/// The plain model: for each pod its owner and its containers' rows.
type Known = BTreeMap<String, (usize, BTreeMap<String, row::Row>)>;

/// What a commit of one node's points does to the model.
fn model_commit(known: &mut Known, node: usize, reported: &BTreeMap<(String, String), Point>) {
    let mut new: BTreeMap<String, BTreeMap<String, row::Row>> = BTreeMap::new();
    for ((pod, container), point) in reported {
        let old = known.get(pod);
        if old.is_some_and(|(owner, _)| *owner != node) {
            continue;
        }
        let old = old.and_then(|(_, rows)| rows.get(container)).copied().unwrap_or(row::Row::NONE);
        let row = rate::advance_container(old, *point, Window::from_secs(15));
        new.entry(pod.clone()).or_default().insert(container.clone(), row);
    }
    known.retain(|_, (owner, _)| *owner != node);
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
    let mut known = Known::new();
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
                store.fail(nodes[node]);
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
                store.commit(nodes[node], &batch(None, &flat));
                model_commit(&mut known, node, &reported);
            }
        }
        let served: Vec<String> = store
            .pods_after(None, None)
            .filter_map(|pod| Some((pod.name, pod.node, pod.usage?.containers().collect::<Vec<_>>())))
            .map(|(name, node, containers)| format!("{name} {node:?} {containers:?}"))
            .collect();
        let expected: Vec<String> = listed
            .keys()
            .filter_map(|name| Some((name, known.get(name)?)))
            .filter(|(_, (_, rows))| rows.values().all(|row| row.prev.is_some()))
            .map(|(name, (node, rows))| {
                let containers: Vec<_> =
                    rows.iter().filter_map(|(name, row)| Some((name.as_str(), rate::usage(row)?))).collect();
                format!("{name} {:?} {containers:?}", Some(nodes[*node]))
            })
            .collect();
        assert_eq!(served, expected, "step {step}");
        let containers: usize = known.values().map(|(_, rows)| rows.len()).sum();
        let rated =
            known.values().flat_map(|(_, rows)| rows.values()).filter(|row| row.prev.is_some()).count();
        let occupancy = store.occupancy();
        assert_eq!((occupancy.containers as usize, occupancy.container_points as usize), (containers, rated));
        assert_eq!(occupancy.refused_pods, 0);
    }
    nodes.iter().for_each(|name| store.remove_node(name));
    listed.keys().for_each(|name| store.remove_pod("ns1", name));
    let empty = Occupancy::default();
    assert_eq!(store.occupancy(), empty, "every name, row and pod was given back");
}

#[test]
fn a_node_a_pod_and_a_container_stay_small() {
    const { assert!(Slab::<Node>::SLOT_LEN <= 128) };
    const { assert!(Slab::<Pod>::SLOT_LEN <= 64) };
    const { assert!(Rows::ROW_LEN <= 72 && Names::ENTRY_LEN <= 24) };
}
