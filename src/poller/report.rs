//! What a scrape that succeeded has to report: one line when something odd begins, and one when it ends.

use crate::log_once::LogOnce;
use crate::source::{SourceError, address};
use crate::store::batch::{Batch, Dropped};
use crate::store::{Commit, Target};
use log::Level::Warn;

/// An answer without samples whose kubelet says that it could not collect them is a failed scrape.
pub fn check(batch: &Batch) -> Result<(), SourceError> {
    let contents = batch.contents();
    if contents.sample_count > 0 || !contents.scrape_error {
        return Ok(());
    }
    Err(SourceError {
        reason: "scrape_error",
        message: "the kubelet could not collect its statistics (scrape_error 1)".to_owned(),
        hint: "see the kubelet's log about cgroups and the container runtime".into(),
    })
}

/// Logs annotations about kubelets that cannot be used, once for each node and value.
pub(super) fn log_invalid_annotations(log: &LogOnce, targets: &[Target]) {
    for target in targets {
        let (subject, name) = (("annotation", &target.name), &target.name);
        match address::invalid(target) {
            None => {
                log.recovered(subject, format_args!("node {name}: its annotations can be used again"));
            }
            Some((key, problem)) => {
                let message = format_args!(
                    "node {name}: annotation {key}: {problem}; the node's status counts instead until it is mended"
                );
                log.problem(Warn, subject, &problem, message);
            }
        }
    }
}

/// Logs that two nodes have one address, once for each pair.
pub(super) fn log_shared_address(log: &LogOnce, targets: &[Target]) {
    let Some((one, other, address)) = address::shared(targets) else {
        log.recovered("shared address", "every node has an address of its own again");
        return;
    };
    let message = format_args!(
        "nodes {one} and {other} both have the address {address}: the kubelet there is read for both, so one of them shows \
         the other's figures; delete the Node object of the one that is gone, or give each an address of its own"
    );
    log.problem(Warn, "shared address", (one, other, address), message);
}

/// Logs what a commit and its body have that is not as it should be, once for each change.
pub(super) fn log_oddities(log: &LogOnce, node: &str, batch: &Batch, dropped: &Dropped, commit: &Commit) {
    let log = |subject: &'static str, state: &str, problem: Option<String>, recovery: &str| match problem {
        Some(problem) => {
            log.problem(Warn, (subject, node), state, format_args!("node {node}: {problem}"));
        }
        None => {
            log.recovered((subject, node), format_args!("node {node}: {recovery}"));
        }
    };
    let claim = commit.first_claim.as_ref().map(|claim| {
        let (namespace, pod, owner) = (&claim.namespace, &claim.pod, &claim.owner);
        (
            owner,
            format!(
                "reports pod {namespace}/{pod} ({} in all), which belongs to node {owner}; the node that the \
                          API server names, or the newer samples, count",
                commit.claimed_pods
            ),
        )
    });
    let owner = claim.as_ref().map_or("", |(owner, _)| owner);
    log(
        "claim",
        owner,
        claim.as_ref().map(|(_, text)| text.clone()),
        "reports no pod of another node any more",
    );
    let repeated = batch.first_repeated().map(|key| {
        format!(
            "reports container {} of pod {}/{} several times, as when the cgroup of an old instance remains; the \
             instance that goes on is served, restart the kubelet or remove the old cgroup",
            key.container, key.namespace, key.pod
        )
    });
    log("repeated", "", repeated, "reports every container once again");
    let unusable = dropped.first.map(|(line, reason)| {
        format!(
            "its kubelet's answer has lines that are left out ({} in all), the first is line {line}: {reason}; see the \
             kubelet's log",
            dropped.bad_lines
        )
    });
    let reason = dropped.first.map_or("", |(_, reason)| reason);
    log("lines", reason, unusable, "every line of its kubelet's answer is used again");
    let steps = commit.clock_steps;
    let stepped = (steps > 0).then(|| {
        format!("its clock stepped: {steps} of its samples give no rate until the next scrape; synchronise its clock")
    });
    log("clock", "", stepped, "its clock runs as ours again");
    let contents = batch.contents();
    let error = contents.scrape_error.then(|| {
        "its kubelet could not collect some statistics (scrape_error 1); see the kubelet's log".to_owned()
    });
    log("scrape_error", "", error, "its kubelet collects all statistics again");
    let bare = (contents.pod_count > 0 && batch.pods().next().is_none()).then(|| {
        "reports pods, but none of their containers; see the kubelet's log about the container runtime"
            .to_owned()
    });
    log("bare", "", bare, "reports containers again");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnixNanos;

    #[test]
    fn a_kubelet_that_collects_nothing_is_a_failure_with_a_reason_of_its_own() {
        let read = |body: &str| {
            let mut batch = Batch::new();
            batch.begin(UnixNanos(0));
            batch.feed(body.as_bytes()).unwrap();
            batch.finish();
            check(&batch).err().map(|error| error.reason)
        };
        let error = include_str!("../../tests/golden/kubelet/scrape-error.txt");
        assert_eq!(read(error), Some("scrape_error"));
        assert_eq!(
            read(&format!("{error}node_memory_working_set_bytes 5 5\n")),
            None,
            "something was collected"
        );
        assert_eq!(read(include_str!("../../tests/golden/kubelet/metrics-resource.txt")), None);
    }
}
