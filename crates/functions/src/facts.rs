//! What the session tells the functions at bind time.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono_tz::Tz;

/// Output formats of the session, in Snowflake's format elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFormats {
    pub date: String,
    pub time: String,
    pub timestamp_ntz: String,
    pub timestamp_ltz: String,
    pub timestamp_tz: String,
    /// `HEX`, `BASE64` or `UTF-8`.
    pub binary: String,
}

impl Default for OutputFormats {
    fn default() -> Self {
        OutputFormats {
            date: "YYYY-MM-DD".into(),
            time: "HH24:MI:SS".into(),
            timestamp_ntz: "YYYY-MM-DD HH24:MI:SS.FF3".into(),
            timestamp_ltz: "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM".into(),
            timestamp_tz: "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM".into(),
            binary: "HEX".into(),
        }
    }
}

/// Facts of the session and the statement, fixed for the statement's whole run.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Start of the statement, microseconds since 1970-01-01 UTC.
    pub now_micros: i64,
    pub timezone: Tz,
    pub user: String,
    /// The primary role; empty where it was taken from the user since.
    pub role: String,
    pub account: String,
    /// Names the server was started with.
    pub region: Option<String>,
    pub organization: Option<String>,
    /// The client program and its version, as it named itself at login.
    pub client: String,
    pub database: Option<String>,
    pub schema: Option<String>,
    pub warehouse: Option<String>,
    pub session_id: i64,
    pub query_id: String,
    /// Oldest first. Shared: there are many, and every statement has them.
    pub last_query_ids: Arc<VecDeque<String>>,
    pub server_version: String,
    /// WEEK_START: 0 as ISO, else 1 (Monday) to 7 (Sunday).
    pub week_start: u8,
    /// WEEK_OF_YEAR_POLICY: 1 where the 1st of January begins the first week.
    pub week_of_year_policy: u8,
    pub formats: OutputFormats,
    pub transaction_id: Option<String>,
    /// The last one of the session that was committed or rolled back.
    pub last_transaction_id: Option<String>,
    /// Text of the running statement.
    pub statement: String,
    /// Roles the user may take on.
    pub available_roles: Vec<String>,
    /// What USE SECONDARY ROLES last said, as CURRENT_SECONDARY_ROLES tells it: the roles and the
    /// word, both empty for NONE.
    pub secondary_roles: (String, String),
    /// Roles in force: the primary one, secondary ones and what they inherit. Roles of databases have a
    /// dot in their names.
    pub active_roles: Vec<String>,
    /// The role of what asks: a view's owner within the view, else the session's primary role. None for
    /// a role of a database.
    pub invoker_role: Option<String>,
    /// That role and what it inherits.
    pub invoker_roles: Vec<String>,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            now_micros: 1_750_000_000_000_000,
            timezone: Tz::UTC,
            user: "FRAZIL".into(),
            role: "ACCOUNTADMIN".into(),
            account: "FRAZIL".into(),
            region: None,
            organization: None,
            client: String::new(),
            database: None,
            schema: None,
            warehouse: None,
            session_id: 1,
            query_id: "00000000-0000-0000-0000-000000000000".into(),
            last_query_ids: Arc::default(),
            server_version: env!("CARGO_PKG_VERSION").into(),
            week_start: 0,
            week_of_year_policy: 0,
            formats: OutputFormats::default(),
            transaction_id: None,
            last_transaction_id: None,
            statement: String::new(),
            available_roles: Vec::new(),
            secondary_roles: Default::default(),
            active_roles: Vec::new(),
            invoker_role: Some("ACCOUNTADMIN".into()),
            invoker_roles: Vec::new(),
        }
    }
}
