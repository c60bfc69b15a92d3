use super::*;
use crate::source::Reading;
use crate::store::{Capacity, Inventory, NodeRecord, PodRecord};
use crate::units::Window;
use std::collections::BTreeMap;
use std::sync::mpsc;

/// What a fake kubelet answers, by node; every read is reported with its node's name.
#[derive(Clone, Default)]
struct Kubelets {
    bodies: Arc<Mutex<BTreeMap<String, String>>>,
    reports: Arc<Mutex<Option<mpsc::Sender<String>>>>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Kubelets {
    fn set(&self, node: &str, body: &str) {
        self.bodies.lock().unwrap().insert(node.to_owned(), body.to_owned());
    }

    fn make_source(&self) -> MakeSource {
        let kubelets = self.clone();
        Box::new(move |_| Box::new(kubelets.clone()))
    }
}

impl Source for Kubelets {
    fn read(&mut self, target: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        if target.name == "slow" {
            let mut open = self.gate.0.lock().unwrap();
            while !*open {
                open = self.gate.1.wait(open).unwrap();
            }
        }
        let body = self.bodies.lock().unwrap().get(&target.name).cloned();
        let result = match body {
            None => Err(SourceError { reason: "refused", message: "no".to_owned(), hint: "start it".into() }),
            Some(body) => {
                batch.begin(clock::wall());
                batch.feed(body.as_bytes()).unwrap();
                Ok(Reading { len: body.len() as u64, dropped: batch.finish(), instead_of: None })
            }
        };
        if let Some(reports) = &*self.reports.lock().unwrap() {
            let _ = reports.send(target.name.clone());
        }
        result
    }
}

fn body(pod: &str, seconds: u64) -> String {
    let labels = format!("{{container=\"c\",namespace=\"n\",pod=\"{pod}\"}}");
    let millis = 1_700_000_000_000 + seconds * 1000;
    format!(
        "node_cpu_usage_seconds_total {seconds} {millis}\nnode_memory_working_set_bytes 5 {millis}\n\
         container_cpu_usage_seconds_total{labels} {seconds} {millis}\n\
         container_memory_working_set_bytes{labels} 5 {millis}\n"
    )
}

fn store(nodes: &[&str]) -> Arc<Mutex<Store>> {
    let capacity = Capacity { nodes: 8, pods: 8, containers: 8, text_len: 8192 };
    let mut store = Store::new(capacity, Window::from_secs(15));
    store.begin_list(Inventory::Nodes);
    for name in nodes {
        let labels = vec![("kubernetes.io/hostname", *name)];
        store.upsert_node(&NodeRecord { name, labels, ready: true, ..NodeRecord::default() }).unwrap();
    }
    store.end_list(Inventory::Nodes);
    Arc::new(Mutex::new(store))
}

fn shared(store: &Arc<Mutex<Store>>, selector: &str, kubelets: &Kubelets) -> Arc<Crew> {
    let (resolution, selector) = (Duration::from_secs(15), LabelSelector::parse(selector).unwrap());
    let metrics = Arc::new(Counters::new(resolution));
    Arc::new(Crew::new(resolution, selector, store.clone(), metrics, kubelets.make_source()))
}

/// Scrapes one node as a thread would.
fn scrape(shared: &Crew, kubelets: &Kubelets, node: &str) {
    let targets = lock(&shared.store).targets();
    let target = targets.into_iter().find(|t| t.name == node).unwrap();
    shared.attempt(&mut kubelets.clone(), &mut Batch::new(), &target).unwrap();
}

#[test]
fn two_scrapes_make_a_usage_and_a_failure_takes_it_away() {
    let kubelets = Kubelets::default();
    let store = store(&["a"]);
    store
        .lock()
        .unwrap()
        .upsert_pod(&PodRecord { namespace: "n", name: "p", ..PodRecord::default() })
        .unwrap();
    let shared = shared(&store, "", &kubelets);
    for seconds in [100, 102] {
        kubelets.set("a", &body("p", seconds));
        scrape(&shared, &kubelets, "a");
    }
    assert!(store.lock().unwrap().node("a").unwrap().usage.is_some());
    assert!(store.lock().unwrap().pod("n", "p").unwrap().usage.is_some());
    kubelets.bodies.lock().unwrap().clear();
    scrape(&shared, &kubelets, "a");
    assert!(store.lock().unwrap().node("a").unwrap().usage.is_none());
    assert!(store.lock().unwrap().pod("n", "p").unwrap().usage.is_none());
}

#[test]
fn unselected_nodes_are_not_scraped_and_lose_their_points() {
    let kubelets = Kubelets::default();
    let store = store(&["a", "b"]);
    let shared = shared(&store, "kubernetes.io/hostname!=a", &kubelets);
    for seconds in [100, 102] {
        kubelets.set("a", &body("p", seconds));
        scrape(&shared, &kubelets, "a");
    }
    assert!(store.lock().unwrap().node("a").unwrap().usage.is_some());
    drop(shared.take_inventory(lock(&shared.desk), clock::mono()));
    assert!(store.lock().unwrap().node("a").unwrap().usage.is_none());
    match lock(&shared.desk).schedule.next(clock::mono()) {
        Turn::Scrape(job) => assert_eq!(job.target.name, "b"),
        Turn::Sleep(_) => panic!("b is due"),
    };
}

#[test]
fn without_a_node_list_there_are_no_rounds() {
    let kubelets = Kubelets::default();
    let capacity = Capacity { nodes: 8, pods: 8, containers: 8, text_len: 8192 };
    let store = Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15))));
    let shared = shared(&store, "", &kubelets);
    drop(shared.take_inventory(lock(&shared.desk), clock::mono()));
    assert!(!lock(&shared.desk).schedule.is_synced());
}

#[test]
fn another_thread_goes_past_a_node_that_hangs() {
    let kubelets = Kubelets::default();
    let (send, receive) = mpsc::channel();
    *kubelets.reports.lock().unwrap() = Some(send);
    let store = store(&["a", "slow", "z"]);
    let poller = Poller::start(
        Duration::from_secs(15),
        LabelSelector::default(),
        store,
        Arc::new(Counters::new(Duration::from_secs(15))),
        kubelets.make_source(),
    )
    .unwrap();
    // All three are tried again and again, but only the gate lets `slow` through.
    while receive.recv().unwrap() != "z" {}
    *kubelets.gate.0.lock().unwrap() = true;
    kubelets.gate.1.notify_all();
    while receive.recv().unwrap() != "slow" {}
    poller.stop();
}

#[test]
fn a_node_that_joins_is_scraped_at_once() {
    let kubelets = Kubelets::default();
    let (send, receive) = mpsc::channel();
    *kubelets.reports.lock().unwrap() = Some(send);
    let store = store(&[]);
    let poller = Poller::start(
        Duration::from_secs(600),
        LabelSelector::default(),
        store.clone(),
        Arc::new(Counters::new(Duration::from_secs(15))),
        kubelets.make_source(),
    )
    .unwrap();
    let node = NodeRecord { name: "new", ready: true, ..NodeRecord::default() };
    store.lock().unwrap().upsert_node(&node).unwrap();
    poller.inventory_changed();
    assert_eq!(receive.recv().unwrap(), "new");
    assert!(poller.tick_age(clock::mono()).is_some());
    poller.stop();
}
