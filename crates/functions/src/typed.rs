//! An expression with the SQL type that Arrow alone cannot tell.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use frazil_common::SqlType;

/// A bound expression. The Arrow type of `expr` always equals `sql_type.to_arrow()`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedExpr {
    pub expr: Expr,
    pub sql_type: SqlType,
    pub nullable: bool,
}

impl TypedExpr {
    pub fn new(expr: Expr, sql_type: SqlType, nullable: bool) -> Self {
        TypedExpr { expr, sql_type, nullable }
    }

    fn scalar(value: ScalarValue, sql_type: SqlType) -> Self {
        let nullable = value.is_null();
        TypedExpr { expr: Expr::Literal(value, None), sql_type, nullable }
    }

    /// A bare NULL.
    pub fn null() -> Self {
        Self::scalar(ScalarValue::Null, SqlType::Null)
    }

    /// NULL of a type.
    pub fn null_of(sql_type: SqlType) -> Self {
        let value = ScalarValue::try_from(&sql_type.to_arrow()).unwrap_or(ScalarValue::Null);
        Self::scalar(value, sql_type)
    }

    /// A NUMBER literal; `value` counts units of 10^-scale.
    pub fn number(value: i128, precision: u8, scale: u8) -> Self {
        let literal = if scale == 0 && precision <= 18 {
            ScalarValue::Int64(Some(value as i64))
        } else {
            ScalarValue::Decimal128(Some(value), precision, scale as i8)
        };
        Self::scalar(literal, SqlType::Number { precision, scale })
    }

    /// An integer literal with the least precision that holds it.
    pub fn integer(value: i64) -> Self {
        let precision = crate::number::digits(value as i128).max(1);
        Self::number(value as i128, precision, 0)
    }

    pub fn float(value: f64) -> Self {
        Self::scalar(ScalarValue::Float64(Some(value)), SqlType::Float)
    }

    pub fn text(value: &str) -> Self {
        let length = (value.chars().count() as u32).max(1);
        Self::scalar(ScalarValue::Utf8View(Some(value.to_string())), SqlType::Varchar { length })
    }

    pub fn boolean(value: bool) -> Self {
        Self::scalar(ScalarValue::Boolean(Some(value)), SqlType::Boolean)
    }

    /// A DATE literal, in days since 1970-01-01.
    pub fn date(days: i32) -> Self {
        Self::scalar(ScalarValue::Date32(Some(days)), SqlType::Date)
    }

    /// A BINARY literal.
    pub fn binary(bytes: Vec<u8>) -> Self {
        let length = (bytes.len() as u32).max(1);
        Self::scalar(ScalarValue::Binary(Some(bytes)), SqlType::Binary { length })
    }

    /// A literal of any type; `value` must be of the type's Arrow type.
    pub fn literal(value: ScalarValue, sql_type: SqlType) -> Self {
        Self::scalar(value, sql_type)
    }

    /// The literal's value, if this is a literal.
    pub fn as_literal(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        }
    }

    pub fn is_null_literal(&self) -> bool {
        self.as_literal().is_some_and(ScalarValue::is_null)
    }

    pub fn as_text_literal(&self) -> Option<String> {
        match self.as_literal()? {
            ScalarValue::Utf8View(text) | ScalarValue::Utf8(text) => text.clone(),
            _ => None,
        }
    }

    /// The value of an integer literal (or of a NUMBER literal without a fraction).
    pub fn as_integer_literal(&self) -> Option<i64> {
        match self.as_literal()? {
            ScalarValue::Int64(value) => *value,
            ScalarValue::Decimal128(Some(value), _, scale) => {
                let unit = crate::number::power_of_ten(u8::try_from(*scale).ok()?)?;
                if value % unit == 0 { i64::try_from(value / unit).ok() } else { None }
            }
            _ => None,
        }
    }

    pub fn as_boolean_literal(&self) -> Option<bool> {
        match self.as_literal()? {
            ScalarValue::Boolean(value) => *value,
            _ => None,
        }
    }
}
