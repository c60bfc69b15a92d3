//! What a connection's requests and answers go through: TLS, or the local socket as it is.

use crate::access::Peer;
use crate::limits;
use crate::net::tls::ServerConfig;
use crate::serve::socket::ClientSocket;
use futures_rustls::LazyConfigAcceptor;
use futures_rustls::rustls::server::Acceptor;
use futures_rustls::server::TlsStream;
use smol::io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A connection that requests can be read from.
pub enum Transport {
    /// Over TCP, after its handshake.
    Tls(Box<TlsStream<ClientSocket>>),
    /// On the local socket.
    Plain(ClientSocket),
}

impl Transport {
    /// Does the handshake, where one is due, and finds out who the peer is.
    /// # Errors
    /// The connection failed, or the handshake was refused.
    pub async fn accept(socket: ClientSocket, tls: Arc<ServerConfig>) -> io::Result<(Transport, Peer)> {
        if socket.is_local() {
            return Ok((Transport::Plain(socket), Peer::local()));
        }
        // In two steps, since only these tell a peer by an alert why its first message was refused.
        let hello = Box::pin(LazyConfigAcceptor::new(Acceptor::default(), socket)).await?;
        let handshake = hello.into_stream_with(tls, |tls| {
            tls.set_buffer_limit(Some(limits::TLS_QUEUE_LEN_MAX));
        });
        let stream = Box::new(Box::pin(handshake).await?);
        // A client without certificate has an empty chain.
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = Peer::new(chain.iter().map(|certificate| certificate.to_vec()).collect());
        Ok((Transport::Tls(stream), peer))
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, out),
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
        }
    }
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tls(stream) => Pin::new(stream).poll_close(cx),
            Transport::Plain(socket) => Pin::new(socket).poll_close(cx),
        }
    }
}
