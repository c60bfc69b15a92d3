//! Made-up cgroup trees of every layout, with what does not belong to a container beside and below it.

use super::*;
use crate::source::machine::testing::{Machine, id};
use crate::store::batch::BatchPod;
use std::fs;

/// Pod, container, nanoseconds, working set and start of everything a reading holds.
fn rows(source: &mut HostSource) -> Vec<(String, String, u64, u64, UnixNanos)> {
    let mut batch = Batch::new();
    source.read(&target(), &mut batch).unwrap();
    let rows = |pod: BatchPod<'_>| {
        let name = pod.name.to_owned();
        let row = |(container, point): (&str, crate::store::row::Point)| {
            let (cpu, memory) = (point.cpu.0, point.working_set.0);
            (name.clone(), container.to_owned(), cpu, memory, point.started_at)
        };
        pod.containers().map(row).collect::<Vec<_>>()
    };
    batch.pods().flat_map(rows).collect()
}

fn target() -> Target {
    Target {
        name: "edge-1".into(),
        addresses: Vec::new(),
        kubelet_port: 0,
        metrics_path: String::new(),
        ready: true,
    }
}

/// Where a pod's cgroup is, and what stands before and after a container's ID.
const LAYOUTS: [(&str, &str, &str, &str); 9] = [
    ("cgroupfs", "kubepods/burstable/pod94aed210-ef30", "", ""),
    ("cgroupfs, guaranteed", "kubepods/pod94aed210-ef30", "", ""),
    ("cgroupfs below a root of its own", "lab/kubepods/besteffort/pod94aed210-ef30", "", ""),
    (
        "systemd, containerd",
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod94aed210_ef30.slice",
        "cri-containerd-",
        ".scope",
    ),
    ("systemd, CRI-O, guaranteed", "kubepods.slice/kubepods-pod94aed210_ef30.slice", "crio-", ".scope"),
    (
        "systemd, docker",
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod94aed210_ef30.slice",
        "docker-",
        ".scope",
    ),
    (
        "systemd in kind",
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod94.slice",
        "cri-containerd-",
        ".scope",
    ),
    ("k3s, cgroupfs", "kubepods/besteffort/pod94aed210-ef30", "", ""),
    (
        "k3s with two drivers",
        "system.slice/k3s.service",
        "kubepods-pod94aed210_ef30.slice:cri-containerd:",
        "",
    ),
];

#[test]
fn containers_are_found_in_every_layout_of_both_versions() {
    for (number, (name, pod, before, after)) in LAYOUTS.into_iter().enumerate() {
        for kind in ["v1", "hybrid", "v2"] {
            let machine = Machine::new(&format!("layout-{number}-{kind}"), kind == "v2");
            if kind == "hybrid" {
                machine.write("cgroup/unified/cgroup.controllers", "");
                machine.write(&format!("cgroup/unified/{pod}/{before}{}{after}/cgroup.procs", id(1)), "10\n");
            }
            let of = |n| format!("{pod}/{before}{}{after}", id(n));
            machine.cgroup(&of(1), 5_000, 20_480, Some(10));
            machine.cgroup(&of(2), 7_000, 40_960, Some(20));
            // The sandbox, and a monitor with the ID of a container, have no log.
            machine.cgroup(&of(3), 1, 8_192, Some(30));
            machine.cgroup(&format!("{pod}/crio-conmon-{}.scope", id(1)), 99, 99_999, Some(40));
            // A container in a container: its figures are part of the outer one's.
            machine.cgroup(&format!("{}/nested/{}", of(1), id(4)), 1, 8_192, None);
            machine.process(10, 600);
            machine.process(20, 601);
            machine.link("web", "main", &id(1));
            machine.link("web", "side", &id(2));
            machine.link("ended", "main", &id(5));
            let mut source = open(machine.roots());
            let rows = rows(&mut source);
            let figures: Vec<_> = rows.iter().map(|r| (r.0.as_str(), r.1.as_str(), r.2, r.3)).collect();
            let expected = [("web", "main", 5_000_000, 16_384), ("web", "side", 7_000_000, 36_864)];
            assert_eq!(figures, expected, "{name}, {kind}");
            // The second started a second later, and the first about 400 s ago.
            let (first, second) = (rows[0].4, rows[1].4);
            assert_eq!(second.since(first).0 / 100_000_000, 10, "{name}, {kind}: {first:?} {second:?}");
        }
    }
}

#[test]
fn a_container_starts_with_its_oldest_process_wherever_that_is() {
    for is_unified in [false, true] {
        let machine = Machine::new(&format!("start-{is_unified}"), is_unified);
        machine.cgroup(&format!("kubepods/podx/{}", id(1)), 1, 8_192, None);
        machine.cgroup(&format!("kubepods/podx/{}/init.scope", id(1)), 1, 8_192, Some(10));
        machine.process(10, 400);
        machine.link("web", "main", &id(1));
        let mut source = open(machine.roots());
        let before = clock::wall();
        let mut source_again = open(machine.roots());
        let after = clock::wall();
        let age = |at: UnixNanos, start: UnixNanos| at.0 - start.0;
        let start = source_again.containers.running()[0].started_at;
        assert!(age(before, start) <= 600_500_000_000 && age(after, start) >= 600_500_000_000, "{start:?}");
        // Kept, so that a step of the clock is not taken for a restart.
        let first = source.containers.running()[0].started_at;
        for source in [&mut source, &mut source_again] {
            source.containers.note_gone();
            source.refresh();
        }
        assert_eq!(source.containers.running()[0].started_at, first);
        assert_eq!(source_again.containers.running()[0].started_at, start);
    }
}

#[test]
fn of_a_restarted_container_with_two_cgroups_only_the_live_one_counts() {
    for (is_unified, live_id, dead_id) in [(false, 1, 2), (false, 2, 1), (true, 1, 2), (true, 2, 1)] {
        let machine = Machine::new(&format!("restarted-{is_unified}-{live_id}"), is_unified);
        machine.cgroup(&format!("kubepods/podx/{}", id(dead_id)), 9_000, 99_999, None);
        machine.cgroup(&format!("kubepods/podx/{}", id(live_id)), 5_000, 20_480, Some(10));
        machine.process(10, 600);
        machine.link("web", "main", &id(dead_id));
        machine.link("web", "main", &id(live_id));
        let rows = rows(&mut open(machine.roots()));
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((rows[0].2, rows[0].3), (5_000_000, 16_384));
    }
}

#[test]
fn of_two_pods_of_one_name_the_newer_ones_containers_count() {
    let machine = Machine::new("remade", true);
    machine.cgroup(&format!("kubepods/podold/{}", id(1)), 9_000, 99_999, Some(10));
    machine.cgroup(&format!("kubepods/podold/{}", id(2)), 9_000, 99_999, Some(10));
    machine.cgroup(&format!("kubepods/podnew/{}", id(3)), 5_000, 20_480, Some(11));
    machine.process(10, 600);
    machine.process(11, 700);
    machine.link("static", "main", &id(1));
    machine.link("static", "side", &id(2));
    machine.link("static", "main", &id(3));
    let rows = rows(&mut open(machine.roots()));
    let figures: Vec<_> = rows.iter().map(|r| (r.1.as_str(), r.2)).collect();
    assert_eq!(figures, [("main", 5_000_000)], "a container that only the old pod had is not served");
}

#[test]
fn without_memory_accounting_there_is_the_node_alone_and_the_remedy_is_logged_once() {
    for is_unified in [false, true] {
        let machine = Machine::new(&format!("no-memory-{is_unified}"), is_unified);
        machine.cgroup(&format!("kubepods/podx/{}", id(1)), 5_000, 20_480, Some(10));
        machine.link("web", "main", &id(1));
        if is_unified {
            machine.write("cgroup/cgroup.controllers", "cpuset cpu io pids\n");
        } else {
            fs::remove_dir_all(machine.root.join("cgroup/memory")).unwrap();
        }
        let mut source = open(machine.roots());
        assert_eq!(rows(&mut source), []);
        assert!(source.log.forget("memory cgroup"), "the problem was logged");
        let text = node_text(&mut source);
        assert!(text.contains("node_memory_working_set_bytes 4096000 "), "{text}");
    }
}

#[test]
fn a_pod_with_a_container_that_cannot_be_read_is_left_out_whole() {
    for (is_unified, file) in [(true, "memory.current"), (true, "cpu.stat"), (false, "memory.stat")] {
        let machine = Machine::new(&format!("unreadable-{file}"), is_unified);
        for n in 1..=3 {
            machine.cgroup(&format!("kubepods/pod{}/{}", n / 2, id(n)), 5_000, 20_480, None);
        }
        machine.link("good", "main", &id(1));
        machine.link("bad", "main", &id(2));
        machine.link("bad", "side", &id(3));
        let mut source = open(machine.roots());
        let tree = if is_unified { "cgroup" } else { "cgroup/memory" };
        machine.write(&format!("{tree}/kubepods/pod1/{}/{file}", id(3)), "garbage\n");
        let names =
            |source: &mut HostSource| -> Vec<String> { rows(source).into_iter().map(|row| row.0).collect() };
        assert_eq!(names(&mut source), ["good"], "{file}");
        assert!(source.log.forget(("container", &id(3))), "the problem was logged");
        machine.cgroup(&format!("kubepods/pod1/{}", id(3)), 5_000, 20_480, None);
        assert_eq!(names(&mut source), ["bad", "bad", "good"]);
    }
}

#[test]
fn links_without_any_cgroup_are_logged_once_they_had_their_time() {
    let machine = Machine::new("no-cgroups", true);
    machine.link("web", "main", &id(1));
    let mut source = open(machine.roots());
    assert!(!source.log.forget("cgroups of containers"), "its cgroup may be about to be made");
    for _ in 0..4 {
        source.refresh();
    }
    assert!(source.log.forget("cgroups of containers"));
    assert!(source.has_links().is_ok());
    fs::remove_dir_all(machine.root.join("containers")).unwrap();
    let error = source.has_links().unwrap_err();
    assert!(error.message.contains("containers cannot be listed: "), "{}", error.message);
}

#[test]
fn the_node_under_v1_has_the_memory_of_the_root_cgroup_as_the_kubelet_serves_it() {
    let machine = Machine::new("root-memory", false);
    machine.cgroup("", 5_000, 20_480, None);
    machine.write("cgroup/memory/release_agent", "");
    let text = node_text(&mut open(machine.roots()));
    assert!(text.contains("node_memory_working_set_bytes 16384 "), "{text}");
    assert!(text.contains("node_swap_usage_bytes 7168 "), "{text}");
}

#[test]
fn a_node_without_a_figure_is_not_served_a_zero() {
    let machine = Machine::new("no-figure", true);
    machine.write("proc/meminfo", "MemTotal: 8000 kB\nMemFree: 3000 kB\n");
    let mut source = open(machine.roots());
    let error = source.read(&target(), &mut Batch::new()).unwrap_err();
    assert!(error.message.contains("meminfo cannot be read"), "{}", error.message);
}

#[test]
fn a_pod_waits_for_what_its_own_cgroup_of_version_2_says() {
    let (some, full) = (
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=7\n",
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
    );
    for (number, (name, pod, before, after)) in LAYOUTS.into_iter().enumerate() {
        for is_unified in [true, false] {
            let machine = Machine::new(&format!("pressure-{number}-{is_unified}"), is_unified);
            for n in [1, 2] {
                machine.cgroup(&format!("{pod}/{before}{}{after}", id(n)), 5_000, 20_480, Some(n));
                machine.process(n, 600);
            }
            machine.link("web", "main", &id(1));
            machine.link("web", "side", &id(2));
            for resource in ["cpu", "io"] {
                machine.write(&format!("cgroup/{pod}/{resource}.pressure"), &format!("{some}{full}"));
            }
            let found = open(machine.roots()).pod_pressures();
            let Some(one) = found.first() else {
                // The containers of all pods are in the service's cgroup; version 1 has no pressure.
                assert!(!is_unified || name == "k3s with two drivers", "{name}");
                continue;
            };
            assert!(is_unified && name != "k3s with two drivers" && found.len() == 1, "{name}: {found:?}");
            assert_eq!((one.namespace.as_str(), one.name.as_str()), ("default", "web"));
            let micros = one.waits.map(|stall| stall.map(|stall| (stall.averages[0], stall.total_micros)));
            assert_eq!(micros, [Some((1.5, 7)), None, Some((1.5, 7))]);
        }
    }
}

#[test]
fn a_kernel_without_pressure_says_nothing_of_pods() {
    let machine = Machine::new("no-pressure", true);
    machine.cgroup(&format!("kubepods/pod94/{}", id(1)), 5_000, 20_480, Some(1));
    machine.process(1, 600);
    machine.link("web", "main", &id(1));
    let mut source = open(machine.roots());
    assert_eq!((source.containers.running().len(), source.pod_pressures()), (1, Vec::new()));
}
