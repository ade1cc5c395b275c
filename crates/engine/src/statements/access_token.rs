//! ALTER USER … PROGRAMMATIC ACCESS TOKEN. A secret is shown once and kept as its digest.

use frazil_catalog::account::{AccessToken, NewAccessToken, User, now_micros};
use frazil_common::{Code, Privilege, SqlType, UserError, quote_identifier};
use frazil_dialect::{AccessTokenAction, AlterUserAccessToken, Options};

use crate::session::secrets::{ACCESS_TOKEN_PREFIX, digest, random_secret};
use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;
use crate::statements::lookup::{described_status, of_user};
use crate::statements::option_values::{boolean, integer, name, optional_text};
use crate::statements::outcome::{Cell, Outcome};
use crate::statements::principals::{expect_user, no_such_user};

const DONE: &str = "Statement executed successfully.";
const DAYS_DEFAULT: i64 = 15;
const DAYS_MAX: i64 = 365;
const ROTATED_HOURS_DEFAULT: i64 = 24;
/// Longest a rotated token goes on working: a week.
const ROTATED_HOURS_MAX: i64 = 168;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

const ADDED: [(&str, SqlType); 2] =
    [("token_name", SqlType::TEXT), ("token_secret", SqlType::TEXT)];
const ROTATED: [(&str, SqlType); 3] = [
    ("token_name", SqlType::TEXT),
    ("token_secret", SqlType::TEXT),
    ("rotated_token_name", SqlType::TEXT),
];

pub(crate) async fn run(
    context: &StatementContext,
    alter: &AlterUserAccessToken,
) -> Result<Outcome, UserError> {
    let Some(user) = expect_user(context, alter.user.as_deref()).await? else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(no_such_user(context, alter.user.as_deref().unwrap_or_default()))
        };
    };
    if user.name != context.session.user {
        of_user(user.clone()).require(context, &[Privilege::Ownership])?;
    }
    match &alter.action {
        AccessTokenAction::Add(options) => add(context, &user, &alter.token, options).await,
        AccessTokenAction::Rotate(options) => rotate(context, &user, &alter.token, options).await,
        AccessTokenAction::Remove => {
            token(context, &user, &alter.token).await?;
            if context.describe_only {
                return described_status();
            }
            let mut change = AccountChange::begin(context).await?;
            change.writer().drop_access_token(user.id, &alter.token).await?;
            change.commit().await?;
            end_sessions(context).await;
            Outcome::status(DONE)
        }
        AccessTokenAction::RenameTo(to) => {
            let mut token = token(context, &user, &alter.token).await?;
            token.name.clone_from(to);
            update(context, &token).await
        }
        AccessTokenAction::Set(options) => {
            let mut token = token(context, &user, &alter.token).await?;
            for (key, value) in options.iter() {
                match key {
                    "DISABLED" => token.disabled = boolean(key, value)?,
                    "COMMENT" => token.comment = optional_text(key, value)?,
                    other => return Err(UserError::unsupported(format!("{other} of a token"))),
                }
            }
            update(context, &token).await
        }
    }
}

async fn update(context: &StatementContext, token: &AccessToken) -> Result<Outcome, UserError> {
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_access_token(token).await?;
    change.commit().await?;
    end_sessions(context).await;
    Outcome::status(DONE)
}

/// Ends the sessions of tokens and keys that are no longer good. The one that runs this, and any that cannot
/// be ended now, ends with its next request.
pub(super) async fn end_sessions(context: &StatementContext) {
    let own = Some(context.session.id);
    if let Err(error) = context.shared.close_revoked_sessions(now_micros(), own).await {
        tracing::warn!("sessions of a revoked credential could not be ended: {error}");
    }
}

async fn token(
    context: &StatementContext,
    user: &User,
    name: &str,
) -> Result<AccessToken, UserError> {
    let tokens = context.shared.accounts.access_tokens(user.id).await?;
    let token = tokens
        .into_iter()
        .find(|token| token.name == name)
        .ok_or_else(|| UserError::not_found("Programmatic access token", quote_identifier(name)))?;
    check_restriction(context, token.role_restriction.as_deref())?;
    Ok(token)
}

/// A session that is held to one role must not get at a token that opens others.
fn check_restriction(
    context: &StatementContext,
    restriction: Option<&str>,
) -> Result<(), UserError> {
    match context.session.role_restriction.as_deref() {
        Some(own) if restriction != Some(own) => Err(UserError::new(
            Code::InsufficientPrivileges,
            format!(
                "The session was opened with an access token that is restricted to role '{own}': \
                 it manages tokens with the same restriction only."
            ),
        )),
        _ => Ok(()),
    }
}

fn new_secret() -> String {
    format!("{ACCESS_TOKEN_PREFIX}{}", random_secret())
}

async fn add(
    context: &StatementContext,
    user: &User,
    token: &str,
    options: &Options,
) -> Result<Outcome, UserError> {
    let mut role_restriction = None;
    let mut comment = None;
    let mut days = DAYS_DEFAULT;
    for (key, value) in options.iter() {
        match key {
            "ROLE_RESTRICTION" => role_restriction = name(key, value)?,
            "DAYS_TO_EXPIRY" => days = integer(key, value, 1..=DAYS_MAX)?,
            "COMMENT" => comment = optional_text(key, value)?,
            other => return Err(UserError::unsupported(format!("{other} of a token"))),
        }
    }
    if let Some(role) = &role_restriction
        && !context.model.may_assume(&user.name, role)
    {
        return Err(UserError::new(
            Code::RoleNotAssigned,
            format!("Role '{}' is not granted to user '{}'.", quote_identifier(role), user.name),
        ));
    }
    check_restriction(context, role_restriction.as_deref())?;
    if context.describe_only {
        return Outcome::table(&ADDED, Vec::new());
    }
    let secret = new_secret();
    let mut change = AccountChange::begin(context).await?;
    change
        .writer()
        .create_access_token(NewAccessToken {
            user_id: user.id,
            name: token.to_string(),
            secret_sha256: digest(&secret),
            role_restriction,
            role_id: None,
            comment,
            created_by: context.session.user.clone(),
            expires_on: now_micros() + days * 24 * MICROS_PER_HOUR,
        })
        .await?;
    change.commit().await?;
    shown_once(&ADDED, vec![Cell::from(token), Cell::from(secret)])
}

/// An answer with a secret.
fn shown_once(columns: &[(&str, SqlType)], row: Vec<Cell>) -> Result<Outcome, UserError> {
    let mut outcome = Outcome::table(columns, vec![row])?;
    outcome.shows_secret = true;
    Ok(outcome)
}

/// The name goes to a new token with a new secret; the old one works on for a while under
/// another name.
async fn rotate(
    context: &StatementContext,
    user: &User,
    name: &str,
    options: &Options,
) -> Result<Outcome, UserError> {
    let hours = match options.get("EXPIRE_ROTATED_TOKEN_AFTER_HOURS") {
        Some(value) => integer("EXPIRE_ROTATED_TOKEN_AFTER_HOURS", value, 0..=ROTATED_HOURS_MAX)?,
        None => ROTATED_HOURS_DEFAULT,
    };
    let old = token(context, user, name).await?;
    if context.describe_only {
        return Outcome::table(&ROTATED, Vec::new());
    }
    let secret = new_secret();
    let now = now_micros();
    let rotated_name = format!("{name}_ROTATED_{now}");
    let mut change = AccountChange::begin(context).await?;
    let mut writer = change.writer();
    writer.update_access_token(&AccessToken { name: rotated_name.clone(), ..old.clone() }).await?;
    writer.expire_access_token(old.id, old.expires_on.min(now + hours * MICROS_PER_HOUR)).await?;
    writer
        .create_access_token(NewAccessToken {
            user_id: user.id,
            name: name.to_string(),
            secret_sha256: digest(&secret),
            role_restriction: old.role_restriction,
            role_id: old.role_id,
            comment: old.comment,
            created_by: context.session.user.clone(),
            expires_on: now + (old.expires_on - old.created_on),
        })
        .await?;
    change.commit().await?;
    end_sessions(context).await;
    shown_once(&ROTATED, vec![Cell::from(name), Cell::from(secret), Cell::from(rotated_name)])
}
