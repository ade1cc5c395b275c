//! SQL operators with Snowflake's result types.

mod arithmetic;
mod comparison;
mod conditional;
mod path;
mod pattern;

pub(crate) use arithmetic::{divide_or_zero, number_type_of};
pub use comparison::{
    and, balanced, between, compare, in_list, is_distinct_from, is_false, is_not_null, is_null,
    is_true, not, or,
};
pub(crate) use comparison::{needs_key, sort_key};
pub use conditional::{case, coalesce};
pub(crate) use path::{get_path_kernel, parse_path, walk};
pub use path::{path_get, path_index};
pub(crate) use pattern::{Patterns, regex_error};
pub use pattern::{like, like_all, like_any, rlike};

use frazil_common::UserError;

use crate::facts::Facts;
use crate::typed::TypedExpr;

/// Operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOperator {
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    /// `||`
    Concat,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    And,
    Or,
}

/// Binds `left op right`.
pub fn binary(
    op: BinaryOperator,
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    use datafusion::logical_expr::Operator;
    match op {
        BinaryOperator::Plus => arithmetic::add(left, right, facts),
        BinaryOperator::Minus => arithmetic::subtract(left, right, facts),
        BinaryOperator::Multiply => arithmetic::multiply(left, right, facts),
        BinaryOperator::Divide => arithmetic::divide(left, right, facts),
        BinaryOperator::Modulo => arithmetic::modulo(left, right, facts),
        BinaryOperator::Concat => match crate::scalar("CONCAT") {
            Some(concat) => concat.bind(vec![left, right], facts),
            None => Err(UserError::internal("CONCAT is missing")),
        },
        BinaryOperator::Eq => compare(Operator::Eq, left, right, facts),
        BinaryOperator::NotEq => compare(Operator::NotEq, left, right, facts),
        BinaryOperator::Lt => compare(Operator::Lt, left, right, facts),
        BinaryOperator::LtEq => compare(Operator::LtEq, left, right, facts),
        BinaryOperator::Gt => compare(Operator::Gt, left, right, facts),
        BinaryOperator::GtEq => compare(Operator::GtEq, left, right, facts),
        BinaryOperator::And => and(left, right, facts),
        BinaryOperator::Or => or(left, right, facts),
    }
}

/// Binds unary minus.
pub fn negate(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    arithmetic::negate(value, facts)
}
