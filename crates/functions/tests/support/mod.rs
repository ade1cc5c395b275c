//! Binds and evaluates calls, and shows results as text.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use datafusion::common::ScalarValue;
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{Facts, TypedExpr, evaluate_constant, scalar};

pub fn t(text: &str) -> TypedExpr {
    TypedExpr::text(text)
}

pub fn i(value: i64) -> TypedExpr {
    TypedExpr::integer(value)
}

pub fn f(value: f64) -> TypedExpr {
    TypedExpr::float(value)
}

pub fn b(value: bool) -> TypedExpr {
    TypedExpr::boolean(value)
}

pub fn null() -> TypedExpr {
    TypedExpr::null()
}

/// A NUMBER literal as written.
pub fn n(text: &str) -> TypedExpr {
    let scale = text.split_once('.').map_or(0, |(_, f)| f.len()) as u8;
    let digits: i128 = text.replace('.', "").parse().unwrap();
    let precision = digits.unsigned_abs().to_string().len().max(scale as usize) as u8;
    TypedExpr::number(digits, precision, scale)
}

pub fn to(value: TypedExpr, sql_type: SqlType) -> TypedExpr {
    cast(value, &sql_type, CastMode::Explicit, &Facts::default()).unwrap()
}

pub fn d(text: &str) -> TypedExpr {
    to(t(text), SqlType::Date)
}

pub fn ts(text: &str) -> TypedExpr {
    to(t(text), SqlType::TIMESTAMP_NTZ)
}

pub fn json(text: &str) -> TypedExpr {
    call("PARSE_JSON", vec![t(text)]).unwrap()
}

pub fn call(name: &str, args: Vec<TypedExpr>) -> Result<TypedExpr, UserError> {
    scalar(name).unwrap_or_else(|| panic!("no function {name}")).bind(args, &Facts::default())
}

/// The text of a constant, `NULL` for NULL.
pub fn shown(value: Result<TypedExpr, UserError>) -> String {
    let value = match value {
        Ok(value) => value,
        Err(e) => return format!("!{}", e.code.number()),
    };
    match evaluate_constant(&value) {
        Ok(v) => assert!(
            v.data_type() == value.sql_type.to_arrow(),
            "{:?} is not {}",
            v.data_type(),
            value.sql_type
        ),
        Err(e) => {
            println!("{e}");
            return format!("!{}", e.code.number());
        }
    }
    let text = cast(value, &SqlType::TEXT, CastMode::Explicit, &Facts::default());
    match text.and_then(|t| evaluate_constant(&t)) {
        Ok(ScalarValue::Utf8View(Some(text))) => text,
        Ok(other) if other.is_null() => "NULL".into(),
        Ok(other) => panic!("{other:?}"),
        Err(e) => format!("!{}", e.code.number()),
    }
}

pub fn show(name: &str, args: Vec<TypedExpr>) -> String {
    shown(call(name, args))
}

pub fn code(number: u32) -> String {
    let _ = Code::Internal;
    format!("!{number}")
}

/// Checks `NAME(args) => expected` for each line and tells all that differ.
#[macro_export]
macro_rules! check {
    ($($name:ident($($arg:expr),*) => $expected:expr;)*) => {{
        let mut wrong: Vec<String> = Vec::new();
        $({
            let found = support::show(stringify!($name), vec![$($arg),*]);
            if found != $expected {
                let call = concat!(stringify!($name), "(", stringify!($($arg),*), ")");
                wrong.push(format!("{}: {found}, not {}", call, $expected));
            }
        })*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}
