use super::*;
use crate::cluster::kubeconfig::Access;
use crate::net::credentials::Credentials;
use crate::net::fake::{Fake, Reply, answer};
use crate::store::{Capacity, PodRecord};
use crate::units::Window;
use crate::wire::kube_objects::StatusObject;
use std::sync::mpsc;

const NODES: &[u8] = include_bytes!("../../../tests/golden/kube-api/nodes-list.pb");
const PODS: &[u8] = include_bytes!("../../../tests/golden/kube-api/pods-list.pb");
const EVENTS: &[u8] = include_bytes!("../../../tests/golden/kube-api/pods-watch.pb");

fn document(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes
}

/// A watch's answer: one chunk, and its end unless it stays open.
fn stream(body: &[u8], ends: bool) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    if !body.is_empty() {
        bytes.extend(format!("{:x}\r\n", body.len()).bytes().chain(body.iter().copied()).chain(*b"\r\n"));
    }
    if ends {
        bytes.extend(b"0\r\n\r\n");
    }
    bytes
}

/// A watch that says nothing and does not end.
fn quiet() -> Reply {
    Reply::Endless(stream(b"", false), vec![])
}

fn is_watch(head: &str) -> bool {
    head.contains("watch=true")
}

struct Run {
    fake: Fake,
    store: Arc<Mutex<Store>>,
    api: Arc<ApiServer>,
    stop: Arc<Stop>,
    changes: mpsc::Receiver<()>,
    reachable: mpsc::Receiver<()>,
    thread: std::thread::JoinHandle<()>,
}

fn run(kind: Inventory, script: impl FnMut(usize, &str) -> Reply + Send + 'static) -> Run {
    let fake = Fake::start(script);
    let access = Access { server: fake.url("http", ""), credentials: Credentials::none() };
    let api = Arc::new(ApiServer::new(access).unwrap());
    let capacity = Capacity { nodes: 8, pods: 64, containers: 64, text_len: 65_536 };
    let store = Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15))));
    let stop = Arc::new(Stop::default());
    let (send, changes) = mpsc::channel();
    let (tell, reachable) = mpsc::channel();
    let listeners = WatchListeners {
        changed: Box::new(move || {
            let _ = send.send(());
        }),
        reachable: Box::new(move || {
            let _ = tell.send(());
        }),
        list_failed: Box::new(|| {}),
        unauthorized: Box::new(|| {}),
    };
    let thread = start(kind, api.clone(), store.clone(), listeners, stop.clone()).unwrap();
    Run { fake, store, api, stop, changes, reachable, thread }
}

impl Run {
    /// Waits until so many requests were seen.
    fn requests(&self, count: usize) -> Vec<String> {
        loop {
            let heads = self.fake.heads();
            if heads.len() >= count {
                return heads.into_iter().map(|h| h.lines().next().unwrap_or_default().to_owned()).collect();
            }
            std::thread::yield_now();
        }
    }

    fn end(self) {
        self.stop.stop();
        self.api.stop();
        self.thread.join().unwrap();
    }
}

#[test]
fn nodes_are_listed_and_the_watch_begins_at_the_lists_version() {
    let run =
        run(Inventory::Nodes, |_, head| if is_watch(head) { quiet() } else { Reply::Keep(document(NODES)) });
    run.changes.recv().unwrap();
    assert!(run.store.lock().unwrap().readiness().nodes_synced);
    let targets = run.store.lock().unwrap().targets();
    assert_eq!(targets.len(), 1);
    assert!(targets[0].ready && targets[0].kubelet_port == 10250, "{targets:?}");
    let heads = run.requests(2);
    assert_eq!(heads[0], "GET /api/v1/nodes?limit=500&resourceVersion=0 HTTP/1.1");
    assert!(
        heads[1].starts_with("GET /api/v1/nodes?allowWatchBookmarks=true&timeoutSeconds="),
        "{}",
        heads[1]
    );
    let version = heads[1].split("resourceVersion=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(version.parse::<u64>().unwrap() > 0);
    run.end();
}

#[test]
fn events_change_the_inventory_and_the_next_watch_resumes_at_the_bookmark() {
    let run = run(Inventory::Pods, |n, head| match n {
        0 => Reply::Keep(document(PODS)),
        1 => Reply::Keep(stream(EVENTS, true)),
        _ => {
            assert!(is_watch(head), "{head}");
            quiet()
        }
    });
    let heads = run.requests(3);
    let prefix = "GET /api/v1/pods?fieldSelector=status.phase%3DRunning&";
    assert_eq!(heads[0], format!("{prefix}limit=500&resourceVersion=0 HTTP/1.1"));
    assert!(heads.iter().all(|h| h.starts_with(prefix)), "{heads:?}");
    let version = |h: &str| h.split("resourceVersion=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_ne!(version(&heads[1]), version(&heads[2]));
    // Whole pods: metadata alone lacks the node.
    let accepts = |n: usize, what: &str| {
        let wanted = format!("accept: application/vnd.kubernetes.protobuf{what}\r\n");
        run.fake.heads()[n].to_lowercase().contains(&wanted)
    };
    assert!(accepts(0, "") && accepts(1, ";stream=watch"));
    let store = run.store.lock().unwrap();
    assert!(store.readiness().pods_synced);
    // The pod of the events was added, changed and deleted again.
    assert!(store.pod("default", "short").is_none());
    assert!(store.occupancy().pods > 3);
    drop(store);
    run.end();
}

#[test]
fn pages_are_followed_before_anything_is_removed() {
    // The envelope's list with a continue token in its metadata, by hand: k8s\0, {1 typeMeta{2 kind}, 2 {1 {2, 3}}}.
    let page = |token: &str| {
        let meta = [&[0x12, 2][..], b"42", &[0x1a, token.len() as u8], token.as_bytes()].concat();
        let list = [&[0x0a, meta.len() as u8][..], &meta].concat();
        let kind = [&[0x12, 8][..], b"NodeList"].concat();
        [&b"k8s\0"[..], &[0x0a, kind.len() as u8], &kind, &[0x12, list.len() as u8], &list].concat()
    };
    let (first, last) = (page("a/b="), page(""));
    let run = run(Inventory::Nodes, move |n, _| match n {
        0 => Reply::Keep(document(&first)),
        1 => Reply::Keep(document(&last)),
        _ => quiet(),
    });
    let heads = run.requests(3);
    assert_eq!(heads[1], "GET /api/v1/nodes?limit=500&continue=a%2Fb%3D HTTP/1.1");
    assert!(heads[2].ends_with("resourceVersion=42 HTTP/1.1"), "{}", heads[2]);
    run.end();
}

#[test]
fn a_refusal_is_told_with_the_api_servers_words() {
    let status = [&b"k8s\0\x0a\x08\x12\x06Status\x12\x00"[..]].concat();
    let refused = |body: &[u8]| {
        let mut bytes =
            format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        bytes
    };
    // Status{3 message}.
    let said = b"pods is forbidden";
    let raw = [&[0x1a, said.len() as u8][..], said].concat();
    let body = [&status[..status.len() - 2], &[0x12, raw.len() as u8], &raw].concat();
    let fake = Fake::start(move |_, _| Reply::Keep(refused(&body)));
    let access = Access { server: fake.url("http", ""), credentials: Credentials::none() };
    let answer = ApiServer::new(access).unwrap().get("/", "", Some(Duration::from_secs(5))).unwrap();
    let error = accepted(answer).err().unwrap();
    assert_eq!(error.message, "request failed, status: \"403 Forbidden\": pods is forbidden");
}

#[test]
fn k44_an_api_server_that_is_unreachable_at_the_start_is_waited_for() {
    let run = run(Inventory::Nodes, |n, head| match n {
        0 => Reply::Close(answer("503 Service Unavailable", "")),
        _ if is_watch(head) => quiet(),
        _ => Reply::Keep(document(NODES)),
    });
    run.changes.recv().unwrap();
    assert!(run.store.lock().unwrap().readiness().nodes_synced);
    run.reachable.recv().unwrap();
    run.end();
}

/// The frame of a BOOKMARK event of a pod at a version below a thousand.
fn bookmark(version: &str) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
    let meta = field(0x0a, &field(0x32, version.as_bytes()));
    let kind = [field(0x0a, b"meta.k8s.io/v1"), field(0x12, b"PartialObjectMetadata")].concat();
    let object = [&b"k8s\0"[..], &field(0x0a, &kind), &field(0x12, &meta)].concat();
    let event = [field(0x0a, b"BOOKMARK"), field(0x12, &field(0x0a, &object))].concat();
    [&u32::try_from(event.len()).unwrap().to_be_bytes()[..], &event].concat()
}

#[test]
fn a_restored_api_server_whose_versions_went_back_is_listed_again() {
    let run = run(Inventory::Pods, |n, _| match n {
        0 | 2 => Reply::Keep(document(PODS)),
        // The list's version is in the hundreds or more.
        1 => Reply::Endless(stream(&bookmark("7"), false), vec![]),
        _ => quiet(),
    });
    let heads = run.requests(4);
    assert!(is_watch(&heads[1]) && !is_watch(&heads[2]) && is_watch(&heads[3]), "{heads:?}");
    assert!(heads[2].ends_with("&resourceVersion=7 HTTP/1.1"), "{}", heads[2]);
    run.end();
}

#[test]
fn only_credentials_that_stay_refused_are_reported() {
    let reports = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = reports.clone();
    let access = Access { server: "http://127.0.0.1:1".to_owned(), credentials: Credentials::none() };
    let capacity = Capacity { nodes: 8, pods: 64, containers: 64, text_len: 65_536 };
    let listeners = WatchListeners {
        changed: Box::new(|| {}),
        reachable: Box::new(|| {}),
        list_failed: Box::new(|| {}),
        unauthorized: Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }),
    };
    let store = Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15))));
    let api = Arc::new(ApiServer::new(access).unwrap());
    let mut watcher = Watcher::new(Inventory::Nodes, api, store, listeners, Arc::new(Stop::default()));
    let begin = clock::mono();
    let at = |watcher: &mut Watcher, secs, refused| {
        watcher.note_unauthorized(refused, begin + Duration::from_secs(secs));
        reports.load(Ordering::Relaxed)
    };
    assert_eq!([(0, true), (59, true), (60, false)].map(|(s, r)| at(&mut watcher, s, r)), [0, 0, 0]);
    assert_eq!(at(&mut watcher, 61, true), 1);
    watcher.reachable();
    assert_eq!([(62, true), (121, true), (122, true)].map(|(s, r)| at(&mut watcher, s, r)), [1, 1, 2]);
}

#[test]
fn garbage_for_a_list_or_a_watch_ends_nothing() {
    let run = run(Inventory::Nodes, |n, _| match n {
        0 => Reply::Keep(document(b"<html>hello</html>")),
        1 => Reply::Keep(document(NODES)),
        2 => Reply::Keep(stream(b"\x00\x00\x00\x03abc", true)),
        _ => quiet(),
    });
    let heads = run.requests(4);
    assert!(!is_watch(&heads[0]) && !is_watch(&heads[1]) && is_watch(&heads[2]) && is_watch(&heads[3]));
    run.end();
}

#[test]
fn the_versions_of_a_list_decide_its_paging() {
    let path = "/api/v1/nodes?";
    assert_eq!(list_path(path, "", ""), "/api/v1/nodes?limit=500");
    assert_eq!(list_path(path, "0", ""), "/api/v1/nodes?limit=500&resourceVersion=0");
    assert_eq!(list_path(path, "7", ""), "/api/v1/nodes?resourceVersion=7");
    assert_eq!(list_path(path, "7", "t"), "/api/v1/nodes?limit=500&continue=t");
}

#[test]
fn error_events_are_sorted_as_the_refusals_they_are() {
    let event = |code, reason| {
        stream_error(&StatusObject { code, reason, retry_after_secs: 3, ..StatusObject::default() })
    };
    assert_eq!(event(410, "Expired").reason, Reason::Gone);
    assert_eq!(event(0, "Expired").reason, Reason::Gone);
    assert_eq!(event(500, "InternalError").reason, Reason::Status);
    assert_eq!(event(429, "").reason, Reason::Busy);
    assert_eq!(event(429, "").retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn a_watch_ends_for_a_list_when_room_came_back_for_what_was_refused() {
    let fake = Fake::start(|_, _| Reply::Endless(stream(EVENTS, false), vec![]));
    let access = Access { server: fake.url("http", ""), credentials: Credentials::none() };
    let api = Arc::new(ApiServer::new(access).unwrap());
    let capacity = Capacity { nodes: 8, pods: 1, containers: 8, text_len: 65_536 };
    let store = Arc::new(Mutex::new(Store::new(capacity, Window::from_secs(15))));
    let nobody = || -> Callback { Box::new(|| {}) };
    let listeners = WatchListeners {
        changed: nobody(),
        reachable: nobody(),
        list_failed: nobody(),
        unauthorized: nobody(),
    };
    let stop = Arc::new(Stop::default());
    let mut watcher = Watcher::new(Inventory::Pods, api.clone(), store.clone(), listeners, stop);
    let pod = |name| Object::Pod(PodRecord { namespace: "default", name, ..PodRecord::default() });
    for name in ["a", "b"] {
        watcher.refusals.upsert(&mut lock(&store), &pod(name));
    }
    assert_eq!(watcher.refusals.count, 1);
    let later = watcher.listed_at + limits::ROOM_LIST_INTERVAL;
    assert!(!watcher.room_came_back(later), "the table is full");
    lock(&store).remove_pod("default", "a");
    assert!(watcher.room_came_back(later));
    assert!(!watcher.room_came_back(later - Duration::from_millis(1)), "lists have a pause between them");
    // With the pause over, the next piece of the watch ends it, and a list follows at once.
    watcher.listed_at = clock::mono().checked_sub(limits::ROOM_LIST_INTERVAL).unwrap();
    let mut state = WatchState::new();
    let answer = api.get("/api/v1/pods?watch=true", "", None).unwrap();
    let end = watcher.follow(answer, &mut state, &mut [0; 4096], &mut false).unwrap();
    let WatchEnd::Failed(error) = &end else { panic!("{end:?}") };
    assert!(error.reason == Reason::Gone && error.message.contains("room came back"), "{error}");
    let silence = Duration::ZERO;
    let event = Event::WatchEnded { cause: end, events: false, lasted: silence, silence };
    let action = state.next(&event, 0.0);
    assert!(action.after.is_zero() && matches!(action.step, WatchStep::List { .. }), "{action:?}");
}
