//! One connection: handshake, then request after request until one side has enough.
//!
//! Requests on a connection are answered in order, so pipelined ones simply wait in the buffer. A request that was
//! refused by the parser is answered and the connection closed, with a moment to read why. In rest a connection holds its
//! TLS state and a few hundred bytes: the buffer of a request shrinks before the answer is written, the handshake's state
//! goes when it is done, and before the first byte there is no TLS state at all.

use crate::access::Peer;
use crate::host::clock;
use crate::limits;
use crate::serve::Server;
use crate::serve::body::Skip;
use crate::serve::http1::{self, BodyLength, Framing, Refusal};
use crate::serve::inbox::{Fill, Inbox};
use crate::serve::reply::{self, Source};
use crate::serve::response::{self, Meta};
use crate::serve::slots::{Phase, Slot};
use crate::serve::socket::Socket;
use futures_rustls::LazyConfigAcceptor;
use futures_rustls::rustls::server::Acceptor;
use futures_rustls::server::TlsStream;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::rc::Rc;

/// Serves one connection to its end.
pub async fn run(server: Rc<Server>, socket: Socket, slot: Rc<Slot>) {
    if let Err(error) = serve(&server, socket, &slot).await {
        log::debug!("a connection ended: {error}");
    }
    server.slots.close(&slot);
}

async fn serve(server: &Rc<Server>, mut socket: Socket, slot: &Rc<Slot>) -> io::Result<()> {
    let mut first = [0; 5];
    let len = socket.peek(&mut first).await?;
    if matches!(first.get(..len), Some(b"GET /" | b"HEAD " | b"POST " | b"PUT /" | b"OPTIO")) {
        socket.write_all(response::PLAIN_HTTP).await?;
        socket.shutdown_write();
        return Ok(());
    }
    let mut connection = Connection::accept(server, socket, slot).await?;
    while connection.serve_one().await? {
        smol::future::yield_now().await;
    }
    Ok(())
}

struct Connection<'a> {
    server: &'a Server,
    slot: &'a Slot,
    socket: Socket,
    tls: Box<TlsStream<Socket>>,
    peer: Peer,
    inbox: Inbox,
    served: bool,
}

/// What to do with a connection before the next request.
enum Arrived {
    /// A whole head of this length is in the inbox.
    Head(usize),
    /// The peer sends no more requests.
    End,
}

impl<'a> Connection<'a> {
    async fn accept(server: &'a Server, socket: Socket, slot: &'a Slot) -> io::Result<Connection<'a>> {
        // In two steps, since only these tell a peer by an alert why its first message was refused.
        let hello = LazyConfigAcceptor::new(Acceptor::default(), socket.clone());
        let hello = Box::pin(hello).await?;
        let handshake = hello.into_stream_with(server.tls.clone(), |tls| {
            tls.set_buffer_limit(Some(limits::TLS_QUEUE_LEN_MAX));
        });
        let tls = Box::new(Box::pin(handshake).await?);
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = Peer::new(chain.iter().map(|certificate| certificate.to_vec()).collect());
        let inbox = Inbox::new(&server.allowance);
        Ok(Connection { server, slot, socket, tls, peer, inbox, served: false })
    }

    /// Reads one request and answers it. `false`: the connection is done.
    async fn serve_one(&mut self) -> io::Result<bool> {
        let head_len = match self.arrive().await? {
            Ok(Arrived::Head(len)) => len,
            Ok(Arrived::End) => return self.say_goodbye().await,
            Err(refusal) => return self.refuse(refusal).await,
        };
        let framing = match self.read_request(head_len).await? {
            Ok(framing) => framing,
            Err(refusal) => return self.refuse(refusal).await,
        };
        self.served = true;
        let keep_alive = framing.keep_alive && !self.server.is_stopping();
        if framing.about_server {
            self.inbox.consume(head_len);
            let text = response::about_server(keep_alive, clock::wall());
            self.send(text.as_bytes()).await?;
            return Ok(keep_alive);
        }
        let Some((answer, meta)) = self.answer(head_len, framing.http11, keep_alive).await else {
            return self.refuse(Refusal::Bad("")).await;
        };
        self.inbox.consume(head_len);
        self.inbox.release();
        let app = self.server.exchange.app();
        let source = Source { store: &app.store, metrics: &app.metrics };
        let writing = reply::write(&mut *self.tls, self.slot, answer, &meta, source);
        // Boxed: an answer under way is larger than a connection at rest.
        let again = Box::pin(writing).await?;
        if again { Ok(true) } else { self.say_goodbye().await }
    }

    /// Waits for a whole head.
    async fn arrive(&mut self) -> io::Result<Result<Arrived, Refusal>> {
        let mut looked = 0;
        let mut begun = false;
        loop {
            if let Some(end) = http1::head_end(self.inbox.bytes(), looked) {
                self.begin_request(&mut begun);
                return Ok(Ok(Arrived::Head(end)));
            }
            looked = http1::resume_at(self.inbox.bytes().len());
            if !self.inbox.bytes().is_empty() {
                self.begin_request(&mut begun);
            } else {
                if self.server.is_stopping() {
                    return Ok(Ok(Arrived::End));
                }
                let (phase, time) = match self.served {
                    true => (Phase::Idle, limits::IDLE_TIME_MAX),
                    false => (Phase::New, limits::HEAD_TIME_MAX),
                };
                self.slot.enter(phase, clock::mono(), time);
            }
            match self.inbox.fill(&mut *self.tls, limits::HEAD_LEN_MAX).await? {
                Fill::More => {}
                Fill::End => return Ok(Ok(Arrived::End)),
                Fill::Full => return Ok(Err(Refusal::TooLarge)),
            }
        }
    }

    /// The clock of a request runs from its first byte; until it is whole, the connection may have to make room.
    fn begin_request(&self, begun: &mut bool) {
        if !std::mem::replace(begun, true) {
            let phase = if self.served { Phase::Reading } else { Phase::New };
            self.slot.enter(phase, clock::mono(), limits::HEAD_TIME_MAX);
        }
    }

    /// Checks the framing and reads past the body; a body that is too long leaves the connection for this answer only.
    async fn read_request(&mut self, head_len: usize) -> io::Result<Result<Framing, Refusal>> {
        let head = self.inbox.bytes().get(..head_len).unwrap_or_default();
        let lines = http1::line_count(head);
        if !self.inbox.reserve_lines(lines) {
            return Ok(Err(Refusal::TooLarge));
        }
        let head = self.inbox.bytes().get(..head_len).unwrap_or_default();
        let mut framing = match http1::parse(head) {
            Ok(request) => request.framing,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let len_max = u64::try_from(limits::BODY_LEN_MAX).unwrap_or(u64::MAX);
        match framing.body {
            BodyLength::Bytes(0) => {}
            BodyLength::Bytes(len) if len > len_max => framing.keep_alive = false,
            // The body comes only when asked for, which nobody does: the answer comes instead, and the connection ends.
            _ if framing.expects_continue => framing.keep_alive = false,
            body => match self.skip(head_len, body).await? {
                Ok(done) => framing.keep_alive &= done,
                Err(refusal) => return Ok(Err(refusal)),
            },
        }
        Ok(Ok(framing))
    }

    /// Reads past a body behind the head, which stays. `Ok(false)`: its end is too far or never comes.
    async fn skip(&mut self, head_len: usize, body: BodyLength) -> io::Result<Result<bool, Refusal>> {
        let mut skip = Skip::new(body);
        loop {
            let bytes = self.inbox.bytes().get(head_len..).unwrap_or_default();
            let used = match skip.advance(bytes) {
                Ok(used) => used,
                Err(refusal) => return Ok(Err(refusal)),
            };
            self.inbox.remove(head_len, used);
            if skip.is_done() {
                return Ok(Ok(true));
            }
            let room = head_len.saturating_add(limits::READ_LEN_IDLE.saturating_mul(8));
            if skip.seen() > limits::BODY_LEN_MAX
                || self.inbox.fill(&mut *self.tls, room).await? != Fill::More
            {
                return Ok(Ok(false));
            }
        }
    }

    async fn answer(
        &mut self,
        head_len: usize,
        http11: bool,
        keep_alive: bool,
    ) -> Option<(crate::api::answer::Answer, Meta)> {
        self.slot.enter(
            Phase::Busy,
            clock::mono(),
            limits::REQUEST_TIME_MAX.saturating_add(limits::PIECE_TIME_MAX),
        );
        let request = http1::parse(self.inbox.bytes().get(..head_len)?).ok()?;
        let head = request.head();
        let meta = Meta::new(&head, http11, keep_alive);
        // Boxed: it is gone again before the answer is written.
        let answer = Box::pin(self.server.exchange.answer(&head, &mut self.peer)).await;
        Some((answer, meta))
    }

    /// Says why a request was not read, and ends.
    async fn refuse(&mut self, refusal: Refusal) -> io::Result<bool> {
        log::debug!("refused a request: {refusal:?}");
        self.send(response::refusal(refusal).as_bytes()).await?;
        self.say_goodbye().await
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.slot.enter(Phase::Busy, clock::mono(), limits::PIECE_TIME_MAX);
        self.tls.write_all(bytes).await?;
        self.tls.flush().await
    }

    /// Ends the sending direction and reads on for a moment: closing with unread bytes would reset the connection, and
    /// the peer might lose the answer.
    async fn say_goodbye(&mut self) -> io::Result<bool> {
        self.slot.enter(Phase::Busy, clock::mono(), limits::PIECE_TIME_MAX);
        self.tls.close().await?;
        self.socket.shutdown_write();
        let socket = &mut self.socket;
        let rest = async {
            let mut sink = vec![0; limits::READ_LEN_IDLE];
            while matches!(socket.read(&mut sink).await, Ok(len) if len > 0) {
                // A peer that never stops sending must not keep the timer from being seen.
                smol::future::yield_now().await;
            }
        };
        let late = async {
            smol::Timer::after(limits::LINGER_TIME_MAX).await;
        };
        rest.or(late).await;
        Ok(false)
    }
}
