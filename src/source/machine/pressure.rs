//! What the work of each pod waits for: the pressure files of its cgroup, which version 2 alone has.

use super::HostSource;
use super::cgroup::Hierarchy;
use super::containers::Running;
use crate::store::PodPressure;
use crate::wire::pressure::{self, RESOURCES, Stall};
use std::path::Path;

impl HostSource {
    /// Reads three files of every pod that runs here; in order of namespace, then name. Without a tree of version 2, or a kernel
    /// that accounts pressure, there is none.
    pub fn pod_pressures(&mut self) -> Vec<PodPressure> {
        let Hierarchy::Unified(root) = &self.hierarchy else { return Vec::new() };
        let mut found = Vec::new();
        let running = self.containers.running();
        let same_pod =
            |a: &Running, b: &Running| (&a.link.namespace, &a.link.pod) == (&b.link.namespace, &b.link.pod);
        for containers in running.chunk_by(same_pod) {
            let Some(first) = containers.first() else { continue };
            let Some(cgroup) = first.cgroup.parent().filter(|cgroup| is_of_one_pod(cgroup)) else { continue };
            let directory = root.join(cgroup);
            let mut stall = |resource| -> Option<Stall> {
                let text = self.files.text(&directory.join(format!("{resource}.pressure"))).ok()?;
                Some(pressure::parse(text)?.some)
            };
            let waits = RESOURCES.map(&mut stall);
            if waits.iter().any(Option::is_some) {
                let (namespace, name) = (first.link.namespace.clone(), first.link.pod.clone());
                found.push(PodPressure { namespace, name, waits });
            }
        }
        found
    }
}

/// Whether the kubelet made this cgroup for a pod: `podUID`, or `...-podUID.slice`. With two drivers (k3s) the containers of all
/// pods are in one cgroup, whose figures are no pod's.
fn is_of_one_pod(cgroup: &Path) -> bool {
    let name = cgroup.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("pod") || (name.contains("-pod") && name.ends_with(".slice"))
}
