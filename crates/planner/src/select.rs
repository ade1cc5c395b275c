//! SELECT: its clauses bound in the order of names, its plan built in the order of evaluation.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::Column as PlanColumn;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Sort, SortExpr};
use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, Select, SelectItem, Spanned};
use sqlparser::tokenizer::Span;

use crate::aggregate::replace_arguments;
use crate::binder::{Binder, Bound, VolatileAlias};
use crate::error::{At, Result, position, refuse, unsupported};
use crate::expr::correlated::{partitioned_by, refused, ties};
use crate::expr::window::{direction, key_of, peer_key};
use crate::expr::{contains_aggregate, contains_window};
use crate::names::fold;
use crate::query::{OrderTarget, Tail, limited, order_keys, project, project_apart};
use crate::scope::{AliasState, Aliases, Env, ROW_NUMBER, Scope, Truth};

/// One output column of a select list.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub name: String,
    pub value: TypedExpr,
    pub span: Span,
}

/// Everything of a select that is evaluated after its rows are grouped.
#[derive(Debug)]
struct Parts {
    items: Vec<Item>,
    having: Option<TypedExpr>,
    qualify: Option<TypedExpr>,
    /// Values to sort by, with directions; `Err` is the index of an item.
    order: Vec<(std::result::Result<TypedExpr, usize>, bool, bool)>,
}

impl Parts {
    fn values(&self) -> impl Iterator<Item = &TypedExpr> {
        self.items
            .iter()
            .map(|item| &item.value)
            .chain(&self.having)
            .chain(&self.qualify)
            .chain(self.order.iter().filter_map(|(value, _, _)| value.as_ref().ok()))
    }

    fn rewrite(
        &mut self,
        mut rewrite: impl FnMut(&mut TypedExpr, Span) -> Result<()>,
    ) -> Result<()> {
        for item in &mut self.items {
            rewrite(&mut item.value, item.span)?;
        }
        for value in self.having.iter_mut().chain(self.qualify.iter_mut()) {
            rewrite(value, Span::empty())?;
        }
        for value in self.order.iter_mut().filter_map(|(value, _, _)| value.as_mut().ok()) {
            rewrite(value, Span::empty())?;
        }
        Ok(())
    }
}

impl Binder<'_> {
    pub(crate) fn select(&mut self, select: &Select, tail: Tail<'_>) -> Result<Bound> {
        let Select {
            select_token,
            optimizer_hints: _, // Comments to Snowflake.
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if let Some(modifiers) = select_modifiers {
            refuse(modifiers.is_any_set(), "SELECT modifiers")?;
        }
        refuse(exclude.is_some(), "EXCLUDE after the select list")?;
        refuse(into.is_some(), "SELECT … INTO")?;
        refuse(!lateral_views.is_empty(), "LATERAL VIEW")?;
        refuse(prewhere.is_some(), "PREWHERE")?;
        refuse(!connect_by.is_empty(), "CONNECT BY")?;
        refuse(!cluster_by.is_empty(), "CLUSTER BY")?;
        refuse(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
        refuse(!sort_by.is_empty(), "SORT BY")?;
        refuse(value_table_mode.is_some(), "SELECT AS")?;
        refuse(!matches!(flavor, ast::SelectFlavor::Standard), "FROM before SELECT")?;
        let distinct = match distinct {
            None | Some(ast::Distinct::All) => false,
            Some(ast::Distinct::Distinct) => true,
            Some(ast::Distinct::On(_)) => return unsupported("DISTINCT ON"),
        };

        let unmarked = crate::outer_marks::unmarked(from, selection.as_ref())?;
        let (from, selection) = match &unmarked {
            Some(unmarked) => (&unmarked.from, &unmarked.selection),
            None => (from, selection),
        };
        let outer_names = std::mem::take(&mut self.field_names);
        let (plan, mut scope) = self.plan_from(from)?;
        self.field_names = outer_names;
        if let Some(unmarked) = &unmarked {
            let place = |relation: Option<usize>| {
                let name = relation.and_then(|index| scope.relations[index].parts.last());
                name.and_then(|name| unmarked.order.iter().position(|known| known == name))
            };
            scope.columns.sort_by_key(|column| place(column.relation));
        }
        let scope = Rc::new(scope);
        let outer_volatile = std::mem::take(&mut self.volatile);
        let outer_apart = std::mem::replace(&mut self.large_aliases_apart, is_ungrouped(group_by));
        let env = self.select_env(scope.clone(), projection, named_window)?;

        // Names: WHERE first, so that its errors come before those of the list.
        let plain =
            |clause| Env { allow_aggregates: false, allow_windows: false, clause, ..env.clone() };
        let filter = match selection {
            None => None,
            Some(expr) => Some(self.condition(expr, &plain("WHERE"))?),
        };
        let filter_counts_rows = scope.wants_row_number.replace(false);
        let filter_volatile = self.volatile.len();
        let mut items = self.select_items(select_token.0.span, projection, &env)?;
        let grouping = self.grouping_of(group_by, projection, &items, &plain("GROUP BY"))?;
        let having_env = Env { allow_windows: false, clause: "HAVING", ..env.clone() };
        let having_expr =
            having.as_ref().map(|expr| self.condition(expr, &having_env)).transpose()?;
        let qualify_env = Env { clause: "QUALIFY", ..env.clone() };
        let qualify =
            qualify.as_ref().map(|expr| self.condition(expr, &qualify_env)).transpose()?;
        let windowed = |value: &TypedExpr| contains_window(&value.expr);
        if let Some(condition) = &qualify
            && !windowed(condition)
            && !items.iter().any(|item| windowed(&item.value))
        {
            return Err(UserError::syntax(
                "QUALIFY needs a window function in its condition or in the select list",
            )
            .into());
        }
        let order = self.order_of(tail, &items, &env)?;
        let volatile = std::mem::replace(&mut self.volatile, outer_volatile);
        self.large_aliases_apart = outer_apart;
        for VolatileAlias { alias, expr, column } in &volatile {
            let item = items.iter_mut().find(|i| i.name == *alias && i.value.expr == *expr);
            if let Some(item) = item {
                item.value.expr = Expr::Column(PlanColumn::from_name(column));
            }
        }
        let mut parts = Parts { items, having: having_expr, qualify, order };

        // Evaluation.
        let mut plan = plan;
        if filter_counts_rows {
            plan = numbered(plan)?;
        }
        plan = computed(plan, &volatile[..filter_volatile])?;
        let is_windowed = !self.outer.is_empty() && parts.values().any(windowed);
        let ties = match is_windowed {
            true => ties(&plan, filter.as_ref().map(|filter| &filter.expr))?,
            false => Vec::new(),
        };
        if let Some(filter) = filter {
            plan = LogicalPlanBuilder::from(plan).filter(filter.expr)?.build()?;
        }
        if !filter_counts_rows && scope.wants_row_number.get() {
            plan = numbered(plan)?;
        }
        plan = computed(plan, &volatile[filter_volatile..])?;
        let aggregated =
            grouping.is_some() || parts.values().any(|value| contains_aggregate(&value.expr));
        if !aggregated && having.is_some() {
            return Err(UserError::syntax("HAVING needs GROUP BY or an aggregate").into());
        }
        // Of a group's rows only what it is grouped by is left.
        let having_ties = parts.having.as_ref().is_some_and(|having| having.expr.contains_outer());
        if aggregated && is_windowed && (having_ties || !ties.is_empty()) {
            return Err(refused());
        }
        if aggregated {
            let aggregates = aggregates_in(parts.values().map(|value| &value.expr))?;
            let grouped = grouping.is_some();
            // Keys that a grouping set leaves out are NULL in its rows.
            let sets = grouping.as_ref().is_some_and(|grouping| grouping.sets.is_some());
            let (aggregated, replacements) =
                self.aggregate_plan(plan, grouping.unwrap_or_default(), aggregates)?;
            plan = aggregated;
            let schema = plan.schema().clone();
            parts.rewrite(|value, span| {
                value.expr = replace(&value.expr, &replacements)?;
                value.nullable |= sets;
                check_grouped(&value.expr, &scope, &schema, grouped).at(span)
            })?;
        }
        if let Some(having) = parts.having.take() {
            plan = LogicalPlanBuilder::from(plan).filter(having.expr)?.build()?;
        }
        // Those inside the arguments of others first.
        while parts.values().any(|value| contains_window(&value.expr)) {
            let windows = innermost_windows(parts.values().map(|value| &value.expr))?;
            let (apart, queries) = self.queries_apart(plan, &windows)?;
            let mut calls = Vec::with_capacity(windows.len());
            let mut replacements: HashMap<Expr, Expr> = HashMap::with_capacity(windows.len());
            for window in windows {
                let call = partitioned_by(replace_arguments(&window, &queries)?, &ties);
                let column = PlanColumn::from_name(call.schema_name().to_string());
                replacements.insert(window, Expr::Column(column));
                if !calls.contains(&call) {
                    calls.push(call);
                }
            }
            plan = LogicalPlanBuilder::window_plan(apart, calls)?;
            parts.rewrite(|value, _| {
                value.expr = replace(&value.expr, &replacements)?;
                Ok(())
            })?;
        }
        if let Some(qualify) = parts.qualify.take() {
            plan = LogicalPlanBuilder::from(plan).filter(qualify.expr)?.build()?;
        }
        let Parts { items, having: _, qualify: _, order } = parts;
        let bound = self.output(plan, items, order, distinct)?;
        match top {
            None => Ok(bound),
            Some(ast::Top { with_ties, percent, quantity }) => {
                refuse(*with_ties, "TOP … WITH TIES")?;
                refuse(*percent, "TOP … PERCENT")?;
                let count = match quantity {
                    None => None,
                    Some(ast::TopQuantity::Constant(count)) => Some(*count as usize),
                    Some(ast::TopQuantity::Expr(expr)) => self.row_count(expr)?,
                };
                limited(bound, count, None)
            }
        }
    }

    /// What the select list may use: columns, its own aliases, named windows, every function.
    fn select_env(
        &mut self,
        scope: Rc<Scope>,
        projection: &[SelectItem],
        named_window: &[ast::NamedWindowDefinition],
    ) -> Result<Env> {
        let mut aliases: HashMap<String, AliasState> = HashMap::new();
        for item in projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                // The first of several equal aliases counts.
                aliases.entry(fold(alias)).or_insert_with(|| AliasState::Unbound(expr.clone()));
            }
        }
        let aliases: Aliases = RefCell::new(aliases);
        let mut windows = HashMap::new();
        for ast::NamedWindowDefinition(name, window) in named_window {
            windows.insert(fold(name), window.clone());
        }
        Ok(Env {
            scope,
            aliases: Some(Rc::new(aliases)),
            windows: Rc::new(windows),
            allow_aggregates: true,
            allow_windows: true,
            clause: "SELECT",
            truth: Truth::Conjunct,
        })
    }

    /// ORDER BY: output names first, then columns and aliases, for bare names.
    #[allow(clippy::type_complexity)]
    fn order_of(
        &mut self,
        tail: Tail<'_>,
        items: &[Item],
        env: &Env,
    ) -> Result<Vec<(std::result::Result<TypedExpr, usize>, bool, bool)>> {
        let Some(order_by) = tail.order_by else { return Ok(Vec::new()) };
        let env = Env { clause: "ORDER BY", ..env.clone() };
        order_keys(order_by, items.len())?
            .into_iter()
            .map(|key| {
                let (ascending, nulls_first) = direction(&key.options);
                let target = match key.target {
                    OrderTarget::Output(index) => Err(index),
                    OrderTarget::Expr(expr) => match output_named(expr, items) {
                        Some(index) => Err(index),
                        None => {
                            let value = self.expr(expr, &env)?;
                            match items.iter().position(|item| item.value.expr == value.expr) {
                                Some(index) => Err(index),
                                None => Ok(value),
                            }
                        }
                    },
                };
                Ok((target, ascending, nulls_first))
            })
            .collect()
    }

    /// The select list, DISTINCT and ORDER BY.
    #[allow(clippy::type_complexity)]
    fn output(
        &mut self,
        plan: LogicalPlan,
        items: Vec<Item>,
        order: Vec<(std::result::Result<TypedExpr, usize>, bool, bool)>,
        distinct: bool,
    ) -> Result<Bound> {
        let mut names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        let mut values: Vec<TypedExpr> = items.into_iter().map(|item| item.value).collect();
        let width = values.len();
        let mut keys = Vec::with_capacity(order.len());
        for (target, ascending, nulls_first) in order {
            let index = match target {
                Err(index) => index,
                Ok(value) => {
                    if distinct {
                        return Err(UserError::new(
                            Code::NotAGroupByExpression,
                            "ORDER BY of a SELECT DISTINCT must name columns of the select list",
                        )
                        .into());
                    }
                    names.push(self.unique_column("order"));
                    values.push(value);
                    values.len() - 1
                }
            };
            keys.push((index, ascending, nulls_first));
        }
        let mut bound = if self.outer.is_empty() {
            project(plan, &names, &values)?
        } else {
            let prefix = self.unique_column("sub");
            project_apart(plan, &prefix, &names, &values)?
        };
        if distinct {
            bound = self.distinct(bound)?;
        }
        if keys.is_empty() {
            return Ok(bound);
        }
        let outputs = bound.outputs();
        let last = keys.len() - 1;
        let sort = keys
            .into_iter()
            .enumerate()
            .map(|(place, (index, ascending, nulls_first))| {
                let value = &outputs[index];
                let key = if place < last { peer_key(value) } else { key_of(value) };
                SortExpr::new(key, ascending, nulls_first)
            })
            .collect();
        let Bound { plan, mut columns } = bound;
        let mut plan = LogicalPlan::Sort(Sort { expr: sort, input: Arc::new(plan), fetch: None });
        if columns.len() > width {
            columns.truncate(width);
            let kept = outputs.into_iter().take(width).map(|value| value.expr).collect();
            plan = LogicalPlan::Projection(Projection::try_new(kept, Arc::new(plan))?);
        }
        Ok(Bound { plan, columns })
    }
}

/// Whether there is no GROUP BY.
fn is_ungrouped(group_by: &ast::GroupByExpr) -> bool {
    matches!(group_by, ast::GroupByExpr::Expressions(list, _) if list.is_empty())
}

/// The item that a bare name of ORDER BY stands for.
fn output_named(expr: &Syntax, items: &[Item]) -> Option<usize> {
    let Syntax::Identifier(ident) = expr else { return None };
    let name = fold(ident);
    items.iter().position(|item| item.name == name)
}

/// The rows with the values of volatile aliases as further columns.
fn computed(plan: LogicalPlan, volatile: &[VolatileAlias]) -> Result<LogicalPlan> {
    let mut plan = plan;
    for VolatileAlias { alias: _, expr, column } in volatile {
        // One after the other: an alias may use one before it.
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.push(expr.clone().alias(column));
        plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
    }
    Ok(plan)
}

/// The rows with their number from 0 as a further column.
pub(crate) fn numbered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let number = datafusion::functions_window::expr_fn::row_number();
    let name = number.schema_name().to_string();
    let columns = plan.schema().columns();
    let plan = LogicalPlanBuilder::from(plan).window(vec![number])?.build()?;
    let mut exprs: Vec<Expr> = columns.into_iter().map(Expr::Column).collect();
    let from_zero = datafusion::logical_expr::cast(
        Expr::Column(PlanColumn::from_name(name)),
        arrow::datatypes::DataType::Int64,
    ) - datafusion::logical_expr::lit(1i64);
    exprs.push(from_zero.alias(ROW_NUMBER));
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// The outermost expressions of a kind, each once.
fn collect<'e>(
    exprs: impl Iterator<Item = &'e Expr>,
    test: impl Fn(&Expr) -> bool,
) -> Result<Vec<Expr>> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for expr in exprs {
        expr.apply(|node| {
            if test(node) {
                if seen.insert(node) {
                    found.push(node.clone());
                }
                return Ok(TreeNodeRecursion::Jump);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(found)
}

/// The calls of window functions that hold no other one, each once.
fn innermost_windows<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Result<Vec<Expr>> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for expr in exprs {
        expr.apply(|node| {
            if matches!(node, Expr::WindowFunction(_)) {
                let mut nested = false;
                node.apply_children(|child| {
                    nested |= contains_window(child);
                    Ok(TreeNodeRecursion::Continue)
                })?;
                if !nested && seen.insert(node) {
                    found.push(node.clone());
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(found)
}

pub(crate) fn aggregates_in<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Result<Vec<Expr>> {
    collect(exprs, |expr| matches!(expr, Expr::AggregateFunction(_)))
}

/// Replaces expressions, outermost first.
pub(crate) fn replace(expr: &Expr, replacements: &HashMap<Expr, Expr>) -> Result<Expr> {
    if let Some(replacement) = replacements.get(expr) {
        return Ok(replacement.clone());
    }
    Ok(expr
        .clone()
        .transform_down(|node| match replacements.get(&node) {
            // Within another expression a constant that equals a key is one of its own.
            Some(replacement) if !matches!(node, Expr::Literal(..)) => {
                Ok(Transformed::new(replacement.clone(), true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(node)),
        })
        .data()?)
}

/// Checks that an expression uses only what grouping has left; `by_clause` if a GROUP BY is there.
fn check_grouped(
    expr: &Expr,
    scope: &Scope,
    grouped: &datafusion::common::DFSchemaRef,
    by_clause: bool,
) -> Result<()> {
    let mut wrong: Option<PlanColumn> = None;
    let mut check = |column: &PlanColumn| {
        if !grouped.has_column(column) && wrong.is_none() {
            wrong = Some(column.clone());
        }
    };
    expr.apply(|node| {
        match node {
            Expr::Column(column) => check(column),
            Expr::ScalarSubquery(subquery)
            | Expr::Exists(datafusion::logical_expr::expr::Exists { subquery, negated: _ })
            | Expr::InSubquery(datafusion::logical_expr::expr::InSubquery {
                subquery,
                expr: _,
                negated: _,
            }) => {
                for outer in &subquery.outer_ref_columns {
                    if let Expr::OuterReferenceColumn(_, column) = outer
                        && scope.schema.has_column(column)
                    {
                        check(column);
                    }
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(column) = wrong else { return Ok(()) };
    let name = scope.name_of(&column);
    let message = if by_clause {
        format!("'{name}' in select clause is neither an aggregate nor in the group by clause.")
    } else {
        format!("[{name}] is not a valid group by expression")
    };
    Err(UserError::new(Code::NotAGroupByExpression, message).into())
}

/// The place of an item, for messages.
pub(crate) fn item_span(item: &SelectItem) -> Span {
    item.span()
}

/// Fails at a place.
pub(crate) fn invalid_at<T>(span: Span, code: Code, message: String) -> Result<T> {
    Err(UserError::new(code, message).at(position(span)).into())
}
