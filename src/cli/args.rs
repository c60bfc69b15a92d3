//! The settled flags as typed fields: the one file that names argh.
//!
//! argh reads neither `--flag=value` nor repeated scalars, so it is handed the rewritten form: every used flag exactly
//! once with a value, then the subcommand. Defaults and help live in the flag table alone.

use super::argv::Settled;
use super::error::{Origin, StartError};
use super::flags::{Effect, Kind};
use super::value::{self, Nanos};
use argh::FromArgs;
use std::net::IpAddr;
use std::str::FromStr;

/// Elements of a comma-separated list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl FromStr for List {
    type Err = String;
    fn from_str(text: &str) -> Result<List, String> {
        value::list(text).map(List)
    }
}

impl FromStr for Nanos {
    type Err = String;
    fn from_str(text: &str) -> Result<Nanos, String> {
        value::duration(text)
    }
}

/// Defines the argument struct: each field is a flag of the table, described there.
macro_rules! args {
    ($($field:ident: $type:ty $(= $read:path)?,)*) => {
        /// Every used flag, typed; meaning and default stand in the flag table.
        #[derive(FromArgs, Debug)]
        pub struct Args {
            $(
                #[doc = "see the flag table"]
                #[argh(option $(, from_str_fn($read))?)]
                pub $field: $type,
            )*
            // argh knows a repeated option by the letters `Vec`, which a macro's type hides from it.
            #[doc = "see the flag table"]
            #[argh(option)]
            pub tls_sni_cert_key: Vec<String>,
            #[doc = "what to do instead of serving"]
            #[argh(subcommand)]
            pub command: Option<Subcommand>,
        }
    };
}

args! {
    host_only: bool = value::switch,
    max_nodes: u32,
    max_pods: u32,
    max_containers: u32,
    max_connections: u32,
    state_dir: String,
    kubeconfig: String,
    metric_resolution: Nanos,
    max_requests_inflight: u32,
    request_timeout: Nanos,
    shutdown_delay_duration: Nanos,
    deprecated_kubelet_completely_insecure: bool = value::switch,
    kubelet_certificate_authority: String,
    kubelet_client_certificate: String,
    kubelet_client_key: String,
    kubelet_insecure_tls: bool = value::switch,
    kubelet_port: u16,
    kubelet_preferred_address_types: List,
    kubelet_request_timeout: Nanos,
    kubelet_use_node_status_port: bool = value::switch,
    node_selector: String,
    bind_address: IpAddr = value::ip,
    cert_dir: String,
    permit_port_sharing: bool = value::switch,
    secure_port: u16,
    tls_cert_file: String,
    tls_cipher_suites: List,
    tls_min_version: String,
    tls_private_key_file: String,
    authentication_kubeconfig: String,
    authentication_skip_lookup: bool = value::switch,
    authentication_token_webhook_cache_ttl: Nanos,
    authentication_tolerate_lookup_failure: bool = value::switch,
    client_ca_file: String,
    requestheader_allowed_names: List,
    requestheader_client_ca_file: String,
    requestheader_extra_headers_prefix: List,
    requestheader_group_headers: List,
    requestheader_uid_headers: List,
    requestheader_username_headers: List,
    authorization_always_allow_paths: List,
    authorization_kubeconfig: String,
    authorization_webhook_cache_authorized_ttl: Nanos,
    authorization_webhook_cache_unauthorized_ttl: Nanos,
    logging_format: String,
    v: u32,
}

/// What to do instead of serving.
#[derive(FromArgs, Debug, PartialEq, Eq)]
#[argh(subcommand)]
pub enum Subcommand {
    /// Judge flags and files.
    Check(CheckArgs),
}

/// check flags and files
#[derive(FromArgs, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "check")]
pub struct CheckArgs {}

/// Every subcommand's name, for the help text and the error of an unknown one.
pub const SUBCOMMANDS: [(&str, &str); 1] =
    [("check", "Print the effective configuration and the memory it reserves, or the first mistake.")];

/// Types the settled flags.
/// # Errors
/// A word that is no subcommand.
pub fn typed(settled: &Settled) -> Result<Args, StartError> {
    if let Some(word) = settled.words.first()
        && !SUBCOMMANDS.iter().any(|(name, _)| name == word)
    {
        let remedy = "the only command is `toplet check`; values of switches are written --switch=false";
        return Err(StartError::new(word.clone(), Origin::CommandLine, "this is no command", remedy));
    }
    let mut words = Vec::new();
    for setting in settled.settings.iter().filter(|setting| setting.flag.effect == Effect::Used) {
        let values =
            if setting.flag.kind == Kind::Repeated { setting.values.clone() } else { vec![setting.text()] };
        for value in values {
            words.push(format!("--{}", setting.flag.name));
            words.push(value);
        }
    }
    words.extend(settled.words.iter().cloned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Args::from_args(&["toplet"], &words).map_err(|exit| {
        StartError::new("", Origin::CommandLine, exit.output.trim().to_owned(), "see toplet --help")
    })
}
