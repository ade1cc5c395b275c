//! A small client of the server's Snowflake door, for `frazil sql --connect`.

use frazil_common::{Code, Position, UserError};
use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::cli::{Format, Sql};
use crate::commands::{CommandError, io, place_text};
use crate::display::{render_rows, terminal_width};

/// A session at a server.
pub struct RemoteSession {
    url: String,
    token: String,
    agent: ureq::Agent,
}

impl RemoteSession {
    /// Logs in with a password or access token.
    pub async fn login(url: &str, arguments: &Sql, password: &str) -> Result<Self, CommandError> {
        let url = url.trim_end_matches('/').to_string();
        let mut tls = TlsConfig::builder();
        if let Some(path) = &arguments.tls_ca {
            let pem = std::fs::read(path).map_err(io(format!("cannot read {}", path.display())))?;
            let certificate = Certificate::from_pem(&pem)
                .map_err(|error| CommandError::Message(format!("{}: {error}", path.display())))?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls.build())
            .build();
        let mut session = RemoteSession { url, token: "None".to_string(), agent: config.into() };
        let mut path = "/session/v1/login-request?request_id=1".to_string();
        for (name, value) in [
            ("databaseName", &arguments.database),
            ("schemaName", &arguments.schema),
            ("roleName", &arguments.role),
        ] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        let body = json!({"data": {
            "CLIENT_APP_ID": "FrazilSql",
            "CLIENT_APP_VERSION": env!("CARGO_PKG_VERSION"),
            "ACCOUNT_NAME": "frazil",
            "LOGIN_NAME": arguments.user,
            "PASSWORD": password,
            "SESSION_PARAMETERS": {"TIMEZONE": "UTC", "QUERY_RESULT_FORMAT": "JSON"},
        }});
        let data = session.post(&path, body).await?;
        session.token = data["token"].as_str().unwrap_or_default().to_string();
        Ok(session)
    }

    async fn send(&self, path: &str, body: Option<Value>) -> Result<Value, CommandError> {
        let url =
            if path.starts_with("http") { path.to_string() } else { format!("{}{path}", self.url) };
        let agent = self.agent.clone();
        let authorization = format!("Snowflake Token=\"{}\"", self.token);
        let place = self.url.clone();
        tokio::task::spawn_blocking(move || {
            let response = match body {
                Some(body) => agent
                    .post(&url)
                    .header("Authorization", &authorization)
                    .header("Accept", "application/json")
                    .header("Content-Type", "application/json")
                    .send(body.to_string()),
                None => agent.get(&url).header("Authorization", &authorization).call(),
            };
            let text = response
                .and_then(|mut response| {
                    response.body_mut().with_config().limit(u64::MAX).read_to_string()
                })
                .map_err(|error| {
                    CommandError::Message(format!("{place} does not answer: {error}"))
                })?;
            serde_json::from_str(&text)
                .or_else(|_| serde_json::from_str(&format!("[{text}]")))
                .map_err(|_| CommandError::Message(format!("{place} is not a Frazil server")))
        })
        .await
        .map_err(|error| CommandError::Message(error.to_string()))?
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, CommandError> {
        let mut reply = self.send(path, Some(body)).await?;
        // A slow statement is polled; the server holds each poll.
        while matches!(reply["code"].as_str(), Some("333333" | "333334")) {
            let next = reply["data"]["getResultUrl"].as_str().unwrap_or_default().to_string();
            reply = self.send(&next, None).await?;
        }
        if reply["success"] == json!(true) {
            return Ok(reply["data"].take());
        }
        let message = reply["message"].as_str().unwrap_or("unknown error");
        let data = &reply["data"];
        // The wire counts columns from 0.
        let position = match (data["line"].as_u64(), data["pos"].as_u64()) {
            (Some(line), Some(column)) if line > 0 => Some(Position { line, column: column + 1 }),
            _ => None,
        };
        let place = position
            .map(place_text)
            .filter(|place| !message.contains(place))
            .map_or_else(String::new, |place| format!("{place}\n"));
        let code = reply["code"].as_str().unwrap_or_default();
        let state = data["sqlState"].as_str().unwrap_or_default();
        Err(CommandError::Remote { text: format!("{code} ({state}): {place}{message}"), position })
    }

    /// Runs one statement and gives its rows in the asked format.
    pub async fn run(&self, text: &str, format: Format) -> Result<String, CommandError> {
        let id = frazil_engine::new_query_id();
        let path = format!("/queries/v1/query-request?requestId={id}");
        let aborted = json!({"sqlText": text, "requestId": id.to_string()});
        let body = json!({"sqlText": text, "asyncExec": false, "sequenceId": 1,
            "parameters": {"QUERY_RESULT_FORMAT": "JSON", "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"}});
        let data = tokio::select! {
            data = self.post(&path, body) => data?,
            _ = tokio::signal::ctrl_c() => {
                self.post(&format!("/queries/v1/abort-request?requestId={id}"), aborted).await?;
                return Err(CommandError::Message("canceled".to_string()));
            }
        };
        if data.get("command").is_some() {
            return Err(UserError::new(
                Code::Unsupported,
                "PUT and GET move local files: use frazil sql --data-dir, or a Snowflake client.",
            )
            .into());
        }
        let columns = data["rowtype"].as_array().cloned().unwrap_or_default();
        let mut rows: Vec<Value> = data["rowset"].as_array().cloned().unwrap_or_default();
        for chunk in data["chunks"].as_array().cloned().unwrap_or_default() {
            let more = self.send(chunk["url"].as_str().unwrap_or_default(), None).await?;
            rows.extend(more.as_array().cloned().unwrap_or_default());
        }
        let names: Vec<(String, bool)> = columns
            .iter()
            .map(|column| {
                let number = matches!(column["type"].as_str(), Some("fixed" | "real"));
                (column["name"].as_str().unwrap_or_default().to_string(), number)
            })
            .collect();
        let bare: Vec<bool> = columns
            .iter()
            .map(|column| matches!(column["type"].as_str(), Some("fixed" | "real" | "boolean")))
            .collect();
        let texts: Vec<Vec<Option<String>>> = rows
            .iter()
            .map(|row| {
                let values = row.as_array().cloned().unwrap_or_default();
                columns
                    .iter()
                    .zip(values)
                    .map(|(column, value)| value.as_str().map(|text| shown(column, text)))
                    .collect()
            })
            .collect();
        let total = texts.len() as u64;
        Ok(render_rows(&names, &bare, &texts, total, format, terminal_width()))
    }

    pub async fn close(self) -> Result<(), CommandError> {
        self.post("/session?delete=true", Value::Null).await.map(drop)
    }
}

/// A wire value (protocol reference, section 6.2) as people read it.
fn shown(column: &Value, text: &str) -> String {
    let seconds = |text: &str| -> Option<(i64, u32)> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        Some((whole.parse().ok()?, nanos))
    };
    let formatted = match column["type"].as_str() {
        Some("boolean") => {
            Some(if text == "1" || text == "true" { "TRUE" } else { "FALSE" }.to_string())
        }
        Some("date") => text.parse::<i64>().ok().and_then(|days| {
            let date = chrono::DateTime::from_timestamp(days.checked_mul(86_400)?, 0)?;
            Some(date.format("%Y-%m-%d").to_string())
        }),
        Some("time") => seconds(text).and_then(|(whole, nanos)| {
            let time = chrono::NaiveTime::from_num_seconds_from_midnight_opt(
                u32::try_from(whole).ok()?,
                nanos,
            )?;
            Some(time.format("%H:%M:%S%.f").to_string())
        }),
        Some("timestamp_ntz") => seconds(text).and_then(|(whole, nanos)| {
            let time = chrono::DateTime::from_timestamp(whole, nanos)?;
            Some(time.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
        }),
        Some("timestamp_ltz") => seconds(text).and_then(|(whole, nanos)| {
            let time = chrono::DateTime::from_timestamp(whole, nanos)?;
            Some(time.format("%Y-%m-%d %H:%M:%S%.3f +0000").to_string())
        }),
        Some("timestamp_tz") => text.split_once(' ').and_then(|(instant, offset)| {
            let (whole, nanos) = seconds(instant)?;
            let zone = chrono::FixedOffset::east_opt((offset.parse::<i32>().ok()? - 1440) * 60)?;
            let time = chrono::DateTime::from_timestamp(whole, nanos)?.with_timezone(&zone);
            Some(time.format("%Y-%m-%d %H:%M:%S%.3f %z").to_string())
        }),
        _ => None,
    };
    formatted.unwrap_or_else(|| text.to_string())
}

/// Percent-encodes a query value.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                (byte as char).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
