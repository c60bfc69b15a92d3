//! The list of paths: the answer to `/`, and with 404 to every path outside of them.
//!
//! Always indented JSON, whatever the client asked for, without a line end. Any method gets it.

use super::answer::{Answer, Body};
use super::health;

/// Paths in order; the checks of the three health endpoints are put in by name.
const PATHS: [&str; 14] = [
    "/apis",
    "/apis/metrics.k8s.io",
    "/apis/metrics.k8s.io/v1",
    "/apis/metrics.k8s.io/v1beta1",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/readyz",
    "/status",
    "/status.json",
    "/version",
];

/// The answer to `/` and `/index.html`.
#[must_use]
pub fn root() -> Answer {
    answer(200)
}

/// The answer to paths that nothing is served at.
#[must_use]
pub fn not_found() -> Answer {
    answer(404)
}

fn answer(status: u16) -> Answer {
    let mut body = String::from("{\n  \"paths\": [");
    let mut first = true;
    let mut add = |path: &str, check: &str| {
        body.push_str(if first { "\n    \"" } else { ",\n    \"" });
        body.push_str(path);
        if !check.is_empty() {
            body.push('/');
            body.push_str(check);
        }
        body.push('"');
        first = false;
    };
    for path in PATHS {
        add(path, "");
        let mut checks: Vec<&str> = health::checks(path).collect();
        checks.sort_unstable();
        checks.iter().for_each(|check| add(path, check));
    }
    body.push_str("\n  ]\n}");
    let headers = vec![("Content-Type", "application/json".into())];
    Answer { status, headers, body: Body::Whole(body.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_sorted_and_those_of_metrics_server_but_for_v1_and_status() {
        let Answer { status: 404, body: Body::Whole(body), .. } = not_found() else { panic!("not a 404") };
        let golden = include_str!("../../tests/golden/api/index.json");
        let wanted = golden
            .replace("    \"/statusz\",\n", "    \"/status\",\n    \"/status.json\",\n")
            .replace("k8s.io/v1beta1\"", "k8s.io/v1\",\n    \"/apis/metrics.k8s.io/v1beta1\"");
        assert_eq!(String::from_utf8(body).unwrap(), wanted);
        assert_eq!(root().status, 200);
    }
}
