//! PARSE_IP: the parts of an IP address as an OBJECT.

use std::collections::BTreeMap;
use std::net::IpAddr;

use frazil_common::{Code, SqlType, UserError};

use crate::kernel::{KernelResult, Rows};
use crate::registry::Registry;
use crate::typed::TypedExpr;
use crate::variant::Value;

pub(crate) fn register(registry: &mut Registry) {
    registry.add(&["PARSE_IP"], |a| {
        a.expect(2..=3)?;
        let kind = a.constant_text(1)?;
        if !kind.eq_ignore_ascii_case("INET") {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid value '{kind}' for the type of PARSE_IP: INET"),
            ));
        }
        let permissive = if a.len() > 2 { a.integer(2)? } else { TypedExpr::number(0, 18, 0).expr };
        let args = vec![a.text(0)?, permissive];
        Ok(a.call("frazil_parse_ip", args, SqlType::Object, parse_ip))
    });
}

fn number(value: u32) -> Value {
    Value::integer(value as i64)
}

/// The address and its range, as a network prefix of that many bits leaves them.
fn range(bits: u128, width: u32, prefix: u32) -> (u128, u128) {
    let free = width - prefix;
    let mask = if free == 128 { u128::MAX } else { (1u128 << free) - 1 };
    (bits & !mask, bits | mask)
}

fn parts(text: &str) -> Option<BTreeMap<String, Value>> {
    let (host, prefix) = match text.split_once('/') {
        Some((host, prefix)) => (host, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let mut fields: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: &str, value: Value| {
        fields.insert(name.to_string(), value);
    };
    add("host", Value::Text(host.to_string()));
    add("ip_type", Value::Text("inet".into()));
    add("netmask_prefix_length", prefix.map_or(Value::Null, number));
    add("snowflake$type", Value::Text("ip_address".into()));
    match host.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let words = vec![number(bits), number(0), number(0), number(0)];
            add("family", number(4));
            add("ip_fields", Value::List(words));
            add("ipv4", number(bits));
            let prefix = prefix.unwrap_or(32);
            if prefix > 32 {
                return None;
            }
            let (first, last) = range(bits as u128, 32, prefix);
            add("ipv4_range_start", number(first as u32));
            add("ipv4_range_end", number(last as u32));
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let words = (0..4).rev().map(|word| number((bits >> (32 * word)) as u32)).collect();
            add("family", number(6));
            add("ip_fields", Value::List(words));
            let hex = |bits: u128| Value::Text(format!("{bits:032X}"));
            add("hex_ipv6", hex(bits));
            let prefix = prefix.unwrap_or(128);
            if prefix > 128 {
                return None;
            }
            let (first, last) = range(bits, 128, prefix);
            add("hex_ipv6_range_start", hex(first));
            add("hex_ipv6_range_end", hex(last));
        }
    }
    Some(fields)
}

fn parse_ip(rows: &Rows) -> KernelResult {
    let (texts, permissive) = (rows.texts(0)?, rows.integers(1)?);
    rows.build_variants(|row| {
        let (Some(text), Some(permissive)) = (texts.get(row), permissive.get(row)) else {
            return Ok(None);
        };
        if let Some(fields) = parts(text) {
            return Ok(Some(Value::Object(fields)));
        }
        let error = format!("Could not parse IP {text}");
        if permissive == 0 {
            return Err(UserError::new(Code::InvalidArgument, error).into());
        }
        Ok(Some(Value::Object(BTreeMap::from([("error".to_string(), Value::Text(error))]))))
    })
}
