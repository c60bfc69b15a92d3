//! What comes before the first request: other protocols, ALPN, certificates.

use super::*;

#[test]
fn garbage_and_plain_http_end_without_harm() {
    let server = Running::start(8);
    for garbage in [&b"\x16\x03\x01\xff\xff\xff\xff"[..], b"\0\0\0\0\0\0\0\0", b"SSH-2.0-x\r\n"] {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(garbage).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
    }
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.0 400 Bad Request\r\n"));
    assert_eq!(server.connect().get("/a").status, 200);
}

#[test]
fn alpn_is_http11_or_nothing() {
    let server = Running::start(8);
    let with = |protocols: &[&str]| {
        let mut config = client_config();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let mut client = server.connect_with(config);
        let worked = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").is_ok() && client.more();
        (worked, client.tls.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(with(&[]), (true, None));
    assert_eq!(with(&["h2", "http/1.1"]), (true, Some(b"http/1.1".to_vec())));
    for refused in ["h2", "acme-tls/1"] {
        let mut config = client_config();
        config.alpn_protocols = vec![refused.as_bytes().to_vec()];
        let mut client = server.connect_with(config);
        let told = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_err();
        assert!(told.to_string().contains("NoApplicationProtocol"), "{refused}: {told}");
    }
}

#[test]
fn any_client_certificate_is_let_in_and_a_huge_one_is_not() {
    let server = Running::start(8);
    let now = clock::wall();
    let with_chain = |authorities: usize| {
        let issued = SigningAuthority::generate(now).unwrap().issue(&["somebody".to_string()], now).unwrap();
        let mut chain: Vec<_> =
            CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        chain.extend(vec![chain[1].clone(); authorities]);
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
        client_builder().with_client_auth_cert(chain, key).unwrap()
    };
    assert_eq!(server.connect_with(with_chain(2)).get("/a").status, 200);
    // Beyond the limit here, and beyond what TLS takes at all.
    for authorities in [60, 300] {
        let mut client = server.connect_with(with_chain(authorities));
        let _ = client.tls.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").and_then(|()| client.tls.flush());
        assert!(client.tls.read(&mut [0; 64]).is_err(), "{authorities}");
    }
    assert_eq!(server.connect().get("/a").status, 200);
}
