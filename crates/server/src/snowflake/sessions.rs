//! Sessions as the wire sees them: tokens in headers, and what kind of driver is calling.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use frazil_common::{Code, UserError};
use frazil_engine::{Arrival, Session};

use crate::state::ServerState;

/// Marks, in a session's client text, drivers built on the newer shared core.
const UNIVERSAL: &str = "(universal driver)";

/// The client text kept with a session, such as `PythonConnector 4.8.1`.
pub fn client_text(app: &str, version: &str, universal: bool) -> String {
    let text = format!("{app} {version}");
    let text = text.trim();
    if universal { format!("{text} {UNIVERSAL}") } else { text.to_string() }
}

/// Whether the driver is built on the shared core, which moves files in its own way.
pub fn is_universal(client: &str) -> bool {
    let mut words = client.split_whitespace();
    let name = words.next().unwrap_or_default();
    let major = words.next().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    client.ends_with(UNIVERSAL) || (name == "PythonConnector" && major.is_some_and(|m| m >= 5))
}

/// The token of an `Authorization: Snowflake Token="…"` header. Drivers send the text `None` when
/// they have none.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let quoted = value.strip_prefix("Snowflake Token=")?;
    let token = quoted.trim_matches('"');
    (!token.is_empty() && token != "None").then_some(token)
}

/// The session of a request.
///
/// # Errors
/// The codes on which drivers renew (expired) or give up (gone, invalid).
pub async fn authenticate(
    state: &ServerState,
    headers: &HeaderMap,
) -> Result<Arc<Session>, UserError> {
    Ok(arrive(state, headers).await?.0)
}

/// The session of a request that runs a statement, and how things stand as it comes.
///
/// # Errors
/// Those of [`authenticate`].
pub async fn arrive(
    state: &ServerState,
    headers: &HeaderMap,
) -> Result<(Arc<Session>, Arrival), UserError> {
    let token = bearer(headers).ok_or_else(|| {
        UserError::new(Code::TokenInvalid, "Authentication token is missing. Log in first.")
    })?;
    state.engine.arrival(token).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn drivers_are_told_apart() {
        assert!(!is_universal("PythonConnector 4.8.1"));
        assert!(is_universal("PythonConnector 5.2.0"));
        assert!(!is_universal("PythonSnowpark 1.56.0"));
        assert!(is_universal(&client_text("SnowflakeSQLAlchemy", "2.1.0", true)));
    }

    #[test]
    fn the_text_none_is_no_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, r#"Snowflake Token="None""#.parse().unwrap());
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, r#"Snowflake Token="abc""#.parse().unwrap());
        assert_eq!(bearer(&headers), Some("abc"));
    }
}
