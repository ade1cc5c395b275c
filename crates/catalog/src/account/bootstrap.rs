//! The first shape of the account: tables, system roles, their hierarchy and privileges.

use frazil_common::{ObjectKind, Privilege};

use super::schema::{
    GRANTORS_APART, IDS_OF_QUERIES, TABLES, TOKENS_BY_ROLE_ID, USER_STAGES_BY_ID, VERSION,
};
use super::{Grantee, Writer};
use crate::{CatalogError, Result};

const SCHEMA_VERSION: &str = "schema_version";

const ACCOUNT: (ObjectKind, i64) = (ObjectKind::Account, 0);

/// The system roles and what each is for.
const ROLES: [(&str, &str); 5] = [
    ("ACCOUNTADMIN", "Account administrator can manage all aspects of the account."),
    ("SECURITYADMIN", "Security administrator can manage security aspects of the account."),
    ("USERADMIN", "User administrator can create and manage users and roles"),
    ("SYSADMIN", "System administrator can create and manage databases and warehouses."),
    ("PUBLIC", "Public role is automatically available to every user in the account."),
];

/// (role, the role that inherits it). PUBLIC needs no grants: every role inherits it.
const HIERARCHY: [(&str, &str); 3] = [
    ("SYSADMIN", "ACCOUNTADMIN"),
    ("SECURITYADMIN", "ACCOUNTADMIN"),
    ("USERADMIN", "SECURITYADMIN"),
];

const PRIVILEGES: [(Privilege, &str); 7] = [
    (Privilege::CreateDatabase, "SYSADMIN"),
    (Privilege::CreateWarehouse, "SYSADMIN"),
    (Privilege::CreateEndpoint, "SYSADMIN"),
    (Privilege::CreateUser, "USERADMIN"),
    (Privilege::CreateRole, "USERADMIN"),
    (Privilege::ManageGrants, "SECURITYADMIN"),
    (Privilege::Monitor, "ACCOUNTADMIN"),
];

pub(super) async fn migrate(mut writer: Writer<'_>) -> Result<()> {
    make_tables(&mut writer).await?;
    let found: Option<(i64,)> = sqlx::query_as("SELECT value FROM frazil_counter WHERE name = $1")
        .bind(SCHEMA_VERSION)
        .fetch_optional(&mut *writer.connection)
        .await?;
    match found {
        Some((version,)) if version > VERSION => Err(CatalogError::Format(format!(
            "the account's tables have version {version}; this build reads up to {VERSION}"
        ))),
        // But for these, later versions only add tables, which are made above.
        Some((version,)) if version < VERSION => {
            if version < GRANTORS_APART {
                tell_grantors_apart(&mut writer).await?;
            }
            if version < USER_STAGES_BY_ID {
                give_stages_to_users(&mut writer).await?;
            }
            if version < TOKENS_BY_ROLE_ID {
                hold_tokens_by_role_id(&mut writer).await?;
                tell_promises_apart(&mut writer).await?;
            }
            if version < IDS_OF_QUERIES {
                give_ids_to_queries(&mut writer).await?;
            }
            sqlx::query("UPDATE frazil_counter SET value = $2 WHERE name = $1")
                .bind(SCHEMA_VERSION)
                .bind(VERSION)
                .execute(&mut *writer.connection)
                .await?;
            Ok(())
        }
        Some(_) => Ok(()),
        None => {
            sqlx::query("INSERT INTO frazil_counter (name, value) VALUES ($1, $2)")
                .bind(SCHEMA_VERSION)
                .bind(VERSION)
                .execute(&mut *writer.connection)
                .await?;
            make_account(&mut writer).await
        }
    }
}

async fn make_tables(writer: &mut Writer<'_>) -> Result<()> {
    for statement in TABLES {
        sqlx::query(*statement).execute(&mut *writer.connection).await?;
    }
    Ok(())
}

/// Makes the table of grants anew, with the grantor in its key.
async fn tell_grantors_apart(writer: &mut Writer<'_>) -> Result<()> {
    sqlx::query("ALTER TABLE frazil_grant RENAME TO frazil_grant_before")
        .execute(&mut *writer.connection)
        .await?;
    make_tables(writer).await?;
    for statement in [
        "INSERT INTO frazil_grant (object_kind, object_id, privilege, role_id, grant_option,
            granted_by, created_on)
         SELECT object_kind, object_id, privilege, role_id, grant_option,
            COALESCE(granted_by, 0), created_on FROM frazil_grant_before",
        "DROP TABLE frazil_grant_before",
    ] {
        sqlx::query(statement).execute(&mut *writer.connection).await?;
    }
    Ok(())
}

/// Names the stages of users, `~` and the user's name until then, by the users' ids; what is left of
/// users who are gone is nobody's. Neither these nor the stages of tables have an owner's role any more.
async fn give_stages_to_users(writer: &mut Writer<'_>) -> Result<()> {
    for statement in [
        "UPDATE frazil_object SET name = 'user ' ||
            (SELECT user_id FROM frazil_user WHERE '~' || frazil_user.name = frazil_object.name)
         WHERE kind = 'STAGE' AND schema_id = 0 AND session_id = 0 AND name IN
            (SELECT '~' || frazil_user.name FROM frazil_user)",
        "DELETE FROM frazil_owner WHERE object_kind = 'STAGE' AND object_id IN
            (SELECT object_id FROM frazil_object WHERE kind = 'STAGE' AND schema_id = 0)",
    ] {
        sqlx::query(statement).execute(&mut *writer.connection).await?;
    }
    writer.touch_security().await
}

/// Finds the roles that tokens are held to; until then they went by name.
async fn hold_tokens_by_role_id(writer: &mut Writer<'_>) -> Result<()> {
    sqlx::query(
        "INSERT INTO frazil_token_role (token_id, role_id)
         SELECT token_id, COALESCE((SELECT role_id FROM frazil_role
            WHERE frazil_role.name = frazil_access_token.role_restriction), 0)
         FROM frazil_access_token WHERE role_restriction IS NOT NULL
         ON CONFLICT (token_id) DO NOTHING",
    )
    .execute(&mut *writer.connection)
    .await?;
    Ok(())
}

/// Makes the table of future grants anew, with the grantor in its key.
async fn tell_promises_apart(writer: &mut Writer<'_>) -> Result<()> {
    sqlx::query("ALTER TABLE frazil_future_grant RENAME TO frazil_future_grant_before")
        .execute(&mut *writer.connection)
        .await?;
    make_tables(writer).await?;
    for statement in [
        "INSERT INTO frazil_future_grant (container_kind, container_id, object_kind, privilege,
            role_id, grant_option, granted_by, created_on)
         SELECT container_kind, container_id, object_kind, privilege, role_id, grant_option,
            COALESCE(granted_by, 0), created_on FROM frazil_future_grant_before",
        "DROP TABLE frazil_future_grant_before",
    ] {
        sqlx::query(statement).execute(&mut *writer.connection).await?;
    }
    writer.touch_security().await
}

/// Makes the tables of queries anew, with columns for ids. Of former queries the warehouse alone is known.
async fn give_ids_to_queries(writer: &mut Writer<'_>) -> Result<()> {
    for statement in [
        // Indexes would keep their names.
        "DROP INDEX IF EXISTS frazil_query_history_start",
        "DROP INDEX IF EXISTS frazil_query_history_session",
        "ALTER TABLE frazil_query_history RENAME TO frazil_query_history_before",
        "DROP INDEX IF EXISTS frazil_query_detail_start",
        "ALTER TABLE frazil_query_detail RENAME TO frazil_query_detail_before",
    ] {
        sqlx::query(statement).execute(&mut *writer.connection).await?;
    }
    make_tables(writer).await?;
    for statement in [
        "INSERT INTO frazil_query_history (query_id, query_text, query_type, user_name, role_name,
            warehouse_name, database_name, schema_name, session_id, start_time, end_time, status,
            error_code, error_message, rows_produced, rows_inserted, rows_updated, rows_deleted,
            bytes_scanned, snapshot_id, query_tag, client_generated)
         SELECT query_id, query_text, query_type, user_name, role_name, warehouse_name,
            database_name, schema_name, session_id, start_time, end_time, status, error_code,
            error_message, rows_produced, rows_inserted, rows_updated, rows_deleted, bytes_scanned,
            snapshot_id, query_tag, FALSE FROM frazil_query_history_before",
        "DROP TABLE frazil_query_history_before",
        "INSERT INTO frazil_query_detail (query_id, start_time, body, operators)
         SELECT query_id, start_time, body, operators FROM frazil_query_detail_before",
        "DROP TABLE frazil_query_detail_before",
    ] {
        sqlx::query(statement).execute(&mut *writer.connection).await?;
    }
    writer.tell_warehouses_of_queries().await
}

async fn make_account(writer: &mut Writer<'_>) -> Result<()> {
    for (name, comment) in ROLES {
        writer.insert_role(name, Some(comment)).await?;
    }
    let top = writer.role_id("ACCOUNTADMIN").await?;
    for (name, _) in ROLES {
        let role = writer.role_id(name).await?;
        writer.set_owner_id(ObjectKind::Role, role, top).await?;
    }
    writer.set_owner_id(ACCOUNT.0, ACCOUNT.1, top).await?;
    for (role, heir) in HIERARCHY {
        writer.grant_role(role, &Grantee::Role(heir.to_string()), None).await?;
    }
    for (privilege, role) in PRIVILEGES {
        writer.grant_privilege(ACCOUNT, privilege, role, true, None).await?;
    }
    Ok(())
}
