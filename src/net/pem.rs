//! Certificate, key and token files: read, checked for belonging together, looked at for changes, and every mistake told
//! with the file's name.
//!
//! Refuses files beyond `limits::CREDENTIAL_LEN_MAX`, encrypted keys, and pairs that do not match. Key bytes are wiped after use.

use crate::limits;
use crate::net::tls::provider;
use crate::units::UnixNanos;
use crate::wire::x509::{PublicKey, validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a whole file of moderate size.
/// # Errors
/// The file cannot be read, or is too large.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let fault = |error: std::io::Error| unreadable(path, &error);
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(fault)?;
    // The buffer gets its size at once: growing it would leave unwiped copies of a key behind.
    bytes.reserve_exact(
        file.metadata()
            .map_or(0, |m| usize::try_from(m.len()).unwrap_or(usize::MAX))
            .min(limits::CREDENTIAL_LEN_MAX)
            + 1,
    );
    file.take(limits::CREDENTIAL_LEN_MAX as u64 + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() > limits::CREDENTIAL_LEN_MAX {
        return Err(format!("{}: larger than {} bytes", path.display(), limits::CREDENTIAL_LEN_MAX));
    }
    Ok(bytes)
}

/// Where systemd shows a unit the copies that `LoadCredential=` makes.
pub const UNIT_CREDENTIALS: &str = "/run/credentials/";

/// Who makes the files of a place, and so what to do when one is missing; the first that fits.
const MAKERS: [(&str, &str); 5] = [
    (
        UNIT_CREDENTIALS,
        "systemd makes it while the unit runs, from LoadCredential= in a drop-in of toplet.service.d; outside of the unit \
         name the original",
    ),
    ("/etc/rancher/k3s/", "k3s writes it on server nodes: run this on one, or name a copy of it"),
    ("/etc/kubernetes/", "kubeadm writes it on control-plane nodes: run this on one, or name a copy of it"),
    ("/var/run/secrets/kubernetes.io/", "the kubelet mounts it into pods that have a service account"),
    ("", "put the file there, or name another one"),
];

/// Why a file cannot be read, and what to do where that is known.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        // The directory of a process belongs to the user that it runs as.
        ErrorKind::PermissionDenied => match std::fs::metadata("/proc/self").map(|m| m.uid()) {
            Ok(uid) => format!(
                "{shown}: not readable by uid {uid}: chown it to {uid}, or hand it over with LoadCredential= of the unit"
            ),
            Err(_) => format!("{shown}: {error}"),
        },
        ErrorKind::NotFound => {
            let maker = MAKERS.iter().find(|(place, _)| place.is_empty() || path.starts_with(place));
            format!("{shown} does not exist: {}", maker.map_or("", |(_, remedy)| remedy))
        }
        ErrorKind::IsADirectory => format!("{shown} is a directory: name a file in it"),
        _ => format!("{shown}: {error}"),
    }
}

/// A file's state: time of its last change (seconds, nanoseconds), inode and size; follows symlinks, so that a swapped one
/// shows.
pub(super) type Stamp = (i64, i64, u64, u64);

/// The state of a file; `None` when it cannot be seen.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let m = std::fs::metadata(path).ok()?;
    Some((m.mtime(), m.mtime_nsec(), m.ino(), m.len()))
}

/// Writes beside the file and renames, so that nobody reads half a file. The new one belongs to the owner of the old one.
/// # Errors
/// It cannot be written; the old file is as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    // One that a crash left behind.
    let _ = std::fs::remove_file(&new);
    let mut options = File::options();
    let written = options.write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
        if let Ok(old) = std::fs::metadata(path) {
            let ours = file.metadata()?;
            if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&new, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    renamed
}

/// The end of the first certificate of a file.
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn certificate_end(path: &Path) -> Result<UnixNanos, String> {
    let chain = chain(&read(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    let end = chain.first().and_then(|leaf| validity(leaf)).map(|(_, end)| end);
    end.ok_or_else(|| format!("{}: holds no certificate that can be read", path.display()))
}

/// A serving pair from two files.
/// # Errors
/// Which file, and what is wrong with it.
pub fn load_pair(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let chain = chain(&read(certificate)?).map_err(|e| format!("{}: {e}", certificate.display()))?;
    let private = private_key(&read(key)?).map_err(|e| format!("{}: {e}", key.display()))?;
    pair(chain, private).map_err(|e| match e {
        Mismatch::Key(e) => format!("{}: {e}", key.display()),
        Mismatch::Certificate(e) => format!("{}: {e}", certificate.display()),
        Mismatch::Both => format!(
            "{} and {} do not belong together: the key is not the certificate's",
            certificate.display(),
            key.display()
        ),
    })
}

/// A serving pair from PEM texts made here.
/// # Errors
/// What is wrong with it.
pub fn parse_pair(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, String> {
    pair(chain(chain_pem)?, private_key(key_pem)?).map_err(Mismatch::text)
}

/// The certificates of a PEM text, in order; at least one.
/// # Errors
/// What is wrong with it.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) if contains(pem, b"PRIVATE KEY-----") => {
            Err("holds a private key but no certificate; are the two files swapped?".to_string())
        }
        Ok(_) => Err("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_string()),
        Err(error) => Err(format!("malformed PEM: {error}")),
    }
}

/// The private key of a PEM text.
/// # Errors
/// What is wrong with it.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if contains(pem, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(pem, b"Proc-Type: 4,ENCRYPTED") {
        return Err(
            "the private key is encrypted; decrypt it first (openssl pkey -in FILE -out FILE)".to_string()
        );
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) if contains(pem, b"BEGIN CERTIFICATE") => {
            Err("holds a certificate but no private key; are the two files swapped?".to_string())
        }
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            Err("holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)".to_string())
        }
        Err(error) => Err(format!("malformed PEM: {error}")),
    }
}

/// Why a certificate and a key are no pair.
pub(super) enum Mismatch {
    Key(String),
    Certificate(String),
    Both,
}

impl Mismatch {
    /// In words, without the names of the files.
    pub(super) fn text(self) -> String {
        match self {
            Mismatch::Key(text) | Mismatch::Certificate(text) => text,
            Mismatch::Both => "they do not belong together: the key is not the certificate's".to_owned(),
        }
    }
}

/// A chain with the key of its first certificate. Only the key is compared, so that a certificate of any version will do.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Mismatch> {
    let signing = provider().key_provider.load_private_key(key).map_err(|_| {
        Mismatch::Key("the private key is none of RSA (from 2048 bits), P-256, P-384 and Ed25519".to_owned())
    })?;
    let shown = chain.first().and_then(|leaf| PublicKey::of(leaf));
    let Some(shown) = shown else { return Err(Mismatch::Certificate("not a certificate".to_owned())) };
    if signing.public_key().is_some_and(|own| own.as_ref() != shown.der) {
        return Err(Mismatch::Both);
    }
    Ok(CertifiedKey::new(chain, signing))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_who_makes_it_and_what_to_do() {
        for (path, words) in [
            ("/run/credentials/toplet.service/nothing", "LoadCredential="),
            ("/etc/rancher/k3s/nothing", "k3s writes it on server nodes"),
            ("/etc/kubernetes/pki/nothing", "kubeadm writes it on control-plane nodes"),
            ("/var/run/secrets/kubernetes.io/nothing", "service account"),
            ("/nowhere/ca.crt", "put the file there, or name another one"),
            ("/etc/kubernetes-of-others/ca.crt", "put the file there, or name another one"),
        ] {
            let problem = read(Path::new(path)).unwrap_err();
            assert!(problem.starts_with(&format!("{path} does not exist: ")), "{problem}");
            assert!(problem.contains(words), "{problem}");
        }
        assert_eq!(read(Path::new("/etc")).unwrap_err(), "/etc is a directory: name a file in it");
    }
}
