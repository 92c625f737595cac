//! The bytes of a packet, shared by all who still need them, in memory that is used again.

use std::ops::Deref;
use std::sync::Arc;

use crate::limits;

/// The payload of a packet. A copy of it shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload(Arc<Vec<u8>>);

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::new(bytes.to_vec()))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

/// Payloads that nobody needs any more, for those that come next: so that a stream that runs asks
/// the allocator for nothing.
#[derive(Debug, Default)]
pub(crate) struct Payloads(Vec<Payload>);

impl Payloads {
    /// A payload with these bytes.
    pub(crate) fn make(&mut self, bytes: &[u8]) -> Payload {
        let Some(mut payload) = self.0.pop() else {
            return bytes.into();
        };
        match Arc::get_mut(&mut payload.0) {
            Some(memory) => {
                memory.clear();
                memory.extend_from_slice(bytes);
                payload
            }
            None => bytes.into(),
        }
    }

    /// Keeps the memory of a payload, if nobody else has it: who still does gives it back later, or
    /// frees it.
    pub(crate) fn give_back(&mut self, mut payload: Payload) {
        if self.0.len() < limits::SPARE_PAYLOADS && Arc::get_mut(&mut payload.0).is_some() {
            self.0.push(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_has_it() {
        let mut payloads = Payloads::default();
        let first = payloads.make(&[1; 100]);
        let place = first.as_ptr();
        let copy = first.clone();
        payloads.give_back(first);
        let second = payloads.make(&[2; 50]);
        assert_ne!(second.as_ptr(), place, "somebody has it");
        assert_eq!(*copy, [1; 100]);
        payloads.give_back(copy);
        let third = payloads.make(&[3; 70]);
        assert_eq!((third.as_ptr(), &*third), (place, &[3; 70][..]));
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let mut payloads = Payloads::default();
        for _ in 0..=limits::SPARE_PAYLOADS {
            payloads.give_back(Payload::from(&[1][..]));
        }
        assert_eq!(payloads.0.len(), limits::SPARE_PAYLOADS);
    }
}
