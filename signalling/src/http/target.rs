//! Reads the target of a request.

/// The path of a request target, percent-decoded and normalised, without the query; `None` for
/// what is no path of pages.
///
/// The path begins with a slash and holds no empty, `.` or `..` segment (but may end with a
/// slash), no control character and no backslash: it can be looked up as it is.
pub(super) fn path(target: &str) -> Option<String> {
    let path = origin_form(target)?;
    let path = path.split(['?', '#']).next()?;
    let path = percent_decode(path)?;
    if path.contains(|c: char| c == '\\' || c.is_control()) {
        return None;
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => return None,
            segment => {
                normal.push('/');
                normal.push_str(segment);
            }
        }
    }
    if normal.is_empty() || path.ends_with(['/']) || path.ends_with("/.") {
        normal.push('/');
    }
    Some(normal)
}

/// The segments of a target's path, each percent-decoded on its own, so that a name may hold a
/// slash; `None` for what is no path, or has a control character.
pub(crate) fn segments(target: &str) -> Option<Vec<String>> {
    let path = origin_form(target)?.split(['?', '#']).next()?;
    let decoded = path.strip_prefix('/')?.split('/').map(percent_decode);
    let is_plain = |segment: &String| !segment.chars().any(char::is_control);
    decoded.map(|segment| segment.filter(is_plain)).collect()
}

/// The path and query, also of a target in absolute form (RFC 9112 §3.2.2).
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    Some(rest.find('/').map_or("/", |slash| &rest[slash..]))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_is_decoded_and_normalised() {
        for (target, expected) in [
            ("/", "/"),
            ("/index.html", "/index.html"),
            ("/a//b/./c/", "/a/b/c/"),
            ("/a/.", "/a/"),
            ("/a%20b/%C3%A9?x=%zz#y", "/a b/é"),
            ("//example.org/a", "/example.org/a"),
            ("http://example.org/a/b?c", "/a/b"),
            ("HTTPS://example.org", "/"),
            ("/...", "/..."),
        ] {
            assert_eq!(path(target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn what_could_leave_the_pages_is_no_path() {
        for target in [
            "*",
            "",
            "a",
            "example.org:80",
            "ftp://x/",
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/a%2f..",
            "/a\\b",
            "/a%5Cb",
            "/a%00",
            "/a%0d%0a",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "/%+1",
        ] {
            assert_eq!(path(target), None, "{target}");
        }
    }
}
