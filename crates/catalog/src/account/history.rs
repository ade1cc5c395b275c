//! What happened: queries, logins, and which objects each query touched.

use frazil_common::{ObjectKind, SnapshotId};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::error::{from_json, parse_word, to_json};
use super::{AccountStore, Writer};
use crate::{CatalogError, Result};

/// Rows of one INSERT statement; keeps bound values below the database's limit.
const ROWS_PER_INSERT: usize = 500;
/// Details of queries read at a time where their table gets a column.
const DETAILS_AT_A_TIME: i64 = 1000;

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryState {
    #[default]
    Success,
    Fail,
    /// Stopped by a fault of the server or by being cancelled.
    Incident,
}

impl QueryState {
    /// The word in QUERY_HISTORY.
    pub fn as_str(self) -> &'static str {
        match self {
            QueryState::Success => "SUCCESS",
            QueryState::Fail => "FAIL",
            QueryState::Incident => "INCIDENT",
        }
    }
}

impl std::str::FromStr for QueryState {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "SUCCESS" => Ok(QueryState::Success),
            "FAIL" => Ok(QueryState::Fail),
            "INCIDENT" => Ok(QueryState::Incident),
            other => Err(CatalogError::Damaged(format!("unknown query state '{other}'"))),
        }
    }
}

/// One finished query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryRecord {
    pub query_id: String,
    pub query_text: String,
    /// Snowflake's word, such as `SELECT` or `CREATE_TABLE`.
    pub query_type: String,
    pub user: String,
    pub role: Option<String>,
    pub warehouse: Option<String>,
    pub database: Option<String>,
    /// The ids of the database and schema, where the statement looked at the catalog.
    pub database_id: Option<i64>,
    pub schema: Option<String>,
    pub schema_id: Option<i64>,
    pub session_id: i64,
    /// The transaction that was open, if one was.
    pub transaction_id: Option<i64>,
    /// Whether it was the client's own doing.
    pub client_generated: bool,
    pub start_time: i64,
    pub end_time: i64,
    pub state: QueryState,
    pub error_code: Option<i64>,
    pub error_message: Option<String>,
    pub rows_produced: i64,
    pub rows_inserted: i64,
    pub rows_updated: i64,
    pub rows_deleted: i64,
    pub bytes_scanned: i64,
    /// The snapshot the query read, or made.
    pub snapshot_id: Option<SnapshotId>,
    pub query_tag: String,
    /// How it computed; none for a statement that did not.
    pub detail: Option<QueryDetail>,
    /// Its operators as JSON, where it had any. Written with the query, read by
    /// [`AccountStore::query_operators`].
    pub operators: Option<serde_json::Value>,
}

/// How a query computed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueryDetail {
    pub warehouse_id: Option<i64>,
    pub warehouse_size: Option<String>,
    pub warehouse_type: Option<String>,
    /// Microseconds in the line.
    pub queued: i64,
    /// Microseconds that it waited for locks.
    pub blocked: i64,
    pub bytes_spilled: i64,
}

/// Which queries to list. Unset fields do not restrict.
#[derive(Debug, Clone, Default)]
pub struct QueryFilter {
    pub query_id: Option<String>,
    pub user: Option<String>,
    pub warehouse: Option<String>,
    pub session_id: Option<i64>,
    /// Start times in this half-open range.
    pub started_from: Option<i64>,
    pub started_before: Option<i64>,
    /// Those that come after this one: its start time and query id.
    pub after: Option<(i64, String)>,
    /// At most this many, the newest ones.
    pub limit: Option<i64>,
    /// What of the history may be seen; none for all of it.
    pub sight: Option<QuerySight>,
}

/// The part of the history that somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySight {
    /// The queries of this user.
    pub user: String,
    /// Those from this time on: before, the name was another's.
    pub since: i64,
    /// The queries, whoever asked them, that computed in warehouses of these ids.
    pub warehouses: Vec<i64>,
}

/// Which attempts to log in to list. Unset fields do not restrict.
#[derive(Debug, Clone, Default)]
pub struct LoginFilter {
    pub user: Option<String>,
    /// Times in this closed range.
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// At most this many, the newest ones.
    pub limit: Option<i64>,
    /// How many of the newest to leave out, where there is a limit.
    pub offset: i64,
}

/// One attempt to log in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginRecord {
    pub event_time: i64,
    /// As typed, when no such user exists.
    pub user: String,
    pub client_ip: Option<String>,
    pub client_name: Option<String>,
    pub client_version: Option<String>,
    /// `PASSWORD`, `RSA_KEYPAIR` or `PROGRAMMATIC_ACCESS_TOKEN`.
    pub factor: String,
    pub success: bool,
    pub error_code: Option<i64>,
    pub error_message: Option<String>,
}

/// An object that a query read or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessedObject {
    pub kind: ObjectKind,
    pub id: i64,
    pub name: String,
    pub privilege: String,
    pub columns: Vec<String>,
    /// Named in the statement itself, not reached through a view.
    pub direct: bool,
    /// Of what is written: where the values of its columns come from.
    #[serde(default)]
    pub sources: Vec<ColumnSources>,
    /// Of a policy: the table or view it is on, and the column that it masks.
    #[serde(default)]
    pub protects: Option<Protected>,
    /// Of a stage: its kind, as the history tells it.
    #[serde(default)]
    pub stage_kind: Option<String>,
    /// Of what a statement defined: `CREATE`, `REPLACE`, `ALTER`, `DROP` or `UNDROP`.
    #[serde(default)]
    pub defined_by: Option<String>,
}

/// Where the values of a column that was written come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSources {
    pub column: String,
    /// Columns of tables.
    pub sources: Vec<ColumnSource>,
    /// Columns of what the statement itself names: of views too.
    #[serde(default)]
    pub direct: Vec<ColumnSource>,
}

/// A column of a table or view, by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnSource {
    pub object: String,
    pub column: String,
}

/// What a policy is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    pub kind: ObjectKind,
    pub id: i64,
    pub name: String,
    /// None: a policy on rows.
    pub column: Option<String>,
}

/// What one query touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRecord {
    pub query_id: String,
    pub query_start_time: i64,
    pub user: String,
    pub objects: Vec<AccessedObject>,
}

impl QueryRecord {
    fn from_row(row: &SqliteRow) -> Result<Self> {
        Ok(QueryRecord {
            query_id: row.try_get("query_id")?,
            query_text: row.try_get("query_text")?,
            query_type: row.try_get("query_type")?,
            user: row.try_get("user_name")?,
            role: row.try_get("role_name")?,
            warehouse: row.try_get("warehouse_name")?,
            database: row.try_get("database_name")?,
            database_id: row.try_get("database_id")?,
            schema: row.try_get("schema_name")?,
            schema_id: row.try_get("schema_id")?,
            transaction_id: row.try_get("transaction_id")?,
            client_generated: row.try_get("client_generated")?,
            session_id: row.try_get("session_id")?,
            start_time: row.try_get("start_time")?,
            end_time: row.try_get("end_time")?,
            state: parse_word(row.try_get("status")?)?,
            error_code: row.try_get("error_code")?,
            error_message: row.try_get("error_message")?,
            rows_produced: row.try_get("rows_produced")?,
            rows_inserted: row.try_get("rows_inserted")?,
            rows_updated: row.try_get("rows_updated")?,
            rows_deleted: row.try_get("rows_deleted")?,
            bytes_scanned: row.try_get("bytes_scanned")?,
            snapshot_id: row.try_get("snapshot_id")?,
            query_tag: row.try_get("query_tag")?,
            detail: row
                .try_get::<Option<String>, _>("detail")?
                .map(|detail| from_json(&detail))
                .transpose()?,
            operators: None,
        })
    }
}

/// Adds `AND`-joined conditions to a query.
struct Conditions<'q> {
    query: &'q mut QueryBuilder<Sqlite>,
    any: bool,
}

impl<'q> Conditions<'q> {
    fn new(query: &'q mut QueryBuilder<Sqlite>) -> Self {
        Conditions { query, any: false }
    }

    fn with<T>(mut self, left: &'static str, value: Option<T>) -> Self
    where
        T: for<'a> sqlx::Encode<'a, Sqlite> + sqlx::Type<Sqlite> + Send + 'static,
    {
        if let Some(value) = value {
            self.query.push(if self.any { " AND " } else { " WHERE " });
            self.query.push(left).push_bind(value);
            self.any = true;
        }
        self
    }

    /// Records after one, in the order of their times and ids, newest first. `left` is `(time, id) < (`.
    fn after(mut self, left: &'static str, after: Option<(i64, String)>) -> Self {
        if let Some((time, id)) = after {
            self.query.push(if self.any { " AND " } else { " WHERE " });
            self.query.push(left).push_bind(time).push(", ").push_bind(id).push(")");
            self.any = true;
        }
        self
    }
}

impl Conditions<'_> {
    fn in_sight(mut self, sight: Option<QuerySight>) -> Self {
        let Some(QuerySight { user, since, warehouses }) = sight else { return self };
        self.query.push(if self.any { " AND " } else { " WHERE " });
        self.query.push("((user_name = ").push_bind(user);
        self.query.push(" AND q.start_time >= ").push_bind(since).push(")");
        if !warehouses.is_empty() {
            self.query.push(" OR d.warehouse_id IN (");
            let mut ids = self.query.separated(", ");
            for id in warehouses {
                ids.push_bind(id);
            }
            self.query.push(")");
        }
        self.query.push(")");
        self.any = true;
        self
    }
}

impl AccountStore {
    /// Finished queries, newest first.
    pub async fn query_history(&self, filter: &QueryFilter) -> Result<Vec<QueryRecord>> {
        let mut query = QueryBuilder::new(
            "SELECT q.*, d.body AS detail FROM frazil_query_history q
             LEFT JOIN frazil_query_detail d ON d.query_id = q.query_id",
        );
        Conditions::new(&mut query)
            .with("q.query_id = ", filter.query_id.clone())
            .with("user_name = ", filter.user.clone())
            .with("warehouse_name = ", filter.warehouse.clone())
            .with("session_id = ", filter.session_id)
            .with("q.start_time >= ", filter.started_from)
            .with("q.start_time < ", filter.started_before)
            .after("(q.start_time, q.query_id) < (", filter.after.clone())
            .in_sight(filter.sight.clone());
        query.push(" ORDER BY q.start_time DESC, q.query_id DESC");
        if let Some(limit) = filter.limit {
            query.push(" LIMIT ").push_bind(limit);
        }
        query
            .build()
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(QueryRecord::from_row)
            .collect()
    }

    /// The operators of a finished query; none where it has none or is not known.
    pub async fn query_operators(&self, query_id: &str) -> Result<Option<serde_json::Value>> {
        let found: Option<(Option<String>,)> =
            sqlx::query_as("SELECT operators FROM frazil_query_detail WHERE query_id = $1")
                .bind(query_id)
                .fetch_optional(&mut *self.reader().await?)
                .await?;
        found.and_then(|(operators,)| operators).map(|text| from_json(&text)).transpose()
    }

    /// Login attempts, newest first.
    pub async fn login_history(&self, filter: &LoginFilter) -> Result<Vec<LoginRecord>> {
        let mut query = QueryBuilder::new("SELECT * FROM frazil_login_history");
        Conditions::new(&mut query)
            .with("user_name = ", filter.user.clone())
            .with("event_time >= ", filter.from)
            .with("event_time <= ", filter.to);
        query.push(" ORDER BY event_time DESC, event_id DESC");
        if let Some(limit) = filter.limit {
            query.push(" LIMIT ").push_bind(limit);
            query.push(" OFFSET ").push_bind(filter.offset);
        }
        query
            .build()
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(|row| {
                Ok(LoginRecord {
                    event_time: row.try_get("event_time")?,
                    user: row.try_get("user_name")?,
                    client_ip: row.try_get("client_ip")?,
                    client_name: row.try_get("client_name")?,
                    client_version: row.try_get("client_version")?,
                    factor: row.try_get("factor")?,
                    success: row.try_get("success")?,
                    error_code: row.try_get("error_code")?,
                    error_message: row.try_get("error_message")?,
                })
            })
            .collect()
    }

    /// What queries touched, newest first, after the one of a start time and query id.
    pub async fn access_history(
        &self,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<AccessRecord>> {
        let mut query = QueryBuilder::new("SELECT * FROM frazil_access_history");
        Conditions::new(&mut query).after("(query_start_time, query_id) < (", after);
        query.push(" ORDER BY query_start_time DESC, query_id DESC LIMIT ").push_bind(limit);
        query
            .build()
            .fetch_all(&mut *self.reader().await?)
            .await?
            .iter()
            .map(|row| {
                Ok(AccessRecord {
                    query_id: row.try_get("query_id")?,
                    query_start_time: row.try_get("query_start_time")?,
                    user: row.try_get("user_name")?,
                    objects: from_json(row.try_get("objects")?)?,
                })
            })
            .collect()
    }

    /// Keeps finished queries and what they touched, all in one transaction. A query that is
    /// there already stays as it is.
    pub async fn record_queries(
        &self,
        queries: &[QueryRecord],
        accesses: &[AccessRecord],
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        let mut writer = Writer::on(&mut transaction);
        writer.insert_queries(queries).await?;
        writer.insert_details(queries).await?;
        writer.insert_accesses(accesses).await?;
        transaction.commit().await
    }
}

impl Writer<'_> {
    async fn insert_queries(&mut self, queries: &[QueryRecord]) -> Result<()> {
        for chunk in queries.chunks(ROWS_PER_INSERT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO frazil_query_history (query_id, query_text, query_type, user_name,
                    role_name, warehouse_name, database_name, schema_name, session_id, start_time,
                    end_time, status, error_code, error_message, rows_produced, rows_inserted,
                    rows_updated, rows_deleted, bytes_scanned, snapshot_id, query_tag, database_id,
                    schema_id, transaction_id, client_generated) ",
            );
            insert.push_values(chunk, |mut row, query| {
                row.push_bind(query.query_id.clone())
                    .push_bind(query.query_text.clone())
                    .push_bind(query.query_type.clone())
                    .push_bind(query.user.clone())
                    .push_bind(query.role.clone())
                    .push_bind(query.warehouse.clone())
                    .push_bind(query.database.clone())
                    .push_bind(query.schema.clone())
                    .push_bind(query.session_id)
                    .push_bind(query.start_time)
                    .push_bind(query.end_time)
                    .push_bind(query.state.as_str())
                    .push_bind(query.error_code)
                    .push_bind(query.error_message.clone())
                    .push_bind(query.rows_produced)
                    .push_bind(query.rows_inserted)
                    .push_bind(query.rows_updated)
                    .push_bind(query.rows_deleted)
                    .push_bind(query.bytes_scanned)
                    .push_bind(query.snapshot_id)
                    .push_bind(query.query_tag.clone())
                    .push_bind(query.database_id)
                    .push_bind(query.schema_id)
                    .push_bind(query.transaction_id)
                    .push_bind(query.client_generated);
            });
            insert.push(" ON CONFLICT (query_id) DO NOTHING");
            insert.build().execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    async fn insert_details(&mut self, queries: &[QueryRecord]) -> Result<()> {
        for query in queries {
            let Some(detail) = &query.detail else { continue };
            sqlx::query(
                "INSERT INTO frazil_query_detail (query_id, start_time, body, operators,
                    warehouse_id)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (query_id) DO NOTHING",
            )
            .bind(&query.query_id)
            .bind(query.start_time)
            .bind(to_json(detail)?)
            .bind(query.operators.as_ref().map(to_json).transpose()?)
            .bind(detail.warehouse_id)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Writes the warehouses of queries into the column that older versions did not have.
    pub(super) async fn tell_warehouses_of_queries(&mut self) -> Result<()> {
        let mut after = String::new();
        loop {
            let rows: Vec<(String, String)> = sqlx::query_as(
                "SELECT query_id, body FROM frazil_query_detail
                 WHERE query_id > $1 ORDER BY query_id LIMIT $2",
            )
            .bind(&after)
            .bind(DETAILS_AT_A_TIME)
            .fetch_all(&mut *self.connection)
            .await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for (query_id, body) in rows {
                let detail: QueryDetail = from_json(&body)?;
                let Some(warehouse) = detail.warehouse_id else { continue };
                sqlx::query("UPDATE frazil_query_detail SET warehouse_id = $2 WHERE query_id = $1")
                    .bind(query_id)
                    .bind(warehouse)
                    .execute(&mut *self.connection)
                    .await?;
            }
        }
    }

    async fn insert_accesses(&mut self, accesses: &[AccessRecord]) -> Result<()> {
        for access in accesses {
            sqlx::query(
                "INSERT INTO frazil_access_history
                    (query_id, query_start_time, user_name, objects)
                 VALUES ($1, $2, $3, $4) ON CONFLICT (query_id) DO NOTHING",
            )
            .bind(&access.query_id)
            .bind(access.query_start_time)
            .bind(&access.user)
            .bind(to_json(&access.objects)?)
            .execute(&mut *self.connection)
            .await?;
        }
        Ok(())
    }

    /// Keeps a login attempt.
    pub async fn insert_login(&mut self, login: &LoginRecord) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_login_history (event_id, event_time, user_name, client_ip,
                client_name, client_version, factor, success, error_code, error_message)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.next_id().await?)
        .bind(login.event_time)
        .bind(&login.user)
        .bind(&login.client_ip)
        .bind(&login.client_name)
        .bind(&login.client_version)
        .bind(&login.factor)
        .bind(login.success)
        .bind(login.error_code)
        .bind(&login.error_message)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Forgets history from before a time.
    pub async fn prune_history(&mut self, before: i64) -> Result<()> {
        for statement in [
            "DELETE FROM frazil_query_history WHERE start_time < $1",
            "DELETE FROM frazil_query_detail WHERE start_time < $1",
            "DELETE FROM frazil_metering WHERE end_time < $1",
            "DELETE FROM frazil_warehouse_event WHERE event_time < $1",
            "DELETE FROM frazil_notification WHERE event_time < $1",
            "DELETE FROM frazil_login_history WHERE event_time < $1",
            "DELETE FROM frazil_access_history WHERE query_start_time < $1",
        ] {
            sqlx::query(statement).bind(before).execute(&mut *self.connection).await?;
        }
        self.prune_ended(before).await?;
        self.prune_storage_days(before).await
    }
}
