//! Which nodes and pods are shown: nodes that fail first, then those that use most CPU.

use crate::counters::Counters;
use crate::limits;
use crate::store::{PodUsage, Store};
use crate::units::{Bytes, Nanocores};

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) nodes: usize,
    pub(super) nodes_failing: usize,
    pub(super) nodes_measured: usize,
    /// Pods of the selection with usage.
    pub(super) pods: usize,
    /// Those without.
    pub(super) pods_without: usize,
    pub(super) cpu: Nanocores,
    pub(super) working_set: Bytes,
}

/// The largest keys of a walk, and the names that go with them.
struct Largest<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
    count_max: usize,
}

impl<K: Ord + Copy, V> Largest<K, V> {
    fn new(count_max: usize) -> Largest<K, V> {
        Largest { keys: Vec::new(), values: Vec::new(), count_max }
    }

    fn offer(&mut self, key: K, value: impl FnOnce() -> V) {
        let place = self.keys.partition_point(|known| *known >= key);
        if place < self.count_max {
            self.keys.truncate(self.count_max - 1);
            self.values.truncate(self.count_max - 1);
            self.keys.insert(place, key);
            self.values.insert(place, value());
        }
    }
}

/// How far the walk is.
enum RankProgress {
    Nodes(Option<String>),
    Pods(Option<(String, String)>),
    Done,
}

/// The walk, and what it found.
pub(super) struct Ranking {
    progress: RankProgress,
    totals: Totals,
    nodes: Largest<(bool, u64), String>,
    pods: Largest<u64, (String, String)>,
}

impl Default for Ranking {
    fn default() -> Self {
        Ranking {
            progress: RankProgress::Nodes(None),
            totals: Totals::default(),
            nodes: Largest::new(limits::STATUS_NODES_MAX),
            pods: Largest::new(limits::STATUS_PODS_MAX),
        }
    }
}

/// CPU and memory of a pod's containers.
pub(super) fn sum(usage: &PodUsage<'_>) -> (Nanocores, Bytes) {
    usage.containers().fold((Nanocores(0), Bytes(0)), |(cpu, working_set), (_, container)| {
        (cpu.saturating_add(container.cpu), working_set.saturating_add(container.working_set))
    })
}

impl Ranking {
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn nodes(&self) -> &[String] {
        &self.nodes.values
    }

    /// Namespace and name of each.
    pub(super) fn pods(&self) -> &[(String, String)] {
        &self.pods.values
    }

    /// Looks at some more objects; `true` when there are none left.
    pub(super) fn walk(
        &mut self,
        store: &Store,
        metrics: &Counters,
        namespace: Option<&str>,
        node: Option<&str>,
    ) -> bool {
        match std::mem::replace(&mut self.progress, RankProgress::Done) {
            RankProgress::Nodes(after) => self.walk_nodes(store, metrics, node, after.as_deref()),
            RankProgress::Pods(after) => self.walk_pods(store, namespace, node, after),
            RankProgress::Done => return true,
        }
        matches!(self.progress, RankProgress::Done)
    }

    fn walk_nodes(&mut self, store: &Store, metrics: &Counters, wanted: Option<&str>, after: Option<&str>) {
        let mut last = None;
        for (count, node) in (1..=limits::LIST_WORK_MAX).zip(store.nodes_after(after)) {
            let is_failing = metrics.is_failing(node.name);
            self.totals.nodes += 1;
            self.totals.nodes_failing += usize::from(is_failing);
            self.totals.nodes_measured += usize::from(node.usage.is_some());
            if wanted.is_none_or(|name| name == node.name) {
                let cpu = node.usage.map_or(0, |usage| usage.cpu.0);
                self.nodes.offer((is_failing, cpu), || node.name.to_owned());
            }
            last = Some(node.name).filter(|_| count == limits::LIST_WORK_MAX);
        }
        self.progress = match last {
            Some(name) => RankProgress::Nodes(Some(name.to_owned())),
            None => RankProgress::Pods(None),
        };
    }

    fn walk_pods(
        &mut self,
        store: &Store,
        namespace: Option<&str>,
        node: Option<&str>,
        after: Option<(String, String)>,
    ) {
        let mut last = None;
        let after = after.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        for (count, pod) in (1..=limits::LIST_WORK_MAX).zip(store.pods_after(namespace, after)) {
            last = Some((pod.namespace(), pod.name())).filter(|_| count == limits::LIST_WORK_MAX);
            if node.is_some() && pod.node() != node {
                continue;
            }
            let Some(usage) = pod.usage else {
                self.totals.pods_without += 1;
                continue;
            };
            let (cpu, working_set) = sum(&usage);
            self.totals.pods += 1;
            self.totals.cpu = self.totals.cpu.saturating_add(cpu);
            self.totals.working_set = self.totals.working_set.saturating_add(working_set);
            self.pods.offer(cpu.0, || (pod.namespace().to_owned(), pod.name().to_owned()));
        }
        self.progress = match last {
            Some((namespace, name)) => RankProgress::Pods(Some((namespace.to_owned(), name.to_owned()))),
            None => RankProgress::Done,
        };
    }
}
