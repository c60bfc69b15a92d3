//! Any document as the API server's answer to a review, and as the ConfigMap of trust: never a yes that another reader
//! of JSON does not find in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use toplet::access::review::Verdict;
use toplet::cluster::authentication::{Known, known};
use toplet::cluster::review::{access_verdict, token_verdict};

fn access(body: &str, other: Option<&Value>) {
    match access_verdict(body) {
        Some(Verdict::Allowed) => {
            assert!(
                other.is_none_or(|v| v["status"]["allowed"] == true && v["status"]["denied"] != true),
                "{body}"
            );
        }
        Some(Verdict::Denied(_) | Verdict::Failed(_)) | None => {}
        Some(verdict) => panic!("{verdict:?}"),
    }
}

fn token(body: &str, other: Option<&Value>) {
    match token_verdict(body) {
        Some(Verdict::Known(identity)) => {
            assert!(identity.extra.is_sorted_by(|a, b| a.0 < b.0));
            let Some(status) = other.map(|value| &value["status"]) else { return };
            assert_eq!(status["authenticated"], true, "{body}");
            assert_eq!(status["user"]["username"].as_str().unwrap_or_default(), identity.user);
            let groups = status["user"]["groups"].as_array().map_or(0, Vec::len);
            assert_eq!(groups, identity.groups.len());
        }
        Some(Verdict::Unknown(_)) | None => {}
        Some(verdict) => panic!("{verdict:?}"),
    }
}

fn trust(body: &str, other: Option<&Value>) {
    let last = Known { client_ca: Some(b"last".to_vec()), ..Known::default() };
    let (now, complaint) = known(body, &last);
    match complaint {
        // What cannot be read stays as it was.
        Some(complaint) => {
            assert!(!complaint.is_empty() && now.front_proxy == last.front_proxy);
        }
        None => {
            let Some(values) = other.map(|value| &value["data"]) else { return };
            let said =
                |key: &str| values[key].as_str().filter(|pem| !pem.trim().is_empty()).map(str::as_bytes);
            assert_eq!(now.client_ca.as_deref(), said("client-ca-file"));
            assert_eq!(now.front_proxy.ca_pem.as_deref(), said("requestheader-client-ca-file"));
            assert!(now.front_proxy.ca_pem.is_some() || now.front_proxy.username_headers.is_empty());
        }
    }
}

fuzz_target!(|body: &str| {
    let other: Option<Value> = serde_json::from_str(body).ok();
    access(body, other.as_ref());
    token(body, other.as_ref());
    trust(body, other.as_ref());
});
