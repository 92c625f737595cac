//! What is served by plain HTTP: the operator's files, the pages that the binary carries, health
//! and metrics.

mod embedded;
mod files;
mod metrics;

use std::borrow::Cow;
use std::io;
use std::path::Path;

use parlor_signalling::{PageRequest, PageResponse};

use embedded::Embedded;
use files::WebRoot;
pub(crate) use metrics::exposition;

/// The pages of this server.
pub(crate) struct Pages {
    root: Option<WebRoot>,
    embedded: Embedded,
}

pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// The type of Prometheus' text format.
pub(crate) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Pages {
    pub(crate) fn new(web_root: Option<&Path>) -> io::Result<Self> {
        let root = web_root.map(WebRoot::open).transpose()?;
        let embedded = Embedded::new();
        Ok(Self { root, embedded })
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
        let embedded = self.embedded.respond(request);
        embedded.unwrap_or_else(|| text(404, TEXT, "There is no such page.\n"))
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
