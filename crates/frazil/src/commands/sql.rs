//! `frazil sql`: statements from the command line, a file, standard input or a prompt.

use std::io::{IsTerminal, Read};
use std::sync::Arc;

use frazil_common::UserError;
use frazil_engine::{Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};

use crate::cli::{Format, Sql};
use crate::commands::{CommandError, io};
use crate::display::render;
use crate::remote::RemoteSession;

/// Where statements run.
enum Target {
    Embedded { engine: Arc<Engine>, session: Arc<Session> },
    Remote(RemoteSession),
}

impl Target {
    async fn open(arguments: &Sql) -> Result<Target, CommandError> {
        if let Some(url) = &arguments.connect {
            let password = std::env::var("FRAZIL_PASSWORD").map_err(|_| {
                CommandError::Message(
                    "set FRAZIL_PASSWORD to the user's password or access token".to_string(),
                )
            })?;
            let session = RemoteSession::login(url, arguments, &password).await?;
            return Ok(Target::Remote(session));
        }
        let data_dir = arguments.data_dir.clone().unwrap_or_default();
        let mut settings = EngineSettings::new(data_dir);
        settings.memory_limit = arguments.memory_limit;
        settings.bootstrap_password = std::env::var("FRAZIL_BOOTSTRAP_PASSWORD").ok();
        let (engine, generated) = Engine::open(settings).await?;
        if let Some(generated) = generated {
            eprintln!(
                "new data directory; user {} has the password {} (shown once)",
                generated.user, generated.password
            );
        }
        let login = engine
            .login(LoginRequest {
                user: engine.administrator().await?,
                credential: Credential::Embedded,
                database: arguments.database.clone(),
                schema: arguments.schema.clone(),
                warehouse: None,
                role: arguments.role.clone(),
                parameters: Default::default(),
                client: concat!("frazil sql ", env!("CARGO_PKG_VERSION")).to_string(),
            })
            .await?;
        Ok(Target::Embedded { engine, session: login.session })
    }

    async fn run(&mut self, text: &str, format: Format) -> Result<String, CommandError> {
        match self {
            Target::Embedded { engine, session } => {
                run_embedded(engine, session, text, format).await
            }
            Target::Remote(session) => session.run(text, format).await,
        }
    }

    async fn close(self) -> Result<(), CommandError> {
        match self {
            Target::Embedded { engine, session } => {
                engine.close_session(&session).await?;
                engine.shutdown().await;
                Ok(())
            }
            Target::Remote(session) => session.close().await,
        }
    }
}

async fn run_embedded(
    engine: &Arc<Engine>,
    session: &Arc<Session>,
    text: &str,
    format: Format,
) -> Result<String, CommandError> {
    let mut request = StatementRequest::new(text);
    request.multi_statement_count = Some(0);
    let cancel = request.cancel.clone();
    let interrupt = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
    let result = session.execute(request).await;
    interrupt.abort();
    let result = result?;
    let mut output = String::new();
    let parts = if result.children.is_empty() {
        vec![result]
    } else {
        result.children.iter().filter_map(|(id, _)| engine.result(id)).collect()
    };
    for part in parts {
        let part = match &part.transfer {
            Some(transfer) => engine.transfer_local(&part, transfer).await?,
            None => part,
        };
        output.push_str(&render(&part, format)?);
    }
    Ok(output)
}

pub async fn run(arguments: Sql) -> Result<(), CommandError> {
    let mut target = Target::open(&arguments).await?;
    let result = run_statements(&mut target, &arguments).await;
    let closed = target.close().await;
    result?;
    closed
}

async fn run_statements(target: &mut Target, arguments: &Sql) -> Result<(), CommandError> {
    let text = match (&arguments.text, &arguments.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) if path.as_os_str() != "-" => {
            std::fs::read_to_string(path).map_err(io(format!("cannot read {}", path.display())))?
        }
        _ if arguments.file.is_none() && std::io::stdin().is_terminal() => {
            return prompt(target, arguments.format).await;
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(io("cannot read standard input"))?;
            text
        }
    };
    // One statement at a time, so that what ran before an error is shown.
    for statement in frazil_engine::split_statements(&text).map_err(CommandError::User)? {
        let output =
            target.run(&statement.text, arguments.format).await.map_err(|error| match error {
                CommandError::User(error) => CommandError::User(moved(error, &statement)),
                other => other,
            })?;
        print!("{output}");
    }
    Ok(())
}

/// An error's position in the whole text rather than in its statement.
fn moved(mut error: UserError, statement: &frazil_engine::SplitStatement) -> UserError {
    if let Some(position) = &mut error.position {
        if position.line == 1 {
            position.column += statement.column - 1;
        }
        position.line += statement.line - 1;
    }
    error
}

/// Reads a statement until its semicolon.
struct Statements;

impl Helper for Statements {}

impl Highlighter for Statements {}

impl Completer for Statements {
    type Candidate = String;
}

impl Hinter for Statements {
    type Hint = String;
}

impl Validator for Statements {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim_end();
        let command = text.starts_with('\\') || text.is_empty();
        let complete = command || text.ends_with(';') && balanced(text);
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether quotes and dollar quotes are closed.
fn balanced(text: &str) -> bool {
    let single = text.matches('\'').count().is_multiple_of(2);
    let double = text.matches('"').count().is_multiple_of(2);
    let dollar = text.matches("$$").count().is_multiple_of(2);
    single && double && dollar
}

async fn prompt(target: &mut Target, format: Format) -> Result<(), CommandError> {
    let failed =
        |error: ReadlineError| CommandError::Message(format!("the prompt failed: {error}"));
    let mut editor: Editor<Statements, FileHistory> =
        Editor::with_config(Config::builder().auto_add_history(true).build()).map_err(failed)?;
    editor.set_helper(Some(Statements));
    let history =
        std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".frazil_history"));
    if let Some(path) = &history {
        // There is no history before the first use.
        let _ = editor.load_history(path);
    }
    println!("Statements end with ';'. \\q leaves.");
    loop {
        let line = tokio::task::block_in_place(|| editor.readline("frazil> "));
        match line {
            Ok(text) => {
                let text = text.trim();
                if ["\\q", "\\quit", "exit;", "quit;"].contains(&text) {
                    break;
                }
                if text.is_empty() {
                    continue;
                }
                match target.run(text, format).await {
                    Ok(output) => print!("{output}"),
                    Err(error) => eprintln!("error: {error}"),
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(path) = &history
        && let Err(error) = editor.save_history(path)
    {
        eprintln!("warning: the history was not kept: {error}");
    }
    Ok(())
}
