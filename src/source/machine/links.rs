//! The kubelet's log links: which containers this machine has, by name and ID.
//!
//! The kubelet keeps a link for each container in `/var/log/containers`, `POD_NAMESPACE_CONTAINER-ID.log`, which points
//! into `/var/log/pods`. A link's name is cut at 255 bytes: what is left of it then does not name its container, so the
//! whole pod is left out rather than served without one of its containers. Refused: links beyond
//! `limits::HOST_CONTAINERS_MAX`, with the pod that straddles the limit.

use crate::limits;
use std::fs;
use std::io::Result;
use std::path::Path;

/// A container that has a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogLink {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) id: String,
}

/// The links of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkListing {
    /// In order of namespace, pod, container and ID.
    pub(super) links: Vec<LogLink>,
    /// Pods left out since the name of a container's link is cut.
    pub(super) cut_pods: usize,
    /// Links beyond the limit.
    pub(super) beyond: usize,
}

/// Length of a file name that the kubelet cuts at.
const NAME_LEN_MAX: usize = 255;

/// Lists a directory of links.
/// # Errors
/// It cannot be read.
pub(super) fn list(directory: &Path) -> Result<LinkListing> {
    let (mut links, mut cut) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        match parse(&name) {
            Some(link) => links.push(link),
            None if name.len() >= NAME_LEN_MAX => cut.extend(pod_of(&name)),
            None => {}
        }
    }
    links.sort_unstable();
    cut.sort_unstable();
    cut.dedup();
    links.retain(|link| !cut.iter().any(|(namespace, pod)| (namespace, pod) == (&link.namespace, &link.pod)));
    let beyond = links.len().saturating_sub(limits::HOST_CONTAINERS_MAX);
    if let Some(LogLink { namespace, pod, .. }) = links.get(limits::HOST_CONTAINERS_MAX).cloned() {
        links.truncate(limits::HOST_CONTAINERS_MAX);
        links.retain(|link| (&link.namespace, &link.pod) != (&namespace, &pod));
    }
    Ok(LinkListing { links, cut_pods: cut.len(), beyond })
}

/// Reads a link's name; the names of Kubernetes objects hold no underscore.
fn parse(name: &str) -> Option<LogLink> {
    let (pod, rest) = name.strip_suffix(".log")?.split_once('_')?;
    let (namespace, rest) = rest.split_once('_')?;
    let (container, id) = rest.rsplit_once('-')?;
    let valid = is_name(pod) && is_name(namespace) && is_name(container) && is_id(id);
    let owned = str::to_owned;
    valid.then(|| LogLink {
        namespace: owned(namespace),
        pod: owned(pod),
        container: owned(container),
        id: owned(id),
    })
}

/// Namespace and pod of a link whose name is cut.
fn pod_of(name: &str) -> Option<(String, String)> {
    let (pod, rest) = name.split_once('_')?;
    let (namespace, _) = rest.split_once('_')?;
    (is_name(pod) && is_name(namespace)).then(|| (namespace.to_owned(), pod.to_owned()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

/// Container runtimes make IDs of 64 hexadecimal digits.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_link_names_pod_namespace_and_container() {
        let link = parse(&format!("web-5fddb4c866-h5blb_kube-system_side-car-{ID}.log")).unwrap();
        let LogLink { namespace, pod, container, id } = &link;
        assert_eq!(
            (pod.as_str(), namespace.as_str(), container.as_str(), id.as_str()),
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
            assert_eq!(parse(&name), None, "{name:?}");
        }
    }

    fn listed(test: &str, names: impl Iterator<Item = String>) -> LinkListing {
        let directory = std::env::temp_dir().join(format!("toplet-links-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        names.for_each(|name| fs::write(directory.join(name), "").unwrap());
        let listing = list(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        listing
    }

    #[test]
    fn a_pod_with_a_cut_link_is_left_out_whole() {
        let (long, id) = ("p".repeat(150), |n: u64| format!("{n:064x}"));
        let mut cut = format!("{long}_default_{}-{}", "c".repeat(60), id(1));
        cut.truncate(NAME_LEN_MAX - ".log".len());
        let names =
            [format!("{long}_default_c-{}.log", id(2)), format!("q_default_c-{}.log", id(3)), cut + ".log"];
        let listing = listed("cut", names.into_iter());
        assert_eq!(listing.links.iter().map(|link| link.pod.as_str()).collect::<Vec<_>>(), ["q"]);
        assert_eq!((listing.cut_pods, listing.beyond), (1, 0));
    }

    #[test]
    fn links_beyond_the_limit_are_counted_and_no_pod_is_split_by_it() {
        let names = (0..limits::HOST_CONTAINERS_MAX + 3).map(|n| format!("p{:05}_d_c-{n:064x}.log", n / 2));
        let listing = listed("many", names);
        assert_eq!(listing.beyond, 3);
        assert_eq!(listing.links.len(), limits::HOST_CONTAINERS_MAX);
        let names =
            (0..=limits::HOST_CONTAINERS_MAX).map(|n| format!("p{:05}_d_c-{n:064x}.log", n.div_ceil(2)));
        assert_eq!(listed("split", names).links.len(), limits::HOST_CONTAINERS_MAX - 1);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        assert!(list(Path::new("/nonexistent")).is_err());
    }
}
