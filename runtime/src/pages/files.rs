//! The operator's files, as pages.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use parlor_signalling::{PageRequest, PageResponse};

use super::{TEXT, is_known, text};
use crate::limits;

/// A directory that is served.
pub(crate) struct WebRoot {
    /// Without links or dots, so that what lies in it begins like it.
    root: PathBuf,
}

impl WebRoot {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(Self { root })
    }

    /// The file of a path, or nothing where there is none.
    pub(crate) fn respond(&self, request: &PageRequest) -> Option<PageResponse> {
        let segments = segments(&request.path)?;
        let file = self.inside(&self.root.join(segments.iter().collect::<PathBuf>()))?;
        if !file.is_dir() {
            // A file is not a directory: `/page.html/` would make the links in it wrong.
            return (!request.path.ends_with('/')).then(|| serve(&file, request))?;
        }
        if !request.path.ends_with('/') {
            return Some(redirect(&segments));
        }
        serve(&self.inside(&file.join("index.html"))?, request)
    }

    /// Where a path leads after all links, if that is still inside.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize()
            .ok()
            .filter(|path| path.starts_with(&self.root))
    }
}

/// The names of a path, none of which leads out or is hidden.
fn segments(path: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let is_plain = |name: &&str| {
        (!name.starts_with('.') || *name == ".well-known")
            && !name.contains(|c: char| c == '\\' || c.is_control())
    };
    names.iter().all(is_plain).then_some(names)
}

fn redirect(segments: &[&str]) -> PageResponse {
    let mut location = String::new();
    for segment in segments {
        location.push('/');
        for byte in segment.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    location.push(char::from(byte));
                }
                _ => location.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    location.push('/');
    let mut response = text(301, TEXT, "This page is a directory.\n");
    response.headers.push(("Location", location.into()));
    response
}

fn serve(path: &Path, request: &PageRequest) -> Option<PageResponse> {
    // Opening a named pipe would wait for its other end.
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let file = File::open(path).ok()?;
    if metadata.len() > limits::PAGE_BYTES {
        let answer = format!(
            "Files of more than {} bytes are not served.\n",
            limits::PAGE_BYTES
        );
        return Some(text(403, TEXT, answer));
    }
    let modified = metadata
        .modified()
        .ok()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let etag = format!("\"{:x}-{:x}\"", modified.as_nanos(), metadata.len());
    let headers = vec![
        ("Content-Type", Cow::Borrowed(content_type(path))),
        ("X-Content-Type-Options", "nosniff".into()),
        ("Cache-Control", "no-cache".into()),
        ("ETag", etag.clone().into()),
    ];
    if is_known(request, &etag) {
        return Some(PageResponse {
            status: 304,
            headers,
            body: Cow::Borrowed(&[]),
        });
    }
    let mut body = Vec::with_capacity(metadata.len() as usize);
    // The file may have grown since.
    file.take(limits::PAGE_BYTES).read_to_end(&mut body).ok()?;
    Some(PageResponse {
        status: 200,
        headers,
        body: Cow::Owned(body),
    })
}

pub(super) fn content_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn site() -> (tempfile::TempDir, WebRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub dir")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::write(dir.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(root.join("index.html"), "<p>home").unwrap();
        std::fs::write(root.join("sub dir/index.html"), "<p>sub").unwrap();
        std::fs::write(root.join("app.mjs"), "1").unwrap();
        std::fs::write(root.join(".git/config"), "secret").unwrap();
        symlink("../secret.txt", root.join("out.txt")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("app.mjs", root.join("alias.js")).unwrap();
        let web_root = WebRoot::open(&root).unwrap();
        (dir, web_root)
    }

    fn get(root: &WebRoot, path: &str) -> Option<PageResponse> {
        root.respond(&PageRequest {
            path: path.into(),
            if_none_match: None,
        })
    }

    fn header<'a>(response: &'a PageResponse, name: &str) -> Option<&'a str> {
        let found = response.headers.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.as_ref())
    }

    #[test]
    fn files_are_served_with_their_type() {
        let (_dir, root) = site();
        let home = get(&root, "/").unwrap();
        assert_eq!((home.status, &*home.body), (200, &b"<p>home"[..]));
        assert_eq!(
            header(&home, "Content-Type"),
            Some("text/html; charset=utf-8")
        );
        let app = get(&root, "/app.mjs").unwrap();
        assert_eq!(
            header(&app, "Content-Type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(get(&root, "/alias.js").unwrap().status, 200);
        assert!(get(&root, "/nothing").is_none());
        assert!(get(&root, "/app.mjs/").is_none());
    }

    #[test]
    fn directories_get_their_slash_without_leaving_the_host() {
        let (_dir, root) = site();
        for path in ["/sub dir", "//sub dir"] {
            let response = get(&root, path).unwrap();
            assert_eq!(response.status, 301);
            assert_eq!(header(&response, "Location"), Some("/sub%20dir/"));
        }
        assert_eq!(&*get(&root, "/sub dir/").unwrap().body, b"<p>sub");
    }

    #[test]
    fn nothing_outside_or_hidden_is_served() {
        let (_dir, root) = site();
        for path in [
            "/../secret.txt",
            "/..",
            "/sub dir/../../secret.txt",
            "/./../secret.txt",
            "/..\\secret.txt",
            "/out.txt",
            "/up/secret.txt",
            "/up/",
            "/up",
            "/.git/config",
            "/app.mjs\0.html",
            "/etc/passwd",
            "//etc/passwd",
        ] {
            assert!(get(&root, path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_known_tag_saves_the_content() {
        let (_dir, root) = site();
        let etag = header(&get(&root, "/app.mjs").unwrap(), "ETag")
            .unwrap()
            .to_owned();
        for (tags, status) in [
            (etag.clone(), 304),
            (format!("\"x\", W/{etag}"), 304),
            ("*".into(), 304),
            ("\"x\"".into(), 200),
        ] {
            let request = PageRequest {
                path: "/app.mjs".into(),
                if_none_match: Some(tags),
            };
            assert_eq!(root.respond(&request).unwrap().status, status);
        }
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let (dir, root) = site();
        let file = File::create(dir.path().join("root/large.bin")).unwrap();
        file.set_len(limits::PAGE_BYTES + 1).unwrap();
        assert_eq!(get(&root, "/large.bin").unwrap().status, 403);
    }
}
