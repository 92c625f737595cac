//! The one source of randomness.

/// Where all randomness of an [`Sfu`](crate::Sfu) comes from. As secret as a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);
