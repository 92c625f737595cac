//! The pages that the binary carries: the SDK and the apps of `web/`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};
use parlor_signalling::{PageRequest, PageResponse};

use super::files::content_type;
use super::{TEXT, is_known, text};

static SDK: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../web/sdk");
static APPS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../web/apps");
const START: &[u8] = include_bytes!("../../../web/index.html");

/// Nothing from elsewhere, and no code or style within a page. Apps may talk to any server of the
/// protocol; pictures and media come from the page's own memory.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
    media-src 'self' blob: mediastream:; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'self'";

/// The pages by path.
pub(crate) struct Embedded {
    pages: BTreeMap<String, Page>,
}

struct Page {
    kind: &'static str,
    etag: String,
    content: &'static [u8],
}

impl Embedded {
    pub(crate) fn new() -> Self {
        let mut embedded = Self {
            pages: BTreeMap::new(),
        };
        embedded.add("/index.html", START);
        embedded.add_all("/sdk", &SDK);
        embedded.add_all("/apps", &APPS);
        embedded
    }

    fn add_all(&mut self, prefix: &str, dir: &'static Dir<'static>) {
        for entry in dir.entries() {
            match entry {
                DirEntry::Dir(dir) => self.add_all(prefix, dir),
                DirEntry::File(file) => {
                    let path = format!("{prefix}/{}", file.path().display());
                    self.add(&path, file.contents());
                }
            }
        }
    }

    fn add(&mut self, path: &str, content: &'static [u8]) {
        // The tag changes with the content: of a hash that is the same in every build.
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        let page = Page {
            kind: content_type(Path::new(path)),
            etag: format!("\"{:016x}\"", hasher.finish()),
            content,
        };
        self.pages.insert(path.to_owned(), page);
    }

    /// The page of a path, if there is one.
    pub(crate) fn respond(&self, request: &PageRequest) -> Option<PageResponse> {
        let path = request.path.as_str();
        if let Some(page) = self.pages.get(path) {
            return Some(page.respond(request));
        }
        let index = |slash| self.pages.get(&format!("{path}{slash}index.html"));
        if path.ends_with('/') {
            return index("").map(|page| page.respond(request));
        }
        index("/").map(|_| {
            let mut response = text(301, TEXT, "This page is a directory.\n");
            // The path is that of a page that there is, so it needs no escapes.
            let location = format!("{path}/");
            response.headers.push(("Location", location.into()));
            response
        })
    }
}

impl Page {
    fn respond(&self, request: &PageRequest) -> PageResponse {
        let headers = vec![
            ("Content-Type", self.kind.into()),
            ("Content-Security-Policy", POLICY.into()),
            ("Referrer-Policy", "no-referrer".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Cache-Control", "no-cache".into()),
            ("ETag", self.etag.clone().into()),
        ];
        let known = is_known(request, &self.etag);
        PageResponse {
            status: if known { 304 } else { 200 },
            headers,
            body: Cow::Borrowed(if known { &[] } else { self.content }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Option<PageResponse> {
        Embedded::new().respond(&PageRequest {
            path: path.to_owned(),
            if_none_match: None,
        })
    }

    fn header<'a>(response: &'a PageResponse, name: &str) -> &'a str {
        let found = response.headers.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }

    #[test]
    fn the_sdk_and_the_apps_are_there() {
        let page = get("/apps/conference/").unwrap();
        assert_eq!(page.status, 200);
        assert_eq!(header(&page, "Content-Type"), "text/html; charset=utf-8");
        let policy = header(&page, "Content-Security-Policy");
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"));
        let module = get("/sdk/index.js").unwrap();
        assert_eq!(
            header(&module, "Content-Type"),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(
            header(&get("/").unwrap(), "Content-Type"),
            header(&page, "Content-Type")
        );
        let moved = get("/apps/conference").unwrap();
        assert_eq!(
            (moved.status, header(&moved, "Location")),
            (301, "/apps/conference/")
        );
        assert!(get("/apps/").is_none() && get("/sdk/nothing").is_none());
    }

    #[test]
    fn a_page_that_the_client_has_is_not_sent_again() {
        let etag = header(&get("/sdk/index.js").unwrap(), "ETag").to_owned();
        let again = Embedded::new().respond(&PageRequest {
            path: "/sdk/index.js".to_owned(),
            if_none_match: Some(etag),
        });
        assert_eq!(
            again.map(|page| (page.status, page.body.len())),
            Some((304, 0))
        );
    }
}
