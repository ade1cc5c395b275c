//! SHOW of kinds that there are none of: Snowflake's columns without rows.

use frazil_common::UserError;
use frazil_dialect::ShowObject;

use super::account::function_columns;
use super::{INSTANT, Listing, TEXT};
use crate::statements::outcome::COUNT;

const STREAMS: &[&str] = &[
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "owner",
    "comment",
    "table_name",
    "source_type",
    "base_tables",
    "type",
    "stale",
    "mode",
    "stale_after",
    "invalid_reason",
    "owner_role_type",
];
const TASKS: &[&str] = &[
    "created_on",
    "name",
    "id",
    "database_name",
    "schema_name",
    "owner",
    "comment",
    "warehouse",
    "schedule",
    "predecessors",
    "state",
    "definition",
    "condition",
    "allow_overlapping_execution",
    "error_integration",
    "last_committed_on",
    "last_suspended_on",
    "owner_role_type",
    "config",
    "budget",
    "task_relations",
    "last_suspended_reason",
];
const PIPES: &[&str] = &[
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "definition",
    "owner",
    "notification_channel",
    "comment",
    "integration",
    "pattern",
    "error_integration",
    "owner_role_type",
    "invalid_reason",
    "kind",
];
const NETWORK_POLICIES: &[&str] = &[
    "created_on",
    "name",
    "comment",
    "entries_in_allowed_ip_list",
    "entries_in_blocked_ip_list",
    "entries_in_allowed_network_rules",
    "entries_in_blocked_network_rules",
];
const INTEGRATIONS: &[&str] = &["name", "type", "category", "enabled", "comment", "created_on"];
const SHARES: &[&str] = &[
    "created_on",
    "kind",
    "owner_account",
    "name",
    "database_name",
    "to",
    "owner",
    "comment",
    "listing_global_name",
    "secure_objects_only",
];
const SECRETS: &[&str] = &[
    "created_on",
    "name",
    "schema_name",
    "database_name",
    "owner",
    "comment",
    "secret_type",
    "oauth_scopes",
    "owner_role_type",
];
const DYNAMIC_TABLES: &[&str] = &[
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "cluster_by",
    "rows",
    "bytes",
    "owner",
    "target_lag",
    "refresh_mode",
    "refresh_mode_reason",
    "warehouse",
    "comment",
    "text",
    "automatic_clustering",
    "scheduling_state",
    "last_suspended_on",
    "is_clone",
    "is_replica",
    "is_iceberg",
    "data_timestamp",
    "owner_role_type",
];
const EXTERNAL_TABLES: &[&str] = &[
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "invalid",
    "invalid_reason",
    "owner",
    "comment",
    "stage",
    "location",
    "file_format_name",
    "file_format_type",
    "cloud",
    "region",
    "notification_channel",
    "last_refreshed_on",
    "table_format",
    "last_refresh_details",
    "owner_role_type",
];
const MATERIALIZED_VIEWS: &[&str] = &[
    "created_on",
    "name",
    "reserved",
    "database_name",
    "schema_name",
    "cluster_by",
    "rows",
    "bytes",
    "source_database_name",
    "source_schema_name",
    "source_table_name",
    "refreshed_on",
    "compacted_on",
    "owner",
    "invalid",
    "invalid_reason",
    "behind_by",
    "comment",
    "text",
    "is_secure",
    "automatic_clustering",
    "owner_role_type",
];
const COMPUTE_POOLS: &[&str] = &[
    "name",
    "state",
    "min_nodes",
    "max_nodes",
    "instance_family",
    "num_services",
    "num_jobs",
    "auto_suspend_secs",
    "auto_resume",
    "active_nodes",
    "idle_nodes",
    "target_nodes",
    "created_on",
    "resumed_on",
    "updated_on",
    "owner",
    "comment",
    "is_exclusive",
    "application",
];
const SERVICES: &[&str] = &[
    "name",
    "status",
    "database_name",
    "schema_name",
    "owner",
    "compute_pool",
    "dns_name",
    "current_instances",
    "target_instances",
    "min_ready_instances",
    "min_instances",
    "max_instances",
    "auto_resume",
    "external_access_integrations",
    "created_on",
    "updated_on",
    "resumed_on",
    "suspended_on",
    "auto_suspend_secs",
    "comment",
    "owner_role_type",
    "query_warehouse",
    "is_job",
    "is_async_job",
    "spec_digest",
    "is_upgrading",
    "managing_object_domain",
    "managing_object_name",
];
const STREAMLITS: &[&str] = &[
    "created_on",
    "name",
    "database_name",
    "schema_name",
    "title",
    "owner",
    "comment",
    "query_warehouse",
    "url_id",
    "owner_role_type",
];

/// The columns of a kind that there is nothing of.
///
/// # Errors
/// Kinds whose emptiness would say something wrong about the account.
pub(super) fn listing(object: ShowObject) -> Result<Listing, UserError> {
    use ShowObject as O;
    let names = match object {
        O::Streams => STREAMS,
        O::Tasks => TASKS,
        O::Pipes => PIPES,
        O::NetworkPolicies => NETWORK_POLICIES,
        O::Integrations => INTEGRATIONS,
        O::Shares => SHARES,
        O::Secrets => SECRETS,
        O::DynamicTables => DYNAMIC_TABLES,
        O::ExternalTables => EXTERNAL_TABLES,
        O::MaterializedViews => MATERIALIZED_VIEWS,
        O::ComputePools => COMPUTE_POOLS,
        O::Services => SERVICES,
        O::Streamlits => STREAMLITS,
        O::UserFunctions | O::ExternalFunctions => {
            return Ok(Listing::new(function_columns(), "name"));
        }
        O::Procedures | O::UserProcedures => {
            let mut columns = function_columns();
            columns.truncate(PROCEDURE_COLUMNS);
            return Ok(Listing::new(columns, "name"));
        }
        other => {
            return Err(UserError::unsupported(format!("SHOW {}", other.as_str())));
        }
    };
    let columns = names
        .iter()
        .map(|name| {
            let sql_type = if name.ends_with("_on") || name.ends_with("_time") {
                INSTANT
            } else if NUMBERS.contains(name) {
                COUNT
            } else {
                TEXT
            };
            (*name, sql_type)
        })
        .collect();
    Ok(Listing::new(columns, "name"))
}

/// SHOW PROCEDURES has as many of the columns of SHOW FUNCTIONS.
const PROCEDURE_COLUMNS: usize = 16;

const NUMBERS: &[&str] = &[
    "key_sequence",
    "rows",
    "bytes",
    "session",
    "transaction",
    "granted_to_roles",
    "granted_to_database_roles",
    "granted_database_roles",
    "min_nodes",
    "max_nodes",
    "num_services",
    "num_jobs",
    "auto_suspend_secs",
    "active_nodes",
    "idle_nodes",
    "target_nodes",
    "current_instances",
    "target_instances",
    "min_instances",
    "max_instances",
    "min_ready_instances",
    "entries_in_allowed_ip_list",
    "entries_in_blocked_ip_list",
    "entries_in_allowed_network_rules",
    "entries_in_blocked_network_rules",
];
