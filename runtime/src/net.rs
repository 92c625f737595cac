//! Addresses of this machine, and sockets on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::limits;
use crate::worker::udp::Receiver;

/// The addresses of this machine at which a client can reach it: those of the loopback interface
/// last, link-local ones not at all, for they mean nothing without their link.
pub(crate) fn interface_addresses() -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "the network interfaces cannot be listed");
            vec![Ipv4Addr::LOCALHOST.into()]
        }
    };
    addresses.retain(|address| !is_link_local(address));
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6(), *address));
    addresses.dedup();
    addresses.truncate(limits::CANDIDATES);
    addresses
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Listens at `address`. `[::]` takes IPv4 in as well, and is `0.0.0.0` where there is no IPv6.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match listen_at(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && no_ipv6(&error) => {
            listen_at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        result => result,
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    missing
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of a server that has just stopped must not keep the next one from starting.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets a connection up as the clients want it: answers go out at once, and the system finds out
/// when the other end is gone without a word, as a machine that has lost its power or its network.
///
/// That must not be left to what is spoken: who plays a stream that is silent gets nothing, and
/// many players by RTMP do not answer pings.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Answers are written whole; waiting to join them only delays.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(limits::PROBE_AFTER)
        .with_interval(limits::PROBE_INTERVAL)
        .with_retries(limits::PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // Nothing is asked while something is under way, which is sent again for a quarter of an hour.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits::UNACKNOWLEDGED))?;
    Ok(())
}

/// A socket for media at `address`, of its family alone.
pub(crate) fn media_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system gives what it is set up to give, which may be less.
    for result in [
        socket.set_recv_buffer_size(limits::MEDIA_SOCKET_BUFFER),
        socket.set_send_buffer_size(limits::MEDIA_SOCKET_BUFFER),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "no larger buffers for the media socket");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Bytes that the system has set aside for what a socket receives, and for what it sends.
pub(crate) fn buffers(socket: &UdpSocket) -> (usize, usize) {
    let socket = SockRef::from(socket);
    // Without an answer there is nothing to complain of.
    let unknown = limits::MEDIA_SOCKET_BUFFER;
    (
        socket.recv_buffer_size().unwrap_or(unknown),
        socket.send_buffer_size().unwrap_or(unknown),
    )
}

/// A socket of a player, at a free port of this address, with that port.
pub(crate) fn player_socket(local: IpAddr, offload: bool) -> io::Result<(UdpSocket, SocketAddr)> {
    let address = SocketAddr::new(local, 0);
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // The system gives what it is set up to give, which may be less.
    let _ = socket.set_recv_buffer_size(limits::LOAD_SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into());
    Receiver::prepare(&socket, offload);
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Lets this program have as many sockets open as the system allows it.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// The name of this machine, where it is a name that a certificate can hold.
pub(crate) fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok()?;
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    (plain && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_is_told_when_the_other_end_counts_as_gone() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let _other_end = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = TcpStream::from_std(listener.accept().unwrap().0);
        prepare(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits::PROBE_AFTER);
        let interval = socket.tcp_keepalive_interval().unwrap();
        assert_eq!(interval, limits::PROBE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), limits::PROBES);
        let timeout = socket.tcp_user_timeout().unwrap();
        assert_eq!(timeout, Some(limits::UNACKNOWLEDGED));
    }
}
