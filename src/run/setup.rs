//! `toplet setup`: from an administrator's kubeconfig to `kubectl top`, in one command, and back.
//!
//! Every object and file is looked at before the first of them changes: what others made is refused, or with `--replace`
//! replaced. What is as it should be stays untouched, so a second run changes nothing and a broken-off one is gone on with.
//! The service gets an account of its own with metrics-server's rights. Its token is that of a Secret, which never
//! expires: a board may be off for longer than a bound token lives, and nothing on the host renews one; deleting the Secret
//! revokes it. The APIServices come last, once something answers behind them. Each step is one line of standard output.

mod files;
mod layout;
mod registration;
mod service;
mod step;

use super::manifest::{self, HostFacts, ManifestObject};
use super::shared::certificate_names;
use crate::cli::{Config, ManifestKind, SetupOptions};
use crate::cluster::client::{ApiServer, hint};
use crate::cluster::kubeconfig;
use crate::cluster::watch::once;
use crate::cluster::{objects, questions};
use crate::host::clock;
use crate::limits;
use crate::net::certificate::{CertificateOrigin, CertificateSettings, Certificates};
use crate::net::pem;
use crate::source::own_node::OwnNode;
use crate::store::Store;
use crate::units::Window;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use files::{FileRecord, FileState, SetupFile};
use layout::Layout;
use registration::{SECRET, Survey};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use step::say;

/// Does what the options say.
/// # Errors
/// What is in the way, and what to do. What was done so far stays; the next run goes on.
pub fn run(options: &SetupOptions) -> Result<(), String> {
    let record = FileRecord::open(&options.root)?;
    if options.undo { undo(options, record) } else { set_up(options, record) }
}

fn set_up(options: &SetupOptions, mut record: FileRecord) -> Result<(), String> {
    let layout = Layout::find(options, &record)?;
    let (kubeconfig, api) = connect(&layout.kubeconfig)?;
    let kubeconfig = kubeconfig?;
    let check = layout.config(&record, options.replace)?;
    let config = check.config();
    let (node, address) = own_address(options, &api, config)?;
    let listen = SocketAddr::new(address, config.listen.port());
    let name = node.as_ref().map_or_else(String::new, |node| format!(" {node}"));
    say("found", &format_args!("this node{name}, served at {listen}"));
    let example = manifest::objects(&manifest::text(ManifestKind::Host, &HostFacts::EXAMPLE));
    let mut survey = Survey::take(&api, &example)?;
    let files = layout.files(&record, listen.port())?;
    let directory = state_directory(config)?;
    if options.dry_run {
        survey.print(&example);
        return print_all(&record, &kubeconfig, &files, listen, &directory);
    }
    if options.replace && layout.has_packaged_metrics_server {
        say(
            "warning",
            &"k3s puts its metrics-server back at its next start: write `disable: [metrics-server]` into /etc/rancher/k3s/config.yaml",
        );
    }
    if !options.replace {
        if survey.has_ours() && record.is_missing() {
            return Err(format!(
                "{ELSEWHERE}; undo it there first, or --replace moves the registration to this node"
            ));
        }
        survey.refuse_foreign(layout.has_packaged_metrics_server)?;
        refuse_files(&record, &files)?;
    }
    let authority = make_authority(&mut record, &directory, config)?;
    let facts = HostFacts { address, port: listen.port(), ca_bundle: Some(authority) };
    let wanted = manifest::objects(&manifest::text(ManifestKind::Host, &facts));
    survey.delete_foreign(&api)?;
    let is_api_service = |object: &ManifestObject| object.path.contains("/apiservices/");
    for (index, object) in wanted.iter().enumerate().filter(|(_, object)| !is_api_service(object)) {
        survey.apply(&api, index, object, options.replace)?;
    }
    let has_changed = write_files(&mut record, &kubeconfig, &api, files, options.replace)?;
    let starts = options.start && options.root == Path::new("/") && record.at("/run/systemd/system").exists();
    if starts {
        service::start(has_changed)?;
        service::answers(listen)?;
    }
    for (index, object) in wanted.iter().enumerate().filter(|(_, object)| is_api_service(object)) {
        survey.apply(&api, index, object, options.replace)?;
    }
    if starts {
        return service::is_served(&api, node.as_deref());
    }
    let (flags, kubeconfig) = (layout::FLAG_FILE, layout::KUBECONFIG);
    say("left out", &"starting it: systemctl enable --now toplet.socket toplet.path toplet.service");
    say(
        "",
        &format_args!(
            "without systemd, as root: toplet --config={flags} --kubeconfig={kubeconfig} --state-dir={}",
            layout::STATE
        ),
    );
    Ok(())
}

/// A client for the administrator's kubeconfig, that the API server accepts; before it the kubeconfig of the service, or why
/// there can be none.
fn connect(path: &Path) -> Result<(Result<String, String>, ApiServer), String> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let access = kubeconfig::load(path)
        .map_err(|error| if is_root { error } else { format!("run toplet setup as root: {error}") })?;
    let kubeconfig = layout::kubeconfig(&access);
    let api = ApiServer::new(access)?;
    let version = questions::version(&api, limits::SETUP_REQUEST_TIME_MAX).map_err(|error| {
        format!("{}: {error}; {}", api.base(), hint(error.reason, "\"get\" on \"/version\" to its user"))
    })?;
    say("found", &format_args!("API server {} ({version}) of {}", api.base(), path.display()));
    Ok((kubeconfig, api))
}

/// This node's name and address by its Node, or the address that was given.
fn own_address(
    options: &SetupOptions,
    api: &ApiServer,
    config: &Config,
) -> Result<(Option<String>, IpAddr), String> {
    if let Some(address) = options.address {
        return Ok((None, address));
    }
    let mut store = Store::new(config.capacity, Window::from_duration(config.resolution));
    once::list_nodes(api, &mut store, limits::LIST_TIMEOUT).map_err(|error| {
        format!(
            "nodes: {error}; {}",
            hint(error.reason, "\"list\" on \"nodes\" to the user of the kubeconfig")
        )
    })?;
    let remedy = "run it on a node of the cluster, or give --advertise-address=ADDRESS";
    match OwnNode::new(Arc::new(Mutex::new(store))).find() {
        Some((name, Some(address))) => Ok((Some(name), address)),
        Some((name, None)) => Err(format!("node {name} has no InternalIP; {remedy}")),
        None => Err(format!("no node of the cluster has an address of this machine; {remedy}")),
    }
}

/// Where the service keeps its serving certificate.
fn state_directory(config: &Config) -> Result<String, String> {
    match &config.certificates.origin {
        CertificateOrigin::Directory(directory) => Ok(directory.display().to_string()),
        CertificateOrigin::Files(..) | CertificateOrigin::Memory => Err(format!(
            "{}: the API server has to know the authority of the serving certificate, which setup makes; leave out \
             --tls-cert-file and --cert-dir, or register it by hand (toplet manifest host)",
            layout::FLAG_FILE
        )),
    }
}

/// The authority of the serving certificate as an APIService wants it; made like the service makes it, when there is none.
fn make_authority(record: &mut FileRecord, directory: &str, config: &Config) -> Result<String, String> {
    record.directory(directory)?;
    let at = record.at(directory);
    let names = certificate_names(config.listen.ip());
    let settings =
        CertificateSettings { origin: CertificateOrigin::Directory(at.clone()), sni: Vec::new(), names };
    Certificates::load(&settings, clock::wall())?;
    let fault = |error: std::io::Error| format!("{}: {error}", at.display());
    let owner = std::fs::metadata(&at).map_err(fault)?;
    for name in ["ca.crt", "ca.key", "apiserver.crt", "apiserver.key"] {
        let file = at.join(name);
        // A directory that the service has used belongs to its user.
        if std::fs::metadata(&file).is_ok_and(|made| made.uid() != owner.uid()) {
            std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).map_err(fault)?;
        }
    }
    authority(&at)
}

fn authority(directory: &Path) -> Result<String, String> {
    let pem = pem::read(&directory.join("ca.crt"))?;
    let chain = pem::read(&directory.join("apiserver.crt"))?;
    if !chain.ends_with(&pem) {
        return Err(format!(
            "{}: apiserver.crt is not signed by the ca.crt beside it; remove both, and toplet makes new ones",
            directory.display()
        ));
    }
    Ok(STANDARD.encode(&*pem))
}

fn refuse_files(record: &FileRecord, files: &[SetupFile]) -> Result<(), String> {
    let mut foreign = Vec::new();
    for file in files.iter().filter(|file| !file.is_configuration) {
        if record.state(file.path, &file.bytes)? == FileState::Foreign {
            foreign.push(record.at(file.path).display().to_string());
        }
    }
    // Its content is not known yet: any that setup did not write is in the way.
    if record.state(layout::KUBECONFIG, b"")? == FileState::Foreign {
        foreign.push(record.at(layout::KUBECONFIG).display().to_string());
    }
    if foreign.is_empty() { Ok(()) } else { Err(files::refusal(&foreign)) }
}

/// Writes the kubeconfig with the account's token, then the others; whether anything changed.
fn write_files(
    record: &mut FileRecord,
    kubeconfig: &str,
    api: &ApiServer,
    mut files: Vec<SetupFile>,
    replace: bool,
) -> Result<bool, String> {
    let missing = || "no token in it yet; does kube-controller-manager run?".to_owned();
    let mut token = None;
    service::until(limits::SETUP_TOKEN_TIME_MAX, &mut || {
        token = objects::token(api, SECRET).map_err(|error| error.to_string())?;
        token.as_ref().map(drop).ok_or_else(missing)
    })
    .map_err(|reason| format!("Secret metrics-server-host {reason}"))?;
    let token = token.ok_or_else(missing)?;
    files.insert(0, kubeconfig_file(kubeconfig, &token));
    let mut has_changed = false;
    for file in &files {
        let what = record.write(file, replace)?;
        has_changed |= !["unchanged", "kept"].contains(&what);
        let yours = if what == "kept" { ": was edited" } else { "" };
        say(what, &format_args!("{}{yours}", record.at(file.path).display()));
    }
    Ok(has_changed)
}

fn kubeconfig_file(kubeconfig: &str, token: &str) -> SetupFile {
    let bytes = kubeconfig.replace(layout::TOKEN, token).into_bytes();
    SetupFile { path: layout::KUBECONFIG, mode: 0o600, bytes, is_configuration: false }
}

/// Prints every object and file as it would be made.
fn print_all(
    record: &FileRecord,
    kubeconfig: &str,
    files: &[SetupFile],
    listen: SocketAddr,
    directory: &str,
) -> Result<(), String> {
    let bundle = authority(&record.at(directory)).unwrap_or_else(|_| "MADE-BY-TOPLET-SETUP".to_owned());
    let facts = HostFacts { address: listen.ip(), port: listen.port(), ca_bundle: Some(bundle) };
    let mut out = std::io::stdout();
    let _ = writeln!(out, "---\n{}", manifest::text(ManifestKind::Host, &facts));
    let kubeconfig = kubeconfig_file(kubeconfig, layout::TOKEN);
    for file in std::iter::once(&kubeconfig).chain(files) {
        let SetupFile { path, mode, bytes, .. } = file;
        let _ = writeln!(out, "==> {} (mode {mode:o}, {} bytes)", record.at(path).display(), bytes.len());
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = writeln!(out, "{text}");
        }
    }
    Ok(())
}

/// Objects of a setup, and no record of one here.
const ELSEWHERE: &str = "toplet setup ran on another node of this cluster, since the objects that it makes are there, and this machine \
                         has no /etc/toplet/setup.record";

fn undo(options: &SetupOptions, record: FileRecord) -> Result<(), String> {
    match Layout::find(options, &record) {
        Ok(layout) => {
            let (_, api) = connect(&layout.kubeconfig)?;
            let made = manifest::objects(&manifest::text(ManifestKind::Host, &HostFacts::EXAMPLE));
            if record.is_missing() && Survey::take(&api, &made)?.has_ours() {
                return Err(format!(
                    "{ELSEWHERE}; undo it there, or: toplet manifest host | kubectl delete -f -"
                ));
            }
            registration::undo(&api, &made, options.dry_run)?;
        }
        Err(_) if !record.is_missing() => say("left out", &"objects: no cluster is here any more"),
        Err(error) => return Err(error),
    }
    if options.dry_run {
        return Ok(());
    }
    let runs =
        options.root == Path::new("/") && record.at("/run/systemd/system").exists() && !record.is_missing();
    if runs {
        service::stop()?;
    }
    for (path, what) in record.undo()? {
        let changed = if what == "kept" { ": changed since setup wrote it" } else { "" };
        say(what, &format_args!("{path}{changed}"));
    }
    if runs { service::forget() } else { Ok(()) }
}
