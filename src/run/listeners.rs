//! The listening sockets: systemd's, or one bound here; the local socket; and how many connections the open-files limit allows.
//!
//! A passed socket is not what the flags say, so the rule of host-only mode (loopback, or a client CA) is checked again on
//! the addresses that the sockets have.

use crate::access::Mode as AccessMode;
use crate::cli::Config;
use crate::host::local_socket::{self, LocalSocketFile};
use crate::host::{files, listen, systemd};
use crate::limits;
use crate::serve::SlotLimits;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

/// Sockets to serve on.
pub struct ListenSockets {
    /// At least one.
    pub sockets: Vec<TcpListener>,
    /// The first one's address.
    pub address: SocketAddr,
    /// systemd passed them, and goes on listening when this process ends.
    pub are_shared: bool,
    /// The local socket.
    pub local: Option<(UnixListener, LocalSocketFile)>,
}

impl ListenSockets {
    /// Takes systemd's sockets, or binds the configured address.
    /// # Errors
    /// What is wrong with them, and what to change.
    pub fn open(config: &Config) -> Result<ListenSockets, String> {
        let mut sockets = Vec::new();
        for socket in systemd::sockets() {
            let listener = listen::inherited(socket)
                .map_err(|e| format!("the socket that systemd passed {e}; use ListenStream=ADDRESS:PORT"))?;
            sockets.push(listener);
        }
        let are_shared = !sockets.is_empty();
        if !are_shared {
            sockets.push(bind(config)?);
        }
        let mut first = config.listen;
        for (nth, socket) in sockets.iter().enumerate() {
            let address =
                socket.local_addr().map_err(|e| format!("a listening socket without address: {e}"))?;
            if are_shared {
                check(config, address)?;
            }
            if nth == 0 {
                first = address;
            }
        }
        let local = open_local(config)?;
        Ok(ListenSockets { sockets, address: first, are_shared, local })
    }
}

/// The local socket, where one is configured. The default place being in use, as by another toplet, is no reason to serve
/// nothing at all.
fn open_local(config: &Config) -> Result<Option<(UnixListener, LocalSocketFile)>, String> {
    let Some(path) = &config.local_socket else { return Ok(None) };
    match local_socket::listen(path) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => {
            let problem = format!("--local-socket={}: {error}", path.display());
            if config.local_socket_is_chosen {
                return Err(problem);
            }
            log::warn!("{problem}; serving without a local socket");
            Ok(None)
        }
    }
}

/// Refuses a passed socket that would answer the network without asking who calls.
fn check(config: &Config, address: SocketAddr) -> Result<(), String> {
    let open_to_all = config.policy.mode == AccessMode::HostAnonymous;
    if open_to_all && !address.ip().to_canonical().is_loopback() {
        return Err(format!(
            "the socket that systemd passed listens on {address}, which is not a loopback address, and host-only mode \
             answers everybody who reaches it; set ListenStream=127.0.0.1:{}, or --client-ca-file",
            address.port()
        ));
    }
    Ok(())
}

fn bind(config: &Config) -> Result<TcpListener, String> {
    let (address, port) = (config.listen.ip(), config.listen.port());
    listen::listen(config.listen, config.reuse_port).map_err(|e| match e.kind() {
        ErrorKind::AddrInUse => format!(
            "--secure-port={port}: the port is in use on {address}; stop the program that listens there (on a host network \
             10250 is the kubelet's), or choose another"
        ),
        ErrorKind::AddrNotAvailable => format!(
            "--bind-address={address}: no interface of this machine has the address; is the network up yet?"
        ),
        ErrorKind::PermissionDenied => {
            format!("--secure-port={port}: {e}; choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE")
        }
        _ => format!("--bind-address={address} --secure-port={port}: {e}"),
    })
}

/// How many connections there may be; fewer than configured when the process may not open so many files.
#[must_use]
pub fn connection_limits(config: &Config) -> SlotLimits {
    let places = config.max_connections as usize;
    let wanted = SlotLimits { places, silent: limits::SILENT_CONNECTIONS_MAX };
    // One connection a node, and what the program itself has open.
    let nodes = config.capacity.nodes as usize;
    let others = nodes.saturating_add(limits::OTHER_FILES_MAX);
    let needed = places.saturating_add(wanted.silent).saturating_add(others);
    let allowed = files::raise_limit(needed);
    if allowed >= needed {
        return wanted;
    }
    // Nodes that do not exist open nothing: connections may have what the program surely does not need.
    let left = allowed.saturating_sub(limits::OTHER_FILES_MAX);
    let fitting =
        SlotLimits { places: places.min(left / 2).max(1), silent: wanted.silent.min(left / 4).max(1) };
    let message = format!(
        "the limit of open files is {allowed}, and {needed} may be needed ({places} connections, {} that have not sent a byte, \
         {nodes} nodes, {} others)",
        wanted.silent,
        limits::OTHER_FILES_MAX
    );
    if fitting.places < places {
        log::warn!(
            "{message}: at most {} connections are served; raise LimitNOFILE= (ulimit -n) or lower --max-connections",
            fitting.places
        );
    } else {
        log::debug!("{message}: at most {} connections may wait without a byte", fitting.silent);
    }
    fitting
}
