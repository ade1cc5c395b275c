//! Expressions of the syntax tree as typed DataFusion expressions.

mod column;
pub(crate) mod correlated;
mod function;
mod lambda;
mod literal;
mod model;
mod operator;
mod search;
mod size;
pub(crate) mod subquery;
pub(crate) mod window;

use frazil_common::{Code, SqlType, UserError};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::operators::{self, BinaryOperator};
use frazil_functions::{TypedExpr, scalar};
use sqlparser::ast::{self, Expr as Syntax, Spanned};

use crate::binder::Binder;
use crate::error::{At, Result, refuse, unsupported};
use crate::scope::{Env, Truth};
use crate::types::sql_type;

pub(crate) use function::{arguments_of, contains_aggregate, contains_window};

/// Where in a filter the parts of an expression stand. IN, ANY and ALL see to their operands themselves.
fn truth_below(expr: &Syntax, truth: Truth) -> Truth {
    match expr {
        Syntax::Nested(_)
        | Syntax::BinaryOp { left: _, op: ast::BinaryOperator::And, right: _ }
        | Syntax::InSubquery { expr: _, subquery: _, negated: _ }
        | Syntax::AnyOp { left: _, compare_op: _, right: _, is_some: _ }
        | Syntax::AllOp { left: _, compare_op: _, right: _ } => truth,
        Syntax::BinaryOp { left: _, op: ast::BinaryOperator::Or, right: _ }
            if truth != Truth::Value =>
        {
            Truth::Disjunct
        }
        Syntax::UnaryOp { op: ast::UnaryOperator::Not, expr } if in_subquery(expr).is_some() => {
            truth
        }
        _ => Truth::Value,
    }
}

/// The parts of `x [NOT] IN (SELECT …)`, in parentheses or not.
fn in_subquery(expr: &Syntax) -> Option<(&Syntax, &ast::Query, bool)> {
    match expr {
        Syntax::Nested(inner) => in_subquery(inner),
        Syntax::InSubquery { expr, subquery, negated } => Some((expr, subquery, *negated)),
        _ => None,
    }
}

impl Binder<'_> {
    /// Binds an expression where `env` says what it may use.
    pub fn expr(&mut self, expr: &Syntax, env: &Env) -> Result<TypedExpr> {
        self.ctx.check_stopped()?;
        self.expr_depth += 1;
        let below = truth_below(expr, env.truth);
        let bound = if below == env.truth {
            self.bind_any(expr, env)
        } else {
            self.bind_any(expr, &env.with_truth(below))
        };
        let bound = bound.at(expr.span());
        self.expr_depth -= 1;
        let bound = bound?;
        self.count_nodes(expr, &bound, self.expr_depth == 0)?;
        debug_assert!(bound.sql_type != SqlType::Null || bound.nullable);
        Ok(bound)
    }

    /// Binds a condition.
    pub fn condition(&mut self, expr: &Syntax, env: &Env) -> Result<TypedExpr> {
        let bound = self.expr(expr, env)?;
        let span = expr.span();
        Ok(cast(bound, &SqlType::Boolean, CastMode::Implicit, self.ctx.facts)
            .map_err(|error| error.at(crate::error::position(span)))?)
    }

    pub fn exprs(&mut self, list: &[Syntax], env: &Env) -> Result<Vec<TypedExpr>> {
        list.iter().map(|expr| self.expr(expr, env)).collect()
    }

    /// Calls a scalar function by name.
    pub fn call(&mut self, name: &str, args: Vec<TypedExpr>) -> Result<TypedExpr> {
        match scalar(name) {
            Some(function) => Ok(function.bind(args, self.ctx.facts)?),
            None => unsupported(format!("function {name}")),
        }
    }

    fn bind_any(&mut self, expr: &Syntax, env: &Env) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        match expr {
            Syntax::Identifier(ident) => self.name(std::slice::from_ref(ident), env),
            Syntax::CompoundIdentifier(idents) => self.name(idents, env),
            Syntax::Value(ast::ValueWithSpan { value, span: _ }) => self.value(value, env),
            Syntax::Nested(inner) => self.expr(inner, env),
            Syntax::BinaryOp { .. } => self.binary_chain(expr, env),
            Syntax::UnaryOp { op, expr } => self.unary(*op, expr, env),
            Syntax::Function(function) => self.function(function, env),
            Syntax::Cast { kind, expr, data_type, array, format } => {
                refuse(*array, "CAST … ARRAY")?;
                refuse(format.is_some(), "CAST … FORMAT")?;
                let to = sql_type(data_type)?;
                let mode = match kind {
                    ast::CastKind::Cast | ast::CastKind::DoubleColon => CastMode::Explicit,
                    ast::CastKind::TryCast => CastMode::Try,
                    ast::CastKind::SafeCast => return unsupported("SAFE_CAST"),
                };
                let value = self.expr(expr, env)?;
                Ok(cast(value, &to, mode, facts)?)
            }
            Syntax::TypedString(ast::TypedString { data_type, value, uses_odbc_syntax }) => {
                refuse(*uses_odbc_syntax, "ODBC escapes")?;
                let to = sql_type(data_type)?;
                let value = self.value(&value.value, env)?;
                Ok(cast(value, &to, CastMode::Explicit, facts)?)
            }
            Syntax::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                let operand = operand.as_ref().map(|e| self.expr(e, env)).transpose()?;
                let searched = operand.is_none();
                let mut whens = Vec::with_capacity(conditions.len());
                for ast::CaseWhen { condition, result } in conditions {
                    let condition = if searched {
                        self.condition(condition, env)?
                    } else {
                        self.expr(condition, env)?
                    };
                    whens.push((condition, self.expr(result, env)?));
                }
                let otherwise = else_result.as_ref().map(|e| self.expr(e, env)).transpose()?;
                Ok(operators::case(operand, whens, otherwise, facts)?)
            }
            Syntax::IsNull(inner) => Ok(operators::is_null(self.expr(inner, env)?)),
            Syntax::IsNotNull(inner) => Ok(operators::is_not_null(self.expr(inner, env)?)),
            Syntax::IsTrue(inner) => Ok(operators::is_true(self.expr(inner, env)?, false, facts)?),
            Syntax::IsNotTrue(inner) => {
                Ok(operators::is_true(self.expr(inner, env)?, true, facts)?)
            }
            Syntax::IsFalse(inner) => {
                Ok(operators::is_false(self.expr(inner, env)?, false, facts)?)
            }
            Syntax::IsNotFalse(inner) => {
                Ok(operators::is_false(self.expr(inner, env)?, true, facts)?)
            }
            Syntax::IsUnknown(inner) => Ok(operators::is_null(self.expr(inner, env)?)),
            Syntax::IsNotUnknown(inner) => Ok(operators::is_not_null(self.expr(inner, env)?)),
            Syntax::IsDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left, env)?, self.expr(right, env)?);
                Ok(operators::is_distinct_from(left, right, false, facts)?)
            }
            Syntax::IsNotDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left, env)?, self.expr(right, env)?);
                Ok(operators::is_distinct_from(left, right, true, facts)?)
            }
            Syntax::InList { expr, list, negated } => self.in_list(expr, list, *negated, env),
            Syntax::Between { expr, negated, low, high } => {
                let value = self.expr(expr, env)?;
                let (low, high) = (self.expr(low, env)?, self.expr(high, env)?);
                Ok(operators::between(value, low, high, *negated, facts)?)
            }
            Syntax::Like { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), *negated, *any, false, env)
            }
            Syntax::ILike { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), *negated, *any, true, env)
            }
            Syntax::RLike { negated, expr, pattern, regexp: _ } => {
                let (value, pattern) = (self.expr(expr, env)?, self.expr(pattern, env)?);
                Ok(operators::rlike(value, pattern, *negated, facts)?)
            }
            Syntax::JsonAccess { value, path: ast::JsonPath { path } } => {
                let value = self.expr(value, env)?;
                self.path(value, path, env)
            }
            Syntax::CompoundFieldAccess { root, access_chain } => {
                let root = self.expr(root, env)?;
                self.access_chain(root, access_chain, env)
            }
            Syntax::Extract { field, syntax: _, expr } => {
                let value = self.expr(expr, env)?;
                let part = literal::date_time_field(field)?;
                self.call("DATE_PART", vec![TypedExpr::text(&part), value])
            }
            Syntax::Ceil { expr, field } => self.round("CEIL", expr, field, env),
            Syntax::Floor { expr, field } => self.round("FLOOR", expr, field, env),
            Syntax::Position { expr, r#in } => {
                let (needle, text) = (self.expr(expr, env)?, self.expr(r#in, env)?);
                self.call("POSITION", vec![needle, text])
            }
            Syntax::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                let mut args = vec![self.expr(expr, env)?];
                match (substring_from, substring_for) {
                    (Some(from), None) => args.push(self.expr(from, env)?),
                    (Some(from), Some(count)) => {
                        args.push(self.expr(from, env)?);
                        args.push(self.expr(count, env)?);
                    }
                    (None, Some(count)) => {
                        args.push(TypedExpr::integer(1));
                        args.push(self.expr(count, env)?);
                    }
                    (None, None) => {}
                }
                self.call("SUBSTR", args)
            }
            Syntax::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "TRIM",
                    Some(ast::TrimWhereField::Leading) => "LTRIM",
                    Some(ast::TrimWhereField::Trailing) => "RTRIM",
                };
                let mut args = vec![self.expr(expr, env)?];
                args.extend(trim_what.as_ref().map(|e| self.expr(e, env)).transpose()?);
                args.extend(self.exprs(trim_characters.as_deref().unwrap_or(&[]), env)?);
                self.call(name, args)
            }
            Syntax::Overlay { .. } => unsupported("OVERLAY"),
            Syntax::Collate { expr, collation } => {
                let name = collation.to_string();
                let value = self.expr(expr, env)?;
                self.call("COLLATE", vec![value, TypedExpr::text(name.trim_matches(['\'', '"']))])
            }
            Syntax::AtTimeZone { .. } => unsupported("AT TIME ZONE"),
            Syntax::Array(ast::Array { elem, named: _ }) => {
                let items = self.exprs(elem, env)?;
                self.call("ARRAY_CONSTRUCT", items)
            }
            Syntax::Dictionary(fields) => {
                let mut args = Vec::with_capacity(fields.len() * 2);
                for ast::DictionaryField { key, value } in fields {
                    args.push(TypedExpr::text(&key.value));
                    args.push(self.expr(value, env)?);
                }
                self.call("OBJECT_CONSTRUCT", args)
            }
            Syntax::Subquery(query) => self.scalar_subquery(query, env),
            Syntax::Exists { subquery, negated } => self.exists(subquery, *negated, env),
            Syntax::InSubquery { expr, subquery, negated } => {
                self.in_subquery(expr, subquery, *negated, env)
            }
            Syntax::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, compare_op, right, false, env)
            }
            Syntax::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right, true, env)
            }
            Syntax::Interval(_) => Err(UserError::new(
                Code::InvalidArgumentTypes,
                "an INTERVAL can only be added to or subtracted from a date or timestamp",
            )
            .into()),
            Syntax::GroupingSets(_) | Syntax::Cube(_) | Syntax::Rollup(_) => {
                Err(UserError::syntax("grouping sets are allowed in GROUP BY only").into())
            }
            Syntax::Tuple(_) => {
                Err(UserError::syntax("a list in parentheses is not allowed here").into())
            }
            Syntax::Wildcard(_) | Syntax::QualifiedWildcard(..) => {
                Err(UserError::syntax("* is not allowed here").into())
            }
            Syntax::Prefixed { prefix, value: _ } => unsupported(format!("prefix {prefix}")),
            Syntax::IsNormalized { .. } => unsupported("IS NORMALIZED"),
            Syntax::InUnnest { .. } => unsupported("IN UNNEST"),
            Syntax::SimilarTo { .. } => unsupported("SIMILAR TO"),
            Syntax::Convert { .. } => unsupported("CONVERT"),
            Syntax::Struct { .. } => unsupported("STRUCT"),
            Syntax::Named { .. } => unsupported("named expressions"),
            Syntax::Map(_) => unsupported("MAP literals"),
            Syntax::MatchAgainst { .. } => unsupported("MATCH AGAINST"),
            Syntax::OuterJoin(_) => unsupported("the (+) outer join"),
            Syntax::Prior(_) => unsupported("PRIOR"),
            Syntax::Lambda(_) => Err(UserError::syntax(
                "a lambda expression is allowed only as an argument of FILTER, TRANSFORM and REDUCE",
            )
            .into()),
            Syntax::MemberOf(_) => unsupported("MEMBER OF"),
        }
    }

    fn round(
        &mut self,
        name: &str,
        expr: &Syntax,
        field: &ast::CeilFloorKind,
        env: &Env,
    ) -> Result<TypedExpr> {
        let mut args = vec![self.expr(expr, env)?];
        match field {
            ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {}
            ast::CeilFloorKind::DateTimeField(_) => return unsupported(format!("{name} … TO")),
            ast::CeilFloorKind::Scale(scale) => args.push(self.value(&scale.value, env)?),
        }
        self.call(name, args)
    }

    fn in_list(
        &mut self,
        expr: &Syntax,
        list: &[Syntax],
        negated: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        if let Some(left) = operator::tuple(expr) {
            // (a, b) IN ((1, 2), …): one comparison per row.
            let mut any: Option<TypedExpr> = None;
            for item in list {
                let right = operator::tuple(item)
                    .ok_or_else(|| UserError::syntax("rows of IN differ in length"))?;
                let equal = self.tuples_equal(left, right, env)?;
                any = Some(match any {
                    None => equal,
                    Some(any) => operators::or(any, equal, facts)?,
                });
            }
            let any = operators::balanced(any.unwrap_or_else(|| TypedExpr::boolean(false)));
            return Ok(if negated { operators::not(any, facts)? } else { any });
        }
        let value = self.expr(expr, env)?;
        let items = self.exprs(list, env)?;
        Ok(operators::in_list(value, items, negated, facts)?)
    }

    #[allow(clippy::too_many_arguments)]
    fn like(
        &mut self,
        expr: &Syntax,
        pattern: &Syntax,
        escape: Option<&ast::ValueWithSpan>,
        negated: bool,
        any: bool,
        insensitive: bool,
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        let escape = match escape {
            None => None,
            Some(ast::ValueWithSpan { value, span }) => {
                let text = self.value(value, env)?.as_text_literal().unwrap_or_default();
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => {
                        return Err(UserError::new(
                            Code::InvalidArgument,
                            format!("Invalid escape '{text}': it must be one character."),
                        )
                        .at(crate::error::position(*span))
                        .into());
                    }
                }
            }
        };
        let value = self.expr(expr, env)?;
        if any {
            let patterns = match operator::tuple(pattern) {
                Some(patterns) => self.exprs(patterns, env)?,
                None => vec![self.expr(pattern, env)?],
            };
            return Ok(operators::like_any(value, patterns, escape, insensitive, negated, facts)?);
        }
        // LIKE ALL (…) reads as a call of a function ALL.
        if let Syntax::Function(function) = pattern
            && function.name.to_string().eq_ignore_ascii_case("ALL")
        {
            let patterns = arguments_of(function)?;
            let patterns = self.exprs(&patterns, env)?;
            return Ok(operators::like_all(value, patterns, escape, insensitive, negated, facts)?);
        }
        let pattern = self.expr(pattern, env)?;
        Ok(operators::like(value, pattern, escape, insensitive, negated, facts)?)
    }

    /// `v:a.b[0]` and `o['k']`.
    fn path(
        &mut self,
        mut value: TypedExpr,
        path: &[ast::JsonPathElem],
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        for element in path {
            value = match element {
                ast::JsonPathElem::Dot { key, quoted: _ } => operators::path_get(value, key)?,
                ast::JsonPathElem::Bracket { key } | ast::JsonPathElem::ColonBracket { key } => {
                    let index = self.expr(key, env)?;
                    operators::path_index(value, index, facts)?
                }
            };
        }
        Ok(value)
    }

    fn access_chain(
        &mut self,
        mut value: TypedExpr,
        chain: &[ast::AccessExpr],
        env: &Env,
    ) -> Result<TypedExpr> {
        let facts = self.ctx.facts;
        for access in chain {
            value = match access {
                ast::AccessExpr::Dot(Syntax::Identifier(ident)) => {
                    operators::path_get(value, &ident.value)?
                }
                ast::AccessExpr::Dot(other) => return unsupported(format!(".{other}")),
                ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => {
                    let index = self.expr(index, env)?;
                    operators::path_index(value, index, facts)?
                }
                ast::AccessExpr::Subscript(ast::Subscript::Slice {
                    lower_bound: _,
                    upper_bound: _,
                    stride: _,
                }) => return unsupported("array slices"),
            };
        }
        Ok(value)
    }
}

/// The operator of the syntax tree as a binary operator of the functions.
pub(crate) fn binary_operator(op: &ast::BinaryOperator) -> Option<BinaryOperator> {
    use ast::BinaryOperator as B;
    Some(match op {
        B::Plus => BinaryOperator::Plus,
        B::Minus => BinaryOperator::Minus,
        B::Multiply => BinaryOperator::Multiply,
        B::Divide => BinaryOperator::Divide,
        B::Modulo => BinaryOperator::Modulo,
        B::StringConcat => BinaryOperator::Concat,
        B::Eq => BinaryOperator::Eq,
        B::NotEq => BinaryOperator::NotEq,
        B::Lt => BinaryOperator::Lt,
        B::LtEq => BinaryOperator::LtEq,
        B::Gt => BinaryOperator::Gt,
        B::GtEq => BinaryOperator::GtEq,
        B::And => BinaryOperator::And,
        B::Or => BinaryOperator::Or,
        _ => return None,
    })
}
