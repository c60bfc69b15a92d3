use super::*;
use crate::limits;
use crate::units::{Bytes, CoreNanos};
use crate::wire::tests::Lcg;

const REAL: &str = include_str!("../../../tests/golden/kubelet/metrics-resource.txt");

const POD: &str = "container=\"coredns\",namespace=\"kube-system\",pod=\"coredns-558bd4d5db-4dpjz\"";

/// The fixture lines; `timed` is whether they carry their timestamps.
fn line(number: u32, timed: bool) -> String {
    let (sample, time) = match number {
        1 => (format!("container_cpu_usage_seconds_total{{{POD}}} 4.710169"), 1_633_253_812_125_u64),
        2 => (format!("container_memory_working_set_bytes{{{POD}}} 1.253376e+07"), 1_633_253_812_125),
        3 => (format!("container_start_time_seconds{{{POD}}} 1.633252712e+9"), 1_633_253_812_125),
        4 => ("node_cpu_usage_seconds_total 357.35491".to_owned(), 1_633_253_809_720),
        5 => ("node_memory_working_set_bytes 1.616273408e+09".to_owned(), 1_633_253_809_720),
        6 => (format!("pod_cpu_usage_seconds_total{{{POD}}} 4.67812"), 1_633_253_803_935),
        _ => (format!("pod_memory_working_set_bytes{{{POD}}} 1.2627968e+07"), 1_633_253_803_935),
    };
    if timed { format!("{sample} {time}\n") } else { format!("{sample}\n") }
}

fn lines(numbers: &[u32]) -> String {
    numbers.iter().map(|number| line(*number, true)).collect()
}

fn batch_of(body: &str) -> (Batch, Dropped) {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(3_392_867_227_000_999_999));
    batch.feed(body.as_bytes()).unwrap();
    let dropped = batch.finish();
    (batch, dropped)
}

fn pods(batch: &Batch) -> Vec<(String, Vec<(&str, Point)>)> {
    batch.pods().map(|pod| (format!("{}/{}", pod.namespace, pod.name), pod.containers().collect())).collect()
}

fn node_point() -> Point {
    let mut point = Point::NONE;
    point.taken_at = UnixNanos(1_633_253_809_720_000_000);
    (point.cpu, point.working_set) = (CoreNanos(357_354_910_000), Bytes(1_616_273_408));
    point
}

fn container_point() -> Point {
    let mut point = Point::NONE;
    point.taken_at = UnixNanos(1_633_253_812_125_000_000);
    (point.cpu, point.working_set) = (CoreNanos(4_710_169_000), Bytes(12_533_760));
    point.started_at = UnixNanos(1_633_252_712_000_000_000);
    point
}

fn the_pod(point: Point) -> Vec<(String, Vec<(&'static str, Point)>)> {
    vec![("kube-system/coredns-558bd4d5db-4dpjz".to_owned(), vec![("coredns", point)])]
}

#[test]
fn a1_a_normal_body_gives_the_node_and_the_pod() {
    let mut body = String::from("\n");
    for (number, family) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f"), (7, "g")] {
        body += &format!("# HELP {family} [ALPHA] Text\n# TYPE {family} counter\n{}", line(number, true));
    }
    body +=
        "# HELP scrape_error [ALPHA] 1 if there was an error\n# TYPE scrape_error gauge\nscrape_error 0\n";
    let (batch, dropped) = batch_of(&body);
    assert_eq!(batch.node(), Some(node_point()));
    assert_eq!(pods(&batch), the_pod(container_point()));
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn a2_samples_without_timestamp_take_the_time_of_the_request() {
    let body: String = (1..=5).map(|number| line(number, false)).collect();
    let (batch, _) = batch_of(&body);
    let requested_at = UnixNanos(3_392_867_227_000_000_000);
    assert_eq!(batch.node(), Some(Point { taken_at: requested_at, ..node_point() }));
    assert_eq!(pods(&batch), the_pod(Point { taken_at: requested_at, ..container_point() }));
}

#[test]
fn a3_containers_only_give_no_node() {
    let (batch, dropped) = batch_of(&lines(&[1, 2, 3]));
    assert_eq!((batch.node(), dropped.incomplete_node), (None, false));
    assert_eq!(pods(&batch), the_pod(container_point()));
}

#[test]
fn a4_to_a7_a_container_without_cpu_or_memory_leaves_its_pod_out() {
    let no_cpu = format!("container_cpu_usage_seconds_total{{{POD}}} 0 1\n") + &lines(&[2]);
    let no_memory = lines(&[1]) + &format!("container_memory_working_set_bytes{{{POD}}} 0 1\n");
    for body in [lines(&[2]), no_cpu, lines(&[1]), no_memory] {
        let (batch, dropped) = batch_of(&body);
        assert_eq!((batch.pods().count(), batch.node()), (0, None), "{body}");
        assert_eq!((dropped.incomplete_pods, dropped.bad_lines), (1, 0), "{body}");
    }
}

#[test]
fn a8_a_node_alone_is_fine() {
    let (batch, dropped) = batch_of(&lines(&[4, 5]));
    assert_eq!((batch.node(), batch.pods().count()), (Some(node_point()), 0));
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn a9_to_a12_a_node_without_cpu_or_memory_is_left_out() {
    let no_cpu = "node_cpu_usage_seconds_total 0 1\n".to_owned() + &lines(&[5]);
    let no_memory = lines(&[4]) + "node_memory_working_set_bytes 0 1\n";
    for body in [lines(&[5]), no_cpu, lines(&[4]), no_memory] {
        let (batch, dropped) = batch_of(&body);
        assert_eq!((batch.node(), dropped.incomplete_node), (None, true), "{body}");
    }
}

#[test]
fn a13_a_negative_timestamp_drops_its_line_alone() {
    let labels = |pod: &str| {
        format!("{{container=\"metrics-server\",namespace=\"kubernetes-dashboard\",pod=\"{pod}\"}}")
    };
    let body = format!(
        "# HELP container_start_time_seconds [ALPHA] Start time\n# TYPE container_start_time_seconds gauge\n\
         container_start_time_seconds{} -6.7953645788713455e+09 -62135596800000\n\
         container_start_time_seconds{} 1.6509742024191372e+09 1650974202419\n",
        labels("kubernetes-dashboard-metrics-server-77db45cdf4-fppzx"),
        labels("kubernetes-dashboard-metrics-server-77db45cdf4-tpx4v"),
    );
    let (batch, dropped) = batch_of(&(body + &lines(&[4, 5])));
    assert_eq!((batch.node(), batch.pods().count()), (Some(node_point()), 0));
    assert_eq!(dropped.first, Some((3, "timestamp is negative")));
    assert_eq!((dropped.bad_lines, dropped.incomplete_pods), (1, 1));
}

#[test]
fn a14_numbers_of_any_size_never_panic() {
    for number in [0.0, -10000.0, 10000.0, 0.5, -1e-9, 1e100, -1e100] {
        for at in [0, -10000, 10000, 5, -1_i64] {
            let body = format!(
                "container_cpu_usage_seconds_total{{{POD}}} {number} {at}\n\
                 container_memory_working_set_bytes{{{POD}}} {number:e} {at}\n\
                 container_start_time_seconds{{{POD}}} {number:E} {at}"
            );
            let (batch, dropped) = batch_of(&body);
            let is_amount = (0.0..1e18).contains(&number);
            assert_eq!(dropped.bad_lines, if at <= 0 || !is_amount { 3 } else { 0 });
            assert_eq!(batch.pods().count(), usize::from(at > 0 && is_amount && number > 1.0));
        }
    }
}

#[test]
fn b1_seventy_pods_add_up() {
    let mut body = String::from("# TYPE container_cpu_usage_seconds_total counter\n");
    let name = |number: u32| format!("{{container=\"c\",namespace=\"sleeper-1\",pod=\"sleep-{number:02}\"}}");
    for number in 0..70 {
        body += &format!(
            "container_cpu_usage_seconds_total{} 3.25 {}\n",
            name(number),
            1_633_253_798_973_u64 + 1
        );
    }
    for number in 0..70 {
        body += &format!("container_memory_working_set_bytes{} 241664 1633253817851\n", name(number));
    }
    let (batch, dropped) = batch_of(&(body + &lines(&[4, 5])));
    assert_eq!(dropped, Dropped::default());
    assert_eq!(batch.pods().count(), 70);
    let cpu: u64 = batch.pods().flat_map(BatchPod::containers).map(|(_, point)| point.cpu.0).sum();
    assert_eq!(cpu, 70 * 3_250_000_000);
}

#[test]
fn k3_the_last_sample_in_the_order_of_the_body_gives_the_time() {
    for (body, millis) in [
        ("node_cpu_usage_seconds_total 1 1000\nnode_memory_working_set_bytes 1 2000\n", 2000),
        ("node_memory_working_set_bytes 1 2000\nnode_cpu_usage_seconds_total 1 1000\n", 1000),
        (
            "node_cpu_usage_seconds_total 1 1\nnode_memory_working_set_bytes 1 2\nnode_swap_usage_bytes 1 3\n",
            2,
        ),
    ] {
        assert_eq!(batch_of(body).0.node().unwrap().taken_at, UnixNanos::from_millis(millis));
    }
}

#[test]
fn k4_a_series_that_stands_twice_gives_an_instance_each_and_incomplete_ones_go() {
    let again = format!("container_cpu_usage_seconds_total{{{POD}}} 7 1633253900000\n");
    let (batch, dropped) = batch_of(&(lines(&[1, 2, 3]) + &again));
    assert_eq!((pods(&batch), dropped.repeated_containers), (the_pod(container_point()), 1));
    assert_eq!(batch.first_repeated().unwrap().container, "coredns");
    let memory = format!("container_memory_working_set_bytes{{{POD}}} 1 1633253900000\n");
    let (batch, _) = batch_of(&(lines(&[1, 2, 3]) + &again + &memory));
    let second = Point {
        cpu: CoreNanos(7_000_000_000),
        working_set: Bytes(1),
        taken_at: UnixNanos::from_millis(1_633_253_900_000),
        ..container_point()
    };
    assert_eq!(pods(&batch)[0].1, [("coredns", container_point()), ("coredns", second)]);
}

#[test]
fn the_same_line_twice_is_no_second_instance() {
    let (batch, dropped) = batch_of(&(lines(&[1, 2, 3, 4, 5]) + &lines(&[5, 4, 3, 2, 1])));
    assert_eq!((pods(&batch), batch.node()), (the_pod(container_point()), Some(node_point())));
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn instances_are_told_apart_by_the_time_of_their_samples() {
    // CPU and memory list the instances in different orders.
    let sample = |family: &str, value: u32, at: u32| format!("container_{family}{{{POD}}} {value} {at}\n");
    let (cpu, memory) = ("cpu_usage_seconds_total", "memory_working_set_bytes");
    let body =
        sample(cpu, 1, 1000) + &sample(cpu, 2, 2000) + &sample(memory, 22, 2000) + &sample(memory, 11, 1000);
    let (batch, _) = batch_of(&body);
    let values = |body: &Batch| -> Vec<(u64, u64)> {
        pods(body)[0].1.iter().map(|(_, point)| (point.cpu.0 / 1_000_000_000, point.working_set.0)).collect()
    };
    assert_eq!(values(&batch), [(1, 11), (2, 22)]);
    // Without times, by their order.
    let body = sample(cpu, 1, 5) + &sample(cpu, 2, 5) + &sample(memory, 11, 5) + &sample(memory, 22, 5);
    assert_eq!(values(&batch_of(&body).0), [(1, 11), (2, 22)]);
}

#[test]
fn too_many_instances_leave_the_pod_out_and_cost_nothing() {
    let body: String = (0..10_000_u32)
        .map(|n| {
            let at = 1_000 + n;
            format!(
                "container_cpu_usage_seconds_total{{{POD}}} {n}.5 {at}\n\
                 container_memory_working_set_bytes{{{POD}}} 5 {at}\n"
            )
        })
        .collect();
    let (batch, dropped) = batch_of(&(body + &lines(&[4, 5])));
    assert_eq!((batch.pods().count(), dropped.incomplete_pods, dropped.repeated_containers), (0, 1, 1));
    assert_eq!((batch.node(), batch.points.count() as usize), (Some(node_point()), limits::INSTANCES_MAX));
}

#[test]
fn a_node_that_stands_twice_is_left_out() {
    let (batch, dropped) = batch_of(&(lines(&[4, 5]) + "node_cpu_usage_seconds_total 9 1633253809721\n"));
    assert_eq!((batch.node(), dropped.incomplete_node), (None, true));
}

#[test]
fn a_body_says_what_it_holds() {
    for (body, contents) in [
        (include_str!("../../../tests/golden/kubelet/login.html"), Contents::default()),
        (include_str!("../../../tests/golden/kubelet/virtual-kubelet.json"), Contents::default()),
        (include_str!("../../../tests/golden/kubelet/utf8-names.txt"), Contents::default()),
        ("", Contents::default()),
        (
            include_str!("../../../tests/golden/kubelet/scrape-error.txt"),
            Contents { scrape_error: true, ..Contents::default() },
        ),
        ("scrape_error 0\nresource_scrape_error 0 5\n", Contents::default()),
        ("scrape_error 1 5\n", Contents { scrape_error: true, ..Contents::default() }),
        (
            "pod_cpu_usage_seconds_total{namespace=\"n\",pod=\"p\"} 1\nnode_cpu_usage_seconds_total 1",
            Contents { sample_count: 1, pod_count: 1, ..Contents::default() },
        ),
    ] {
        let (batch, _) = batch_of(body);
        assert_eq!(batch.contents(), contents, "{body}");
    }
    let (batch, _) = batch_of(REAL);
    let contents = batch.contents();
    assert!(contents.sample_count > 30 && !contents.scrape_error, "{contents:?}");
}

#[test]
fn lines_may_end_as_on_windows() {
    let (batch, dropped) = batch_of(include_str!("../../../tests/golden/kubelet/crlf.txt"));
    assert_eq!((dropped, batch.pods().count()), (Dropped::default(), 1));
    assert_eq!(batch.node().unwrap().working_set, Bytes(530_000_000));
}

#[test]
fn k5_one_incomplete_container_leaves_the_whole_pod_out() {
    let other = |pod: &str, container: &str| {
        format!("{{container=\"{container}\",namespace=\"kube-system\",pod=\"{pod}\"}} 5 5\n")
    };
    for family in ["container_memory_working_set_bytes", "container_start_time_seconds"] {
        let body = lines(&[1, 2, 3]) + family + &other("coredns-558bd4d5db-4dpjz", "second");
        let (batch, dropped) = batch_of(&body);
        assert_eq!((batch.pods().count(), dropped.incomplete_pods), (0, 1));
        let body = lines(&[1, 2, 3]) + family + &other("another", "second");
        let (batch, dropped) = batch_of(&body);
        assert_eq!((pods(&batch), dropped.incomplete_pods), (the_pod(container_point()), 1));
    }
}

#[test]
fn k10_what_is_no_amount_is_dropped_and_counted() {
    for value in ["NaN", "-1", "-Inf", "+Inf", "inf", "1e300", "9223372036854775808", "-1e-9"] {
        let body = format!("node_cpu_usage_seconds_total 1 1\nnode_memory_working_set_bytes {value} 1\n");
        let (batch, dropped) = batch_of(&(body + &lines(&[1, 2, 3])));
        assert_eq!((batch.node(), dropped.bad_lines, dropped.incomplete_node), (None, 1, true), "{value}");
        assert_eq!(pods(&batch), the_pod(container_point()), "nothing else is lost");
    }
    let infinite = include_str!("../../../tests/golden/kubelet/infinite.txt");
    let (batch, dropped) = batch_of(infinite);
    assert_eq!((batch.node(), batch.pods().count(), dropped.bad_lines), (None, 1, 1));
    assert_eq!(dropped.first.unwrap().1, "value is infinite or not a number");
}

#[test]
fn k11_cpu_is_multiplied_as_a_double_and_truncated() {
    for (value, nanos) in [("65.849826", 65_849_825_999), ("4282.004268", 4_282_004_267_999)] {
        let (batch, _) = batch_of(&format!("node_cpu_usage_seconds_total {value} 1\n{}", line(5, true)));
        assert_eq!(batch.node().unwrap().cpu, CoreNanos(nanos));
    }
}

#[test]
fn k12_start_times_keep_the_digits_a_double_has() {
    let start = format!("container_start_time_seconds{{{POD}}} 1.6509742024191372e+09\n");
    let (batch, _) = batch_of(&(lines(&[1, 2]) + &start));
    assert_eq!(pods(&batch)[0].1[0].1.started_at, UnixNanos(1_650_974_202_419_137_280));
}

#[test]
fn swap_is_there_when_reported_and_zero_is_a_value() {
    let (batch, _) = batch_of(&lines(&[1, 2, 4, 5]));
    assert_eq!((batch.node().unwrap().swap(), pods(&batch)[0].1[0].1.swap()), (None, None));
    let swap = format!("node_swap_usage_bytes 3.4340864e+07 1\ncontainer_swap_usage_bytes{{{POD}}} 0 1\n");
    let (batch, _) = batch_of(&(lines(&[1, 2, 4, 5]) + &swap));
    assert_eq!(batch.node().unwrap().swap(), Some(Bytes(34_340_864)));
    assert_eq!(pods(&batch)[0].1[0].1.swap(), Some(Bytes(0)));
}

#[test]
fn a_real_body_gives_sorted_pods_with_sorted_containers() {
    let (batch, dropped) = batch_of(REAL);
    assert_eq!(dropped, Dropped::default());
    let names: Vec<_> = pods(&batch)
        .into_iter()
        .map(|(pod, containers)| {
            format!("{pod} {}", containers.iter().map(|c| c.0).collect::<Vec<_>>().join(","))
        })
        .collect();
    assert_eq!(
        names,
        [
            "default/web-5fddb4c866-lq75t main,side",
            "default/web-5fddb4c866-npf6t main,side",
            "default/web-5fddb4c866-rkhkm main,side",
            "default/web-5fddb4c866-rwstc main,side",
            "default/with-init main,sidecar",
            "kube-public/idle idle",
        ]
    );
}

#[test]
fn lines_in_any_order_group_alike() {
    let mut all: Vec<&str> =
        REAL.lines().filter(|line| line.starts_with("container_") || line.starts_with("node_")).collect();
    let expected = batch_of(REAL).0;
    let mut lcg = Lcg(23);
    for _ in 0..20 {
        for index in (1..all.len()).rev() {
            all.swap(index, lcg.below(index + 1));
        }
        // CPU and memory of one container have the same timestamp, so their order does not matter.
        let shuffled = batch_of(&all.join("\n")).0;
        assert_eq!(pods(&shuffled), pods(&expected));
    }
}

#[test]
fn a_batch_is_used_again_without_traces() {
    let mut batch = batch_of(REAL).0;
    batch.begin(UnixNanos(0));
    assert_eq!(batch.finish(), Dropped::default());
    assert_eq!((batch.node(), batch.pods().count()), (None, 0));
}

#[test]
fn more_containers_than_a_node_may_have_refuse_the_node() {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    let mut refused = None;
    for number in 0..=limits::NODE_CONTAINERS_MAX {
        let line =
            format!("container_start_time_seconds{{container=\"c\",namespace=\"n\",pod=\"p{number}\"}} 1\n");
        refused = batch.feed(line.as_bytes()).err();
    }
    assert_eq!(refused, Some(BatchError::TooManyContainers));
    assert_eq!(batch.feed(lines(&[4, 5]).as_bytes()), Err(BatchError::TooManyContainers));
    batch.finish();
    assert_eq!((batch.node(), batch.pods().count()), (None, 0));
}

#[test]
fn more_text_than_a_node_may_have_refuses_the_node() {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    let pod = "p".repeat(249);
    let fed = (0..8_000).try_for_each(|number| {
        let line = format!(
            "container_start_time_seconds{{container=\"c\",namespace=\"n\",pod=\"{pod}{number}\"}} 1\n"
        );
        batch.feed(line.as_bytes())
    });
    assert_eq!(fed, Err(BatchError::TooMuchText));
    assert!(batch.points.text_capacity() <= 4 * limits::NODE_TEXT_LEN_MAX);
}

#[test]
fn points_set_directly_are_grouped_alike() {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    batch.set_node(node_point());
    for (pod, point) in [("b", container_point()), ("a", container_point()), ("c", Point::NONE)] {
        batch.set_container(Key { namespace: "n", pod, container: "c" }, point).unwrap();
    }
    assert_eq!(batch.finish().incomplete_pods, 1);
    assert_eq!(batch.node(), Some(node_point()));
    assert_eq!(batch.pods().map(|pod| pod.name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn of_large_batches_few_are_filled_at_a_time_and_the_next_waits_for_a_place() {
    let fill = || {
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        for nth in 0..=limits::BATCH_CONTAINERS_OWN {
            let line = format!(
                "container_memory_working_set_bytes{{container=\"c\",namespace=\"n\",pod=\"p{nth}\"}} 1 1\n"
            );
            batch.feed(line.as_bytes()).unwrap();
        }
        batch
    };
    let mut held: Vec<Batch> = (0..limits::LARGE_BATCHES_MAX).map(|_| fill()).collect();
    let (sender, filled) = std::sync::mpsc::channel();
    let next = std::thread::spawn(move || sender.send(fill().finish().incomplete_pods));
    let pause = std::time::Duration::from_millis(50);
    assert!(filled.recv_timeout(pause).is_err(), "it waits");
    held[0].release();
    assert_eq!(filled.recv().unwrap() as usize, limits::BATCH_CONTAINERS_OWN + 1);
    next.join().unwrap().unwrap();
    assert!(held[0].points.text_capacity() == 0, "what was large is given back");
}

/// What a batch holds whose labels are all read, none only compared.
fn read_in_full(body: &[u8]) -> String {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    let Batch { decoder, points, error, sample_count, .. } = &mut batch;
    let mut keep = Keep { points, error, sample_count };
    decoder.feed(body, |sample: Sample<'_>| keep.take(sample));
    decoder.finish(|sample: Sample<'_>| keep.take(sample));
    shown(batch)
}

fn shown(mut batch: Batch) -> String {
    let dropped = batch.finish();
    let repeated = batch.first_repeated();
    format!("{dropped:?} {:?} {:?} {repeated:?} {:?}", batch.node(), pods(&batch), batch.contents())
}

#[test]
fn labels_that_are_compared_give_what_labels_that_are_read_give() {
    let quoted = r#"container_cpu_usage_seconds_total{container="a\"",namespace="n\"",pod="p"} 1 1
container_cpu_usage_seconds_total{container="b\\",namespace="n",pod="p"} 1 1
container_memory_working_set_bytes{container="a"",namespace="n"",pod="p"} 2 1
container_memory_working_set_bytes{container="b\",namespace="n",pod="p"} 2 1
container_memory_working_set_bytes{container="a\"",namespace="n\"",pod="p"} 2 1
container_start_time_seconds{container="a\"",namespace="n\"",pod="p"} 2 1
container_start_time_seconds{container="b\",namespace="n",pod="p"} 2 1"#;
    let mut lcg = Lcg(67);
    for round in 0..3_000 {
        let body = if round % 3 == 0 { quoted } else { REAL };
        let mut lines: Vec<String> = body.lines().map(str::to_owned).collect();
        for _ in 0..round % 8 {
            let (from, to) = (lcg.below(lines.len()), lcg.below(lines.len()));
            match lcg.below(4) {
                0 => lines.swap(from, to),
                1 => lines.insert(to, lines[from].clone()),
                2 => drop(lines.remove(from)),
                _ => {
                    let at = lcg.below(lines[from].len() + 1);
                    lines[from].insert(at, ['"', '\\', '}', ',', ' ', 'a'][lcg.below(6)]);
                }
            }
        }
        let body = lines.join("\n");
        let mut batch = Batch::new();
        batch.begin(UnixNanos(0));
        body.as_bytes().chunks(1 + lcg.below(5_000)).for_each(|piece| batch.feed(piece).unwrap());
        assert_eq!(shown(batch), read_in_full(body.as_bytes()), "{body}");
    }
}
