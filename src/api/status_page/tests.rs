use super::*;
use crate::api::tests::whole;
use crate::store::batch::Batch;
use crate::store::{Capacity, NodeRecord, PodRecord};
use crate::units::{Nanocores, Uptime};
use crate::wire::allocatable::Allocatable;

const NOW: UnixNanos = UnixNanos(1_795_514_230_000_000_000);

struct World {
    store: Store,
    metrics: Counters,
    vitals: Vitals,
}

impl World {
    fn new(history: u32) -> World {
        let capacity = Capacity::of(200, 6_000, 12_000);
        let store = Store::new(capacity, Window::from_secs(15)).with_history(history);
        let metrics = Counters::new(Duration::from_secs(15));
        metrics.capacity(capacity);
        let vitals = Vitals {
            rss: Some(Bytes(3 << 20)),
            started_at: UnixNanos(NOW.0 - 90_000_000_000_000),
            uptime: Uptime(100_000),
            certificate_ends_at: Some(UnixNanos(NOW.0 + 30 * 86_400_000_000_000)),
            ..Vitals::default()
        };
        World { store, metrics, vitals }
    }

    /// A node that was read at all these ages (in resolutions), with pods that use 1 m, 2 m, ... of a core.
    fn node(&mut self, name: &str, ages: impl Iterator<Item = u32>, pods: &[(&str, &str)]) {
        let seconds = |index: usize, age: u32| f64::from(10_000 - age * 15) / 1_000.0 * (index + 1) as f64;
        self.node_with(name, ages, pods, |index, age| (seconds(index, age), 1_048_576));
    }

    /// The same, with seconds of CPU and bytes by pod and age.
    fn node_with(
        &mut self,
        name: &str,
        ages: impl Iterator<Item = u32>,
        pods: &[(&str, &str)],
        used: impl Fn(usize, u32) -> (f64, u64),
    ) {
        self.store.upsert_node(&NodeRecord { name, ready: true, ..NodeRecord::default() }).unwrap();
        for (namespace, pod) in pods {
            self.store.upsert_pod(&PodRecord { namespace, name: pod, ..PodRecord::default() }).unwrap();
        }
        for age in ages {
            let mut batch = Batch::new();
            batch.begin(UnixNanos(0));
            let at = NOW.0 / 1_000_000 - i64::from(age) * 15_000;
            let secs = 10_000 - u64::from(age) * 15;
            let mut text = format!("node_cpu_usage_seconds_total {} {at}\n", secs * 2);
            text += &format!("node_memory_working_set_bytes 5e8 {at}\n");
            for (index, (namespace, pod)) in pods.iter().enumerate() {
                let labels = format!(
                    "{{container=\"main\",namespace=\"{}\",pod=\"{}\"}}",
                    namespace.replace('"', "\\\""),
                    pod.replace('"', "\\\"")
                );
                let (cpu, memory) = used(index, age);
                text += &format!("container_cpu_usage_seconds_total{labels} {cpu} {at}\n");
                text += &format!("container_memory_working_set_bytes{labels} {memory} {at}\n");
            }
            batch.feed(text.as_bytes()).unwrap();
            batch.finish();
            self.store.commit(name, &batch, Uptime(100_000 - age * 150));
        }
        self.metrics.scrape(name, Duration::from_millis(12), NOW, None);
        self.metrics.address(name, "10.0.0.7");
    }

    fn page(&self, target: &str) -> String {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let head = Head { method: "GET", path, query, headers: &[] };
        let settings = crate::api::Settings {
            resolution: Duration::from_secs(15),
            mode: "host service",
            reserved: Bytes(50 << 20),
            ..crate::api::Settings::default()
        };
        let context = Context {
            settings: &settings,
            metrics: &self.metrics,
            vitals: self.vitals,
            now: NOW,
            store: &self.store,
        };
        let notation = if path.ends_with("json") { Notation::Json } else { Notation::Html };
        let answer = answer(&context, &head, notation);
        String::from_utf8(whole(answer.body, &self.store, &self.metrics)).unwrap()
    }
}

const HOSTILE: &str = "<script>alert('x')</script>\"&";

#[test]
fn what_others_choose_is_text_wherever_it_stands() {
    let mut world = World::new(4);
    world.node(HOSTILE, (0..3).rev(), &[(HOSTILE, HOSTILE)]);
    let failure = Some(("io", format!("GET {HOSTILE}: \u{7}{HOSTILE}")));
    world.node("dead", 0..0, &[]);
    world.metrics.scrape("dead", Duration::from_secs(1), NOW, Some("io"));
    world.metrics.explain("dead", failure);
    world.metrics.address(HOSTILE, HOSTILE);
    let encoded = "%3Cscript%3Ealert('x')%3C/script%3E%22%26";
    for query in ["", &format!("?namespace={encoded}&node={encoded}"), &format!("?refresh={encoded}")] {
        let page = world.page(&format!("/status{query}"));
        assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
        assert!(!page.contains('\u{7}'));
        let shown = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34;&amp;";
        assert!(page.matches(shown).count() >= 4, "{page}");
        assert!(page.contains("namespace=%3Cscript%3Ealert%28%27x%27%29%3C%2Fscript%3E%22%26"));
        let json = world.page(&format!("/status.json{query}"));
        assert!(!json.contains('<') && json.contains("\\u003cscript"), "{json}");
    }
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let mut world = World::new(60);
    world.node("n1", (0..60).rev(), &[("default", "web-1")]);
    let page = world.page("/status");
    for markup in ["<script", "<img", "<link", "src=", "url(", "http:", "https:", " style=", " on", "@import"]
    {
        let found = page.find(markup).map(|at| &page[at..(at + 40).min(page.len())]);
        assert!(found.is_none_or(|found| found.starts_with(" on ")), "{markup}: {found:?}");
    }
    assert!(markup::CONTENT_SECURITY_POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
}

#[test]
fn thirty_pods_fit_40_kib_with_a_full_history_and_everything_there_is_to_say() {
    use crate::api::context::{FileSystem, HostLoad};
    use crate::store::PodPressure;
    use crate::wire::pressure::{Pressure, Stall};
    let mut world = World::new(60);
    let names: Vec<String> = (0..30).map(|n| format!("some-deployment-5fddb4c866-{n:05}")).collect();
    let pods: Vec<(&str, &str)> = names.iter().map(|name| ("kube-system", name.as_str())).collect();
    // Every figure goes up and down by half of itself.
    let wave = |index: usize, age: u32| (f64::from(age) / 9.0 + index as f64).sin();
    world.node_with("node-1.example.internal", (0..62).rev(), &pods, |index, age| {
        let memory = 30_000_000.0 * (2.0 + wave(index, age));
        (f64::from(10_000 - age * 15) / 10.0 + 6.0 * wave(index, age), memory as u64)
    });
    let stall = Some(Stall { averages: [12.34, 10.0, 8.0], total_micros: 123_456_789 });
    let pressure = |name: &String| PodPressure {
        namespace: "kube-system".to_owned(),
        name: name.clone(),
        waits: [stall, None, stall],
    };
    world.store.set_pressures(names.iter().map(pressure).collect());
    let pressure = stall.map(|some| Pressure { some, full: stall });
    let (size, used, available) = (Bytes(1 << 40), Bytes(1 << 39), Bytes(1 << 38));
    let file_systems = ["/", "/var/lib"].map(|path| Some(FileSystem { path, size, used, available }));
    world.vitals.host = Some(HostLoad { pressure: [pressure; 3], file_systems });
    let page = world.page("/status");
    assert_eq!((page.matches("<svg").count(), page.matches("cpu 12.3 %").count()), (62, 30));
    assert!(page.len() < 40 * 1024, "{}", page.len());
    assert!(page.contains("Pods: 30; together "), "{page}");
}

#[test]
fn each_fact_stands_on_the_page() {
    let mut world = World::new(4);
    world.node("n1", (0..3).rev(), &[("default", "web-1"), ("default", "web-2"), ("other", "db")]);
    world.node("n2", 0..0, &[]);
    world.metrics.scrape("n2", Duration::from_secs(2), NOW, Some("refused"));
    world.metrics.explain("n2", Some(("refused", "GET https://10.0.0.9: refused; start the kubelet".into())));
    let page = world.page("/status");
    for fact in [
        "toplet: 1 of 2 nodes measured",
        "host service, up 1 d 1 h, read every 15 s",
        "valid for 30 d 0 h more",
        "Nodes: 2, 1 failing",
        "refused: GET https://10.0.0.9: refused; start the kubelet",
        "kubelet<small>10.0.0.7</small>",
        "12 ms",
        "2000m",
        "<th scope=\"col\">CPU, last 1 min</th>",
        "Pods: 3; together 6m and 3Mi",
        "<td class=\"n\">3072 KiB</td><td class=\"n\">51200 KiB</td>",
        "<meta http-equiv=\"refresh\" content=\"15\">",
    ] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    let order: Vec<usize> =
        ["n2</a>", "n1</a>", "db<", "web-2<", "web-1<"].iter().map(|name| page.find(name).unwrap()).collect();
    assert!(order.is_sorted(), "failing nodes first, then by CPU: {order:?}");
}

#[test]
fn a_selection_limits_the_pods_and_stays_in_the_links() {
    let mut world = World::new(0);
    world.node("n1", (0..3).rev(), &[("default", "web-1"), ("other", "db")]);
    world.node("n2", (0..3).rev(), &[("default", "web-2")]);
    let page = world.page("/status?namespace=default&node=n1&refresh=off");
    assert!(page.contains("web-1<") && !page.contains("web-2<") && !page.contains("db<"), "{page}");
    assert!(page.contains("Only namespace default node n1"), "{page}");
    assert!(!page.contains("http-equiv"), "a page that does not load again");
    assert!(page.contains("href=\"?namespace=default&amp;node=n1&amp;refresh=off\""), "{page}");
    assert!(page.contains("href=\"?namespace=default&amp;node=n1\">start"), "{page}");
    assert!(!page.contains("<svg") && !page.contains("last "), "without a history there is nothing to draw");
    assert!(world.page("/status?refresh=1").contains("content=\"5\""));
    assert!(world.page("/status?refresh=60&node=x").contains("Pods: 0"));
}

#[test]
fn a_large_cluster_shows_what_uses_most_in_bounded_pieces() {
    let mut world = World::new(4);
    let names: Vec<String> = (0..5_000).map(|n| format!("p{n:04}")).collect();
    for (node, names) in names.chunks(50).enumerate() {
        let pods: Vec<(&str, &str)> = names.iter().map(|name| ("ns", name.as_str())).collect();
        world.node(&format!("n{node:03}"), (0..3).rev(), &pods);
    }
    (0..30).for_each(|n| world.node(&format!("z{n:03}"), (0..3).rev(), &[]));
    let page = world.page("/status");
    assert!(
        page.contains("Nodes: 130, 100 shown") && page.contains("Pods: 5000, the 50 with most CPU"),
        "{page}"
    );
    // The last of each node uses most.
    assert_eq!(page.matches(">p").count() - page.matches(">path").count(), 50);
    assert!(page.contains("p0049<") && !page.contains("p0048<"));
    let mut page = StatusPage {
        notation: Notation::Html,
        wanted: Wanted::default(),
        vitals: world.vitals,
        mode: "",
        reserved: Bytes(0),
        resolution: Duration::from_secs(15),
        now: NOW,
        ranking: Ranking::default(),
        part: Part::Overview,
        is_first: true,
        history: Vec::new(),
    };
    let mut turns = 1;
    while !page.prepare(&world.store, &world.metrics) {
        turns += 1;
    }
    assert!(turns > 5_000 / limits::LIST_WORK_MAX as usize, "the lock is free in between: {turns}");
    let mut out = Vec::new();
    let mut longest = 0;
    while page.next(&world.store, &world.metrics, &mut out) == Progress::More {
        longest = longest.max(out.len());
        out.clear();
    }
    assert!(longest <= limits::CHUNK_LEN_MAX, "{longest}");
}

#[test]
fn json_has_the_same_facts_and_null_for_a_gap() {
    let mut world = World::new(4);
    world.node("n1", [4, 3, 1, 0].into_iter(), &[("default", "web-1")]);
    world.node("n2", 0..0, &[]);
    world.metrics.explain("n2", Some(("refused", "no".into())));
    let json = world.page("/status.json");
    let facts = [
        "\"mode\":\"host service\"",
        "\"memory\":{\"residentBytes\":3145728,\"reservedBytes\":52428800}",
        "\"nodes\":{\"count\":2,\"measured\":1,\"failing\":1,\"items\":[{\"name\":\"n2\",",
        "\"latencySeconds\":0.012,\"reason\":\"refused\",\"message\":\"no\"",
        "\"name\":\"n1\",\"source\":\"kubelet\",\"address\":\"10.0.0.7\",\"latencySeconds\":0.012",
        "\"cpuNanocores\":2000000000,\"memoryBytes\":500000000,\"ageSeconds\":0.000",
        "\"history\":{\"cpuNanocores\":[1999634432,null,1999634432,1999634432]",
        "{\"namespace\":\"default\",\"name\":\"web-1\",\"node\":\"n1\",\"containers\":1,\"cpuNanocores\":1000000",
    ];
    for fact in facts {
        assert!(json.contains(fact), "{fact}: {json}");
    }
    let parsed: miniserde::json::Value = miniserde::json::from_str(&json).unwrap();
    assert!(matches!(parsed, miniserde::json::Value::Object(_)));
    // No node and no pod.
    let empty = World::new(4).page("/status.json");
    miniserde::json::from_str::<miniserde::json::Value>(&empty).unwrap();
}

#[test]
fn the_machine_is_shown_where_it_is_known_as_far_as_the_kernel_says() {
    use crate::api::context::{FileSystem, HostLoad};
    let mut world = World::new(0);
    assert!(
        !world.page("/status").contains("This machine") && !world.page("/status.json").contains("\"host\"")
    );
    let pressure = crate::wire::pressure::parse(
        "some avg10=1.50 avg60=2.00 avg300=3.00 total=7\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=5\n",
    );
    let file_system =
        FileSystem { path: "/", size: Bytes(100 << 20), used: Bytes(60 << 20), available: Bytes(35 << 20) };
    world.vitals.host =
        Some(HostLoad { pressure: [None, pressure, None], file_systems: [Some(file_system), None] });
    let page = world.page("/status");
    assert!(
        page.contains("memory, some work</th><td class=\"n\">1.5 %</td><td class=\"n\">2.0 %</td>"),
        "{page}"
    );
    assert!(page.contains("memory, all work</th><td class=\"n\">0.2 %</td>"), "{page}");
    assert!(page.contains("60Mi</td><td class=\"n\">100Mi</td><td class=\"n\">35Mi</td>"), "{page}");
    assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
    let json = world.page("/status.json");
    let wanted = "\"host\":{\"pressure\":{\"memory\":{\"some\":{\"avg10\":1.50,\"avg60\":2.00,\"avg300\":3.00,\
                  \"totalMicroseconds\":7},\"full\":{\"avg10\":0.25,\"avg60\":0.00,\"avg300\":0.00,\"totalMicroseconds\":5}}},\
                  \"fileSystems\":[{\"path\":\"/\",\"sizeBytes\":104857600,\"usedBytes\":62914560,\"availableBytes\":36700160}]},";
    assert!(json.contains(wanted), "{json}");
    // A kernel without pressure.
    world.vitals.host = Some(HostLoad::default());
    let page = world.page("/status");
    assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
    let json = world.page("/status.json");
    assert!(json.contains("\"host\":{\"pressure\":{},\"fileSystems\":[]}"), "{json}");
    miniserde::json::from_str::<miniserde::json::Value>(&json).unwrap();
}

#[test]
fn what_pods_wait_for_is_shown_where_the_kernel_says_it() {
    use crate::store::PodPressure;
    use crate::wire::pressure::Stall;
    let mut world = World::new(0);
    world.node("n1", (0..3).rev(), &[("default", "web-1"), ("default", "web-2"), ("default", "web-3")]);
    assert!(!world.page("/status").contains("Waited") && !world.page("/status.json").contains("pressure"));
    let stall = |share| Some(Stall { averages: [share, 2.0, 3.0], total_micros: 7 });
    let pod = |name: &str, waits| PodPressure { namespace: "default".into(), name: name.into(), waits };
    world.store.set_pressures(vec![
        pod("web-1", [stall(12.34), stall(0.0), stall(0.5)]),
        pod("web-2", [None, stall(0.0), None]),
    ]);
    let page = world.page("/status");
    assert!(page.contains("<th scope=\"col\">Waited, last 10 s</th><th scope=\"col\">Node</th>"), "{page}");
    for cell in ["<td>cpu 12.3 %, io 0.5 %</td><td>", "<td>for nothing</td><td>", "<td>–</td><td>"] {
        assert!(page.contains(cell), "{cell}: {page}");
    }
    let json = world.page("/status.json");
    let some = |share: &str| {
        format!("{{\"some\":{{\"avg10\":{share},\"avg60\":2.00,\"avg300\":3.00,\"totalMicroseconds\":7}}}}")
    };
    let (cpu, none, io) = (some("12.34"), some("0.00"), some("0.50"));
    assert!(
        json.contains(&format!("\"pressure\":{{\"cpu\":{cpu},\"memory\":{none},\"io\":{io}}},\"age")),
        "{json}"
    );
    assert!(json.contains(&format!("\"pressure\":{{\"memory\":{none}}},\"age")), "{json}");
    assert_eq!(json.matches("\"pressure\"").count(), 2);
    miniserde::json::from_str::<miniserde::json::Value>(&json).unwrap();
}

#[test]
fn a_nodes_usage_is_a_share_of_what_it_has_where_that_is_known() {
    let mut world = World::new(0);
    world.node("n1", (0..3).rev(), &[("default", "web-1")]);
    assert!(!world.page("/status").contains(" % of ") && !world.page("/status.json").contains("allocatable"));
    let allocatable =
        Allocatable { cpu: Nanocores(8_000_000_000), memory: Bytes(4_000_000_000), ..Allocatable::default() };
    let mut known = |allocatable| {
        let node = NodeRecord { name: "n1", ready: true, allocatable, ..NodeRecord::default() };
        world.store.upsert_node(&node).unwrap();
        (world.page("/status"), world.page("/status.json"))
    };
    let (page, json) = known(allocatable);
    assert!(page.contains("<td class=\"n\">2000m<small>25 % of 8000m</small></td>"), "{page}");
    assert!(page.contains("<td class=\"n\">476Mi<small>12 % of 3814Mi</small></td>"), "{page}");
    assert_eq!(page.matches(" % of ").count(), 2, "a pod has no share of its own");
    assert!(
        json.contains("\"allocatable\":{\"cpuNanocores\":8000000000,\"memoryBytes\":4000000000},\"age"),
        "{json}"
    );
    let (page, json) = known(Allocatable { cpu: Nanocores(0), ..allocatable });
    assert!(page.contains("<td class=\"n\">2000m</td>") && page.contains("12 % of 3814Mi"), "{page}");
    assert!(json.contains("\"allocatable\":{\"memoryBytes\":4000000000},"), "{json}");
}

#[test]
fn a_steady_figure_is_the_same_now_and_lately() {
    let mut world = World::new(4);
    // Rates of 1 m, 2 m, ... 99 m, which the history keeps rounded; all pods have 1 Mi.
    let names: Vec<String> = (0..99).map(|n| format!("p{n:02}")).collect();
    let pods: Vec<(&str, &str)> = names.iter().map(|name| ("ns", name.as_str())).collect();
    world.node("n1", (0..4).rev(), &pods);
    let page = world.page("/status");
    for rate in 50..100 {
        assert!(page.contains(&format!("<td class=\"n\">{rate}m</td>")), "{rate}: {page}");
        assert!(page.contains(&format!("<small>{rate}m to {rate}m</small>")), "{rate}: {page}");
    }
    assert_eq!(page.matches("<small>1Mi to 1Mi</small>").count(), 50);
    assert!(page.contains("<small>476Mi to 476Mi</small>"), "{page}");
}

#[test]
fn nothing_to_show_is_no_table() {
    let mut world = World::new(4);
    let page = world.page("/status");
    assert!(page.contains("Nodes: 0") && page.contains("Pods: 0"), "{page}");
    assert_eq!((page.matches("<table>").count(), page.matches("</table>").count()), (1, 1));
    world.node("n1", (0..3).rev(), &[]);
    let page = world.page("/status");
    assert_eq!((page.matches("<table>").count(), page.matches("</table>").count()), (2, 2));
}
