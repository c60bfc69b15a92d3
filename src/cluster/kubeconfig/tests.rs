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
    parse(&document(cluster, user), Path::new("/etc/kube"))
}

fn refused(cluster: &str, user: &str) -> String {
    parsed(cluster, user).err().unwrap_or_else(|| panic!("accepted {cluster} {user}"))
}

const SERVER: &str = "server: 'https://10.0.0.1:6443/'";

#[test]
fn k3s_file_is_read() {
    let text = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0tLQ==\n    server: https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\ncurrent-context: default\nkind: Config\nusers:\n- name: default\n  user:\n    client-certificate-data: YQ==\n    client-key-data: Yg==\n";
    let access = parse(text, Path::new("/etc/rancher/k3s")).unwrap();
    assert_eq!(access.server, "https://127.0.0.1:6443");
    assert!(access.credentials.roots == Roots::Pem(Material::inline("----")));
    assert!(access.credentials.pair == Some((Material::inline("a"), Material::inline("b"))));
    assert!(access.credentials.token.is_none() && !access.credentials.token_in_clear);
}

#[test]
fn json_is_yaml_too() {
    let text = r#"{"current-context":"x","clusters":[{"name":"c","cluster":{"server":"https://[fd00::1]:6443"}}],
        "contexts":[{"name":"x","context":{"cluster":"c"}}]}"#;
    assert_eq!(parse(text, Path::new("/")).unwrap().server, "https://[fd00::1]:6443");
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
    assert!(access.credentials.roots == Roots::Pem(Material::inline("ca")));
    assert!(access.credentials.token == Some(Material::inline("x")));
}

#[test]
fn skipping_verification_and_another_name_are_taken_over() {
    let access =
        parsed(&format!("{SERVER}, insecure-skip-tls-verify: true, tls-server-name: kube"), "").unwrap();
    assert!(access.credentials.roots == Roots::Anybody);
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
    let error = |from: &str, to: &str| parse(&text.replace(from, to), Path::new("/")).err().unwrap();
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
    let error = parse("current-context: [\nclient-key-data: c2VjcmV0\n", Path::new("/")).err().unwrap();
    assert!(error.starts_with("not a kubeconfig: "), "{error}");
    assert!(!error.contains("c2VjcmV0"), "{error}");
    let error = load(Path::new("/no/such/kubeconfig")).err().unwrap();
    assert!(error.starts_with("/no/such/kubeconfig: No such file"), "{error}");
}

#[test]
fn base64_is_strict() {
    for (text, bytes) in
        [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9v\nYmFy\n", "foobar")]
    {
        assert_eq!(base64(text).unwrap(), bytes.as_bytes(), "{text}");
    }
    for text in ["Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v!", "Zm-_"] {
        assert_eq!(base64(text), None, "{text}");
    }
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
