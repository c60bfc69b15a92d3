//! The subcommands: which one the words ask for, and the flags that belong to one of them alone.

use super::argv::Settled;
use super::error::{StartError, ValueOrigin};
use super::flags::{FLAGS, Flag, SUBCOMMANDS};
use super::top::TOP_FLAGS;
use super::value;
use crate::limits;
use std::net::IpAddr;
use std::path::PathBuf;

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// A line for each finding, and one below it for what to do.
    Text,
    /// One JSON document.
    Json,
}

/// What `toplet setup` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupOptions {
    /// An administrator's kubeconfig; `None`: that of k3s or kubeadm on this machine.
    pub kubeconfig: Option<PathBuf>,
    /// The address of this node that the API server reaches; `None`: as its Node says.
    pub address: Option<IpAddr>,
    /// Change nothing, and print what would be.
    pub dry_run: bool,
    /// Remove what an earlier run made.
    pub undo: bool,
    /// Take the place of what others made.
    pub replace: bool,
    /// Start the service.
    pub start: bool,
    /// Directory that all paths of this machine are below, `/` as a rule.
    pub root: PathBuf,
}

/// A way to run toplet, by the Kubernetes objects that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// In a pod, as metrics-server.
    Deployment,
    /// In a pod of one kubelet.
    StaticPod,
    /// As a service of a node.
    Host,
    /// The rights alone.
    Rbac,
    /// What `toplet doctor` reads beyond them.
    DoctorRbac,
}

impl ManifestKind {
    /// Every kind with its name on the command line.
    pub const ALL: [(&'static str, ManifestKind); 5] = [
        ("deployment", ManifestKind::Deployment),
        ("static-pod", ManifestKind::StaticPod),
        ("host", ManifestKind::Host),
        ("rbac", ManifestKind::Rbac),
        ("doctor-rbac", ManifestKind::DoctorRbac),
    ];
}

/// What `toplet manifest` is to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestOptions {
    /// The way to run toplet.
    pub kind: ManifestKind,
    /// The host's address, of [`ManifestKind::Host`]; `None`: an example.
    pub address: Option<IpAddr>,
    /// Pods of [`ManifestKind::Deployment`].
    pub replicas: u32,
}

/// Flags that have a meaning for one subcommand alone.
const OF_ONE: [(&str, &[&str]); 3] = [
    ("doctor", &["output", "forget-pin"]),
    ("setup", &["dry-run", "undo", "replace", "no-start", "root"]),
    ("manifest", &["replicas"]),
];

/// Flags of the server that `toplet setup` takes.
const OF_SETUP_TOO: [&str; 2] = ["kubeconfig", "advertise-address"];

/// Refuses flags of another subcommand than the one that was given.
pub(super) fn refuse_flags_of_others(settled: &Settled, command: Option<&str>) -> Result<(), StartError> {
    for (name, flags) in OF_ONE.iter().filter(|(name, _)| command != Some(name)) {
        if let Some(flag) = flags.iter().find(|flag| settled.changed(flag)) {
            return Err(settled.error(flag, format!("is of toplet {name} alone"), "leave it out"));
        }
    }
    Ok(())
}

/// The flags that a subcommand, or the server, takes.
pub(super) fn flags_of(command: Option<&str>) -> Vec<&'static Flag> {
    let own = OF_ONE.iter().find(|(name, _)| command == Some(name)).map_or(&[][..], |(_, flags)| flags);
    let known = |name: &str| match command {
        Some("completion") => name == "help",
        Some("manifest") => ["advertise-address", "help"].contains(&name),
        Some("setup") => own.contains(&name) || OF_SETUP_TOO.contains(&name) || name == "help",
        _ => own.contains(&name) || OF_ONE.iter().all(|(_, flags)| !flags.contains(&name)),
    };
    let table = if command == Some("top") { TOP_FLAGS } else { FLAGS };
    table.iter().filter(|flag| command == Some("top") || known(flag.name)).collect()
}

/// The flags of `toplet doctor`.
pub(super) fn report_form(settled: &Settled) -> Result<ReportForm, StartError> {
    let text = settled.text("output");
    if !settled.text("forget-pin").is_empty() && !settled.read("kubelet-pin", value::switch)? {
        return Err(settled.error(
            "forget-pin",
            "needs --kubelet-pin",
            "give the flags of the server as well",
        ));
    }
    match text.as_str() {
        "" | "text" => Ok(ReportForm::Text),
        "json" => Ok(ReportForm::Json),
        other => Err(settled.error("output", format!("`{other}` is neither text nor json"), "write -o json")),
    }
}

/// The subcommand, its argument, and a warning.
pub(super) type Words = (Option<&'static str>, Option<String>, Option<String>);

/// The subcommand and its argument, and a warning about words that are neither: a container's `command` repeated among its
/// `args`, or the value of a switch that was written as a word of its own. metrics-server passes over them.
pub(super) fn subcommand(words: &[String]) -> Result<Words, StartError> {
    let is_stray = |word: &&String| {
        let program =
            word.rsplit('/').next().is_some_and(|name| ["metrics-server", "toplet"].contains(&name));
        program || word.contains('/') || value::switch(word).is_ok()
    };
    let (stray, words): (Vec<&String>, Vec<&String>) = words.iter().partition(is_stray);
    let names: Vec<String> = stray.iter().map(|word| format!("`{word}`")).collect();
    let warning = (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("arguments without effect: {names}; the value of a switch is written --switch=false")
    });
    let error = |word: &String, problem| {
        let known: Vec<String> = SUBCOMMANDS.iter().map(|(name, _)| format!("toplet {name}")).collect();
        let remedy = format!("the commands are: {}", known.join(", "));
        StartError::new(word.clone(), ValueOrigin::CommandLine, problem, remedy)
    };
    let (command, rest) = match words.as_slice() {
        [] => (None, None),
        [word, rest @ ..] => {
            let known = SUBCOMMANDS.iter().find(|(name, _)| name == word);
            let (name, _) = known.ok_or_else(|| error(word, "unknown command"))?;
            (Some(*name), Some(rest))
        }
    };
    match (command, rest.unwrap_or_default()) {
        (_, []) => Ok((command, None, warning)),
        (Some("manifest" | "completion"), [kind]) => Ok((command, Some((*kind).clone()), warning)),
        (Some("manifest" | "completion"), [_, word, ..]) | (_, [word, ..]) => {
            Err(error(word, "unexpected argument"))
        }
    }
}

/// `toplet manifest KIND`.
pub(super) fn manifest(settled: &Settled, argument: Option<&str>) -> Result<ManifestOptions, StartError> {
    let argument = argument.unwrap_or_default();
    let Some((_, kind)) = ManifestKind::ALL.into_iter().find(|(name, _)| *name == argument) else {
        let names = ManifestKind::ALL.map(|(name, _)| name).join(", ");
        let problem =
            if argument.is_empty() { "names no kind of manifest" } else { "unknown kind of manifest" };
        let subject = format!("manifest {argument}");
        return Err(StartError::new(
            subject.trim_end(),
            ValueOrigin::CommandLine,
            problem,
            format!("give one of {names}"),
        ));
    };
    let address = node_address(settled)?;
    if address.is_some() && kind != ManifestKind::Host {
        let problem = "is of toplet manifest host and toplet setup alone";
        return Err(settled.error("advertise-address", problem, "leave it out"));
    }
    let replicas = settled.read("replicas", value::int)?;
    if settled.changed("replicas") && kind != ManifestKind::Deployment {
        return Err(settled.error("replicas", "is of toplet manifest deployment alone", "leave it out"));
    }
    if replicas > limits::REPLICAS_MAX {
        let problem = format!("{replicas} pods each read every kubelet");
        return Err(settled.error("replicas", problem, &format!("give 0 to {}", limits::REPLICAS_MAX)));
    }
    Ok(ManifestOptions { kind, address, replicas })
}

/// `toplet setup`: what the service does stands in its file of flags.
pub(super) fn setup(settled: &Settled) -> Result<SetupOptions, StartError> {
    let switch = |name| settled.read(name, value::switch);
    let known = |name: &&str| OF_ONE[1].1.contains(name) || OF_SETUP_TOO.contains(name);
    let mut given = settled.settings.iter().map(|setting| setting.flag.name);
    if let Some(name) = given.find(|name| settled.given(name) && !known(name)) {
        let remedy = "write it into /etc/toplet/toplet.conf, then run toplet setup again";
        return Err(settled.error(name, "is a flag of the server", remedy));
    }
    let options = SetupOptions {
        kubeconfig: settled.path("kubeconfig"),
        address: node_address(settled)?,
        dry_run: switch("dry-run")?,
        undo: switch("undo")?,
        replace: switch("replace")?,
        start: !switch("no-start")?,
        root: settled.path("root").unwrap_or_else(|| PathBuf::from("/")),
    };
    if options.undo && (options.replace || !options.start) {
        return Err(settled.error(
            "undo",
            "cannot be used together with --replace or --no-start",
            "leave one of them out",
        ));
    }
    Ok(options)
}

/// The node's address, where one was given. EndpointSlices refuse loopback, and nothing reaches the others.
fn node_address(settled: &Settled) -> Result<Option<IpAddr>, StartError> {
    const NAME: &str = "advertise-address";
    if settled.text(NAME).is_empty() {
        return Ok(None);
    }
    let address = settled.read(NAME, value::ip)?;
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        let problem = format!("{address} is not an address of a node");
        return Err(settled.error(
            NAME,
            problem,
            "give the address at which the API server reaches this node",
        ));
    }
    Ok(Some(address))
}
