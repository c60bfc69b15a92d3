//! The listening socket, with the options that the standard library does not set.

use crate::limits;
use rustix::net::sockopt;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_to, listen as listen_on, socket_with,
};
use std::io::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// Listens on `address`. An unspecified address (`0.0.0.0`, `::`) means every address of both families, or of IPv4 where
/// the machine has no IPv6. `reuse_port` lets several processes listen on one port.
/// # Errors
/// The operating system's refusal: the port is taken, needs a privilege, or the address is not this machine's.
pub fn listen(address: SocketAddr, reuse_port: bool) -> Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return bind(address, reuse_port);
    }
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    match bind(at(Ipv6Addr::UNSPECIFIED.into()), reuse_port) {
        Err(error) if is_without_ipv6(&error) => bind(at(Ipv4Addr::UNSPECIFIED.into()), reuse_port),
        bound => bound,
    }
}

/// Takes over a socket that another program made.
/// # Errors
/// What it is instead of a listening TCP socket.
pub fn inherited(socket: OwnedFd) -> std::result::Result<TcpListener, String> {
    let is_ip = matches!(sockopt::socket_domain(&socket), Ok(AddressFamily::INET | AddressFamily::INET6));
    if !is_ip || sockopt::socket_type(&socket) != Ok(SocketType::STREAM) {
        return Err("is not a TCP socket".to_owned());
    }
    if sockopt::socket_acceptconn(&socket) != Ok(true) {
        return Err("does not listen".to_owned());
    }
    Ok(TcpListener::from(socket))
}

/// What the kernel says where IPv6 is not built in, or switched off.
fn is_without_ipv6(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind(address: SocketAddr, reuse_port: bool) -> Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    bind_to(&socket, &address)?;
    listen_on(&socket, limits::BACKLOG_MAX)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_loopback_address_is_bound_alone() {
        let listener = listen(at("127.0.0.1:0"), false).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.ip(), at("127.0.0.1:0").ip());
        TcpStream::connect(address).unwrap();
        assert!(TcpStream::connect(("127.0.0.2", address.port())).is_err());
        assert_eq!(listen(address, false).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn an_unspecified_address_answers_on_every_address() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let listener = listen(at(any), false).unwrap();
            let port = listener.local_addr().unwrap().port();
            TcpStream::connect(("127.0.0.1", port)).unwrap();
            let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
            if has_ipv6 && listener.local_addr().unwrap().is_ipv6() {
                TcpStream::connect(("::1", port)).unwrap();
            }
        }
    }

    #[test]
    fn only_a_listening_tcp_socket_is_taken_over() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(inherited(udp.into()).unwrap_err(), "is not a TCP socket");
        let listener = listen(at("127.0.0.1:0"), false).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        assert_eq!(inherited(stream.into()).unwrap_err(), "does not listen");
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(inherited(unix.into()).unwrap_err(), "is not a TCP socket");
        assert_eq!(inherited(listener.into()).unwrap().local_addr().unwrap(), address);
    }

    #[test]
    fn two_listeners_share_a_port_when_both_say_so() {
        let first = listen(at("127.0.0.1:0"), true).unwrap();
        listen(first.local_addr().unwrap(), true).unwrap();
        assert!(listen(first.local_addr().unwrap(), false).is_err());
    }
}
