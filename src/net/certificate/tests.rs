//! Certificates in a directory of the test's own: made, kept, renewed, swapped, refused.

use super::*;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("toplet-certificates-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn later(days: i64) -> UnixNanos {
    UnixNanos(NOW.0 + days * 86_400_000_000_000)
}

fn leaf(certificates: &Certificates) -> Vec<u8> {
    certificates.key(0).unwrap().cert[0].to_vec()
}

fn in_directory(directory: &Directory) -> CertificateSettings {
    CertificateSettings {
        origin: CertificateOrigin::Directory(directory.path("certificates")),
        names: subject_names("metrics-server", "kube-system", Some("edge-1"), None),
        ..CertificateSettings::default()
    }
}

/// The first certificate of a PEM text.
fn der_of(pem: &str) -> Vec<u8> {
    pem::chain(pem.as_bytes()).unwrap().remove(0).to_vec()
}

fn write_pair(directory: &Directory, certificate: &str, key: &str) -> Vec<u8> {
    let issued = SigningAuthority::generate(NOW).unwrap().issue(&["localhost".to_string()], NOW).unwrap();
    write(&directory.path(certificate), issued.chain_pem.as_bytes(), 0o644).unwrap();
    write(&directory.path(key), issued.key_pem.as_bytes(), 0o600).unwrap();
    der_of(&issued.chain_pem)
}

fn from_files(directory: &Directory) -> CertificateSettings {
    CertificateSettings {
        origin: CertificateOrigin::Files(directory.path("tls.crt"), directory.path("tls.key")),
        ..CertificateSettings::default()
    }
}

#[test]
fn a_directory_keeps_its_pair_and_its_authority() {
    let directory = Directory::new();
    let settings = in_directory(&directory);
    let first = leaf(&Certificates::load(&settings, NOW).unwrap());
    let again = leaf(&Certificates::load(&settings, later(300)).unwrap());
    assert_eq!(first, again);
    let mode = |name: &str| fs::metadata(directory.path("certificates").join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("ca.key"), mode("apiserver.key")), (0o600, 0o600));
    let left: Vec<_> = fs::read_dir(directory.path("certificates")).unwrap().collect();
    assert_eq!(left.len(), 4, "no temporary file stays");
}

#[test]
fn a_directory_renews_before_the_end_under_the_same_authority() {
    let directory = Directory::new();
    let settings = in_directory(&directory);
    let ca = || fs::read(directory.path("certificates").join("ca.crt")).unwrap();
    let certificates = Certificates::load(&settings, NOW).unwrap();
    let (first, first_ca) = (leaf(&certificates), ca());
    certificates.check_reload(later(330));
    assert_eq!(leaf(&certificates), first, "35 days are enough");
    certificates.check_reload(later(336));
    let renewed = leaf(&certificates);
    assert_ne!(renewed, first);
    assert_eq!(ca(), first_ca);
    certificates.check_reload(later(337));
    assert_eq!(leaf(&certificates), renewed, "made once");
    assert!(verifies(&first_ca, &renewed, "metrics-server.kube-system.svc", later(340)));
    assert!(verifies(&first_ca, &renewed, "edge-1", later(340)));
    assert!(verifies(&first_ca, &renewed, "127.0.0.1", later(340)));
    assert!(!verifies(&first_ca, &renewed, "other.example", later(340)));
}

#[test]
fn a_pair_made_under_a_clock_that_was_ahead_is_made_again_with_its_authority() {
    let directory = Directory::new();
    let settings = in_directory(&directory);
    let ca = || fs::read(directory.path("certificates").join("ca.crt")).unwrap();
    // Ten years ahead: neither is valid for years.
    let ahead = leaf(&Certificates::load(&settings, later(3_650)).unwrap());
    let ahead_ca = ca();
    let certificates = Certificates::load(&settings, NOW).unwrap();
    assert_ne!(leaf(&certificates), ahead);
    assert_ne!(ca(), ahead_ca);
    assert!(verifies(&ca(), &leaf(&certificates), "metrics-server.kube-system.svc", NOW));
    // The same while running: the clock is set back.
    let certificates = Certificates::load(&settings, later(3_650)).unwrap();
    certificates.check_reload(NOW);
    assert!(verifies(&ca(), &leaf(&certificates), "metrics-server.kube-system.svc", NOW));
    let in_memory = Certificates::load(&CertificateSettings::default(), later(3_650)).unwrap();
    let ahead = leaf(&in_memory);
    in_memory.check_reload(NOW);
    assert_ne!(leaf(&in_memory), ahead);
}

#[test]
fn files_written_again_with_the_same_content_are_no_change() {
    let directory = Directory::new();
    write_pair(&directory, "tls.crt", "tls.key");
    let certificates = Certificates::load(&from_files(&directory), NOW).unwrap();
    let serving = certificates.key(0).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let bytes = fs::read(directory.path(name)).unwrap();
        write(&directory.path(name), &bytes, 0o600).unwrap();
    }
    let stamps = stamp(&from_files(&directory).origin);
    certificates.check_reload(NOW);
    assert!(Arc::ptr_eq(&serving, &certificates.key(0).unwrap()), "the pair in use stays");
    assert_eq!(lock(&certificates.watches)[0].loaded, stamps, "and the files are not read at every look");
}

#[test]
fn a_pair_from_files_that_expires_soon_is_warned_about_and_one_made_here_is_not() {
    let directory = Directory::new();
    write_pair(&directory, "tls.crt", "tls.key");
    let certificates = Certificates::load(&from_files(&directory), NOW).unwrap();
    let warned = |certificates: &Certificates| lock(&certificates.watches)[0].log.forget("expiry");
    assert!(!warned(&certificates));
    log::set_max_level(log::LevelFilter::Warn);
    for (days, expected) in [(334, false), (336, true), (364, true), (370, true)] {
        certificates.check_reload(later(days));
        assert_eq!(warned(&certificates), expected, "after {days} days");
    }
    let own = Certificates::load(&in_directory(&directory), NOW).unwrap();
    own.check_reload(later(370));
    assert!(!warned(&own));
    assert_eq!(expiry_text(later(12), NOW), "expires in 12 days");
    assert_eq!(expiry_text(NOW, later(1)), "has expired");
}

/// Whether a client with this `caBundle` accepts the certificate under this name.
fn verifies(ca_pem: &[u8], leaf: &[u8], name: &str, now: UnixNanos) -> bool {
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem).unwrap()).unwrap();
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        crate::net::tls::provider(),
    )
    .build()
    .unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.seconds().unsigned_abs()));
    let name = ServerName::try_from(name.to_string()).unwrap();
    verifier.verify_server_cert(&CertificateDer::from(leaf.to_vec()), &[], &name, &[], at).is_ok()
}

#[test]
fn a_pair_in_memory_renews_too() {
    let settings =
        CertificateSettings { names: vec!["localhost".to_string()], ..CertificateSettings::default() };
    let certificates = Certificates::load(&settings, NOW).unwrap();
    let first = leaf(&certificates);
    certificates.check_reload(later(100));
    assert_eq!(leaf(&certificates), first);
    certificates.check_reload(later(400));
    assert_ne!(leaf(&certificates), first);
}

#[test]
fn half_a_pair_in_the_directory_is_replaced() {
    let directory = Directory::new();
    let settings = in_directory(&directory);
    let first = leaf(&Certificates::load(&settings, NOW).unwrap());
    fs::remove_file(directory.path("certificates").join("apiserver.key")).unwrap();
    assert_ne!(leaf(&Certificates::load(&settings, NOW).unwrap()), first);
}

#[test]
fn files_count_once_both_fit() {
    let directory = Directory::new();
    let first = write_pair(&directory, "tls.crt", "tls.key");
    let certificates = Certificates::load(&from_files(&directory), NOW).unwrap();
    assert_eq!(leaf(&certificates), first);
    let second = write_pair(&directory, "new.crt", "new.key");
    fs::rename(directory.path("new.crt"), directory.path("tls.crt")).unwrap();
    certificates.check_reload(NOW);
    certificates.check_reload(NOW);
    assert_eq!(leaf(&certificates), first, "the old pair serves while the files do not fit");
    fs::rename(directory.path("new.key"), directory.path("tls.key")).unwrap();
    certificates.check_reload(NOW);
    assert_eq!(leaf(&certificates), second);
}

#[test]
fn a_swapped_symlink_is_seen() {
    let directory = Directory::new();
    for version in ["one", "two"] {
        fs::create_dir(directory.path(version)).unwrap();
    }
    write_pair(&directory, "one/tls.crt", "one/tls.key");
    let second = write_pair(&directory, "two/tls.crt", "two/tls.key");
    std::os::unix::fs::symlink("one", directory.path("..now")).unwrap();
    std::os::unix::fs::symlink("..now/tls.crt", directory.path("tls.crt")).unwrap();
    std::os::unix::fs::symlink("..now/tls.key", directory.path("tls.key")).unwrap();
    let certificates = Certificates::load(&from_files(&directory), NOW).unwrap();
    std::os::unix::fs::symlink("two", directory.path("..next")).unwrap();
    fs::rename(directory.path("..next"), directory.path("..now")).unwrap();
    certificates.check_reload(NOW);
    assert_eq!(leaf(&certificates), second);
}

#[test]
fn files_that_go_away_leave_the_old_pair() {
    let directory = Directory::new();
    let first = write_pair(&directory, "tls.crt", "tls.key");
    let certificates = Certificates::load(&from_files(&directory), NOW).unwrap();
    fs::remove_file(directory.path("tls.key")).unwrap();
    certificates.check_reload(NOW);
    certificates.check_reload(later(1));
    assert_eq!(leaf(&certificates), first);
}

#[test]
fn every_mistake_names_its_file() {
    let directory = Directory::new();
    write_pair(&directory, "tls.crt", "tls.key");
    write_pair(&directory, "other.crt", "other.key");
    fs::write(
        directory.path("encrypted.key"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    fs::write(directory.path("noise.pem"), "hello").unwrap();
    fs::write(directory.path("broken.pem"), "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
        .unwrap();
    for (certificate, key, want) in [
        ("tls.crt", "other.key", "do not belong together"),
        ("tls.crt", "encrypted.key", "encrypted.key: the private key is encrypted"),
        ("tls.crt", "noise.pem", "noise.pem: holds no private key"),
        ("noise.pem", "tls.key", "noise.pem: holds no certificate"),
        ("tls.key", "tls.crt", "tls.key: holds a private key but no certificate"),
        ("tls.crt", "other.crt", "other.crt: holds a certificate but no private key"),
        ("broken.pem", "tls.key", "broken.pem: malformed PEM"),
        ("absent.crt", "tls.key", "absent.crt does not exist"),
    ] {
        let error = pem::load_pair(&directory.path(certificate), &directory.path(key)).unwrap_err();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn sni_values_are_read_as_kubernetes_reads_them() {
    let SniCertificate { certificate, key, names } =
        SniCertificate::parse("a.crt,a.key:Foo.example,*.bar").unwrap();
    assert_eq!((certificate, key), ("a.crt".into(), "a.key".into()));
    assert_eq!(names, ["foo.example", "*.bar"]);
    assert_eq!(SniCertificate::parse("a.crt,a.key").unwrap().names, Vec::<String>::new());
    for bad in ["a.crt", "a.crt,", ",a.key", "a,b,c", "a,b:c:d", ""] {
        assert_eq!(SniCertificate::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_named_pair_serves_its_names_only() {
    let issued = SigningAuthority::generate(NOW).unwrap().issue(&["web.example".to_string()], NOW).unwrap();
    let key = Arc::new(pem::parse_pair(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap());
    let by_certificate = Pair { key: key.clone(), domains: vec![] };
    assert!(by_certificate.is_for("web.example") && !by_certificate.is_for("api.example"));
    let by_flag = Pair { key, domains: vec!["api.example".into(), "*.wild.example".into()] };
    assert!(by_flag.is_for("API.example") && by_flag.is_for("a.wild.example"));
    for other in ["web.example", "a.b.wild.example", "wild.example", ".wild.example"] {
        assert!(!by_flag.is_for(other), "{other}");
    }
}

#[test]
fn subject_names_hold_the_service_and_no_wildcard_address() {
    let names =
        subject_names("metrics-server", "kube-system", Some("edge-1"), Some(IpAddr::from([0, 0, 0, 0])));
    assert!(
        names.contains(&"metrics-server.kube-system.svc".to_string())
            && names.contains(&"edge-1".to_string())
    );
    assert!(!names.contains(&"0.0.0.0".to_string()));
    let bound = subject_names("m", "n", None, Some(IpAddr::from([10, 0, 0, 7])));
    assert!(bound.contains(&"10.0.0.7".to_string()));
}

#[test]
fn the_end_of_a_certificate_made_here_is_read_back() {
    let authority = SigningAuthority::generate(NOW).unwrap();
    let pair = authority.issue(&["localhost".to_string()], NOW).unwrap();
    let life = i64::try_from(limits::CERTIFICATE_LIFE.as_secs()).unwrap();
    assert_eq!(validity(&der_of(&pair.chain_pem)).unwrap().1.seconds(), NOW.seconds() + life);
    assert!(validity(&der_of(&authority.pem)).unwrap().1 > validity(&der_of(&pair.chain_pem)).unwrap().1);
}

#[test]
fn no_bytes_make_reading_a_certificate_panic() {
    let der = der_of(&SigningAuthority::generate(NOW).unwrap().pem);
    for end in 0..der.len() {
        assert_eq!(validity(&der[..end]), None);
    }
    for at in 0..der.len() {
        for value in [0, 0x7f, 0x80, 0x83, 0x84, 0xff] {
            let mut broken = der.clone();
            broken[at] = value;
            let _ = validity(&broken);
        }
    }
}
