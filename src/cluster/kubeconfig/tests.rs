use super::*;

/// A kubeconfig of one cluster and one user, with these fields.
fn document(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: here\n\
         clusters:\n- name: c\n  cluster: {{{cluster}}}\n\
         contexts:\n- context: {{cluster: c, user: u, namespace: x}}\n  name: here\n\
         users:\n- name: u\n  user: {{{user}}}\n"
    )
}

fn parsed(cluster: &str, user: &str) -> Result<Access, String> {
    parse(&document(cluster, user), Path::new("/etc/kube/config"))
}

fn refused(cluster: &str, user: &str) -> String {
    parsed(cluster, user).err().unwrap_or_else(|| panic!("accepted {cluster} {user}"))
}

/// What stands inside the file.
fn value(material: Option<&Material>) -> &[u8] {
    match material {
        Some(Material::Field(field)) => &field.value,
        _ => panic!("not a value inside the file"),
    }
}

fn roots(access: &Access) -> Option<&Material> {
    match &access.credentials.roots {
        Roots::Pem(material) => Some(material),
        Roots::Any | Roots::None => None,
    }
}

const SERVER: &str = "server: 'https://10.0.0.1:6443/'";

#[test]
fn k3s_file_is_read() {
    let text = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0tLQ==\n    server: https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\ncurrent-context: default\nkind: Config\nusers:\n- name: default\n  user:\n    client-certificate-data: YQ==\n    client-key-data: Yg==\n";
    let access = parse(text, Path::new("/etc/rancher/k3s/k3s.yaml")).unwrap();
    assert_eq!(access.server, "https://127.0.0.1:6443");
    assert_eq!(value(roots(&access)), b"----");
    let (certificate, key) = access.credentials.pair.as_ref().unwrap();
    assert_eq!((value(Some(certificate)), value(Some(key))), (&b"a"[..], &b"b"[..]));
    assert!(access.credentials.token.is_none() && !access.credentials.token_in_clear);
}

#[test]
fn json_is_yaml_too() {
    let text = r#"{"current-context":"x","clusters":[{"name":"c","cluster":{"server":"https://[fd00::1]:6443"}}],
        "contexts":[{"name":"x","context":{"cluster":"c"}}]}"#;
    assert_eq!(parse(text, Path::new("/k")).unwrap().server, "https://[fd00::1]:6443");
}

#[test]
fn relative_paths_are_relative_to_the_file_and_inline_wins() {
    let access =
        parsed(&format!("{SERVER}, certificate-authority: pki/ca.crt"), "tokenFile: ../token, token: x")
            .unwrap();
    assert_eq!(access.server, "https://10.0.0.1:6443");
    assert!(access.credentials.roots == Roots::Pem(Material::File("/etc/kube/pki/ca.crt".into())));
    assert!(access.credentials.token == Some(Material::File("/etc/kube/../token".into())));
    let cluster = format!("{SERVER}, certificate-authority: /abs/ca.crt, certificate-authority-data: Y2E=");
    let access = parsed(&cluster, "token: x").unwrap();
    assert_eq!(value(roots(&access)), b"ca");
    assert_eq!(value(access.credentials.token.as_ref()), b"x");
}

#[test]
fn skipping_verification_and_another_name_are_taken_over() {
    let access =
        parsed(&format!("{SERVER}, insecure-skip-tls-verify: true, tls-server-name: kube"), "").unwrap();
    assert!(access.credentials.roots == Roots::Any);
    assert_eq!(access.credentials.server_name.as_deref(), Some("kube"));
}

#[test]
fn a_plain_server_may_see_the_token() {
    assert!(parsed("server: 'http://127.0.0.1:8080'", "token: x").unwrap().credentials.token_in_clear);
}

#[test]
fn what_would_run_a_program_or_send_a_password_is_refused_with_alternatives() {
    for (user, field) in [
        ("exec: {command: aws, args: [eks]}", "exec"),
        ("auth-provider: {name: gcp}", "auth-provider"),
        ("username: admin, password: hunter2", "username"),
    ] {
        let error = refused(SERVER, user);
        assert!(error.starts_with(&format!("users[u].{field} is not supported")), "{error}");
        assert!(error.contains("tokenFile") && !error.contains("hunter2"), "{error}");
    }
    assert!(
        parsed(SERVER, "exec: {command: aws}, token: x").is_ok(),
        "a token makes the program unnecessary"
    );
}

#[test]
fn errors_name_the_field() {
    for (cluster, user, wanted) in [
        ("server: ''", "", "clusters[c].server"),
        ("server: 10.0.0.1:6443", "", "clusters[c].server"),
        ("server: 'ftp://x'", "", "clusters[c].server"),
        ("server: 'https://x', proxy-url: 'http://p'", "", "clusters[c].proxy-url"),
        (
            "server: 'https://x', certificate-authority-data: '*'",
            "",
            "clusters[c].certificate-authority-data",
        ),
        ("server: \"https://x\\n.1:6443\"", "", "clusters[c].server \"https://x\\n.1:6443\" must be a URL"),
        ("server: \"https://x/a\\tb\"", "", "clusters[c].server"),
        ("server: 'https://x\\y'", "", "clusters[c].server"),
        ("server: 'https://<node>:6443'", "", "clusters[c].server \"https://<node>:6443\" is a placeholder"),
        ("server: 'https://x:'", "", "clusters[c].server"),
        ("server: 'https://x:70000'", "", "clusters[c].server"),
        ("server: 'https://:6443'", "", "clusters[c].server"),
        ("server: 'https://[2001:db8::g]:6443'", "", "clusters[c].server"),
        (
            "server: 'https://x', certificate-authority-data: DATA+OMITTED",
            "",
            "clusters[c].certificate-authority-data",
        ),
        (
            SERVER,
            "token: REDACTED",
            "users[u].token is redacted; write the file with kubectl config view --raw",
        ),
        (SERVER, "client-certificate-data: DATA+OMITTED", "users[u].client-certificate-data is redacted"),
        (SERVER, "client-certificate: a", "users[u].client-key"),
        (SERVER, "client-key: a", "users[u].client-certificate"),
        (SERVER, "client-certificate: a, client-key-data: a", "users[u].client-key-data"),
    ] {
        let error = refused(cluster, user);
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn dangling_names_are_told() {
    let text = document(SERVER, "token: x");
    let error = |from: &str, to: &str| parse(&text.replace(from, to), Path::new("/k")).err().unwrap();
    assert_eq!(
        error("current-context: here", ""),
        "current-context is not set; choose one with kubectl config use-context"
    );
    assert_eq!(
        error("current-context: here", "current-context: gone"),
        "current-context \"gone\" is not among the contexts"
    );
    assert_eq!(error("cluster: c,", "cluster: d,"), "contexts[here].cluster \"d\" is not among the clusters");
    assert_eq!(error("user: u,", "user: v,"), "contexts[here].user \"v\" is not among the users");
}

#[test]
fn a_broken_document_is_told_without_its_secrets() {
    let error = parse("current-context: [\nclient-key-data: c2VjcmV0\n", Path::new("/k")).err().unwrap();
    assert!(error.starts_with("not a kubeconfig: "), "{error}");
    assert!(!error.contains("c2VjcmV0"), "{error}");
    let error = load(Path::new("/no/such/kubeconfig")).err().unwrap();
    assert!(error.starts_with("/no/such/kubeconfig does not exist"), "{error}");
}

const REPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kubeconfigs");

/// Public reports of files that other programs read in more than one way.
#[test]
fn files_from_the_field_are_refused_by_field_or_read_as_meant() {
    for (name, wanted) in [
        ("impersonate.yaml", "users[u].as is not supported"),
        (
            "ca-and-insecure.yaml",
            "clusters[c].certificate-authority and insecure-skip-tls-verify cannot both hold",
        ),
        ("duplicate-cluster.yaml", "clusters has two entries named \"c\""),
        (
            "ipv6-without-brackets.yaml",
            "clusters[c].server \"https://2001:db8::e20f:6443\": an IPv6 address stands",
        ),
        ("redacted.yaml", "clusters[c].certificate-authority-data is redacted"),
        ("token-file-missing.yaml", "no-such-token does not exist"),
    ] {
        let path = format!("{REPORTS}/{name}");
        let error = load(Path::new(&path)).err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(error.starts_with(&path) && error.contains(wanted), "{error}");
    }
    for name in ["null-lists.yaml", "null-user.yaml", "null-strings.yaml"] {
        let access = load(Path::new(&format!("{REPORTS}/{name}"))).unwrap();
        let credentials = &access.credentials;
        assert!(credentials.token.is_none() && credentials.pair.is_none(), "{name}");
        assert!(credentials.server_name.is_none(), "{name}");
    }
}

#[test]
fn every_field_may_be_null() {
    let cluster = "server: 'https://x', certificate-authority: null, certificate-authority-data: ~, \
                   insecure-skip-tls-verify: null, tls-server-name: null, proxy-url: null";
    let user = "token: null, tokenFile: null, client-certificate: null, client-key: null, client-key-data: null, \
                username: null, exec: null, auth-provider: null, as: null, as-groups: null";
    assert!(parsed(cluster, user).unwrap().credentials.token.is_none());
    let text = "current-context: null\nclusters: null\ncontexts: null\nusers: null\n";
    let error = parse(text, Path::new("/k")).err().unwrap();
    assert!(error.starts_with("holds no cluster and no context"), "{error}");
    for empty in ["", " \n"] {
        assert!(parse(empty, Path::new("/k")).err().unwrap().starts_with("the file is empty"));
    }
}

#[test]
fn every_form_of_impersonation_is_refused() {
    for field in ["as: a", "as-uid: a", "as-groups: [a]", "as-user-extra: {a: [b]}"] {
        let error = refused(SERVER, &format!("token: t, {field}"));
        let name = field.split(':').next().unwrap();
        assert!(error.starts_with(&format!("users[u].{name} is not supported")), "{error}");
    }
}

#[test]
fn names_that_stand_twice_are_refused_where_they_are_used() {
    let text = document(SERVER, "token: x");
    let twice =
        |list: &str| text.replace(&format!("{list}:\n"), &format!("{list}:\n- name: other\n- name: other\n"));
    for list in ["clusters", "contexts", "users"] {
        assert!(parse(&twice(list), Path::new("/k")).is_ok(), "{list}");
    }
    for (list, name) in [("clusters", "c"), ("contexts", "here"), ("users", "u")] {
        let again = text.replace(&format!("{list}:\n"), &format!("{list}:\n- name: {name}\n"));
        let error = parse(&again, Path::new("/k")).err().unwrap();
        assert!(error.starts_with(&format!("{list} has two entries named {name:?}")), "{error}");
    }
}

/// Service accounts that were made again, certificates that were renewed: the file is replaced while we run.
#[test]
fn credentials_inside_the_file_are_those_of_the_file_as_it_is_now() {
    let folder = std::env::temp_dir().join(format!("toplet-kubeconfig-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("kubeconfig");
    let write = |user: &str| std::fs::write(&path, document(SERVER, user)).unwrap();
    write("token: old, client-certificate-data: YQ==, client-key-data: Yg==");
    let credentials = load(&path).unwrap().credentials;
    let token = credentials.token.as_ref().unwrap();
    let (certificate, key) = credentials.pair.as_ref().unwrap();
    let now = |material: &Material| material.read().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    assert_eq!([token, certificate, key].map(|m| now(m).unwrap()), ["old", "a", "b"]);
    write("token: new, client-certificate-data: Yw==, client-key-data: ZA==");
    assert_eq!([token, certificate, key].map(|m| now(m).unwrap()), ["new", "c", "d"]);
    write("client-certificate-data: Yw==, client-key-data: ZA==");
    assert!(now(token).unwrap_err().ends_with("users[u].token is gone; restart to log in another way"));
    write("tokenFile: token");
    std::fs::write(folder.join("token"), "moved").unwrap();
    assert_eq!(now(token).unwrap(), "moved");
    std::fs::write(&path, "half").unwrap();
    assert!(now(token).unwrap_err().contains("not a kubeconfig"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_token_file_must_hold_a_token() {
    let folder = std::env::temp_dir().join(format!("toplet-token-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("kubeconfig"), document(SERVER, "tokenFile: token")).unwrap();
    for (text, wanted) in
        [("", "the token is empty"), ("\n", "the token is empty"), ("a b", "no header may carry")]
    {
        std::fs::write(folder.join("token"), text).unwrap();
        let error = load(&folder.join("kubeconfig")).err().unwrap();
        assert!(error.contains(wanted) && error.contains("token"), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_pod_uses_its_service_account() {
    let mount = std::env::temp_dir().join(format!("toplet-serviceaccount-{}", std::process::id()));
    std::fs::create_dir_all(&mount).unwrap();
    let error = in_cluster("https://10.43.0.1:443", &mount).err().unwrap();
    assert!(error.contains("automountServiceAccountToken"), "{error}");
    std::fs::write(mount.join("token"), "t").unwrap();
    let access = in_cluster("https://[fd00::1]:443", &mount).unwrap();
    assert_eq!(access.server, "https://[fd00::1]:443");
    assert!(access.credentials.token == Some(Material::File(mount.join("token"))));
    assert!(access.credentials.roots == Roots::Pem(Material::File(mount.join("ca.crt"))));
    std::fs::remove_dir_all(&mount).unwrap();
}
