//! A connection that its task reads and writes, and that the table of connections may shut down: over TCP, or on the local
//! socket, which the same calls of the operating system serve.

use crate::host::socket::is_writable;
use crate::limits;
use smol::Async;
use smol::io::{AsyncRead, AsyncWrite};
use std::cell::Cell;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A shared, non-blocking connection.
#[derive(Clone)]
pub struct ClientSocket(Rc<Watched>);

struct Watched {
    stream: Async<TcpStream>,
    is_local: bool,
    /// Bytes written since the kernel was last known to have room for a piece.
    unchecked: Cell<usize>,
}

impl ClientSocket {
    /// A connection on the local socket.
    /// # Errors
    /// The operating system does not watch it.
    pub fn local(stream: UnixStream) -> io::Result<ClientSocket> {
        // Reading, writing, shutting down and looking ahead are recv(2), send(2) and shutdown(2) for either kind.
        let stream = Async::new(TcpStream::from(OwnedFd::from(stream)))?;
        Ok(ClientSocket(Rc::new(Watched { stream, is_local: true, unchecked: Cell::new(0) })))
    }

    /// Whether the peer came by the local socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.is_local
    }

    /// Ends both directions and wakes the tasks that wait on them. An error means that the connection is gone already.
    pub fn shutdown(&self) {
        let _ = self.0.stream.get_ref().shutdown(Shutdown::Both);
    }

    /// Ends the sending direction.
    pub fn shutdown_write(&self) {
        let _ = self.0.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Waits until the kernel takes another piece of an answer, so that a slow reader costs no piece here.
    /// # Errors
    /// The connection failed.
    pub async fn until_writable(&self) -> io::Result<()> {
        if !self.has_room() {
            self.0.stream.writable().await?;
            self.0.unchecked.set(0);
        }
        Ok(())
    }

    /// Whether the kernel takes another piece of an answer. It is asked once a piece only.
    #[must_use]
    pub fn has_room(&self) -> bool {
        if self.0.unchecked.get() < limits::CHUNK_LEN_MAX {
            return true;
        }
        let has_room = is_writable(self.0.stream.get_ref());
        if has_room {
            self.0.unchecked.set(0);
        }
        has_room
    }

    /// Waits for bytes and looks at the first few without taking them.
    /// # Errors
    /// The connection failed.
    pub async fn peek(&self, out: &mut [u8]) -> io::Result<usize> {
        self.0.stream.peek(out).await
    }
}

impl From<Async<TcpStream>> for ClientSocket {
    fn from(stream: Async<TcpStream>) -> ClientSocket {
        ClientSocket(Rc::new(Watched { stream, is_local: false, unchecked: Cell::new(0) }))
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &self.0.stream).poll_read(cx, out)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut &self.0.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = written {
            self.0.unchecked.set(self.0.unchecked.get().saturating_add(len));
        }
        written
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &self.0.stream).poll_flush(cx)
    }
    // Both directions would end at once; the sending one ends by `shutdown_write`.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
