//! PIVOT and UNPIVOT.

use std::rc::Rc;
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, Union};
use frazil_common::{Code, Column, UserError};
use frazil_functions::operators::{self, BinaryOperator};
use frazil_functions::{AggregateCall, TypedExpr, aggregate};
use sqlparser::ast::{self, Expr as Syntax, PivotValueSource, Spanned};

use crate::aggregate::Grouping;
use crate::binder::Binder;
use crate::error::{Result, position, refuse, unsupported};
use crate::expr::arguments_of;
use crate::from::Input;
use crate::names::{fold, single};
use crate::query::project;
use crate::scope::Env;
use crate::select::replace;
use crate::table_function::visible_columns;

impl Binder<'_> {
    /// One column per value of the FOR column, aggregated over its rows.
    pub(crate) fn pivot(
        &mut self,
        input: Input,
        aggregates: &[ast::ExprWithAlias],
        value_column: &[Syntax],
        source: &PivotValueSource,
        default: Option<&Syntax>,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        let facts = self.ctx.facts;
        let [ast::ExprWithAlias { expr: Syntax::Function(function), alias: None }] = aggregates
        else {
            return unsupported("PIVOT with several aggregates or an alias of the aggregate");
        };
        let [for_column] = value_column else {
            return unsupported("PIVOT FOR several columns");
        };
        let values = match source {
            PivotValueSource::List(values) => values,
            // The engine writes their values out before queries are planned.
            PivotValueSource::Any(_) => return unsupported("PIVOT … IN (ANY) here"),
            PivotValueSource::Subquery(_) => return unsupported("PIVOT … IN (query) here"),
        };
        let function_name = single(&function.name)?.value.to_uppercase();
        let Some(known) = aggregate(&function_name) else {
            return Err(UserError::syntax(format!("{function_name} is no aggregate function"))
                .at(position(function.name.span()))
                .into());
        };
        let args = arguments_of(function)?;
        let [argument] = args.as_slice() else {
            return unsupported("a PIVOT aggregate of several arguments");
        };
        let Input { plan, scope, lateral: _ } = input;
        let scope = Rc::new(scope);
        let env = Env::new(scope.clone(), "PIVOT");
        let argument = self.expr(argument, &env)?;
        let selector = self.expr(for_column, &env)?;
        let default = default.map(|expr| self.constant(expr, "PIVOT")).transpose()?;

        let mut grouping = Grouping::default();
        let mut outputs: Vec<(String, TypedExpr)> = Vec::new();
        for (column, _) in visible_columns(&scope) {
            let value = column.typed();
            if value.expr == argument.expr || value.expr == selector.expr {
                continue;
            }
            for (usage, name) in &column.uses {
                self.uses[*usage].columns.insert(name.clone());
            }
            grouping.values.push(value.clone());
            outputs.push((column.name, value));
        }
        let mut calls = Vec::with_capacity(values.len());
        for ast::ExprWithAlias { expr, alias } in values {
            let value = self.expr(expr, &env)?;
            let equal = operators::binary(BinaryOperator::Eq, selector.clone(), value, facts)?;
            let chosen = operators::case(None, vec![(equal, argument.clone())], None, facts)?;
            let call = AggregateCall {
                args: vec![chosen],
                distinct: false,
                filter: None,
                order_by: Vec::new(),
                ignore_nulls: false,
            };
            let mut result = known.bind(call, facts)?;
            if let Some(default) = &default {
                result = operators::coalesce(vec![result, default.clone()], facts)?;
            }
            let name = match alias {
                Some(alias) => fold(alias),
                None => expr.to_string(),
            };
            calls.push(result.expr.clone());
            outputs.push((name, result));
        }
        let calls = crate::select::aggregates_in(calls.iter())?;
        let (plan, replacements) = self.aggregate_plan(plan, grouping, calls)?;
        let names: Vec<String> = outputs.iter().map(|(name, _)| name.clone()).collect();
        let values = outputs
            .into_iter()
            .map(|(_, TypedExpr { expr, sql_type, nullable })| {
                Ok(TypedExpr::new(replace(&expr, &replacements)?, sql_type, nullable))
            })
            .collect::<Result<Vec<_>>>()?;
        let bound = project(plan, &names, &values)?;
        let parts = vec![String::new()];
        let (plan, scope) = self.named_relation(bound.plan, &bound.columns, parts, alias, None)?;
        Ok(Input { plan, scope, lateral: false })
    }

    /// One row per row and listed column: the column's name and its value.
    pub(crate) fn unpivot(
        &mut self,
        input: Input,
        value: &Syntax,
        name: &ast::Ident,
        columns: &[ast::ExprWithAlias],
        include_nulls: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        let Syntax::Identifier(value_name) = value else {
            return unsupported("UNPIVOT into several columns");
        };
        let Input { plan, scope, lateral: _ } = input;
        let scope = Rc::new(scope);
        let mut listed = Vec::with_capacity(columns.len());
        for ast::ExprWithAlias { expr, alias } in columns {
            let Syntax::Identifier(ident) = expr else {
                return unsupported(format!("{expr} in UNPIVOT"));
            };
            refuse(scope.relations.len() != 1, "UNPIVOT of a join")?;
            let index = scope.find(std::slice::from_ref(ident))?.ok_or_else(|| {
                UserError::invalid_identifier(fold(ident)).at(position(ident.span))
            })?;
            let shown = alias.as_ref().map_or_else(|| fold(ident), fold);
            listed.push((index, shown));
        }
        let values: Vec<TypedExpr> =
            listed.iter().map(|(index, _)| scope.columns[*index].typed()).collect();
        let mut sql_type = match values.first() {
            Some(value) => value.sql_type.clone(),
            None => return Err(UserError::syntax("UNPIVOT needs columns").into()),
        };
        for value in &values[1..] {
            sql_type = frazil_functions::coerce::common_type(&sql_type, &value.sql_type)
                .ok_or_else(|| {
                    UserError::new(
                        Code::IncompatibleTypes,
                        "the columns of UNPIVOT must have one type",
                    )
                })?;
        }
        let kept: Vec<_> = scope
            .columns
            .iter()
            .enumerate()
            .filter(|(index, column)| {
                column.in_star && !listed.iter().any(|(listed, _)| listed == index)
            })
            .map(|(_, column)| column.clone())
            .collect();
        for column in kept.iter().chain(listed.iter().map(|(index, _)| &scope.columns[*index])) {
            for (usage, name) in &column.uses {
                self.uses[*usage].columns.insert(name.clone());
            }
        }
        let mut names: Vec<String> = kept.iter().map(|column| column.name.clone()).collect();
        names.push(fold(name));
        names.push(fold(value_name));
        let mut inputs = Vec::with_capacity(listed.len());
        let mut shown: Vec<Column> = Vec::new();
        for (value, (_, label)) in values.into_iter().zip(&listed) {
            let mut rows = LogicalPlanBuilder::from(plan.clone());
            if !include_nulls {
                rows = rows.filter(value.expr.clone().is_not_null())?;
            }
            let label = self.cast_to(TypedExpr::text(label), &frazil_common::SqlType::TEXT)?;
            let value = self.cast_to(value, &sql_type)?;
            let mut outputs: Vec<TypedExpr> = kept.iter().map(|c| c.typed()).collect();
            outputs.push(label);
            outputs.push(value);
            let bound = project(rows.build()?, &names, &outputs)?;
            shown = bound.columns;
            inputs.push(Arc::new(bound.plan));
        }
        let plan = match <[Arc<LogicalPlan>; 1]>::try_from(inputs) {
            Ok([only]) => Arc::unwrap_or_clone(only),
            Err(inputs) => LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?),
        };
        let (plan, scope) = self.named_relation(plan, &shown, vec![String::new()], alias, None)?;
        Ok(Input { plan, scope, lateral: false })
    }
}
