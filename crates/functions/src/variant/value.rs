//! A semi-structured value in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime};
use parquet_variant::{
    ListBuilder, ObjectBuilder, Variant, VariantDecimal4, VariantDecimal8, VariantDecimal16,
};

use crate::temporal::Moment;

/// A value of a VARIANT. Numbers keep their digits.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON null, which is not SQL NULL.
    Null,
    Boolean(bool),
    /// `value` counts units of 10^-scale.
    Number {
        value: i128,
        scale: u8,
    },
    Double(f64),
    Text(String),
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Wall clock, or an instant in UTC.
    Timestamp {
        moment: Moment,
        instant: bool,
        nanos: bool,
    },
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

fn decimal<'v>(value: i128, scale: u8) -> Variant<'static, 'v> {
    if scale == 0
        && let Ok(whole) = i64::try_from(value)
    {
        return integer(whole);
    }
    if let Ok(small) = i32::try_from(value)
        && let Ok(small) = VariantDecimal4::try_new(small, scale)
    {
        return small.into();
    }
    if let Ok(middle) = i64::try_from(value)
        && let Ok(middle) = VariantDecimal8::try_new(middle, scale)
    {
        return middle.into();
    }
    match VariantDecimal16::try_new(value, scale) {
        Ok(large) => large.into(),
        Err(_) => Variant::Double(crate::number::to_float(value, scale)),
    }
}

fn integer<'v>(value: i64) -> Variant<'static, 'v> {
    if let Ok(value) = i8::try_from(value) {
        Variant::Int8(value)
    } else if let Ok(value) = i16::try_from(value) {
        Variant::Int16(value)
    } else if let Ok(value) = i32::try_from(value) {
        Variant::Int32(value)
    } else {
        Variant::Int64(value)
    }
}

impl Value {
    pub fn integer(value: i64) -> Value {
        Value::Number { value: value as i128, scale: 0 }
    }

    /// Snowflake's TYPEOF.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NULL_VALUE",
            Value::Boolean(_) => "BOOLEAN",
            Value::Number { scale: 0, .. } => "INTEGER",
            Value::Number { .. } => "DECIMAL",
            Value::Double(_) => "DOUBLE",
            Value::Text(_) => "VARCHAR",
            Value::Binary(_) => "BINARY",
            Value::Date(_) => "DATE",
            Value::Time(_) => "TIME",
            Value::Timestamp { instant: false, .. } => "TIMESTAMP_NTZ",
            Value::Timestamp { instant: true, .. } => "TIMESTAMP_LTZ",
            Value::List(_) => "ARRAY",
            Value::Object(_) => "OBJECT",
        }
    }

    pub fn is_container(&self) -> bool {
        matches!(self, Value::List(_) | Value::Object(_))
    }

    /// Reads a stored value.
    pub fn decode(variant: &Variant) -> Value {
        let moment = |seconds: i64, nanos: u32| Moment { seconds, nanos };
        let number = |value: i128, scale: u8| Value::Number { value, scale };
        match variant {
            Variant::Null => Value::Null,
            Variant::BooleanTrue => Value::Boolean(true),
            Variant::BooleanFalse => Value::Boolean(false),
            Variant::Int8(v) => number(*v as i128, 0),
            Variant::Int16(v) => number(*v as i128, 0),
            Variant::Int32(v) => number(*v as i128, 0),
            Variant::Int64(v) => number(*v as i128, 0),
            Variant::Decimal4(d) => number(d.integer() as i128, d.scale()),
            Variant::Decimal8(d) => number(d.integer() as i128, d.scale()),
            Variant::Decimal16(d) => number(d.integer(), d.scale()),
            Variant::Float(v) => Value::Double(*v as f64),
            Variant::Double(v) => Value::Double(*v),
            Variant::Binary(bytes) => Value::Binary(bytes.to_vec()),
            Variant::String(text) => Value::Text(text.to_string()),
            Variant::ShortString(text) => Value::Text(text.as_str().to_string()),
            Variant::Uuid(id) => Value::Text(id.to_string()),
            Variant::Date(date) => Value::Date((*date - NaiveDate::default()).num_days() as i32),
            Variant::Time(time) => {
                Value::Time((*time - NaiveTime::MIN).num_nanoseconds().unwrap_or(0))
            }
            Variant::TimestampMicros(at) | Variant::TimestampNanos(at) => Value::Timestamp {
                moment: moment(at.timestamp(), at.timestamp_subsec_nanos()),
                instant: true,
                nanos: matches!(variant, Variant::TimestampNanos(_)),
            },
            Variant::TimestampNtzMicros(at) | Variant::TimestampNtzNanos(at) => Value::Timestamp {
                moment: moment(at.and_utc().timestamp(), at.and_utc().timestamp_subsec_nanos()),
                instant: false,
                nanos: matches!(variant, Variant::TimestampNtzNanos(_)),
            },
            Variant::List(list) => Value::List(list.iter().map(|v| Value::decode(&v)).collect()),
            Variant::Object(object) => Value::Object(
                object.iter().map(|(k, v)| (k.to_string(), Value::decode(&v))).collect(),
            ),
        }
    }

    fn scalar(&self) -> Variant<'_, '_> {
        match self {
            Value::Null | Value::List(_) | Value::Object(_) => Variant::Null,
            Value::Boolean(true) => Variant::BooleanTrue,
            Value::Boolean(false) => Variant::BooleanFalse,
            Value::Number { value, scale } => decimal(*value, *scale),
            Value::Double(v) => Variant::Double(*v),
            Value::Text(text) => Variant::from(text.as_str()),
            Value::Binary(bytes) => Variant::Binary(bytes),
            Value::Date(days) => Variant::Date(
                NaiveDate::default()
                    .checked_add_signed(chrono::TimeDelta::days(*days as i64))
                    .unwrap_or_default(),
            ),
            Value::Time(nanos) => Variant::Time(
                NaiveTime::from_num_seconds_from_midnight_opt(
                    (nanos / 1_000_000_000) as u32,
                    (nanos % 1_000_000_000) as u32,
                )
                .unwrap_or_default(),
            ),
            Value::Timestamp { moment, instant, nanos } => {
                let at = DateTime::from_timestamp(moment.seconds, moment.nanos).unwrap_or_default();
                match (instant, nanos) {
                    (true, false) => Variant::TimestampMicros(at),
                    (true, true) => Variant::TimestampNanos(at),
                    (false, false) => Variant::TimestampNtzMicros(at.naive_utc()),
                    (false, true) => Variant::TimestampNtzNanos(at.naive_utc()),
                }
            }
        }
    }

    /// Metadata and value bytes of the Parquet Variant encoding.
    pub fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let mut builder = parquet_variant::VariantBuilder::new();
        match self {
            Value::List(items) => {
                let mut list = builder.new_list();
                fill_list(items, &mut list);
                list.finish();
            }
            Value::Object(fields) => {
                // Names in order give sorted metadata, which is searched faster.
                let mut object = builder.new_object();
                fill_object(fields, &mut object);
                object.finish();
            }
            scalar => builder.append_value(scalar.scalar()),
        }
        builder.finish()
    }
}

fn fill_list<S: parquet_variant::BuilderSpecificState>(
    items: &[Value],
    list: &mut ListBuilder<'_, S>,
) {
    for item in items {
        match item {
            Value::List(items) => {
                let mut inner = list.new_list();
                fill_list(items, &mut inner);
                inner.finish();
            }
            Value::Object(fields) => {
                let mut inner = list.new_object();
                fill_object(fields, &mut inner);
                inner.finish();
            }
            scalar => list.append_value(scalar.scalar()),
        }
    }
}

fn fill_object<S: parquet_variant::BuilderSpecificState>(
    fields: &BTreeMap<String, Value>,
    object: &mut ObjectBuilder<'_, S>,
) {
    for (name, value) in fields {
        match value {
            Value::List(items) => {
                let mut inner = object.new_list(name);
                fill_list(items, &mut inner);
                inner.finish();
            }
            Value::Object(fields) => {
                let mut inner = object.new_object(name);
                fill_object(fields, &mut inner);
                inner.finish();
            }
            scalar => object.insert(name, scalar.scalar()),
        }
    }
}
