//! A TCP connection that its task reads and writes, and that the table of connections may shut down.

use smol::Async;
use smol::io::{AsyncRead, AsyncWrite};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A shared, non-blocking TCP connection.
#[derive(Clone)]
pub struct ClientSocket(Rc<Async<TcpStream>>);

impl ClientSocket {
    /// Takes a connection over.
    /// # Errors
    /// The operating system refuses to watch it.
    pub fn new(stream: TcpStream) -> io::Result<ClientSocket> {
        Async::new(stream).map(ClientSocket::from)
    }

    /// Ends both directions and wakes the tasks that wait on them. An error means that the connection is gone already.
    pub fn shutdown(&self) {
        let _ = self.0.get_ref().shutdown(Shutdown::Both);
    }

    /// Ends the sending direction.
    pub fn shutdown_write(&self) {
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }

    /// Waits for bytes and looks at the first few without taking them.
    /// # Errors
    /// The connection failed.
    pub async fn peek(&self, out: &mut [u8]) -> io::Result<usize> {
        self.0.peek(out).await
    }
}

impl From<Async<TcpStream>> for ClientSocket {
    fn from(stream: Async<TcpStream>) -> ClientSocket {
        ClientSocket(Rc::new(stream))
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read(cx, out)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write(cx, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_flush(cx)
    }
    // Both directions would end at once; the sending one ends by `shutdown_write`.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
