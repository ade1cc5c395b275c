//! Facts of the session as functions. They are literals by the time a plan is made.

use frazil_common::{Code, SqlType, UserError, quote_identifier};

use crate::arguments::Arguments;
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::{Value, json_text};

type Bound = Result<TypedExpr, UserError>;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["CURRENT_USER", "USER"], |a| fact(a, |a| Some(a.facts.user.clone())));
    registry.add(&["CURRENT_ROLE"], |a| {
        fact(a, |a| Some(a.facts.role.clone()).filter(|role| !role.is_empty()))
    });
    // A session's role is always one of the account: roles of databases cannot be taken on.
    registry.add(&["CURRENT_ROLE_TYPE"], |a| {
        fact(a, |a| (!a.facts.role.is_empty()).then(|| "ROLE".into()))
    });
    registry.add(&["CURRENT_SECONDARY_ROLES"], |a| {
        fact(a, |a| {
            let (roles, value) = a.facts.secondary_roles.clone();
            let fields = [("roles", roles), ("value", value)];
            let fields = fields.map(|(name, text)| (name.to_string(), Value::Text(text)));
            Some(json_text(&Value::Object(fields.into())))
        })
    });
    registry.add(&["CURRENT_DATABASE"], |a| fact(a, |a| a.facts.database.clone()));
    registry.add(&["CURRENT_SCHEMA"], |a| fact(a, |a| a.facts.schema.clone()));
    registry.add(&["CURRENT_SCHEMAS"], |a| {
        fact(a, |a| {
            let path = match (&a.facts.database, &a.facts.schema) {
                (Some(database), Some(schema)) => vec![Value::Text(format!("{database}.{schema}"))],
                _ => Vec::new(),
            };
            Some(json_text(&Value::List(path)))
        })
    });
    registry.add(&["CURRENT_WAREHOUSE"], |a| fact(a, |a| a.facts.warehouse.clone()));
    registry.add(&["CURRENT_ACCOUNT", "CURRENT_ACCOUNT_NAME"], |a| {
        fact(a, |a| Some(a.facts.account.clone()))
    });
    registry.add(&["CURRENT_ORGANIZATION_NAME"], |a| {
        named(&a, a.facts.organization.as_deref(), "--organization")
    });
    registry.add(&["CURRENT_REGION"], |a| named(&a, a.facts.region.as_deref(), "--region"));
    registry.add(&["CURRENT_SESSION"], |a| fact(a, |a| Some(a.facts.session_id.to_string())));
    registry.add(&["CURRENT_VERSION"], |a| fact(a, |a| Some(a.facts.server_version.clone())));
    registry.add(&["CURRENT_CLIENT"], |a| {
        fact(a, |a| Some(a.facts.client.clone()).filter(|client| !client.is_empty()))
    });
    registry.add(&["CURRENT_STATEMENT"], |a| fact(a, |a| Some(a.facts.statement.clone())));
    registry.add(&["CURRENT_QUERY_ID"], |a| fact(a, |a| Some(a.facts.query_id.clone())));
    registry.add(&["CURRENT_TRANSACTION"], |a| fact(a, |a| a.facts.transaction_id.clone()));
    registry.add(&["LAST_TRANSACTION"], |a| fact(a, |a| a.facts.last_transaction_id.clone()));
    registry.add(&["CURRENT_IP_ADDRESS"], |_| Err(UserError::unsupported("CURRENT_IP_ADDRESS")));
    registry.add(&["CURRENT_AVAILABLE_ROLES"], |a| {
        fact(a, |a| {
            let roles = a.facts.available_roles.iter().cloned().map(Value::Text).collect();
            Some(json_text(&Value::List(roles)))
        })
    });
    registry.add(&["LAST_QUERY_ID"], last_query_id);
    registry.add(&["IS_ROLE_IN_SESSION"], |a| {
        let roles = a.facts.active_roles.iter().chain([&a.facts.role]);
        let roles = roles.filter(|role| !is_of_database(role) && !role.is_empty());
        let roles = roles.cloned().collect();
        one_of(&a, roles)
    });
    // A role is named without its database: the current one, that of the view that asks, or that of what a
    // policy protects.
    registry.add(&["IS_DATABASE_ROLE_IN_SESSION"], |a| {
        let database = a.facts.database.as_deref().map(quote_identifier);
        let roles = a.facts.active_roles.iter().filter_map(|role| {
            let name = role.strip_prefix(database.as_deref()?)?.strip_prefix('.')?;
            Some(unquoted(name))
        });
        let roles = roles.collect();
        one_of(&a, roles)
    });
    registry.add(&["INVOKER_ROLE"], |a| fact(a, |a| a.facts.invoker_role.clone()));
    registry.add(&["IS_GRANTED_TO_INVOKER_ROLE"], |a| {
        a.expect(1..=1)?;
        let role = a.constant_text(0)?;
        let held = !is_of_database(&role) && a.facts.invoker_roles.contains(&role);
        Ok(TypedExpr::boolean(held))
    });
    // There are no shares, so that none ever asks.
    registry.add(&["INVOKER_SHARE"], |a| fact(a, |_| None));
    registry.add(&["IS_APPLICATION_ROLE_IN_SESSION", "IS_INSTANCE_ROLE_IN_SESSION"], |a| {
        Err(UserError::unsupported(a.name.to_string()))
    });
}

/// Names of the account's roles have no dot.
fn is_of_database(role: &str) -> bool {
    role.contains('.')
}

/// The name that a quoted or plain identifier stands for.
fn unquoted(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(exact) => exact.replace("\"\"", "\""),
        None => identifier.to_string(),
    }
}

/// Whether the argument, a text or a column of texts, is one of these roles.
fn one_of(a: &Arguments, roles: Vec<String>) -> Bound {
    a.expect(1..=1)?;
    if let Ok(role) = a.constant_text(0) {
        return Ok(TypedExpr::boolean(roles.contains(&role)));
    }
    let names = roles.iter().map(|role| TypedExpr::text(role).expr).collect();
    Ok(TypedExpr::new(a.text(0)?.in_list(names, false), SqlType::Boolean, a.nullable()))
}

fn optional(text: Option<String>) -> TypedExpr {
    match text {
        Some(text) => TypedExpr { sql_type: SqlType::TEXT, ..TypedExpr::text(&text) },
        None => TypedExpr::null_of(SqlType::TEXT),
    }
}

fn fact(a: Arguments, read: fn(&Arguments) -> Option<String>) -> Bound {
    a.expect(0..=0)?;
    Ok(optional(read(&a)))
}

/// A name the server was started with.
fn named(a: &Arguments, value: Option<&str>, option: &str) -> Bound {
    a.expect(0..=0)?;
    match value {
        Some(value) => Ok(optional(Some(value.to_string()))),
        None => Err(UserError::unsupported(format!(
            "{}: the server was started without {option}",
            a.name
        ))),
    }
}

/// Negative numbers count back from the latest, positive ones from the first of the session.
fn last_query_id(a: Arguments) -> Bound {
    a.expect(0..=1)?;
    let wanted = if a.len() > 0 { a.constant_integer(0)? } else { -1 };
    let ids = &a.facts.last_query_ids;
    let index = match wanted {
        0 => {
            return Err(UserError::new(Code::InvalidArgument, "LAST_QUERY_ID takes no 0"));
        }
        n if n < 0 => ids.len().checked_sub(n.unsigned_abs() as usize),
        n => Some(n as usize - 1),
    };
    Ok(optional(index.and_then(|i| ids.get(i)).cloned()))
}
