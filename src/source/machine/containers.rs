//! Which containers run here, and where their cgroups are.
//!
//! The cgroup of a running container is a directory named after its ID, anywhere below the root: `ID` (cgroupfs driver),
//! `cri-containerd-ID.scope`, `crio-ID.scope`, `docker-ID.scope` (systemd driver), `SLICE:cri-containerd:ID` (k3s, where
//! kubelet and containerd disagree on the driver). Sandboxes ("pause") have no log link and are never looked for; what
//! is nested in a container belongs to it. The tree is walked only after the links changed, and a few times more for
//! containers that are just starting. Links of ended containers stay for a while: they have no cgroup and are passed over.

use super::cgroup::{self, Hierarchy};
use super::files::{self, Files};
use super::links::{self, LinkListing, LogLink};
use crate::limits;
use crate::units::UnixNanos;
use std::fs;
use std::path::{Path, PathBuf};

/// One running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) link: LogLink,
    /// Below the root of each hierarchy.
    pub(super) cgroup: PathBuf,
    /// Start of its oldest process; [`UnixNanos::UNKNOWN`] without one.
    pub(super) started_at: UnixNanos,
}

/// The containers of this machine.
#[derive(Debug, Default)]
pub(super) struct Containers {
    /// Of the last listing.
    listing: LinkListing,
    running: Vec<Running>,
    walks_left: u8,
    listed: bool,
}

/// Where to look.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) proc: &'a Path,
    pub(super) links: &'a Path,
    pub(super) hierarchy: &'a Hierarchy,
}

/// Walks after the last change: a container's link is made before its cgroup.
const WALKS: u8 = 4;

/// Levels below a container's cgroup where its processes may be.
const NESTED_DEPTH_MAX: u8 = 3;

impl Containers {
    /// In order of namespace, pod, container.
    pub(super) fn running(&self) -> &[Running] {
        &self.running
    }

    /// Of the last look.
    pub(super) const fn listing(&self) -> &LinkListing {
        &self.listing
    }

    /// Whether links name containers and, however often looked for, none of their cgroups was found.
    pub(super) fn none_found(&self) -> bool {
        self.walks_left == 0 && self.running.is_empty() && !self.listing.links.is_empty()
    }

    /// A container's cgroup is gone: look again.
    pub(super) fn note_gone(&mut self) {
        self.walks_left = self.walks_left.max(1);
    }

    /// Lists the links, and finds the cgroups if anything changed; says whether other containers run than before.
    /// The first call always does: a machine without pods has an inventory too, an empty one. An error says why the
    /// links could not be listed: no container is known then.
    pub(super) fn refresh(
        &mut self,
        places: Places<'_>,
        files: &mut Files,
        now: UnixNanos,
    ) -> (bool, Option<std::io::Error>) {
        let first = !std::mem::replace(&mut self.listed, true);
        let (listing, error) = match links::list(places.links) {
            Ok(listing) => (listing, None),
            Err(error) => (LinkListing::default(), Some(error)),
        };
        if listing != self.listing {
            self.listing = listing;
            self.walks_left = WALKS;
        }
        if self.walks_left == 0 {
            return (first, error);
        }
        self.walks_left -= 1;
        let before = std::mem::take(&mut self.running);
        let found = find(places.hierarchy.tree(), &self.listing.links);
        let mut started = |link: &LogLink, cgroup: &Path| {
            let known = before.iter().find(|known| known.link.id == link.id).map(|known| known.started_at);
            // Computed once: later on the result would differ by the steps of the clock.
            known
                .filter(|at| *at != UnixNanos::UNKNOWN)
                .unwrap_or_else(|| started_at(places, files, cgroup, now))
        };
        self.running = live(found, &mut started);
        (first || before != self.running, error)
    }
}

/// The cgroups of the containers that have one, below `root`.
fn find(root: &Path, links: &[LogLink]) -> Vec<(LogLink, PathBuf)> {
    let mut wanted = links.to_vec();
    wanted.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut search = Search { root, wanted, found: Vec::new(), directories_left: limits::HOST_CGROUPS_MAX };
    search.walk(Path::new(""), limits::HOST_CGROUP_DEPTH_MAX);
    search.found
}

struct Search<'a> {
    root: &'a Path,
    /// Sorted by ID.
    wanted: Vec<LogLink>,
    found: Vec<(LogLink, PathBuf)>,
    directories_left: u32,
}

impl Search<'_> {
    /// Looks at the directories of `below` and, `depth` levels deep, at theirs.
    fn walk(&mut self, below: &Path, depth: u8) {
        let Ok(entries) = fs::read_dir(self.root.join(below)) else {
            // Ended meanwhile.
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
                self.found.push((self.wanted.remove(place), path));
            } else if depth > 0 {
                self.walk(&path, depth - 1);
            }
        }
    }
}

/// The ID in a cgroup's name. CRI-O's monitor of a container (`crio-conmon-ID.scope`) has the same ID and is none.
fn id_of(directory: &str) -> Option<&str> {
    let name = directory.strip_suffix(".scope").unwrap_or(directory);
    let name = name.rsplit_once(':').map_or(name, |(_, id)| id);
    let prefixes = ["cri-containerd-", "crio-", "docker-", "libpod-"];
    let id = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    links::is_id(id).then_some(id)
}

/// Of several cgroups of one container (it restarted, and what it left is not removed yet) the live one, and of two pods
/// of one name (a static pod that was made again) the live one's containers; in order of namespace, pod, container.
fn live(
    found: Vec<(LogLink, PathBuf)>,
    mut started: impl FnMut(&LogLink, &Path) -> UnixNanos,
) -> Vec<Running> {
    let mut all: Vec<Running> = found
        .into_iter()
        .map(|(link, cgroup)| Running { started_at: started(&link, &cgroup), link, cgroup })
        .collect();
    all.sort_unstable_by(|a, b| a.link.cmp(&b.link));
    let mut kept: Vec<Running> = Vec::with_capacity(all.len());
    for pod in all.chunk_by(|a, b| (&a.link.namespace, &a.link.pod) == (&b.link.namespace, &b.link.pod)) {
        // A container without processes has an unknown start, which is older than any.
        let newest = pod.iter().max_by_key(|container| container.started_at);
        let of_pod = newest.and_then(|container| container.cgroup.parent());
        let same_pod: Vec<_> = pod.iter().filter(|container| container.cgroup.parent() == of_pod).collect();
        for container in same_pod.chunk_by(|a, b| a.link.container == b.link.container) {
            kept.extend(container.iter().max_by_key(|c| c.started_at).map(|c| (*c).clone()));
        }
    }
    kept
}

/// When a container's oldest process started, by the wall clock.
fn started_at(places: Places<'_>, files: &mut Files, cgroup: &Path, now: UnixNanos) -> UnixNanos {
    let path = places.hierarchy.tree().join(cgroup);
    let ticks = cgroup::started_ticks(files, places.proc, &path, NESTED_DEPTH_MAX);
    let uptime = files.text(&places.proc.join("uptime")).ok().and_then(uptime_nanos);
    match (ticks.and_then(files::ticks_nanos), uptime) {
        (Some(started), Some(uptime)) => {
            let age = i64::try_from(uptime.saturating_sub(started)).unwrap_or(i64::MAX);
            UnixNanos(now.0.saturating_sub(age))
        }
        _ => UnixNanos::UNKNOWN,
    }
}

/// Time since the machine started: seconds with two digits after the point.
fn uptime_nanos(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let hundredths = Some(hundredths).filter(|digits| digits.len() == 2)?.parse::<u64>().ok()?;
    files::ticks_nanos(seconds.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_runtimes_cgroup_name_holds_the_id() {
        for name in [
            ID.to_owned(),
            format!("cri-containerd-{ID}.scope"),
            format!("crio-{ID}.scope"),
            format!("docker-{ID}.scope"),
            format!("kubepods-burstable-pod9f801d67.slice:cri-containerd:{ID}"),
        ] {
            assert_eq!(id_of(&name), Some(ID), "{name}");
        }
        for name in [
            "kubepods.slice".to_owned(),
            "pod94aed210-ef30-4674-a005-6e845050195c".to_owned(),
            "crio-0123.scope".to_owned(),
            format!("crio-conmon-{ID}.scope"),
            format!("libpod-conmon-{ID}.scope"),
        ] {
            assert_eq!(id_of(&name), None, "{name}");
        }
    }

    #[test]
    fn uptime_has_hundredths() {
        assert_eq!(uptime_nanos("5308.53 3979.51\n"), Some(5_308_530_000_000));
        assert_eq!(uptime_nanos("5308\n"), None);
        assert_eq!(uptime_nanos(""), None);
    }
}
