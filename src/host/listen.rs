//! The listening socket, with the options that the standard library does not set.

#![allow(unsafe_code)]

use crate::limits;
use std::io::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

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
    let is = |name, values: &[libc::c_int]| value(&socket, name).is_ok_and(|value| values.contains(&value));
    if !is(libc::SO_DOMAIN, &[libc::AF_INET, libc::AF_INET6]) || !is(libc::SO_TYPE, &[libc::SOCK_STREAM]) {
        return Err("is not a TCP socket".to_owned());
    }
    if !is(libc::SO_ACCEPTCONN, &[1]) {
        return Err("does not listen".to_owned());
    }
    Ok(TcpListener::from(socket))
}

/// An integer option of the socket level.
fn value(socket: &OwnedFd, name: libc::c_int) -> Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = len_of(&value);
    // SAFETY: the kernel writes one live integer of the length given.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut len)
    };
    if done == 0 { Ok(value) } else { Err(Error::last_os_error()) }
}

/// What the kernel says where IPv6 is not built in, or switched off.
fn is_without_ipv6(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind(address: SocketAddr, reuse_port: bool) -> Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else; it is closed on every way out.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if reuse_port {
        option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if address.is_ipv6() {
        let only = i32::from(!address.ip().is_unspecified());
        option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only)?;
    }
    let done = match address {
        SocketAddr::V4(address) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: `name` is a live address of the length given.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), len_of(&name)) }
        }
        SocketAddr::V6(address) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), len_of(&name)) }
        }
    };
    // SAFETY: the descriptor is open; no pointers are passed.
    if done != 0 || unsafe { libc::listen(socket.as_raw_fd(), limits::BACKLOG_MAX) } != 0 {
        return Err(Error::last_os_error());
    }
    Ok(TcpListener::from(socket))
}

fn option(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> Result<()> {
    // SAFETY: the kernel reads one live integer of the length given.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len_of(&value))
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

fn len_of<T>(_: &T) -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
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
