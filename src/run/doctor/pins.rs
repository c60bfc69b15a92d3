//! Pinned keys of kubelets (`--kubelet-pin`): shown, and forgotten one by one.

use super::finding::{DoctorStep, Finding};
use crate::cli::Config;
use crate::limits;
use crate::net::pins::Pins;
use crate::run::cluster::open_pins;

/// Every pin, up to a bound. Whether kubelets still show these keys is found by the scrapes.
pub fn shown(pins: &Pins) -> Vec<Finding> {
    let all = pins.list();
    let mut findings: Vec<Finding> = all
        .iter()
        .take(limits::DOCTOR_PROBLEMS_MAX)
        .map(|(node, key)| Finding::ok(DoctorStep::Pins, node, format!("pinned is {key}")))
        .collect();
    if all.len() > findings.len() || all.is_empty() {
        let message = format!("{} keys are pinned", all.len());
        findings.push(Finding::ok(DoctorStep::Pins, "", message));
    }
    findings
}

/// Forgets the key of a node.
pub fn forget(config: &Config, node: &str) -> Finding {
    let step = DoctorStep::Pins;
    let done = open_pins(config, true).and_then(|pins| pins.map_or(Ok(None), |pins| pins.forget(node)));
    match done {
        Ok(Some(key)) => Finding::ok(step, node, format!("forgot {key}; the key it shows next is pinned")),
        Ok(None) => {
            let remedy = "write the node's name as kubectl get nodes has it; toplet doctor lists the pins";
            Finding::failed(step, node, "no key of this node is pinned", remedy)
        }
        Err(problem) => {
            let remedy = "run it as the user of toplet or as root, with the flags of the server";
            Finding::failed(step, node, problem, remedy)
        }
    }
}
