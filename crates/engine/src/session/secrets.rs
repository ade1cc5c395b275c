//! Passwords and tokens: made at random, stored as digests only.

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use frazil_common::{Code, UserError};
use rand::RngCore;
use sha2::{Digest, Sha256};

/// Bytes of randomness in a token.
const SECRET_BYTES: usize = 32;
/// Longest password, in characters, as in Snowflake.
const PASSWORD_MAX: usize = 256;
/// Start of a programmatic access token, so that one is told from a password.
pub(crate) const ACCESS_TOKEN_PREFIX: &str = "frzl_";

/// A new random secret, safe in URLs and headers.
pub(crate) fn random_secret() -> String {
    let mut bytes = [0u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The digest a token is stored and looked up by, in hex.
pub(crate) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A password's argon2id hash in PHC form. Slow by design.
///
/// # Errors
/// An empty password, and one that is too long.
pub(crate) fn hash_password(password: &str) -> Result<String, UserError> {
    if password.is_empty() || password.chars().count() > PASSWORD_MAX {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("A password has 1 to {PASSWORD_MAX} characters."),
        ));
    }
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(UserError::internal)
}

/// Whether a password fits a stored hash.
pub(crate) fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn passwords_verify_and_hashes_are_salted() {
        let first = hash_password("open sesame").unwrap();
        assert_ne!(first, hash_password("open sesame").unwrap());
        assert!(verify_password("open sesame", &first));
        assert!(!verify_password("open Sesame", &first));
        assert!(!verify_password("x", "not a hash"));
        assert!(hash_password("").is_err());
        assert!(hash_password(&"é".repeat(256)).is_ok());
        assert!(hash_password(&"é".repeat(257)).is_err());
    }
}
