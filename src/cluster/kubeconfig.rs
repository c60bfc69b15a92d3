//! Where the API server is and how to log in: a kubeconfig file, a pod's service account, or k3s's own file.
//!
//! Of a kubeconfig only the current context counts. What would need a program to be run (`exec`), a password or a legacy
//! plugin is refused with what to use instead, and so is what has two readings: impersonation, which would act with more
//! rights than the file grants, a name that stands twice, an authority beside `insecure-skip-tls-verify`. `null` is absent,
//! everywhere. Relative paths are relative to the file, as kubectl has it. Errors name the file and the field. Credentials
//! inside the file are read again when it changes. The one file that names the YAML library.

use crate::limits;
use crate::net::credentials::{Credentials, Field, Material, Roots};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

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
    let credentials = Credentials {
        roots: Roots::Pem(Material::File(mount.join("ca.crt"))),
        token: Some(Material::File(mount.join("token"))),
        ..Credentials::none()
    };
    credentials.validate_token().map_err(|e| {
        format!(
            "KUBERNETES_SERVICE_HOST is set, but {e}; mount a service account (automountServiceAccountToken), or give \
             --kubeconfig"
        )
    })?;
    Ok(Access { server: server.to_owned(), credentials })
}

/// Reads a kubeconfig.
///
/// # Errors
/// File, field, and what to do.
pub fn load(path: &Path) -> Result<Access, String> {
    let access = read(path)?;
    access.credentials.validate_token().map_err(|e| {
        let remedy = "users[].user.tokenFile must name a file that holds a token";
        format!("{}: {e}; {remedy}", path.display())
    })?;
    Ok(access)
}

/// Reads a kubeconfig, but no file that it names.
fn read(path: &Path) -> Result<Access, String> {
    let at = |e: String| format!("{}: {e}", path.display());
    let text = Material::File(path.to_owned()).read()?;
    let text = std::str::from_utf8(&text).map_err(|e| at(format!("not UTF-8: {e}")))?;
    parse(text, path).map_err(at)
}

/// A kubeconfig, as far as it is used. Unknown fields are passed over, as kubectl does.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(deserialize_with = "or_default")]
    current_context: String,
    #[serde(deserialize_with = "or_default")]
    clusters: Vec<NamedCluster>,
    #[serde(deserialize_with = "or_default")]
    users: Vec<NamedUser>,
    #[serde(deserialize_with = "or_default")]
    contexts: Vec<NamedContext>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedCluster {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    cluster: KubeconfigCluster,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct KubeconfigCluster {
    #[serde(deserialize_with = "or_default")]
    server: String,
    #[serde(deserialize_with = "or_default")]
    certificate_authority: String,
    #[serde(deserialize_with = "or_default")]
    certificate_authority_data: String,
    #[serde(deserialize_with = "or_default")]
    insecure_skip_tls_verify: bool,
    #[serde(deserialize_with = "or_default")]
    tls_server_name: String,
    #[serde(deserialize_with = "or_default")]
    proxy_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedUser {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    user: KubeconfigUser,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct KubeconfigUser {
    #[serde(deserialize_with = "or_default")]
    token: String,
    #[serde(rename = "tokenFile", deserialize_with = "or_default")]
    token_file: String,
    #[serde(deserialize_with = "or_default")]
    client_certificate: String,
    #[serde(deserialize_with = "or_default")]
    client_certificate_data: String,
    #[serde(deserialize_with = "or_default")]
    client_key: String,
    #[serde(deserialize_with = "or_default")]
    client_key_data: String,
    #[serde(deserialize_with = "or_default")]
    username: String,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    #[serde(rename = "as")]
    as_user: Option<IgnoredAny>,
    as_uid: Option<IgnoredAny>,
    as_groups: Option<IgnoredAny>,
    as_user_extra: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedContext {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    context: KubeconfigContext,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KubeconfigContext {
    #[serde(deserialize_with = "or_default")]
    cluster: String,
    #[serde(deserialize_with = "or_default")]
    user: String,
}

/// `null` is absent.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// The entry of a name; two of one name are refused, since the file does not say which of them is meant.
fn named<'a, T>(
    list: &'a str,
    name: &str,
    entries: &'a [T],
    name_of: impl Fn(&T) -> &str,
) -> Result<Option<&'a T>, String> {
    let mut found = entries.iter().filter(|entry| name_of(entry) == name);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(format!("{list} has two entries named {name:?}; remove one of them")),
    }
}

fn parse(text: &str, path: &Path) -> Result<Access, String> {
    if text.trim().is_empty() {
        return Err(
            "the file is empty; write a kubeconfig into it (kubectl config view --raw --minify)".to_owned()
        );
    }
    let document: Kubeconfig = serde_norway::from_str(text).map_err(|e| {
        // The library's report quotes the document, which may hold a key: its first line says what and where.
        let report = e.to_string();
        let first = report.lines().next().unwrap_or_default();
        let first: String = first.chars().take(limits::LOGGED_LEN_MAX).collect();
        format!("not a kubeconfig: {first}")
    })?;
    if document.clusters.is_empty() && document.contexts.is_empty() {
        return Err("holds no cluster and no context; write a whole kubeconfig into it".to_owned());
    }
    let name = document.current_context.as_str();
    if name.is_empty() {
        return Err("current-context is not set; choose one with kubectl config use-context".to_owned());
    }
    let context = &named("contexts", name, &document.contexts, |c| &c.name)?
        .ok_or_else(|| format!("current-context {name:?} is not among the contexts"))?
        .context;
    let wanted = &context.cluster;
    let cluster = &named("clusters", wanted, &document.clusters, |c| &c.name)?
        .ok_or_else(|| format!("contexts[{name}].cluster {wanted:?} is not among the clusters"))?
        .cluster;
    let nobody = KubeconfigUser::default();
    let user = match named("users", &context.user, &document.users, |u| &u.name)? {
        Some(found) => &found.user,
        None if context.user.is_empty() => &nobody,
        None => return Err(format!("contexts[{name}].user {:?} is not among the users", context.user)),
    };
    let (server, clear) = server(wanted, cluster)?;
    refuse_impersonation(&context.user, user)?;
    let credentials = Credentials {
        roots: roots(wanted, cluster, path)?,
        pair: pair(&context.user, user, path)?,
        token: token(&context.user, user, path)?,
        server_name: Some(cluster.tls_server_name.clone()).filter(|n| !n.is_empty()),
        token_in_clear: clear,
    };
    Ok(Access { server, credentials })
}

/// The base URL, and whether it is plain `http`.
fn server(name: &str, cluster: &KubeconfigCluster) -> Result<(String, bool), String> {
    let field = format!("clusters[{name}].server");
    if !cluster.proxy_url.is_empty() {
        return Err(format!(
            "clusters[{name}].proxy-url is not supported; name a server that can be reached directly"
        ));
    }
    let server = cluster.server.trim_end_matches('/');
    let wrong = || format!("{field} {server:?} must be a URL such as https://10.0.0.1:6443");
    if server.contains(['<', '>', '{', '}', '$']) {
        return Err(format!("{field} {server:?} is a placeholder; write the API server's URL there"));
    }
    let (scheme, rest) = server.split_once("://").ok_or_else(wrong)?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let is_odd = |c: char| matches!(c, '?' | '#' | '@' | '\\') || c.is_whitespace() || c.is_control();
    if !matches!(scheme, "http" | "https") || authority.is_empty() || rest.contains(is_odd) {
        return Err(wrong());
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) => {
            host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            (host, port.strip_prefix(':'))
        }
        None if authority.matches(':').count() > 1 => {
            return Err(format!(
                "{field} {server:?}: an IPv6 address stands in brackets, {scheme}://[2001:db8::1]:6443"
            ));
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err(wrong());
    }
    Ok((server.to_owned(), scheme == "http"))
}

fn refuse_impersonation(name: &str, user: &KubeconfigUser) -> Result<(), String> {
    for (field, value) in [
        ("as", &user.as_user),
        ("as-uid", &user.as_uid),
        ("as-groups", &user.as_groups),
        ("as-user-extra", &user.as_user_extra),
    ] {
        if value.is_some() {
            return Err(format!(
                "users[{name}].{field} is not supported: impersonation is not sent; use credentials of that user"
            ));
        }
    }
    Ok(())
}

fn roots(name: &str, cluster: &KubeconfigCluster, path: &Path) -> Result<Roots, String> {
    let field = format!("clusters[{name}].certificate-authority");
    let (data, file) = (&cluster.certificate_authority_data, &cluster.certificate_authority);
    let given = material(&field, data, file, path, |access| match access.credentials.roots {
        Roots::Pem(material) => Some(material),
        Roots::Any | Roots::None => None,
    })?;
    match (given, cluster.insecure_skip_tls_verify) {
        (Some(_), true) => Err(format!(
            "{field} and insecure-skip-tls-verify cannot both hold; leave insecure-skip-tls-verify out to verify the server"
        )),
        (Some(given), false) => Ok(Roots::Pem(given)),
        (None, true) => Ok(Roots::Any),
        (None, false) => {
            // As in Go, a server without a named authority is verified against those of the system.
            let system = SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists());
            Ok(system.map_or(Roots::None, |path| Roots::Pem(Material::File(path))))
        }
    }
}

/// Where distributions keep the public authorities.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn pair(name: &str, user: &KubeconfigUser, path: &Path) -> Result<Option<(Material, Material)>, String> {
    let field = format!("users[{name}].client-certificate");
    let (data, file) = (&user.client_certificate_data, &user.client_certificate);
    let of = |access: Access| access.credentials.pair.map(|(certificate, _)| certificate);
    let certificate = material(&field, data, file, path, of)?;
    let field = format!("users[{name}].client-key");
    let of = |access: Access| access.credentials.pair.map(|(_, key)| key);
    let key = material(&field, &user.client_key_data, &user.client_key, path, of)?;
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

fn token(name: &str, user: &KubeconfigUser, path: &Path) -> Result<Option<Material>, String> {
    let refused = |field: &str| {
        format!(
            "users[{name}].{field} is not supported: no programs are run and no passwords sent; use token, tokenFile or \
             client-certificate with client-key (a service account's token will do)"
        )
    };
    if !user.token_file.is_empty() {
        return Ok(Some(Material::File(directory(path).join(&user.token_file))));
    }
    if !user.token.is_empty() {
        let field = format!("users[{name}].token");
        refuse_redacted(&field, &user.token)?;
        let bytes = Zeroizing::new(user.token.clone().into_bytes());
        return Ok(Some(inside(field, path, bytes, |access| access.credentials.token)));
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

/// What `kubectl config view` prints in place of secrets.
fn refuse_redacted(field: &str, value: &str) -> Result<(), String> {
    if ["REDACTED", "DATA+OMITTED"].contains(&value.trim()) {
        return Err(format!("{field} is redacted; write the file with kubectl config view --raw"));
    }
    Ok(())
}

/// Inline base64 wins over a file, as in kubectl.
fn material(
    field: &str,
    data: &str,
    file: &str,
    path: &Path,
    of: fn(Access) -> Option<Material>,
) -> Result<Option<Material>, String> {
    if data.is_empty() {
        return Ok(Some(file).filter(|f| !f.is_empty()).map(|f| Material::File(directory(path).join(f))));
    }
    let field = format!("{field}-data");
    refuse_redacted(&field, data)?;
    let text: Zeroizing<String> = Zeroizing::new(data.split_ascii_whitespace().collect());
    let decoded = STANDARD.decode(text.as_bytes()).map_err(|e| format!("{field} is not base64: {e}"))?;
    Ok(Some(inside(field, path, Zeroizing::new(decoded), of)))
}

/// A value inside the file at `path`: `now`, and read again with `of` once the file has changed.
fn inside(
    field: String,
    path: &Path,
    now: Zeroizing<Vec<u8>>,
    of: fn(Access) -> Option<Material>,
) -> Material {
    let (file, name) = (path.to_owned(), field.clone());
    let again = move || match of(read(&file)?) {
        Some(Material::Field(Field { value, .. })) => Ok(value),
        Some(other) => other.read(),
        None => Err(format!("{}: {name} is gone; restart to log in another way", file.display())),
    };
    Material::Field(Field { file: path.to_owned(), name: field, value: now, read: Arc::new(again) })
}

/// Where relative paths of a kubeconfig begin. Only the root and an empty path have no parent, and neither is a file.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests;
