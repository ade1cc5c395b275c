//! PARSE_URL: the parts of a web address as an OBJECT.

use std::collections::BTreeMap;

use frazil_common::{Code, SqlType, UserError};

use crate::kernel::{KernelResult, Rows};
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::Value;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["PARSE_URL"], |a| {
        a.expect(1..=2)?;
        let permissive = if a.len() > 1 { a.integer(1)? } else { TypedExpr::number(0, 18, 0).expr };
        let args = vec![a.text(0)?, permissive];
        Ok(a.call("frazil_parse_url", args, SqlType::Object, parse_url))
    });
}

fn text(part: Option<&str>) -> Value {
    part.map_or(Value::Null, |part| Value::Text(part.to_string()))
}

/// The parts, or what is wrong.
fn parts(url: &str) -> Result<Value, String> {
    let (rest, fragment) = match url.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (url, None),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (scheme, rest) = rest.split_once(':').ok_or("scheme not specified")?;
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
        return Err("invalid scheme".into());
    }
    let (host, port, path) = match rest.strip_prefix("//") {
        None => (None, None, Some(rest)),
        Some(rest) => {
            let (authority, path) = match rest.split_once('/') {
                Some((authority, path)) => (authority, Some(path)),
                None => (rest, None),
            };
            let bracket = authority.rfind(']').map_or(0, |at| at + 1);
            let (host, port) = match authority[bracket..].rfind(':') {
                Some(at) => (&authority[..bracket + at], Some(&authority[bracket + at + 1..])),
                None => (authority, None),
            };
            if port.is_some_and(|port| port.is_empty() || !port.chars().all(|c| c.is_ascii_digit()))
            {
                return Err("invalid port".into());
            }
            (Some(host), port, path)
        }
    };
    let parameters = match query {
        None | Some("") => Value::Null,
        Some(query) => {
            let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_string(), Value::Text(value.to_string()))
            });
            Value::Object(pairs.collect())
        }
    };
    let fields = [
        ("fragment", text(fragment)),
        ("host", text(host.filter(|host| !host.is_empty()))),
        ("parameters", parameters),
        ("path", text(path)),
        ("port", text(port)),
        ("query", text(query)),
        ("scheme", Value::Text(scheme.to_lowercase())),
    ];
    Ok(Value::Object(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect()))
}

fn parse_url(rows: &Rows) -> KernelResult {
    let (urls, permissive) = (rows.texts(0)?, rows.integers(1)?);
    rows.build_variants(|row| {
        let (Some(url), Some(permissive)) = (urls.get(row), permissive.get(row)) else {
            return Ok(None);
        };
        match parts(url) {
            Ok(value) => Ok(Some(value)),
            Err(error) if permissive == 0 => Err(UserError::new(
                Code::InvalidArgument,
                format!("Error parsing URL: {error}: {url}"),
            )
            .into()),
            Err(error) => {
                let fields = BTreeMap::from([("error".to_string(), Value::Text(error))]);
                Ok(Some(Value::Object(fields)))
            }
        }
    })
}
