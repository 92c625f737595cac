//! Journals that are made otherwise than they were written.

use parlor_journal::{Reader, seal};

/// What a journal begins with: `PARLOR`, and the version of the format.
const START: usize = 8;

/// A journal with another header, whose check is right. `change` is given its text.
pub fn with_header(journal: &[u8], change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let (mut reader, _) = Reader::new(journal).expect("a journal");
    let entry = reader.next().expect("it is read from memory");
    let end = entry.expect("a journal of something").offset as usize;
    let header = &journal[START..end];
    // Its kind, its time, its length.
    let number =
        |from: usize| from + header[from..].iter().take_while(|it| **it >= 0x80).count() + 1;
    let content = &header[number(number(1))..header.len() - 4];
    let text = std::str::from_utf8(content).expect("it is JSON");
    let mut other = journal[..START].to_vec();
    seal(header[0], 0, change(text).as_bytes(), &mut other);
    other.extend_from_slice(&journal[end..]);
    other
}

/// A journal that says that it is of another version of the format.
pub fn with_format(journal: &[u8], version: u16) -> Vec<u8> {
    let mut other = journal.to_vec();
    other[START - 2..START].copy_from_slice(&version.to_le_bytes());
    other
}
