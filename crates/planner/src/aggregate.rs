//! GROUP BY and DISTINCT.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Column as PlanColumn;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, GroupingSet, LogicalPlan, Projection, lit, when,
};
use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, SelectItem, Spanned};

use crate::binder::{Binder, Bound};
use crate::error::{Result, position, unsupported};
use crate::expr::window::{key_of, needs_key};
use crate::expr::{contains_aggregate, contains_window};
use crate::join::has_subquery;
use crate::query::{bad_position, position_number, project};
use crate::scope::Env;
use crate::select::{Item, replace};

/// Snowflake's bound on the elements of a CUBE.
const CUBE_ELEMENTS_MAX: usize = 7;

/// Snowflake's bound on the grouping sets of a GROUP BY: the product of those of its elements.
const GROUPING_SETS_MAX: usize = 512;

/// The grouping sets of one element of GROUP BY. A CUBE with too many elements has an error of its
/// own.
fn sets_of(expr: &Syntax) -> usize {
    match expr {
        Syntax::GroupingSets(list) => list.len(),
        Syntax::Rollup(list) => list.len().saturating_add(1),
        Syntax::Cube(list) => 1 << list.len().min(CUBE_ELEMENTS_MAX),
        _ => 1,
    }
}

/// What rows are grouped by.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// All expressions grouped by, each once.
    pub values: Vec<TypedExpr>,
    /// With grouping sets: the members of each set, as indexes of `values`.
    pub sets: Option<Vec<Vec<usize>>>,
}

impl Grouping {
    fn index_of(&mut self, value: TypedExpr) -> usize {
        match self.values.iter().position(|known| known.expr == value.expr) {
            Some(index) => index,
            None => {
                self.values.push(value);
                self.values.len() - 1
            }
        }
    }
}

impl Binder<'_> {
    /// Binds GROUP BY; None if there is none.
    pub(crate) fn grouping_of(
        &mut self,
        group_by: &ast::GroupByExpr,
        projection: &[SelectItem],
        items: &[Item],
        env: &Env,
    ) -> Result<Option<Grouping>> {
        let expressions = match group_by {
            ast::GroupByExpr::All(modifiers) => {
                if !modifiers.is_empty() {
                    return unsupported("modifiers of GROUP BY ALL");
                }
                let mut grouping = Grouping::default();
                for Item { name: _, value, span: _ } in items {
                    if !contains_aggregate(&value.expr) && !contains_window(&value.expr) {
                        grouping.index_of(value.clone());
                    }
                }
                return Ok(Some(grouping));
            }
            ast::GroupByExpr::Expressions(expressions, modifiers) => {
                if !modifiers.is_empty() {
                    return unsupported("WITH ROLLUP, WITH CUBE and WITH TOTALS");
                }
                expressions
            }
        };
        if expressions.is_empty() {
            return Ok(None);
        }
        let _ = projection;
        let mut grouping = Grouping::default();
        // The product of all elements' sets; a plain expression is a single set.
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let mut plain = true;
        for expr in expressions {
            let count = sets_of(expr);
            if count.saturating_mul(sets.len()) > GROUPING_SETS_MAX {
                return Err(UserError::new(
                    Code::NotAGroupByExpression,
                    format!("GROUP BY has more than {GROUPING_SETS_MAX} grouping sets"),
                )
                .at(position(expr.span()))
                .into());
            }
            let element: Vec<Vec<usize>> = match expr {
                Syntax::GroupingSets(list) => {
                    plain = false;
                    list.iter()
                        .map(|set| self.group_members(set, items, env, &mut grouping))
                        .collect::<Result<_>>()?
                }
                Syntax::Rollup(list) => {
                    plain = false;
                    let members = self.group_list(list, items, env, &mut grouping)?;
                    (0..=members.len()).rev().map(|n| members[..n].concat()).collect()
                }
                Syntax::Cube(list) => {
                    plain = false;
                    let members = self.group_list(list, items, env, &mut grouping)?;
                    if members.len() > CUBE_ELEMENTS_MAX {
                        return Err(UserError::new(
                            Code::NotAGroupByExpression,
                            format!("CUBE takes at most {CUBE_ELEMENTS_MAX} elements"),
                        )
                        .at(position(expr.span()))
                        .into());
                    }
                    (0..1usize << members.len())
                        .rev()
                        .map(|mask| {
                            members
                                .iter()
                                .enumerate()
                                .filter(|(i, _)| mask & (1 << (members.len() - 1 - i)) != 0)
                                .flat_map(|(_, m)| m.iter().copied())
                                .collect()
                        })
                        .collect()
                }
                Syntax::Tuple(list) => vec![self.group_members(list, items, env, &mut grouping)?],
                expr => {
                    let value = self.group_value(expr, items, env)?;
                    vec![vec![grouping.index_of(value)]]
                }
            };
            sets = sets
                .iter()
                .flat_map(|set| element.iter().map(move |more| [set.as_slice(), more].concat()))
                .collect();
        }
        if !plain {
            for set in &mut sets {
                set.sort_unstable();
                set.dedup();
            }
            grouping.sets = Some(sets);
        }
        Ok(Some(grouping))
    }

    fn group_list(
        &mut self,
        list: &[Vec<Syntax>],
        items: &[Item],
        env: &Env,
        grouping: &mut Grouping,
    ) -> Result<Vec<Vec<usize>>> {
        list.iter().map(|set| self.group_members(set, items, env, grouping)).collect()
    }

    fn group_members(
        &mut self,
        set: &[Syntax],
        items: &[Item],
        env: &Env,
        grouping: &mut Grouping,
    ) -> Result<Vec<usize>> {
        set.iter()
            .map(|expr| {
                let value = self.group_value(expr, items, env)?;
                Ok(grouping.index_of(value))
            })
            .collect()
    }

    /// One expression of GROUP BY; a number is a place in the select list.
    fn group_value(&mut self, expr: &Syntax, items: &[Item], env: &Env) -> Result<TypedExpr> {
        let Some(number) = position_number(expr) else { return self.expr(expr, env) };
        let Some(item) = number.checked_sub(1).and_then(|index| items.get(index)) else {
            return Err(bad_position("group by", expr));
        };
        if contains_aggregate(&item.value.expr) || contains_window(&item.value.expr) {
            return Err(bad_position("group by", expr));
        }
        Ok(item.value.clone())
    }

    /// Groups rows. Gives the plan and what stands for the group's expressions and the aggregates
    /// above it.
    pub(crate) fn aggregate_plan(
        &mut self,
        plan: LogicalPlan,
        grouping: Grouping,
        aggregates: Vec<Expr>,
    ) -> Result<(LogicalPlan, HashMap<Expr, Expr>)> {
        let Grouping { values, sets } = grouping;
        let (plan, queries) = self.queries_apart(plan, &aggregates)?;
        // Every group expression becomes a column of the input.
        let mut input: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let before = input.len();
        let mut keys: Vec<Expr> = Vec::with_capacity(values.len());
        let mut firsts: Vec<(Expr, Expr)> = Vec::new();
        let mut replacements: HashMap<Expr, Expr> = HashMap::new();
        for value in &values {
            let keyed = needs_key(&value.sql_type);
            let key = match &value.expr {
                Expr::Column(column) if !keyed => Expr::Column(column.clone()),
                _ => {
                    let name = self.unique_column("group");
                    input.push(key_of(value).alias(&name));
                    Expr::Column(PlanColumn::from_name(name))
                }
            };
            if keyed {
                // The key tells groups apart; the value shown is the first one's.
                let first = first_value_udaf().call(vec![value.expr.clone()]);
                let column = Expr::Column(PlanColumn::from_name(first.schema_name().to_string()));
                let shown = when(key.clone().is_not_null(), column).end()?;
                replacements.insert(value.expr.clone(), shown);
                firsts.push((value.expr.clone(), first));
            } else if sets.is_some() || !matches!(value.expr, Expr::Literal(..)) {
                replacements.insert(value.expr.clone(), key.clone());
            }
            keys.push(key);
        }
        let plan = if input.len() == before {
            plan
        } else {
            LogicalPlan::Projection(Projection::try_new(input, Arc::new(plan))?)
        };
        let groups: HashMap<Expr, Expr> =
            values.iter().map(|value| value.expr.clone()).zip(keys.iter().cloned()).collect();
        let mut names: HashMap<String, Expr> = HashMap::new();
        let mut calls: Vec<Expr> = Vec::new();
        let mut add = |binder: &mut Self, call: Expr| -> Expr {
            let name = call.schema_name().to_string();
            match names.get(&name) {
                Some(known) if *known == call => {
                    return Expr::Column(PlanColumn::from_name(name));
                }
                Some(_) => {
                    // Another call that prints the same.
                    let name = binder.unique_column("aggregate");
                    calls.push(call.alias(&name));
                    return Expr::Column(PlanColumn::from_name(name));
                }
                None => {}
            }
            names.insert(name.clone(), call.clone());
            calls.push(call);
            Expr::Column(PlanColumn::from_name(name))
        };
        for (_, first) in firsts {
            add(self, first);
        }
        for call in aggregates {
            let planned = match grouping_arguments(&call) {
                None => replace_arguments(&call, &queries)?,
                Some(args) => {
                    if args.iter().any(|arg| !groups.contains_key(arg)) {
                        return Err(UserError::new(
                            Code::NotAGroupByExpression,
                            "the arguments of GROUPING must be in the group by clause.",
                        )
                        .into());
                    }
                    if sets.is_none() {
                        replacements.insert(call, lit(0i32));
                        continue;
                    }
                    replace_arguments(&call, &groups)?
                }
            };
            let column = add(self, planned);
            replacements.insert(call, column);
        }
        let group = match sets {
            None => keys,
            Some(sets) => {
                let sets = sets
                    .into_iter()
                    .map(|set| set.into_iter().map(|index| keys[index].clone()).collect())
                    .collect();
                vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets))]
            }
        };
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), group, calls)?);
        Ok((plan, replacements))
    }

    /// The arguments of calls that hold subqueries as columns of their input, where the engine plans them.
    pub(crate) fn queries_apart(
        &mut self,
        plan: LogicalPlan,
        calls: &[Expr],
    ) -> Result<(LogicalPlan, HashMap<Expr, Expr>)> {
        let mut columns: Vec<Expr> = Vec::new();
        let mut apart: HashMap<Expr, Expr> = HashMap::new();
        for call in calls {
            call.apply_children(|argument| {
                if has_subquery(argument) && !apart.contains_key(argument) {
                    let name = self.unique_column("argument");
                    columns.push(argument.clone().alias(&name));
                    apart.insert(argument.clone(), Expr::Column(PlanColumn::from_name(name)));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if columns.is_empty() {
            return Ok((plan, apart));
        }
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.append(&mut columns);
        Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?), apart))
    }

    /// Each different row once.
    pub(crate) fn distinct(&mut self, bound: Bound) -> Result<Bound> {
        if !bound.columns.iter().any(|column| needs_key(&column.sql_type)) {
            let Bound { plan, columns } = bound;
            let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
            return Ok(Bound { plan, columns });
        }
        let outputs = bound.outputs();
        let grouping = Grouping { values: outputs.clone(), sets: None };
        let (plan, replacements) = self.aggregate_plan(bound.plan, grouping, Vec::new())?;
        let names: Vec<String> = bound.columns.iter().map(|column| column.name.clone()).collect();
        let values = outputs
            .into_iter()
            .map(|TypedExpr { expr, sql_type, nullable }| {
                Ok(TypedExpr::new(replace(&expr, &replacements)?, sql_type, nullable))
            })
            .collect::<Result<Vec<_>>>()?;
        project(plan, &names, &values)
    }
}

/// The arguments, if an aggregate is GROUPING().
fn grouping_arguments(call: &Expr) -> Option<&[Expr]> {
    match call {
        Expr::AggregateFunction(AggregateFunction { func, params })
            if func.name() == "grouping" =>
        {
            Some(&params.args)
        }
        _ => None,
    }
}

pub(crate) fn replace_arguments(call: &Expr, groups: &HashMap<Expr, Expr>) -> Result<Expr> {
    Ok(call
        .clone()
        .map_children(|child| {
            Ok(match groups.get(&child) {
                Some(key) => Transformed::yes(key.clone()),
                None => Transformed::no(child),
            })
        })
        .data()?)
}
