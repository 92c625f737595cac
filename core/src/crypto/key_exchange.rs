//! ECDHE groups whose secrets come from the machine's randomness.

use std::cell::Cell;
use std::fmt;

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use dimpl::crypto::{ActiveKeyExchange, Buf, NamedGroup, SupportedKxGroup};
use dimpl::{CryptoError, CryptoOperation};

use crate::entropy;

/// The groups, the preferred one first.
pub(super) static GROUPS: &[&dyn SupportedKxGroup] = &[
    &Group {
        name: NamedGroup::X25519,
        algorithm: &X25519,
    },
    &Group {
        name: NamedGroup::Secp256r1,
        algorithm: &ECDH_P256,
    },
];

/// How often a secret is drawn before the exchange fails. A P-256 secret is refused once in four
/// thousand million draws, an X25519 secret never.
const DRAWS_MAX: usize = 4;

#[derive(Debug)]
struct Group {
    name: NamedGroup,
    algorithm: &'static Algorithm,
}

impl SupportedKxGroup for Group {
    fn name(&self) -> NamedGroup {
        self.name
    }

    fn start_exchange(
        &self,
        mut public_key: Buf,
    ) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        if REHEARSING.get() {
            return Ok(Box::new(Rehearsal { name: self.name }));
        }
        let secret = self.draw_secret().ok_or(CryptoError::OperationFailed(
            CryptoOperation::GenerateEphemeralKey,
        ))?;
        let point = secret
            .compute_public_key()
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::ComputePublicKey))?;
        public_key.clear();
        public_key.extend_from_slice(point.as_ref());
        Ok(Box::new(Exchange {
            name: self.name,
            secret,
            public_key,
        }))
    }
}

impl Group {
    fn draw_secret(&self) -> Option<PrivateKey> {
        (0..DRAWS_MAX).find_map(|_| {
            let drawn: [u8; 32] = entropy::lent().ok()?;
            PrivateKey::from_private_key(self.algorithm, &drawn).ok()
        })
    }
}

/// One half of one exchange.
struct Exchange {
    name: NamedGroup,
    secret: PrivateKey,
    public_key: Buf,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.name).finish()
    }
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public_key
    }

    fn complete(self: Box<Self>, peer: &[u8], shared: &mut Buf) -> Result<(), CryptoError> {
        // aws-lc refuses points that are not on the curve and, by RFC 7748 §6.1, secrets to which
        // the peer contributed nothing.
        let peer = UnparsedPublicKey::new(self.secret.algorithm(), peer);
        let refused = CryptoError::InvalidPublicKey(self.name);
        agreement::agree(&self.secret, peer, refused, |secret| {
            shared.clear();
            shared.extend_from_slice(secret);
            Ok(())
        })
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}

thread_local! {
    static REHEARSING: Cell<bool> = const { Cell::new(false) };
}

/// Makes `call` with exchanges that have no keys.
///
/// `dimpl` lets two exchanges of each group agree whenever it makes a `Config`, to check its
/// provider, and there is a `Config` for each connection. Ours is checked by a test, and half of
/// what a connection costs to make is saved. A rehearsed exchange is of no use in a handshake: it
/// has no public key, and completing it fails outside of `call`.
pub(super) fn rehearse<T>(call: impl FnOnce() -> T) -> T {
    struct Curtain;
    impl Drop for Curtain {
        fn drop(&mut self) {
            REHEARSING.set(false);
        }
    }

    let _curtain = Curtain;
    REHEARSING.set(true);
    call()
}

/// An exchange without keys.
#[derive(Debug)]
struct Rehearsal {
    name: NamedGroup,
}

impl ActiveKeyExchange for Rehearsal {
    fn pub_key(&self) -> &[u8] {
        &[]
    }

    fn complete(self: Box<Self>, _: &[u8], shared: &mut Buf) -> Result<(), CryptoError> {
        if !REHEARSING.get() {
            return Err(CryptoError::OperationFailed(
                CryptoOperation::CompleteKeyExchange,
            ));
        }
        shared.clear();
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}
