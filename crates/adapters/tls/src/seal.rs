//! The seal: XChaCha20-Poly1305 under the key file's key.
//!
//! A sealed secret is a version byte, a nonce of 24 random bytes (long enough that random ones never meet), and the
//! ciphertext with its tag. Version and context are authenticated with it.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use om_backend::{ErrorKind, PortError, Result, Seal};

use crate::key_file;

#[cfg(test)]
mod tests;

/// The only format so far.
const VERSION: u8 = 1;

/// The nonce's length in bytes.
const NONCE_LENGTH: usize = 24;

/// A seal whose key lies in a file of mode 0600.
pub struct KeyFileSeal {
    cipher: XChaCha20Poly1305,
}

impl KeyFileSeal {
    /// Uses the key at `path`, made now if there is none. Refuses a key file that others can read. Blocks on the file
    /// system.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        let key = key_file::open_or_create(path)?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()) })
    }
}

impl fmt::Debug for KeyFileSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFileSeal(..)")
    }
}

impl Seal for KeyFileSeal {
    fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|error| {
            PortError::new(ErrorKind::Unavailable, "seal", context, format!("no randomness: {error}"))
        })?;
        let aad = associated(context);
        let text = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| PortError::new(ErrorKind::Invalid, "seal", context, "the secret is too long"))?;
        Ok([&[VERSION][..], &nonce, &text].concat())
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let refuse = |detail: &str| {
            PortError::new(ErrorKind::Invalid, "open the secret", context, detail)
                .advise("restore the key file that belongs to this database, or set the secret anew")
        };
        let (version, rest) = sealed.split_first().ok_or_else(|| refuse("it is empty"))?;
        if *version != VERSION {
            return Err(refuse(&format!("it has format {version}; this program knows format {VERSION} only")));
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(|| refuse("it is cut short"))?;
        self.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: &associated(context) })
            .map_err(|_| refuse("it was sealed with another key or for another record, or was changed"))
    }
}

fn associated(context: &str) -> Vec<u8> {
    [&[VERSION], context.as_bytes()].concat()
}
