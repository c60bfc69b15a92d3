//! What the standard library cannot ask of a socket: TCP keepalive, the size of the send buffer, a look without waiting.
//!
//! A watch of the API server may be silent for minutes and still be healthy; only the kernel's probes tell such a
//! connection from one whose peer lost power. Refuses nothing: a socket without keepalive merely notices later.

#![allow(unsafe_code)]

use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Probes an idle connection after `idle`, then every `interval`, and gives it up after `probes` silent ones.
///
/// # Errors
/// The operating system's refusal.
pub fn keep_alive(
    stream: &TcpStream,
    idle: Duration,
    interval: Duration,
    probes: u32,
) -> std::io::Result<()> {
    let seconds = |d: Duration| libc::c_int::try_from(d.as_secs()).unwrap_or(libc::c_int::MAX);
    set(stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds(idle))?;
    set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, seconds(interval))?;
    set(
        stream,
        libc::IPPROTO_TCP,
        libc::TCP_KEEPCNT,
        libc::c_int::try_from(probes).unwrap_or(libc::c_int::MAX),
    )
}

/// Bounds what the kernel holds of unread answers; connections accepted from a listener inherit its bound. Without one it
/// grows to megabytes for each slow reader, and all of it counts against the memory limit of the control group.
///
/// # Errors
/// The operating system's refusal.
pub fn send_buffer(socket: &impl AsRawFd, len: usize) -> std::io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, libc::c_int::try_from(len).unwrap_or(libc::c_int::MAX))
}

/// Whether a connection's peer has neither closed it nor sent anything that was not read yet.
#[must_use]
pub fn is_silent(stream: &TcpStream) -> bool {
    let mut byte = 0_u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the descriptor is open for the borrow of `stream`; the kernel writes at most one byte to a live one.
    let len = unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, flags) };
    len < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock
}

/// Whether the kernel takes more bytes now: a third of the send buffer at least is free then. An error counts as room, so
/// that the write meets it.
#[must_use]
pub fn is_writable(socket: &impl AsRawFd) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live pollfd, as the count says; it does not wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) != 0 }
}

fn set(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> std::io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the borrow of `socket`; the kernel reads `len` bytes of a live integer.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_socket_takes_keepalive() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        keep_alive(&stream, Duration::from_secs(30), Duration::from_secs(10), 3).unwrap();
    }
}
