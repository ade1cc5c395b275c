//! `frazil quickstart`: load, look, features, train, evaluate, register, score, serve, watch,
//! retrain, on the flights of New York City in 2013.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use frazil_engine::{
    Credential, Engine, EngineSettings, LoginRequest, Session, StatementRequest, StoredResult,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::{Format, Quickstart};
use crate::commands::doctor::check_new_or_directory;
use crate::commands::{CommandError, io, spinner};
use crate::display::{render_rows, terminal_width, text_rows};
use crate::quickstart::report::{Figure, Section, page};
use crate::quickstart::steps::{self, Plot, Step};

/// Rows of an answer that are printed.
const ROWS_PRINTED: usize = 20;
/// Characters in a line where the output is no terminal.
const LINE: usize = 140;
const FILES: [&str; 2] = ["nyc_flights_2013.parquet", "nyc_weather_2013.parquet"];

struct Runner {
    engine: Arc<Engine>,
    session: Arc<Session>,
    sections: Vec<Section>,
    figures: Vec<Figure>,
}

pub async fn run(arguments: Quickstart) -> Result<(), CommandError> {
    let started = Instant::now();
    for file in FILES {
        let path = arguments.input.join(file);
        if !path.is_file() {
            return Err(CommandError::Message(format!(
                "{} is missing. Run this in the project's folder, or give --input.",
                path.display()
            )));
        }
    }
    let temporary =
        std::env::temp_dir().join(format!("frazil-quickstart-{}", frazil_engine::new_query_id()));
    let data_dir = arguments.data_dir.clone().unwrap_or(temporary.clone());
    let result = whole_job(&arguments, &data_dir).await;
    if arguments.data_dir.is_none()
        && let Err(error) = std::fs::remove_dir_all(&temporary)
    {
        eprintln!("warning: {} was not removed: {error}", temporary.display());
    }
    let (figures, sections) = result?;
    std::fs::write(&arguments.report, page(&figures, &sections))
        .map_err(io(format!("cannot write {}", arguments.report.display())))?;
    println!(
        "Done in {:.0} seconds. The report is {}.",
        started.elapsed().as_secs_f64(),
        arguments.report.display()
    );
    if arguments.data_dir.is_some() {
        println!("Go on with: frazil sql --data-dir {} --database flights", data_dir.display());
    }
    Ok(())
}

async fn whole_job(
    arguments: &Quickstart,
    data_dir: &Path,
) -> Result<(Vec<Figure>, Vec<Section>), CommandError> {
    check_new_or_directory(data_dir)?;
    let mut settings = EngineSettings::new(data_dir);
    settings.bootstrap_password = std::env::var("FRAZIL_BOOTSTRAP_PASSWORD").ok();
    let (engine, generated) = Engine::open(settings).await?;
    if let Some(generated) = generated
        && arguments.data_dir.is_some()
    {
        println!("user {} has the password {} (shown once)", generated.user, generated.password);
    }
    let login = engine
        .login(LoginRequest {
            parameters: [("TIMEZONE".to_string(), json!("UTC"))].into(),
            client: concat!("frazil quickstart ", env!("CARGO_PKG_VERSION")).to_string(),
            ..LoginRequest::new(engine.administrator().await?, Credential::Embedded)
        })
        .await?;
    let mut runner = Runner {
        engine: engine.clone(),
        session: login.session,
        sections: Vec::new(),
        figures: Vec::new(),
    };
    let result = runner.job(&arguments.input).await;
    engine.close_session(&runner.session).await?;
    engine.shutdown().await;
    result?;
    Ok((runner.figures, runner.sections))
}

impl Runner {
    async fn job(&mut self, input: &Path) -> Result<(), CommandError> {
        self.steps(steps::PREPARE).await?;
        let input = input.canonicalize().map_err(io(format!("cannot read {}", input.display())))?;
        for file in FILES {
            let path = input.join(file);
            let sql = format!("PUT 'file://{}' @raw OVERWRITE = TRUE", path.display());
            // The report names the file alone: it may be read on another machine.
            let shown = format!("PUT 'file://…/{file}' @raw OVERWRITE = TRUE");
            self.statement("", "", &sql, &shown, None).await?;
        }
        let flights = self.step(&steps::INFER_FLIGHTS).await?;
        required(&flights, FILES[0], steps::FLIGHT_COLUMNS)?;
        let weather = self.step(&steps::INFER_WEATHER).await?;
        required(&weather, FILES[1], steps::WEATHER_COLUMNS)?;
        self.steps(steps::LOAD).await?;
        self.step(&steps::TOTAL).await?;
        self.figure("flights", "FLIGHTS", "");
        self.figure("of them late", "LATE_PERCENT", " %");
        self.steps(steps::LOOK).await?;
        self.steps(steps::FEATURES).await?;
        self.steps(steps::TRAIN).await?;
        self.step(&steps::MEASURED).await?;
        self.figure("AUC on the rows held out", "AUC", "");
        self.steps(steps::SCORE).await?;
        self.step(&steps::CREATE_ENDPOINT).await?;
        let rows = self.step(&steps::SIX_ROWS).await?;
        self.call_endpoint(&rows).await?;
        self.step(&steps::DRIFT).await?;
        self.step(&steps::RETRAIN).await?;
        self.step(&steps::MEASURED).await?;
        self.step(&steps::DUEL).await?;
        self.step(&steps::BY_MONTH).await?;
        self.step(&steps::VERDICT).await?;
        self.figure("log loss without a model", "NO_MODEL", "");
        self.figure("log loss of the champion", "CHAMPION", "");
        self.figure("log loss of the challenger", "CHALLENGER", "");
        let wins = self.sections.last().and_then(|last| last.cell(0, "CHALLENGER_WINS"));
        if wins.is_some_and(|wins| wins.eq_ignore_ascii_case("true")) {
            self.step(&steps::PROMOTE).await?;
            let rows = self.step(&steps::SIX_ROWS).await?;
            self.call_endpoint(&rows).await?;
        } else {
            println!("The champion stays: the challenger's log loss is not lower.\n");
        }
        Ok(())
    }

    async fn steps(&mut self, steps: &[Step]) -> Result<(), CommandError> {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    /// Puts a cell of the last answer at the top of the report.
    fn figure(&mut self, label: &'static str, column: &str, unit: &str) {
        let Some(section) = self.sections.len().checked_sub(1) else { return };
        if let Some(value) = self.sections[section].cell(0, column) {
            self.figures.push(Figure { label, value: format!("{value}{unit}"), section });
        }
    }

    async fn step(&mut self, step: &Step) -> Result<Answer, CommandError> {
        self.statement(step.title, step.text, step.sql, step.sql, step.plot).await
    }

    /// Runs, prints and keeps one statement.
    async fn statement(
        &mut self,
        title: &str,
        text: &str,
        sql: &str,
        shown: &str,
        plot: Option<Plot>,
    ) -> Result<Answer, CommandError> {
        if !title.is_empty() {
            println!("── {title} ──");
        }
        if !text.is_empty() {
            println!("{text}");
        }
        println!("{shown};");
        let bar = spinner();
        let started = Instant::now();
        let result = self.session.execute(StatementRequest::new(sql)).await;
        bar.finish_and_clear();
        let mut result = result?;
        if let Some(transfer) = result.transfer.clone() {
            result = self.engine.transfer_local(&result, &transfer).await?;
        }
        let answer = Answer::of(&result)?;
        let section = Section {
            title: title.to_string(),
            text: text.to_string(),
            sql: shown.to_string(),
            columns: answer.columns.clone(),
            rows: answer.rows.clone(),
            plot,
        };
        match section.status() {
            Some(status) => {
                println!("→ {status} ({:.2} s)\n", started.elapsed().as_secs_f64());
            }
            None => answer.print(started.elapsed()),
        }
        self.sections.push(section);
        Ok(answer)
    }

    /// Sends rows to the endpoint over HTTP and shows the reply beside the SQL predictions.
    async fn call_endpoint(&mut self, rows: &Answer) -> Result<(), CommandError> {
        let name = format!("quickstart_{}", self.sections.len());
        let made = self
            .session
            .execute(StatementRequest::new(format!(
                "ALTER USER ADD PROGRAMMATIC ACCESS TOKEN {name} DAYS_TO_EXPIRY = 1"
            )))
            .await?;
        let token = text_rows(&made, 1)?
            .first()
            .and_then(|row| row.get(1).cloned().flatten())
            .ok_or_else(|| CommandError::Message("no access token was given".to_string()))?;
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(io("cannot open a local port"))?;
        let address = listener.local_addr().map_err(io("cannot read the local port"))?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(frazil_server::serve(
            self.engine.clone(),
            listener,
            frazil_server::ServerSettings::default(),
            async move {
                // A dropped sender stops the server as well.
                let _ = stopped.await;
            },
        ));
        let records: Vec<Value> = rows
            .rows
            .iter()
            .map(|row| {
                let fields =
                    rows.columns.iter().zip(row).filter(|((name, _), _)| name != "SQL_PREDICTION");
                Value::Object(
                    fields
                        .map(|((name, number), value)| {
                            let value = match value {
                                None => Value::Null,
                                Some(text) if *number => {
                                    text.parse::<f64>().map_or(Value::Null, Value::from)
                                }
                                Some(text) => Value::from(text.as_str()),
                            };
                            (name.clone(), value)
                        })
                        .collect(),
                )
            })
            .collect();
        let url = format!("http://{address}/endpoints/delay/invocations");
        let body = json!({"records": records}).to_string();
        let reply = tokio::task::spawn_blocking(move || {
            ureq::post(&url)
                .header("Authorization", &format!("Bearer {token}"))
                .header("Content-Type", "application/json")
                .send(body)
                .and_then(|mut reply| reply.body_mut().read_to_string())
        })
        .await
        .map_err(|error| CommandError::Message(error.to_string()))?
        .map_err(|error| CommandError::Message(format!("the endpoint does not answer: {error}")))?;
        // The server may have ended by itself; its own error follows.
        let _ = stop.send(());
        server.await.map_err(|error| CommandError::Message(error.to_string()))??;
        self.session
            .execute(StatementRequest::new(format!(
                "ALTER USER REMOVE PROGRAMMATIC ACCESS TOKEN {name}"
            )))
            .await?;
        println!("POST /endpoints/delay/invocations\n{reply}\n");
        let reply: Value = serde_json::from_str(&reply)
            .map_err(|error| CommandError::Message(format!("the reply is no JSON: {error}")))?;
        let predictions: Vec<Option<String>> = reply["predictions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| (!value.is_null()).then(|| value.to_string()))
            .collect();
        let of_sql: Vec<Option<String>> = rows
            .rows
            .iter()
            .map(|row| row.last().cloned().flatten().map(|value| value.to_lowercase()))
            .collect();
        if predictions != of_sql {
            return Err(CommandError::Message(format!(
                "the endpoint answers {predictions:?} where SQL answers {of_sql:?}"
            )));
        }
        let version = reply["version"].as_str().unwrap_or_default().to_string();
        println!("The same as SQL's, from version {version}.\n");
        self.sections.push(Section {
            title: String::new(),
            text: "The rows sent as JSON; the reply is the same as SQL's.".to_string(),
            sql: "POST /endpoints/delay/invocations".to_string(),
            columns: vec![("VERSION".to_string(), false), ("PREDICTION".to_string(), false)],
            rows: predictions.into_iter().map(|value| vec![Some(version.clone()), value]).collect(),
            plot: None,
        });
        Ok(())
    }
}

/// A statement's rows as texts.
struct Answer {
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<Option<String>>>,
}

impl Answer {
    fn of(result: &StoredResult) -> Result<Answer, CommandError> {
        let columns = result
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.sql_type.is_numeric()))
            .collect();
        Ok(Answer { columns, rows: text_rows(result, u64::MAX)? })
    }

    fn print(&self, elapsed: Duration) {
        let shown = &self.rows[..self.rows.len().min(ROWS_PRINTED)];
        let bare = vec![false; self.columns.len()];
        let text = render_rows(
            &self.columns,
            &bare,
            shown,
            self.rows.len() as u64,
            Format::Table,
            Some(terminal_width().unwrap_or(LINE)),
        );
        println!("{} in {:.2} s\n", text.trim_end(), elapsed.as_secs_f64());
    }
}

/// Checks that a file has the columns the job needs.
fn required(found: &Answer, file: &str, wanted: &[&str]) -> Result<(), CommandError> {
    let names: Vec<&str> = found.rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !names.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(CommandError::Message(format!(
        "{file} lacks the column{} {}; it has {}",
        if missing.len() == 1 { "" } else { "s" },
        missing.join(", "),
        names.join(", ")
    )))
}
