//! Addresses of names: the hosts file, then DNS through a stub resolver of our own.
//!
//! The resolver of the C library is never called: in a static executable it loads the host's NSS modules and the host's
//! C library beside ours, which ends the process where their versions differ. So only what stands in `/etc/hosts` and
//! `/etc/resolv.conf` counts, and both are read again when they change; mDNS, LDAP and other NSS sources do not exist here.
//! A lookup asks for both families at once over UDP, over TCP when an answer is truncated, and ends at its deadline on
//! the caller's thread. When no name server answers, that holds for a few seconds, so that a round of many nodes waits for
//! it once (RFC 2308 section 7.2). A name that was found before keeps its addresses meanwhile (RFC 8767): one name whose own
//! servers never answer, which the owner of a node can write, takes no other name away.
//! `localhost` is this machine and is never asked for. IPv4 addresses come first.
//! Memory: `limits::DNS_CACHE_COUNT_MAX` names. Source: RFC 1035, RFC 6761 section 6.3, resolv.conf(5).

mod config;

use super::pem::{self, Stamp};
use super::tls;
use crate::host::clock;
use crate::limits;
use crate::lock::lock;
use crate::wire::dns::{self, AddressFamily, DnsAnswer};
use config::{ResolverConfig, hosts_line};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Looks names up. Shared by reference between threads; nothing is locked while a name server is asked.
pub(super) struct Resolver {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    port: u16,
    state: Mutex<ResolverState>,
}

#[derive(Default)]
struct ResolverState {
    stamps: Option<[Option<Stamp>; 2]>,
    config: Option<ResolverConfig>,
    /// The name server that answered last; the next lookup begins with it.
    server: usize,
    cache: Vec<Cached>,
    /// No name server answered a lookup.
    silent: Option<Silence>,
}

struct Silence {
    /// What a lookup says until its end.
    trouble: String,
    until: Instant,
    /// How long the servers were waited for: it counts for lookups that have no more time than that, or when it was a whole
    /// try.
    waited: Duration,
}

impl Silence {
    fn counts(&self, now: Instant, patience: Duration, whole_try: Duration) -> bool {
        now < self.until && (self.waited >= whole_try || self.waited >= patience)
    }
}

#[derive(Clone)]
struct Cached {
    name: String,
    addresses: Vec<IpAddr>,
    expires_at: Instant,
}

impl Cached {
    /// Beyond its lifetime it is kept for when no name server answers.
    fn is_kept(&self, now: Instant) -> bool {
        self.expires_at + limits::DNS_STALE_MAX > now
    }
}

/// The resolver of this machine.
pub(super) fn system() -> &'static Resolver {
    static RESOLVER: OnceLock<Resolver> = OnceLock::new();
    RESOLVER.get_or_init(|| Resolver::new("/etc/hosts".into(), "/etc/resolv.conf".into(), 53))
}

/// The outcome of asking for one absolute name.
enum Found {
    Addresses(Vec<IpAddr>, u32),
    Nothing,
}

impl Resolver {
    fn new(hosts: PathBuf, resolv_conf: PathBuf, port: u16) -> Resolver {
        Resolver { hosts, resolv_conf, port, state: Mutex::default() }
    }

    /// The addresses of a host, at least one; an address is its own.
    ///
    /// # Errors
    /// The name is unknown, or no name server answered in time: which, and what it said.
    pub(super) fn lookup(&self, host: &str, deadline: Option<Instant>) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let now = clock::mono();
        let last = now + limits::LOOKUP_TIMEOUT;
        let deadline = deadline.map_or(last, |at| at.min(last));
        let (config, known) = self.look_at_files(host, now);
        let (fresh, stale) = match known {
            Some(known) if known.expires_at > now => (Some(known.addresses), None),
            known => (None, known.map(|known| known.addresses)),
        };
        if let Some(addresses) = fresh.or_else(|| self.hosts_entry(host)) {
            return Ok(addresses);
        }
        let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if bare == "localhost" || bare.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let patience = deadline.saturating_duration_since(now);
        let counts = |silence: &&Silence| silence.counts(now, patience, config.timeout);
        if let Some(Silence { trouble, .. }) = lock(&self.state).silent.as_ref().filter(counts) {
            return stale.ok_or_else(|| trouble.clone());
        }
        match self.ask(&config, host, deadline) {
            Ok((addresses, ttl)) => {
                self.remember(host, &addresses, ttl, now);
                Ok(addresses)
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => {
                let (end, trouble) = (clock::mono(), e.to_string());
                let until = end + limits::DNS_SILENCE_KEEP;
                let waited = end.saturating_duration_since(now);
                lock(&self.state).silent = Some(Silence { trouble, until, waited });
                stale.ok_or_else(|| e.to_string())
            }
            Err(e) => Err(e.to_string()),
        }
    }

    /// The configuration in force and what is remembered of `host`; a changed file empties the cache.
    fn look_at_files(&self, host: &str, now: Instant) -> (ResolverConfig, Option<Cached>) {
        let stamps = [pem::stamp(&self.hosts), pem::stamp(&self.resolv_conf)];
        let mut state = lock(&self.state);
        if state.stamps != Some(stamps) {
            *state = ResolverState { stamps: Some(stamps), ..ResolverState::default() };
        }
        let config = state.config.get_or_insert_with(|| {
            let mut text = Vec::new();
            // Without a readable file the name server of this machine is asked, as the C library does.
            if let Ok(file) = File::open(&self.resolv_conf) {
                let _ = file.take(limits::RESOLV_CONF_LEN_MAX).read_to_end(&mut text);
            }
            ResolverConfig::parse(&String::from_utf8_lossy(&text))
        });
        let config = config.clone();
        (config, state.cache.iter().find(|c| c.name == host && c.is_kept(now)).cloned())
    }

    fn hosts_entry(&self, host: &str) -> Option<Vec<IpAddr>> {
        let file = File::open(&self.hosts).ok()?.take(limits::HOSTS_LEN_MAX);
        let mut reader = BufReader::with_capacity(limits::DNS_BUFFER_LEN, file);
        let (mut found, mut line) = (Vec::new(), Vec::new());
        while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            let address = std::str::from_utf8(&line).ok().and_then(|line| hosts_line(line, host));
            found.extend(address.filter(|address| !found.contains(address)));
            line.clear();
        }
        let (mut found, six): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_ipv4);
        found.extend(six);
        found.truncate(limits::ADDRESSES_MAX);
        (!found.is_empty()).then_some(found)
    }

    fn remember(&self, host: &str, addresses: &[IpAddr], ttl: u32, now: Instant) {
        let keep = Duration::from_secs(ttl.into()).clamp(limits::DNS_KEEP_MIN, limits::DNS_KEEP_MAX);
        let mut state = lock(&self.state);
        state.cache.retain(|c| c.is_kept(now) && c.name != host);
        if state.cache.len() >= limits::DNS_CACHE_COUNT_MAX {
            let soonest = state.cache.iter().enumerate().min_by_key(|(_, c)| c.expires_at).map(|(at, _)| at);
            soonest.map(|at| state.cache.swap_remove(at));
        }
        let (name, addresses) = (host.to_owned(), addresses.to_vec());
        state.cache.push(Cached { name, addresses, expires_at: now + keep });
    }

    /// Asks for each candidate name until one has addresses.
    fn ask(&self, config: &ResolverConfig, host: &str, deadline: Instant) -> io::Result<(Vec<IpAddr>, u32)> {
        let mut trouble = None;
        for name in config.candidates(host) {
            match self.ask_servers(config, &name, deadline) {
                Ok(Found::Addresses(addresses, ttl)) => return Ok((addresses, ttl)),
                Ok(Found::Nothing) => {}
                // No further name is asked of servers that do not answer.
                Err(e) if e.kind() == ErrorKind::TimedOut => return Err(e),
                Err(e) => trouble = Some(e),
            }
        }
        let servers: Vec<String> = config.servers.iter().map(IpAddr::to_string).collect();
        Err(trouble
            .unwrap_or_else(|| io::Error::other(format!("unknown name (asked {})", servers.join(", ")))))
    }

    /// One absolute name, from the servers in turn, beginning with the one that answered last.
    fn ask_servers(&self, config: &ResolverConfig, name: &str, deadline: Instant) -> io::Result<Found> {
        let first = lock(&self.state).server;
        let count = config.servers.len();
        let mut trouble = io::Error::other("no name server");
        for turn in 0..count * config.attempts as usize {
            let at = (first + turn) % count.max(1);
            let Some(server) = config.servers.get(at) else { break };
            let now = clock::mono();
            if now >= deadline {
                break;
            }
            let until = deadline.min(now + config.timeout);
            match both_families(SocketAddr::new(*server, self.port), name, config.tcp_only, until) {
                Ok(found) => {
                    lock(&self.state).server = at;
                    return Ok(found);
                }
                Err(e) if e.kind() == ErrorKind::InvalidInput => {
                    return Err(io::Error::other("not a host name"));
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let message = format!("name server {server} does not answer");
                    trouble = io::Error::new(ErrorKind::TimedOut, message);
                }
                Err(e) => trouble = io::Error::other(format!("name server {server}: {e}")),
            }
        }
        Err(trouble)
    }
}

/// Asks one server for both families and waits for both answers.
fn both_families(server: SocketAddr, name: &str, tcp_only: bool, until: Instant) -> io::Result<Found> {
    let mut ids = [0; 4];
    tls::random(&mut ids);
    let [a, b, c, d] = ids;
    let queries = [
        dns::query(name, u16::from_be_bytes([a, b]), AddressFamily::V4),
        dns::query(name, u16::from_be_bytes([c, d]), AddressFamily::V6),
    ];
    let [Some(v4), Some(v6)] = queries else { return Err(ErrorKind::InvalidInput.into()) };
    let mut answers = if tcp_only { [None, None] } else { over_udp(server, [&v4, &v6], until)? };
    for (answer, query) in answers.iter_mut().zip([&v4, &v6]) {
        if matches!(answer, Some(DnsAnswer::Truncated)) || (tcp_only && answer.is_none()) {
            *answer = Some(over_tcp(server, query, until)?);
        }
    }
    let (mut all, mut ttl_min, mut failed) = (Vec::new(), u32::MAX, None);
    for answer in answers {
        match answer {
            Some(DnsAnswer::Addresses(found, ttl)) => {
                if !found.is_empty() {
                    ttl_min = ttl_min.min(ttl);
                }
                all.extend(found);
            }
            Some(DnsAnswer::UnknownName) => {}
            Some(DnsAnswer::Failed(code)) => failed = Some(code),
            Some(DnsAnswer::Truncated) | None => failed = failed.or(Some(0)),
        }
    }
    all.truncate(limits::ADDRESSES_MAX);
    match failed {
        // One family is enough: some servers fail for AAAA.
        _ if !all.is_empty() => Ok(Found::Addresses(all, ttl_min)),
        None => Ok(Found::Nothing),
        Some(0) => Err(ErrorKind::TimedOut.into()),
        Some(code) => Err(io::Error::other(format!("response code {code} ({})", code_name(code)))),
    }
}

const fn code_name(code: u8) -> &'static str {
    match code {
        1 => "FORMERR",
        2 => "SERVFAIL",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => "an error",
    }
}

/// Both questions in two datagrams; what was answered in time. Datagrams that are no answer are ignored.
fn over_udp(server: SocketAddr, queries: [&[u8]; 2], until: Instant) -> io::Result<[Option<DnsAnswer>; 2]> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // Connected: the kernel drops what others send, and says when nobody listens there.
    socket.connect(server)?;
    for query in queries {
        socket.send(query)?;
    }
    let mut answers = [None, None];
    let mut reply = [0; limits::DNS_BUFFER_LEN];
    while answers.iter().any(Option::is_none) {
        let left = until.saturating_duration_since(clock::mono());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let len = match socket.recv(&mut reply) {
            Ok(len) => len,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) => return Err(e),
        };
        for (answer, query) in answers.iter_mut().zip(queries) {
            if let Some(found) = dns::answer(query, &reply[..len]) {
                *answer = Some(found);
            }
        }
    }
    Ok(answers)
}

fn over_tcp(server: SocketAddr, query: &[u8], until: Instant) -> io::Result<DnsAnswer> {
    let left = || {
        let left = until.saturating_duration_since(clock::mono());
        if left.is_zero() { Err(io::Error::from(ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&server, left()?)?;
    let len = u16::try_from(query.len()).map_err(io::Error::other)?;
    let message = [&len.to_be_bytes()[..], query].concat();
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&message)?;
    let mut reply = Vec::new();
    let mut piece = [0; limits::DNS_BUFFER_LEN];
    loop {
        if let Some((len, body)) = reply.split_first_chunk::<2>()
            && let Some(body) = body.get(..usize::from(u16::from_be_bytes(*len)))
        {
            return match dns::answer(query, body) {
                Some(answer) if answer != DnsAnswer::Truncated => Ok(answer),
                _ => Err(io::Error::other("its answer over TCP is malformed")),
            };
        }
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => reply.extend_from_slice(&piece[..len]),
        }
    }
}

#[cfg(test)]
mod tests;
