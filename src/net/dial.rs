//! One outgoing connection: TCP with a short connect timeout, TLS, and reads and writes with deadlines.
//!
//! A connection at rest is a socket and the TLS state; the buffers of a request ([`Buffers`]) are lent to it. So TLS runs
//! without buffers of its own, a record is read by one system call, and thousands of kept connections cost little.
//! A deadline covers a whole read or write, however slowly the peer trickles. The socket's own timeout is set only where
//! the last one would end too late, so that a request of a kept connection needs no other system calls than its own.

use crate::host::{clock, socket, threads};
use crate::limits;
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request needs while it runs: TLS records as they come, and what they hold.
pub(super) struct Buffers {
    cipher: Box<[u8]>,
    begin: usize,
    end: usize,
    plain: Vec<u8>,
    taken: usize,
}

impl Buffers {
    pub(super) fn new() -> Buffers {
        let cipher = vec![0; limits::FETCH_INPUT_LEN].into();
        let plain = Vec::with_capacity(limits::FETCH_INPUT_LEN);
        Buffers { cipher, begin: 0, end: 0, plain, taken: 0 }
    }

    /// What came and was not consumed yet.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain[self.taken..]
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.taken = self.plain.len().min(self.taken + len);
        if self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
        }
    }

    /// Nothing came that was not consumed.
    pub(super) fn is_empty(&self) -> bool {
        self.plain().is_empty() && self.begin == self.end
    }

    fn discard(&mut self, len: usize) {
        self.begin = self.end.min(self.begin + len);
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
    }

    /// Makes room behind what was not consumed, so that a record more does not need a larger buffer.
    fn compact(&mut self) {
        self.plain.drain(..self.taken);
        self.taken = 0;
    }

    /// Reads once behind what is there already; 0 at the end.
    fn read(&mut self, socket: &mut Socket, deadline: Option<Instant>) -> io::Result<usize> {
        if self.begin > 0 {
            self.cipher.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let room = &mut self.cipher[self.end..];
        if room.is_empty() {
            // A record is never longer than the buffer.
            return Err(io::Error::other(rustls::Error::InvalidMessage(
                rustls::InvalidMessage::MessageTooLarge,
            )));
        }
        let len = socket.read(room, deadline)?;
        self.end += len;
        Ok(len)
    }
}

/// An open connection, plain or TLS.
pub(super) struct Stream {
    socket: Socket,
    tls: Option<Box<UnbufferedClientConnection>>,
}

/// What TLS is run for.
enum Goal<'a> {
    Handshake,
    Send(&'a [u8]),
    Receive,
}

impl Stream {
    /// Connects to the first address that answers, and agrees on TLS when `tls` is given.
    ///
    /// # Errors
    /// The last address' error; a failed handshake carries the `rustls::Error`.
    pub(super) fn open(
        addresses: &[SocketAddr],
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        deadline: Option<Instant>,
        buffers: &mut Buffers,
        opened: impl FnOnce(&Arc<TcpStream>) -> io::Result<()>,
    ) -> io::Result<Stream> {
        let tcp = Arc::new(connect(addresses, deadline)?);
        opened(&tcp)?;
        tcp.set_nodelay(true)?;
        // Without keepalive a dead peer is noticed later; that is no reason not to connect.
        let _ = socket::keep_alive(
            &tcp,
            limits::KEEPALIVE_IDLE,
            limits::KEEPALIVE_INTERVAL,
            limits::KEEPALIVE_PROBES,
        );
        let socket = Socket { tcp, read_timeout: None, write_timeout: None };
        let mut stream = Stream { socket, tls: None };
        if let Some((config, name)) = tls {
            stream.tls =
                Some(Box::new(UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?));
            stream.run_tls(&Goal::Handshake, buffers, deadline)?;
            threads::give_back_stack();
        }
        Ok(stream)
    }

    /// Receives something, at least a byte, behind what `buffers` hold; 0 at the end.
    pub(super) fn receive(&mut self, buffers: &mut Buffers, deadline: Option<Instant>) -> io::Result<usize> {
        buffers.compact();
        if self.tls.is_some() {
            return self.run_tls(&Goal::Receive, buffers, deadline);
        }
        let len = buffers.read(&mut self.socket, deadline)?;
        let Buffers { cipher, begin, end, plain, .. } = buffers;
        plain.extend_from_slice(&cipher[*begin..*end]);
        (*begin, *end) = (0, 0);
        Ok(len)
    }

    /// Sends all of `bytes`.
    pub(super) fn send(
        &mut self,
        bytes: &[u8],
        buffers: &mut Buffers,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        if self.tls.is_some() {
            return self.run_tls(&Goal::Send(bytes), buffers, deadline).map(drop);
        }
        self.socket.write_all(bytes, deadline)
    }

    /// The certificate of the server (DER); `None` without TLS.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.peer_certificates()?.first().map(|leaf| leaf.as_ref())
    }

    /// Whether an idle connection can be used again: the peer has neither closed it nor sent anything unasked.
    pub(super) fn is_idle(&self) -> bool {
        socket::is_silent(&self.socket.tcp)
    }

    /// Runs TLS until the goal is reached; how many bytes were received.
    fn run_tls(
        &mut self,
        goal: &Goal<'_>,
        buffers: &mut Buffers,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let Stream { socket, tls: Some(tls) } = self else { return Ok(0) };
        let had = buffers.plain.len();
        let mut records = Vec::new();
        loop {
            let Buffers { cipher, begin, end, plain, .. } = buffers;
            let came = &mut cipher[*begin..*end];
            let UnbufferedStatus { discard, state, .. } = tls.process_tls_records(came);
            let mut starved = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        plain.extend_from_slice(record.map_err(io::Error::other)?.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut record)) => encode(&mut record, &mut records)?,
                Ok(ConnectionState::TransmitTlsData(transmission)) => {
                    socket.write_all(&records, deadline)?;
                    records.clear();
                    transmission.done();
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => match goal {
                    Goal::Handshake => return Ok(0),
                    Goal::Receive if plain.len() > had => return Ok(plain.len() - had),
                    Goal::Receive => starved = true,
                    Goal::Send(bytes) => {
                        let encrypted = encrypt(&mut traffic, bytes)?;
                        return socket.write_all(&encrypted, deadline).map(|()| 0);
                    }
                },
                Ok(ConnectionState::BlockedHandshake) => starved = true,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    return match goal {
                        Goal::Receive => Ok(plain.len() - had),
                        _ => Err(ErrorKind::UnexpectedEof.into()),
                    };
                }
                Ok(_) => return Err(io::Error::other("unexpected state of TLS")),
                Err(error) => {
                    buffers.discard(discard);
                    send_alert(tls, buffers, socket, deadline);
                    return Err(io::Error::other(error));
                }
            }
            buffers.discard(discard);
            if starved && buffers.read(socket, deadline)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

type ClientState = rustls::client::ClientConnectionData;

fn encode(
    record: &mut rustls::unbuffered::EncodeTlsData<'_, ClientState>,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let at = out.len();
    loop {
        match record.encode(&mut out[at..]) {
            Ok(len) => {
                out.truncate(at + len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) => out.resize(at + size.required_size, 0),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn encrypt(
    traffic: &mut rustls::unbuffered::WriteTraffic<'_, ClientState>,
    bytes: &[u8],
) -> io::Result<Vec<u8>> {
    let mut out = vec![0; bytes.len() + limits::TLS_RECORD_EXTRA_LEN];
    loop {
        match traffic.encrypt(bytes, &mut out) {
            Ok(len) => {
                out.truncate(len);
                return Ok(out);
            }
            Err(EncryptError::InsufficientSize(size)) => out.resize(size.required_size, 0),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Tells the peer why the handshake failed, for its log. Nothing depends on it.
fn send_alert(
    tls: &mut UnbufferedClientConnection,
    buffers: &mut Buffers,
    socket: &mut Socket,
    deadline: Option<Instant>,
) {
    let mut records = Vec::new();
    loop {
        // TLS remembers positions in what came, so it must see the rest of that again.
        let came = &mut buffers.cipher[buffers.begin..buffers.end];
        let UnbufferedStatus { discard, state, .. } = tls.process_tls_records(came);
        let Ok(ConnectionState::EncodeTlsData(mut record)) = state else { break };
        if encode(&mut record, &mut records).is_err() {
            break;
        }
        buffers.discard(discard);
    }
    let _ = socket.write_all(&records, deadline);
}

/// A TCP socket whose reads and writes end at a deadline.
struct Socket {
    tcp: Arc<TcpStream>,
    /// What the kernel was told last.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// The timeout that has to be set before a system call that shall end at `deadline`; `None` when the last one will do.
/// One that ends too early will do as well: the call is then made again.
fn timeout_to_set(last: Option<Duration>, deadline: Option<Instant>) -> io::Result<Option<Option<Duration>>> {
    let Some(deadline) = deadline else { return Ok(last.is_some().then_some(None)) };
    let left = deadline.saturating_duration_since(clock::mono());
    match last {
        _ if left.is_zero() => Err(ErrorKind::TimedOut.into()),
        Some(last) if last <= left + limits::SOCKET_TIMEOUT_SLACK && last >= left / 2 => Ok(None),
        _ => Ok(Some(Some(left))),
    }
}

impl Socket {
    fn read(&mut self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        loop {
            if let Some(timeout) = timeout_to_set(self.read_timeout, deadline)? {
                self.tcp.set_read_timeout(timeout)?;
                self.read_timeout = timeout;
            }
            match (&*self.tcp).read(buf) {
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                result => return result,
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
        while !bytes.is_empty() {
            if let Some(timeout) = timeout_to_set(self.write_timeout, deadline)? {
                self.tcp.set_write_timeout(timeout)?;
                self.write_timeout = timeout;
            }
            match (&*self.tcp).write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => bytes = &bytes[len..],
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn connect(addresses: &[SocketAddr], deadline: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = deadline.map_or(limits::CONNECT_TIMEOUT, |d| d.saturating_duration_since(clock::mono()));
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, left.min(limits::CONNECT_TIMEOUT)) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(listener: &std::net::TcpListener, deadline: Option<Instant>, buffers: &mut Buffers) -> Stream {
        Stream::open(&[listener.local_addr().unwrap()], None, deadline, buffers, |_| Ok(())).unwrap()
    }

    #[test]
    fn a_trickling_peer_ends_at_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let deadline = Some(clock::mono() + Duration::from_millis(80));
        let mut buffers = Buffers::new();
        let mut stream = open(&listener, deadline, &mut buffers);
        let mut peer = listener.accept().unwrap().0;
        peer.write_all(b"x").unwrap();
        assert_eq!(stream.receive(&mut buffers, deadline).unwrap(), 1);
        assert_eq!(buffers.plain(), b"x");
        assert_eq!(stream.receive(&mut buffers, deadline).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_closed_connection_is_not_idle() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = open(&listener, None, &mut Buffers::new());
        let peer = listener.accept().unwrap().0;
        assert!(stream.is_idle());
        drop(peer);
        while stream.is_idle() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_socket_timeout_is_set_only_where_the_last_one_would_end_too_late() {
        let secs = Duration::from_secs;
        let in_ten = Some(clock::mono() + secs(10));
        let set = |last, deadline| timeout_to_set(last, deadline).unwrap();
        assert!(set(None, in_ten).is_some(), "the first");
        assert_eq!(set(Some(secs(10)), in_ten), None, "the next scrape");
        assert!(set(Some(secs(30)), in_ten).is_some(), "too late");
        assert!(set(Some(secs(1)), in_ten).is_some(), "much too early: it would wake for nothing");
        assert_eq!(set(Some(secs(1)), None), Some(None), "without a deadline");
        assert_eq!(set(None, None), None);
        assert!(timeout_to_set(None, Some(clock::mono())).is_err(), "the deadline is over");
    }
}
