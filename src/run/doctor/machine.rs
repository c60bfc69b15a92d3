//! Host-only mode: whether this machine's own figures can be read.

use super::finding::{DoctorStep, Finding};
use crate::source::machine::{HostSource, MachineRoots};
use crate::source::{Source, SourceError};
use crate::store::Target;
use crate::store::batch::Batch;

/// Reads this machine once, as the server does.
pub fn readable() -> Vec<Finding> {
    let mut source = match HostSource::open(MachineRoots::default()) {
        Ok(source) => source,
        Err(error) => return vec![failed("", &error)],
    };
    let name = source.name().to_owned();
    let target = Target {
        name: name.clone(),
        addresses: Vec::new(),
        kubelet_port: 0,
        metrics_path: String::new(),
        ready: true,
    };
    let mut batch = Batch::new();
    let node = match source.read(&target, &mut batch) {
        Err(error) => failed(&name, &error),
        Ok(_) if batch.node().is_none() => {
            let remedy = "mount the host's /proc and /sys/fs/cgroup, and see the log of toplet";
            Finding::failed(
                DoctorStep::Machine,
                &name,
                "CPU and memory of the machine cannot be read",
                remedy,
            )
        }
        Ok(_) => Finding::ok(DoctorStep::Machine, &name, "CPU and memory of the machine can be read"),
    };
    let pods = match source.has_links() {
        Ok(()) => Finding::ok(DoctorStep::Machine, "log links of containers", "can be listed"),
        Err(error) => {
            let message = format!("no pod is served: {}", error.message);
            Finding::skipped(DoctorStep::Machine, "log links of containers", message).with_remedy(error.hint)
        }
    };
    vec![node, pods]
}

fn failed(name: &str, error: &SourceError) -> Finding {
    Finding::failed(DoctorStep::Machine, name, &error.message, &error.hint)
}
