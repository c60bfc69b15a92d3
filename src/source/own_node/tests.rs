use super::*;
use crate::source::machine::testing::{Machine, id};
use crate::store::snapshot::Snapshot;
use crate::store::{Capacity, Inventory, NodeRecord, PodRecord};
use crate::units::{UnixNanos, Window};
use std::collections::VecDeque;

const REFUSED: &str = "connection refused";

/// A kubelet that answers as the script says: CPU seconds of node and container, and the second they were taken at.
struct Script(VecDeque<Option<(u32, u32)>>);

impl Source for Script {
    fn read(&mut self, _: &Target, batch: &mut Batch) -> Result<Reading, SourceError> {
        let Some((cpu, at)) = self.0.pop_front().expect("a reading beyond the script") else {
            return Err(SourceError { reason: "refused", message: REFUSED.into(), hint: "start it".into() });
        };
        let at = START.0 / 1_000_000 + i64::from(at) * 1000;
        let labels = r#"{container="main",namespace="default",pod="web"}"#;
        let body = format!(
            "node_cpu_usage_seconds_total {cpu} {at}\nnode_memory_working_set_bytes 111 {at}\n\
             container_cpu_usage_seconds_total{labels} {cpu} {at}\n\
             container_memory_working_set_bytes{labels} 222 {at}\ncontainer_start_time_seconds{labels} 5\n"
        );
        batch.begin(START);
        batch.feed(body.as_bytes()).unwrap();
        Ok(Reading { dropped: batch.finish(), ..Reading::default() })
    }
}

/// The kubelet's samples are of that time.
const START: UnixNanos = UnixNanos(1_795_510_116_000_000_000);

fn store() -> Arc<Mutex<Store>> {
    let capacity = Capacity { nodes: 4, pods: 16, containers: 32, text_len: 16 * 1024 };
    Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15))))
}

fn list(store: &Mutex<Store>, nodes: &[(&str, &str)]) {
    let mut store = lock(store);
    store.begin_list(Inventory::Nodes);
    for (name, address) in nodes {
        let record = NodeRecord {
            name,
            addresses: vec![("InternalIP", address)],
            ready: true,
            ..NodeRecord::default()
        };
        store.upsert_node(&record).unwrap();
    }
    store.end_list(Inventory::Nodes);
    store.begin_list(Inventory::Pods);
    store.upsert_pod(&PodRecord { namespace: "default", name: "web", ..PodRecord::default() }).unwrap();
    store.end_list(Inventory::Pods);
}

fn own(machine: &Machine, store: &Arc<Mutex<Store>>) -> Arc<OwnNode> {
    log::set_max_level(log::LevelFilter::Info);
    Arc::new(OwnNode {
        roots: machine.roots(),
        pause: Duration::from_millis(20),
        is_local: |address| address == IpAddr::from([10, 0, 0, 1]),
        ..OwnNode::new(store.clone())
    })
}

/// A machine with one container of that pod, which has used 3 s.
fn machine(test: &str) -> Machine {
    let machine = Machine::new(test, true);
    machine.cgroup(&format!("kubepods/podx/{}", id(1)), 3_000_000, 20_480, Some(10));
    machine.process(10, 400);
    machine.link("web", "main", &id(1));
    machine
}

/// One scrape as the poller does it: why the kubelet's reading was replaced, or the node's failure.
fn scrape(source: &mut KubeletOrOwn, store: &Mutex<Store>) -> Result<Option<&'static str>, String> {
    let target = lock(store).targets().remove(0);
    let mut batch = Batch::new();
    let reading = source.read(&target, &mut batch).map_err(|error| error.message)?;
    source.commit(&mut lock(store), &target.name, &batch, clock::uptime());
    Ok(reading.instead_of.map(|error| error.reason))
}

/// CPU of node and container in nanocores, and the memory of both, which tells the sources apart.
fn usage(store: &Mutex<Store>) -> Option<(u64, u64, u64, u64)> {
    let store = lock(store);
    let node = store.node("edge-1")?.usage?;
    let pod = store.pod("default", "web")?.usage?;
    let (_, container) = pod.containers().next()?;
    Some((node.cpu.0, container.cpu.0, node.working_set.0, container.working_set.0))
}

const CORE: u64 = 1_000_000_000;
const OF_KUBELET: Option<(u64, u64, u64, u64)> = Some((CORE, CORE, 111, 222));
/// Nothing used CPU between two readings of a made-up machine.
const OF_MACHINE: Option<(u64, u64, u64, u64)> = Some((0, 0, 4_096_000, 16_384));

#[test]
fn cgroups_stand_in_for_the_kubelet_and_no_rate_has_a_point_of_each() {
    let (machine, store) = (machine("stand-in"), store());
    list(&store, &[("edge-1", "10.0.0.1")]);
    // Steps of one core; 40 s pass while it is down. The sixth answer repeats the fifth's samples.
    let script =
        [Some((100, 0)), Some((110, 10)), None, None, Some((150, 50)), Some((150, 50)), Some((160, 60))];
    let mut source = KubeletOrOwn::new(Box::new(Script(script.into())), own(&machine, &store));
    assert_eq!(scrape(&mut source, &store), Ok(None));
    assert_eq!(usage(&store), None);
    assert_eq!(scrape(&mut source, &store), Ok(None));
    assert_eq!(usage(&store), OF_KUBELET);
    for _ in 0..2 {
        assert_eq!(scrape(&mut source, &store), Ok(Some("refused")));
        assert_eq!(usage(&store), OF_MACHINE);
    }
    // It answers again: served as soon as two of its samples make a rate, and never in between.
    for _ in 0..2 {
        assert_eq!(scrape(&mut source, &store), Ok(None));
        assert_eq!(usage(&store), OF_MACHINE);
    }
    assert_eq!(scrape(&mut source, &store), Ok(None));
    assert_eq!(usage(&store), OF_KUBELET);
}

#[test]
fn the_store_begins_again_when_the_source_changes() {
    let (machine, store) = (machine("sources"), store());
    list(&store, &[("edge-1", "10.0.0.1")]);
    let target = lock(&store).targets().remove(0);
    let mut kubelet = Script([Some((100, 0)), Some((110, 10)), Some((120, 20))].into());
    let mut own = HostSource::open(machine.roots()).unwrap();
    let mut batch = Batch::new();
    let mut served = Vec::new();
    for from_kubelet in [true, true, false, false, true] {
        if from_kubelet {
            kubelet.read(&target, &mut batch).unwrap();
        } else {
            own.read_containers(&target, &mut batch).unwrap();
        }
        lock(&store).commit("edge-1", &batch, clock::uptime());
        served.push(usage(&store));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(served, [None, OF_KUBELET, None, OF_MACHINE, None]);
}

#[test]
fn a_restart_while_cgroups_stand_in_mixes_no_sources_either() {
    let machine = machine("restart");
    let mut own = HostSource::open(machine.roots()).unwrap();
    let restarted = |own: &mut HostSource| {
        let (before, after) = (store(), store());
        list(&before, &[("edge-1", "10.0.0.1")]);
        list(&after, &[("edge-1", "10.0.0.1")]);
        let (mut batch, now) = (Batch::new(), clock::uptime());
        own.read_containers(&lock(&before).targets().remove(0), &mut batch).unwrap();
        lock(&before).commit("edge-1", &batch, now);
        let mut file = Snapshot::begin("boot", now);
        lock(&before).write_points(None, &mut file).unwrap();
        Snapshot::seal(&mut file);
        lock(&after).restore(Snapshot::read(file, "boot", now).unwrap());
        after
    };
    let mut batch = Batch::new();
    let after = restarted(&mut own);
    std::thread::sleep(Duration::from_millis(5));
    own.read_containers(&lock(&after).targets().remove(0), &mut batch).unwrap();
    lock(&after).commit("edge-1", &batch, clock::uptime());
    assert_eq!(usage(&after), OF_MACHINE, "what was read before the restart is of use");
    let after = restarted(&mut own);
    let mut kubelet = Script([Some((100, 0))].into());
    kubelet.read(&lock(&after).targets().remove(0), &mut batch).unwrap();
    lock(&after).commit("edge-1", &batch, clock::uptime());
    assert_eq!(usage(&after), None, "but not for the other source");
}

#[test]
fn a_node_elsewhere_keeps_its_kubelets_error() {
    let (machine, store) = (machine("elsewhere"), store());
    list(&store, &[("edge-1", "10.0.0.2")]);
    let mut source = KubeletOrOwn::new(Box::new(Script([None].into())), own(&machine, &store));
    assert_eq!(scrape(&mut source, &store), Err(REFUSED.into()), "its name is ours, its address is not");
}

#[test]
fn without_log_links_nothing_stands_in_and_that_is_logged_once() {
    let (machine, store) = (Machine::new("no-links", true), store());
    std::fs::remove_dir_all(machine.roots().containers).unwrap();
    list(&store, &[("edge-1", "10.0.0.1")]);
    let own = own(&machine, &store);
    let mut source = KubeletOrOwn::new(Box::new(Script([None, None].into())), own.clone());
    assert_eq!(scrape(&mut source, &store), Err(REFUSED.into()));
    assert!(own.log.forget(("own cgroups", "edge-1")), "the reason was logged");
}

#[test]
fn the_node_here_is_found_by_address_then_by_name() {
    let (machine, store) = (machine("here"), store());
    let own = own(&machine, &store);
    let is_here = |nodes: &[(&str, &str)]| -> Vec<String> {
        list(&store, nodes);
        let targets = lock(&store).targets();
        targets.into_iter().filter(|target| own.is_here(target)).map(|target| target.name).collect()
    };
    assert_eq!(is_here(&[("cp", "10.0.0.2"), ("w", "10.0.0.1")]), ["w"]);
    assert_eq!(is_here(&[("edge-1", "10.0.0.2"), ("w", "10.0.0.3")]), [""; 0], "the name alone is no proof");
    assert_eq!(is_here(&[("edge-1", "10.0.0.1"), ("w", "10.0.0.1")]), ["edge-1"], "one address, two nodes");
    assert_eq!(is_here(&[("v", "10.0.0.1"), ("w", "10.0.0.1")]), [""; 0]);
    assert_eq!(is_here(&[("edge-1", "no address"), ("w", "10.0.0.3")]), ["edge-1"]);
}

#[test]
fn addresses_of_others_are_not_local_and_loopback_proves_nothing() {
    for address in ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "192.0.2.1", "2001:db8::1"] {
        assert!(!is_local(address.parse().unwrap()), "{address}");
    }
    // What the kernel sends from is one of ours, if this machine has any network.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_ok() {
        assert!(is_local(socket.local_addr().unwrap().ip()));
    }
}

#[test]
fn a_kubelet_that_hangs_is_tried_for_a_tenth_of_the_time() {
    let now = clock::mono();
    let started = now.checked_sub(Duration::from_secs(10)).unwrap();
    assert!(next_try(started) >= now + Duration::from_secs(100));
}

#[test]
fn before_the_first_list_this_node_is_assumed_and_the_list_replaces_it() {
    let (machine, store) = (machine("assumed"), store());
    let own = own(&machine, &store);
    assert!(own.assume_inventory());
    let target = lock(&store).targets().remove(0);
    assert_eq!((target.name.as_str(), lock(&store).readiness().nodes_synced), ("edge-1", false));
    assert!(own.is_here(&target));
    let mut source = KubeletOrOwn::new(Box::new(Script([None].into())), own.clone());
    assert_eq!(scrape(&mut source, &store), Ok(Some("refused")));
    assert_eq!(usage(&store), OF_MACHINE);
    // A pod that ended is not assumed any longer.
    std::fs::remove_dir_all(machine.roots().cgroup.join("kubepods")).unwrap();
    for _ in 0..4 {
        assert!(own.assume_inventory());
    }
    assert!(lock(&store).pod("default", "web").is_none());
    list(&store, &[("other", "10.0.0.9")]);
    assert!(!own.assume_inventory());
    let names: Vec<String> = lock(&store).targets().into_iter().map(|target| target.name).collect();
    assert_eq!(names, ["other"]);
}

#[test]
fn without_log_links_nothing_is_assumed() {
    let (machine, store) = (Machine::new("not-assumed", true), store());
    std::fs::remove_dir_all(machine.roots().containers).unwrap();
    assert!(!own(&machine, &store).assume_inventory());
    assert_eq!(lock(&store).targets(), []);
}
