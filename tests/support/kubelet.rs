//! A fake kubelet: the resource endpoint of one node, with samples that advance, or one of many ways to misbehave.

use super::front::Front;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A container that burns steadily.
#[derive(Clone, Debug)]
pub struct Container {
    pub namespace: String,
    pub pod: String,
    pub name: String,
    pub millicores: u64,
    pub bytes: u64,
}

/// What the kubelet answers.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// The node and its containers.
    Steady(Vec<Container>),
    /// The same after a while.
    Slow(Vec<Container>, Duration),
    /// The same from a kubelet that has only the Summary API.
    Summary(Vec<Container>),
    /// A body of these bytes.
    Body(Vec<u8>),
    /// A status without a useful body.
    Status(u16),
    /// A redirect to this place.
    Redirect(String),
    /// An exposition that never ends, up to this many bytes.
    Endless(u64),
    /// Takes the request and says nothing.
    Silence,
    /// What this gives for each request, head included.
    Made(fn() -> Vec<u8>),
    /// These bytes, head included, then nothing for a while, then the end of the connection.
    Raw(Vec<u8>, Duration),
}

/// The running fake.
pub struct Kubelet {
    /// Its sockets.
    pub front: Front,
    behaviour: Arc<Mutex<Behaviour>>,
    /// Scrapes answered or swallowed.
    pub scrapes: Arc<AtomicUsize>,
    /// Targets of the scrapes, in order.
    pub paths: Arc<Mutex<Vec<String>>>,
    /// Seconds by which its clock is ahead.
    pub clock_ahead: Arc<AtomicI64>,
    /// The Authorization header of the last scrape.
    pub authorization: Arc<Mutex<String>>,
}

pub fn container(namespace: &str, pod: &str, name: &str, millicores: u64, mebibytes: u64) -> Container {
    Container {
        namespace: namespace.into(),
        pod: pod.into(),
        name: name.into(),
        millicores,
        bytes: mebibytes << 20,
    }
}

impl Kubelet {
    /// Plain HTTP on loopback.
    pub fn start(behaviour: Behaviour) -> Kubelet {
        Kubelet::with(behaviour, None)
    }

    /// With TLS.
    pub fn start_tls(behaviour: Behaviour, tls: rustls::ServerConfig) -> Kubelet {
        Kubelet::with(behaviour, Some(tls))
    }

    fn with(behaviour: Behaviour, tls: Option<rustls::ServerConfig>) -> Kubelet {
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (scrapes, paths): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = Default::default();
        let authorization: Arc<Mutex<String>> = Arc::default();
        let clock_ahead: Arc<AtomicI64> = Arc::default();
        let clock = clock_ahead.clone();
        let parts = (behaviour.clone(), scrapes.clone(), paths.clone(), authorization.clone());
        let handler = move |request: tiny_http::Request| {
            let (behaviour, scrapes, paths, authorization) = &parts;
            paths.lock().unwrap().push(request.url().to_string());
            let sent = request.headers().iter().find(|h| h.field.equiv("Authorization"));
            *authorization.lock().unwrap() = sent.map(|h| h.value.to_string()).unwrap_or_default();
            scrapes.fetch_add(1, Ordering::SeqCst);
            let how = behaviour.lock().unwrap().clone();
            answer(request, how, clock.load(Ordering::SeqCst));
        };
        Kubelet {
            front: Front::new(Arc::new(handler), tls),
            behaviour,
            scrapes,
            paths,
            clock_ahead,
            authorization,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.front.address
    }

    pub fn port(&self) -> u16 {
        self.front.address.port()
    }

    pub fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub fn scrapes(&self) -> usize {
        self.scrapes.load(Ordering::SeqCst)
    }
}

fn answer(request: tiny_http::Request, how: Behaviour, clock_ahead: i64) {
    use tiny_http::{Header, Response};
    let date = super::date_header(clock_ahead);
    let text = Header::from_bytes("Content-Type", "text/plain; version=0.0.4; charset=utf-8").unwrap();
    let is_summary = request.url().starts_with("/stats/summary?");
    let _ = match how {
        Behaviour::Summary(containers) if is_summary => {
            request.respond(Response::from_string(summary(&containers)))
        }
        Behaviour::Summary(_) => {
            request.respond(Response::from_string("404 page not found").with_status_code(404))
        }
        Behaviour::Steady(_) if is_summary => {
            request.respond(Response::from_string("no").with_status_code(404))
        }
        Behaviour::Steady(containers) => {
            let body = exposition_at(&containers, clock_ahead);
            request.respond(Response::from_string(body).with_header(text).with_header(date))
        }
        Behaviour::Slow(containers, pause) => {
            std::thread::sleep(pause);
            request.respond(Response::from_string(exposition_at(&containers, clock_ahead)).with_header(text))
        }
        Behaviour::Body(bytes) => {
            request.respond(Response::from_data(bytes).with_header(text).with_header(date))
        }
        Behaviour::Status(code) => {
            request.respond(Response::from_string("no").with_status_code(code).with_header(date))
        }
        Behaviour::Redirect(to) => {
            let to = Header::from_bytes("Location", to.as_bytes()).unwrap();
            request.respond(Response::from_string("").with_status_code(302).with_header(to))
        }
        Behaviour::Endless(len) => {
            let mut out = request.into_writer();
            let mut sent = 0;
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n");
            let _ = out.write_all(head.as_bytes());
            let line = b"container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"p\"} 1.5 1795500000000\n";
            let piece = line.repeat(200);
            while sent < len && out.write_all(&piece).is_ok() {
                sent += piece.len() as u64;
            }
            Ok(())
        }
        Behaviour::Made(make) => {
            let mut out = request.into_writer();
            out.write_all(&make()).and_then(|()| out.flush())
        }
        Behaviour::Raw(bytes, pause) => {
            let mut out = request.into_writer();
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
            std::thread::sleep(pause);
            Ok(())
        }
        Behaviour::Silence => {
            std::thread::sleep(Duration::from_secs(60));
            drop(request);
            Ok(())
        }
    };
}

static STARTED: std::sync::OnceLock<f64> = std::sync::OnceLock::new();

/// The exposition of now: counters as if every container had burned steadily since a day ago.
pub fn exposition(containers: &[Container]) -> String {
    exposition_at(containers, 0)
}

/// The same from a kubelet whose clock is ahead by so many seconds; a clock changes no counter and no start.
fn exposition_at(containers: &[Container], clock_ahead: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let millis = now.as_millis() as i64 + clock_ahead * 1_000;
    let start = *STARTED.get_or_init(|| now.as_secs_f64() - 86_400.0);
    let up = now.as_secs_f64() - start;
    let mut out = String::new();
    let mut each = |name: &str, kind: &str, value: &dyn Fn(&Container) -> String| {
        let _ = write!(out, "# HELP {name} [STABLE] text\n# TYPE {name} {kind}\n");
        for c in containers {
            let labels = format!("container=\"{}\",namespace=\"{}\",pod=\"{}\"", c.name, c.namespace, c.pod);
            let _ = writeln!(out, "{name}{{{labels}}} {}", value(c));
        }
    };
    each("container_cpu_usage_seconds_total", "counter", &|c| {
        format!("{} {millis}", c.millicores as f64 / 1e3 * up)
    });
    each("container_memory_working_set_bytes", "gauge", &|c| format!("{:e} {millis}", c.bytes as f64));
    each("container_start_time_seconds", "gauge", &|_| format!("{start:e}"));
    let cores: f64 = containers.iter().map(|c| c.millicores as f64 / 1e3).sum::<f64>() + 0.25;
    let bytes: u64 = containers.iter().map(|c| c.bytes).sum::<u64>() + (512 << 20);
    let _ = write!(
        out,
        "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total {} {millis}\n\
         # TYPE node_memory_working_set_bytes gauge\nnode_memory_working_set_bytes {:e} {millis}\n\
         # TYPE node_swap_usage_bytes gauge\nnode_swap_usage_bytes 1048576 {millis}\nresource_scrape_error 0\n",
        cores * up,
        bytes as f64
    );
    out
}

/// The Summary of now, with the same counters; its times are whole seconds.
fn summary(containers: &[Container]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = *STARTED.get_or_init(|| now.as_secs_f64() - 86_400.0);
    let nanos = toplet::units::UnixNanos(i64::try_from(now.as_nanos()).unwrap());
    let time = toplet::wire::time::rfc3339_text(nanos).as_str().to_owned();
    let counter = |millicores: u64| (millicores as f64 * 1e6 * (now.as_secs_f64() - start)) as u64;
    let usage = |millicores: u64, bytes: u64| {
        format!(
            "\"cpu\": {{\"time\": \"{time}\", \"usageCoreNanoSeconds\": {}}},\n\"memory\": {{\"time\": \"{time}\", \
             \"workingSetBytes\": {bytes}}}",
            counter(millicores)
        )
    };
    let pods: Vec<String> = containers
        .iter()
        .map(|c| {
            format!(
                "{{\"podRef\": {{\"name\": \"{}\", \"namespace\": \"{}\"}},\n\"containers\": [{{\"name\": \"{}\", {}}}]}}",
                c.pod,
                c.namespace,
                c.name,
                usage(c.millicores, c.bytes)
            )
        })
        .collect();
    format!("{{\"node\": {{{}}},\n\"pods\": [{}]}}\n", usage(250, 512 << 20), pods.join(",\n"))
}

/// A port on which every connection is answered with these bytes and then left alone.
pub fn babbler(bytes: &'static [u8]) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(bytes);
                std::thread::sleep(Duration::from_secs(60));
            });
        }
    });
    address
}
