//! From `sqlparser`'s names to Frazil's.

use frazil_common::{Code, ObjectName, UserError, fold_identifier};
use sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident};

use crate::error::position;

/// The name an identifier stands for: unquoted folds to upper case, quoted is exact.
pub fn identifier(ident: &Ident) -> String {
    match ident.quote_style {
        None => fold_identifier(&ident.value),
        Some(_) => ident.value.clone(),
    }
}

/// The name behind an expression that is a plain column name.
pub fn expression_identifier(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(identifier(ident)),
        _ => None,
    }
}

/// A name of one to three parts. `db..name` means the schema PUBLIC.
///
/// # Errors
/// More than three parts, or a part that is no identifier.
pub fn object_name(name: &ast::ObjectName) -> Result<ObjectName, UserError> {
    let mut idents = Vec::with_capacity(name.0.len());
    for part in &name.0 {
        match part.as_ident() {
            Some(ident) => idents.push(ident.clone()),
            None => return Err(UserError::unsupported(format!("name {part}"))),
        }
    }
    object_name_of_identifiers(&idents)
}

/// As [`object_name`], for the parts alone.
///
/// # Errors
/// No part, or more than three.
pub fn object_name_of_identifiers(idents: &[Ident]) -> Result<ObjectName, UserError> {
    let name = |ident: &Ident| identifier(ident);
    let schema = |ident: &Ident| {
        if ident.value.is_empty() && ident.quote_style.is_none() {
            "PUBLIC".to_string()
        } else {
            identifier(ident)
        }
    };
    match idents {
        [object] => Ok(ObjectName::bare(name(object))),
        [first, object] => {
            Ok(ObjectName { database: None, schema: Some(schema(first)), name: name(object) })
        }
        [database, second, object] => Ok(ObjectName {
            database: Some(name(database)),
            schema: Some(schema(second)),
            name: name(object),
        }),
        other => {
            let text = other.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
            let place = other.first().map(|ident| position(ident.span.start));
            Err(UserError::new(Code::SyntaxError, format!("invalid object name '{text}'."))
                .at(place))
        }
    }
}

/// The stage path (`@name/path`) a table in FROM stands for, if it is one: stages arrive as one
/// part in single quotes, whether they were written bare or quoted.
pub fn stage_location(name: &ast::ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part
            .as_ident()
            .filter(|ident| ident.quote_style == Some('\'') && ident.value.starts_with('@'))
            .map(|ident| ident.value.clone()),
        _ => None,
    }
}

/// The model, its version and the method (upper case, no `!`) of a call like `m!PREDICT(…)` or
/// `MODEL(m, v)!PREDICT(…)`; None for other functions.
///
/// # Errors
/// A model name of more than three parts.
pub fn model_of_function(
    function: &ast::Function,
) -> Result<Option<(ObjectName, Option<String>, String)>, UserError> {
    let Some(last) = function.name.0.last().and_then(|part| part.as_ident()) else {
        return Ok(None);
    };
    let Some(method) = last.value.strip_prefix('!').filter(|_| last.quote_style.is_none()) else {
        return Ok(None);
    };
    let parts = function.name.0.len() - 1;
    let model = object_name(&ast::ObjectName(function.name.0[..parts].to_vec()))?;
    let version = match &function.parameters {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => version_name(expr),
            _ => None,
        },
        FunctionArguments::None | FunctionArguments::Subquery(_) => None,
    };
    Ok(Some((model, version, method.to_string())))
}

/// The patterns of `LIKE ALL (…)` and `ILIKE ALL (…)`, which arrive as a LIKE whose pattern is a
/// call of a function `ALL`; None for other patterns.
pub fn like_all_patterns(pattern: &Expr) -> Option<Vec<&Expr>> {
    let Expr::Function(function) = pattern else { return None };
    let name = function.name.0.as_slice();
    let all = matches!(name, [part] if part.as_ident().is_some_and(|ident| {
        ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("ALL")
    }));
    match &function.args {
        FunctionArguments::List(list) if all && list.clauses.is_empty() => list
            .args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The version an expression names: an identifier, or a string taken as an identifier.
pub(crate) fn version_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(identifier(ident)),
        Expr::Value(value) => value.value.clone().into_string().map(|text| fold_identifier(&text)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use sqlparser::ast::{SetExpr, TableFactor};

    use super::*;
    use crate::{parse_object_name_text, parse_query};

    #[test]
    fn names_fold_unless_quoted() {
        for (text, shown) in [
            ("t", "T"),
            ("\"t\"", "\"t\""),
            ("s.\"a.b\"", "S.\"a.b\""),
            ("d.s.t", "D.S.T"),
            ("\"A\".\"B\".\"x\"\"y\"", "A.B.\"x\"\"y\""),
        ] {
            assert_eq!(parse_object_name_text(text).unwrap().to_string(), shown);
        }
        assert!(parse_object_name_text("a.b.c.d").is_err());
    }

    #[test]
    fn two_dots_mean_public() {
        let query = parse_query("SELECT * FROM db..t").unwrap();
        let SetExpr::Select(select) = *query.body else { panic!() };
        let TableFactor::Table { name, .. } = &select.from[0].relation else { panic!() };
        assert_eq!(object_name(name).unwrap().to_string(), "DB.PUBLIC.T");
    }

    #[test]
    fn stages_in_from_are_told_apart() {
        for (sql, location) in [
            ("SELECT $1 FROM @s/a/b.csv", Some("@s/a/b.csv")),
            ("SELECT $1 FROM '@\"s\"/a' (FILE_FORMAT => 'f') t", Some("@\"s\"/a")),
            ("SELECT $1 FROM @~", Some("@~")),
            ("SELECT 1 FROM \"@s\"", None),
            ("SELECT 1 FROM t", None),
        ] {
            let SetExpr::Select(select) = *parse_query(sql).unwrap().body else { panic!("{sql}") };
            let TableFactor::Table { name, .. } = &select.from[0].relation else { panic!("{sql}") };
            assert_eq!(stage_location(name).as_deref(), location, "{sql}");
        }
    }
}
