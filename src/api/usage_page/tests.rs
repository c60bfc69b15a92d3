use super::*;
use crate::store::batch::Batch;
use crate::store::{Capacity, NodeRecord, PodRecord};
use crate::units::{Uptime, Window};
use std::time::Duration;

fn store(node: &str, body: &str, pods: &[(&str, &str)]) -> Store {
    let mut store = Store::new(Capacity::of(10, 12_000, 24_000), Window::from_secs(15));
    store.upsert_node(&NodeRecord { name: node, ready: true, ..NodeRecord::default() }).unwrap();
    for (namespace, name) in pods {
        store.upsert_pod(&PodRecord { namespace, name, ..PodRecord::default() }).unwrap();
    }
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    batch.feed(body.as_bytes()).unwrap();
    batch.finish();
    store.commit(node, &batch, Uptime(1_000));
    store
}

/// The page, and its longest piece.
fn page(store: &Store, metrics: &Counters) -> (String, usize) {
    let (mut page, mut all, mut longest) = (UsagePage::default(), Vec::new(), 0);
    loop {
        let mut piece = Vec::new();
        let progress = page.next(store, metrics, &mut piece);
        longest = longest.max(piece.len());
        all.extend_from_slice(&piece);
        if progress == Progress::Done {
            return (String::from_utf8(all).unwrap(), longest);
        }
    }
}

#[test]
fn families_are_the_kubelets_with_its_times_after_one_scrape() {
    let body = include_str!("../../../tests/golden/kubelet/metrics-resource.txt");
    let store = store("n1", body, &[("kube-public", "idle"), ("default", "with-init")]);
    let metrics = Counters::new(Duration::from_secs(15));
    metrics.scrape("n1", Duration::from_millis(1_250), UnixNanos(1_795_510_117_000_000_000), None);
    metrics.scrape("n2", Duration::from_millis(2), UnixNanos(1_795_510_118_000_000_000), Some("refused"));
    metrics.explain("n2", Some(("refused", "no".into())));
    let (text, _) = page(&store, &metrics);
    for line in [
        "# TYPE container_cpu_usage_seconds_total counter",
        "container_cpu_usage_seconds_total{container=\"idle\",namespace=\"kube-public\",node=\"n1\",pod=\"idle\"} \
         0.014971765 1795510116466",
        "container_memory_working_set_bytes{container=\"sidecar\",namespace=\"default\",node=\"n1\",pod=\"with-init\"} 204800 \
         1795510116454",
        "container_start_time_seconds{container=\"idle\",namespace=\"kube-public\",node=\"n1\",pod=\"idle\"} \
         1795509411.4502",
        "toplet_scrape_duration_seconds{node=\"n1\"} 1.25",
        "toplet_scrape_success{node=\"n1\"} 1",
        "toplet_scrape_success{node=\"n2\"} 0",
        "toplet_scrape_timestamp_seconds{node=\"n2\"} 1795510118",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}: {text}");
    }
    assert!(text.contains("node_cpu_usage_seconds_total{node=\"n1\"} "));
    assert!(!text.contains("web-"), "a pod that the API server has not listed");
    // Every family stands in one block, with one head and at least one sample.
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for block in text.split("# HELP ").skip(1) {
        let name = block.split(' ').next().unwrap();
        let samples: Vec<&str> = block.lines().skip(2).collect();
        assert!(!samples.is_empty() && samples.iter().all(|line| line.starts_with(name)), "{block}");
    }
}

#[test]
fn what_pods_wait_for_is_a_family_where_it_is_known() {
    use crate::store::PodPressure;
    use crate::wire::pressure::Stall;
    let body = include_str!("../../../tests/golden/kubelet/metrics-resource.txt");
    let mut store = store("n1", body, &[("kube-public", "idle"), ("default", "with-init")]);
    let metrics = Counters::new(Duration::from_secs(15));
    assert!(!page(&store, &metrics).0.contains("toplet_host_pod"));
    let stall = |total_micros| Some(Stall { total_micros, ..Stall::default() });
    let (namespace, name) = ("kube-public".to_owned(), "idle".to_owned());
    store.set_pressures(vec![PodPressure { namespace, name, waits: [stall(1_500_000), None, stall(0)] }]);
    let (text, _) = page(&store, &metrics);
    let name = "toplet_host_pod_pressure_waiting_seconds_total";
    let labels = "namespace=\"kube-public\",node=\"n1\",pod=\"idle\"";
    let wanted = format!(
        "# TYPE {name} counter\n{name}{{{labels},resource=\"cpu\"}} 1.5\n{name}{{{labels},resource=\"io\"}} 0\n"
    );
    assert!(text.ends_with(&wanted), "{text}");
}

#[test]
fn nothing_known_is_an_empty_page() {
    let store = Store::new(Capacity::of(1, 1, 1), Window::from_secs(15));
    assert_eq!(page(&store, &Counters::new(Duration::from_secs(15))), (String::new(), 0));
}

#[test]
fn names_are_escaped() {
    let body = "container_cpu_usage_seconds_total{container=\"a\\\"b\\\\c\",namespace=\"x\",pod=\"y\"} 1 5\n\
                container_memory_working_set_bytes{container=\"a\\\"b\\\\c\",namespace=\"x\",pod=\"y\"} 1 5\n";
    let (text, _) = page(&store("n", body, &[("x", "y")]), &Counters::new(Duration::from_secs(15)));
    assert!(
        text.contains("{container=\"a\\\"b\\\\c\",namespace=\"x\",node=\"n\",pod=\"y\"} 1.000000000 5\n"),
        "{text}"
    );
}

#[test]
fn many_pods_and_a_pod_of_many_containers_come_in_pieces_and_each_once() {
    let pods: Vec<String> = (0..9_000).map(|n| format!("pod-{n:05}")).collect();
    let mut listed: Vec<(&str, &str)> = pods.iter().map(|name| ("ns", name.as_str())).collect();
    listed.push(("ns", "wide"));
    let mut body = String::new();
    for family in ["cpu_usage_seconds_total", "memory_working_set_bytes"] {
        let rows = (0..6_000).map(|n| format!("container=\"c\",namespace=\"ns\",pod=\"pod-{n:05}\""));
        let wide = (0..2_000).map(|n| format!("container=\"c{n:04}\",namespace=\"ns\",pod=\"wide\""));
        for labels in rows.chain(wide) {
            body += &format!("container_{family}{{{labels}}} 7 1795510116466\n");
        }
    }
    let store = store("n", &body, &listed);
    let (text, longest) = page(&store, &Counters::new(Duration::from_secs(15)));
    assert!(longest <= limits::CHUNK_LEN_MAX, "{longest}");
    let cpu: Vec<&str> = text.lines().filter(|line| line.starts_with("container_cpu")).collect();
    assert_eq!(cpu.len(), 8_000);
    assert!(cpu.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(text.matches("# TYPE container_cpu_usage_seconds_total").count(), 1);
}
