//! SHOW of what belongs to the account and the session.

use datafusion::common::ScalarValue;
use frazil_catalog::account::{
    AccountView, Grantee, ObjectFilter, ParameterLevel, User, Warehouse, now_micros,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, SqlType, UserError, quote_identifier,
};
use frazil_dialect::{ObjectWord, ShowScope};
use frazil_functions::TypedExpr;
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::evaluate_constant;
use serde_json::Value;

use super::{
    Area, DAY_MICROS, INSTANT, Lister, Listing, MINUTE_MICROS, TEXT, TerseKind, time_left,
};
use crate::session::parameters::{
    OBJECT_PARAMETERS, PARAMETERS, ParameterDefinition, ParameterKind, ParameterSource,
    STATEMENT_TIMEOUT, WAREHOUSE_PARAMETERS,
};
use crate::statements::lookup::{Target, expect, of_role, of_user};
use crate::statements::outcome::{COUNT, Cell};
use crate::statements::principals::{expect_user, no_such_user};
use crate::statements::retention::{RETENTION, Retention};

fn flag(value: bool) -> Cell {
    Cell::from(if value { "Y" } else { "N" })
}

fn word(value: bool) -> Cell {
    Cell::from(if value { "true" } else { "false" })
}

/// A kept option's text.
fn option(warehouse: &Warehouse, key: &str, default: &str) -> String {
    match warehouse.options.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => default.to_string(),
    }
}

fn option_number(warehouse: &Warehouse, key: &str, default: i64) -> Cell {
    let value = warehouse.options.get(key).and_then(Value::as_i64);
    Cell::Number(value.unwrap_or(default))
}

pub(super) async fn warehouses(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("name", TEXT),
        ("state", TEXT),
        ("type", TEXT),
        ("size", TEXT),
        ("min_cluster_count", COUNT),
        ("max_cluster_count", COUNT),
        ("started_clusters", COUNT),
        ("running", COUNT),
        ("queued", COUNT),
        ("is_default", TEXT),
        ("is_current", TEXT),
        ("auto_suspend", COUNT),
        ("auto_resume", TEXT),
        ("available", TEXT),
        ("provisioning", TEXT),
        ("quiescing", TEXT),
        ("other", TEXT),
        ("created_on", INSTANT),
        ("resumed_on", INSTANT),
        ("updated_on", INSTANT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("enable_query_acceleration", TEXT),
        ("query_acceleration_max_scale_factor", COUNT),
        ("resource_monitor", TEXT),
        ("actives", COUNT),
        ("pendings", COUNT),
        ("failed", COUNT),
        ("suspended", COUNT),
        ("uuid", TEXT),
        ("scaling_policy", TEXT),
        ("budget", TEXT),
        ("owner_role_type", TEXT),
        ("resource_constraint", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let account = context.shared.accounts.view().await?;
    let default = account
        .users
        .get(&context.session.user)
        .and_then(|user| user.properties.default_warehouse.clone());
    let all = context.shared.accounts.objects::<Warehouse>(ObjectFilter::default()).await?;
    for warehouse in all {
        let object = ObjectRef {
            kind: ObjectKind::Warehouse,
            id: warehouse.id,
            name: quote_identifier(&warehouse.name),
        };
        if !context.sees(&object, &[]) {
            continue;
        }
        let body = &warehouse.body;
        let started = i64::from(!body.suspended);
        let facts = context.shared.warehouses.facts(&warehouse.name);
        let (running, queued) =
            facts.as_ref().map_or((0, 0), |facts| (facts.running, facts.queued));
        let monitor =
            body.resource_monitor.and_then(|id| context.shared.warehouses.monitor_name(id));
        let resumed_on = facts.map_or(warehouse.created_on, |facts| facts.resumed_on);
        let share = if body.suspended { "" } else { "100" };
        listing.rows.push(vec![
            Cell::from(warehouse.name.as_str()),
            Cell::from(if body.suspended { "SUSPENDED" } else { "STARTED" }),
            Cell::from(option(body, "WAREHOUSE_TYPE", "STANDARD")),
            Cell::from(body.size.as_str()),
            option_number(body, "MIN_CLUSTER_COUNT", 1),
            option_number(body, "MAX_CLUSTER_COUNT", 1),
            Cell::Number(started),
            Cell::Number(running as i64),
            Cell::Number(queued as i64),
            flag(default.as_deref() == Some(&warehouse.name)),
            flag(context.state.warehouse.as_deref() == Some(&warehouse.name)),
            Cell::from(body.auto_suspend),
            word(body.auto_resume),
            Cell::from(share),
            Cell::from(""),
            Cell::from(""),
            Cell::from(""),
            Cell::Instant(warehouse.created_on),
            Cell::Instant(resumed_on),
            Cell::Instant(warehouse.altered_on),
            Cell::from(warehouse.owner.clone().unwrap_or_default()),
            Cell::from(warehouse.comment.clone().unwrap_or_default()),
            Cell::from(option(body, "ENABLE_QUERY_ACCELERATION", "false")),
            option_number(body, "QUERY_ACCELERATION_MAX_SCALE_FACTOR", 8),
            Cell::from(monitor.unwrap_or_else(|| "null".to_string())),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(0),
            Cell::Number(i64::from(body.suspended)),
            Cell::from(warehouse.id.to_string()),
            Cell::from(option(body, "SCALING_POLICY", "STANDARD")),
            Cell::Null,
            Cell::from("ROLE"),
            Cell::Null,
        ]);
    }
    Ok(listing)
}

pub(super) async fn roles(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("is_default", TEXT),
        ("is_current", TEXT),
        ("is_inherited", TEXT),
        ("assigned_to_users", COUNT),
        ("granted_to_roles", COUNT),
        ("granted_roles", COUNT),
        ("owner", TEXT),
        ("comment", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let account = context.shared.accounts.view().await?;
    let default = account
        .users
        .get(&context.session.user)
        .and_then(|user| user.properties.default_role.clone());
    for role in account.roles.values() {
        if role.is_of_database() {
            continue;
        }
        let name = role.name.as_str();
        let found = of_role(role.clone());
        let held = context.model.may_assume(&context.session.user, name);
        if !held && !found.is_visible(context) {
            continue;
        }
        let count = |matches: &dyn Fn(&Grantee, &str) -> bool| {
            let grants = account.role_grants.iter();
            let number = grants.filter(|grant| matches(&grant.grantee, &grant.role)).count();
            Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
        };
        let current = context.state.role == name;
        listing.rows.push(vec![
            Cell::Instant(role.created_on),
            Cell::from(name),
            flag(default.as_deref() == Some(name)),
            flag(current),
            flag(!current && context.model.includes(&context.roles, name)),
            count(&|grantee, granted| granted == name && matches!(grantee, Grantee::User(_))),
            count(&|grantee, granted| granted == name && matches!(grantee, Grantee::Role(_))),
            count(&|grantee, _| *grantee == Grantee::Role(name.to_string())),
            lister.owner(&found.object),
            Cell::from(role.comment.clone().unwrap_or_default()),
        ]);
    }
    Ok(listing)
}

/// The visible users: those the role may know of, and oneself.
pub(super) fn visible_users(lister: &Lister<'_>, account: &AccountView) -> Vec<User> {
    account
        .users
        .values()
        .filter(|user| {
            user.name == lister.context.session.user
                || of_user((*user).clone()).is_visible(lister.context)
        })
        .cloned()
        .collect()
}

pub(super) async fn users(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("name", TEXT),
        ("created_on", INSTANT),
        ("login_name", TEXT),
        ("display_name", TEXT),
        ("first_name", TEXT),
        ("last_name", TEXT),
        ("email", TEXT),
        ("mins_to_unlock", TEXT),
        ("days_to_expiry", TEXT),
        ("comment", TEXT),
        ("disabled", TEXT),
        ("must_change_password", TEXT),
        ("snowflake_lock", TEXT),
        ("default_warehouse", TEXT),
        ("default_namespace", TEXT),
        ("default_role", TEXT),
        ("default_secondary_roles", TEXT),
        ("ext_authn_duo", TEXT),
        ("ext_authn_uid", TEXT),
        ("mins_to_bypass_mfa", TEXT),
        ("owner", TEXT),
        ("last_success_login", INSTANT),
        ("expires_at_time", INSTANT),
        ("locked_until_time", INSTANT),
        ("has_password", TEXT),
        ("has_rsa_public_key", TEXT),
        ("type", TEXT),
        ("has_mfa", TEXT),
        ("has_pat", TEXT),
    ];
    let mut listing = Listing::new(columns, "name").terse(TerseKind::None);
    let accounts = &lister.context.shared.accounts;
    let account = accounts.view().await?;
    let now = lister.context.facts.now_micros;
    for user in visible_users(lister, &account) {
        let tokens = accounts.access_tokens(user.id).await?;
        let failures = accounts.login_failures(&user.login_name).await?;
        let locked_until = failures.locked_until.filter(|_| failures.is_locked(now));
        let properties = user.properties.clone();
        let found = of_user(user.clone());
        let text = |value: Option<String>| Cell::from(value.unwrap_or_default());
        listing.rows.push(vec![
            Cell::from(user.name.as_str()),
            Cell::Instant(user.created_on),
            Cell::from(user.login_name.as_str()),
            Cell::from(properties.display_name.unwrap_or_else(|| user.name.clone())),
            text(properties.first_name),
            text(properties.last_name),
            text(properties.email),
            Cell::from(locked_until.map(|until| time_left(until, now, MINUTE_MICROS))),
            Cell::from(properties.expires_on.map(|until| time_left(until, now, DAY_MICROS))),
            text(user.comment.clone()),
            word(user.disabled),
            word(user.must_change_password),
            word(false),
            text(properties.default_warehouse),
            text(properties.default_namespace),
            text(properties.default_role),
            Cell::from(if properties.default_secondary_roles_all { "[\"ALL\"]" } else { "[]" }),
            word(false),
            Cell::from(""),
            Cell::from(""),
            lister.owner(&found.object),
            user.last_login_on.map_or(Cell::Null, Cell::Instant),
            properties.expires_on.map_or(Cell::Null, Cell::Instant),
            locked_until.map_or(Cell::Null, Cell::Instant),
            word(user.password_hash.is_some()),
            word(properties.rsa_public_key.is_some() || properties.rsa_public_key_2.is_some()),
            Cell::from(user.properties.type_word()),
            word(false),
            word(!tokens.is_empty()),
        ]);
    }
    Ok(listing)
}

pub(super) async fn access_tokens(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("name", TEXT),
        ("user_name", TEXT),
        ("role_restriction", TEXT),
        ("expires_at", INSTANT),
        ("status", TEXT),
        ("comment", TEXT),
        ("created_on", INSTANT),
        ("created_by", TEXT),
        ("mins_to_bypass_network_policy_requirement", COUNT),
        ("rotated_to", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let name = match &lister.show.scope {
        None => None,
        Some(ShowScope::Object(ObjectWord::User, name)) => name.as_ref().map(|n| n.name.clone()),
        Some(_) => return Err(UserError::syntax("SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER")),
    };
    let Some(user) = expect_user(context, name.as_deref()).await? else {
        return Err(no_such_user(context, name.as_deref().unwrap_or_default()));
    };
    if user.name != context.session.user {
        of_user(user.clone()).require(context, &[Privilege::Ownership])?;
    }
    let now = now_micros();
    for token in context.shared.accounts.access_tokens(user.id).await? {
        let status = if token.disabled {
            "DISABLED"
        } else if token.expires_on <= now {
            "EXPIRED"
        } else if token.role_gone {
            // Snowflake has no word for one whose role is gone; it opens nothing.
            "DISABLED"
        } else {
            "ACTIVE"
        };
        listing.rows.push(vec![
            Cell::from(token.name.as_str()),
            Cell::from(user.name.as_str()),
            Cell::from(token.role_restriction.clone()),
            Cell::Instant(token.expires_on),
            Cell::from(status),
            Cell::from(token.comment.clone()),
            Cell::Instant(token.created_on),
            Cell::from(token.created_by.as_str()),
            Cell::Null,
            Cell::Null,
        ]);
    }
    Ok(listing)
}

/// Whose parameters SHOW PARAMETERS lists.
enum ParameterScope {
    Session,
    Account,
    User(i64),
    Warehouse(Box<Warehouse>),
    /// A database, schema or table: the days that count there, and where they were set.
    Kept {
        days: u16,
        level: &'static str,
    },
}

async fn parameter_scope(lister: &Lister<'_>) -> Result<ParameterScope, UserError> {
    let context = lister.context;
    Ok(match &lister.show.scope {
        None | Some(ShowScope::Session) => ParameterScope::Session,
        Some(ShowScope::Account) => ParameterScope::Account,
        Some(ShowScope::Object(ObjectWord::User, name)) => {
            let name = name.as_ref().map(|name| name.name.as_str());
            let Some(user) = expect_user(context, name).await? else {
                return Err(no_such_user(context, name.unwrap_or_default()));
            };
            ParameterScope::User(user.id)
        }
        Some(ShowScope::Object(ObjectWord::Warehouse, name)) => {
            let current = || context.state.warehouse.as_deref().map(ObjectName::bare);
            let Some(name) = name.clone().or_else(current) else {
                return Err(UserError::new(
                    Code::NoActiveWarehouse,
                    "The session has no current warehouse: name one, or run USE WAREHOUSE.",
                ));
            };
            let found = expect(context, &lister.view, ObjectWord::Warehouse, &name).await?;
            let Target::Warehouse(warehouse) = found.target else {
                return Err(UserError::internal("a warehouse is none"));
            };
            ParameterScope::Warehouse(Box::new(warehouse.body))
        }
        Some(ShowScope::Database(_) | ShowScope::Schema(_)) => match lister.area().await? {
            Area::Database(name) => {
                kept_in(lister, ObjectWord::Database, &ObjectName::bare(&name)).await?
            }
            Area::Schema(database, name) => {
                let name = ObjectName { database: None, schema: Some(database), name };
                kept_in(lister, ObjectWord::Schema, &name).await?
            }
            _ => return Err(UserError::internal("a scope without a schema or database")),
        },
        Some(ShowScope::Object(ObjectWord::Table, Some(name))) => {
            kept_in(lister, ObjectWord::Table, name).await?
        }
        Some(_) => {
            return Err(UserError::unsupported(
                "SHOW PARAMETERS IN other than SESSION, ACCOUNT, USER, WAREHOUSE, DATABASE, SCHEMA \
                 and TABLE",
            ));
        }
    })
}

/// How long a database, schema or table keeps former rows.
async fn kept_in(
    lister: &Lister<'_>,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<ParameterScope, UserError> {
    let retention = Retention::load(lister.context).await?;
    let found = expect(lister.context, &lister.view, word, name).await?;
    let (days, level) = match &found.target {
        Target::Database(database) => {
            (retention.database(database), retention.set_for_database(database))
        }
        Target::Schema(schema) => {
            (retention.schema(&lister.view, schema), retention.set_for_schema(&lister.view, schema))
        }
        Target::Table(table) => {
            (retention.table(&lister.view, table), retention.set_for_table(&lister.view, table))
        }
        _ => return Err(UserError::internal("an object without a retention")),
    };
    Ok(ParameterScope::Kept { days, level })
}

/// What a warehouse sets of a parameter.
fn warehouse_parameter(warehouse: &Warehouse, name: &str) -> Option<Value> {
    match name {
        STATEMENT_TIMEOUT => {
            Some(warehouse.statement_timeout).filter(|seconds| *seconds != 0).map(Value::from)
        }
        name => warehouse.options.get(name).cloned(),
    }
}

pub(super) async fn parameters(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("key", TEXT),
        ("value", TEXT),
        ("default", TEXT),
        ("level", TEXT),
        ("description", TEXT),
        ("type", TEXT),
    ];
    let mut listing = Listing::new(columns, "key");
    let context = lister.context;
    let accounts = &context.shared.accounts;
    let scope = parameter_scope(lister).await?;
    let stored = match &scope {
        ParameterScope::Account => accounts.parameters(ParameterLevel::Account).await?,
        ParameterScope::User(id) => accounts.parameters(ParameterLevel::User(*id)).await?,
        ParameterScope::Session | ParameterScope::Warehouse(_) | ParameterScope::Kept { .. } => {
            Default::default()
        }
    };
    // What users inherit.
    let of_account = match &scope {
        ParameterScope::User(_) => accounts.parameters(ParameterLevel::Account).await?,
        _ => Default::default(),
    };
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut definitions: Vec<&ParameterDefinition> = match &scope {
        ParameterScope::Session | ParameterScope::User(_) => PARAMETERS.iter().collect(),
        ParameterScope::Account => PARAMETERS.iter().chain(OBJECT_PARAMETERS).collect(),
        ParameterScope::Kept { .. } => {
            OBJECT_PARAMETERS.iter().filter(|definition| definition.name == RETENTION).collect()
        }
        ParameterScope::Warehouse(_) => PARAMETERS
            .iter()
            .chain(OBJECT_PARAMETERS)
            .filter(|definition| WAREHOUSE_PARAMETERS.contains(&definition.name))
            .collect(),
    };
    definitions.sort_by_key(|definition| definition.name);
    for definition in definitions {
        let name = definition.name;
        let kept = stored.get(name).map(shown);
        let (value, set_at) = match &scope {
            ParameterScope::Session => {
                let value = Some(context.state.parameters.get(name).to_string());
                match context.state.parameters.source(name) {
                    ParameterSource::Session => (value, "SESSION"),
                    ParameterSource::User => (value, "USER"),
                    ParameterSource::Account => (value, "ACCOUNT"),
                    ParameterSource::Default => (None, ""),
                }
            }
            ParameterScope::Account => (kept, "ACCOUNT"),
            ParameterScope::Kept { days, level } => (Some(days.to_string()), *level),
            ParameterScope::User(_) => match kept {
                Some(own) => (Some(own), "USER"),
                None => (of_account.get(name).map(shown), "ACCOUNT"),
            },
            ParameterScope::Warehouse(warehouse) => {
                (warehouse_parameter(warehouse, name).as_ref().map(shown), "WAREHOUSE")
            }
        };
        let kind = match definition.kind {
            ParameterKind::Boolean => "BOOLEAN",
            ParameterKind::Number { .. } => "NUMBER",
            ParameterKind::Text | ParameterKind::TimeZone => "STRING",
        };
        listing.rows.push(vec![
            Cell::from(name),
            Cell::from(value.clone().unwrap_or_else(|| definition.default.to_string())),
            Cell::from(definition.default),
            Cell::from(if value.is_some() { set_at } else { "" }),
            Cell::from(definition.description),
            Cell::from(kind),
        ]);
    }
    Ok(listing)
}

pub(super) fn variables(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("session_id", COUNT),
        ("created_on", INSTANT),
        ("updated_on", INSTANT),
        ("name", TEXT),
        ("value", TEXT),
        ("type", TEXT),
        ("comment", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let mut variables: Vec<(&String, &TypedExpr)> = context.state.variables.iter().collect();
    variables.sort_by_key(|(name, _)| *name);
    for (name, value) in variables {
        let text = cast(value.clone(), &SqlType::TEXT, CastMode::Explicit, &context.facts)?;
        let shown = match evaluate_constant(&text)? {
            ScalarValue::Utf8View(Some(text)) | ScalarValue::Utf8(Some(text)) => Cell::Text(text),
            _ => Cell::Null,
        };
        listing.rows.push(vec![
            Cell::Number(context.session.id),
            Cell::Null,
            Cell::Null,
            Cell::from(name.as_str()),
            shown,
            Cell::from(wire_word(&value.sql_type)),
            Cell::from(""),
        ]);
    }
    Ok(listing)
}

/// A variable's type as SHOW VARIABLES says it.
fn wire_word(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Number { .. } => "fixed".to_string(),
        SqlType::Float => "real".to_string(),
        SqlType::Varchar { .. } | SqlType::Null => "text".to_string(),
        other => crate::statements::column_types::name(other).to_lowercase(),
    }
}

/// Columns of SHOW FUNCTIONS and SHOW PROCEDURES up to the last they share.
pub(super) fn function_columns() -> Vec<(&'static str, SqlType)> {
    vec![
        ("created_on", INSTANT),
        ("name", TEXT),
        ("schema_name", TEXT),
        ("is_builtin", TEXT),
        ("is_aggregate", TEXT),
        ("is_ansi", TEXT),
        ("min_num_arguments", COUNT),
        ("max_num_arguments", COUNT),
        ("arguments", TEXT),
        ("description", TEXT),
        ("catalog_name", TEXT),
        ("is_table_function", TEXT),
        ("valid_for_clustering", TEXT),
        ("is_secure", TEXT),
        ("secrets", TEXT),
        ("external_access_integrations", TEXT),
        ("is_external_function", TEXT),
        ("language", TEXT),
        ("is_memoizable", TEXT),
        ("is_data_metric", TEXT),
    ]
}

/// All functions are built in.
pub(super) fn functions(_lister: &Lister<'_>) -> Listing {
    let mut listing = Listing::new(function_columns(), "name");
    for (name, kind) in frazil_functions::names() {
        listing.rows.push(vec![
            Cell::Null,
            Cell::from(name),
            Cell::from(""),
            flag(true),
            flag(kind == "AGGREGATE"),
            flag(false),
            Cell::Null,
            Cell::Null,
            Cell::from(name),
            Cell::Null,
            Cell::from(""),
            flag(kind == "TABLE"),
            flag(false),
            flag(false),
            Cell::Null,
            Cell::Null,
            flag(false),
            Cell::from("SQL"),
            flag(false),
            flag(false),
        ]);
    }
    listing
}
