//! Keys and certificates: the built-in certificate authority and the seal for secrets at rest.
//!
//! - [`RcgenAuthority`]: the [`om_backend::Authority`] port; ECDSA P-256 over ring.
//! - [`KeyFileSeal`]: the [`om_backend::Seal`] port; XChaCha20-Poly1305 under a key file of mode 0600.
//!
//! **Architecture invariant:** no key leaves this crate but in an [`om_backend::authority::Issued`] asked for, and none
//! appears in an error.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a home of randomness: keys, nonces and serial numbers")]

mod authority;
mod key_file;
mod seal;

pub use authority::RcgenAuthority;
pub use seal::KeyFileSeal;
