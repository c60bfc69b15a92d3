//! Where the API server is and how to log in: a kubeconfig file, a pod's service account, or k3s's own file.
//!
//! Of a kubeconfig only the current context counts. What would need a program to be run (`exec`), a password or a legacy
//! plugin is refused with what to use instead. Relative paths are relative to the file, as kubectl has it. Errors name
//! the file and the field. The one file that names the YAML library; nothing of the document is kept but what it says.

use crate::limits;
use crate::net::credentials::{Credentials, Material, Roots};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the service account of a pod is mounted.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The kubeconfig that a k3s server writes for its administrators.
pub const K3S: &str = "/etc/rancher/k3s/k3s.yaml";

/// An API server and our credentials for it.
#[derive(Clone)]
pub struct Access {
    /// Base URL without a trailing slash.
    pub server: String,
    /// What to present and whom to believe.
    pub credentials: Credentials,
}

/// The configuration of a pod: token and authority from `mount` for the API server at `server`.
///
/// # Errors
/// There is no token.
pub fn in_cluster(server: &str, mount: &Path) -> Result<Access, String> {
    let token = mount.join("token");
    std::fs::metadata(&token).map_err(|e| {
        format!(
            "KUBERNETES_SERVICE_HOST is set, but {}: {e}; mount a service account (automountServiceAccountToken), or \
             give --kubeconfig",
            token.display()
        )
    })?;
    let credentials = Credentials {
        roots: Roots::Pem(Material::File(mount.join("ca.crt"))),
        token: Some(Material::File(token)),
        ..Credentials::none()
    };
    Ok(Access { server: server.to_owned(), credentials })
}

/// Reads a kubeconfig.
///
/// # Errors
/// File, field, and what to do.
pub fn load(path: &Path) -> Result<Access, String> {
    let at = |e: String| format!("{}: {e}", path.display());
    let text = Material::File(path.to_owned()).read()?;
    let text = std::str::from_utf8(&text).map_err(|e| at(format!("not UTF-8: {e}")))?;
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    parse(text, directory).map_err(at)
}

/// A kubeconfig, as far as it is used. Unknown fields are passed over, as kubectl does.
#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "current-context")]
    current_context: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    #[serde(default)]
    cluster: Cluster,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: String,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
    tls_server_name: String,
    proxy_url: String,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    client_certificate: String,
    client_certificate_data: String,
    client_key: String,
    client_key_data: String,
    username: String,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

fn parse(text: &str, directory: &Path) -> Result<Access, String> {
    let document: Document = serde_norway::from_str(text).map_err(|e| {
        // The library's report quotes the document, which may hold a key: its first line says what and where.
        let report = e.to_string();
        let first: String =
            report.lines().next().unwrap_or_default().chars().take(limits::LOGGED_LEN_MAX).collect();
        format!("not a kubeconfig: {first}")
    })?;
    let name = document.current_context.as_str();
    if name.is_empty() {
        return Err("current-context is not set; choose one with kubectl config use-context".to_owned());
    }
    let found = document.contexts.iter().find(|c| c.name == name);
    let context =
        &found.ok_or_else(|| format!("current-context {name:?} is not among the contexts"))?.context;
    let wanted = &context.cluster;
    let found = document.clusters.iter().find(|c| c.name == *wanted);
    let cluster = &found
        .ok_or_else(|| format!("contexts[{name}].cluster {wanted:?} is not among the clusters"))?
        .cluster;
    let nobody = User::default();
    let user = match document.users.iter().find(|u| u.name == context.user) {
        Some(found) => &found.user,
        None if context.user.is_empty() => &nobody,
        None => return Err(format!("contexts[{name}].user {:?} is not among the users", context.user)),
    };
    let (server, clear) = server(wanted, cluster)?;
    let credentials = Credentials {
        roots: roots(wanted, cluster, directory)?,
        pair: pair(&context.user, user, directory)?,
        token: token(&context.user, user, directory)?,
        server_name: Some(cluster.tls_server_name.clone()).filter(|n| !n.is_empty()),
        token_in_clear: clear,
    };
    Ok(Access { server, credentials })
}

/// The base URL, and whether it is plain `http`.
fn server(name: &str, cluster: &Cluster) -> Result<(String, bool), String> {
    let field = format!("clusters[{name}].server");
    if !cluster.proxy_url.is_empty() {
        return Err(format!(
            "clusters[{name}].proxy-url is not supported; name a server that can be reached directly"
        ));
    }
    let server = cluster.server.trim_end_matches('/');
    let Some((scheme, rest)) = server.split_once("://") else {
        return Err(format!("{field} {server:?} must be a URL such as https://10.0.0.1:6443"));
    };
    if !matches!(scheme, "http" | "https") || rest.is_empty() || rest.contains(['?', '#', '@', ' ']) {
        return Err(format!("{field} {server:?} must be a URL such as https://10.0.0.1:6443"));
    }
    Ok((server.to_owned(), scheme == "http"))
}

fn roots(name: &str, cluster: &Cluster, directory: &Path) -> Result<Roots, String> {
    if cluster.insecure_skip_tls_verify {
        return Ok(Roots::Anybody);
    }
    let field = format!("clusters[{name}].certificate-authority");
    if let Some(given) =
        material(&field, &cluster.certificate_authority_data, &cluster.certificate_authority, directory)?
    {
        return Ok(Roots::Pem(given));
    }
    // As in Go, a server without a named authority is held against those of the system.
    let system = SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists());
    Ok(system.map_or(Roots::Nobody, |path| Roots::Pem(Material::File(path))))
}

/// Where distributions keep the public authorities.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn pair(name: &str, user: &User, directory: &Path) -> Result<Option<(Material, Material)>, String> {
    let field = format!("users[{name}].client-certificate");
    let certificate = material(&field, &user.client_certificate_data, &user.client_certificate, directory)?;
    let field = format!("users[{name}].client-key");
    let key = material(&field, &user.client_key_data, &user.client_key, directory)?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(_), None) => {
            Err(format!("users[{name}].client-key (or client-key-data) is missing beside the certificate"))
        }
        (None, Some(_)) => Err(format!(
            "users[{name}].client-certificate (or client-certificate-data) is missing beside the key"
        )),
    }
}

fn token(name: &str, user: &User, directory: &Path) -> Result<Option<Material>, String> {
    let refused = |field: &str| {
        format!(
            "users[{name}].{field} is not supported: no programs are run and no passwords sent; use token, tokenFile or \
             client-certificate with client-key (a service account's token will do)"
        )
    };
    if !user.token_file.is_empty() {
        return Ok(Some(Material::File(directory.join(&user.token_file))));
    }
    if !user.token.is_empty() {
        return Ok(Some(Material::inline(user.token.as_bytes())));
    }
    if user.exec.is_some() {
        return Err(refused("exec"));
    }
    if user.auth_provider.is_some() {
        return Err(refused("auth-provider"));
    }
    if !user.username.is_empty() {
        return Err(refused("username"));
    }
    Ok(None)
}

/// Inline base64 wins over a file, as in kubectl.
fn material(field: &str, inline: &str, file: &str, directory: &Path) -> Result<Option<Material>, String> {
    if !inline.is_empty() {
        let decoded = base64(inline).ok_or_else(|| format!("{field}-data is not base64"))?;
        return Ok(Some(Material::inline(decoded)));
    }
    Ok(Some(file).filter(|f| !f.is_empty()).map(|f| Material::File(directory.join(f))))
}

/// Standard base64 with padding; line ends are passed over.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0_u32, 0_u32, 0_u32);
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(six);
        count += 1;
        if count % 4 != 1 {
            let shift = 6 - 2 * ((count + 3) % 4);
            out.push(u8::try_from(bits >> shift & 0xff).ok()?);
        }
    }
    ((count + padding).is_multiple_of(4) && padding <= 2).then_some(out)
}

#[cfg(test)]
mod tests;
