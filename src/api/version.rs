//! `/version`: the keys of Kubernetes' version object, with this program's own values.
//!
//! Always indented JSON; another type in `Accept` is a 406. `goVersion` names the Rust compiler: the key is fixed, and
//! clients only print it. Processor names are those of Kubernetes, not those of Rust.

use super::answer::{Answer, Body};
use super::negotiate;
use super::status::Status;
use crate::wire::request::Head;

/// Answers `GET /version`.
/// # Errors
/// 406.
pub fn answer(head: &Head<'_>) -> Result<Answer, Status> {
    negotiate::json_only(head)?;
    Ok(Answer::ok(negotiate::JSON, Body::Whole(text().into_bytes())))
}

fn text() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    let platform = format!("{}/{}", std::env::consts::OS, processor(std::env::consts::ARCH));
    let pairs = [
        ("major", major),
        ("minor", minor),
        ("emulationMajor", major),
        ("emulationMinor", minor),
        ("minCompatibilityMajor", major),
        ("minCompatibilityMinor", minor),
        ("gitVersion", concat!("v", env!("CARGO_PKG_VERSION"))),
        ("gitCommit", option_env!("TOPLET_COMMIT").unwrap_or("")),
        ("gitTreeState", ""),
        ("buildDate", "1970-01-01T00:00:00Z"),
        ("goVersion", concat!("rust", env!("CARGO_PKG_RUST_VERSION"))),
        ("compiler", "rustc"),
        ("platform", &platform),
    ];
    let lines = pairs.map(|(key, value)| format!("  \"{key}\": \"{value}\""));
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// A processor's name in Kubernetes.
fn processor(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::Header;

    #[test]
    fn the_keys_and_the_layout_are_those_of_metrics_server() {
        let shape = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split("\": \"").next().unwrap_or(line).to_owned()).collect()
        };
        let golden = include_str!("../../tests/golden/api/version.json");
        assert_eq!(shape(&text()), shape(golden));
        assert!(text().contains(concat!("\"gitVersion\": \"v", env!("CARGO_PKG_VERSION"), "\"")));
        assert!(!text().ends_with('\n'));
    }

    #[test]
    fn only_json_is_offered_and_pretty_changes_nothing() {
        let status = |accept: &'static str| {
            let headers = [Header { name: "Accept", value: accept.as_bytes() }];
            answer(&Head { method: "GET", path: "/version", query: Some("pretty=false"), headers: &headers })
                .map_or_else(|status| status.code, |answer| answer.status)
        };
        assert_eq!(status("*/*"), 200);
        assert_eq!(status("application/yaml"), 406);
    }
}
