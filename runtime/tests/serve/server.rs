//! A server in this process, on free ports of the loopback address.

use std::net::{Ipv4Addr, SocketAddr};

use parlor::{Server, Settings, Stop};
use tempfile::TempDir;

use crate::client::Client;

pub(crate) struct Running {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) rtmp: SocketAddr,
    pub(crate) media: Vec<SocketAddr>,
    pub(crate) state: TempDir,
    stop: Stop,
    server: Option<Server>,
}

/// Starts a server with what `change` makes of settings for tests.
pub(crate) fn start(change: impl FnOnce(&mut Settings)) -> Running {
    let state = tempfile::tempdir().unwrap();
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings {
        listen: vec![free],
        tls_listen: vec![free],
        rtmp_listen: vec![free],
        media_port: 0,
        public_ips: vec![Ipv4Addr::LOCALHOST.into()],
        workers: 2,
        state_dir: state.path().to_owned(),
        ..Settings::default()
    };
    change(&mut settings);
    let server = Server::start(&settings).unwrap();
    let addresses = server.addresses();
    Running {
        plain: addresses.plain[0],
        tls: addresses.tls[0],
        rtmp: addresses.rtmp[0],
        media: addresses.media.concat(),
        state,
        stop: server.stop_handle(),
        server: Some(server),
    }
}

impl Running {
    /// What a metric counts right now.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = Client::plain(self.plain).get("/metrics");
        let line = page
            .body
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", page.body))
            .parse()
            .unwrap()
    }

    /// Waits until a metric is as it should be: workers show theirs a moment later.
    pub(crate) fn wait_for_metric(&self, name: &str, is_right: impl Fn(u64) -> bool) {
        for _ in 0..100 {
            if is_right(self.metric(name)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{name} is {}", self.metric(name));
    }

    pub(crate) fn stop(&self) {
        self.stop.stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.server.take().unwrap().wait();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}
