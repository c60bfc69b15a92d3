//! One connection: a place, the handshake (none on the local socket), then request after request until one side ends it.
//!
//! Requests on a connection are answered in order, so pipelined ones simply wait in the buffer. A request that was
//! refused by the parser is answered and the connection closed, with a moment to read why. At rest a connection holds its
//! TLS state and a few hundred bytes: the buffer of a request shrinks before the answer is written, the handshake's state
//! goes when it is done, and before the first byte there is neither.

use crate::access::Peer;
use crate::api::answer::{Answer, Body};
use crate::host::clock;
use crate::limits;
use crate::serve::exchange::UnderWay;
use crate::serve::http1::{self, Refusal};
use crate::serve::inbox::{Fill, Inbox, Loan};
use crate::serve::reply::{self, Storage};
use crate::serve::response::{self, Meta};
use crate::serve::server::Server;
use crate::serve::slot::{Phase, Slot};
use crate::serve::socket::ClientSocket;
use crate::serve::transport::Transport;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::rc::Rc;

/// Serves one connection to its end.
pub async fn run(server: Rc<Server>, socket: ClientSocket, slot: Rc<Slot>) {
    let mut first = [0; 5];
    let begun = match socket.peek(&mut first).await {
        Ok(len) if !socket.is_local() && first.get(..len).is_some_and(is_plain_http) => {
            refuse_plain_http(socket.clone()).await;
            false
        }
        Ok(len) => len > 0 && server.slots.place(&slot, clock::mono()).await,
        Err(_) => false,
    };
    if begun {
        // Boxed: a silent connection must cost little.
        if let Err(error) = Box::pin(serve(&server, socket, &slot)).await {
            log::debug!("a connection ended: {error}");
        }
    }
    server.slots.close(&slot, clock::mono());
}

fn is_plain_http(first: &[u8]) -> bool {
    matches!(first, b"GET /" | b"HEAD " | b"POST " | b"PUT /" | b"OPTIO")
}

async fn refuse_plain_http(mut socket: ClientSocket) {
    // An error means that the peer is gone already.
    let _ = socket.write_all(response::PLAIN_HTTP).await;
    socket.shutdown_write();
}

async fn serve(server: &Server, socket: ClientSocket, slot: &Slot) -> io::Result<()> {
    let mut connection = Connection::accept(server, socket, slot).await?;
    while connection.serve_one().await? {
        smol::future::yield_now().await;
    }
    connection.linger_close().await
}

struct Connection<'a> {
    server: &'a Server,
    slot: &'a Slot,
    socket: ClientSocket,
    transport: Transport,
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
    async fn accept(server: &'a Server, socket: ClientSocket, slot: &'a Slot) -> io::Result<Connection<'a>> {
        let (transport, peer) = Transport::accept(socket.clone(), server.tls.clone()).await?;
        let inbox = Inbox::new(&server.allowance);
        Ok(Connection { server, slot, socket, transport, peer, inbox, served: false })
    }

    /// Reads one request and answers it. `false`: the connection is done.
    async fn serve_one(&mut self) -> io::Result<bool> {
        let head_len = match self.arrive().await? {
            Ok(Arrived::Head(len)) => len,
            Ok(Arrived::End) => return Ok(false),
            Err(refusal) => return self.refuse(refusal).await,
        };
        if !self.socket.has_room() {
            self.slot.enter(Phase::Busy, clock::mono(), limits::PIECE_TIME_MAX);
            self.socket.until_writable().await?;
        }
        let (answer, mut meta, under_way) = match self.answer(head_len).await {
            Ok(answered) => answered,
            Err(refusal) => return self.refuse(refusal).await,
        };
        self.served = true;
        meta.keep_alive &= !self.server.is_stopping();
        self.inbox.consume(head_len);
        self.inbox.release();
        let (answer, _loan) = self.charged(answer);
        let app = self.server.handler.app();
        let source = Storage { store: &app.store, metrics: &app.metrics };
        let writing = reply::write(&mut self.transport, &self.socket, self.slot, answer, &meta, source);
        // Boxed: an answer under way is larger than a connection at rest.
        let written = Box::pin(writing).await;
        // Counted until here, so that slow readers count as well.
        drop(under_way);
        let again = written?;
        self.inbox.forget_request();
        Ok(again)
    }

    /// Charges a body whose size the client may have chosen to what connections share, until it is written.
    fn charged(&self, answer: Answer) -> (Answer, Option<Loan>) {
        let Body::Whole(bytes) = &answer.body else { return (answer, None) };
        let beyond = bytes.capacity().saturating_sub(limits::CHUNK_LEN_MAX);
        match self.server.allowance.lend(beyond) {
            Some(loan) => (answer, Some(loan)),
            None => (response::overloaded(), None),
        }
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
                let (phase, time) = match self.served {
                    true => (Phase::Idle, limits::IDLE_TIME_MAX),
                    false => (Phase::New, limits::HEAD_TIME_MAX),
                };
                let time = if self.server.is_stopping() { limits::DRAIN_QUIET_TIME } else { time };
                self.slot.enter(phase, clock::mono(), time);
            }
            match self.inbox.fill(&mut self.transport, limits::HEAD_LEN_MAX).await? {
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

    /// The answer to the request whose head is the first bytes of the inbox. A body is not read: the connection closes
    /// after the answer.
    async fn answer(&mut self, head_len: usize) -> Result<(Answer, Meta, Option<UnderWay>), Refusal> {
        let cost = http1::cost(self.inbox.first(head_len));
        if !self.inbox.reserve_request(cost) {
            return Err(Refusal::TooLarge);
        }
        let request = http1::parse(self.inbox.first(head_len))?;
        let time = limits::REQUEST_TIME_MAX.saturating_add(limits::PIECE_TIME_MAX);
        self.slot.enter(Phase::Busy, clock::mono(), time);
        let head = request.head();
        let meta = Meta::new(&head, request.framing.http11, request.framing.keep_alive);
        // Boxed: it is gone again before the answer is written.
        let (answer, under_way) = Box::pin(self.server.handler.answer(&head, &mut self.peer)).await;
        Ok((answer, meta, under_way))
    }

    /// Says why a request was not read, and ends.
    async fn refuse(&mut self, refusal: Refusal) -> io::Result<bool> {
        log::debug!("refused a request: {refusal:?}");
        self.send(response::refusal(refusal).as_bytes()).await?;
        Ok(false)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.slot.enter(Phase::Busy, clock::mono(), limits::PIECE_TIME_MAX);
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// Ends the sending direction and reads on for a bounded time and length: closing with unread bytes would reset the
    /// connection, and the peer might lose the answer.
    async fn linger_close(self) -> io::Result<()> {
        let Connection { slot, mut socket, mut transport, inbox, .. } = self;
        slot.enter(Phase::Busy, clock::mono(), limits::PIECE_TIME_MAX);
        transport.close().await?;
        socket.shutdown_write();
        // What a large request left there must not stay for as long as its peer takes.
        drop((transport, inbox));
        let rest = async {
            let mut sink = vec![0; limits::READ_LEN_IDLE];
            let mut left = limits::LINGER_LEN_MAX;
            while left > 0 {
                match socket.read(&mut sink).await {
                    Ok(0) | Err(_) => break,
                    Ok(len) => left = left.saturating_sub(len),
                }
                // A peer that never stops sending must not keep the timer from being polled.
                smol::future::yield_now().await;
            }
        };
        let late = async {
            smol::Timer::after(limits::LINGER_TIME_MAX).await;
        };
        rest.or(late).await;
        Ok(())
    }
}
