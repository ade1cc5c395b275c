//! Signed, expiring tokens for URLs that are fetched without a session: result chunks and files.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rand::RngCore;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

type HmacSha256 = Hmac<Sha256>;

/// Why a token is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    #[error("the token is not valid")]
    Invalid,
    #[error("the token has expired")]
    Expired,
}

/// Claims of one kind; the purpose keeps a token of one kind from passing as another.
pub trait Claims: Serialize + DeserializeOwned {
    const PURPOSE: &'static str;
}

#[derive(Serialize, Deserialize)]
struct Sealed<C> {
    purpose: String,
    /// Seconds since 1970.
    expires: i64,
    claims: C,
}

/// Signs with HMAC-SHA256. The key lives as long as the process: tokens end with a restart.
pub struct Signer {
    key: [u8; 64],
}

impl Signer {
    pub fn random() -> Signer {
        let mut key = [0; 64];
        rand::rng().fill_bytes(&mut key);
        Signer { key }
    }

    fn mac(&self, payload: &str) -> HmacSha256 {
        // A key of the hash's block size is used as it is.
        let mut mac = <HmacSha256 as hmac::digest::KeyInit>::new((&self.key).into());
        mac.update(payload.as_bytes());
        mac
    }

    /// A URL-safe token for `claims`, valid for `seconds`.
    pub fn sign<C: Claims>(&self, claims: C, seconds: i64) -> String {
        self.sign_until(claims, chrono::Utc::now().timestamp() + seconds)
    }

    fn sign_until<C: Claims>(&self, claims: C, expires: i64) -> String {
        let sealed = Sealed { purpose: C::PURPOSE.to_string(), expires, claims };
        // Claims are plain structs of texts and numbers, which always serialise.
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&sealed).unwrap_or_default());
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&payload).finalize().into_bytes());
        format!("{payload}.{signature}")
    }

    /// The claims of a token made by this signer.
    ///
    /// # Errors
    /// When the token was not made here, was altered, is of another kind, or has expired.
    pub fn verify<C: Claims>(&self, token: &str) -> Result<C, TokenError> {
        let (payload, signature) = token.split_once('.').ok_or(TokenError::Invalid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Invalid)?;
        self.mac(payload).verify_slice(&signature).map_err(|_| TokenError::Invalid)?;
        let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Invalid)?;
        let sealed: Sealed<C> = serde_json::from_slice(&bytes).map_err(|_| TokenError::Invalid)?;
        if sealed.purpose != C::PURPOSE {
            return Err(TokenError::Invalid);
        }
        if sealed.expires < chrono::Utc::now().timestamp() {
            return Err(TokenError::Expired);
        }
        Ok(sealed.claims)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Chunk {
        rows: u64,
    }
    impl Claims for Chunk {
        const PURPOSE: &'static str = "chunk";
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct File {
        rows: u64,
    }
    impl Claims for File {
        const PURPOSE: &'static str = "file";
    }

    #[test]
    fn tokens_round_trip_for_their_purpose_only() {
        let signer = Signer::random();
        let token = signer.sign(Chunk { rows: 7 }, 60);
        assert_eq!(signer.verify::<Chunk>(&token).unwrap(), Chunk { rows: 7 });
        assert_eq!(signer.verify::<File>(&token).unwrap_err(), TokenError::Invalid);
        assert_eq!(Signer::random().verify::<Chunk>(&token).unwrap_err(), TokenError::Invalid);
    }

    #[test]
    fn altered_and_expired_tokens_are_refused() {
        let signer = Signer::random();
        let token = signer.sign(Chunk { rows: 7 }, 60);
        let (payload, signature) = token.split_once('.').unwrap();
        let other = signer.sign(Chunk { rows: 8 }, 60);
        let forged = format!("{}.{signature}", other.split_once('.').unwrap().0);
        assert_ne!(payload, "");
        assert_eq!(signer.verify::<Chunk>(&forged).unwrap_err(), TokenError::Invalid);
        let old = signer.sign_until(Chunk { rows: 7 }, chrono::Utc::now().timestamp() - 1);
        assert_eq!(signer.verify::<Chunk>(&old).unwrap_err(), TokenError::Expired);
    }
}
