//! An engine in a temporary directory, and a runner of sqllogictest files over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use frazil_common::UserError;
use frazil_engine::{
    Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest, StoredResult,
};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

/// Why a test could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error(transparent)]
    User(#[from] UserError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Slt(String),
}

/// An engine on a directory that goes when it is dropped.
pub struct TestEngine {
    pub engine: Arc<Engine>,
    pub directory: tempfile::TempDir,
}

/// The administrator of test engines.
pub const ADMINISTRATOR: &str = "ADMIN";
/// Its password.
pub const PASSWORD: &str = "test password";

impl TestEngine {
    pub async fn open() -> Result<TestEngine, TestError> {
        let directory = tempfile::tempdir()?;
        let engine = open_engine(directory.path()).await?;
        Ok(TestEngine { engine, directory })
    }

    /// A session of the administrator, in UTC.
    pub async fn session(&self) -> Result<Arc<Session>, TestError> {
        self.session_of(ADMINISTRATOR, None).await
    }

    /// A session of any user, without a password.
    pub async fn session_of(
        &self,
        user: &str,
        role: Option<&str>,
    ) -> Result<Arc<Session>, TestError> {
        let login = self
            .engine
            .login(LoginRequest {
                role: role.map(str::to_string),
                parameters: [("TIMEZONE".to_string(), serde_json::Value::from("UTC"))].into(),
                client: "testkit".to_string(),
                ..LoginRequest::new(user, Credential::Embedded)
            })
            .await?;
        Ok(login.session)
    }
}

/// Opens an engine with the test administrator.
pub async fn open_engine(directory: &Path) -> Result<Arc<Engine>, TestError> {
    let mut settings = EngineSettings::new(directory);
    settings.threads = Some(2);
    settings.bootstrap_password = Some(PASSWORD.to_string());
    let (engine, _) = Engine::open(settings).await?;
    Ok(engine)
}

/// Runs one statement.
pub async fn run(session: &Arc<Session>, sql: &str) -> Result<Arc<StoredResult>, UserError> {
    session.execute(StatementRequest::new(sql)).await
}

/// A result's rows as texts; NULL is None.
pub fn rows(result: &StoredResult) -> Result<Vec<Vec<Option<String>>>, UserError> {
    let mut rows = Vec::new();
    for batch in result.rows.read_all()? {
        for row in 0..batch.num_rows() {
            rows.push(
                result
                    .columns
                    .iter()
                    .zip(batch.columns())
                    .map(|(column, array)| frazil_engine::cell_text(column, array, row))
                    .collect(),
            );
        }
    }
    Ok(rows)
}

/// One file's connection.
struct Connection {
    session: Arc<Session>,
}

/// An error with its code in front, so that files can expect it.
#[derive(Debug)]
struct SltError(UserError);

impl std::fmt::Display for SltError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:06}: {}", self.0.code.number(), self.0.message)
    }
}

impl std::error::Error for SltError {}

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = SltError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SltError> {
        let result = run(&self.session, sql).await.map_err(SltError)?;
        let values = rows(&result).map_err(SltError)?;
        let types = result.columns.iter().map(|_| DefaultColumnType::Any).collect();
        let rows = values
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|value| match value {
                        None => "NULL".to_string(),
                        Some(text) if text.is_empty() => "(empty)".to_string(),
                        Some(text) => text.replace('\n', "\\n"),
                    })
                    .collect()
            })
            .collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "frazil"
    }
}

/// All `.slt` files below a folder, sorted.
pub fn slt_files(folder: &Path) -> Result<Vec<PathBuf>, TestError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs a file on a fresh engine whose session stands in the schema `TEST.PUBLIC`.
///
/// # Errors
/// The first record that does not do what it should.
pub async fn run_slt(path: &Path) -> Result<(), TestError> {
    let test = TestEngine::open().await?;
    let session = test.session().await?;
    run(&session, "CREATE DATABASE test").await?;
    let mut runner = sqllogictest::Runner::new(move || {
        let session = session.clone();
        async move { Ok(Connection { session }) }
    });
    runner.with_column_validator(|_, _| true);
    let result = runner
        .run_file_async(path)
        .await
        .map_err(|error| TestError::Slt(format!("{}", error.display(false))));
    test.engine.shutdown().await;
    result
}
