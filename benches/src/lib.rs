//! What the benches share.

pub mod call;
pub mod counting;
