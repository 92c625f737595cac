//! Bytes into values.

use super::{Fields, Value, marker};
use crate::limits::{AMF_DEPTH, AMF_VALUES};

/// Why bytes are no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// They end in the middle of a value.
    #[error("a value is cut off")]
    Truncated,
    /// A marker that there is not.
    #[error("a value is of no known type")]
    UnknownType,
    /// Values are nested too deeply.
    #[error("values are nested too deeply")]
    TooDeep,
    /// There are too many values.
    #[error("there are too many values")]
    TooMany,
}

/// Reads values up to the end. Where a value of AMF3 begins, which says nothing of its length,
/// what there is ends.
pub fn read_all(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader {
        bytes,
        values: 0,
        is_over: false,
    };
    let mut values = Vec::new();
    while !reader.bytes.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// How many values have been read.
    values: usize,
    /// A value of AMF3 has begun.
    is_over: bool,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        if depth >= AMF_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.values += 1;
        if self.values > AMF_VALUES {
            return Err(AmfError::TooMany);
        }
        Ok(match self.byte()? {
            marker::NUMBER => Value::Number(self.number()?),
            marker::BOOLEAN => Value::Boolean(self.byte()? != 0),
            marker::STRING => Value::String(self.text()?),
            marker::OBJECT => Value::Object(self.fields(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED | marker::MOVIE_CLIP | marker::RECORD_SET => {
                Value::Undefined
            }
            marker::REFERENCE => {
                self.array::<2>()?;
                Value::Undefined
            }
            marker::ECMA_ARRAY => {
                // The count is a hint (§2.10).
                self.array::<4>()?;
                Value::Object(self.fields(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                Value::Array(self.elements(count, depth)?)
            }
            marker::DATE => {
                let date = self.number()?;
                // The time zone is reserved (§2.13).
                self.array::<2>()?;
                Value::Date(date)
            }
            marker::LONG_STRING | marker::XML => {
                let length = u32::from_be_bytes(self.array()?) as usize;
                Value::String(lossy(self.take(length)?))
            }
            marker::TYPED_OBJECT => {
                self.text()?;
                Value::Object(self.fields(depth)?)
            }
            marker::AVM_PLUS => {
                self.is_over = true;
                self.bytes = &[];
                Value::Undefined
            }
            _ => return Err(AmfError::UnknownType),
        })
    }

    fn fields(&mut self, depth: usize) -> Result<Fields, AmfError> {
        let mut fields = Vec::new();
        while !self.is_over {
            let name = self.text()?;
            if name.is_empty() && self.bytes.first() == Some(&marker::OBJECT_END) {
                self.byte()?;
                break;
            }
            fields.push((name, self.value(depth + 1)?));
        }
        Ok(fields)
    }

    fn elements(&mut self, count: u32, depth: usize) -> Result<Vec<Value>, AmfError> {
        let mut elements = Vec::new();
        for _ in 0..count {
            if self.is_over {
                break;
            }
            elements.push(self.value(depth + 1)?);
        }
        Ok(elements)
    }

    fn number(&mut self) -> Result<f64, AmfError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, AmfError> {
        let length = u16::from_be_bytes(self.array()?);
        Ok(lossy(self.take(length.into())?))
    }

    fn byte(&mut self) -> Result<u8, AmfError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], AmfError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(AmfError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// Old clients write texts in the encoding of their system.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
