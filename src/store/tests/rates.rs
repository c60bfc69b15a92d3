use super::*;

#[test]
fn e1_two_points_give_node_metrics() {
    let mut store = store();
    commit_node(&mut store, point(Some(0), 10, 10, 2));
    assert_eq!((node_text(&store, "node1"), store.readiness().nodes), (None, false));
    commit_node(&mut store, point(Some(0), 20, 20, 3));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 20s over 10s: 1 3Mi");
    assert!(store.readiness().nodes);
    assert_eq!(node_text(&store, "node2"), None);
    commit(&mut store, "node1", &batch(None, &[]));
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
fn e14_a_counter_that_went_back_makes_the_pod_absent() {
    let mut store = store();
    commit_pod(&mut store, &[("container1", point(Some(0), 110, 20, 4))]);
    commit_pod(&mut store, &[("container1", point(Some(0), 120, 10, 4))]);
    assert_eq!(pod_text(&store, "pod1"), None, "never a window of 0 or no time");
    commit_pod(&mut store, &[("container1", point(Some(0), 130, 15, 4))]);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "130 over 10s [container1 500m 4Mi]");
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
            commit(&mut store, "node1", &batch(node, if with_pods { &pod } else { &[] }));
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
        assert_eq!(pod_text(&store, "pod1"), None, "{first:?}");
    }
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
    let again = commit(&mut store, "node1", &batch(Some(point(None, 20, 20, 3)), &[]));
    assert_eq!(node_text(&store, "node1"), before);
    assert_eq!((again.node, again.node_advanced), (true, false));
    assert!(commit(&mut store, "node1", &batch(Some(point(None, 30, 20, 3)), &[])).node_advanced);
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
fn a_failed_node_loses_its_points_and_those_of_its_pods_only() {
    let mut store = store();
    for at in [10, 20] {
        commit(
            &mut store,
            "node1",
            &batch(Some(point(None, at, 1, 1)), &[("pod1", "c", point(None, at, 1, 4))]),
        );
        commit(
            &mut store,
            "node2",
            &batch(Some(point(None, at, 1, 1)), &[("pod2", "c", point(None, at, 1, 4))]),
        );
    }
    store.fail("node1", uptime(0));
    assert_eq!((node_text(&store, "node1"), pod_text(&store, "pod1")), (None, None));
    assert!(node_text(&store, "node2").is_some() && pod_text(&store, "pod2").is_some());
    store.remove_node("node2");
    assert!(store.node("node2").is_none() && pod_text(&store, "pod2").is_none());
    let occupancy = store.occupancy();
    assert_eq!((occupancy.nodes, occupancy.pods, occupancy.containers), (1, 2, 0));
    assert_eq!((occupancy.node_points, occupancy.container_points), (0, 0));
}

#[test]
fn served_since_is_the_change_that_made_usage_servable_and_stays() {
    let mut store = store();
    commit_pod(&mut store, &[("c1", point(None, 110, 1, 4))]);
    let begun = store.generation();
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, 0);
    commit(
        &mut store,
        "node1",
        &batch(Some(point(None, 1, 1, 1)), &[("pod1", "c1", point(None, 120, 1, 4))]),
    );
    let since = store.pod("ns1", "pod1").unwrap().served_since;
    assert!(since > begun);
    commit(
        &mut store,
        "node1",
        &batch(Some(point(None, 2, 1, 1)), &[("pod1", "c1", point(None, 130, 1, 4))]),
    );
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, since);
    assert_eq!(store.node("node1").unwrap().served_since, store.generation());
    commit_pod(&mut store, &[]);
    assert_eq!(store.pod("ns1", "pod1").unwrap().served_since, 0);
}

/// Commits one node and one container at a time of our own clock, with samples of the kubelet's.
fn commit_at(store: &mut Store, ours: i64, kubelets: i64, cpu: u64) -> Commit {
    let point = point(Some(-100_000), kubelets, cpu, 4);
    store.commit("node1", &batch(Some(point), &[("pod1", "c", point)]), uptime(ours))
}

#[test]
fn a_kubelets_clock_that_steps_costs_one_window_and_nothing_else() {
    for step in [3_600, -3_600, 40, -40, 400 * 86_400, -86_400] {
        let mut store = store_with(15);
        assert_eq!(commit_at(&mut store, 0, 0, 10).clock_steps, 0);
        assert_eq!(commit_at(&mut store, 15, 15, 25).clock_steps, 0);
        assert_eq!(pod_text(&store, "pod1").unwrap(), "15 over 15s [c 1 4Mi]");
        assert_eq!(commit_at(&mut store, 30, 30 + step, 40).clock_steps, 2, "node and container, {step}");
        assert_eq!((pod_text(&store, "pod1"), node_text(&store, "node1")), (None, None), "{step}");
        assert_eq!(commit_at(&mut store, 45, 45 + step, 70).clock_steps, 0);
        assert_eq!(pod_text(&store, "pod1").unwrap(), format!("{} over 15s [c 2 4Mi]", 45 + step));
        assert!(node_text(&store, "node1").is_some());
    }
}

#[test]
fn late_and_repeated_samples_are_no_step_of_the_clock() {
    let mut store = store_with(15);
    commit_at(&mut store, 0, 0, 10);
    // Housekeeping stretched to five minutes: the same sample at every scrape, then a new one.
    for ours in (15..300).step_by(15) {
        assert_eq!(commit_at(&mut store, ours, 0, 10).clock_steps, 0, "{ours}");
    }
    assert_eq!(commit_at(&mut store, 310, 300, 310).clock_steps, 0);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "300 over 5m0s [c 1 4Mi]");
    // A sample taken just before it was scraped after one that was a resolution old.
    assert_eq!(commit_at(&mut store, 325, 325, 335).clock_steps, 0);
    // An outage of an hour.
    assert_eq!(commit_at(&mut store, 3_925, 3_925, 3_935).clock_steps, 0);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "3925 over 1h0m0s [c 1 4Mi]");
}

#[test]
fn a_failed_scrape_keeps_what_was_known_for_the_grace_period_and_its_own_time() {
    for (grace, kept) in [(0, [false; 4]), (60, [true, true, true, false])] {
        let mut store = store_with(15).with_grace(Window::from_secs(grace));
        commit_at(&mut store, 0, 0, 10);
        commit_at(&mut store, 15, 15, 25);
        let mut seen = Vec::new();
        for (ours, fails) in [(20, true), (30, false), (75, true), (76, false)] {
            if fails {
                store.fail("node1", uptime(ours));
            }
            store.expire(uptime(ours));
            let served = pod_text(&store, "pod1");
            assert!(
                served.as_ref().is_none_or(|text| text == "15 over 15s [c 1 4Mi]"),
                "never stamped again"
            );
            assert_eq!(node_text(&store, "node1").is_some(), served.is_some());
            seen.push(served.is_some());
        }
        assert_eq!(seen, kept, "{grace}");
        assert!(!store.readiness().nodes);
    }
}

#[test]
fn within_the_grace_period_a_pod_that_ended_is_gone_and_a_node_that_answers_goes_on() {
    let mut store = store_with(15).with_grace(Window::from_secs(60));
    commit_at(&mut store, 0, 0, 10);
    commit_at(&mut store, 15, 15, 25);
    store.fail("node1", uptime(30));
    store.remove_pod("ns1", "pod1");
    assert!(store.pod("ns1", "pod1").is_none() && node_text(&store, "node1").is_some());
    store.upsert_pod(&pod_record("ns1", "pod1")).unwrap();
    commit_at(&mut store, 45, 45, 115);
    assert_eq!(pod_text(&store, "pod1").unwrap(), "45 over 30s [c 3 4Mi]");
    // An answer without a pod is an answer: the pod is gone at once.
    store.commit("node1", &batch(Some(point(None, 60, 200, 4)), &[]), uptime(60));
    assert_eq!(pod_text(&store, "pod1"), None);
    store.expire(uptime(10_000));
    assert!(store.occupancy().nodes > 0, "a node that answers does not expire");
    store.drop_node("node1");
    assert_eq!(node_text(&store, "node1"), None);
}

fn decoded(body: &str) -> Batch {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(1));
    batch.feed(body.as_bytes()).unwrap();
    batch.finish();
    batch
}

fn cpu_of(store: &Store, namespace: &str, pod: &str) -> Option<u64> {
    let usage = store.pod(namespace, pod)?.usage?;
    let (at, window) = usage.span();
    assert!(window.0 > 0 && at.is_some());
    usage.containers().next().map(|(_, usage)| usage.cpu.0)
}

#[test]
fn of_a_container_that_stands_twice_the_instance_that_goes_on_is_rated() {
    let first = include_str!("../../../tests/golden/kubelet/same-container-twice-1.txt");
    let second = include_str!("../../../tests/golden/kubelet/same-container-twice-2.txt");
    let mut store = store_with(15);
    store.upsert_pod(&pod_record("monitoring", "prometheus-0")).unwrap();
    let later = |body: &str, secs: u64| {
        // The same instances, some seconds on.
        body.replace("17957368", &format!("179573{}", 68 + secs / 100))
            .replace("65872", &format!("{}872", 65 + secs % 100))
            .replace("66672", &format!("{}672", 66 + secs % 100))
    };
    for (round, body) in [first.to_owned(), later(second, 15), later(first, 30)].iter().enumerate() {
        let done = store.commit("node1", &decoded(body), Uptime(10_000 + 150 * round as u32));
        assert_eq!((done.pods, done.ambiguous_pods), (1, 0), "{round}");
        let cpu = cpu_of(&store, "monitoring", "prometheus-0");
        assert!(cpu.is_none_or(|cpu| cpu < 10_000_000), "{round}: {cpu:?} nanocores of an idle container");
    }
}

/// A body with some instances of one container: CPU and memory (none: left out), and the time of its samples.
fn instances(of: &[(u64, Option<u64>, i64)]) -> Batch {
    let labels = "{container=\"c\",namespace=\"ns1\",pod=\"pod1\"}";
    let mut body = String::new();
    for (cpu, _, at) in of {
        body += &format!("container_cpu_usage_seconds_total{labels} {cpu} {}\n", (BASE + at) * 1_000);
    }
    for (_, memory, at) in of {
        if let Some(memory) = memory {
            body += &format!("container_memory_working_set_bytes{labels} {memory} {}\n", (BASE + at) * 1_000);
        }
    }
    decoded(&body)
}

#[test]
fn no_rate_mixes_two_instances() {
    const FROZEN: (u64, Option<u64>, i64) = (900_000, Some(9), 0);
    let live = |cpu: u64, at: i64| (cpu, Some(5), at);
    // Bodies fifteen seconds apart, and the cores served after each; the old instance is frozen at 900,000 s.
    type Case<'a> = (&'a str, &'a [&'a [(u64, Option<u64>, i64)]], &'a [Option<u64>]);
    let cases: [Case<'_>; 7] = [
        (
            "order changes",
            &[&[FROZEN, live(100, 1)], &[live(115, 16), FROZEN], &[FROZEN, live(145, 31)]],
            &[None, Some(1), Some(2)],
        ),
        (
            "three instances",
            &[&[FROZEN, live(100, 1), (7, Some(1), 0)], &[live(115, 16), (7, Some(1), 0), FROZEN]],
            &[None, Some(1)],
        ),
        (
            "one lacks memory",
            &[&[(900_000, None, 0), live(100, 1)], &[(900_000, None, 0), live(115, 16)]],
            &[None, Some(1)],
        ),
        (
            "the second comes later",
            &[&[live(100, 1)], &[live(115, 16), (0, Some(1), 16)], &[live(130, 31), (3, Some(1), 31)]],
            &[None, Some(1), Some(1)],
        ),
        (
            "the live one restarts below the frozen one",
            &[
                &[live(895_000, 1), (895_050, Some(9), 0)],
                &[live(895_015, 16), (895_050, Some(9), 0)],
                &[live(4, 31), (895_050, Some(9), 0)],
                &[(895_050, Some(9), 0), live(19, 46)],
            ],
            &[None, Some(1), None, Some(1)],
        ),
        (
            "the frozen one goes away",
            &[&[FROZEN, live(100, 1)], &[FROZEN, live(115, 16)], &[live(130, 31)], &[live(145, 46)]],
            &[None, Some(1), Some(1), Some(1)],
        ),
        (
            "the live one goes away",
            &[&[(110, Some(9), 0), live(100, 1)], &[(110, Some(9), 0), live(105, 16)], &[(110, Some(9), 0)]],
            &[None, Some(0), None],
        ),
    ];
    for (name, bodies, cores) in cases {
        let mut store = store_with(15);
        let mut seen = Vec::new();
        for (round, body) in bodies.iter().enumerate() {
            store.commit("node1", &instances(body), uptime(15 * round as i64));
            seen.push(cpu_of(&store, "ns1", "pod1").map(|nanocores| nanocores / 1_000_000_000));
        }
        assert_eq!(seen, cores, "{name}");
    }
}

#[test]
fn instances_that_nothing_tells_apart_leave_the_pod_out() {
    let mut store = store_with(15);
    for round in 0..3 {
        let at = 15 * round;
        let done = store.commit("node1", &instances(&[(5, Some(1), at), (9, Some(2), at)]), uptime(at));
        assert_eq!((done.pods, done.ambiguous_pods), (0, 1));
        assert_eq!(store.occupancy().containers, 0);
    }
}

/// A batch with one node and one container, both of this point, from a source.
fn from(source: crate::store::batch::BatchSource, at: i64, cpu: u64) -> Batch {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    batch.set_source(source);
    batch.set_node(point(None, at, cpu, 3));
    batch
        .set_container(Key { namespace: "ns1", pod: "pod1", container: "c" }, point(None, at, cpu, 3))
        .unwrap();
    batch.finish();
    batch
}

#[test]
fn times_of_whole_seconds_give_no_rate_over_a_short_window() {
    use crate::store::batch::BatchSource::Summary;
    let mut store = store();
    for at in [100, 102, 107] {
        commit(&mut store, "node1", &from(Summary, at, at.unsigned_abs()));
        assert_eq!(node_text(&store, "node1"), None, "{at}");
        assert_eq!(store.occupancy().container_points, 0, "{at}");
    }
    commit(&mut store, "node1", &from(Summary, 110, 110));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 1m50s over 10s: 1 3Mi");
    assert_eq!(store.occupancy().container_points, 1);
    commit(&mut store, "node1", &from(Summary, 112, 112));
    assert_eq!(node_text(&store, "node1").unwrap(), "at 1m50s over 10s: 1 3Mi");
    // A counter that went back is a restart, however short the window.
    commit(&mut store, "node1", &from(Summary, 114, 1));
    assert_eq!(node_text(&store, "node1"), None);
}

#[test]
fn resource_metrics_and_summary_never_make_one_rate() {
    use crate::store::batch::BatchSource::{Kubelet, Summary};
    for (before, after) in [(Kubelet, Summary), (Summary, Kubelet)] {
        let mut store = store();
        for (at, source, served) in
            [(100, before, false), (115, before, true), (130, after, false), (145, after, true)]
        {
            commit(&mut store, "node1", &from(source, at, at.unsigned_abs()));
            assert_eq!(node_text(&store, "node1").is_some(), served, "{at} {source:?}");
            assert_eq!(store.occupancy().container_points, u32::from(served), "{at} {source:?}");
        }
    }
}
