//! Takes an input apart.

/// Reads an input as a sequence of pieces, each with a number that says what to do with it.
/// However the input is, it is one: what is missing at its end is empty or zero.
pub(super) struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// As many bytes as the next two say.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
        let length = length.min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }

    /// What is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| (self.byte(), self.bytes()))
    }
}

/// An input for what reads pieces.
pub fn joined<'a>(pieces: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut joined = Vec::new();
    for (number, bytes) in pieces {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        joined.push(number);
        joined.extend(length.to_be_bytes());
        joined.extend(&bytes[..usize::from(length)]);
    }
    joined
}

/// Cuts bytes into parts whose lengths a seed decides: some of them are short.
pub(super) fn cut(bytes: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u32::from(seed) * 2 + 1;
    let mut left = bytes;
    let mut parts = Vec::new();
    while !left.is_empty() {
        state = state.wrapping_mul(0x9e37_79b1).rotate_left(7) ^ 0x55;
        let length = match state % 4 {
            0 => 1,
            1 => 2 + (state >> 8) as usize % 6,
            2 => 1 + (state >> 8) as usize % 200,
            _ => 1 + (state >> 8) as usize % 4000,
        };
        let (part, rest) = left.split_at(length.min(left.len()));
        parts.push(part);
        left = rest;
    }
    parts
}
