//! What a watcher asks for: resource, path and query.

use crate::cluster::backoff::chance;
use crate::limits;
use crate::store::Inventory;
use crate::wire::percent;

/// The resource's name, its path, and what to accept for lists and events.
pub(super) const fn names(kind: Inventory) -> (&'static str, &'static str, &'static str, &'static str) {
    match kind {
        Inventory::Nodes => (
            "nodes",
            "/api/v1/nodes?",
            "application/vnd.kubernetes.protobuf",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ),
        Inventory::Pods => (
            "pods",
            "/api/v1/pods?fieldSelector=status.phase%3DRunning&",
            // Whole pods, since metadata alone lacks the node that a pod belongs to.
            "application/vnd.kubernetes.protobuf",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ),
    }
}

/// What stands for itself in a query's value, beside letters and digits.
const UNRESERVED: &[u8] = b"-_.~";

/// Paging is asked for only where it is served as such: any other version with a limit would mean exactly that version.
pub(super) fn list_path(path: &str, version: &str, token: &str) -> String {
    let mut query = path.to_owned();
    if !token.is_empty() {
        query.push_str(&format!("limit={}&continue=", limits::LIST_PAGE_COUNT));
        percent::push(&mut query, token, UNRESERVED);
        return query;
    }
    if matches!(version, "" | "0") {
        query.push_str(&format!("limit={}", limits::LIST_PAGE_COUNT));
    }
    if !version.is_empty() {
        query.push_str(if query.ends_with(['?', '&']) { "resourceVersion=" } else { "&resourceVersion=" });
        percent::push(&mut query, version, UNRESERVED);
    }
    query
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn watch_path(path: &str, version: &str) -> String {
    let seconds = limits::WATCH_SECS_MIN + (f64::from(limits::WATCH_SECS_MIN) * chance()) as u32;
    let mut query =
        format!("{path}allowWatchBookmarks=true&timeoutSeconds={seconds}&watch=true&resourceVersion=");
    percent::push(&mut query, version, UNRESERVED);
    query
}
