//! Names in expressions: columns, aliases, outer columns, sequences, functions without parentheses.

use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::Expr;
use frazil_common::UserError;
use frazil_functions::{TypedExpr, is_small};
use sqlparser::ast::Ident;
use sqlparser::tokenizer::Span;

use super::correlated::refused;
use super::function::{contains, contains_aggregate, contains_window};
use super::size::check_size;
use crate::binder::{Binder, VolatileAlias};
use crate::error::{At, Result, position};
use crate::names::{fold, keyword, object_name, shown};
use crate::relation::{Reference, ResolvedSequence};
use crate::scope::{AliasState, Env};

/// Functions that may be called without parentheses.
const BARE_FUNCTIONS: &[&str] = &[
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "CURRENT_ROLE",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SYSTIMESTAMP",
];

impl Binder<'_> {
    /// Binds a name: a column here, then an alias of the select list, then a column of a query
    /// around this one. Columns win over aliases, as in Snowflake.
    pub(super) fn name(&mut self, idents: &[Ident], env: &Env) -> Result<TypedExpr> {
        if let Some(index) = env.scope.find(idents)? {
            let column = &env.scope.columns[index];
            for (usage, name) in &column.uses {
                self.uses[*usage].columns.insert(name.clone());
            }
            return Ok(column.typed());
        }
        if let [ident] = idents
            && let Some(value) = self.alias(ident, env)?
        {
            return Ok(value);
        }
        for depth in (0..self.outer.len()).rev() {
            let scope = self.outer[depth].clone();
            if let Some(index) = scope.find(idents)? {
                // The engine knows of one row around a query, that of the query around it.
                if depth + 1 < self.outer.len() {
                    let span = idents.first().map_or(Span::empty(), |ident| ident.span);
                    return Err(refused()).at(span);
                }
                let column = &scope.columns[index];
                for (usage, name) in &column.uses {
                    self.uses[*usage].columns.insert(name.clone());
                }
                let TypedExpr { expr, sql_type, nullable } = column.typed();
                return Ok(TypedExpr::new(scope.outer(expr)?, sql_type, nullable));
            }
        }
        if let Some((last, sequence)) = idents.split_last()
            && !sequence.is_empty()
            && keyword(last).as_deref() == Some("NEXTVAL")
        {
            let reference = Reference::Sequence { name: object_name(sequence)? };
            if let Some(ResolvedSequence { object, next }) =
                self.ctx.resolved.sequences.get(&reference)
            {
                self.note_usage(object);
                return Ok(next.clone());
            }
        }
        if let [ident] = idents
            && let Some(name) = keyword(ident)
            && BARE_FUNCTIONS.contains(&name.as_str())
        {
            return self.call(&name, Vec::new());
        }
        let span = idents.first().map_or(Span::empty(), |ident| ident.span);
        Err(UserError::invalid_identifier(shown(idents)).at(position(span)).into())
    }

    /// The value of an alias of the select list, bound on first use.
    fn alias(&mut self, ident: &Ident, env: &Env) -> Result<Option<TypedExpr>> {
        let Some(aliases) = &env.aliases else { return Ok(None) };
        let name = fold(ident);
        let state = aliases.borrow().get(&name).cloned();
        let value = match state {
            // An alias that refers to itself is no alias there: the name means something else.
            None | Some(AliasState::Binding) => return Ok(None),
            Some(AliasState::Bound(value)) => value,
            Some(AliasState::Unbound(expr)) => {
                aliases.borrow_mut().insert(name.clone(), AliasState::Binding);
                let select = Env {
                    allow_aggregates: true,
                    allow_windows: true,
                    clause: "SELECT",
                    ..env.clone()
                };
                let bound = self.expr(&expr, &select).and_then(|value| {
                    check_size(&value)?;
                    Ok(self.computed_once(&name, value))
                });
                let state = match &bound {
                    Ok(value) => AliasState::Bound(value.clone()),
                    Err(_) => AliasState::Unbound(expr),
                };
                aliases.borrow_mut().insert(name.clone(), state);
                bound?
            }
        };
        if !env.allow_aggregates && contains_aggregate(&value.expr) {
            return Err(function_misplaced("aggregate", &name, env, ident.span));
        }
        if !env.allow_windows && contains_window(&value.expr) {
            return Err(function_misplaced("window", &name, env, ident.span));
        }
        Ok(Some(value))
    }

    /// The value of an alias; if it is volatile or too large to be copied, the column that holds it.
    fn computed_once(&mut self, alias: &str, value: TypedExpr) -> TypedExpr {
        let TypedExpr { expr, sql_type, nullable } = value;
        let apart = expr.is_volatile()
            || (self.large_aliases_apart && !is_small(&expr) && !contains(&expr, is_tied));
        if !apart || contains_aggregate(&expr) || contains_window(&expr) {
            return TypedExpr::new(expr, sql_type, nullable);
        }
        let column = self.unique_column("volatile");
        let held = Expr::Column(PlanColumn::from_name(&column));
        self.volatile.push(VolatileAlias { alias: alias.to_string(), expr, column });
        TypedExpr::new(held, sql_type, nullable)
    }
}

/// Subqueries and columns of queries around are left where they were written.
fn is_tied(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..)
    )
}

/// An aggregate or window function where the clause takes none.
pub(super) fn function_misplaced(
    kind: &str,
    name: &str,
    env: &Env,
    span: Span,
) -> crate::error::PlannerError {
    let clause = match env.clause {
        "WHERE" => "where",
        clause => clause,
    };
    UserError::new(
        frazil_common::Code::InvalidStatement,
        format!("Invalid {kind} function in {clause} clause [{name}]"),
    )
    .at(position(span))
    .into()
}
