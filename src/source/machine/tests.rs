use super::*;
use crate::store::Store;
use std::sync::Mutex;

mod layouts;

fn golden(version: &str) -> MachineRoots {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/host").join(version);
    MachineRoots { proc: root.join("proc"), cgroup: root.join("cgroup"), containers: root.join("containers") }
}

fn open(roots: MachineRoots) -> HostSource {
    log::set_max_level(log::LevelFilter::Info);
    let mut source = HostSource::open(roots).unwrap();
    source.refresh();
    source
}

const AT: UnixNanos = UnixNanos(1_795_510_116_466_999_999);

fn node_text(source: &mut HostSource) -> String {
    source.lines.clear();
    source.node(AT).unwrap();
    String::from_utf8(source.lines.clone()).unwrap()
}

fn container_text(source: &mut HostSource, index: usize) -> Vec<String> {
    source.lines.clear();
    source.container(index, AT);
    String::from_utf8(source.lines.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_node_under_v2_has_microseconds_of_the_root_cgroup() {
    let mut source = open(golden("v2"));
    assert_eq!(source.name(), "edge-1");
    assert_eq!(
        node_text(&mut source),
        "node_cpu_usage_seconds_total 3046.415513000 1795510116466\n\
         node_memory_working_set_bytes 4096000000 1795510116466\n\
         node_swap_usage_bytes 1048576 1795510116466\n"
    );
}

#[test]
fn the_node_under_v1_has_nanoseconds_of_the_root_cgroup() {
    let text = node_text(&mut open(golden("v1")));
    assert!(text.starts_with("node_cpu_usage_seconds_total 3046.415513935 "), "{text}");
}

#[test]
fn a_mount_that_is_not_the_machines_root_cgroup_is_not_believed() {
    let roots = golden("v2");
    let container = "kubepods.slice/kubepods-besteffort.slice/\
        kubepods-besteffort-pod9f801d67_833b_426d_bf52_9eb6aa0cadd9.slice/\
        crio-19d023bfed103e3c7e97b44630c741cf05ffff863fe8cacb35e27da6ae87502b.scope";
    let cgroup = roots.cgroup.join(container);
    let mut source = open(MachineRoots { cgroup, ..roots });
    // user + nice + system + irq + softirq + steal of /proc/stat, without guest time.
    assert!(node_text(&mut source).starts_with("node_cpu_usage_seconds_total 3028.960000000 "));
}

#[test]
fn containers_of_v2_come_from_the_one_tree() {
    let mut source = open(golden("v2"));
    let running =
        source.containers.running().iter().map(|c| (c.link.pod.as_str(), c.link.container.as_str()));
    let names: Vec<_> = running.collect();
    assert_eq!(names, [("web-5fddb4c866-h5blb", "main"), ("web-5fddb4c866-h5blb", "side"), ("idle", "idle")]);
    let labels = r#"{container="main",namespace="default",pod="web-5fddb4c866-h5blb"}"#;
    assert_eq!(
        container_text(&mut source, 0),
        [
            format!("container_cpu_usage_seconds_total{labels} 81.487691000 1795510116466"),
            format!("container_memory_working_set_bytes{labels} 409600 1795510116466"),
            format!("container_swap_usage_bytes{labels} 4096 1795510116466"),
        ]
    );
}

#[test]
fn a_container_without_swap_accounting_says_nothing_of_swap() {
    let lines = container_text(&mut open(golden("v2")), 1);
    assert_eq!(lines.len(), 2);
    // More inactive file pages than memory in use: the working set is nothing, not a huge number.
    assert!(lines[1].ends_with(" 0 1795510116466"), "{}", lines[1]);
}

#[test]
fn containers_of_v1_come_from_two_trees() {
    let mut source = open(golden("v1"));
    assert_eq!(source.containers.running().len(), 3);
    let lines = container_text(&mut source, 0);
    assert!(lines[0].ends_with(" 81.487691357 1795510116466"), "{}", lines[0]);
    assert!(lines[1].ends_with(" 409600 1795510116466"), "{}", lines[1]);
    assert!(lines[2].ends_with(" 4096 1795510116466"), "{}", lines[3]);
}

#[test]
fn an_ended_container_is_passed_over_and_nothing_changes_without_a_reason() {
    let mut source = HostSource::open(golden("v1")).unwrap();
    assert!(source.refresh(), "the first listing is a change");
    for _ in 0..6 {
        assert!(!source.refresh());
    }
    source.containers.note_gone();
    assert!(!source.refresh(), "all are there still");
}

#[test]
fn a_machine_without_kubelet_or_cgroups_is_a_node_without_pods() {
    let nowhere = PathBuf::from("/nonexistent");
    let roots = MachineRoots { cgroup: nowhere.clone(), containers: nowhere, ..golden("v1") };
    let mut source = HostSource::open(roots).unwrap();
    assert!(source.refresh());
    assert!(!source.refresh());
    assert_eq!(source.containers.running(), []);
    assert!(node_text(&mut source).starts_with("node_cpu_usage_seconds_total 3028.960000000 "));
}

#[test]
fn without_proc_the_error_says_which_file() {
    let roots = MachineRoots { proc: PathBuf::from("/nonexistent"), ..golden("v1") };
    let error = HostSource::open(roots).err().unwrap();
    assert!(
        error.message.starts_with("/nonexistent/sys/kernel/hostname cannot be read: "),
        "{}",
        error.message
    );
    assert_eq!(error.reason, "io");
}

#[test]
fn a_container_that_ends_between_two_readings_leaves_the_list() {
    let root = std::env::temp_dir().join(format!("toplet-host-{}", std::process::id()));
    let id = "ab".repeat(32);
    let cgroup = root.join("cgroup/kubepods").join(&id);
    std::fs::create_dir_all(&cgroup).unwrap();
    std::fs::create_dir_all(root.join("containers")).unwrap();
    std::fs::write(root.join("cgroup/cgroup.controllers"), "").unwrap();
    std::fs::write(root.join("containers").join(format!("p_n_c-{id}.log")), "").unwrap();
    let roots =
        MachineRoots { cgroup: root.join("cgroup"), containers: root.join("containers"), ..golden("v2") };
    let mut source = open(roots);
    assert_eq!(source.containers.running().len(), 1);
    std::fs::remove_dir(&cgroup).unwrap();
    source.container(0, AT);
    assert!(source.lines.is_empty());
    assert!(source.refresh());
    assert_eq!(source.containers.running(), []);
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn busy_time_leaves_out_idle_and_guest() {
    assert_eq!(busy_nanos("cpu  1 2 4 1000 1000 8 16 32 64 128\n"), Some(63 * 10_000_000));
    assert_eq!(busy_nanos("cpu  1 2 4 1000\n"), Some(7 * 10_000_000));
    assert_eq!(busy_nanos("cpu0 1 2 4 1000\n"), None);
    assert_eq!(busy_nanos("cpu  1 x\n"), None);
    assert_eq!(busy_nanos(""), None);
}

#[test]
fn this_machine_can_be_read() {
    let mut source = open(MachineRoots::default());
    let text = node_text(&mut source);
    let seconds: f64 = text.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(seconds > 0.0, "{text}");
}

#[test]
fn two_readings_through_store_and_batch_are_usage_of_node_and_pods() {
    use crate::store::Capacity;
    use crate::units::Window;
    // Files that change under the source: a copy of the golden tree.
    let root = std::env::temp_dir().join(format!("toplet-host-rates-{}", std::process::id()));
    copy(&golden("v1").proc, &root.join("proc"));
    copy(&golden("v1").cgroup, &root.join("cgroup"));
    copy(&golden("v1").containers, &root.join("containers"));
    let roots = |name: &str| root.join(name);
    let mut source = HostSource::open(MachineRoots {
        proc: roots("proc"),
        cgroup: roots("cgroup"),
        containers: roots("containers"),
    })
    .unwrap();
    let capacity = Capacity { nodes: 4, pods: 16, containers: 32, text_len: 16 * 1024 };
    let store = Mutex::new(Store::new(capacity, Window::from_secs(15)));
    source.refresh_inventory(&store);
    let target = store.lock().unwrap().targets().remove(0);
    assert_eq!(target.name, "edge-1");
    let allocatable = store.lock().unwrap().node("edge-1").unwrap().allocatable;
    assert_eq!((allocatable.cpu.0, allocatable.memory.0 >> 10), (2_000_000_000, 8_000_000));

    let mut batch = Batch::new();
    let first = source.read(&target, &mut batch).unwrap();
    assert_eq!(first.dropped, crate::store::batch::Dropped::default());
    let commit = store.lock().unwrap().commit("edge-1", &batch, clock::uptime());
    assert_eq!((commit.node, commit.pods, commit.containers), (true, 2, 3));

    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::write(root.join("cgroup/cpuacct/cpuacct.usage"), "3046515513935\n").unwrap();
    source.refresh_inventory(&store);
    source.read(&target, &mut batch).unwrap();
    let mut store = store.lock().unwrap();
    store.commit("edge-1", &batch, clock::uptime());
    let node = store.node("edge-1").unwrap();
    assert_eq!(node.labels.value("kubernetes.io/os"), Some("linux"));
    let usage = node.usage.unwrap();
    assert_eq!(usage.working_set.0, 4_096_000_000);
    assert_eq!(usage.swap.map(|swap| swap.0), Some(1_048_576));
    // 0.1 core-seconds in the window, whatever its length.
    #[allow(clippy::cast_precision_loss)]
    let core_seconds = usage.cpu.0 as f64 / 1e9 * usage.window.as_secs_f64();
    assert!((core_seconds - 0.1).abs() < 1e-6, "{core_seconds}");
    assert!(store.pod("default", "web-5fddb4c866-h5blb").is_some());
    assert!(store.pod("kube-public", "idle").is_some());
    std::fs::remove_dir_all(&root).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
