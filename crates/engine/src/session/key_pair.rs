//! Key-pair logins: a short-lived token that the client signs with its private key.
//!
//! The token is an RS256 JWT. Its subject is `ACCOUNT.USER`, its issuer that followed by
//! `.SHA256:` and the fingerprint of the public key. Any account name is taken, as at every login.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frazil_common::{Code, UserError};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Longest time a token may be valid for, in seconds, as Snowflake documents it.
const LIFETIME_MAX: i64 = 3600;
/// How far the clocks of client and server may be apart, in seconds.
const LEEWAY: u64 = 30;
/// A SubjectPublicKeyInfo of 2048 bits, the least that is taken, has at least this many bytes.
const KEY_BYTES_MIN: usize = 280;

/// Why a token is refused, in the words and numbers of Snowflake's login history. The client
/// learns only that it is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JwtFault {
    pub number: i64,
    pub name: &'static str,
}

const fn fault(number: i64, name: &'static str) -> JwtFault {
    JwtFault { number, name }
}

const INVALID: JwtFault = fault(390_144, "JWT_TOKEN_INVALID");
const USER_IN_ISSUER: JwtFault = fault(394_300, "JWT_TOKEN_INVALID_USER_IN_ISSUER");
const EXPIRED: JwtFault = fault(394_301, "JWT_TOKEN_EXPIRED");
const NOT_YET_VALID: JwtFault = fault(394_302, "JWT_TOKEN_NOT_YET_VALID");
const EXPIRATION_TIME: JwtFault = fault(394_303, "JWT_TOKEN_INVALID_EXPIRATION_TIME");
const FINGERPRINT: JwtFault = fault(394_304, "JWT_TOKEN_INVALID_PUBLIC_KEY_FINGERPRINT_MISMATCH");
const ALGORITHM: JwtFault = fault(394_305, "JWT_TOKEN_INVALID_ALGORITHM");
const FORMAT: JwtFault = fault(394_306, "JWT_TOKEN_INVALID_FORMAT");

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    iat: Option<i64>,
}

/// A public key as ALTER USER gives it (base64 of the DER form, with or without PEM's delimiters),
/// brought to one line of base64.
///
/// # Errors
/// It is not an RSA public key of at least 2048 bits.
pub(crate) fn normalised(text: &str) -> Result<String, UserError> {
    let rejected = || {
        UserError::new(
            Code::InvalidArgument,
            "New public key rejected by current policy. Reason: 'Invalid public key'. An RSA key \
             of at least 2048 bits in PEM form is needed.",
        )
    };
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    let der = STANDARD.decode(&body).map_err(|_| rejected())?;
    let key = STANDARD.encode(&der);
    if der.len() < KEY_BYTES_MIN || decoding_key(&key).is_none() {
        return Err(rejected());
    }
    Ok(key)
}

fn decoding_key(key: &str) -> Option<DecodingKey> {
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    DecodingKey::from_rsa_pem(pem.as_bytes()).ok()
}

/// `SHA256:` and the base64 of the key's digest, as clients put it into their tokens.
pub(crate) fn fingerprint(key: &str) -> Option<String> {
    let der = STANDARD.decode(key).ok()?;
    Some(format!("SHA256:{}", STANDARD.encode(Sha256::digest(der))))
}

/// The user part of `ACCOUNT.USER`; account names have no dots.
fn user_of(subject: &str) -> Option<&str> {
    subject.split_once('.').map(|(_, user)| user).filter(|user| !user.is_empty())
}

/// The login name that a token speaks of, before anything about it is checked.
pub(crate) fn claimed_user(token: &str) -> Option<String> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.insecure_disable_signature_validation();
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let data =
        jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&[]), &validation).ok()?;
    user_of(&data.claims.sub).map(str::to_string)
}

/// Checks a token for the user of this login name who has these keys; gives the one that signed it.
///
/// # Errors
/// The first thing wrong with it.
pub(crate) fn verify<'k>(
    token: &str,
    login_name: &str,
    keys: &[&'k str],
) -> Result<&'k str, JwtFault> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| FORMAT)?;
    if header.alg != Algorithm::RS256 {
        return Err(ALGORITHM);
    }
    let mut fault = FINGERPRINT;
    for key in keys.iter().copied() {
        let Some(decoding) = decoding_key(key) else { continue };
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY;
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_nbf = true;
        let claims = match jsonwebtoken::decode::<Claims>(token, &decoding, &validation) {
            Ok(data) => data.claims,
            Err(error) => match error.kind() {
                // Perhaps it is signed with the other key.
                ErrorKind::InvalidSignature => continue,
                ErrorKind::ExpiredSignature => return Err(EXPIRED),
                ErrorKind::ImmatureSignature => return Err(NOT_YET_VALID),
                ErrorKind::InvalidAlgorithm => return Err(ALGORITHM),
                ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => return Err(FORMAT),
                _ => return Err(INVALID),
            },
        };
        fault = match check(&claims, login_name, key) {
            Ok(()) => return Ok(key),
            Err(fault) => fault,
        };
    }
    Err(fault)
}

fn check(claims: &Claims, login_name: &str, key: &str) -> Result<(), JwtFault> {
    let now = chrono::Utc::now().timestamp();
    let issued = claims.iat.unwrap_or(now);
    if issued > now + LEEWAY as i64 {
        return Err(NOT_YET_VALID);
    }
    if claims.exp.saturating_sub(issued) > LIFETIME_MAX {
        return Err(EXPIRATION_TIME);
    }
    let is_user =
        |subject: &str| user_of(subject).is_some_and(|u| u.eq_ignore_ascii_case(login_name));
    let (issuer, signed_with) = claims.iss.rsplit_once(".SHA256:").ok_or(FORMAT)?;
    if !is_user(&claims.sub) || !is_user(issuer) {
        return Err(USER_IN_ISSUER);
    }
    if fingerprint(key).as_deref() != Some(&format!("SHA256:{signed_with}")) {
        return Err(FINGERPRINT);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    // Made for this test with `openssl genrsa 2048`, `openssl rsa -pubout`; used nowhere else.
    const PRIVATE: &str = include_str!("../../tests/data/key_pair.pem");
    const PUBLIC: &str = include_str!("../../tests/data/key_pair.pub.pem");
    const OTHER: &str = include_str!("../../tests/data/other_key.pub.pem");

    fn token(changes: Value) -> String {
        let now = chrono::Utc::now().timestamp();
        let key = normalised(PUBLIC).unwrap();
        let mut claims = json!({
            "iss": format!("ACME.ANN.{}", fingerprint(&key).unwrap()),
            "sub": "ACME.ANN",
            "iat": now,
            "exp": now + 60,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let signer = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signer).unwrap()
    }

    #[test]
    fn a_signed_token_opens_the_door_with_either_key() {
        let (key, other) = (normalised(PUBLIC).unwrap(), normalised(OTHER).unwrap());
        let token = token(json!({}));
        assert_eq!(verify(&token, "ANN", &[&key]), Ok(key.as_str()));
        assert_eq!(verify(&token, "ANN", &[&other, &key]), Ok(key.as_str()));
        assert_eq!(verify(&token, "ANN", &[&other]), Err(FINGERPRINT));
        assert_eq!(verify(&token, "ANN", &[]), Err(FINGERPRINT));
        assert_eq!(claimed_user(&token).as_deref(), Some("ANN"));
    }

    #[test]
    fn every_fault_has_its_name() {
        let key = normalised(PUBLIC).unwrap();
        let now = chrono::Utc::now().timestamp();
        let found = |changes: Value| verify(&token(changes), "ANN", &[&key]);
        assert_eq!(found(json!({"exp": now - 100, "iat": now - 160})), Err(EXPIRED));
        assert_eq!(found(json!({"iat": now + 300, "exp": now + 360})), Err(NOT_YET_VALID));
        assert_eq!(found(json!({"exp": now + 7200})), Err(EXPIRATION_TIME));
        let ever = json!({"iat": i64::MIN, "exp": now + 7200});
        assert_eq!(found(ever), Err(EXPIRATION_TIME));
        assert_eq!(found(json!({"sub": "ACME.BOB"})), Err(USER_IN_ISSUER));
        assert_eq!(found(json!({"iss": "ACME.ANN.SHA256:AAAA"})), Err(FINGERPRINT));
        assert_eq!(verify("not.a.token", "ANN", &[&key]), Err(FORMAT));
    }

    #[test]
    fn a_changed_or_unsigned_token_is_refused() {
        let key = normalised(PUBLIC).unwrap();
        let good = token(json!({}));
        let (head, signature) = good.rsplit_once('.').unwrap();
        let forged = token(json!({"exp": chrono::Utc::now().timestamp() + 61}));
        let payload = forged.rsplit_once('.').unwrap().0;
        assert_eq!(verify(&format!("{payload}.{signature}"), "ANN", &[&key]), Err(FINGERPRINT));
        assert!(verify(&format!("{head}."), "ANN", &[&key]).is_err());
        // The public key as an HMAC secret: the classic confusion of algorithms.
        let claims = json!({"iss": "ACME.ANN", "sub": "ACME.ANN", "exp": 9_999_999_999_i64});
        let secret = EncodingKey::from_secret(PUBLIC.as_bytes());
        let confused = jsonwebtoken::encode(&Header::default(), &claims, &secret).unwrap();
        assert_eq!(verify(&confused, "ANN", &[&key]), Err(ALGORITHM));
    }

    #[test]
    fn keys_are_checked_when_they_are_set() {
        let key = normalised(PUBLIC).unwrap();
        assert_eq!(normalised(&key).unwrap(), key);
        assert!(normalised("no key").is_err());
        assert!(normalised(&STANDARD.encode([0_u8; 400])).is_err());
    }
}
