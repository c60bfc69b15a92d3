//! Who `toplet top` asks: the local socket of this machine, or a server over HTTPS.

use crate::cli::{TopForm, TopOrigin};
use crate::cluster::client::hint;
use crate::cluster::kubeconfig;
use crate::limits;
use crate::net::credentials::{Credentials, Material, Roots};
use crate::net::fetch::{Fetcher, RemoteHost, Request};
use crate::net::local::{self, LocalAnswer};
use miniserde::{Deserialize, json};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const JSON: &str = "application/json";

/// What is asked.
pub enum UsageServer {
    /// A toplet of this machine.
    Local(PathBuf),
    /// A toplet, or an API server.
    Remote {
        /// Base URL without a trailing slash.
        base: String,
        /// Sends requests.
        fetcher: Box<Fetcher>,
        /// Its connection.
        peer: RemoteHost,
    },
}

/// A refusal of the API.
#[derive(Deserialize)]
struct ApiRefusal {
    message: Option<String>,
    reason: Option<String>,
}

impl UsageServer {
    /// Prepares to ask.
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn open(origin: &TopOrigin) -> Result<UsageServer, String> {
        let TopOrigin::Server { url, kubeconfig, authority, insecure } = origin else {
            let TopOrigin::LocalSocket(path) = origin else { return Err("nobody to ask".to_owned()) };
            return Ok(UsageServer::Local(path.clone()));
        };
        let (mut credentials, mut base) = (Credentials::none(), String::new());
        if let Some(path) = kubeconfig {
            let access = kubeconfig::load(path)?;
            (credentials, base) = (access.credentials, access.server);
        }
        if let Some(url) = url {
            base.clone_from(url);
        }
        match authority {
            _ if *insecure => credentials.roots = Roots::Any,
            Some(path) => credentials.roots = Roots::Pem(Material::File(path.clone())),
            None => {}
        }
        if credentials.roots == Roots::None && base.starts_with("https://") {
            let remedy = "give --certificate-authority=FILE, or --insecure-skip-tls-verify";
            return Err(format!("{base}: no authority to verify its certificate by; {remedy}"));
        }
        let fetcher = Box::new(Fetcher::new(credentials)?);
        Ok(UsageServer::Remote { base, fetcher, peer: RemoteHost::default() })
    }

    /// A document of the API in JSON.
    /// # Errors
    /// There is none: who said no, or why nobody answered.
    pub fn json(&self, path: &str) -> Result<String, String> {
        let body = self.found(path, JSON)?;
        String::from_utf8(body).map_err(|_| format!("{path}: the answer is not UTF-8"))
    }

    /// A document of the API for people, in JSON or YAML.
    /// # Errors
    /// As for [`UsageServer::json`].
    pub fn document(&self, path: &str, form: TopForm) -> Result<Vec<u8>, String> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let accept = if form == TopForm::Yaml { "application/yaml" } else { JSON };
        self.found(&format!("{path}{separator}pretty=true"), accept)
    }

    /// A text, whatever its status.
    /// # Errors
    /// Nobody answered.
    pub fn text(&self, path: &str) -> Result<String, String> {
        Ok(String::from_utf8_lossy(&self.ask(path, "*/*")?.1).into_owned())
    }

    /// The status of a path.
    /// # Errors
    /// Nobody answered.
    pub fn status(&self, path: &str) -> Result<u16, String> {
        Ok(self.ask(path, "*/*")?.0)
    }

    fn found(&self, path: &str, accept: &str) -> Result<Vec<u8>, String> {
        let (status, body) = self.ask(path, accept)?;
        if status == 200 {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let refusal = json::from_str(&text).unwrap_or(ApiRefusal { message: None, reason: None });
        let message = refusal.message.unwrap_or_else(|| format!("status {status} for {path}"));
        let message = super::columns::printable(&message);
        Err(match refusal.reason.filter(|reason| reason.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            Some(reason) => format!("Error from server ({reason}): {message}"),
            None => format!("Error from server: {message}"),
        })
    }

    fn ask(&self, path: &str, accept: &str) -> Result<LocalAnswer, String> {
        let (time, len_max) = (limits::TOP_REQUEST_TIME_MAX, limits::TOP_ANSWER_LEN_MAX);
        match self {
            UsageServer::Local(socket) => {
                local::get(socket, path, accept, time, len_max).map_err(|e| not_asked(socket, &e))
            }
            UsageServer::Remote { base, fetcher, peer } => {
                let url = format!("{base}{path}");
                let request = Request { accept, ..Request::get(&url, Some(time), len_max) };
                let answer = fetcher.send(peer, &request).and_then(|mut answer| {
                    let body = answer.read_all()?;
                    Ok((answer.status, body))
                });
                answer.map_err(|e| format!("{base} cannot be asked: {e}; {}", hint(e.reason, "")))
            }
        }
    }
}

/// Why the local socket gave no answer, and what to do.
fn not_asked(socket: &Path, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "only root and the group of the socket may connect: sudo usermod -aG toplet NAME, then log in again"
        }
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "no toplet serves it: start the service, or give --local-socket=PATH, --server=https://HOST:PORT or --kubeconfig=PATH"
        }
        _ => "see the log of the toplet that serves it",
    };
    format!("{} cannot be asked: {error}; {remedy}", socket.display())
}
