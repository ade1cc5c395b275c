//! `frazil sql`: statements from the command line, a file, standard input or a prompt.

use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;

use frazil_common::Position;
use frazil_engine::{Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};

use crate::cli::{Format, Sql};
use crate::commands::doctor::check_new_or_directory;
use crate::commands::{CommandError, io, spinner};
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
        check_new_or_directory(&data_dir)?;
        let mut settings = EngineSettings::new(data_dir);
        settings.memory_limit = arguments.memory_limit;
        settings.threads = arguments.threads;
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
                database: arguments.database.clone(),
                schema: arguments.schema.clone(),
                role: arguments.role.clone(),
                client: concat!("frazil sql ", env!("CARGO_PKG_VERSION")).to_string(),
                ..LoginRequest::new(engine.administrator().await?, Credential::Embedded)
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
        result.children.iter().filter_map(|(id, _)| session.result(id)).collect()
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
    run_text(target, &text, arguments.format).await
}

/// Runs a text's statements one at a time, so that what ran before an error is shown.
async fn run_text(target: &mut Target, text: &str, format: Format) -> Result<(), CommandError> {
    for statement in frazil_engine::split_statements(text).map_err(CommandError::User)? {
        let bar = spinner();
        let output = target.run(&statement.text, format).await;
        bar.finish_and_clear();
        let output = output.map_err(|error| {
            let error = error.moved(statement.line, statement.column);
            let pointed = error.position().map(|at| pointed(text, at)).unwrap_or_default();
            CommandError::Message(format!("{error}{pointed}"))
        })?;
        print(&output)?;
    }
    Ok(())
}

/// Writes to standard output. A reader that has seen enough, as `head` has, is no error.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            std::process::exit(0);
        }
        other => other.map_err(io("cannot write the answer")),
    }
}

/// The line an error is in, with a mark below the place.
fn pointed(text: &str, at: Position) -> String {
    let line = at.line.checked_sub(1).and_then(|line| text.lines().nth(line as usize));
    let Some(line) = line else { return String::new() };
    let before: String = line
        .chars()
        .take(at.column.saturating_sub(1) as usize)
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    format!("\n  {line}\n  {before}^")
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
        let text = context.input();
        let complete = command(text).is_some() || text.trim().is_empty() || is_complete(text);
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether the last statement has its semicolon: another word would be a statement of its own.
fn is_complete(text: &str) -> bool {
    let next = "x";
    frazil_engine::split_statements(&format!("{text}\n{next}"))
        .is_ok_and(|found| found.last().is_some_and(|last| last.text == next))
}

/// What is no SQL at the prompt.
#[derive(Debug, PartialEq, Eq)]
enum PromptCommand {
    Leave,
    Help,
}

fn command(text: &str) -> Option<PromptCommand> {
    match text.trim().trim_end_matches(';').trim_end().to_ascii_lowercase().as_str() {
        "\\q" | "\\quit" | "exit" | "quit" => Some(PromptCommand::Leave),
        "\\?" | "\\h" | "\\help" | "help" => Some(PromptCommand::Help),
        _ => None,
    }
}

/// Whether a statement holds a secret that must not be kept in a file.
fn is_secret(text: &str) -> bool {
    let upper = text.to_uppercase();
    ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| upper.contains(word))
}

const HELP: &str = "\
Statements end with ';' and may span lines. Several may stand in one line.
  arrow up, down   earlier statements      Ctrl-R  search them
  Ctrl-C           leave a line, or cancel a running statement
  \\q, Ctrl-D       leave
";

async fn prompt(target: &mut Target, format: Format) -> Result<(), CommandError> {
    let failed =
        |error: ReadlineError| CommandError::Message(format!("the prompt failed: {error}"));
    let mut editor: Editor<Statements, FileHistory> =
        Editor::with_config(Config::builder().auto_add_history(false).build()).map_err(failed)?;
    editor.set_helper(Some(Statements));
    let history =
        std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".frazil_history"));
    if let Some(path) = &history {
        // There is no history before the first use.
        let _ = editor.load_history(path);
    }
    println!("Statements end with ';'. \\? helps, \\q leaves.");
    loop {
        let line = tokio::task::block_in_place(|| editor.readline("frazil> "));
        match line {
            Ok(text) => {
                match command(&text) {
                    Some(PromptCommand::Leave) => break,
                    Some(PromptCommand::Help) => {
                        print(HELP)?;
                        continue;
                    }
                    None if text.trim().is_empty() => continue,
                    None => {}
                }
                if !is_secret(&text) {
                    editor.add_history_entry(text.trim()).map_err(failed)?;
                    if let Some(path) = &history
                        && let Err(error) = editor.save_history(path)
                    {
                        eprintln!("warning: the history was not kept: {error}");
                    }
                }
                if let Err(error) = run_text(target, &text, format).await {
                    eprintln!("error: {error}");
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_its_own_semicolon() {
        for text in [
            "select 1;",
            "select ';';",
            "select 1; -- done",
            "select $$a;b$$;\n",
            "select 1; select 2;",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in
            ["select 1", "select 1 -- ;", "select ';", "select $$;", "/* ;", "select 1; select 2"]
        {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn words_of_the_prompt_are_no_sql() {
        assert_eq!(command(" EXIT; "), Some(PromptCommand::Leave));
        assert_eq!(command("\\?"), Some(PromptCommand::Help));
        assert_eq!(command("select 'quit';"), None);
        assert!(is_secret("alter user u set password = 'x';") && !is_secret("select 1;"));
    }

    #[test]
    fn errors_point_at_their_place() {
        let text = "select 1;\n\tselect nope";
        assert_eq!(
            pointed(text, Position { line: 2, column: 9 }),
            "\n  \tselect nope\n  \t       ^"
        );
        assert_eq!(pointed(text, Position { line: 9, column: 1 }), "");
    }
}
