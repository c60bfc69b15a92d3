//! What a round costs grows with its nodes and no faster: comparisons and allocations are counted, and no clock is asked.
//!
//! A round is a list of all nodes and pods taken into the inventory and handed to the schedule, and then for every node a
//! request over its own kept connection, decoded and committed. Kubelets are sockets of this process, on threads of their own,
//! so that what they allocate is not counted.

use super::*;
use crate::allocator::{allocated_len, allocation_count};
use crate::counters::Counters;
use crate::host::{clock, files};
use crate::lock::lock;
use crate::net::credentials::Credentials;
use crate::net::fake::answer;
use crate::net::fetch::Fetcher;
use crate::poller::Crew;
use crate::source::address::Rules;
use crate::source::kubelet::{KubeletAccess, KubeletSource};
use crate::source::remedy::{KubeletTerms, KubeletVerification};
use crate::store::batch::Batch;
use crate::store::{Capacity, Inventory, NodeRecord, PodRecord, Store};
use crate::units::Window;
use crate::wire::selector::LabelSelector;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const BODY: &str = "node_cpu_usage_seconds_total 5\nnode_memory_working_set_bytes 7\n\
    container_cpu_usage_seconds_total{container=\"main\",namespace=\"ns\",pod=\"POD\"} 3\n\
    container_memory_working_set_bytes{container=\"main\",namespace=\"ns\",pod=\"POD\"} 9\n";

/// Every kubelet of a cluster at one address, a thread for each connection.
struct Kubelets {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Kubelets {
    fn start() -> Kubelets {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = connections.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                // Each node has a connection of its own and a pod of the same number.
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let reply = answer("200 OK", &BODY.replace("POD", &pod_name(number)));
                let small = std::thread::Builder::new().stack_size(64 * 1024);
                small.spawn(move || converse(&socket.unwrap(), &reply)).unwrap();
            }
        });
        Kubelets { address, connections }
    }
}

/// Answers each request, which ends with an empty line.
fn converse(socket: &TcpStream, reply: &[u8]) {
    let (mut lines, mut line) = (BufReader::with_capacity(1_024, socket), String::new());
    while lines.read_line(&mut line).is_ok_and(|len| len > 0) {
        if line == "\r\n" && (&*socket).write_all(reply).is_err() {
            return;
        }
        line.clear();
    }
}

fn node_name(number: usize) -> String {
    format!("node-{number:04}")
}

fn pod_name(number: usize) -> String {
    format!("pod-{number:04}")
}

fn crew(nodes: usize, address: SocketAddr) -> Crew {
    let count = u32::try_from(nodes).unwrap();
    let store = Store::new(Capacity::of(count, 2 * count, 2 * count), Window::from_secs(15));
    let preferred_types = vec!["InternalIP".to_owned()];
    let (api_server, via_apiserver) = (String::new(), false);
    let rules = Rules {
        https: false,
        port: address.port(),
        use_status_port: false,
        preferred_types,
        api_server,
        via_apiserver,
    };
    let verification = KubeletVerification::ClusterAuthority;
    let access = Arc::new(KubeletAccess {
        fetcher: Fetcher::new(Credentials::none()).unwrap(),
        proxy: Arc::new(Fetcher::new(Credentials::none()).unwrap()),
        rules,
        terms: KubeletTerms { token: false, certificate: false, verification },
        gzip: false,
        timeout: Duration::from_secs(20),
    });
    let resolution = Duration::from_millis(RESOLUTION);
    let make_source = Box::new(move |_: &Target| -> Box<dyn crate::source::Source> {
        Box::new(KubeletSource::new(access.clone()))
    });
    let counters = Arc::new(Counters::new(resolution));
    Crew::new(resolution, LabelSelector::default(), Arc::new(Mutex::new(store)), counters, make_source)
}

/// Takes a list of everything into the inventory, as the API server sends it.
fn list(crew: &Crew, nodes: usize) {
    let mut store = lock(&crew.store);
    store.begin_list(Inventory::Nodes);
    store.begin_list(Inventory::Pods);
    for number in 0..nodes {
        let (node, pod) = (node_name(number), pod_name(number));
        let labels = vec![("kubernetes.io/hostname", &*node)];
        let addresses = vec![("InternalIP", "127.0.0.1")];
        store
            .upsert_node(&NodeRecord { name: &node, labels, addresses, ready: true, ..NodeRecord::default() })
            .unwrap();
        let labels = vec![("app", &*pod)];
        let record = PodRecord { namespace: "ns", name: &pod, labels, node_name: &node };
        store.upsert_pod(&record).unwrap();
    }
    store.end_list(Inventory::Nodes);
    store.end_list(Inventory::Pods);
}

/// One round of all nodes, at a time when each of them is due. A scrape takes no time, so that none is due twice.
fn round(crew: &Crew, nodes: usize, batch: &mut Batch, now: Instant) {
    list(crew, nodes);
    drop(crew.take_inventory(lock(&crew.desk), clock::mono()));
    for _ in 0..nodes {
        let Turn::Scrape(mut job) = lock(&crew.desk).schedule.next(now) else { panic!("a node is not due") };
        let target = job.target.clone();
        let source = job.source.get_or_insert_with(|| (crew.make_source)(&target));
        let outcome = crew.attempt(source.as_mut(), batch, &target).unwrap();
        lock(&crew.desk).schedule.done(job, now, Duration::from_millis(1), outcome);
    }
    assert!(matches!(lock(&crew.desk).schedule.next(now), Turn::Sleep(_)), "a node is due twice");
}

/// Comparisons, allocations and allocated bytes of a steady round.
fn cost(nodes: usize) -> [u64; 3] {
    let kubelets = Kubelets::start();
    let (crew, mut batch) = (crew(nodes, kubelets.address), Batch::new());
    let start = clock::mono() + Duration::from_secs(60);
    let mut times = (0..3).map(|nth| start + Duration::from_secs(20 * nth));
    times.by_ref().take(2).for_each(|now| round(&crew, nodes, &mut batch, now));
    let counts = || [queue::COMPARISONS.get(), allocation_count(), allocated_len()];
    let before = counts();
    times.for_each(|now| round(&crew, nodes, &mut batch, now));
    let after = counts();
    assert_eq!(kubelets.connections.load(Ordering::SeqCst), nodes, "each node keeps its connection");
    let store = lock(&crew.store);
    let served = |number| store.pod("ns", &pod_name(number)).unwrap().usage.is_some();
    assert!((0..nodes).all(served), "every pod is served");
    std::array::from_fn(|at| after[at] - before[at])
}

#[test]
fn a_rounds_cost_grows_with_its_nodes_and_no_faster() {
    assert!(files::raise_limit(4_096) >= 2_500, "2,000 sockets and what other tests have open");
    let (hundred, thousand) = (cost(100), cost(1_000));
    for (what, (hundred, thousand)) in ["comparisons of due times", "allocations", "allocated bytes"]
        .into_iter()
        .zip(hundred.into_iter().zip(thousand))
    {
        println!("{what} of a round: {hundred} at 100 nodes, {thousand} at 1,000");
        assert!(hundred > 0, "what is counted is counted");
        assert!(thousand < 12 * hundred, "{what}: {hundred} at 100 nodes, {thousand} at 1,000");
    }
}
