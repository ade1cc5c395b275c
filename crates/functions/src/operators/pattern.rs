//! LIKE, ILIKE, their ANY and ALL forms, and RLIKE.

use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Like;
use frazil_common::{Code, SqlType, UserError};
use regex::{Regex, RegexBuilder};

use super::comparison::{and, not, or};
use crate::cast::{CastMode, cast};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows, call};
use crate::typed::TypedExpr;

fn text(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    let value = match value.sql_type {
        SqlType::Varchar { .. } => value,
        _ => cast(value, &SqlType::TEXT, CastMode::Implicit, facts)?,
    };
    Ok(TypedExpr { sql_type: SqlType::TEXT, ..value })
}

/// `value [NOT] [I]LIKE pattern [ESCAPE c]`. Without ESCAPE no character escapes.
pub fn like(
    value: TypedExpr,
    pattern: TypedExpr,
    escape: Option<char>,
    case_insensitive: bool,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (value, pattern) = (text(value, facts)?, text(pattern, facts)?);
    let nullable = value.nullable || pattern.nullable;
    // The engine's LIKE takes a backslash for an escape; only patterns without one may use it.
    if escape.is_none() && pattern.as_text_literal().is_some_and(|p| !p.contains('\\')) {
        let (value, pattern) = (Box::new(value.expr), Box::new(pattern.expr));
        let expr = Expr::Like(Like::new(negated, value, pattern, None, case_insensitive));
        return Ok(TypedExpr::new(expr, SqlType::Boolean, nullable));
    }
    let escape = escape.map(String::from).unwrap_or_default();
    let args = vec![
        value.expr,
        pattern.expr,
        crate::cast::text_lit(&escape),
        TypedExpr::boolean(case_insensitive).expr,
    ];
    let found = call("frazil_like", args, SqlType::Boolean, nullable, like_kernel);
    if negated { not(found, facts) } else { Ok(found) }
}

/// `value [NOT] [I]LIKE ANY (patterns)`
pub fn like_any(
    value: TypedExpr,
    patterns: Vec<TypedExpr>,
    escape: Option<char>,
    case_insensitive: bool,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let mut all: Option<TypedExpr> = None;
    for pattern in patterns {
        let one = like(value.clone(), pattern, escape, case_insensitive, false, facts)?;
        all = Some(match all {
            Some(before) => or(before, one, facts)?,
            None => one,
        });
    }
    let found = all.unwrap_or_else(|| TypedExpr::boolean(false));
    if negated { not(found, facts) } else { Ok(found) }
}

/// `value [NOT] LIKE ALL (patterns)`
pub fn like_all(
    value: TypedExpr,
    patterns: Vec<TypedExpr>,
    escape: Option<char>,
    case_insensitive: bool,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let mut all: Option<TypedExpr> = None;
    for pattern in patterns {
        let one = like(value.clone(), pattern, escape, case_insensitive, false, facts)?;
        all = Some(match all {
            Some(before) => and(before, one, facts)?,
            None => one,
        });
    }
    let found = all.unwrap_or_else(|| TypedExpr::boolean(true));
    if negated { not(found, facts) } else { Ok(found) }
}

/// `value [NOT] RLIKE pattern`: the pattern must match the whole value.
pub fn rlike(
    value: TypedExpr,
    pattern: TypedExpr,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let found = match crate::scalar("REGEXP_LIKE") {
        Some(function) => function.bind(vec![value, pattern], facts)?,
        None => return Err(UserError::internal("REGEXP_LIKE is missing")),
    };
    if negated { not(found, facts) } else { Ok(found) }
}

pub(crate) fn regex_error(pattern: &str) -> UserError {
    UserError::new(
        Code::InvalidRegularExpression,
        format!("Invalid regular expression: '{pattern}'"),
    )
}

/// Compiled patterns of a call; nearly always there is one.
#[derive(Default)]
pub(crate) struct Patterns(Option<(String, String, Regex)>);

impl Patterns {
    /// The compiled form; `key` tells apart what else went into it, such as flags.
    pub fn get(
        &mut self,
        pattern: &str,
        key: &str,
        compile: impl FnOnce(&str) -> Result<Regex, UserError>,
    ) -> Result<&Regex, UserError> {
        if self.0.as_ref().is_none_or(|(p, k, _)| p != pattern || k != key) {
            self.0 = Some((pattern.to_string(), key.to_string(), compile(pattern)?));
        }
        self.0.as_ref().map(|(_, _, r)| r).ok_or_else(|| regex_error(pattern))
    }
}

/// A LIKE pattern as a regular expression.
fn like_regex(pattern: &str, escape: Option<char>, fold: bool) -> Result<Regex, UserError> {
    let mut out = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some(next) => out.push_str(&regex::escape(&next.to_string())),
                None => return Err(regex_error(pattern)),
            }
        } else if c == '%' {
            out.push_str(".*");
        } else if c == '_' {
            out.push('.');
        } else {
            out.push_str(&regex::escape(&c.to_string()));
        }
    }
    out.push('$');
    RegexBuilder::new(&out)
        .case_insensitive(fold)
        .dot_matches_new_line(true)
        .build()
        .map_err(|_| regex_error(pattern))
}

/// (value, pattern, escape, fold) → boolean
pub(crate) fn like_kernel(rows: &Rows) -> KernelResult {
    let (values, patterns) = (rows.texts(0)?, rows.texts(1)?);
    let escapes = rows.texts(2)?;
    let fold = rows.booleans(3)?.get(0).unwrap_or(false);
    let mut compiled = Patterns::default();
    rows.build_booleans(|row| {
        let (Some(value), Some(pattern), Some(escape)) =
            (values.get(row), patterns.get(row), escapes.get(row))
        else {
            return Ok(None);
        };
        let regex =
            compiled.get(pattern, escape, |p| like_regex(p, escape.chars().next(), fold))?;
        Ok(Some(regex.is_match(value)))
    })
}
