use super::*;
use crate::api::Vitals;
use crate::api::answer::Progress;
use crate::api::page_text::number;
use crate::store::Capacity;
use crate::store::Occupancy;
use crate::units::{Bytes, UnixNanos};
use std::time::Duration;

fn metrics() -> Counters {
    Counters::new(Duration::from_secs(15))
}

fn pages(metrics: &Counters) -> Vec<Vec<u8>> {
    let vitals = Vitals { rss: Some(Bytes(2_500_000)), cpu_nanos: 1_500_000_000, ..Vitals::default() };
    let mut page = page(vitals);
    let mut pieces = Vec::new();
    loop {
        let mut out = Vec::new();
        let progress = page.piece(metrics, Occupancy::default(), &mut out);
        pieces.push(out);
        match progress {
            Progress::More => {}
            Progress::Done => return pieces,
            Progress::Broken => panic!("a page of self metrics cannot break"),
        }
    }
}

fn page_text(metrics: &Counters) -> String {
    String::from_utf8(pages(metrics).concat()).unwrap()
}

/// The lines of one family, without its head.
fn family(text: &str, name: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// Family names with their types.
fn families(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

#[test]
fn c4_one_request_of_a_second() {
    let metrics = metrics();
    // Year 1, as seconds since the epoch: further back than nanoseconds reach, so a nearer instant with the same form.
    metrics.scrape("node1", Duration::from_secs(1), UnixNanos(-6_213_559_680_000_000_000), None);
    let text = page_text(&metrics);
    let bucket = |bound: &str, count: u32| {
        format!(
            "metrics_server_kubelet_request_duration_seconds_bucket{{node=\"node1\",le=\"{bound}\"}} {count}"
        )
    };
    let mut wanted: Vec<_> =
        ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5"].map(|bound| bucket(bound, 0)).into();
    wanted.extend(["1", "2.5", "5", "10", "+Inf"].map(|bound| bucket(bound, 1)));
    wanted.push("metrics_server_kubelet_request_duration_seconds_sum{node=\"node1\"} 1".into());
    wanted.push("metrics_server_kubelet_request_duration_seconds_count{node=\"node1\"} 1".into());
    assert_eq!(family(&text, "metrics_server_kubelet_request_duration_seconds"), wanted);
    assert_eq!(
        family(&text, "metrics_server_kubelet_request_total"),
        ["metrics_server_kubelet_request_total{success=\"true\"} 1"]
    );
    assert_eq!(
        family(&text, "metrics_server_kubelet_last_request_time_seconds"),
        ["metrics_server_kubelet_last_request_time_seconds{node=\"node1\"} -6213559680"]
    );
}

#[test]
fn f11_freshness_buckets() {
    let metrics = metrics();
    assert!(!page_text(&metrics).contains("freshness"));
    for _ in 0..3 {
        metrics.freshness(Duration::from_secs(10));
    }
    let bounds = "1 1.364 1.8604960000000004 2.5377165440000007 3.4614453660160014 4.721411479245826 \
        6.440005257691307 8.784167171490942 11.981604021913647 16.342907885890217 22.291726356354257 \
        30.405914750067208 41.47366771909167 56.57008276884105 77.16159289669919 105.2484127110977 \
        143.55883493793726 195.81425085534644 267.09063816669254 364.31163045936864 +Inf";
    let mut wanted: Vec<_> = bounds
        .split_whitespace()
        .enumerate()
        .map(|(index, bound)| {
            let count = if index < 8 { 0 } else { 3 };
            format!("metrics_server_api_metric_freshness_seconds_bucket{{le=\"{bound}\"}} {count}")
        })
        .collect();
    wanted.push("metrics_server_api_metric_freshness_seconds_sum 30".into());
    wanted.push("metrics_server_api_metric_freshness_seconds_count 3".into());
    assert_eq!(family(&page_text(&metrics), "metrics_server_api_metric_freshness_seconds"), wanted);
}

#[test]
fn i10_exactly_six_families_of_metrics_server() {
    let metrics = metrics();
    metrics.scrape("edge-1", Duration::from_millis(12), UnixNanos(0), None);
    metrics.tick(Duration::from_millis(20));
    metrics.freshness(Duration::from_secs(5));
    let text = page_text(&metrics);
    let ours: Vec<_> =
        families(&text).into_iter().filter(|(name, _)| name.starts_with("metrics_server_")).collect();
    let wanted = [
        ("metrics_server_api_metric_freshness_seconds", "histogram"),
        ("metrics_server_kubelet_last_request_time_seconds", "gauge"),
        ("metrics_server_kubelet_request_duration_seconds", "histogram"),
        ("metrics_server_kubelet_request_total", "counter"),
        ("metrics_server_manager_tick_duration_seconds", "histogram"),
        ("metrics_server_storage_points", "gauge"),
    ];
    assert_eq!(ours, wanted.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    assert!(text.contains("# HELP metrics_server_storage_points [ALPHA] Number of metrics points stored.\n"));
}

#[test]
fn e3_points_are_absent_until_something_was_stored() {
    let metrics = metrics();
    assert_eq!(family(&page_text(&metrics), "metrics_server_storage_points"), Vec::<String>::new());
    metrics.tick(Duration::from_secs(1));
    assert_eq!(
        family(&page_text(&metrics), "metrics_server_storage_points"),
        [
            "metrics_server_storage_points{type=\"container\"} 0",
            "metrics_server_storage_points{type=\"node\"} 0"
        ]
    );
}

#[test]
fn every_family_has_one_head_and_at_least_one_sample() {
    let metrics = metrics();
    for name in ["b", "a"] {
        metrics.scrape(name, Duration::from_secs(1), UnixNanos(0), None);
    }
    metrics.scrape("a", Duration::from_secs(1), UnixNanos(0), Some("timeout"));
    metrics.review("token", "hit");
    metrics.capacity(Capacity { nodes: 1, pods: 2, containers: 3, text_len: 4 });
    let text = page_text(&metrics);
    let mut names: Vec<_> = families(&text).into_iter().map(|(name, _)| name).collect();
    for name in &names {
        assert!(!family(&text, name).is_empty(), "{name} has no sample");
    }
    let sorted = {
        let mut sorted = names.clone();
        sorted.sort();
        sorted
    };
    assert_eq!(names, sorted);
    names.dedup();
    assert_eq!(names.len(), families(&text).len());
    assert!(text.contains("toplet_scrape_errors_total{node=\"a\",reason=\"timeout\"} 1\n"));
    assert!(text.contains("toplet_store_capacity{kind=\"pods\"} 2\n"));
    assert!(text.contains("process_resident_memory_bytes 2500000\n"));
    assert!(text.contains("process_cpu_seconds_total 1.5\n"));
}

#[test]
fn many_nodes_make_many_pieces_of_bounded_size_without_a_gap() {
    let metrics = metrics();
    for index in 0..100 {
        metrics.scrape(&format!("node-{index:03}"), Duration::from_millis(3), UnixNanos(0), Some("refused"));
    }
    let pieces = pages(&metrics);
    assert!(pieces.len() > 5, "{} pieces", pieces.len());
    assert!(pieces.iter().all(|piece| piece.len() <= limits::CHUNK_LEN_MAX));
    let text = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(family(&text, "metrics_server_kubelet_request_duration_seconds_count").len(), 100);
    assert_eq!(family(&text, "toplet_scrape_errors_total").len(), 100);
    assert_eq!(text.matches("# TYPE metrics_server_kubelet_request_duration_seconds ").count(), 1);
}

#[test]
fn nodes_that_left_are_forgotten_and_too_many_are_not_kept() {
    let metrics = metrics();
    for name in ["a", "b", "c"] {
        metrics.scrape(name, Duration::from_secs(1), UnixNanos(0), None);
    }
    metrics.retain_nodes(&["a", "c", "d"]);
    let text = page_text(&metrics);
    assert!(text.contains("{node=\"a\"}") && text.contains("{node=\"c\"}") && !text.contains("node=\"b\""));
    for index in 0..limits::SELF_METRICS_NODES_MAX + 10 {
        metrics.scrape(&format!("{index}"), Duration::from_secs(1), UnixNanos(0), None);
    }
    assert_eq!(lock(&metrics.nodes).len(), limits::SELF_METRICS_NODES_MAX);
    metrics.scrape(&"n".repeat(limits::NODE_NAME_LEN_MAX + 1), Duration::from_secs(1), UnixNanos(0), None);
    assert!(page_text(&metrics).contains("metrics_server_kubelet_request_total{success=\"true\"} 5014\n"));
}

#[test]
fn label_values_are_escaped() {
    let metrics = metrics();
    metrics.scrape("a\"b\\c\nd", Duration::from_secs(1), UnixNanos(0), None);
    assert!(page_text(&metrics).contains("{node=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

#[test]
fn numbers_read_back_as_they_were() {
    for value in [0.0, 1.0, 0.0001, 0.000_01, 1e6, 5.742_919_68e8, -6.213_559_68e10, 13.638_443_124, 1e100] {
        assert_eq!(number(value).parse(), Ok(value));
    }
    assert_eq!(number(f64::INFINITY), "+Inf");
}

#[test]
fn idle_metrics_are_small() {
    assert!(size_of::<Counters>() < 1200, "{}", size_of::<Counters>());
    assert!(size_of::<NodeSeries>() < 130, "{}", size_of::<NodeSeries>());
}

#[test]
fn the_machines_load_is_there_where_it_is_known() {
    use crate::api::context::{FileSystem, HostLoad};
    use crate::units::Bytes;
    let read = |host| {
        let (mut out, metrics) = (Vec::new(), metrics());
        let vitals = Vitals { host, ..Vitals::default() };
        while page(vitals).piece(&metrics, Occupancy::default(), &mut out) == Progress::More {}
        String::from_utf8(out).unwrap()
    };
    assert!(!read(None).contains("toplet_host_"));
    assert!(
        !read(Some(HostLoad::default())).contains("toplet_host_"),
        "a family without samples has no head"
    );
    let pressure = crate::wire::pressure::parse("some avg10=0 avg60=0 avg300=0 total=1500000\n");
    let it = FileSystem { path: "/", size: Bytes(100), used: Bytes(60), available: Bytes(35) };
    let text = read(Some(HostLoad { pressure: [pressure, None, None], file_systems: [Some(it), None] }));
    assert_eq!(
        family(&text, "toplet_host_"),
        [
            "toplet_host_filesystem_available_bytes{mountpoint=\"/\"} 35",
            "toplet_host_filesystem_size_bytes{mountpoint=\"/\"} 100",
            "toplet_host_pressure_waiting_seconds_total{resource=\"cpu\"} 1.5",
        ]
    );
    let names: Vec<_> = families(&text).into_iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted(), "{names:?}");
}
