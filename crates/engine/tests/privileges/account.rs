//! An engine in a temporary directory and its sessions.

use std::sync::Arc;

use frazil_common::UserError;
use frazil_engine::{
    Credential, Engine, EngineSettings, LoginOk, LoginRequest, Session, StatementRequest,
    StoredResult, cell_text,
};
use tokio::task::JoinHandle;

pub type Row = Vec<Option<String>>;
/// Column names and rows, or the error.
pub type Answer = Result<(Vec<String>, Vec<Row>), UserError>;

pub struct Account {
    pub engine: Arc<Engine>,
    directory: tempfile::TempDir,
}

impl Account {
    pub async fn open() -> Account {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(directory.path());
        settings.bootstrap_password = Some("a long password".to_string());
        let (engine, _) = Engine::open(settings).await.unwrap();
        Account { engine, directory }
    }

    #[allow(dead_code)]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub async fn login(&self, user: &str) -> Client {
        self.login_with(user, Credential::Embedded).await
    }

    #[allow(dead_code)]
    pub async fn login_with(&self, user: &str, credential: Credential) -> Client {
        let request = LoginRequest::new(user, credential);
        Client::of(self.engine.login(request).await.unwrap())
    }
}

pub struct Client {
    session: Arc<Session>,
    token: String,
    master_token: String,
}

impl Client {
    pub fn of(login: LoginOk) -> Client {
        Client {
            session: login.session,
            token: login.tokens.session_token,
            master_token: login.tokens.master_token,
        }
    }

    #[allow(dead_code)]
    pub fn token(&self) -> &str {
        &self.token
    }

    #[allow(dead_code)]
    pub fn master_token(&self) -> &str {
        &self.master_token
    }

    #[allow(dead_code)]
    pub fn session_id(&self) -> i64 {
        self.session.id()
    }

    #[allow(dead_code)]
    pub fn role(&self) -> String {
        self.session.current().role
    }

    pub async fn try_run(&self, text: &str) -> Answer {
        let result = self.session.execute(StatementRequest::new(text)).await?;
        let mut rows = Vec::new();
        for batch in result.rows.read_all()? {
            for row in 0..batch.num_rows() {
                let cells = result.columns.iter().zip(batch.columns());
                rows.push(cells.map(|(column, array)| cell_text(column, array, row)).collect());
            }
        }
        Ok((result.columns.iter().map(|column| column.name.clone()).collect(), rows))
    }

    /// Runs a statement beside the test; gives its id and how it ends.
    #[allow(dead_code)]
    pub fn start(&self, text: &str) -> (String, JoinHandle<Result<Arc<StoredResult>, UserError>>) {
        let request = StatementRequest::new(text);
        let (id, session) = (request.query_id.to_string(), self.session.clone());
        (id, tokio::spawn(async move { session.execute(request).await }))
    }

    pub async fn run(&self, text: &str) -> Vec<Row> {
        self.try_run(text).await.unwrap_or_else(|error| panic!("{text}: {error}")).1
    }
}
