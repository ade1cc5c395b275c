//! Who is at the door: passwords with throttling, access tokens, key pairs.

use frazil_catalog::account::{LoginRecord, User, UserType, now_micros};
use frazil_common::{Code, UserError, fold_identifier};

use crate::api::{Credential, LoginRequest};
use crate::engine::Shared;
use crate::session::key_pair;
use crate::session::secrets::{ACCESS_TOKEN_PREFIX, digest, verify_password};
use crate::statements::account_change::AccountChange;

/// Wrong passwords in a row that lock a login name, as Snowflake's default password policy has it.
const FAILURES_MAX: i64 = 5;
/// How long a lock lasts, in microseconds: 15 minutes.
const LOCK_MICROS: i64 = 15 * 60 * 1_000_000;

/// Longest name that a login is tried for, in characters.
pub(crate) const LOGIN_NAME_MAX: usize = 255;
/// What the history keeps of a client's name, and of its version, in characters.
const CLIENT_MAX: usize = 128;

const PASSWORD: &str = "PASSWORD";
const ACCESS_TOKEN: &str = "PROGRAMMATIC_ACCESS_TOKEN";
const KEY_PAIR: &str = "RSA_KEYPAIR";

/// A proven identity.
pub(crate) struct Identity {
    pub user: User,
    /// The only role the session may use, where the token says so.
    pub role_restriction: Option<String>,
    /// The id of that role.
    pub restricted_role_id: Option<i64>,
    /// The token's id, where it is one.
    pub access_token_id: Option<i64>,
    /// The fingerprint of the user's key that proved it, where one did.
    pub key_fingerprint: Option<String>,
    /// How, in the word of LOGIN_HISTORY.
    pub factor: &'static str,
}

impl Identity {
    /// A user who is held to no role.
    fn of(user: User) -> Self {
        Identity {
            user,
            role_restriction: None,
            restricted_role_id: None,
            access_token_id: None,
            key_fingerprint: None,
            factor: "",
        }
    }
}

/// A refused login: what the client is told, and what the login history says beyond it.
struct Refused {
    error: UserError,
    detail: Option<(i64, String)>,
}

impl From<UserError> for Refused {
    fn from(error: UserError) -> Self {
        Refused { error, detail: None }
    }
}

impl From<frazil_catalog::CatalogError> for Refused {
    fn from(error: frazil_catalog::CatalogError) -> Self {
        Refused { error: error.into(), detail: None }
    }
}

/// The same words for an unknown user and a wrong password.
fn incorrect() -> UserError {
    UserError::new(Code::AuthenticationFailed, "Incorrect username or password was specified.")
}

fn disabled() -> UserError {
    UserError::new(
        Code::UserDisabled,
        "User access disabled. Contact your local system administrator.",
    )
}

fn expired() -> UserError {
    UserError::new(
        Code::UserDisabled,
        "User access has expired. Contact your local system administrator.",
    )
}

/// A program's password opens nothing.
fn is_a_service() -> UserError {
    UserError::new(
        Code::AuthenticationRejected,
        "Authentication attempt rejected by the current authentication policy: users with \
         TYPE=SERVICE do not log in with a password.",
    )
}

/// Whether a user whose credential holds may log in.
fn admitted(user: &User) -> Result<(), UserError> {
    if user.disabled {
        return Err(disabled());
    }
    if user.properties.has_expired(now_micros()) {
        return Err(expired());
    }
    Ok(())
}

fn must_change() -> UserError {
    UserError::new(
        Code::PasswordExpired,
        "Specified password has expired. It must be changed by ALTER USER … SET PASSWORD: by an \
         administrator, or in a session opened with a key pair or an access token.",
    )
}

fn locked() -> UserError {
    UserError::new(
        Code::UserLocked,
        "User temporarily locked. Try again later, or contact your local system administrator.",
    )
}

/// What is kept of a client's name, or of its version.
pub fn shortened_client(part: &str) -> String {
    part.chars().take(CLIENT_MAX).collect()
}

/// Checks a login's credential and writes the attempt into the login history.
///
/// # Errors
/// 390100 for a wrong user, password or token, 390101 for a disabled or expired user, 390102 for a
/// locked one, 390202 for the password of a service, 390106 for a password that must be
/// changed, 390144 for a key-pair token that does not hold.
pub(crate) async fn authenticate(
    shared: &Shared,
    request: &LoginRequest,
) -> Result<Identity, UserError> {
    let is_noted = || shared.refusals.count(request.client_ip.as_deref(), now_micros());
    if request.user.chars().count() > LOGIN_NAME_MAX {
        if is_noted() {
            tracing::warn!(client_ip = request.client_ip, "login refused: its name is too long");
        }
        return Err(incorrect());
    }
    let (factor, checked) = check(shared, request).await;
    let checked = match checked {
        Err(refused) if !is_noted() => return Err(refused.error),
        checked => checked,
    };
    let (error_code, error_message) = match &checked {
        Ok(_) => (None, None),
        Err(refused) => match &refused.detail {
            Some((number, name)) => (Some(*number), Some(name.clone())),
            None => {
                (Some(i64::from(refused.error.code.number())), Some(refused.error.message.clone()))
            }
        },
    };
    let user = match &checked {
        Ok(identity) => identity.user.name.clone(),
        Err(_) => fold_identifier(&request.user),
    };
    let success = checked.is_ok();
    let (client_name, client_version) = match request.client.split_once(' ') {
        Some((name, version)) => (shortened_client(name), Some(shortened_client(version))),
        None => (shortened_client(&request.client), None),
    };
    if success {
        tracing::info!(user, factor, client_ip = request.client_ip, "login");
    } else {
        tracing::warn!(user, factor, client_ip = request.client_ip, error_code, "login refused");
    }
    let mut change = AccountChange::on(&shared.accounts).await?;
    let mut writer = change.writer();
    writer
        .insert_login(&LoginRecord {
            event_time: now_micros(),
            user,
            client_ip: request.client_ip.clone(),
            client_name: Some(client_name),
            client_version,
            factor: factor.to_string(),
            success,
            error_code,
            error_message,
        })
        .await?;
    if let Ok(identity) = &checked {
        writer.record_login(identity.user.id).await?;
    }
    change.commit().await?;
    checked.map(|identity| Identity { factor, ..identity }).map_err(|refused| refused.error)
}

async fn check(
    shared: &Shared,
    request: &LoginRequest,
) -> (&'static str, Result<Identity, Refused>) {
    match &request.credential {
        Credential::Embedded => ("EMBEDDED", embedded(shared, &request.user).await),
        Credential::AccessToken(secret) => {
            (ACCESS_TOKEN, by_token(shared, &request.user, secret).await)
        }
        Credential::Password(secret) if secret.starts_with(ACCESS_TOKEN_PREFIX) => {
            (ACCESS_TOKEN, by_token(shared, &request.user, secret).await)
        }
        Credential::Password(secret) => {
            (PASSWORD, by_password(shared, &request.user, secret).await)
        }
        Credential::KeyPair(token) => (KEY_PAIR, by_key_pair(shared, &request.user, token).await),
    }
}

/// The user of a login name as typed, or of an exact name.
async fn find_user(shared: &Shared, typed: &str) -> Result<Option<User>, Refused> {
    match shared.accounts.user_by_login(&fold_identifier(typed)).await? {
        Some(user) => Ok(Some(user)),
        None => Ok(shared.accounts.user(typed).await?),
    }
}

async fn embedded(shared: &Shared, typed: &str) -> Result<Identity, Refused> {
    let user = find_user(shared, typed).await?.ok_or_else(incorrect)?;
    Ok(Identity::of(user))
}

async fn by_password(shared: &Shared, typed: &str, secret: &str) -> Result<Identity, Refused> {
    let user = find_user(shared, typed).await?;
    // Failures are counted under the login name however it was typed, and under names of nobody.
    let name = match &user {
        Some(user) => user.login_name.clone(),
        None => typed.to_uppercase(),
    };
    // Few at a time: hashing is slow by design, and a flood of logins must not take all cores.
    let turn = shared.password_checks.acquire().await.map_err(UserError::internal)?;
    if shared.accounts.login_failures(&name).await?.is_locked(now_micros()) {
        return Err(locked().into());
    }
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let secret = secret.to_string();
    // The same work for unknown users, so that time does not tell names apart.
    let right = tokio::task::spawn_blocking(move || match hash {
        Some(hash) => verify_password(&secret, &hash),
        None => {
            let decoy = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$\
                         n0Zc1Yw5c5wHkq2m0x1c1b6m0v5q8w2d3e4f5a6b7c8";
            let _ = verify_password(&secret, decoy);
            false
        }
    })
    .await
    .map_err(UserError::internal)?;
    let failures = shared.accounts.login_failures(&name).await?;
    let result = match user {
        Some(user) if right => {
            if failures.failures > 0 || failures.locked_until.is_some() {
                let mut change = AccountChange::on(&shared.accounts).await?;
                change.writer().clear_login_failures(&name).await?;
                change.commit().await?;
            }
            if let Err(error) = admitted(&user) {
                Err(error.into())
            } else if user.properties.user_type == Some(UserType::Service) {
                Err(is_a_service().into())
            } else if user.must_change_password {
                Err(must_change().into())
            } else {
                Ok(Identity::of(user))
            }
        }
        _ => {
            let mut change = AccountChange::on(&shared.accounts).await?;
            change
                .writer()
                .count_login_failure(&name, now_micros(), FAILURES_MAX, LOCK_MICROS)
                .await?;
            change.commit().await?;
            Err(incorrect().into())
        }
    };
    drop(turn);
    result
}

async fn by_token(shared: &Shared, typed: &str, secret: &str) -> Result<Identity, Refused> {
    let invalid =
        || UserError::new(Code::AuthenticationFailed, "Programmatic access token is invalid.");
    // A token says whose it is; a name, where one is given, must be the same user's.
    let named = match typed {
        "" => None,
        typed => Some(find_user(shared, typed).await?.ok_or_else(invalid)?.id),
    };
    let token = shared.accounts.access_token(&digest(secret)).await?.ok_or_else(invalid)?;
    let view = shared.accounts.view().await?;
    let owner = view.user_by_id(token.user_id).cloned().ok_or_else(invalid)?;
    if named.is_some_and(|id| id != owner.id) || !token.is_valid(now_micros()) {
        return Err(invalid().into());
    }
    admitted(&owner)?;
    let mut change = AccountChange::on(&shared.accounts).await?;
    change.writer().record_token_use(token.id).await?;
    change.commit().await?;
    Ok(Identity {
        role_restriction: token.role_restriction,
        restricted_role_id: token.role_id,
        access_token_id: Some(token.id),
        ..Identity::of(owner)
    })
}

async fn by_key_pair(shared: &Shared, typed: &str, token: &str) -> Result<Identity, Refused> {
    let invalid = |number: i64, name: &str| Refused {
        error: UserError::new(Code::JwtInvalid, "JWT token is invalid."),
        detail: Some((number, name.to_string())),
    };
    let typed = match typed {
        "" => key_pair::claimed_user(token).unwrap_or_default(),
        typed => typed.to_string(),
    };
    let Some(user) = find_user(shared, &typed).await? else {
        return Err(invalid(390_144, "JWT_TOKEN_INVALID"));
    };
    let keys: Vec<&str> = [&user.properties.rsa_public_key, &user.properties.rsa_public_key_2]
        .into_iter()
        .filter_map(|key| key.as_deref())
        .collect();
    let by_login_name = key_pair::verify(token, &user.login_name, &keys);
    // Clients put what was typed into the token: the login name, or the user's name.
    let checked = by_login_name
        .or_else(|fault| key_pair::verify(token, &user.name, &keys).map_err(|_| fault));
    let key_fingerprint = match checked {
        Ok(key) => key_pair::fingerprint(key),
        Err(fault) => return Err(invalid(fault.number, fault.name)),
    };
    admitted(&user)?;
    Ok(Identity { key_fingerprint, ..Identity::of(user) })
}
