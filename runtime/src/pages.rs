//! What is served by plain HTTP: the start page or the operator's files, health and metrics.

mod files;
mod metrics;

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use parlor_signalling::{PageRequest, PageResponse};

use crate::server::Addresses;
use files::WebRoot;
pub(crate) use metrics::exposition;

/// The pages of this server.
pub(crate) struct Pages {
    root: Option<WebRoot>,
    start: StartPage,
}

/// The start page with this server's addresses, and its tag.
struct StartPage {
    html: String,
    etag: String,
}

const START: &str = include_str!("pages/start.html");

/// The start page needs nothing but its own style: no script, no picture, no other host.
const START_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// The type of Prometheus' text format.
pub(crate) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Pages {
    pub(crate) fn new(web_root: Option<&Path>, addresses: &Addresses) -> io::Result<Self> {
        let root = web_root.map(WebRoot::open).transpose()?;
        let start = StartPage::new(addresses);
        Ok(Self { root, start })
    }

    /// Answers a request for a page. `/metrics` is not among them.
    pub(crate) fn respond(&self, request: &PageRequest) -> PageResponse {
        if request.path == "/healthz" {
            return text(200, TEXT, "ok\n");
        }
        if let Some(root) = &self.root
            && let Some(response) = root.respond(request)
        {
            return response;
        }
        match request.path.as_str() {
            "/" => self.start.respond(request),
            _ => text(404, TEXT, "There is no such page.\n"),
        }
    }
}

impl StartPage {
    fn new(addresses: &Addresses) -> Self {
        let port = |listeners: &[SocketAddr]| listeners.first().map(SocketAddr::port);
        let row = |page, scheme, port: Option<u16>| {
            port.map_or_else(String::new, |port| {
                format!(
                    "<div><dt>From an {page} page</dt>\
                    <dd><code>{scheme}://<var>this-host</var>:{port}</code></dd></div>\n"
                )
            })
        };
        let (plain, tls) = (port(&addresses.plain), port(&addresses.tls));
        let rows = row("http", "ws", plain) + &row("https", "wss", tls);
        Self {
            html: START.replace("<!-- addresses -->", rows.trim_end()),
            etag: format!(
                "\"parlor-{}-{}-{}\"",
                env!("CARGO_PKG_VERSION"),
                plain.unwrap_or_default(),
                tls.unwrap_or_default()
            ),
        }
    }

    fn respond(&self, request: &PageRequest) -> PageResponse {
        let headers = vec![
            ("Content-Type", "text/html; charset=utf-8".into()),
            ("Content-Security-Policy", START_POLICY.into()),
            ("Referrer-Policy", "no-referrer".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Cache-Control", "no-cache".into()),
            ("ETag", self.etag.clone().into()),
        ];
        if is_known(request, &self.etag) {
            return PageResponse {
                status: 304,
                headers,
                body: Cow::Borrowed(&[]),
            };
        }
        PageResponse {
            status: 200,
            headers,
            body: Cow::Owned(self.html.clone().into_bytes()),
        }
    }
}

/// Whether the client has the content of this tag (RFC 9110 §13.1.2).
fn is_known(request: &PageRequest, etag: &str) -> bool {
    request.if_none_match.as_ref().is_some_and(|tags| {
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// A response of a few words.
pub(crate) fn text(
    status: u16,
    kind: &'static str,
    body: impl Into<Cow<'static, str>>,
) -> PageResponse {
    let body = match body.into() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let headers = vec![
        ("Content-Type", kind.into()),
        ("X-Content-Type-Options", "nosniff".into()),
        ("Cache-Control", "no-store".into()),
    ];
    PageResponse {
        status,
        headers,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_page_names_the_ports_that_are_open() {
        let address = |text: &str| text.parse().unwrap();
        let mut addresses = Addresses {
            plain: vec![address("[::]:8180")],
            tls: vec![address("[::]:8543")],
            media: Vec::new(),
        };
        let request = PageRequest {
            path: "/".into(),
            if_none_match: None,
        };
        let page = |addresses: &Addresses| {
            let response = Pages::new(None, addresses).unwrap().respond(&request);
            String::from_utf8(response.body.into_owned()).unwrap()
        };
        let both = page(&addresses);
        assert!(both.contains("ws://<var>this-host</var>:8180<"), "{both}");
        assert!(both.contains("wss://<var>this-host</var>:8543<"), "{both}");
        addresses.tls.clear();
        assert!(!page(&addresses).contains("wss://"));
        assert!(
            !both.contains("http-equiv") && !both.contains("src="),
            "nothing is loaded"
        );
    }
}
