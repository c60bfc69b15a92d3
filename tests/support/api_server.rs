//! A fake API server: an inventory one can change, watches that follow, reviews that are counted, the ConfigMap.
//!
//! Lists and watches are protobuf, the rest JSON, as real ones answer the program. Watches live on the threads of
//! tiny_http's requests; what happened is kept in `World::seen` for assertions.

use super::front::Front;
use super::objects::Objects;
use super::protobuf::{self, Node, Pod};
use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What the API server knows, and what was asked of it.
#[derive(Default)]
pub struct World {
    nodes: Vec<Node>,
    pods: Vec<Pod>,
    version: u64,
    log: VecDeque<(u64, Change)>,
    /// Watches from before this version are told 410.
    oldest: u64,
    /// Data of the ConfigMap `extension-apiserver-authentication`; a change is seen by its watchers.
    configmap: Vec<(String, String)>,
    /// Tokens that somebody has: token, user, groups.
    pub tokens: Vec<(String, String, Vec<String>)>,
    /// Tokens whose review fails.
    pub failing_tokens: Vec<String>,
    /// Users who may do anything here; everybody else may do nothing.
    pub allowed: Vec<String>,
    /// The bearer token the API server wants from us; empty: any.
    pub credential: String,
    /// Seconds by which its clock is ahead.
    pub clock_ahead: i64,
    /// Rights that our own user lacks: `verb resource`.
    pub denied: Vec<String>,
    /// Further documents: path, status and JSON.
    pub documents: Vec<(String, u16, String)>,
    /// Objects that can be applied and deleted; `None`: that API is not served.
    pub objects: Option<Objects>,
    /// What the node proxy gives: a node's name, and the containers of its kubelet.
    pub proxied: Vec<(String, Vec<super::kubelet::Container>)>,
    /// Answers every list and watch with this status instead.
    pub failure: Option<u16>,
    /// `Retry-After` of such an answer, in seconds.
    pub retry_after: Option<u64>,
    /// Lists have the first half of their body.
    pub halves_lists: bool,
    /// Method and target of every request, in order.
    pub seen: Vec<String>,
    /// Bodies of the reviews, in order.
    pub reviews: Vec<String>,
    /// How long a review takes.
    pub review_delay: Duration,
    /// How long the ConfigMap takes.
    pub configmap_delay: Duration,
    /// Watches that began before this count moved end: with an ERROR event of the code, or as at their timeout.
    endings: (u64, Option<u64>),
    stopped: bool,
}

#[derive(Clone)]
enum Change {
    Node(&'static str, Vec<u8>),
    Pod(&'static str, Vec<u8>),
    ConfigMap,
}

/// The running fake.
pub struct ApiServer {
    shared: Arc<(Mutex<World>, Condvar)>,
    /// Its sockets: cut them to restart it.
    pub front: Front,
    /// PEM of the authority to believe, when it speaks TLS.
    ca_pem: Option<String>,
}

impl ApiServer {
    /// Plain HTTP.
    pub fn start() -> ApiServer {
        ApiServer::with(None, None)
    }

    /// With TLS, under a certificate of `authority`.
    pub fn start_tls(authority: &super::certs::Authority) -> ApiServer {
        ApiServer::with(Some(super::certs::server_config(&authority.server())), Some(authority.pem.clone()))
    }

    /// With TLS, under this certificate of `authority`.
    pub fn start_with(authority: &super::certs::Authority, leaf: &super::certs::Leaf) -> ApiServer {
        ApiServer::with(Some(super::certs::server_config(leaf)), Some(authority.pem.clone()))
    }

    fn with(tls: Option<rustls::ServerConfig>, ca_pem: Option<String>) -> ApiServer {
        let shared: Arc<(Mutex<World>, Condvar)> = Arc::default();
        shared.0.lock().unwrap().version = 100;
        let world = shared.clone();
        let front = Front::new(Arc::new(move |request| handle(&world, request)), tls);
        ApiServer { shared, front, ca_pem }
    }

    /// The world, locked; watchers wait until it is let go.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut World, u64) -> Change) {
        let mut world = self.world();
        world.version += 1;
        let version = world.version;
        let entry = change(&mut world, version);
        world.log.push_back((version, entry));
        self.shared.1.notify_all();
    }

    pub fn add_node(&self, node: Node) {
        self.change(|world, version| {
            let bytes = protobuf::node(&node, version);
            let known = world.nodes.iter().position(|n| n.name == node.name);
            match known {
                Some(at) => world.nodes[at] = node,
                None => world.nodes.push(node),
            }
            Change::Node(if known.is_some() { "MODIFIED" } else { "ADDED" }, bytes)
        });
    }

    pub fn remove_node(&self, name: &str) {
        self.change(|world, version| {
            let at = world.nodes.iter().position(|n| n.name == name).unwrap();
            Change::Node("DELETED", protobuf::node(&world.nodes.remove(at), version))
        });
    }

    pub fn add_pod(&self, pod: Pod) {
        self.change(|world, version| {
            let bytes = protobuf::pod(&pod, version);
            world.pods.push(pod);
            Change::Pod("ADDED", bytes)
        });
    }

    /// A pod that ends or leaves the phase Running comes as DELETED.
    pub fn remove_pod(&self, namespace: &str, name: &str) {
        self.change(|world, version| {
            let at = world.pods.iter().position(|p| p.namespace == namespace && p.name == name).unwrap();
            Change::Pod("DELETED", protobuf::pod(&world.pods.remove(at), version))
        });
    }

    pub fn set_configmap(&self, entries: &[(&str, &str)]) {
        self.change(|world, _| {
            world.configmap = entries.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
            Change::ConfigMap
        });
    }

    /// Every watch that is open ends: with an ERROR event of this code, or as at its timeout. With 410, versions up to
    /// now are forgotten.
    pub fn end_watches(&self, code: Option<u64>) {
        let mut world = self.world();
        if code == Some(410) {
            world.version += 1;
            world.oldest = world.version;
        }
        world.endings = (world.endings.0 + 1, code);
        self.shared.1.notify_all();
    }

    /// Goes back to this version, as after a restored backup; what happened before is forgotten.
    pub fn restore(&self, version: u64) {
        let mut world = self.world();
        world.version = version;
        world.log.clear();
    }

    /// How many requests so far had this method and a target that contains the text.
    pub fn count(&self, text: &str) -> usize {
        self.world().seen.iter().filter(|line| line.contains(text)).count()
    }

    /// Writes a kubeconfig for it; `user` is YAML, for example `{token: abc}`.
    pub fn kubeconfig(&self, folder: &Path, user: &str) -> PathBuf {
        let path = folder.join("kubeconfig");
        let (scheme, authority) = match &self.ca_pem {
            None => ("http", String::new()),
            Some(pem) => {
                std::fs::write(folder.join("ca.crt"), pem).unwrap();
                ("https", format!(", certificate-authority: {}", folder.join("ca.crt").display()))
            }
        };
        let server = self.front.address;
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: \"{scheme}://{server}\"{authority}}}}}]\n\
             users: [{{name: u, user: {user}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).stopped = true;
        self.shared.1.notify_all();
    }
}

type Shared = Arc<(Mutex<World>, Condvar)>;

/// What a request gets.
enum Reply {
    Json(u16, String),
    Protobuf(Vec<u8>),
    Text(String),
    Watch(u64, Kind),
}

fn handle(shared: &Shared, mut request: tiny_http::Request) {
    let target = request.url().to_string();
    let authorization =
        request.headers().iter().find(|h| h.field.equiv("Authorization")).map(|h| h.value.to_string());
    let mut body = String::new();
    let _ = std::io::Read::read_to_string(request.as_reader(), &mut body);
    let mut world = shared.0.lock().unwrap();
    world.seen.push(format!("{} {target}", request.method()));
    let known = world.credential.is_empty() || authorization == Some(format!("Bearer {}", world.credential));
    let path = target.split('?').next().unwrap_or("");
    let (reply, delay) = if !known {
        (Reply::Json(401, failure(401, "Unauthorized")), Duration::ZERO)
    } else if path.ends_with("/selfsubjectaccessreviews") {
        (Reply::Json(201, own_right(&world, &body)), Duration::ZERO)
    } else if let Some((code, text)) =
        world.objects.as_mut().and_then(|objects| objects.answer(request.method().as_str(), &target, &body))
    {
        (Reply::Json(code, text), Duration::ZERO)
    } else if let Some((_, code, text)) = world.documents.iter().find(|(known, ..)| known == path) {
        (Reply::Json(*code, text.clone()), Duration::ZERO)
    } else if path.ends_with("/tokenreviews") || path.ends_with("/subjectaccessreviews") {
        (review(&mut world, path, body), world.review_delay)
    } else {
        let is_configmap = path.ends_with("/extension-apiserver-authentication");
        (reply(&world, &target), if is_configmap { world.configmap_delay } else { Duration::ZERO })
    };
    let (ahead, halves_lists, retry_after) = (world.clock_ahead, world.halves_lists, world.retry_after);
    drop(world);
    std::thread::sleep(delay);
    match reply {
        Reply::Json(code, text) => json(request, code, &text, ahead, retry_after.filter(|_| code >= 400)),
        Reply::Text(text) => {
            let _ = request.respond(tiny_http::Response::from_string(text));
        }
        Reply::Watch(from, kind) => follow(shared, request, from, kind),
        Reply::Protobuf(body) => {
            let kind = tiny_http::Header::from_bytes("Content-Type", "application/vnd.kubernetes.protobuf");
            let len = if halves_lists { body.len() / 2 } else { body.len() };
            let body = &body[..len];
            let _ = request.respond(tiny_http::Response::from_data(body).with_header(kind.unwrap()));
        }
    }
}

fn failure(code: u16, reason: &str) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{reason}","reason":"{reason}","code":{code}}}"#
    )
}

/// Lists and watches.
fn reply(world: &World, target: &str) -> Reply {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "/version" {
        return Reply::Json(200, r#"{"major":"1","minor":"34","gitVersion":"v1.34.1"}"#.into());
    }
    let proxied = |(name, _): &&(String, _)| path == format!("/api/v1/nodes/{name}/proxy/metrics/resource");
    if let Some((_, containers)) = world.proxied.iter().find(proxied) {
        return Reply::Text(super::kubelet::exposition(containers));
    }
    if path.contains("/proxy/") {
        return Reply::Json(403, failure(403, "Forbidden"));
    }
    let (kind, single) = match path.strip_prefix("/api/v1/") {
        Some("nodes") => (Kind::Nodes, false),
        Some("pods") => (Kind::Pods, false),
        Some(rest) if rest.starts_with("namespaces/kube-system/configmaps") => {
            (Kind::ConfigMap, rest.ends_with("/extension-apiserver-authentication"))
        }
        _ => return Reply::Json(404, failure(404, "NotFound")),
    };
    if let Some(code) = world.failure {
        return Reply::Json(code, failure(code, "InternalError"));
    }
    if query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1") {
        if query.contains("sendInitialEvents=true") {
            return Reply::Json(422, failure(422, "Invalid"));
        }
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        return Reply::Watch(from.and_then(|version| version.parse().ok()).unwrap_or(0), kind);
    }
    match kind {
        Kind::ConfigMap if single => Reply::Json(200, configmap(world)),
        Kind::ConfigMap => Reply::Json(
            200,
            format!(
                r#"{{"kind":"ConfigMapList","apiVersion":"v1","metadata":{{"resourceVersion":"{}"}},"items":[{}]}}"#,
                world.version,
                configmap(world)
            ),
        ),
        _ => Reply::Protobuf(list(world, kind == Kind::Nodes)),
    }
}

fn json(request: tiny_http::Request, code: u16, text: &str, ahead: i64, retry_after: Option<u64>) {
    let kind = tiny_http::Header::from_bytes("Content-Type", "application/json").unwrap();
    let mut answer = tiny_http::Response::from_string(text).with_status_code(code).with_header(kind);
    if let Some(secs) = retry_after {
        answer.add_header(tiny_http::Header::from_bytes("Retry-After", secs.to_string()).unwrap());
    }
    let _ = request.respond(answer.with_header(super::date_header(ahead)));
}

/// The answer to a review of our own rights.
fn own_right(world: &World, body: &str) -> String {
    let part = |name| string_field(body, name).unwrap_or_default();
    let slash = if part("subresource").is_empty() { "" } else { "/" };
    let right = format!("{} {}{slash}{}", part("verb"), part("resource"), part("subresource"));
    let allowed = !world.denied.contains(&right);
    format!(
        r#"{{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","metadata":{{}},"spec":{{}},"status":{{"allowed":{allowed}}}}}"#
    )
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn configmap(world: &World) -> String {
    let entries: Vec<String> =
        world.configmap.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
    format!(
        r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"extension-apiserver-authentication","namespace":"kube-system","resourceVersion":"{}"}},"data":{{{}}}}}"#,
        world.version,
        entries.join(",")
    )
}

fn list(world: &World, nodes: bool) -> Vec<u8> {
    if nodes {
        let items: Vec<Vec<u8>> = world.nodes.iter().map(|n| protobuf::node(n, world.version)).collect();
        protobuf::envelope("v1", "NodeList", &protobuf::list(world.version, &items))
    } else {
        let items: Vec<Vec<u8>> = world.pods.iter().map(|p| protobuf::pod(p, world.version)).collect();
        protobuf::envelope(
            "meta.k8s.io/v1",
            "PartialObjectMetadataList",
            &protobuf::list(world.version, &items),
        )
    }
}

/// The text of a JSON string field; enough for reviews, whose texts hold no escapes.
fn string_field(body: &str, name: &str) -> Option<String> {
    let after = body.split_once(&format!("\"{name}\":\""))?.1;
    Some(after.split_once('"')?.0.to_string())
}

fn review(world: &mut World, path: &str, body: String) -> Reply {
    let token = string_field(&body, "token").unwrap_or_default();
    if world.failing_tokens.contains(&token) {
        return Reply::Json(503, failure(503, "ServiceUnavailable"));
    }
    let answer = if path.ends_with("/tokenreviews") {
        match world.tokens.iter().find(|(known, ..)| *known == token) {
            Some((_, user, groups)) => {
                let groups: Vec<String> = groups.iter().map(|g| quoted(g)).collect();
                let user = format!(r#"{{"username":{},"groups":[{}]}}"#, quoted(user), groups.join(","));
                format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{{}},"spec":{{}},"status":{{"authenticated":true,"user":{user}}}}}"#)
            }
            None => r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{},"status":{"user":{},"error":"invalid bearer token"}}"#.to_string(),
        }
    } else {
        let user = string_field(&body, "user").unwrap_or_default();
        let allowed = world.allowed.contains(&user);
        format!(
            r#"{{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","metadata":{{}},"spec":{{}},"status":{{"allowed":{allowed}}}}}"#
        )
    };
    world.reviews.push(body);
    Reply::Json(201, answer)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nodes,
    Pods,
    ConfigMap,
}

/// The frame of a change, for a watch that is about it.
fn frame(change: &Change, kind: Kind, map: &str) -> Option<Vec<u8>> {
    Some(match (change, kind) {
        (Change::Node(event, object), Kind::Nodes) => {
            protobuf::watch_frame(event, &protobuf::envelope("v1", "Node", object))
        }
        (Change::Pod(event, object), Kind::Pods) => protobuf::watch_frame(
            event,
            &protobuf::envelope("meta.k8s.io/v1", "PartialObjectMetadata", object),
        ),
        (Change::ConfigMap, Kind::ConfigMap) => {
            format!("{{\"type\":\"MODIFIED\",\"object\":{map}}}\n").into_bytes()
        }
        _ => return None,
    })
}

fn bookmark_frame(kind: Kind, version: u64) -> Option<Vec<u8>> {
    let (api, name) = match kind {
        Kind::Nodes => ("v1", "Node"),
        Kind::Pods => ("meta.k8s.io/v1", "PartialObjectMetadata"),
        Kind::ConfigMap => return None,
    };
    let object = protobuf::envelope(api, name, &protobuf::bookmark(version));
    Some(protobuf::watch_frame("BOOKMARK", &object))
}

/// A watch: what changed after version `from`, until the client goes or the world ends it.
fn follow(shared: &Shared, request: tiny_http::Request, mut from: u64, kind: Kind) {
    let media = match kind {
        Kind::ConfigMap => "application/json",
        _ => "application/vnd.kubernetes.protobuf;stream=watch",
    };
    let mut out = request.into_writer();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n");
    if out.write_all(head.as_bytes()).and_then(|()| out.flush()).is_err() {
        return;
    }
    let mut chunk = |bytes: &[u8]| -> bool {
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        out.write_all(&framed).and_then(|()| out.flush()).is_ok()
    };
    let mut world = shared.0.lock().unwrap();
    let (mut quiet, born) = (0, world.endings.0);
    loop {
        let expired = from != 0 && from < world.oldest;
        let news: Vec<(u64, Change)> =
            world.log.iter().filter(|(version, _)| *version > from).cloned().collect();
        let (map, stopped, endings, version) =
            (configmap(&world), world.stopped, world.endings, world.version);
        drop(world);
        if expired || endings.0 != born {
            if let Some(code) = if expired { Some(410) } else { endings.1 } {
                chunk(&error_event(kind, code));
            }
            chunk(b"");
            return;
        }
        for (version, change) in &news {
            from = *version;
            if frame(change, kind, &map).is_some_and(|frame| !chunk(&frame)) {
                return;
            }
        }
        // A bookmark now and then, as real ones send, with the version of now: it is lower than where the watch began when a
        // backup was restored. It also finds out that the client has gone.
        quiet = if news.is_empty() { quiet + 1 } else { 0 };
        let bookmark = if quiet % 20 == 19 { bookmark_frame(kind, version) } else { None };
        if stopped || bookmark.is_some_and(|frame| !chunk(&frame)) {
            return;
        }
        world = shared.1.wait_timeout(shared.0.lock().unwrap(), Duration::from_millis(100)).unwrap().0;
    }
}

fn error_event(kind: Kind, code: u64) -> Vec<u8> {
    let (reason, message) =
        if code == 410 { ("Expired", "too old resource version") } else { ("InternalError", "made to fail") };
    if kind == Kind::ConfigMap {
        return format!("{{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"{reason}\",\"message\":\"{message}\",\"code\":{code}}}}}\n").into_bytes();
    }
    protobuf::watch_frame(
        "ERROR",
        &protobuf::envelope("v1", "Status", &protobuf::status(code, reason, message)),
    )
}
