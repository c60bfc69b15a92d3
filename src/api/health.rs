//! `/healthz`, `/livez` and `/readyz`: the checks of metrics-server by name and in its order.
//!
//! Bodies are those of metrics-server, so they withhold reasons: probes come without credentials. The log says
//! why, once each time the set of failing checks changes; `/readyz/nodes` says it of each node to who is authorized. Any method is answered. `metadata-informer-sync` always
//! passes, as with metrics-server, where nothing ever fails it: it stands in liveness too, and a restart brings no API
//! server back. What waits for the API server is `metric-informer-sync`, in readiness alone.

use super::answer::{Answer, Body};
use super::context::{Context, Vitals};
use crate::counters::Counters;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::store::Readiness;
use crate::wire::request::{Head, RequestInfo, parameter, parameters};
use crate::wire::text::quoted;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TIMELY: &str = "metric-collection-timely";
const STORAGE: &str = "metric-storage-ready";
const INFORMERS: &str = "metric-informer-sync";
const SHUTDOWN: &str = "shutdown";

/// An endpoint and its checks in order.
struct Endpoint {
    name: &'static str,
    checks: &'static [&'static str],
}

const ENDPOINTS: [Endpoint; 3] = [
    Endpoint {
        name: "healthz",
        checks: &["ping", "log", MAX_IN_FLIGHT, OBJECT_COUNT, "metadata-informer-sync"],
    },
    Endpoint {
        name: "livez",
        checks: &["ping", "log", MAX_IN_FLIGHT, OBJECT_COUNT, TIMELY, "metadata-informer-sync"],
    },
    Endpoint {
        name: "readyz",
        checks: &[
            "ping",
            "log",
            MAX_IN_FLIGHT,
            OBJECT_COUNT,
            STORAGE,
            INFORMERS,
            "metadata-informer-sync",
            SHUTDOWN,
        ],
    },
];

/// Checks of metrics-server that have nothing to check here; they pass.
const MAX_IN_FLIGHT: &str = "poststarthook/max-in-flight-filter";
const OBJECT_COUNT: &str = "poststarthook/storage-object-count-tracker-hook";

/// The checks of the endpoint at `path`, in the order of its body; none for other paths.
pub(super) fn checks(path: &str) -> impl Iterator<Item = &'static str> {
    let name = path.strip_prefix('/').unwrap_or(path);
    ENDPOINTS
        .iter()
        .filter(move |endpoint| endpoint.name == name)
        .flat_map(|endpoint| endpoint.checks)
        .copied()
}

/// Why nodes cannot be scraped. Not a check of its own: one dead node makes nobody unready. The path is not among those that
/// are always allowed, so that names and addresses are shown to authorized callers alone (Kubernetes' ClusterRole
/// `system:monitoring` allows what stands below `/readyz`).
const NODES: &str = "readyz/nodes";

/// A line for each node whose last scrape failed, as far as they are explained, and how many more there are of each reason.
fn failing_nodes(counters: &Counters) -> Answer {
    let count = lock(&counters.nodes).len();
    let failing = lock(&counters.failing);
    let (mut body, mut others) = (String::new(), BTreeMap::<&str, usize>::new());
    for (node, (reason, sentence)) in failing.iter() {
        let Some(sentence) = sentence else {
            *others.entry(reason).or_default() += 1;
            continue;
        };
        let sentence: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        body.extend(["[-]", node, " failed: ", reason, ": ", &sentence, "\n"]);
    }
    for (reason, count) in others {
        body.push_str(&format!("[-]{count} more nodes failed: {reason}\n"));
    }
    body.push_str(&format!("{} of {count} nodes scraped\n", count.saturating_sub(failing.len())));
    text(200, true, Body::Whole(body.into_bytes()))
}

/// What the checks look at.
struct State {
    ready: Readiness,
    vitals: Vitals,
    resolution: Duration,
}

/// Why a check fails: for the answer of that check alone, and for the log.
struct Failure {
    public: String,
    private: String,
}

/// Which endpoints were last seen failing, and how.
static LOG: LogOnce = LogOnce::new();

/// Answers the three endpoints and the single checks below them; `None` for other paths.
#[must_use]
pub fn answer(context: &Context<'_>, head: &Head<'_>, info: &RequestInfo<'_>) -> Option<Answer> {
    let state = State {
        ready: context.store.readiness(),
        vitals: context.vitals,
        resolution: context.settings.resolution,
    };
    let path = info.path.strip_prefix('/').unwrap_or(&info.path);
    if path == NODES {
        return Some(failing_nodes(context.metrics));
    }
    for endpoint in &ENDPOINTS {
        if path == endpoint.name {
            let (answer, failing) = state.whole(endpoint, head.query);
            let name = endpoint.name;
            match failing {
                None => {}
                Some((0, _)) => {
                    LOG.recovered(name, format_args!("{name}: all checks pass"));
                }
                Some((mask, reasons)) => {
                    LOG.problem(log::Level::Warn, name, mask, format_args!("{name} fails: {reasons}"));
                }
            }
            return Some(answer);
        }
        let check = path.strip_prefix(endpoint.name).and_then(|rest| rest.strip_prefix('/'));
        if let Some(check) = check.filter(|check| endpoint.checks.contains(check)) {
            return Some(state.single(check));
        }
    }
    None
}

impl State {
    /// The answer of a whole endpoint, and, unless checks were left out, which fail (a bit each) and why.
    fn whole(&self, endpoint: &Endpoint, query: Option<&str>) -> (Answer, Option<(u8, String)>) {
        let mut excluded: BTreeSet<_> = parameters(query, "exclude").collect();
        let all_asked = excluded.is_empty();
        let (mut body, mut mask, mut reasons) = (String::new(), 0, String::new());
        for (bit, check) in endpoint.checks.iter().enumerate() {
            let line = if excluded.remove(*check) {
                ["[+]", check, " excluded: ok\n"]
            } else if let Some(failure) = self.failure(check) {
                mask |= 1 << bit;
                let comma = if reasons.is_empty() { "" } else { "; " };
                reasons.extend([comma, check, ": ", &failure.private]);
                ["[-]", check, " failed: reason withheld\n"]
            } else {
                ["[+]", check, " ok\n"]
            };
            body.extend(line);
        }
        if !excluded.is_empty() {
            let names: Vec<_> = excluded.iter().map(|name| &**name).collect();
            let names = names.join(", ");
            let names = quoted(&names);
            body.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
        }
        let answer = if mask != 0 {
            text(500, true, Body::Whole(format!("{body}{} check failed\n", endpoint.name).into_bytes()))
        } else if parameter(query, "verbose").is_some() {
            text(200, true, Body::Whole(format!("{body}{} check passed\n", endpoint.name).into_bytes()))
        } else {
            text(200, true, Body::Static(b"ok"))
        };
        (answer, all_asked.then_some((mask, reasons)))
    }

    fn single(&self, check: &str) -> Answer {
        match self.failure(check) {
            None => text(200, false, Body::Static(b"ok")),
            Some(Failure { public, .. }) => {
                text(500, true, Body::Whole(format!("internal server error: {public}\n").into_bytes()))
            }
        }
    }

    fn failure(&self, check: &str) -> Option<Failure> {
        match check {
            TIMELY => self.late(),
            STORAGE => self.nothing_to_serve(),
            INFORMERS => self.not_listed(),
            SHUTDOWN if self.vitals.stopping => {
                let public = "process is shutting down".to_owned();
                Some(Failure { private: public.clone(), public })
            }
            _ => None,
        }
    }

    /// A tick takes longer than 1.5 resolutions. Failed scrapes do not matter, and before the first tick all is well.
    fn late(&self) -> Option<Failure> {
        let age = self.vitals.tick_age?;
        let limit = self.resolution.mul_f64(1.5);
        (age > limit).then(|| Failure {
            public: "metric collection didn't finish on time".to_owned(),
            private: format!(
                "the last round over the nodes began {age:.1?} ago, at most {limit:.1?} is fine"
            ),
        })
    }

    /// No node, or no pod, has two points.
    fn nothing_to_serve(&self) -> Option<Failure> {
        let pods = self.ready.pods || self.vitals.pods_optional;
        let missing = match (self.ready.nodes, pods) {
            (true, true) => return None,
            (false, true) => "no node has two points yet",
            (true, false) => "no pod has two points yet",
            (false, false) => "no node and no pod has two points yet",
        };
        Some(Failure {
            public: "no metrics to serve".to_owned(),
            private: format!("{missing}; if this lasts, look for failing scrapes in this log"),
        })
    }

    /// The API server has not been listed yet.
    fn not_listed(&self) -> Option<Failure> {
        if self.vitals.unauthorized {
            return Some(Failure {
                public: "the API server refuses our credentials (401)".to_owned(),
                private: "the API server refuses our credentials (401): the inventory is old; renew token or client \
                          certificate"
                    .to_owned(),
            });
        }
        let Readiness { nodes_synced, pods_synced, .. } = self.ready;
        let pods_synced = pods_synced || self.vitals.pods_optional;
        let kinds: Vec<_> = [("nodes", nodes_synced), ("pods", pods_synced)]
            .iter()
            .filter(|kind| !kind.1)
            .map(|kind| kind.0)
            .collect();
        (!kinds.is_empty()).then(|| Failure {
            public: format!("{} informers not started yet: [{}]", kinds.len(), kinds.join(" ")),
            private: format!("the API server has not listed {} yet", kinds.join(" and ")),
        })
    }
}

/// Plain text; the single checks of metrics-server lack the `nosniff` when they pass.
fn text(status: u16, nosniff: bool, body: Body) -> Answer {
    let mut headers = vec![("Content-Type", "text/plain; charset=utf-8".into())];
    if nosniff {
        headers.push(("X-Content-Type-Options", "nosniff".into()));
    }
    Answer { status, headers, body }
}

#[cfg(test)]
mod tests;
