//! CREATE ROLE, CREATE USER and the properties of users.

use frazil_catalog::account::{
    NewUser, ParameterLevel, User, UserProperties, UserType, Writer, now_micros,
};
use frazil_common::{Code, ObjectKind, ObjectName, Privilege, UserError, quote_identifier};
use frazil_dialect::{CreateRole, CreateUser, ObjectWord, OptionValue, Options};
use frazil_governance::Requirement;
use frazil_governance::system;
use serde_json::Value;

use crate::session::authenticate::LOGIN_NAME_MAX;
use crate::session::key_pair;
use crate::session::parameters::{Parameters, definition};
use crate::session::secrets::hash_password;
use crate::statements::account_change::AccountChange;
use crate::statements::context::{StatementContext, Work};
use crate::statements::database_role;
use crate::statements::lookup::{described_status, of_role, of_user};
use crate::statements::option_values::{boolean, integer, name, optional_text, text, unknown};
use crate::statements::outcome::Outcome;
use crate::statements::session::parameter_text;
use crate::statements::tag::DefinedTags;

pub(crate) use crate::statements::access_token::run as access_token;

pub(crate) async fn create_role(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateRole,
) -> Result<Outcome, UserError> {
    context.authorize(&[Requirement::global(Privilege::CreateRole)])?;
    let name = &create.name;
    database_role::refuse_dot(name)?;
    let account = context.shared.accounts.view().await?;
    let existing = account.roles.get(name).cloned();
    if let Some(existing) = &existing {
        if create.mode.if_not_exists {
            return kept(context, name);
        }
        if !create.mode.or_replace || system::ALL.contains(&name.as_str()) {
            return Err(UserError::exists(quote_identifier(name)));
        }
        of_role(existing.clone()).require(context, &[Privilege::Ownership])?;
    }
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if context.describe_only {
        return described_status();
    }
    let mut change = AccountChange::keeping_administrator(context).await?;
    if let Some(existing) = &existing {
        change.writer().drop_role(existing.id, context.role()).await?;
    }
    let mut writer = change.writer();
    let made = writer.create_role(name, create.comment.as_deref(), context.role()).await?;
    tags.write(&mut writer, (ObjectKind::Role, made.id)).await?;
    change.commit().await?;
    Outcome::status(format!("Role {name} successfully created."))
}

fn kept(context: &StatementContext, name: &str) -> Result<Outcome, UserError> {
    if context.describe_only {
        return described_status();
    }
    Outcome::status(format!("{name} already exists, statement succeeded."))
}

/// What CREATE USER and ALTER USER … SET say, read and checked. None: not said.
#[derive(Debug, Default)]
pub(crate) struct UserOptions {
    password: Option<Option<String>>,
    login_name: Option<String>,
    must_change_password: Option<bool>,
    disabled: Option<bool>,
    comment: Option<Option<String>>,
    display_name: Option<Option<String>>,
    first_name: Option<Option<String>>,
    last_name: Option<Option<String>>,
    email: Option<Option<String>>,
    default_role: Option<Option<String>>,
    default_warehouse: Option<Option<String>>,
    default_namespace: Option<Option<String>>,
    default_secondary_roles_all: Option<bool>,
    rsa_public_key: Option<Option<String>>,
    rsa_public_key_2: Option<Option<String>>,
    /// Minutes until a lock of the login ends; 0 ends it now.
    mins_to_unlock: Option<i64>,
    user_type: Option<Option<UserType>>,
    /// Days until the user may not log in any more.
    days_to_expiry: Option<Option<i64>>,
    /// Session parameters the user's sessions begin with; None takes one back.
    parameters: Vec<(String, Option<Value>)>,
}

/// What Snowflake's users have and Frazil's haven't.
const REFUSED: &[&str] = &[
    "RSA_PUBLIC_KEY_FP",
    "RSA_PUBLIC_KEY_2_FP",
    "MIDDLE_NAME",
    "MINS_TO_BYPASS_MFA",
    "DISABLE_MFA",
    "NETWORK_POLICY",
    "EXT_AUTHN_DUO",
    "EXT_AUTHN_UID",
];

/// Longest lock an administrator sets: ten years.
const MINUTES_MAX: i64 = 10 * 366 * 24 * 60;
/// Longest time until a user expires: a hundred years.
const DAYS_MAX: i64 = 100 * 366;
const DAY_MICROS: i64 = 86_400_000_000;

/// A public key as it is stored; NULL takes it away.
fn public_key(key: &str, value: &OptionValue) -> Result<Option<String>, UserError> {
    optional_text(key, value)?.map(|text| key_pair::normalised(&text)).transpose()
}

impl UserOptions {
    /// Reads SET's options.
    pub fn read(options: &Options) -> Result<Self, UserError> {
        let mut read = UserOptions::default();
        for (key, value) in options.iter() {
            read.take(key, value)?;
        }
        Ok(read)
    }

    /// Reads UNSET's keys: each goes back to what new users have, nothing for most.
    pub fn unset(keys: &[String]) -> Result<Self, UserError> {
        let mut read = UserOptions::default();
        for key in keys {
            match key.as_str() {
                "DISABLED" | "MUST_CHANGE_PASSWORD" => {
                    read.take(key, &OptionValue::Boolean(false))?;
                }
                "DEFAULT_SECONDARY_ROLES" => read.default_secondary_roles_all = Some(true),
                "MINS_TO_UNLOCK" => read.mins_to_unlock = Some(0),
                "LOGIN_NAME" => return Err(UserError::unsupported("UNSET LOGIN_NAME")),
                key if definition(key).is_some() => read.parameters.push((key.to_string(), None)),
                key => read.take(key, &OptionValue::Null)?,
            }
        }
        Ok(read)
    }

    fn take(&mut self, key: &str, value: &OptionValue) -> Result<(), UserError> {
        match key {
            "PASSWORD" => {
                let password = optional_text(key, value)?;
                if password.is_none() && *value != OptionValue::Null {
                    return Err(UserError::new(
                        Code::InvalidArgument,
                        "The password must not be empty.",
                    ));
                }
                self.password = Some(password);
            }
            "LOGIN_NAME" => {
                let name = text(key, value)?;
                if name.chars().count() > LOGIN_NAME_MAX {
                    return Err(UserError::new(
                        Code::InvalidArgument,
                        format!("A login name has at most {LOGIN_NAME_MAX} characters."),
                    ));
                }
                self.login_name = Some(name);
            }
            "MUST_CHANGE_PASSWORD" => self.must_change_password = Some(boolean(key, value)?),
            "DISABLED" => self.disabled = Some(boolean(key, value)?),
            "COMMENT" => self.comment = Some(optional_text(key, value)?),
            "DISPLAY_NAME" => self.display_name = Some(optional_text(key, value)?),
            "FIRST_NAME" => self.first_name = Some(optional_text(key, value)?),
            "LAST_NAME" => self.last_name = Some(optional_text(key, value)?),
            "EMAIL" => self.email = Some(optional_text(key, value)?),
            "RSA_PUBLIC_KEY" => self.rsa_public_key = Some(public_key(key, value)?),
            "RSA_PUBLIC_KEY_2" => self.rsa_public_key_2 = Some(public_key(key, value)?),
            "MINS_TO_UNLOCK" => self.mins_to_unlock = Some(integer(key, value, 0..=MINUTES_MAX)?),
            "DEFAULT_ROLE" => self.default_role = Some(name(key, value)?),
            "DEFAULT_WAREHOUSE" => self.default_warehouse = Some(name(key, value)?),
            "DEFAULT_NAMESPACE" => {
                let namespace = match optional_text(key, value)? {
                    None => None,
                    Some(text) => Some(frazil_dialect::parse_object_name_text(&text)?.to_string()),
                };
                self.default_namespace = Some(namespace);
            }
            "DEFAULT_SECONDARY_ROLES" => {
                let roles = value.as_list();
                let all = match roles.as_slice() {
                    [] => false,
                    [one] if one.as_text().is_some_and(|t| t.eq_ignore_ascii_case("ALL")) => true,
                    _ => {
                        return Err(UserError::new(
                            Code::InvalidArgument,
                            "DEFAULT_SECONDARY_ROLES must be ('ALL') or ().",
                        ));
                    }
                };
                self.default_secondary_roles_all = Some(all);
            }
            "TYPE" => {
                let said = match optional_text(key, value)? {
                    None => None,
                    Some(word) => Some(word.to_uppercase().parse().map_err(|_| {
                        UserError::new(
                            Code::InvalidArgument,
                            format!("invalid value '{word}' for property 'TYPE'"),
                        )
                    })?),
                };
                self.user_type = Some(said);
            }
            "DAYS_TO_EXPIRY" => {
                self.days_to_expiry = Some(match value {
                    OptionValue::Null => None,
                    value => Some(integer(key, value, 0..=DAYS_MAX)?),
                });
            }
            key if REFUSED.contains(&key) => {
                return Err(UserError::unsupported(format!("{key} of a user")));
            }
            key if definition(key).is_some() => {
                let text = parameter_text(key, value)?;
                let mut checked = Parameters::default();
                checked.set(key, &text)?;
                self.parameters.push((key.to_string(), Some(Value::from(checked.get(key)))));
            }
            other => return Err(unknown("USER", other)),
        }
        Ok(())
    }

    /// Whether only that is touched which users may set for themselves: the password, where their
    /// sessions begin, and the parameters that they begin with. A role to begin with gives nothing that
    /// USE ROLE would not.
    pub fn is_own_choice(&self) -> bool {
        let UserOptions {
            password,
            login_name,
            must_change_password,
            disabled,
            comment,
            display_name,
            first_name,
            last_name,
            email,
            default_role,
            default_warehouse,
            default_namespace,
            default_secondary_roles_all,
            rsa_public_key,
            rsa_public_key_2,
            mins_to_unlock,
            user_type,
            days_to_expiry,
            parameters,
        } = self;
        let chosen = password.is_some()
            || [default_role, default_warehouse, default_namespace]
                .iter()
                .any(|choice| choice.is_some())
            || !parameters.is_empty();
        chosen
            && login_name.is_none()
            && (must_change_password.is_none() || password.is_some())
            && disabled.is_none()
            && comment.is_none()
            && [display_name, first_name, last_name, email].iter().all(|text| text.is_none())
            && default_secondary_roles_all.is_none()
            && [rsa_public_key, rsa_public_key_2].iter().all(|key| key.is_none())
            && mins_to_unlock.is_none()
            && user_type.is_none()
            && days_to_expiry.is_none()
    }

    /// Writes what was said into a user. Hashing a password takes its time.
    pub async fn apply(&self, user: &mut User) -> Result<(), UserError> {
        if let Some(user_type) = self.user_type {
            user.properties.user_type = user_type;
        }
        self.check_type(user)?;
        if let Some(days) = self.days_to_expiry {
            user.properties.expires_on = days.map(|days| now_micros() + days * DAY_MICROS);
        }
        if let Some(password) = self.password.clone() {
            // A password that was set is changed, but where the statement says otherwise.
            user.must_change_password &= password.is_none();
            user.password_hash = match password {
                None => None,
                Some(password) => Some(
                    tokio::task::spawn_blocking(move || hash_password(&password))
                        .await
                        .map_err(UserError::internal)??,
                ),
            };
        }
        let properties = &mut user.properties;
        for (said, property) in [
            (&self.comment, &mut user.comment),
            (&self.display_name, &mut properties.display_name),
            (&self.first_name, &mut properties.first_name),
            (&self.last_name, &mut properties.last_name),
            (&self.email, &mut properties.email),
            (&self.default_role, &mut properties.default_role),
            (&self.default_warehouse, &mut properties.default_warehouse),
            (&self.default_namespace, &mut properties.default_namespace),
            (&self.rsa_public_key, &mut properties.rsa_public_key),
            (&self.rsa_public_key_2, &mut properties.rsa_public_key_2),
        ] {
            if let Some(value) = said {
                property.clone_from(value);
            }
        }
        if let Some(all) = self.default_secondary_roles_all {
            properties.default_secondary_roles_all = all;
        }
        if let Some(login_name) = &self.login_name {
            user.login_name = login_name.to_uppercase();
        }
        if let Some(value) = self.must_change_password {
            user.must_change_password = value;
        }
        if let Some(value) = self.disabled {
            user.disabled = value;
        }
        Ok(())
    }

    /// A program has no name of a person, and no password.
    fn check_type(&self, user: &User) -> Result<(), UserError> {
        if user.properties.user_type != Some(UserType::Service) {
            return Ok(());
        }
        let given = |said: &Option<Option<String>>| matches!(said, Some(Some(_)));
        let set = [
            ("PASSWORD", given(&self.password)),
            ("MUST_CHANGE_PASSWORD", self.must_change_password == Some(true)),
            ("FIRST_NAME", given(&self.first_name)),
            ("LAST_NAME", given(&self.last_name)),
        ];
        match set.into_iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((property, _)) => Err(UserError::new(
                Code::InvalidStatement,
                format!("Cannot set {property} on users with TYPE=SERVICE."),
            )),
        }
    }

    /// Keeps what lies outside the user's row: the session parameters, and a lock of the login.
    pub async fn save_beside(
        &self,
        writer: &mut Writer<'_>,
        user_id: i64,
        login_name: &str,
    ) -> Result<(), UserError> {
        if let Some(minutes) = self.mins_to_unlock {
            let now = now_micros();
            let until = (minutes > 0).then_some(now + minutes * 60_000_000);
            writer.lock_login(login_name, now, until).await?;
        }
        for (name, value) in &self.parameters {
            writer.set_parameter(ParameterLevel::User(user_id), name, value.as_ref()).await?;
        }
        Ok(())
    }
}

pub(crate) async fn create_user(
    context: &StatementContext,
    work: &mut Work,
    create: &CreateUser,
) -> Result<Outcome, UserError> {
    let options = UserOptions::read(&create.options)?;
    context.authorize(&[Requirement::global(Privilege::CreateUser)])?;
    let name = &create.name;
    let account = context.shared.accounts.view().await?;
    let existing = account.users.get(name).cloned();
    if let Some(existing) = &existing {
        if create.mode.if_not_exists {
            return kept(context, name);
        }
        if !create.mode.or_replace {
            return Err(UserError::exists(quote_identifier(name)));
        }
        if *name == context.session.user {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!("User '{name}' can not replace itself."),
            ));
        }
        of_user(existing.clone()).require(context, &[Privilege::Ownership])?;
    }
    let tags = DefinedTags::find(context, work, &create.tags, std::iter::empty()).await?;
    if context.describe_only {
        return described_status();
    }
    let mut user = User {
        id: 0,
        name: name.clone(),
        login_name: name.to_uppercase(),
        password_hash: None,
        must_change_password: false,
        disabled: false,
        comment: None,
        created_on: 0,
        last_login_on: None,
        properties: UserProperties {
            default_secondary_roles_all: true,
            ..UserProperties::default()
        },
    };
    options.apply(&mut user).await?;
    let mut change = AccountChange::keeping_administrator(context).await?;
    let mut stage = None;
    if let Some(existing) = &existing {
        stage = change.writer().drop_user(existing.id).await?;
    }
    let login_name = user.login_name.clone();
    let made = change
        .writer()
        .create_user(NewUser {
            name: user.name,
            login_name: Some(user.login_name),
            password_hash: user.password_hash,
            must_change_password: user.must_change_password,
            disabled: user.disabled,
            comment: user.comment,
            properties: user.properties,
            owner_role: context.role().to_string(),
        })
        .await?;
    options.save_beside(&mut change.writer(), made.id, &login_name).await?;
    tags.write(&mut change.writer(), (ObjectKind::User, made.id)).await?;
    change.commit().await?;
    if let Some(stage) = stage {
        context.shared.stages.delete_stage(stage).await?;
    }
    Outcome::status(format!("User {name} successfully created."))
}

/// The user a statement is about; the session's own where none is named.
pub(crate) async fn expect_user(
    context: &StatementContext,
    name: Option<&str>,
) -> Result<Option<User>, UserError> {
    let account = context.shared.accounts.view().await?;
    let own = context.session.user.as_str();
    let name = name.unwrap_or(own);
    Ok(account
        .users
        .get(name)
        .filter(|user| name == own || of_user((*user).clone()).is_visible(context))
        .cloned())
}

/// 002003 for a user.
pub(crate) fn no_such_user(context: &StatementContext, name: &str) -> UserError {
    crate::statements::lookup::absent(context, ObjectWord::User, &ObjectName::bare(name))
}
