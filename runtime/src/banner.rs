//! What the operator reads when the server has started.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::config::Settings;
use crate::net;
use crate::server::Addresses;

/// The lines: where to open it, where to publish to, where media goes, and how to stop it.
pub fn banner(settings: &Settings, addresses: &Addresses) -> String {
    let mut text = format!("Parlor {}\n\n", env!("CARGO_PKG_VERSION"));
    let others = match settings.public_ips.is_empty() {
        true => net::interface_addresses(),
        false => settings.public_ips.clone(),
    };
    let mut name = "Open";
    for (http, ws, listeners) in [
        ("http", "ws", &addresses.plain),
        ("https", "wss", &addresses.tls),
    ] {
        for host in hosts(listeners, &others) {
            let (page, socket) = (format!("{http}://{host}/"), format!("{ws}://{host}/"));
            line(&mut text, name, &format!("{page:<32} {socket}"));
            name = "";
        }
    }
    let mut name = "RTMP";
    for host in hosts(&addresses.rtmp, &others) {
        line(&mut text, name, &format!("rtmp://{host}/ROOM/NAME"));
        name = "";
    }
    text.push('\n');
    for (number, candidates) in addresses.media.iter().enumerate() {
        let name = if number == 0 { "Media (UDP)" } else { "" };
        let candidates: Vec<String> = candidates.iter().map(ToString::to_string).collect();
        line(&mut text, name, &candidates.join("  "));
    }
    if !addresses.tls.is_empty() && settings.tls_cert.is_none() {
        let dir = settings.state_dir.display();
        line(
            &mut text,
            "Certificate",
            "self-signed: browsers ask before they accept it,",
        );
        line(&mut text, "", &format!("kept in {dir}"));
    }
    text.push_str("\nCtrl-C stops it.\n");
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "  {name:<12} {value}");
}

/// How a browser names the listeners: this machine first, then the addresses others can use.
fn hosts(listeners: &[SocketAddr], others: &[IpAddr]) -> Vec<String> {
    let mut hosts = Vec::new();
    for listener in listeners {
        let port = listener.port();
        let ip = listener.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            hosts.push(format!("localhost:{port}"));
        } else {
            hosts.push(listener.to_string());
        }
        if ip.is_unspecified() {
            let reached = others
                .iter()
                .filter(|other| !other.is_loopback() && (ip.is_ipv6() || other.is_ipv4()));
            hosts.extend(reached.map(|other| SocketAddr::new(*other, port).to_string()));
        }
    }
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_every_address_to_open() {
        let addresses = Addresses {
            plain: vec!["[::]:8080".parse().unwrap()],
            tls: vec!["127.0.0.1:8443".parse().unwrap()],
            rtmp: vec!["[::]:1935".parse().unwrap()],
            media: vec![vec!["192.0.2.1:50000".parse().unwrap()]],
        };
        let settings = Settings {
            public_ips: vec!["192.0.2.1".parse().unwrap()],
            ..Settings::default()
        };
        let text = banner(&settings, &addresses);
        for part in [
            "http://localhost:8080/",
            "ws://localhost:8080/",
            "http://192.0.2.1:8080/",
            "https://localhost:8443/",
            "wss://localhost:8443/",
            "rtmp://192.0.2.1:1935/ROOM/NAME",
            "192.0.2.1:50000",
            "Ctrl-C stops it.",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("https://192.0.2.1:8443"), "{text}");
    }
}
