use super::*;
use reply::reply;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

#[path = "../../wire/dns/reply.rs"]
mod reply;

/// A name server on loopback that knows a few names; what it was asked, as `udp name` or `tcp name` for family A.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What the fake does with one question.
type Script = fn(name: &str, query: &[u8], tcp: bool) -> Option<Vec<u8>>;

impl NameServer {
    fn start(ip: [u8; 4], port: u16, script: Script) -> NameServer {
        // The port that is free for datagrams may be taken for connections.
        let both = || {
            let udp = UdpSocket::bind(SocketAddr::from((ip, port))).ok()?;
            let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        };
        let (udp, tcp) = std::iter::repeat_with(both).take(100).flatten().next().unwrap();
        let address = udp.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let note = |asked: &Mutex<Vec<String>>, how: &str, query: &[u8]| {
            let name = name_of(query);
            if query[query.len() - 3] == 1 {
                asked.lock().unwrap().push(format!("{how} {name}"));
            }
            name
        };
        let heard = asked.clone();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, from)) = udp.recv_from(&mut query) {
                let name = note(&heard, "udp", &query[..len]);
                if let Some(reply) = script(&name, &query[..len], false) {
                    udp.send_to(&reply, from).unwrap();
                }
            }
        });
        let heard = asked.clone();
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let mut query = [0; 512];
                let len = stream.read(&mut query).unwrap();
                let name = note(&heard, "tcp", &query[2..len]);
                if let Some(reply) = script(&name, &query[2..len], true) {
                    let len = (reply.len() as u16).to_be_bytes();
                    stream.write_all(&[&len[..], &reply].concat()).unwrap();
                }
            }
        });
        NameServer { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn name_of(query: &[u8]) -> String {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] != 0 {
        let len = usize::from(query[at]);
        name.push_str(std::str::from_utf8(&query[at + 1..=at + len]).unwrap());
        name.push('.');
        at += len + 1;
    }
    name.pop();
    name
}

/// Knows node-7.lan (both families), v4.lan, big.lan (too large for a datagram), broken.lan and silent.lan.
fn script(name: &str, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let is_v4 = query[query.len() - 3] == 1;
    let v6 = [0xfd; 16];
    let records: &[(u16, u32, &[u8])] = match (name, is_v4) {
        ("node-7.lan" | "big.lan", true) => &[(1, 60, &[10, 0, 0, 7])],
        ("node-7.lan" | "big.lan", false) => &[(28, 60, &v6)],
        ("v4.lan", true) => &[(1, 60, &[10, 0, 0, 4])],
        ("v4.lan", false) => &[],
        ("broken.lan", _) => return Some(reply(query, 2, &[])),
        ("silent.lan", _) => return None,
        _ => return Some(reply(query, 3, &[])),
    };
    let mut reply = reply(query, 0, records);
    if name == "big.lan" && !tcp {
        reply[2] |= 2;
    }
    Some(reply)
}

/// A folder with a hosts file and a resolv.conf, and a resolver over them.
struct Place {
    folder: PathBuf,
    resolver: Resolver,
}

impl Place {
    fn new(name: &str, port: u16, hosts: &str, resolv_conf: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("toplet-dns-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let resolver = Resolver::new(write("hosts", hosts), write("resolv.conf", resolv_conf), port);
        Place { folder, resolver }
    }

    fn found(&self, host: &str) -> Vec<String> {
        self.resolver.lookup(host, None).unwrap().iter().map(IpAddr::to_string).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn replace(path: &Path, text: &str) {
    let other = path.with_extension("new");
    std::fs::write(&other, text).unwrap();
    std::fs::rename(other, path).unwrap();
}

const V6: &str = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";

#[test]
fn addresses_localhost_and_the_hosts_file_need_no_name_server() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let hosts = "# x\nfd00::7 node-8\n10.0.0.8 node-8.lan node-8\n10.0.0.8 node-8\n\n";
    let place = Place::new("hosts", server.address.port(), hosts, "nameserver 127.0.0.1");
    assert_eq!(place.found("::1"), ["::1"]);
    assert_eq!(place.found("localhost"), ["127.0.0.1", "::1"]);
    assert_eq!(place.found("api.LOCALHOST."), ["127.0.0.1", "::1"]);
    assert_eq!(place.found("node-8"), ["10.0.0.8", "fd00::7"]);
    assert_eq!(server.asked(), Vec::<String>::new());
    replace(&place.path("hosts"), "127.0.0.9 localhost");
    assert_eq!(place.found("localhost"), ["127.0.0.9"]);
}

#[test]
fn both_families_are_found_and_remembered() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let place = Place::new("both", server.address.port(), "", "nameserver 127.0.0.1");
    assert_eq!(place.found("node-7.lan"), ["10.0.0.7", V6]);
    assert_eq!(place.found("node-7.lan"), ["10.0.0.7", V6]);
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"]);
    assert_eq!(server.asked(), ["udp node-7.lan", "udp v4.lan"]);
}

#[test]
fn short_names_are_searched_and_a_changed_file_counts_at_once() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let place = Place::new("search", server.address.port(), "", "nameserver 127.0.0.1\nsearch attic lan\n");
    assert_eq!(place.found("node-7"), ["10.0.0.7", V6]);
    assert_eq!(server.asked(), ["udp node-7.attic", "udp node-7.lan"]);
    replace(&place.path("resolv.conf"), "nameserver 127.0.0.1\n");
    let error = place.resolver.lookup("node-7", None).unwrap_err();
    assert_eq!(error, "unknown name (asked 127.0.0.1)");
    assert_eq!(server.asked(), ["udp node-7"]);
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let place = Place::new("tcp", server.address.port(), "", "nameserver 127.0.0.1");
    assert_eq!(place.found("big.lan"), ["10.0.0.7", V6]);
    assert_eq!(server.asked(), ["udp big.lan", "tcp big.lan"]);
    replace(&place.path("resolv.conf"), "nameserver 127.0.0.1\noptions use-vc");
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"]);
    assert_eq!(server.asked(), ["tcp v4.lan"]);
}

#[test]
fn the_next_name_server_is_asked_and_then_comes_first() {
    let good = NameServer::start([127, 0, 0, 1], 0, script);
    let port = good.address.port();
    let bad = NameServer::start([127, 0, 0, 2], port, |_, query, _| Some(reply(query, 5, &[])));
    let place =
        Place::new("servers", port, "", "nameserver 127.0.0.3\nnameserver 127.0.0.2\nnameserver 127.0.0.1\n");
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"]);
    assert_eq!((bad.asked().len(), good.asked().len()), (1, 1));
    assert_eq!(place.found("node-7.lan"), ["10.0.0.7", V6]);
    assert_eq!((bad.asked().len(), good.asked().len()), (0, 1));
}

#[test]
fn silence_of_all_name_servers_is_waited_for_once() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let options = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\nsearch lan b.lan";
    let place = Place::new("silence", server.address.port(), "10.0.0.9 filed\n", options);
    let error = |name: &str, left: u64| {
        place.resolver.lookup(name, Some(clock::mono() + Duration::from_millis(left))).unwrap_err()
    };
    let silent = "name server 127.0.0.1 does not answer";
    assert_eq!(error("silent.lan.", 50), silent);
    assert_eq!(error("v4.lan", 50), silent, "who has as little time does not wait again");
    assert_eq!(server.asked(), ["udp silent.lan"]);
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"], "for others it proved nothing");
    assert_eq!(server.asked(), ["udp v4.lan"]);
    assert_eq!(error("silent", 60_000), silent);
    assert_eq!(server.asked(), ["udp silent.lan"], "and no further name is asked");
    assert_eq!(error("node-7.lan", 60_000), silent);
    assert!(server.asked().is_empty());
    assert_eq!(place.found("filed"), ["10.0.0.9"]);
    let over = clock::mono();
    lock(&place.resolver.state).silent.as_mut().unwrap().until = over;
    assert_eq!(place.found("node-7.lan"), ["10.0.0.7", V6]);
}

/// A node's owner can write a name whose own servers never answer into its status: the recursive name server is silent then.
#[test]
fn a_name_that_nobody_answers_takes_no_other_name_away() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let options = "nameserver 127.0.0.1\noptions attempts:1 timeout:1";
    let place = Place::new("hostile", server.address.port(), "", options);
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"]);
    let age = |by: Duration| lock(&place.resolver.state).cache[0].expires_at = clock::mono() - by;
    age(Duration::from_secs(1));
    assert!(place.resolver.lookup("silent.lan", None).is_err());
    assert_eq!(place.found("v4.lan"), ["10.0.0.4"], "its time is over, and nobody can be asked");
    age(limits::DNS_STALE_MAX);
    assert!(place.resolver.lookup("v4.lan", None).is_err(), "but not for all time");
}

#[test]
fn errors_name_the_server_and_what_it_said() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let place = Place::new("errors", server.address.port(), "", "nameserver 127.0.0.1\noptions attempts:1");
    let error = |name: &str, left: u64| {
        place.resolver.lookup(name, Some(clock::mono() + Duration::from_millis(left))).unwrap_err()
    };
    assert_eq!(error("broken.lan", 60_000), "name server 127.0.0.1: response code 2 (SERVFAIL)");
    assert_eq!(error("silent.lan", 50), "name server 127.0.0.1 does not answer");
    assert_eq!(error("a b", 60_000), "not a host name");
    assert_eq!(error("", 60_000), "not a host name");
}

#[test]
fn what_is_remembered_is_bounded() {
    let place = Place::new("bounded", 1, "", "");
    let now = clock::mono();
    place.resolver.look_at_files("x", now);
    for n in 0..limits::DNS_CACHE_COUNT_MAX as u32 + 5 {
        place.resolver.remember(&format!("n{n}"), &[[10, 0, 0, 1].into()], 60 + n, now);
    }
    let state = place.resolver.state.lock().unwrap();
    assert_eq!(state.cache.len(), limits::DNS_CACHE_COUNT_MAX);
    assert!(state.cache.iter().all(|c| c.name != "n0") && state.cache.iter().any(|c| c.name == "n5"));
}

/// Files mapped into this process.
fn mapped_files() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut files: Vec<String> =
        maps.lines().filter_map(|line| Some(line.split_once('/')?.1.to_owned())).collect();
    files.sort();
    files.dedup();
    files
}

#[test]
fn a_lookup_loads_no_shared_object() {
    let server = NameServer::start([127, 0, 0, 1], 0, script);
    let place = Place::new("maps", server.address.port(), "", "nameserver 127.0.0.1\nsearch lan\n");
    let before = mapped_files();
    assert_eq!(place.found("v4"), ["10.0.0.4"]);
    assert!(place.resolver.lookup("unknown", None).is_err());
    let after = mapped_files();
    assert!(after.iter().all(|file| before.contains(file)), "{after:?}");
}
