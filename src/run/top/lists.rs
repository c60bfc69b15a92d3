//! What the Metrics API lists, as lines of a table.
//!
//! Usage that is missing counts as zero, as for kubectl; an answer that is no list ends the program with a message.

use super::ask::UsageServer;
use crate::cli::{TopOptions, TopSubject};
use crate::units::{Bytes, Nanocores, UnixNanos};
use crate::wire::{percent, quantity, time};
use miniserde::{Deserialize, json};

const ROOT: &str = "/apis/metrics.k8s.io/v1beta1";

/// Usage as it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// CPU.
    pub cpu: Nanocores,
    /// Memory.
    pub memory: Bytes,
    /// Swap.
    pub swap: Bytes,
}

impl Figures {
    /// The sum; saturates.
    #[must_use]
    pub fn plus(self, other: Figures) -> Figures {
        Figures {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            swap: self.swap.saturating_add(other.swap),
        }
    }
}

/// Usage of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLine {
    /// Its name.
    pub name: String,
    /// Its usage.
    pub figures: Figures,
    /// The time of its sample.
    pub at: Option<UnixNanos>,
    /// The time that its CPU is the mean of, in nanoseconds.
    pub window: Option<i64>,
}

/// Usage of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLine {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The sum of its containers.
    pub figures: Figures,
    /// The time of its oldest sample.
    pub at: Option<UnixNanos>,
    /// Its containers and their usage.
    pub containers: Vec<(String, Figures)>,
}

/// What a node has for pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFigure {
    /// Its name.
    pub name: String,
    /// CPU and memory.
    pub figures: Figures,
    /// Swap, where it is known.
    pub swap: Option<Bytes>,
}

#[derive(Deserialize)]
struct ListDocument<T> {
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct UsageObject {
    metadata: ItemMetadata,
    timestamp: Option<String>,
    window: Option<String>,
    usage: Option<UsageItem>,
    containers: Option<Vec<ContainerItem>>,
}

#[derive(Deserialize)]
struct ItemMetadata {
    name: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct ContainerItem {
    name: String,
    usage: Option<UsageItem>,
}

#[derive(Deserialize)]
struct UsageItem {
    cpu: Option<String>,
    memory: Option<String>,
    swap: Option<String>,
}

#[derive(Deserialize)]
struct FigureItem {
    name: String,
    cpu: Option<String>,
    memory: Option<String>,
    swap: Option<String>,
}

/// The path of what is listed, with its query.
#[must_use]
pub fn path(options: &TopOptions) -> String {
    let mut path = ROOT.to_owned();
    if options.subject == TopSubject::Nodes {
        path.push_str("/nodes");
    } else if let Some(namespace) = &options.namespace {
        path.push_str("/namespaces/");
        percent::push(&mut path, namespace, b"-._~");
        path.push_str("/pods");
    } else {
        path.push_str("/pods");
    }
    if let Some(name) = &options.name {
        path.push('/');
        percent::push(&mut path, name, b"-._~");
    }
    let mut separator = '?';
    for (key, value) in [("labelSelector", &options.selector), ("fieldSelector", &options.field_selector)] {
        if !value.is_empty() {
            path.push(separator);
            path.push_str(key);
            path.push('=');
            percent::push(&mut path, value, b"-._~");
            separator = '&';
        }
    }
    path
}

/// The items of a list, or the one object by name.
fn items(server: &UsageServer, options: &TopOptions) -> Result<Vec<UsageObject>, String> {
    let path = path(options);
    let text = server.json(&path)?;
    let items = match &options.name {
        Some(_) => json::from_str(&text).map(|item| vec![item]),
        None => json::from_str(&text).map(|list: ListDocument<UsageObject>| list.items.unwrap_or_default()),
    };
    items.map_err(|_| format!("{path}: the answer is no document of the Metrics API"))
}

impl NodeLine {
    /// Asks for nodes.
    /// # Errors
    /// There is no answer, or a refusal.
    pub fn list(server: &UsageServer, options: &TopOptions) -> Result<Vec<NodeLine>, String> {
        let of_nodes =
            TopOptions { subject: TopSubject::Nodes, field_selector: String::new(), ..options.clone() };
        items(server, &of_nodes)?
            .into_iter()
            .map(|item| {
                Ok(NodeLine {
                    at: item.timestamp.as_deref().and_then(time::parse_rfc3339),
                    figures: figures(item.usage.as_ref(), &item.metadata.name)?,
                    window: item.window.as_deref().and_then(|text| time::parse_duration(text).ok()),
                    name: item.metadata.name,
                })
            })
            .collect()
    }
}

impl PodLine {
    /// Asks for pods.
    /// # Errors
    /// There is no answer, or a refusal.
    pub fn list(server: &UsageServer, options: &TopOptions) -> Result<Vec<PodLine>, String> {
        let of_pods = TopOptions { subject: TopSubject::Pods, ..options.clone() };
        // kubectl asks the API of all namespaces for a pod by name as well, which has no such path.
        if options.name.is_some() && options.namespace.is_none() {
            return Err("a pod by name needs its namespace; leave -A out, or write -n NAMESPACE".to_owned());
        }
        items(server, &of_pods)?.into_iter().map(pod_line).collect()
    }
}

fn pod_line(item: UsageObject) -> Result<PodLine, String> {
    let containers = item.containers.unwrap_or_default().into_iter().map(|container| {
        let figures = figures(container.usage.as_ref(), &item.metadata.name)?;
        Ok((container.name, figures))
    });
    let containers: Vec<(String, Figures)> = containers.collect::<Result<_, String>>()?;
    Ok(PodLine {
        namespace: item.metadata.namespace.unwrap_or_default(),
        name: item.metadata.name,
        figures: containers.iter().fold(Figures::default(), |sum, (_, figures)| sum.plus(*figures)),
        at: item.timestamp.as_deref().and_then(time::parse_rfc3339),
        containers,
    })
}

impl NodeFigure {
    /// Asks what nodes have for pods; empty where the server does not say, as an API server.
    #[must_use]
    pub fn list(server: &UsageServer) -> Vec<NodeFigure> {
        let text = server.json("/allocatable").unwrap_or_default();
        let list = json::from_str::<ListDocument<FigureItem>>(&text).ok().and_then(|list| list.items);
        list.unwrap_or_default()
            .into_iter()
            .map(|item| NodeFigure {
                name: item.name,
                figures: Figures {
                    cpu: cpu(item.cpu.as_ref()),
                    memory: bytes(item.memory.as_ref()),
                    swap: Bytes(0),
                },
                swap: item.swap.as_deref().and_then(quantity::parse_bytes),
            })
            .collect()
    }
}

/// What a node has; zero where the server does not say, of which no share is shown.
fn cpu(text: Option<&String>) -> Nanocores {
    text.and_then(|text| quantity::parse_cpu(text)).unwrap_or_default()
}

/// As [`cpu`].
fn bytes(text: Option<&String>) -> Bytes {
    text.and_then(|text| quantity::parse_bytes(text)).unwrap_or_default()
}

/// What an object uses; swap is zero where nobody reports it.
fn figures(usage: Option<&UsageItem>, name: &str) -> Result<Figures, String> {
    let read = |usage: &UsageItem| {
        let swap = usage.swap.as_deref().map_or(Some(Bytes(0)), quantity::parse_bytes)?;
        let (cpu, memory) = (usage.cpu.as_deref()?, usage.memory.as_deref()?);
        Some(Figures { cpu: quantity::parse_cpu(cpu)?, memory: quantity::parse_bytes(memory)?, swap })
    };
    // Zero in its place would be a wrong number.
    usage
        .and_then(read)
        .ok_or_else(|| format!("the usage of {name} lacks cpu or memory, or they are no quantities"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_that_cannot_be_read_is_an_error_and_never_zero() {
        let read = |usage: &str| figures(json::from_str::<UsageItem>(usage).ok().as_ref(), "n1");
        for usage in [
            "null",
            "{}",
            r#"{"cpu":"1m"}"#,
            r#"{"memory":"1Mi"}"#,
            r#"{"cpu":"many","memory":"1Mi"}"#,
            r#"{"cpu":"1m","memory":"-1Mi"}"#,
            r#"{"cpu":"1m","memory":"1Mi","swap":"x"}"#,
        ] {
            assert!(read(usage).is_err_and(|problem| problem.contains("the usage of n1 lacks")), "{usage}");
        }
        let good = read(r#"{"cpu":"1500u","memory":"2Ki"}"#).unwrap();
        assert_eq!(
            (good.cpu, good.memory, good.swap),
            (quantity::parse_cpu("1500u").unwrap(), Bytes(2048), Bytes(0))
        );
    }
}
