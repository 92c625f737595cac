//! Which room, and who in it: read from what RTMP addresses are taken apart into.

/// The two parts of `rtmp://host/ROOM/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// `None`: the address names no room.
    pub(crate) room: Option<String>,
    pub(crate) name: String,
}

/// Reads the app of `connect` and the name of `publish` or `play`. Either may have a query, which
/// says nothing here; some encoders put the whole path into the name, and none into the app.
pub(crate) fn parse(app: &str, stream: &str) -> Target {
    let app = path(app);
    let stream = path(stream);
    let (room, name) = match app {
        "" => stream.rsplit_once('/').map_or(("", stream), |parts| parts),
        app => (app, stream),
    };
    Target {
        room: (!room.is_empty()).then(|| decode(room)),
        name: decode(name),
    }
}

/// What is before the query, without slashes around it.
fn path(text: &str) -> &str {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    path.trim_matches('/')
}

/// Decodes `%20` and the like; a text in which they make no text stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match after {
            [high, low, after @ ..] if *first == b'%' => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push((high * 16 + low) as u8);
                    rest = after;
                    continue;
                }
                _ => bytes.push(*first),
            },
            _ => bytes.push(*first),
        }
        rest = after;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_and_a_name_are_found_wherever_encoders_put_them() {
        for (app, stream, room, name) in [
            ("stage", "anna", Some("stage"), "anna"),
            ("stage/", "anna?name=x", Some("stage"), "anna"),
            ("stage?key=1", "anna?key=2", Some("stage"), "anna"),
            ("", "stage/anna", Some("stage"), "anna"),
            ("", "anna", None, "anna"),
            ("live/stage", "anna", Some("live/stage"), "anna"),
            ("my%20room", "J%C3%BCrgen", Some("my room"), "Jürgen"),
            ("100%", "a%zz%f", Some("100%"), "a%zz%f"),
            ("%ff", "", Some("%ff"), ""),
        ] {
            let expected = Target {
                room: room.map(str::to_owned),
                name: name.to_owned(),
            };
            assert_eq!(parse(app, stream), expected, "{app} {stream}");
        }
    }
}
