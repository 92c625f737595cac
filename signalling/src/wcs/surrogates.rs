//! Halves of UTF-16 pairs in JSON text.
//!
//! A browser's text may end in the middle of an emoji, and `JSON.stringify` writes such a half as
//! an escape (`\ud83d`). That is JSON (RFC 8259 §8.2 calls what becomes of it unpredictable), but
//! no Unicode text: here it becomes U+FFFD, as browsers do themselves when they encode UTF-8.

use std::borrow::Cow;

/// Replaces the escapes that are half of a pair.
pub(super) fn mend(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let taken = match (
            surrogate(escape),
            surrogate(escape.get(ESCAPE..).unwrap_or("")),
        ) {
            (Some(Half::High), Some(Half::Low)) => 2 * ESCAPE,
            (Some(Half::High | Half::Low), _) => {
                mended.push_str("\\ufffd");
                rest = escape.get(ESCAPE..).unwrap_or("");
                continue;
            }
            // Two characters, so that an escaped backslash does not begin another escape.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, after) = escape.split_at(taken);
        mended.push_str(kept);
        rest = after;
    }
    mended.push_str(rest);
    Cow::Owned(mended)
}

/// Bytes of `\uXXXX`.
const ESCAPE: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

fn surrogate(escape: &str) -> Option<Half> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_pairs_and_backslashes_stay() {
        for (json, mended) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00 \uD83D""#, r#""\ufffd \ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\ude00 \n \u00e9""#, r#""\ud83d\ude00 \n \u00e9""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\ud83"#, r#""\ud83"#),
            ("\"\\ud83d\\", "\"\\ufffd\\"),
            ("\\é\\ud8", "\\é\\ud8"),
        ] {
            assert_eq!(mend(json), mended, "{json}");
        }
    }
}
