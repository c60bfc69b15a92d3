//! One outgoing connection: TCP with a short connect timeout, TLS, and reads and writes with deadlines.
//!
//! A deadline covers a whole read or write, however slowly the peer trickles: the socket's own timeout is set again
//! before each system call.

use crate::host::{clock, socket, threads};
use crate::limits;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An open connection, plain or TLS.
pub(super) struct Stream {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

/// A TCP socket whose reads and writes end at a deadline.
struct Socket {
    stream: Arc<TcpStream>,
    deadline: Option<Instant>,
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
        opened: impl FnOnce(&Arc<TcpStream>) -> io::Result<()>,
    ) -> io::Result<Stream> {
        let stream = Arc::new(connect(addresses, deadline)?);
        opened(&stream)?;
        stream.set_nodelay(true)?;
        // Without keepalive a dead peer is noticed later; that is no reason not to connect.
        let _ = socket::keep_alive(
            &stream,
            limits::KEEPALIVE_IDLE,
            limits::KEEPALIVE_INTERVAL,
            limits::KEEPALIVE_PROBES,
        );
        let mut socket = Socket { stream, deadline };
        let tls = match tls {
            None => None,
            Some((config, name)) => {
                let mut tls = Box::new(ClientConnection::new(config, name).map_err(io::Error::other)?);
                tls.set_buffer_limit(Some(limits::FETCH_TLS_BUFFER_LEN));
                while tls.is_handshaking() {
                    tls.complete_io(&mut socket)?;
                }
                threads::give_back_stack();
                Some(tls)
            }
        };
        Ok(Stream { socket, tls })
    }

    /// Reads what is there, at least a byte; 0 at the end.
    pub(super) fn read(&mut self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.socket.deadline = deadline;
        match &mut self.tls {
            None => self.socket.read(buf),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.socket).read(buf),
        }
    }

    /// Writes all of `bytes` and flushes them.
    pub(super) fn write_all(&mut self, bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
        self.socket.deadline = deadline;
        match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls.as_mut(), &mut self.socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Whether an idle connection can be used again: the peer has neither closed it nor sent anything unasked.
    pub(super) fn is_idle(&self) -> bool {
        let stream = &*self.socket.stream;
        if stream.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).is_ok()
            && matches!(peeked, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

impl Socket {
    /// The time left as a socket timeout; `None` without a deadline.
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(clock::mono());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(self.left()?)?;
            match (&*self.stream).read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                result => return result,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        (&*self.stream).write(buf).map_err(|e| {
            if e.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { e }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect(addresses: &[SocketAddr], deadline: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = deadline.map_or(limits::CONNECT_TIMEOUT, |d| d.saturating_duration_since(clock::mono()));
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
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

    #[test]
    fn a_trickling_peer_ends_at_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let deadline = Some(clock::mono() + Duration::from_millis(80));
        let mut stream = Stream::open(&[address], None, deadline, |_| Ok(())).unwrap();
        let mut peer = listener.accept().unwrap().0;
        peer.write_all(b"x").unwrap();
        assert_eq!(stream.read(&mut [0; 8], deadline).unwrap(), 1);
        assert_eq!(stream.read(&mut [0; 8], deadline).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_closed_connection_is_not_idle() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Stream::open(&[listener.local_addr().unwrap()], None, None, |_| Ok(())).unwrap();
        let peer = listener.accept().unwrap().0;
        assert!(stream.is_idle());
        drop(peer);
        while stream.is_idle() {
            std::thread::yield_now();
        }
    }
}
