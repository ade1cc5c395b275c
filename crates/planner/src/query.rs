//! Queries: what stands around a body, ORDER BY of a whole query, LIMIT.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::logical_expr::{Expr, Limit, LogicalPlan, Projection, Sort, SortExpr};
use frazil_common::{Code, Column, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, Query, SetExpr, Spanned};

use crate::binder::{Binder, Bound};
use crate::error::{At, Result, position, refuse, unsupported};
use crate::expr::window::{direction, key_of, peer_key};
use crate::names::single;
use crate::scope::{Env, Scope, ScopeColumn, ScopeRelation};

/// What of a query's tail its SELECT needs to know.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tail<'q> {
    pub order_by: Option<&'q ast::OrderBy>,
}

impl Binder<'_> {
    /// Plans a query.
    pub fn query(&mut self, query: &Query) -> Result<Bound> {
        self.ctx.check_stopped()?;
        self.bind_query(query).at(query.span())
    }

    fn bind_query(&mut self, query: &Query) -> Result<Bound> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        refuse(!locks.is_empty(), "FOR UPDATE")?;
        refuse(for_clause.is_some(), "FOR clauses")?;
        refuse(settings.is_some(), "SETTINGS")?;
        refuse(format_clause.is_some(), "FORMAT")?;
        refuse(!pipe_operators.is_empty(), "pipe operators")?;
        let frames = self.ctes.len();
        let bound = self.with_body(with.as_ref(), body, order_by.as_ref());
        self.ctes.truncate(frames);
        self.limit(bound?, limit_clause.as_ref(), fetch.as_ref())
    }

    fn with_body(
        &mut self,
        with: Option<&ast::With>,
        body: &SetExpr,
        order_by: Option<&ast::OrderBy>,
    ) -> Result<Bound> {
        if let Some(with) = with {
            self.common_tables(with)?;
        }
        self.set_expr(body, Tail { order_by })
    }

    /// A body with what ORDER BY sorts it by.
    fn set_expr(&mut self, body: &SetExpr, tail: Tail<'_>) -> Result<Bound> {
        match body {
            SetExpr::Select(select) => self.select(select, tail),
            SetExpr::Query(query) => {
                let bound = self.query(query)?;
                self.order_output(bound, tail.order_by)
            }
            SetExpr::SetOperation { left: _, op: _, set_quantifier: _, right: _ } => {
                let bound = self.set_operation(body)?;
                self.order_output(bound, tail.order_by)
            }
            SetExpr::Values(values) => {
                let bound = self.values(values)?;
                self.order_output(bound, tail.order_by)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                unsupported("a DML statement inside a query")
            }
            SetExpr::Table(_) => unsupported("TABLE as a query"),
        }
    }

    /// A body without ORDER BY.
    pub(crate) fn plain_set_expr(&mut self, body: &SetExpr) -> Result<Bound> {
        self.set_expr(body, Tail::default())
    }

    /// A query's columns cast to types, under their names.
    pub(crate) fn cast_columns(&mut self, bound: Bound, columns: &[Column]) -> Result<Bound> {
        let outputs = bound.outputs();
        let values = outputs
            .into_iter()
            .zip(columns)
            .map(|(value, column)| self.cast_to(value, &column.sql_type))
            .collect::<Result<Vec<_>>>()?;
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        project(bound.plan, &names, &values)
    }

    /// Sorts a query by its output columns.
    fn order_output(&mut self, bound: Bound, order_by: Option<&ast::OrderBy>) -> Result<Bound> {
        let Some(order_by) = order_by else { return Ok(bound) };
        let outputs = bound.outputs();
        let scope = Rc::new(output_scope(&bound));
        let env = Env::new(scope, "ORDER BY");
        let mut sort = Vec::new();
        let keys = order_keys(order_by, bound.columns.len())?;
        let last = keys.len().saturating_sub(1);
        for (place, key) in keys.into_iter().enumerate() {
            let (ascending, nulls_first) = direction(&key.options);
            let value = match key.target {
                OrderTarget::Output(index) => outputs[index].clone(),
                OrderTarget::Expr(expr) => self.expr(expr, &env)?,
            };
            let key = if place < last { peer_key(&value) } else { key_of(&value) };
            sort.push(SortExpr::new(key, ascending, nulls_first));
        }
        let Bound { plan, columns } = bound;
        let plan = LogicalPlan::Sort(Sort { expr: sort, input: Arc::new(plan), fetch: None });
        Ok(Bound { plan, columns })
    }

    fn limit(
        &mut self,
        bound: Bound,
        clause: Option<&ast::LimitClause>,
        fetch: Option<&ast::Fetch>,
    ) -> Result<Bound> {
        let (mut limit, offset) = match clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                refuse(!limit_by.is_empty(), "LIMIT … BY")?;
                let offset = offset.as_ref().map(|ast::Offset { value, rows: _ }| value);
                (limit.as_ref(), offset)
            }
            Some(ast::LimitClause::OffsetCommaLimit { offset: _, limit: _ }) => {
                return unsupported("LIMIT offset, count");
            }
        };
        if let Some(ast::Fetch { with_ties, percent, quantity }) = fetch {
            refuse(*with_ties, "FETCH … WITH TIES")?;
            refuse(*percent, "FETCH … PERCENT")?;
            refuse(limit.is_some(), "LIMIT together with FETCH")?;
            limit = quantity.as_ref();
        }
        let limit = limit.map(|expr| self.row_count(expr)).transpose()?.flatten();
        let offset = offset.map(|expr| self.row_count(expr)).transpose()?.flatten();
        limited(bound, limit, offset)
    }

    /// A count of rows; NULL and the empty text mean no limit.
    pub(crate) fn row_count(&mut self, expr: &Syntax) -> Result<Option<usize>> {
        let value = self.constant(expr, "LIMIT")?;
        if value.is_null_literal() || value.as_text_literal().is_some_and(|t| t.is_empty()) {
            return Ok(None);
        }
        match value.as_integer_literal() {
            Some(count) if count >= 0 => Ok(Some(count as usize)),
            _ => Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid row count '{expr}' in limit clause"),
            )
            .at(position(expr.span()))
            .into()),
        }
    }
}

/// Keeps `limit` rows after skipping `offset`.
pub(crate) fn limited(bound: Bound, limit: Option<usize>, offset: Option<usize>) -> Result<Bound> {
    if limit.is_none() && offset.is_none() {
        return Ok(bound);
    }
    let Bound { plan, columns } = bound;
    let number = |n: usize| Box::new(datafusion::logical_expr::lit(n as i64));
    let plan = LogicalPlan::Limit(Limit {
        skip: offset.map(number),
        fetch: limit.map(number),
        input: Arc::new(plan),
    });
    Ok(Bound { plan, columns })
}

/// What one key of ORDER BY sorts by.
#[derive(Debug)]
pub(crate) enum OrderTarget<'q> {
    Output(usize),
    Expr(&'q Syntax),
}

#[derive(Debug)]
pub(crate) struct OrderKey<'q> {
    pub target: OrderTarget<'q>,
    pub options: ast::OrderByOptions,
}

/// The keys of an ORDER BY over `width` output columns: positions are resolved here.
pub(crate) fn order_keys(order_by: &ast::OrderBy, width: usize) -> Result<Vec<OrderKey<'_>>> {
    let ast::OrderBy { kind, interpolate } = order_by;
    refuse(interpolate.is_some(), "INTERPOLATE")?;
    let all = |options: &ast::OrderByOptions| {
        (0..width)
            .map(|index| OrderKey { target: OrderTarget::Output(index), options: *options })
            .collect::<Vec<_>>()
    };
    let expressions = match kind {
        ast::OrderByKind::All(options) => return Ok(all(options)),
        ast::OrderByKind::Expressions(expressions) => expressions,
    };
    if let [ast::OrderByExpr { expr: Syntax::Identifier(ident), options, with_fill: None }] =
        expressions.as_slice()
        && ident.quote_style.is_none()
        && ident.value.eq_ignore_ascii_case("ALL")
    {
        return Ok(all(options));
    }
    expressions
        .iter()
        .map(|ast::OrderByExpr { expr, options, with_fill }| {
            refuse(with_fill.is_some(), "WITH FILL")?;
            let target = match position_number(expr) {
                Some(number) => {
                    let index = number.checked_sub(1).filter(|index| *index < width);
                    OrderTarget::Output(index.ok_or_else(|| bad_position("order by", expr))?)
                }
                None => OrderTarget::Expr(expr),
            };
            Ok(OrderKey { target, options: *options })
        })
        .collect()
}

/// The number, if an expression is one, as ORDER BY and GROUP BY count columns.
pub(crate) fn position_number(expr: &Syntax) -> Option<usize> {
    match expr {
        Syntax::Value(ast::ValueWithSpan { value: ast::Value::Number(digits, _), span: _ }) => {
            digits.parse().ok()
        }
        _ => None,
    }
}

pub(crate) fn bad_position(clause: &str, expr: &Syntax) -> crate::error::PlannerError {
    UserError::new(
        Code::NotAGroupByExpression,
        format!("[{expr}] is not a valid {} expression", clause.to_lowercase()),
    )
    .at(position(expr.span()))
    .into()
}

/// The output columns of a query as a scope.
pub(crate) fn output_scope(bound: &Bound) -> Scope {
    let columns = bound
        .columns
        .iter()
        .zip(bound.plan.schema().columns())
        .map(|(column, field)| ScopeColumn {
            relation: Some(0),
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            nullable: column.nullable,
            expr: Expr::Column(field),
            in_star: true,
            bare: true,
            uses: Vec::new(),
        })
        .collect();
    Scope {
        relations: vec![ScopeRelation { parts: vec![String::new()] }],
        columns,
        schema: bound.plan.schema().clone(),
        ..Scope::empty()
    }
}

/// Field names of an output: the columns' names, made unique.
pub(crate) fn unique_names(names: &[String]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut taken: std::collections::HashSet<String> = names.iter().cloned().collect();
    names
        .iter()
        .map(|name| {
            let count = seen.entry(name.clone()).or_insert(0);
            *count += 1;
            if *count == 1 {
                return name.clone();
            }
            let mut number = *count;
            loop {
                let candidate = format!("{name}:{number}");
                if taken.insert(candidate.clone()) {
                    return candidate;
                }
                number += 1;
            }
        })
        .collect()
}

/// A projection whose fields have the names, made unique.
/// As [`project`], for a subquery of another query: its fields have names that no field of the
/// queries around has, as decorrelation puts both side by side.
pub(crate) fn project_apart(
    plan: LogicalPlan,
    prefix: &str,
    names: &[String],
    values: &[TypedExpr],
) -> Result<Bound> {
    let apart: Vec<String> = names.iter().map(|name| format!("{prefix}.{name}")).collect();
    let Bound { plan, mut columns } = project(plan, &apart, values)?;
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(name);
    }
    Ok(Bound { plan, columns })
}

pub(crate) fn project(plan: LogicalPlan, names: &[String], values: &[TypedExpr]) -> Result<Bound> {
    let exprs = unique_names(names)
        .into_iter()
        .zip(values)
        .map(|(name, value)| value.expr.clone().alias(name))
        .collect();
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    let columns = names
        .iter()
        .zip(values)
        .map(|(name, value)| Column::new(name, value.sql_type.clone(), value.nullable))
        .collect();
    Ok(Bound { plan, columns })
}

/// The single identifier of a USING column and its like.
pub(crate) fn column_ident(name: &ast::ObjectName) -> Result<ast::Ident> {
    single(name)
}
