//! Logging in, renewing tokens, logging out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::{Duration, Instant};

use frazil_catalog::account::{
    NewSession, Object, ObjectFilter, ParameterLevel, SessionRow, SessionState as StoredState,
    User, Warehouse,
};
use frazil_common::{Code, ObjectKind, ObjectRef, UserError, fold_identifier};
use frazil_governance::{SecondaryRoles, system};

use crate::account_usage;
use crate::api::{LoginRequest, ResultReader, SessionTokens};
use crate::engine::Engine;
use crate::resolve::objects::{database_object, schema_object};
use crate::session::arrival::{Arrival, Moment};
use crate::session::authenticate::{Identity, authenticate};
use crate::session::parameters::Parameters;
use crate::session::savepoint::{LostTransaction, commit_entry};
use crate::session::secrets::{digest, random_secret};
use crate::session::{Session, SessionState, variables};
use crate::statements::account_change::AccountChange;

/// How long a session token lasts before it must be renewed, in seconds.
const SESSION_SECONDS: u64 = 3600;
/// How long a master token lasts without renewal, in seconds.
const MASTER_SECONDS: u64 = 14_400;

/// How long a renewal is answered again.
const RENEWED_WITHIN: Duration = Duration::from_secs(120);

/// What was answered to a renewal.
pub(crate) struct Renewal {
    at: Instant,
    session_id: i64,
    tokens: SessionTokens,
}

/// Parameter of a login whose database, schema and warehouse must exist.
const VALIDATE: &str = "CLIENT_VALIDATE_DEFAULT_PARAMETERS";

/// A successful login.
pub struct LoginOk {
    pub session: Arc<Session>,
    pub tokens: SessionTokens,
}

fn object_of(warehouse: &Object<Warehouse>) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Warehouse, id: warehouse.id, name: warehouse.name.clone() }
}

fn now_micros() -> i64 {
    frazil_catalog::account::now_micros()
}

impl Engine {
    /// Checks a credential and opens a session.
    ///
    /// # Errors
    /// Those of [`authenticate`]; 390189 for a role the user does not hold; 300005 for a user with
    /// as many sessions as allowed.
    pub async fn login(&self, request: LoginRequest) -> Result<LoginOk, UserError> {
        let shared = &self.shared;
        let Identity {
            user,
            role_restriction: restriction,
            restricted_role_id,
            access_token_id,
            key_fingerprint,
            factor,
        } = authenticate(shared, &request).await?;

        let role = self.first_role(&user, request.role.as_deref(), restriction.as_deref()).await?;
        let mut parameters = Parameters::default();
        for (name, value) in shared.accounts.parameters(ParameterLevel::Account).await? {
            parameters.set_json(&name, &value)?;
        }
        let mut parameters = parameters.are_of_account();
        let own = ParameterLevel::User(user.id);
        for (name, value) in shared.accounts.parameters(own).await? {
            parameters.set_json(&name, &value)?;
        }
        let mut parameters = parameters.are_of_user();
        for (name, value) in &request.parameters {
            parameters.set_json(name, value)?;
        }
        let namespace = user.properties.default_namespace.as_deref();
        let (default_database, default_schema) =
            match namespace.map(frazil_dialect::parse_object_name_text) {
                // A name of one part is a database, of two a database and a schema.
                Some(Ok(name)) => match name.schema {
                    Some(database) => (Some(database), Some(name.name)),
                    None => (Some(name.name), None),
                },
                Some(Err(_)) | None => (None, None),
            };
        let view = shared.catalog.head_view().await?;
        // What the role may not know of is not there.
        let model = shared.access_model().await?;
        let secondary = match user.properties.default_secondary_roles_all {
            true if restriction.is_none() => SecondaryRoles::All,
            _ => SecondaryRoles::None,
        };
        let roles = model.effective_roles(&user.name, &role, &secondary);
        let reads_account_usage = account_usage::is_seen(&model, &roles);
        let shared_database =
            |name: &str| reads_account_usage && account_usage::is_shared(name, &view);
        let sees_database = |name: &String| {
            if shared_database(name) {
                return true;
            }
            database_object(&view, name).is_some_and(|found| model.is_visible(&roles, &found, &[]))
        };
        let sees_schema = |database: &str, name: &str| {
            if name == account_usage::SCHEMA && shared_database(database) {
                return true;
            }
            let parents: Vec<ObjectRef> = database_object(&view, database).into_iter().collect();
            view.schema(database, name)
                .is_some_and(|found| model.is_visible(&roles, &schema_object(found), &parents))
        };
        let database = request
            .database
            .as_deref()
            .map(identifier_text)
            .or(default_database)
            .filter(sees_database);
        let wanted_schema = request.schema.as_deref().map(identifier_text).or(default_schema);
        let schema = database.as_deref().and_then(|database| {
            wanted_schema
                .or_else(|| Some("PUBLIC".to_string()))
                .filter(|name| sees_schema(database, name))
        });
        let warehouses = shared.accounts.objects::<Warehouse>(ObjectFilter::default()).await?;
        let warehouse = request
            .warehouse
            .as_deref()
            .map(identifier_text)
            .or_else(|| user.properties.default_warehouse.clone())
            .filter(|name| {
                let mut found = warehouses.iter().filter(|warehouse| warehouse.name == *name);
                found.any(|found| model.is_visible(&roles, &object_of(found), &[]))
            });
        if request.parameters.get(VALIDATE).is_some_and(|value| value.as_bool() == Some(true)) {
            for (what, asked, found) in [
                ("database", &request.database, &database),
                ("schema", &request.schema, &schema),
                ("warehouse", &request.warehouse, &warehouse),
            ] {
                if asked.is_some() && found.is_none() {
                    return Err(UserError::new(
                        Code::LoginObjectNotFound,
                        format!("The requested {what} does not exist or not authorized."),
                    ));
                }
            }
        }
        let state = SessionState {
            database,
            schema,
            warehouse,
            role,
            secondary_roles: secondary,
            parameters,
            variables: Default::default(),
            kept_variables: Default::default(),
            query_ids: Default::default(),
        };
        let tokens = new_tokens();
        let stored = StoredState {
            access_token_id,
            key_fingerprint: key_fingerprint.clone(),
            restricted_role_id,
            factor: Some(factor.to_string()),
            ..stored_state(&state, restriction.as_deref(), &request.client)
        };
        let mut transaction = AccountChange::on(&shared.accounts).await?;
        let open = transaction.writer().sessions_of(user.id, now_micros()).await?;
        if open >= shared.sessions_per_user {
            return Err(too_many_sessions(&user.name, open));
        }
        let row = transaction
            .writer()
            .create_session(NewSession {
                user_id: user.id,
                session_token_sha256: digest(&tokens.session_token),
                session_expires_on: now_micros() + seconds(tokens.session_seconds),
                master_token_sha256: digest(&tokens.master_token),
                master_expires_on: now_micros() + seconds(tokens.master_seconds),
                state: stored,
            })
            .await?;
        transaction.commit().await?;
        let session = Arc::new(Session {
            id: row.id,
            user: user.name,
            user_id: user.id,
            user_since: user.created_on,
            client: request.client,
            role_restriction: restriction,
            restricted_role_id,
            access_token_id,
            key_fingerprint,
            factor: Some(factor.to_string()),
            shared: shared.clone(),
            state: parking_lot::Mutex::new(state),
            transaction: Arc::default(),
            open: Arc::default(),
            last_transaction: Arc::default(),
            lost_transaction: parking_lot::Mutex::default(),
            closed: AtomicBool::new(false),
            used: AtomicI64::new(now_micros()),
            saved: tokio::sync::Mutex::new(row.state),
        });
        shared.sessions.write().insert(row.id, session.clone());
        Ok(LoginOk { session, tokens })
    }

    /// Checks a credential without opening a session, and gives who may read results with it.
    ///
    /// # Errors
    /// Those of [`authenticate`].
    pub async fn identify(&self, request: &LoginRequest) -> Result<ResultReader, UserError> {
        let Identity { user, restricted_role_id, .. } = authenticate(&self.shared, request).await?;
        Ok(ResultReader { user_id: user.id, user: user.name, restricted_role_id })
    }

    async fn first_role(
        &self,
        user: &User,
        wanted: Option<&str>,
        restriction: Option<&str>,
    ) -> Result<String, UserError> {
        let model = self.shared.access_model().await?;
        let role = match (restriction, wanted) {
            (Some(only), _) => only.to_string(),
            (None, Some(wanted)) => identifier_text(wanted),
            (None, None) => match &user.properties.default_role {
                Some(role) if model.may_assume(&user.name, role) => role.clone(),
                _ => system::PUBLIC.to_string(),
            },
        };
        if !model.may_assume(&user.name, &role) {
            return Err(UserError::new(
                Code::RoleNotGranted,
                format!(
                    "Role '{role}' specified in the connect string is not granted to this user. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC."
                ),
            ));
        }
        Ok(role)
    }

    /// The session of a token.
    ///
    /// # Errors
    /// 390112 for an expired token, 390104 for one that was never given or whose session is gone, 390111
    /// where the access token that opened the session is no longer good.
    pub async fn session_by_token(&self, token: &str) -> Result<Arc<Session>, UserError> {
        Ok(self.arrival(token).await?.0)
    }

    /// The session of a token whose request is about to run a statement, and how things stand at that moment.
    ///
    /// # Errors
    /// Those of [`Engine::session_by_token`].
    pub async fn arrival(&self, token: &str) -> Result<(Arc<Session>, Arrival), UserError> {
        let invalid =
            || UserError::new(Code::TokenInvalid, "Authentication token is invalid. Log in again.");
        let mut point = self.shared.lake.read_point();
        let changes = self.shared.accounts.changes();
        let found = self.shared.accounts.arrival(&digest(token)).await?;
        let (row, standing) = found.ok_or_else(invalid)?;
        point.set(standing.head);
        let security_version = standing.security_version;
        let arrival = Arrival::new(Moment { security_version, changes, point });
        if row.session_expires_on <= now_micros() {
            return Err(UserError::new(
                Code::TokenExpired,
                "Authentication token has expired. The user must authenticate again.",
            ));
        }
        self.end_revoked(&row).await?;
        Ok((self.revive(row).await?, arrival))
    }

    /// Ends a session whose access token was removed or disabled, has expired, or is held to a role that
    /// is gone or has another name now, or whose key its user no longer has.
    async fn end_revoked(&self, row: &SessionRow) -> Result<(), UserError> {
        if self.shared.credential_holds(row.user_id, &row.state, now_micros()).await? {
            return Ok(());
        }
        self.shared.close_session(row.id).await?;
        Err(session_gone())
    }

    /// The live session of a stored row; after a restart it is made again from the row.
    async fn revive(&self, row: SessionRow) -> Result<Arc<Session>, UserError> {
        if let Some(session) = self.shared.sessions.read().get(&row.id) {
            return Ok(session.clone());
        }
        if row.state.temporary_tables && !self.shared.lake.has_temporary_tables(row.id) {
            // What it runs next may be meant for one of them, and a permanent table have its name.
            self.shared.close_session(row.id).await?;
            return Err(UserError::new(
                Code::SessionGone,
                "Session no longer exists: its temporary tables were lost when the server restarted. \
                 Log in again.",
            ));
        }
        let view = self.shared.accounts.view().await?;
        let user = view.user_by_id(row.user_id).filter(|user| !user.disabled);
        let user = user.ok_or_else(session_gone)?;
        let mut parameters = Parameters::default();
        for (name, value) in &row.state.account_parameters {
            parameters.set_json(name, value)?;
        }
        let mut parameters = parameters.are_of_account();
        for (name, value) in &row.state.user_parameters {
            parameters.set_json(name, value)?;
        }
        let mut parameters = parameters.are_of_user();
        for (name, value) in &row.state.parameters {
            parameters.set_json(name, value)?;
        }
        let state = SessionState {
            database: row.state.database.clone(),
            schema: row.state.schema.clone(),
            warehouse: row.state.warehouse.clone(),
            role: row.state.role.clone().unwrap_or_else(|| system::PUBLIC.to_string()),
            secondary_roles: match row.state.secondary_roles.as_bool() {
                Some(true) => SecondaryRoles::All,
                Some(false) => SecondaryRoles::None,
                None => {
                    serde_json::from_value(row.state.secondary_roles.clone()).unwrap_or_default()
                }
            },
            parameters,
            variables: (row.state.variables.iter())
                .map(|(name, value)| Ok((name.clone(), variables::restored(value)?)))
                .collect::<Result<_, UserError>>()?,
            kept_variables: row.state.variables.clone(),
            query_ids: Default::default(),
        };
        let lost = self.lost_transaction(&row).await?;
        let session = Arc::new(Session {
            id: row.id,
            user: user.name.clone(),
            user_id: user.id,
            user_since: user.created_on,
            client: row.state.client_name.clone().unwrap_or_default(),
            role_restriction: row.state.role_restriction.clone(),
            restricted_role_id: row.state.restricted_role_id,
            access_token_id: row.state.access_token_id,
            key_fingerprint: row.state.key_fingerprint.clone(),
            factor: row.state.factor.clone(),
            shared: self.shared.clone(),
            state: parking_lot::Mutex::new(state),
            transaction: Arc::default(),
            open: Arc::default(),
            last_transaction: Arc::default(),
            lost_transaction: parking_lot::Mutex::new(lost),
            closed: AtomicBool::new(false),
            used: AtomicI64::new(now_micros()),
            saved: tokio::sync::Mutex::new(row.state),
        });
        let session = self.shared.sessions.write().entry(row.id).or_insert(session).clone();
        // It may have been closed between its row and now.
        if self.shared.accounts.session_state(row.id).await?.is_none() {
            self.shared.sessions.write().remove(&row.id);
            return Err(session_gone());
        }
        Ok(session)
    }

    /// The transaction that was open when the server stopped, unless its commit was the last thing
    /// that happened.
    async fn lost_transaction(
        &self,
        row: &SessionRow,
    ) -> Result<Option<LostTransaction>, UserError> {
        if !row.state.transaction_open {
            return Ok(None);
        }
        if let Some(id) = &row.state.transaction_id {
            let entry = commit_entry(row.id, id);
            if self.shared.catalog.snapshot_of_statement(&entry).await?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(LostTransaction::Restart))
    }

    /// New tokens for the session of a master token; the old ones stop working. A renewal that is asked
    /// for again, because its answer was lost or by another thread, has the same answer.
    pub async fn renew(&self, master_token: &str) -> Result<(i64, SessionTokens), UserError> {
        let asked = digest(master_token);
        let mut renewals = self.shared.renewals.lock().await;
        renewals.retain(|_, renewal| renewal.at.elapsed() < RENEWED_WITHIN);
        if let Some(renewal) = renewals.get(&asked)
            && self.shared.accounts.session_state(renewal.session_id).await?.is_some()
        {
            return Ok((renewal.session_id, renewal.tokens.clone()));
        }
        let (session_id, tokens) = self.renew_once(master_token).await?;
        let renewal = Renewal { at: Instant::now(), session_id, tokens: tokens.clone() };
        renewals.insert(asked, renewal);
        Ok((session_id, tokens))
    }

    async fn renew_once(&self, master_token: &str) -> Result<(i64, SessionTokens), UserError> {
        let row = self
            .shared
            .accounts
            .session_by_master_token(&digest(master_token))
            .await?
            .ok_or_else(|| {
                UserError::new(Code::MasterTokenInvalid, "Master token is invalid. Log in again.")
            })?;
        if row.master_expires_on <= now_micros() {
            return Err(UserError::new(
                Code::MasterTokenExpired,
                "Master token has expired. Log in again.",
            ));
        }
        let view = self.shared.accounts.view().await?;
        if view.user_by_id(row.user_id).is_none_or(|user| user.disabled) {
            return Err(session_gone());
        }
        self.end_revoked(&row).await?;
        let tokens = new_tokens();
        let mut transaction = AccountChange::on(&self.shared.accounts).await?;
        transaction
            .writer()
            .renew_session(
                row.id,
                (&digest(&tokens.session_token), now_micros() + seconds(tokens.session_seconds)),
                (&digest(&tokens.master_token), now_micros() + seconds(tokens.master_seconds)),
            )
            .await?;
        transaction.commit().await?;
        Ok((row.id, tokens))
    }

    /// Ends a session: what it runs stops, its open transaction is rolled back, its temporary
    /// objects go.
    pub async fn close_session(&self, session: &Session) -> Result<(), UserError> {
        self.shared.close_session(session.id).await
    }
}

pub(crate) fn session_gone() -> UserError {
    UserError::new(Code::SessionGone, "Session no longer exists. Log in again.")
}

fn too_many_sessions(user: &str, open: u64) -> UserError {
    UserError::new(
        Code::ResourceLimit,
        format!(
            "User '{user}' has {open} sessions open, the limit of --sessions-per-user. Close one, or \
             raise the limit."
        ),
    )
}

/// What a session's row keeps of its state.
pub(crate) fn stored_state(
    state: &SessionState,
    restriction: Option<&str>,
    client: &str,
) -> StoredState {
    StoredState {
        database: state.database.clone(),
        schema: state.schema.clone(),
        warehouse: state.warehouse.clone(),
        role: Some(state.role.clone()),
        secondary_roles: serde_json::to_value(&state.secondary_roles).unwrap_or_default(),
        transaction_open: false,
        transaction_id: None,
        temporary_tables: false,
        access_token_id: None,
        key_fingerprint: None,
        factor: None,
        restricted_role_id: None,
        role_restriction: restriction.map(str::to_string),
        parameters: state.parameters.overrides(),
        user_parameters: state.parameters.inherited(),
        account_parameters: state.parameters.inherited_from_account(),
        variables: state.kept_variables.clone(),
        client_name: Some(client.to_string()),
        client_version: None,
        client_environment: serde_json::Value::Null,
    }
}

/// A name given outside SQL, such as at login: quoted text is exact, other text is folded.
fn identifier_text(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(exact) => exact.replace("\"\"", "\""),
        None => fold_identifier(text),
    }
}

fn new_tokens() -> SessionTokens {
    SessionTokens {
        session_token: random_secret(),
        session_seconds: SESSION_SECONDS,
        master_token: random_secret(),
        master_seconds: MASTER_SECONDS,
    }
}

fn seconds(seconds: u64) -> i64 {
    seconds as i64 * 1_000_000
}
