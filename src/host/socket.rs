//! What the standard library cannot ask of a socket: TCP keepalive, the size of the send buffer, a look without waiting.
//!
//! A watch of the API server may be silent for minutes and still be healthy; only the kernel's probes tell such a
//! connection from one whose peer lost power. Refuses nothing: a socket without keepalive merely notices later.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use std::io::Result;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

/// Probes an idle connection after `idle`, then every `interval`, and gives it up after `probes` silent ones.
///
/// # Errors
/// The operating system's refusal.
pub fn keep_alive(stream: &TcpStream, idle: Duration, interval: Duration, probes: u32) -> Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    Ok(sockopt::set_tcp_keepcnt(stream, probes)?)
}

/// Bounds what the kernel holds of unread answers; connections accepted from a listener inherit its bound. Without one it
/// grows to megabytes for each slow reader, and all of it counts against the memory limit of the control group.
///
/// # Errors
/// The operating system's refusal.
pub fn send_buffer(socket: &impl AsFd, len: usize) -> Result<()> {
    Ok(sockopt::set_socket_send_buffer_size(socket, len)?)
}

/// Whether a connection's peer has neither closed it nor sent anything that was not read yet.
#[must_use]
pub fn is_silent(stream: &TcpStream) -> bool {
    let looked = recv(stream, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    looked.is_err_and(|error| error == Errno::WOULDBLOCK)
}

/// Whether the kernel takes more bytes now: a third of the send buffer at least is free then. An error counts as room, so
/// that the write meets it.
#[must_use]
pub fn is_writable(socket: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&Timespec::default())) != Ok(0)
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
