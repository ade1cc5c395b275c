//! WITH: common table expressions, recursive ones among them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::{Column as PlanColumn, TableReference};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection};
use frazil_common::{Code, Column, SqlType, UserError};
use sqlparser::ast::{self, Query, SetExpr};

use crate::binder::{Binder, Bound, Cte, alias_parts};
use crate::error::{At, Result, position, refuse};
use crate::names::{INTERNAL_SCHEMA, fold};
use crate::nullable::nullable_udf;
use crate::set_operation::column_count;

impl Binder<'_> {
    pub(crate) fn common_tables(&mut self, with: &ast::With) -> Result<()> {
        let ast::With { with_token: _, recursive: _, cte_tables } = with;
        self.ctes.push(HashMap::new());
        for ast::Cte { alias, query, from, materialized, closing_paren_token: _ } in cte_tables {
            refuse(from.is_some(), "FROM in a common table expression")?;
            // MATERIALIZED only advises.
            let _ = materialized;
            let name = fold(&alias.name);
            let known = self.ctes.last().is_some_and(|frame| frame.contains_key(&name));
            if known {
                return Err(UserError::new(
                    Code::DuplicateColumn,
                    format!("duplicate alias '{name}' in WITH"),
                )
                .at(position(alias.name.span))
                .into());
            }
            // Snowflake takes the word RECURSIVE as optional: what counts is the reference.
            let cte = match recursive_parts(&name, query) {
                Some((anchor, step, all)) => {
                    self.recursive_table(alias, query, anchor, step, all)?
                }
                None => self.query(query)?,
            };
            let cte = Rc::new(renamed(cte, alias)?);
            self.plan_sizes.keep(&cte).at(alias.name.span)?;
            if let Some(frame) = self.ctes.last_mut() {
                frame.insert(name, Cte::Planned(cte));
            }
        }
        Ok(())
    }

    fn recursive_table(
        &mut self,
        alias: &ast::TableAlias,
        query: &Query,
        anchor: &SetExpr,
        step: &SetExpr,
        all: bool,
    ) -> Result<Bound> {
        let Query {
            with,
            body: _,
            order_by,
            limit_clause,
            fetch,
            locks: _,
            for_clause: _,
            settings: _,
            format_clause: _,
            pipe_operators: _,
        } = query;
        refuse(with.is_some(), "WITH inside a recursive common table expression")?;
        refuse(
            order_by.is_some() || limit_clause.is_some() || fetch.is_some(),
            "ORDER BY or LIMIT in a recursive common table expression",
        )?;
        refuse(!all, "UNION without ALL in a recursive common table expression")?;
        let anchor = renamed(self.plain_set_expr(anchor)?, alias)?;
        // Every step must fit the anchor's types: they are taken as wide as they can be held.
        let columns: Vec<Column> = anchor
            .columns
            .iter()
            .map(|column| Column::new(&column.name, widest(&column.sql_type), true))
            .collect();
        let anchor = self.cast_columns(anchor, &columns)?;
        let internal = format!("{INTERNAL_SCHEMA}.{}", self.unique("recursive"));
        let fields: Vec<_> = anchor
            .plan
            .schema()
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), field.data_type().clone(), true))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let work_table = Cte::WorkTable {
            name: internal.clone(),
            columns: columns.clone(),
            schema: schema.clone(),
        };
        self.ctes.push(HashMap::from([(fold(&alias.name), work_table)]));
        let step = self.plain_set_expr(step);
        self.ctes.pop();
        let step = step.at(alias.name.span)?;
        if step.columns.len() != columns.len() {
            return Err(column_count(columns.len(), step.columns.len()));
        }
        let step = self.cast_columns(step, &columns)?;
        // The static term's schema is the query's: its fields must allow the NULLs of the steps.
        let plan = LogicalPlanBuilder::from(nullable_plan(anchor.plan)?)
            .to_recursive_query(internal, nullable_plan(step.plan)?, false)?
            .build()?;
        Ok(Bound { plan, columns })
    }

    /// The rows of the step before, inside a recursive term.
    pub(crate) fn work_table(
        name: &str,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<LogicalPlan> {
        let table = CteWorkTable::new(name, schema.clone());
        let source = provider_as_source(Arc::new(table));
        Ok(LogicalPlanBuilder::scan(TableReference::bare(name), source, None)?.build()?)
    }
}

/// Renames a query's columns by the list of a table alias.
fn renamed(bound: Bound, alias: &ast::TableAlias) -> Result<Bound> {
    let (_, names) = alias_parts(Some(alias), Vec::new(), bound.columns.len())?;
    let Bound { plan, mut columns } = bound;
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = name;
    }
    Ok(Bound { plan, columns })
}

/// The anchor and the step of a query that refers to its own name.
fn recursive_parts<'q>(name: &str, query: &'q Query) -> Option<(&'q SetExpr, &'q SetExpr, bool)> {
    match query.body.as_ref() {
        SetExpr::SetOperation { left, op: ast::SetOperator::Union, set_quantifier, right }
            if crate::references::reads_table(right, name) =>
        {
            Some((left, right, matches!(set_quantifier, ast::SetQuantifier::All)))
        }
        _ => None,
    }
}

/// The widest type held in the same Arrow type.
fn widest(sql_type: &SqlType) -> SqlType {
    match sql_type {
        SqlType::Number { precision, scale: 0 } if *precision <= 18 => {
            SqlType::Number { precision: 18, scale: 0 }
        }
        SqlType::Number { precision: _, scale } => SqlType::Number { precision: 38, scale: *scale },
        SqlType::Varchar { length: _ } => SqlType::TEXT,
        SqlType::Binary { length: _ } => SqlType::BYTES,
        SqlType::Null => SqlType::TEXT,
        other => other.clone(),
    }
}

/// The plan with fields that allow NULL and tell of nothing but their types, so that those of the anchor and of
/// the step are the same.
fn nullable_plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    let nullable = |column: PlanColumn| {
        let name = column.name.clone();
        nullable_udf().call(vec![Expr::Column(column)]).alias(name)
    };
    let exprs = plan.schema().columns().into_iter().map(nullable).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}
