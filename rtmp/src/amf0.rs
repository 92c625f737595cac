//! AMF0, in which commands and data are written (AMF0 specification of 2007).

mod json;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use json::{from_json, to_json};
pub use reader::{AmfError, read_all};
pub use writer::write;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A text, short or long.
    String(String),
    /// An object, its class, where it says one, left out. Also an ECMA array.
    Object(Fields),
    /// An array.
    Array(Vec<Self>),
    /// Milliseconds since 1970.
    Date(f64),
    /// Nothing.
    Null,
    /// Something that is passed over: undefined, unsupported, a reference to an earlier value, or
    /// a value of AMF3.
    Undefined,
}

/// The fields of an object, in their order.
pub type Fields = Vec<(String, Value)>;

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        let Self::String(text) = self else {
            return None;
        };
        Some(text)
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        let Self::Number(number) = self else {
            return None;
        };
        Some(*number)
    }

    /// The flag, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        let Self::Boolean(flag) = self else {
            return None;
        };
        Some(*flag)
    }

    /// The field of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// The first byte of a value (§2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const MOVIE_CLIP: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const RECORD_SET: u8 = 0x0e;
    pub(super) const XML: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVM_PLUS: u8 = 0x11;
}
