//! Which containers run here, and where their cgroups are.
//!
//! The kubelet keeps a link a container, `POD_NAMESPACE_CONTAINER-ID.log`; the cgroup of a running one is a directory
//! whose name ends with that ID (`ID`, `cri-containerd-ID.scope`, `crio-ID.scope`, `docker-ID.scope`), anywhere below
//! the root. The tree is walked only after the links changed, and a few times more for containers that are just being
//! made. Links of ended containers stay for a while: they have no cgroup and are passed over.

use super::{Hierarchy, Roots};
use crate::limits;
use crate::units::UnixNanos;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One running container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Container {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) name: String,
    id: String,
    /// Below the root of each hierarchy.
    pub(super) cgroup: PathBuf,
    pub(super) started_at: UnixNanos,
}

/// The containers of this machine.
#[derive(Debug, Default)]
pub(super) struct Containers {
    /// Of the last listing, sorted.
    links: Vec<String>,
    running: Vec<Container>,
    walks_left: u8,
    listed: bool,
}

/// Walks after the last change: a container's link is made before its cgroup.
const WALKS: u8 = 4;

impl Containers {
    /// In order of namespace, pod, container.
    pub(super) fn running(&self) -> &[Container] {
        &self.running
    }

    /// A container's cgroup is gone: look again.
    pub(super) fn note_gone(&mut self) {
        self.walks_left = self.walks_left.max(1);
    }

    /// Lists the links, and finds the cgroups if anything changed; says whether other containers run than before.
    /// The first call always does: a machine without pods has an inventory too, an empty one.
    pub(super) fn refresh(&mut self, roots: &Roots, hierarchy: &Hierarchy) -> bool {
        let first = !std::mem::replace(&mut self.listed, true);
        let links = list(&roots.containers);
        if links != self.links {
            self.links = links;
            self.walks_left = WALKS;
        }
        if self.walks_left == 0 {
            return first;
        }
        self.walks_left -= 1;
        let before = std::mem::take(&mut self.running);
        let mut wanted: Vec<Container> = self.links.iter().filter_map(|link| container(link)).collect();
        wanted.sort_by(|a, b| a.id.cmp(&b.id));
        let tree = match hierarchy {
            Hierarchy::Unified(root) | Hierarchy::Split { cpu: root, .. } => root,
        };
        let mut search =
            Search { root: tree, wanted, found: Vec::new(), directories_left: limits::HOST_CGROUPS_MAX };
        search.walk(Path::new(""), limits::HOST_CGROUP_DEPTH_MAX);
        self.running = search.found;
        for container in &mut self.running {
            let known = before.iter().find(|known| known.id == container.id);
            container.started_at =
                known.map_or_else(|| started_at(tree, &container.cgroup), |known| known.started_at);
        }
        self.running.sort();
        before != self.running || first
    }
}

/// The names of the links that name a container, sorted.
fn list(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        // No kubelet here.
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut links: Vec<String> =
        names.filter(|name| container(name).is_some()).take(limits::HOST_CONTAINERS_MAX).collect();
    links.sort();
    links
}

/// Reads a link's name; the names of Kubernetes objects hold no underscore.
fn container(link: &str) -> Option<Container> {
    let (pod, rest) = link.strip_suffix(".log")?.split_once('_')?;
    let (namespace, rest) = rest.split_once('_')?;
    let (name, id) = rest.rsplit_once('-')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    let valid = is_name(pod) && is_name(namespace) && is_name(name) && is_id(id);
    valid.then(|| Container {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        name: name.to_owned(),
        id: id.to_owned(),
        cgroup: PathBuf::new(),
        started_at: UnixNanos::UNKNOWN,
    })
}

/// Container runtimes make IDs of 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The ID in a cgroup's name.
fn id_of(directory: &str) -> Option<&str> {
    let name = directory.strip_suffix(".scope").unwrap_or(directory);
    let id = name.rsplit_once(['-', ':']).map_or(name, |(_, id)| id);
    is_id(id).then_some(id)
}

struct Search<'a> {
    root: &'a Path,
    /// Sorted by ID.
    wanted: Vec<Container>,
    found: Vec<Container>,
    directories_left: u32,
}

impl Search<'_> {
    /// Looks at the directories of `below` and, `depth` levels deep, at theirs.
    fn walk(&mut self, below: &Path, depth: u8) {
        let Ok(entries) = fs::read_dir(self.root.join(below)) else {
            return;
        };
        for entry in entries.flatten() {
            if self.wanted.is_empty() || self.directories_left == 0 {
                return;
            }
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            self.directories_left -= 1;
            let name = entry.file_name();
            let path = below.join(&name);
            let id = name.to_str().and_then(id_of);
            let place = id.and_then(|id| self.wanted.binary_search_by(|c| c.id.as_str().cmp(id)).ok());
            if let Some(place) = place {
                let mut container = self.wanted.remove(place);
                container.cgroup = path;
                self.found.push(container);
            } else if depth > 0 {
                self.walk(&path, depth - 1);
            }
        }
    }
}

/// When a container's cgroup was made. Taken once and kept: the kernel may give a cgroup's files new times.
fn started_at(root: &Path, cgroup: &Path) -> UnixNanos {
    let path = root.join(cgroup);
    // A directory's own time moves when a child is made; these files' does not.
    let times = ["", "cgroup.events", "cgroup.clone_children"]
        .into_iter()
        .filter_map(|name| fs::metadata(path.join(name)).ok())
        .map(|file| file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec()));
    times.min().map_or(UnixNanos::UNKNOWN, UnixNanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_link_names_pod_namespace_and_container() {
        let link = format!("web-5fddb4c866-h5blb_kube-system_side-car-{ID}.log");
        let container = container(&link).unwrap();
        assert_eq!(
            (
                container.pod.as_str(),
                container.namespace.as_str(),
                container.name.as_str(),
                container.id.as_str()
            ),
            ("web-5fddb4c866-h5blb", "kube-system", "side-car", ID)
        );
    }

    #[test]
    fn other_files_name_nothing() {
        for name in [
            "messages.log".to_owned(),
            format!("a_b_c-{ID}"),
            format!("a_b-{ID}.log"),
            format!("a_b_-{ID}.log"),
            format!("a_b_c-{}.log", &ID[1..]),
            format!("a\"b_b_c-{ID}.log"),
            format!("a_b_c\n-{ID}.log"),
        ] {
            assert_eq!(container(&name), None, "{name:?}");
        }
    }

    #[test]
    fn every_runtimes_cgroup_name_holds_the_id() {
        for name in [
            ID.to_owned(),
            format!("cri-containerd-{ID}.scope"),
            format!("crio-{ID}.scope"),
            format!("docker-{ID}.scope"),
            format!("kubepods-burstable-pod9f801d67:cri-containerd:{ID}"),
        ] {
            assert_eq!(id_of(&name), Some(ID), "{name}");
        }
        for name in ["kubepods.slice", "pod94aed210-ef30-4674-a005-6e845050195c", "crio-0123.scope"] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}
