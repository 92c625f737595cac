//! Names that people and apps choose: parsed once at the edge, valid from then on.

use std::fmt;

use crate::limits;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty, or blank.
    #[error("a {what} must not be empty")]
    Empty {
        /// What the text was to name.
        what: &'static str,
    },
    /// The text is longer than the limit of its kind.
    #[error("a {what} has at most {limit} bytes")]
    TooLong {
        /// What the text was to name.
        what: &'static str,
        /// The most bytes of UTF-8 allowed.
        limit: usize,
    },
    /// The text holds a control character (C0, DEL or C1).
    #[error("a {what} must not contain control characters")]
    Control {
        /// What the text was to name.
        what: &'static str,
    },
}

fn check(what: &'static str, limit: usize, text: &str) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, limit });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control { what });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr) => {
        $(#[$doc])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(try_from = "Box<str>")]
        pub struct $name(Box<str>);

        impl TryFrom<Box<str>> for $name {
            type Error = NameError;

            fn try_from(text: Box<str>) -> Result<Self, NameError> {
                check($what, $limit, &text)?;
                Ok(Self(text))
            }
        }

        impl $name {
            /// Parses `text`: not blank, within the limit, without control characters.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check($what, $limit, text)?;
                Ok(Self(text.into()))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name!(
    /// The name of a room.
    RoomName,
    "room name",
    limits::ROOM_NAME_BYTES
);
name!(
    /// Who a participant is in a room: unique there (WCS calls it the login).
    Identity,
    "login",
    limits::IDENTITY_BYTES
);
name!(
    /// The name of a publication (WCS calls it the stream name), unique in its [`Place`].
    PublicationName,
    "stream name",
    limits::PUBLICATION_NAME_BYTES
);

/// Where a publication lives, and who may subscribe to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Place {
    /// In a room: for its participants only.
    Room(RoomName),
    /// Outside of rooms: for everyone who knows the name.
    Open,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_cannot_be_shown() {
        assert_eq!(
            RoomName::new(" "),
            Err(NameError::Empty { what: "room name" })
        );
        assert_eq!(
            Identity::new("a\u{7}"),
            Err(NameError::Control { what: "login" })
        );
        let long = "é".repeat(limits::ROOM_NAME_BYTES);
        assert!(matches!(
            RoomName::new(&long),
            Err(NameError::TooLong { .. })
        ));
        assert_eq!(
            RoomName::new("Zimmer 1 🎥").map(|name| name.to_string()),
            Ok("Zimmer 1 🎥".into())
        );
    }
}
