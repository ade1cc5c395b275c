//! A byte key whose order is the order of the values it was made of.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryBuilder};
use arrow::datatypes::{DataType, TimestampMicrosecondType, TimestampNanosecondType};
use datafusion::logical_expr::ScalarUDF;
use frazil_common::UserError;

use super::codec::VariantColumn;
use super::value::Value;
use crate::kernel::{KernelResult, Rows, udf};

fn signed(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend([0, 0]);
}

/// Sign, decimal exponent and digits; equal numbers have equal keys whatever their scale.
fn number(digits: &str, scale: i32, negative: bool, out: &mut Vec<u8>) {
    let digits = digits.trim_start_matches('0');
    let exponent = digits.len() as i32 - scale;
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        out.push(0x80);
        return;
    }
    let mut body = Vec::with_capacity(significant.len() + 3);
    body.extend(((exponent + 0x4000) as u16).to_be_bytes());
    body.extend(significant.bytes());
    body.push(0);
    if negative {
        out.push(0x40);
        out.extend(body.iter().map(|b| !b));
    } else {
        out.push(0xC0);
        out.extend(body);
    }
}

/// Appends the key of a value.
pub fn append_key(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0x70),
        Value::Boolean(v) => out.extend([0x10, u8::from(*v)]),
        Value::Number { value, scale } => {
            out.push(0x20);
            number(&value.unsigned_abs().to_string(), *scale as i32, *value < 0, out);
        }
        Value::Double(v) if v.is_finite() => {
            out.push(0x20);
            if let Some((value, scale)) = crate::number::parse(&format!("{v:e}")) {
                number(&value.unsigned_abs().to_string(), scale, value < 0, out);
            }
        }
        Value::Double(v) => {
            out.push(0x20);
            out.push(if v.is_nan() {
                0xFE
            } else if *v > 0.0 {
                0xF0
            } else {
                0x01
            });
        }
        Value::Text(text) => {
            out.push(0x30);
            escaped(text.as_bytes(), out);
        }
        Value::Binary(bytes) => {
            out.push(0x34);
            escaped(bytes, out);
        }
        Value::Date(days) => {
            out.push(0x40);
            out.extend(signed(*days as i64));
        }
        Value::Time(nanos) => {
            out.push(0x44);
            out.extend(signed(*nanos));
        }
        Value::Timestamp { moment, .. } => {
            out.push(0x48);
            out.extend(signed(moment.seconds));
            out.extend(moment.nanos.to_be_bytes());
        }
        Value::List(items) => {
            out.push(0x50);
            for item in items {
                out.push(1);
                append_key(item, out);
            }
            out.push(0);
        }
        Value::Object(fields) => {
            out.push(0x60);
            for (name, item) in fields {
                out.push(1);
                escaped(name.as_bytes(), out);
                append_key(item, out);
            }
            out.push(0);
        }
    }
}

/// `frazil_sort_key`: VARIANT, OBJECT, ARRAY or TIMESTAMP_TZ → Binary. Keys compare as the values
/// do, equal values have equal keys, NULL stays NULL; TIMESTAMP_TZ counts its instant alone.
pub fn sort_key_udf() -> Arc<ScalarUDF> {
    udf("frazil_sort_key", DataType::Binary, sort_key)
}

pub(crate) fn sort_key(rows: &Rows) -> KernelResult {
    let input = rows.input(0)?;
    let mut builder = BinaryBuilder::new();
    let mut key = Vec::new();
    match input.array.data_type() {
        DataType::Null => builder.append_nulls(rows.rows),
        DataType::Struct(fields) if fields.first().is_some_and(|f| f.name() == "instant") => {
            let column = input.array.as_struct();
            let instants = column.column(0);
            let micros = instants.as_primitive_opt::<TimestampMicrosecondType>();
            let nanos = instants.as_primitive_opt::<TimestampNanosecondType>();
            for row in 0..rows.rows {
                let row = input.row(row);
                if column.is_null(row) {
                    builder.append_null();
                    continue;
                }
                let value = match (micros, nanos) {
                    (Some(a), _) => (a.value(row) as i128) * 1000,
                    (_, Some(a)) => a.value(row) as i128,
                    _ => return Err(UserError::internal("TIMESTAMP_TZ has no instant").into()),
                };
                builder.append_value(((value as u128) ^ (1 << 127)).to_be_bytes());
            }
        }
        _ => {
            let column = VariantColumn::new(input.array.as_ref())?;
            for row in 0..rows.rows {
                match column.value(input.row(row)) {
                    Some(value) => {
                        key.clear();
                        append_key(&value, &mut key);
                        builder.append_value(&key);
                    }
                    None => builder.append_null(),
                }
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: Value) -> Vec<u8> {
        let mut out = Vec::new();
        append_key(&value, &mut out);
        out
    }

    #[test]
    fn numbers_order_by_value() {
        let ordered = [
            Value::Number { value: -1000, scale: 0 },
            Value::Double(-2.5),
            Value::Number { value: -25, scale: 2 },
            Value::integer(0),
            Value::Number { value: 5, scale: 1 },
            Value::Double(0.75),
            Value::integer(9),
            Value::integer(10),
            Value::Double(1e20),
        ];
        for pair in ordered.windows(2) {
            assert!(key(pair[0].clone()) < key(pair[1].clone()), "{pair:?}");
        }
        assert_eq!(key(Value::Number { value: 150, scale: 2 }), key(Value::Double(1.5)));
        assert!(key(Value::Text("a".into())) < key(Value::Text("ab".into())));
    }
}
