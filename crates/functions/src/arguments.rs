//! Checks and casts of a call's arguments.

use std::ops::RangeInclusive;

use datafusion::logical_expr::Expr;
use frazil_common::{Code, SqlType, UserError};

use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::kernel::{self, KernelFn};
use crate::typed::TypedExpr;

/// INTEGER arguments held in Int64.
pub(crate) const SMALL_INTEGER: SqlType = SqlType::Number { precision: 18, scale: 0 };

/// A call being bound.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    pub name: &'static str,
    pub values: Vec<TypedExpr>,
    pub facts: &'a Facts,
}

impl Arguments<'_> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Refuses calls with fewer or more arguments.
    pub fn expect(&self, count: RangeInclusive<usize>) -> Result<(), UserError> {
        let found = self.values.len();
        if count.contains(&found) {
            return Ok(());
        }
        let (code, few, wanted) = if found < *count.start() {
            (Code::ArgumentCount, "not enough", *count.start())
        } else {
            (Code::TooManyArguments, "too many", *count.end())
        };
        Err(UserError::new(
            code,
            format!("{few} arguments for function [{}], expected {wanted}, got {found}", self.name),
        ))
    }

    pub fn get(&self, index: usize) -> Result<&TypedExpr, UserError> {
        self.values.get(index).ok_or_else(|| {
            UserError::new(
                Code::ArgumentCount,
                format!(
                    "not enough arguments for function [{}], expected {}, got {}",
                    self.name,
                    index + 1,
                    self.values.len()
                ),
            )
        })
    }

    pub fn as_type(&self, index: usize, to: &SqlType) -> Result<TypedExpr, UserError> {
        cast(self.get(index)?.clone(), to, CastMode::Implicit, self.facts).map_err(|e| {
            match e.code {
                Code::InvalidArgumentTypes | Code::IncompatibleTypes => self.wrong_types(),
                _ => e,
            }
        })
    }

    pub fn text(&self, index: usize) -> Result<Expr, UserError> {
        Ok(self.as_type(index, &SqlType::TEXT)?.expr)
    }

    /// An integer held in Int64; fractions are rounded.
    pub fn integer(&self, index: usize) -> Result<Expr, UserError> {
        Ok(self.as_type(index, &SMALL_INTEGER)?.expr)
    }

    pub fn float(&self, index: usize) -> Result<Expr, UserError> {
        Ok(self.as_type(index, &SqlType::Float)?.expr)
    }

    pub fn boolean(&self, index: usize) -> Result<Expr, UserError> {
        Ok(self.as_type(index, &SqlType::Boolean)?.expr)
    }

    /// A VARIANT, OBJECT or ARRAY; other types become a VARIANT.
    pub fn variant(&self, index: usize) -> Result<Expr, UserError> {
        let value = self.get(index)?;
        if value.sql_type.is_semi_structured() {
            return Ok(value.expr.clone());
        }
        Ok(self.as_type(index, &SqlType::Variant)?.expr)
    }

    /// Any argument may be NULL.
    pub fn nullable(&self) -> bool {
        self.values.iter().any(|v| v.nullable)
    }

    pub fn constant_text(&self, index: usize) -> Result<String, UserError> {
        self.get(index)?.as_text_literal().ok_or_else(|| {
            UserError::new(
                Code::InvalidArgument,
                format!("argument {} to function {} needs to be constant", index + 1, self.name),
            )
        })
    }

    pub fn constant_integer(&self, index: usize) -> Result<i64, UserError> {
        self.get(index)?.as_integer_literal().ok_or_else(|| {
            UserError::new(
                Code::InvalidArgument,
                format!("argument {} to function {} needs to be constant", index + 1, self.name),
            )
        })
    }

    /// Snowflake's error for argument types a function does not take.
    pub fn wrong_types(&self) -> UserError {
        let types: Vec<String> = self.values.iter().map(|v| v.sql_type.to_string()).collect();
        UserError::new(
            Code::InvalidArgumentTypes,
            format!("Invalid argument types for function '{}': ({})", self.name, types.join(", ")),
        )
    }

    /// A kernel call with every argument cast to the type beside it; the last type repeats.
    pub fn kernel(
        &self,
        udf: &'static str,
        types: &[SqlType],
        returns: SqlType,
        run: KernelFn,
    ) -> Result<TypedExpr, UserError> {
        let mut args = Vec::with_capacity(self.values.len());
        for index in 0..self.values.len() {
            let to = types.get(index).or(types.last()).ok_or_else(|| self.wrong_types())?;
            args.push(self.as_type(index, to)?.expr);
        }
        Ok(kernel::call(udf, args, returns, self.nullable(), run))
    }

    /// A NULL-able kernel call of expressions already cast.
    pub fn call(
        &self,
        udf: &'static str,
        args: Vec<Expr>,
        returns: SqlType,
        run: KernelFn,
    ) -> TypedExpr {
        kernel::call(udf, args, returns, true, run)
    }
}
