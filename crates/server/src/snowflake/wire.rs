//! JSON shapes of Snowflake's protocol. Unknown keys are ignored, nulls count as absent.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The frame around every answer.
#[derive(Debug, Serialize)]
pub struct Envelope<T> {
    pub data: T,
    /// Digits as text.
    pub code: Option<String>,
    pub message: Option<String>,
    pub success: bool,
}

impl<T> Envelope<T> {
    pub fn success(data: T) -> Self {
        Envelope { data, code: None, message: None, success: true }
    }
}

/// Reads null as the default.
fn or_default<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Default, Deserialize)]
pub struct LoginBody {
    #[serde(default, deserialize_with = "or_default")]
    pub data: LoginData,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct LoginData {
    #[serde(deserialize_with = "or_default")]
    pub client_app_id: String,
    #[serde(deserialize_with = "or_default")]
    pub client_app_version: String,
    #[serde(deserialize_with = "or_default")]
    pub login_name: String,
    pub password: Option<String>,
    pub authenticator: Option<String>,
    pub token: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub session_parameters: HashMap<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub client_capabilities: ClientCapabilities,
}

/// Sent by drivers on the shared core only.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct ClientCapabilities {
    #[serde(deserialize_with = "or_default")]
    pub smk_id_as_string: bool,
}

/// The query string of a login; one client sends empty texts for what is unset.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoginQuery {
    pub database_name: Option<String>,
    pub schema_name: Option<String>,
    pub warehouse: Option<String>,
    pub role_name: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Parameter {
    pub name: String,
    pub value: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryBody {
    #[serde(deserialize_with = "or_default")]
    pub sql_text: String,
    #[serde(deserialize_with = "or_default")]
    pub async_exec: bool,
    #[serde(deserialize_with = "or_default")]
    pub describe_only: bool,
    /// Set by a driver for statements of its own making.
    #[serde(deserialize_with = "or_default")]
    pub is_internal: bool,
    #[serde(deserialize_with = "or_default")]
    pub parameters: HashMap<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub bindings: BTreeMap<String, Binding>,
    pub bind_stage: Option<String>,
}

/// One bind: a value, or a list of values for an array bind.
#[derive(Debug, Deserialize)]
pub struct Binding {
    #[serde(rename = "type", default)]
    pub type_name: Option<String>,
    #[serde(default)]
    pub value: Value,
}

/// The query string of a statement request. Clients differ in how they spell the first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequestIds {
    #[serde(rename = "requestId", alias = "request_id")]
    pub request_id: Option<String>,
    #[serde(rename = "retryCount")]
    pub retry_count: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AbortBody {
    #[serde(deserialize_with = "or_default")]
    pub request_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenewBody {
    #[serde(deserialize_with = "or_default")]
    pub request_type: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn recorded_requests_are_read() {
        let body: QueryBody = serde_json::from_str(
            r#"{"sqlText":"select ?","asyncExec":false,"sequenceId":1,"querySubmissionTime":1795253177023,
               "parameters":{"MULTI_STATEMENT_COUNT":1},"queryContextDTO":{},"describeOnly":null,
               "bindings":{"1":{"type":"FIXED","value":"1"},"2":{"type":"TEXT","value":["a",null]}}}"#,
        )
        .unwrap();
        assert_eq!(body.sql_text, "select ?");
        assert!(!body.describe_only);
        assert_eq!(body.bindings["2"].value, serde_json::json!(["a", null]));
        let login: LoginBody = serde_json::from_str(
            r#"{"data":{"CLIENT_APP_ID":"PythonConnector","CLIENT_APP_VERSION":"4.8.1","SVN_REVISION":null,
               "ACCOUNT_NAME":"acme","LOGIN_NAME":"u","PASSWORD":"p","CLIENT_ENVIRONMENT":{},
               "SESSION_PARAMETERS":{"QUERY_TAG":"tag1","CLIENT_PREFETCH_THREADS":4}}}"#,
        )
        .unwrap();
        assert_eq!(login.data.client_app_id, "PythonConnector");
        assert_eq!(login.data.session_parameters["QUERY_TAG"], "tag1");
    }
}
