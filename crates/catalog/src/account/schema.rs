//! Tables of Frazil's own objects, beside DuckLake's in the same database.
//!
//! Plain SQL that SQLite and PostgreSQL both take. Every name starts with `frazil_`, so that
//! DuckLake's readers never meet them. Times are microseconds since 1970 UTC.

/// Version of this shape; a database with a higher one is refused.
pub(super) const VERSION: i64 = 7;
/// The first one in which each grantor's grant is a row.
pub(super) const GRANTORS_APART: i64 = 5;
/// The first one in which a user's stage goes by the user's id.
pub(super) const USER_STAGES_BY_ID: i64 = 6;
/// The first one in which a token is held to a role by the role's id, and each grantor's promise is a
/// row.
pub(super) const TOKENS_BY_ROLE_ID: i64 = 7;

/// Makes whatever is missing.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS frazil_counter (
        name TEXT PRIMARY KEY,
        value BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_user (
        user_id BIGINT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        login_name TEXT NOT NULL UNIQUE,
        password_hash TEXT,
        must_change_password BOOLEAN NOT NULL,
        disabled BOOLEAN NOT NULL,
        comment TEXT,
        created_on BIGINT NOT NULL,
        last_login_on BIGINT,
        body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_access_token (
        token_id BIGINT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        secret_sha256 TEXT NOT NULL UNIQUE,
        role_restriction TEXT,
        comment TEXT,
        created_on BIGINT NOT NULL,
        created_by TEXT NOT NULL,
        expires_on BIGINT NOT NULL,
        disabled BOOLEAN NOT NULL,
        last_used_on BIGINT,
        UNIQUE (user_id, name))",
    // The role that a token is held to; of one that was gone when ids came, 0.
    "CREATE TABLE IF NOT EXISTS frazil_token_role (
        token_id BIGINT PRIMARY KEY,
        role_id BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_role (
        role_id BIGINT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        comment TEXT,
        created_on BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_role_grant (
        role_id BIGINT NOT NULL,
        grantee_kind TEXT NOT NULL,
        grantee_id BIGINT NOT NULL,
        granted_by BIGINT,
        created_on BIGINT NOT NULL,
        PRIMARY KEY (role_id, grantee_kind, grantee_id))",
    "CREATE TABLE IF NOT EXISTS frazil_grant (
        object_kind TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        privilege TEXT NOT NULL,
        role_id BIGINT NOT NULL,
        grant_option BOOLEAN NOT NULL,
        granted_by BIGINT NOT NULL,
        created_on BIGINT NOT NULL,
        PRIMARY KEY (object_kind, object_id, privilege, role_id, granted_by))",
    "CREATE TABLE IF NOT EXISTS frazil_future_grant (
        container_kind TEXT NOT NULL,
        container_id BIGINT NOT NULL,
        object_kind TEXT NOT NULL,
        privilege TEXT NOT NULL,
        role_id BIGINT NOT NULL,
        grant_option BOOLEAN NOT NULL,
        granted_by BIGINT NOT NULL,
        created_on BIGINT NOT NULL,
        PRIMARY KEY (container_kind, container_id, object_kind, privilege, role_id, granted_by))",
    "CREATE TABLE IF NOT EXISTS frazil_managed_schema (
        schema_id BIGINT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS frazil_owner (
        object_kind TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        role_id BIGINT NOT NULL,
        created_on BIGINT NOT NULL,
        PRIMARY KEY (object_kind, object_id))",
    "CREATE TABLE IF NOT EXISTS frazil_forgotten (
        object_kind TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        PRIMARY KEY (object_kind, object_id))",
    "CREATE TABLE IF NOT EXISTS frazil_object (
        object_id BIGINT PRIMARY KEY,
        kind TEXT NOT NULL,
        database_id BIGINT NOT NULL,
        schema_id BIGINT NOT NULL,
        session_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        comment TEXT,
        created_on BIGINT NOT NULL,
        altered_on BIGINT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (kind, schema_id, session_id, name))",
    "CREATE TABLE IF NOT EXISTS frazil_policy_reference (
        policy_kind TEXT NOT NULL,
        policy_id BIGINT NOT NULL,
        object_kind TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        column_id BIGINT NOT NULL,
        arguments TEXT NOT NULL,
        PRIMARY KEY (object_kind, object_id, policy_kind, column_id))",
    "CREATE TABLE IF NOT EXISTS frazil_tag_reference (
        tag_id BIGINT NOT NULL,
        object_kind TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        column_id BIGINT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (object_kind, object_id, column_id, tag_id))",
    // Its owner, its grants and what it is on stay where they were.
    "CREATE TABLE IF NOT EXISTS frazil_dropped_tag (
        object_id BIGINT PRIMARY KEY,
        database_id BIGINT NOT NULL,
        schema_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        comment TEXT,
        created_on BIGINT NOT NULL,
        altered_on BIGINT NOT NULL,
        body TEXT NOT NULL,
        dropped_on BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_sequence_value (
        sequence_id BIGINT PRIMARY KEY,
        next_value BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_model_version (
        version_id BIGINT PRIMARY KEY,
        model_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        comment TEXT,
        created_on BIGINT NOT NULL,
        file_sha256 TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (model_id, name))",
    "CREATE TABLE IF NOT EXISTS frazil_model_alias (
        model_id BIGINT NOT NULL,
        alias TEXT NOT NULL,
        version_id BIGINT NOT NULL,
        PRIMARY KEY (model_id, alias))",
    "CREATE TABLE IF NOT EXISTS frazil_model_change (
        change_id BIGINT PRIMARY KEY,
        model_id BIGINT NOT NULL,
        what TEXT NOT NULL,
        alias TEXT,
        from_version TEXT,
        to_version TEXT,
        user_name TEXT NOT NULL,
        role_name TEXT NOT NULL,
        changed_on BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_session (
        session_id BIGINT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        session_token_sha256 TEXT NOT NULL UNIQUE,
        session_expires_on BIGINT NOT NULL,
        master_token_sha256 TEXT NOT NULL UNIQUE,
        master_expires_on BIGINT NOT NULL,
        created_on BIGINT NOT NULL,
        body TEXT NOT NULL)",
    // Requests whose statement changed the account and made no snapshot, for when they are sent again.
    "CREATE TABLE IF NOT EXISTS frazil_request (
        request TEXT PRIMARY KEY,
        entry TEXT NOT NULL,
        done_on BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS frazil_parameter (
        level TEXT NOT NULL,
        object_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (level, object_id, name))",
    "CREATE TABLE IF NOT EXISTS frazil_query_history (
        query_id TEXT PRIMARY KEY,
        query_text TEXT NOT NULL,
        query_type TEXT NOT NULL,
        user_name TEXT NOT NULL,
        role_name TEXT,
        warehouse_name TEXT,
        database_name TEXT,
        schema_name TEXT,
        session_id BIGINT NOT NULL,
        start_time BIGINT NOT NULL,
        end_time BIGINT NOT NULL,
        status TEXT NOT NULL,
        error_code BIGINT,
        error_message TEXT,
        rows_produced BIGINT NOT NULL,
        rows_inserted BIGINT NOT NULL,
        rows_updated BIGINT NOT NULL,
        rows_deleted BIGINT NOT NULL,
        bytes_scanned BIGINT NOT NULL,
        snapshot_id BIGINT,
        query_tag TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS frazil_query_history_start ON frazil_query_history (start_time)",
    "CREATE INDEX IF NOT EXISTS frazil_query_history_session
        ON frazil_query_history (session_id, start_time)",
    "CREATE TABLE IF NOT EXISTS frazil_login_history (
        event_id BIGINT PRIMARY KEY,
        event_time BIGINT NOT NULL,
        user_name TEXT NOT NULL,
        client_ip TEXT,
        client_name TEXT,
        client_version TEXT,
        factor TEXT NOT NULL,
        success BOOLEAN NOT NULL,
        error_code BIGINT,
        error_message TEXT)",
    "CREATE TABLE IF NOT EXISTS frazil_login_failure (
        login_name TEXT PRIMARY KEY,
        failures BIGINT NOT NULL,
        last_on BIGINT NOT NULL,
        locked_until BIGINT)",
    "CREATE INDEX IF NOT EXISTS frazil_login_history_time ON frazil_login_history (event_time)",
    "CREATE TABLE IF NOT EXISTS frazil_access_history (
        query_id TEXT PRIMARY KEY,
        query_start_time BIGINT NOT NULL,
        user_name TEXT NOT NULL,
        objects TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS frazil_access_history_time
        ON frazil_access_history (query_start_time)",
    "CREATE TABLE IF NOT EXISTS frazil_query_detail (
        query_id TEXT PRIMARY KEY,
        start_time BIGINT NOT NULL,
        body TEXT NOT NULL,
        operators TEXT)",
    "CREATE INDEX IF NOT EXISTS frazil_query_detail_start ON frazil_query_detail (start_time)",
    "CREATE TABLE IF NOT EXISTS frazil_metering (
        warehouse_id BIGINT NOT NULL,
        warehouse_name TEXT NOT NULL,
        start_time BIGINT NOT NULL,
        end_time BIGINT NOT NULL,
        credits DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (warehouse_id, start_time))",
    "CREATE INDEX IF NOT EXISTS frazil_metering_end ON frazil_metering (end_time)",
    "CREATE TABLE IF NOT EXISTS frazil_storage_usage (
        usage_day BIGINT NOT NULL,
        database_id BIGINT NOT NULL,
        database_name TEXT NOT NULL,
        byte_sum DOUBLE PRECISION NOT NULL,
        samples BIGINT NOT NULL,
        PRIMARY KEY (usage_day, database_id))",
    "CREATE TABLE IF NOT EXISTS frazil_warehouse_event (
        event_id BIGINT PRIMARY KEY,
        event_time BIGINT NOT NULL,
        warehouse_id BIGINT NOT NULL,
        warehouse_name TEXT NOT NULL,
        event_name TEXT NOT NULL,
        event_reason TEXT NOT NULL,
        size TEXT NOT NULL,
        user_name TEXT,
        role_name TEXT,
        query_id TEXT)",
    "CREATE INDEX IF NOT EXISTS frazil_warehouse_event_time
        ON frazil_warehouse_event (event_time)",
    "CREATE TABLE IF NOT EXISTS frazil_notification (
        monitor_id BIGINT NOT NULL,
        period_start BIGINT NOT NULL,
        percent BIGINT NOT NULL,
        event_id BIGINT NOT NULL,
        event_time BIGINT NOT NULL,
        monitor_name TEXT NOT NULL,
        used_credits DOUBLE PRECISION NOT NULL,
        credit_quota BIGINT,
        notify_users TEXT NOT NULL,
        PRIMARY KEY (monitor_id, period_start, percent))",
];
