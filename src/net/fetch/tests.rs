use super::*;
use crate::net::credentials::{Material, Roots};
use crate::net::fake::{Authority, Fake, Reply, answer};

/// A fetcher with a peer to send to.
struct Client {
    fetcher: Fetcher,
    peer: RemoteHost,
}

impl Client {
    fn new(credentials: Credentials) -> Client {
        Client { fetcher: Fetcher::new(credentials).unwrap(), peer: RemoteHost::default() }
    }

    fn send(&self, request: &Request<'_>) -> Result<Exchange, FetchError> {
        self.fetcher.send(&self.peer, request)
    }
}

fn plain() -> Client {
    Client::new(Credentials { token: Some(Material::inline("s3cret")), ..Credentials::none() })
}

fn believing(authority: &Authority) -> Credentials {
    let roots = Roots::Pem(Material::inline(authority.pem.as_bytes()));
    Credentials { roots, token: Some(Material::inline("s3cret\n")), ..Credentials::none() }
}

fn request(url: &str) -> Request<'_> {
    Request::get(url, Some(Duration::from_secs(5)), 1_000_000)
}

fn failed(fetcher: &Client, url: &str) -> FetchError {
    match fetcher.send(&request(url)).map(|mut a| a.read_all()) {
        Err(e) | Ok(Err(e)) => e,
        Ok(Ok(body)) => panic!("{url} answered {body:?}"),
    }
}

#[test]
fn a_body_is_read_and_the_connection_kept() {
    let fake = Fake::start(|_, _| Reply::Keep(answer("200 OK", "hello")));
    let fetcher = plain();
    for _ in 0..3 {
        let mut exchange = fetcher.send(&request(&fake.url("http", "/x?y"))).unwrap();
        assert_eq!((exchange.status, exchange.content_type.as_str()), (200, "text/plain"));
        assert_eq!(exchange.read_all().unwrap(), b"hello");
    }
    assert_eq!(*fake.connections.lock().unwrap(), 1);
    assert!(fake.heads()[0].starts_with("GET /x?y HTTP/1.1\r\n"), "{}", fake.heads()[0]);
    assert!(fake.heads()[0].to_lowercase().contains("user-agent: toplet/"));
}

#[test]
fn a_chunked_body_is_joined() {
    let body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    let fake = Fake::start(move |_, _| Reply::Keep(body.as_bytes().to_vec()));
    let fetcher = plain();
    for _ in 0..2 {
        assert_eq!(fetcher.send(&request(&fake.url("http", "/"))).unwrap().read_all().unwrap(), b"abcdefg");
    }
    assert_eq!(*fake.connections.lock().unwrap(), 1, "kept after the last chunk");
}

#[test]
fn a_connection_the_peer_closed_meanwhile_is_replaced() {
    let fake =
        Fake::start(|n, _| if n == 1 { Reply::Close(vec![]) } else { Reply::Keep(answer("200 OK", "x")) });
    let fetcher = plain();
    for _ in 0..2 {
        assert_eq!(fetcher.send(&request(&fake.url("http", "/"))).unwrap().read_all().unwrap(), b"x");
    }
    assert_eq!(fake.heads().len(), 3);
}

#[test]
fn a_token_never_travels_in_clear_unless_told_so() {
    let fake = Fake::start(|_, _| Reply::Keep(answer("200 OK", "x")));
    plain().send(&request(&fake.url("http", "/"))).unwrap();
    let told =
        Credentials { token: Some(Material::inline("s3cret")), token_in_clear: true, ..Credentials::none() };
    Client::new(told).send(&request(&fake.url("http", "/"))).unwrap();
    let heads = fake.heads();
    assert!(!heads[0].to_lowercase().contains("authorization"), "{}", heads[0]);
    assert!(heads[1].contains("Bearer s3cret\r\n"), "{}", heads[1]);
}

#[test]
fn a_redirect_is_an_answer_and_the_token_goes_nowhere() {
    let elsewhere = Fake::start(|_, _| Reply::Keep(answer("200 OK", "x")));
    let head = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url("http", "/steal")
    );
    let fake = Fake::start(move |_, _| Reply::Keep(head.clone().into_bytes()));
    let told =
        Credentials { token: Some(Material::inline("s3cret")), token_in_clear: true, ..Credentials::none() };
    let exchange = Client::new(told).send(&request(&fake.url("http", "/"))).unwrap();
    let refusal = exchange.refusal().unwrap();
    assert_eq!(refusal.reason, Reason::Redirect);
    assert!(refusal.message.contains("302 Found") && refusal.message.contains("/steal"), "{refusal}");
    assert!(elsewhere.heads().is_empty());
}

#[test]
fn statuses_are_sorted() {
    let statuses = [
        ("401 Unauthorized", Reason::Unauthorized),
        ("403 Forbidden", Reason::Forbidden),
        ("404 Not Found", Reason::NotFound),
        ("410 Gone", Reason::Gone),
        ("429 Too Many Requests", Reason::Busy),
        ("500 Internal Server Error", Reason::Status),
        ("503 Service Unavailable", Reason::Busy),
        ("999 ", Reason::Status),
    ];
    let fake = Fake::start(move |n, _| Reply::Keep(answer(statuses[n].0, "no")));
    // Without a token, that could be read again after the 401.
    let fetcher = Client::new(Credentials::none());
    for (status, reason) in statuses {
        let mut exchange = fetcher.send(&request(&fake.url("http", "/"))).unwrap();
        let refusal = exchange.refusal().unwrap();
        assert_eq!(refusal.reason, reason, "{status}");
        assert_eq!(refusal.message, format!("request failed, status: \"{}\"", status.trim_end()));
        assert_eq!(exchange.read_all().unwrap(), b"no");
    }
}

#[test]
fn retry_after_is_read_and_bounded() {
    let fake = Fake::start(|n, _| {
        let after = if n == 0 { "7" } else { "99999999" };
        Reply::Keep(
            format!("HTTP/1.1 429 x\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        )
    });
    let fetcher = plain();
    let wait = || fetcher.send(&request(&fake.url("http", "/"))).unwrap().refusal().unwrap().retry_after;
    assert_eq!(wait(), Some(Duration::from_secs(7)));
    assert_eq!(wait(), Some(limits::RETRY_AFTER_MAX));
}

#[test]
fn k13_an_endless_body_is_cut_at_the_limit() {
    let fake = Fake::start(|_, _| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 8192]));
    assert_eq!(failed(&plain(), &fake.url("http", "/")).reason, Reason::TooLarge);
}

#[test]
fn silence_ends_at_the_timeout_before_and_within_a_body() {
    let fake = Fake::start(|n, _| match n {
        0 => Reply::Silence,
        _ => Reply::Endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec(), vec![]),
    });
    let url = fake.url("http", "/");
    let short = Request { timeout: Some(Duration::from_millis(100)), ..request(&url) };
    let fetcher = plain();
    let first = fetcher.send(&short).err().unwrap();
    assert_eq!((first.reason, first.message.as_str()), (Reason::Timeout, "no complete answer within 0.1 s"));
    let second = fetcher.send(&short).unwrap().read_all().unwrap_err();
    assert_eq!(second.reason, Reason::Timeout);
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let early = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let fake = Fake::start(move |_, _| Reply::Close(early.to_vec()));
    assert_eq!(failed(&plain(), &fake.url("http", "/")).reason, Reason::Disconnected);
}

#[test]
fn what_is_not_http_is_a_body_error() {
    let fake = Fake::start(|_, _| Reply::Close(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()));
    assert_eq!(failed(&plain(), &fake.url("http", "/")).reason, Reason::Body);
}

#[test]
fn a_huge_header_is_refused() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Filler: {}\r\n\r\n", "f".repeat(64 * 1024));
    let fake = Fake::start(move |_, _| Reply::Close(head.clone().into_bytes()));
    let reason = failed(&plain(), &fake.url("http", "/")).reason;
    assert!(matches!(reason, Reason::Body | Reason::Disconnected), "{reason:?}");
}

#[test]
fn nobody_there_is_refused_and_an_unknown_name_is_dns() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failed(&plain(), &format!("http://{address}/")).reason, Reason::Refused);
    assert_eq!(failed(&plain(), "http://no-such-name.invalid/").reason, Reason::Dns);
}

#[test]
fn an_address_in_the_certificate_is_verified() {
    let authority = Authority::new();
    let fake =
        Fake::tls(authority.server(&["127.0.0.1"], None), |_, _| Reply::Keep(answer("200 OK", "safe")));
    let fetcher = Client::new(believing(&authority));
    for _ in 0..2 {
        assert_eq!(fetcher.send(&request(&fake.url("https", "/"))).unwrap().read_all().unwrap(), b"safe");
    }
    assert!(fake.heads()[0].contains("Bearer s3cret\r\n"));
    assert_eq!(*fake.connections.lock().unwrap(), 1);
}

#[test]
fn another_authority_a_wrong_name_and_plain_text_are_told_apart() {
    let (authority, other) = (Authority::new(), Authority::new());
    let fetcher = Client::new(believing(&authority));
    let never = |_: usize, _: &str| panic!("a request was sent to a server that was not believed");
    let fake = Fake::tls(other.server(&["127.0.0.1"], None), never);
    assert_eq!(failed(&fetcher, &fake.url("https", "/")).reason, Reason::Untrusted);
    let fake = Fake::tls(authority.server(&["127.0.0.2", "edge-1"], None), never);
    assert_eq!(failed(&fetcher, &fake.url("https", "/")).reason, Reason::WrongName);
    let named = Credentials { server_name: Some("edge-1".to_owned()), ..believing(&authority) };
    let fake = Fake::tls(authority.server(&["edge-1"], None), |_, _| Reply::Keep(answer("200 OK", "safe")));
    Client::new(named).send(&request(&fake.url("https", "/"))).unwrap();
}

/// The annotation of a node may come to name another server than the one that a kept connection was verified as.
#[test]
fn a_kept_connection_serves_the_name_that_was_verified_alone() {
    let authority = Authority::new();
    let fake =
        Fake::tls(authority.server(&["127.0.0.1"], None), |_, _| Reply::Keep(answer("200 OK", "safe")));
    let client = Client::new(believing(&authority));
    let url = fake.url("https", "/");
    assert_eq!(client.send(&request(&url)).unwrap().read_all().unwrap(), b"safe");
    let named = Request { server_name: "edge-1", ..request(&url) };
    assert_eq!(client.send(&named).err().map(|e| e.reason), Some(Reason::WrongName));
    assert_eq!(fake.heads().len(), 1);
}

#[test]
fn anybody_is_believed_only_when_told_so() {
    let fake = Fake::tls(Authority::new().server(&["x"], None), |_, _| Reply::Keep(answer("200 OK", "x")));
    let anybody = Credentials { roots: Roots::Any, ..Credentials::none() };
    assert_eq!(Client::new(anybody).send(&request(&fake.url("https", "/"))).unwrap().status, 200);
    assert_eq!(failed(&plain(), &fake.url("https", "/")).reason, Reason::Untrusted);
}

#[test]
fn a_client_certificate_is_presented() {
    let authority = Authority::new();
    let config = authority.server(&["127.0.0.1"], Some(&authority));
    let fake = Fake::tls(config, |_, _| Reply::Keep(answer("200 OK", "x")));
    let pair = authority.sign(&["me"]);
    let pair = Some((Material::inline(pair.certificate), Material::inline(pair.key)));
    let known = Client::new(Credentials { pair, ..believing(&authority) });
    assert_eq!(known.send(&request(&fake.url("https", "/"))).unwrap().status, 200);
    let reason = failed(&Client::new(believing(&authority)), &fake.url("https", "/")).reason;
    assert_eq!(reason, Reason::Tls);
}

#[test]
fn stop_ends_a_read_without_timeout() {
    let fake = Fake::start(|_, _| {
        Reply::Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n".to_vec(), vec![])
    });
    let fetcher = Arc::new(plain());
    let url = fake.url("http", "/");
    let mut watch = fetcher.send(&Request { timeout: None, ..request(&url) }).unwrap();
    assert_eq!(watch.read(&mut [0; 9]).unwrap(), 1);
    let stopper = fetcher.clone();
    let stopping = std::thread::spawn(move || stopper.peer.stop());
    assert!(watch.read(&mut [0; 9]).is_err());
    stopping.join().unwrap();
    assert!(fetcher.send(&request(&url)).is_err());
}

#[test]
fn a_post_carries_its_body() {
    let fake = Fake::start(|_, _| Reply::Keep(answer("201 Created", "{}")));
    let url = fake.url("http", "/apis");
    let body: Option<(&str, &[u8])> = Some(("application/json", b"{\"a\":1}"));
    let exchange =
        plain().send(&Request { method: "POST", body, accept: "application/json", ..request(&url) }).unwrap();
    assert_eq!((exchange.status, exchange.refusal()), (201, None));
    let head = &fake.heads()[0];
    assert!(head.starts_with("POST /apis HTTP/1.1\r\n") && head.ends_with("\r\n\r\n{\"a\":1}"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json\r\n"));
}

#[test]
fn a_replaced_authority_is_believed_and_a_broken_one_leaves_the_last() {
    let (old, new) = (Authority::new(), Authority::new());
    let path = std::env::temp_dir().join(format!("toplet-replaced-ca-{}", std::process::id()));
    std::fs::write(&path, &old.pem).unwrap();
    let roots = Roots::Pem(Material::File(path.clone()));
    let fetcher = Client::new(Credentials { roots, ..Credentials::none() });
    let fake = Fake::tls(new.server(&["127.0.0.1"], None), |_, _| Reply::Keep(answer("200 OK", "x")));
    let look_again = || fetcher.fetcher.state.lock().unwrap().looked_at -= limits::CREDENTIAL_LOOK_INTERVAL;
    assert_eq!(failed(&fetcher, &fake.url("https", "/")).reason, Reason::Untrusted);
    std::fs::write(&path, format!("{}\n", new.pem)).unwrap();
    look_again();
    assert_eq!(fetcher.send(&request(&fake.url("https", "/"))).unwrap().status, 200);
    std::fs::write(&path, "nothing").unwrap();
    look_again();
    assert_eq!(fetcher.send(&request(&fake.url("https", "/"))).unwrap().status, 200);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_body_ends_at_a_deadline_set_later() {
    let fake = Fake::start(|_, _| {
        Reply::Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n".to_vec(), vec![])
    });
    let url = fake.url("http", "/");
    let fetcher = plain();
    let mut watch = fetcher.send(&Request { timeout: None, ..request(&url) }).unwrap();
    assert_eq!(watch.read(&mut [0; 9]).unwrap(), 1);
    watch.end_by(clock::mono() + Duration::from_millis(50));
    assert_eq!(watch.read(&mut [0; 9]).unwrap_err().reason, Reason::Timeout);
}
