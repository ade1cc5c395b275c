//! What the history is told of a session's statements: as they begin, and when they have ended.

use frazil_catalog::account::{AccessRecord, QueryDetail, QueryRecord, QueryState, now_micros};
use frazil_common::UserError;
use frazil_dialect::{Parsed, StatementKind};
use frazil_governance::REDACTED;
use uuid::Uuid;

use crate::api::StatementRequest;
use crate::history::access::access_record;
use crate::run::profile::Profile;
use crate::session::Session;
use crate::session::kept::Kept;
use crate::session::ongoing::Begun;
use crate::session::parameters::Parameters;
use crate::statements::context::Record;
use crate::statements::outcome::Outcome;

impl Session {
    /// Tells the others of a statement until it has ended.
    pub(super) fn note_begun(
        &self,
        parsed: &Parsed,
        query_id: Uuid,
        parameters: &Parameters,
        started: i64,
        kind: StatementKind,
    ) -> Begun {
        let text = parsed.text.clone();
        let record = self.record_of(query_id, text, kind.as_str(), started);
        let query_tag = parameters.get("QUERY_TAG").to_string();
        self.shared.ongoing.begin(QueryRecord { query_tag, ..record })
    }

    /// What a statement's record tells of the session that runs it.
    fn record_of(
        &self,
        query_id: Uuid,
        text: String,
        query_type: &str,
        started: i64,
    ) -> QueryRecord {
        let state = self.state.lock();
        QueryRecord {
            query_id: query_id.to_string(),
            query_text: text,
            query_type: query_type.to_string(),
            user: self.user.clone(),
            role: Some(state.role.clone()),
            warehouse: state.warehouse.clone(),
            database: state.database.clone(),
            schema: state.schema.clone(),
            session_id: self.id,
            start_time: started,
            query_tag: state.parameters.get("QUERY_TAG").to_string(),
            ..QueryRecord::default()
        }
    }

    pub(super) async fn record_unparsed(&self, request: &StatementRequest, error: &UserError) {
        let now = now_micros();
        let kept = Kept::of_unparsed(&request.text, error);
        let record = QueryRecord {
            end_time: now,
            state: QueryState::Fail,
            error_code: Some(i64::from(error.code.number())),
            error_message: kept.message,
            ..self.record_of(request.query_id, kept.text, "UNKNOWN", now)
        };
        self.shared.history.record(record, None).await;
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn history_record(
        &self,
        request: &StatementRequest,
        parsed: &Parsed,
        query_id: Uuid,
        parameters: &Parameters,
        started: i64,
        kind: StatementKind,
        result: &Result<Outcome, UserError>,
        record: &Record,
    ) -> (QueryRecord, Option<AccessRecord>) {
        let (produced, changes) = match result {
            Ok(outcome) => (outcome.rows.total_rows() as i64, outcome.changes),
            Err(_) => (0, Default::default()),
        };
        let error = result.as_ref().err();
        let mut kept = Kept::of(&parsed.text, error);
        if !record.policies.is_empty() && error.is_some_and(|error| error.code.quotes_values()) {
            // Others may read the history from whom the policies keep what the role was shown.
            kept.message = Some(REDACTED.to_string());
        }
        let query_type = if request.describe_only { "DESCRIBE" } else { kind.as_str() };
        let query = self.record_of(query_id, kept.text, query_type, started);
        let namespace = &record.namespace;
        let (database_id, schema_id) = namespace.ids(&query.database, &query.schema);
        let query = QueryRecord {
            database_id,
            schema_id,
            transaction_id: namespace.transaction_id,
            client_generated: request.client_generated,
            end_time: now_micros(),
            state: if error.is_some() { QueryState::Fail } else { QueryState::Success },
            error_code: error.map(|error| i64::from(error.code.number())),
            error_message: kept.message,
            rows_produced: produced,
            rows_inserted: changes.inserted as i64,
            rows_updated: changes.updated as i64,
            rows_deleted: changes.deleted as i64,
            bytes_scanned: record.profile.bytes_scanned as i64,
            snapshot_id: record.snapshot,
            query_tag: parameters.get("QUERY_TAG").to_string(),
            detail: record.detail.clone().map(|detail| QueryDetail {
                bytes_spilled: record.profile.bytes_spilled as i64,
                ..detail
            }),
            operators: operators(&record.profile),
            ..query
        };
        let access = error
            .is_none()
            .then(|| access_record(&query_id.to_string(), started, &self.user, record))
            .flatten();
        (query, access)
    }
}

/// The operators as the history keeps them; none for a statement without any.
fn operators(profile: &Profile) -> Option<serde_json::Value> {
    if profile.operators.is_empty() {
        return None;
    }
    serde_json::to_value(&profile.operators)
        .inspect_err(|error| tracing::warn!(%error, "a query's profile could not be kept"))
        .ok()
}
