use super::*;
use crate::net::fake::Authority;
use std::time::Duration;

/// A file of its own for a test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("toplet-credentials-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let (mine, other) = (authority.sign(&["a"]), authority.sign(&["b"]));
    let pair = Some((Material::inline(mine.certificate.clone()), Material::inline(other.key)));
    let error = Credentials { pair, ..Credentials::none() }.tls().unwrap_err();
    assert!(error.contains("client certificate"), "{error}");
    let pair = Some((Material::inline(mine.certificate), Material::inline(mine.key)));
    assert!(Credentials { pair, ..Credentials::none() }.tls().is_ok());
}

#[test]
fn files_without_a_certificate_or_key_are_named() {
    let path = file("empty.pem", "nothing here\n");
    let name = path.display().to_string();
    let of = |roots, pair| Credentials { roots, pair, ..Credentials::none() }.tls().unwrap_err();
    let material = || Material::File(path.clone());
    assert_eq!(
        of(Roots::Pem(material()), None),
        format!("{name}: holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    );
    let certificate = Material::inline(Authority::new().sign(&["a"]).certificate);
    assert!(
        of(Roots::None, Some((certificate, material())))
            .starts_with(&format!("{name}: holds no private key"))
    );
    std::fs::remove_file(&path).unwrap();
    assert!(of(Roots::Pem(material()), None).starts_with(&format!("{name} does not exist")));
}

#[test]
fn a_token_file_is_read_again_after_a_minute_and_the_last_good_one_survives() {
    let path = file("token", "one\n");
    let reader = TokenReader::new(Some(Material::File(path.clone())));
    let start = clock::mono();
    let token = |after| reader.current(start + Duration::from_secs(after)).map(|t| t.to_string());
    assert_eq!(token(0).as_deref(), Some("one"));
    std::fs::write(&path, "two").unwrap();
    assert_eq!(token(59).as_deref(), Some("one"));
    assert_eq!(token(60).as_deref(), Some("two"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(token(120).as_deref(), Some("two"));
    std::fs::write(&path, "split\nin two").unwrap();
    assert_eq!(token(180).as_deref(), Some("two"), "what no header may carry is not taken");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn after_a_refusal_only_another_token_is_worth_a_retry() {
    let path = file("renewed", "one");
    let reader = TokenReader::new(Some(Material::File(path.clone())));
    assert!(reader.current(clock::mono()).is_some());
    assert!(!reader.renewed());
    std::fs::write(&path, "two").unwrap();
    assert!(reader.renewed());
    assert!(!reader.renewed());
    assert_eq!(reader.current(clock::mono()).unwrap().as_str(), "two");
    std::fs::remove_file(&path).unwrap();
    assert!(!TokenReader::new(None).renewed());
}

#[test]
fn a_replaced_file_has_another_stamp() {
    let (path, other) = (file("ca", "a"), file("ca-new", "b"));
    let roots = Roots::Pem(Material::File(path.clone()));
    let credentials = Credentials { roots, ..Credentials::none() };
    let before = credentials.stamps();
    assert_eq!(before, credentials.stamps());
    std::fs::rename(&other, &path).unwrap();
    assert_ne!(before, credentials.stamps());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_written_again_with_the_same_content_is_no_change() {
    let path = file("same", "a");
    let roots = Roots::Pem(Material::File(path.clone()));
    let credentials = Credentials { roots, ..Credentials::none() };
    let (stamps, contents) = (credentials.stamps(), credentials.contents());
    std::fs::remove_file(&path).unwrap();
    assert_ne!(contents, credentials.contents(), "an unreadable file is a change");
    std::fs::rename(file("same-new", "a"), &path).unwrap();
    assert_ne!(stamps, credentials.stamps());
    assert_eq!(contents, credentials.contents());
    std::fs::write(&path, "b").unwrap();
    assert_ne!(contents, credentials.contents());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn our_own_certificate_is_warned_about_30_days_before_its_end_and_once() {
    log::set_max_level(log::LevelFilter::Warn);
    let mine = Authority::new().sign(&["expiring"]);
    let path = file("expiring.crt", &mine.certificate);
    let pair = Some((Material::File(path.clone()), Material::inline(mine.key)));
    let credentials = Credentials { pair, ..Credentials::none() };
    assert!(credentials.expires_at().is_some());
    let end = UnixNanos(2_000_000_000_000_000_000);
    let before = |days: i64| UnixNanos(end.0 - days * 86_400 * 1_000_000_000);
    let warned = |days| credentials.warn_of_expiry(Some(end), before(days));
    assert_eq!([31, 29, 5, 0, -1, -2].map(warned), [false, true, false, false, true, false]);
    assert_eq!([31, 29].map(warned), [false, true], "again after a renewal");
    assert!(!Credentials::none().warn_of_expiry(None, before(1)));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_token_is_read_at_once_when_it_is_overdue() {
    let path = file("overdue", "one");
    let reader = TokenReader::new(Some(Material::File(path.clone())));
    let now = clock::mono();
    let token = || reader.current(now).map(|t| t.to_string());
    assert_eq!(token().as_deref(), Some("one"));
    std::fs::write(&path, "two").unwrap();
    assert_eq!(token().as_deref(), Some("one"));
    reader.look_again();
    assert_eq!(token().as_deref(), Some("two"));
    // What cannot be read leaves the last one, and is not tried at every request.
    std::fs::remove_file(&path).unwrap();
    reader.look_again();
    assert_eq!(token().as_deref(), Some("two"));
    std::fs::write(&path, "three").unwrap();
    assert_eq!(token().as_deref(), Some("two"));
}
