//! What a node has for pods: two quantities of its status, and its swap.
//!
//! Source: `NodeStatus` in `generated.proto` of `k8s.io/api/core/v1` (allocatable is field 2, nodeInfo 7), and
//! `kubectl top node`, which takes a node's percentages of them.

use super::protobuf::{Fields, Malformed, Value};
use super::quantity;
use crate::units::{Bytes, Nanocores};

/// What a node has for pods; zero where its status does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocatable {
    /// CPU.
    pub cpu: Nanocores,
    /// Memory.
    pub memory: Bytes,
    /// Swap of the machine, where the kubelet reports it.
    pub swap: Option<Bytes>,
}

impl Allocatable {
    /// Takes an entry of `status.allocatable`: a name, and a quantity. One that is no quantity counts as absent.
    pub(super) fn read_entry(&mut self, entry: Value<'_>) -> Result<(), Malformed> {
        let (mut name, mut text) = ("", "");
        for field in Fields::new(entry.bytes()?) {
            match field? {
                (1, value) => name = value.text()?,
                (2, value) => {
                    for field in Fields::new(value.bytes()?) {
                        if let (1, value) = field? {
                            text = value.text()?;
                        }
                    }
                }
                _ => {}
            }
        }
        match name {
            "cpu" => self.cpu = quantity::parse_cpu(text).unwrap_or_default(),
            "memory" => self.memory = quantity::parse_bytes(text).unwrap_or_default(),
            _ => {}
        }
        Ok(())
    }

    /// Takes `status.nodeInfo`, of which `swap.capacity` counts.
    pub(super) fn read_node_info(&mut self, message: Value<'_>) -> Result<(), Malformed> {
        for field in Fields::new(message.bytes()?) {
            if let (11, value) = field? {
                for field in Fields::new(value.bytes()?) {
                    if let (1, value) = field? {
                        self.swap = Some(Bytes(value.varint()?)).filter(|swap| swap.0 <= i64::MAX as u64);
                    }
                }
            }
        }
        Ok(())
    }
}
