//! Estimates of how many rows a plan gives, from the tables' statistics.
//!
//! The catalog knows exact row counts, bounds and NULL counts, but no counts of distinct values:
//! for numbers and dates the bounds limit those. What is not known gets the guesses below, which
//! only ever decide between plans with the same result.

use std::collections::HashMap;

use datafusion::common::stats::Precision;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, Join, JoinType, LogicalPlan, Operator, TableScan,
};

/// Rows of a relation without statistics.
const ROWS_UNKNOWN: f64 = 1000.0;
/// Distinct values of a column without bounds, such as text, that a filter names a value of.
const DISTINCT_UNKNOWN: f64 = 25.0;
/// Part of the rows that an inequality between unknown values keeps.
const INEQUALITY: f64 = 1.0 / 3.0;
/// Part that a pattern keeps.
const PATTERN: f64 = 0.1;
/// Part that any other condition keeps.
const CONDITION: f64 = 0.25;
/// Part that a condition on an aggregate keeps: such conditions look for outliers.
const HAVING: f64 = 0.05;

/// What is known of a column's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ColumnEstimate {
    /// Different values.
    pub distinct: f64,
    /// Different values of a column without repeats, before any filter.
    pub key: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    /// The column is an aggregate's result.
    aggregated: bool,
    /// `distinct` is a guess for filters, which name frequent values.
    guessed: bool,
}

impl ColumnEstimate {
    fn unknown(rows: f64) -> Self {
        let distinct = rows.min(DISTINCT_UNKNOWN);
        ColumnEstimate {
            distinct,
            key: None,
            low: None,
            high: None,
            aggregated: false,
            guessed: true,
        }
    }

    /// Different values as far as joins are concerned: what is not known may be a key.
    fn joinable(&self, rows: f64) -> f64 {
        if self.guessed { rows.max(1.0) } else { self.distinct.max(1.0) }
    }
}

/// Rows of a plan, and its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Estimate {
    pub rows: f64,
    columns: HashMap<Column, ColumnEstimate>,
}

impl Estimate {
    pub fn column(&self, expr: &Expr) -> ColumnEstimate {
        let known = match expr {
            Expr::Column(column) => self.columns.get(column),
            Expr::Alias(alias) => return self.column(&alias.expr),
            Expr::Cast(cast) => return self.column(&cast.expr),
            _ => None,
        };
        known.copied().unwrap_or_else(|| ColumnEstimate {
            distinct: self.rows,
            ..ColumnEstimate::unknown(self.rows)
        })
    }

    /// The same rows, fewer of them.
    pub fn kept(mut self, part: f64) -> Self {
        let rows = (self.rows * part).max(1.0).min(self.rows.max(1.0));
        for column in self.columns.values_mut() {
            // Of d values with n rows each, some row of most is kept unless few are kept of each.
            let each = self.rows / column.distinct.max(1.0);
            let left = column.distinct * (1.0 - (1.0 - part.clamp(0.0, 1.0)).powf(each));
            column.distinct = left.max(1.0).min(rows);
        }
        self.rows = rows;
        self
    }

    fn with(mut self, other: Estimate, rows: f64) -> Self {
        self.columns.extend(other.columns);
        self.rows = rows.max(1.0);
        for column in self.columns.values_mut() {
            column.distinct = column.distinct.min(self.rows);
        }
        self
    }
}

/// The rows of two relations joined on equal expressions.
pub(super) fn join(
    left: &Estimate,
    right: &Estimate,
    on: &[(&Expr, &Expr)],
    filters: &[&Expr],
) -> Estimate {
    let mut part = 1.0;
    for (l, r) in on {
        let (l, r) = (left.column(l), right.column(r));
        part *= match (l.key, r.key) {
            // Every value of the one is some row of the other: its filters keep what they keep.
            (Some(key), None) | (None, Some(key)) => 1.0 / key.max(1.0),
            _ => 1.0 / l.joinable(left.rows).max(r.joinable(right.rows)),
        };
    }
    // Several keys together tell rows apart no better than the larger side's rows.
    if on.len() > 1 {
        part = part.max(1.0 / left.rows.max(right.rows).max(1.0));
    }
    let rows = left.rows * right.rows * part;
    let joined = left.clone().with(right.clone(), rows);
    filters.iter().fold(joined, |joined, filter| {
        let part = selectivity(&joined, filter);
        joined.kept(part)
    })
}

/// Part of `left`'s rows that have a match in `right`.
pub(super) fn matching(left: &Estimate, right: &Estimate, on: &[(Expr, Expr)]) -> f64 {
    let mut part = 1.0_f64;
    for (l, r) in on {
        let (l, r) = (left.column(l), right.column(r));
        part = part.min(r.joinable(right.rows) / l.joinable(left.rows));
    }
    part.clamp(0.0, 1.0)
}

/// Estimates a plan.
pub(super) fn estimate(plan: &LogicalPlan) -> Estimate {
    match plan {
        LogicalPlan::TableScan(scan) => table(scan),
        LogicalPlan::Filter(filter) => filtered(estimate(&filter.input), &filter.predicate),
        LogicalPlan::Projection(projection) => {
            let input = estimate(&projection.input);
            let columns = projection.schema.columns().into_iter().zip(&projection.expr);
            let columns = columns.map(|(column, expr)| (column, input.column(expr))).collect();
            Estimate { rows: input.rows, columns }
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = estimate(&alias.input);
            let from = alias.input.schema().columns().into_iter().map(Expr::Column);
            let columns = alias.schema.columns().into_iter().zip(from);
            let columns = columns.map(|(column, from)| (column, input.column(&from))).collect();
            Estimate { rows: input.rows, columns }
        }
        LogicalPlan::Join(node) => joined(node),
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = estimate(input);
            let groups = input.columns.values().map(|c| c.distinct).fold(1.0, |a, b| a * b);
            let rows = input.rows.min(groups);
            Estimate { rows, ..input }
        }
        LogicalPlan::Limit(limit) => {
            let input = estimate(&limit.input);
            let rows = match limit.get_fetch_type() {
                Ok(FetchType::Literal(Some(fetch))) => input.rows.min(fetch as f64),
                _ => input.rows,
            };
            input.with(Estimate::default(), rows)
        }
        LogicalPlan::Union(union) => {
            let rows = union.inputs.iter().map(|input| estimate(input).rows).sum();
            Estimate { rows, columns: HashMap::new() }
        }
        LogicalPlan::EmptyRelation(empty) => Estimate {
            rows: if empty.produce_one_row { 1.0 } else { 0.0 },
            columns: HashMap::new(),
        },
        LogicalPlan::Values(values) => {
            Estimate { rows: values.values.len() as f64, columns: HashMap::new() }
        }
        other => match other.inputs().as_slice() {
            [input] => estimate(input),
            _ => Estimate { rows: ROWS_UNKNOWN, columns: HashMap::new() },
        },
    }
}

fn table(scan: &TableScan) -> Estimate {
    let statistics = source_as_provider(&scan.source).ok().and_then(|p| p.statistics());
    let Some(statistics) = statistics else {
        return Estimate { rows: ROWS_UNKNOWN, columns: HashMap::new() };
    };
    let rows = statistics.num_rows.get_value().map_or(ROWS_UNKNOWN, |rows| *rows as f64);
    let mut columns = HashMap::new();
    for (place, column) in scan.projected_schema.columns().into_iter().enumerate() {
        let index = scan.projection.as_ref().and_then(|p| p.get(place)).copied().unwrap_or(place);
        let mut known = ColumnEstimate::unknown(rows);
        if let Some(facts) = statistics.column_statistics.get(index) {
            known.low = number(&facts.min_value);
            known.high = number(&facts.max_value);
            let counted = facts.distinct_count.get_value().map(|count| *count as f64);
            let span = steps(&facts.min_value, &facts.max_value);
            if let Some(distinct) = counted.or(span) {
                known.guessed = false;
                known.distinct = distinct.min(rows).max(1.0);
                known.key = (distinct >= rows && rows > 1.0).then_some(rows);
            }
        }
        columns.insert(column, known);
    }
    let rows = scan.fetch.map_or(rows, |fetch| rows.min(fetch as f64));
    Estimate { rows, columns }
}

fn number(bound: &Precision<ScalarValue>) -> Option<f64> {
    position(bound.get_value()?)
}

/// The number of whole steps between the bounds of a discrete type.
fn steps(low: &Precision<ScalarValue>, high: &Precision<ScalarValue>) -> Option<f64> {
    let step = match low.get_value()? {
        ScalarValue::Int64(_) | ScalarValue::Date32(_) | ScalarValue::Boolean(_) => 1.0,
        ScalarValue::Decimal128(_, _, scale) => 10f64.powi(-i32::from(*scale)),
        _ => return None,
    };
    Some((number(high)? - number(low)?) / step + 1.0)
}

/// A value's place on a line, if its type has one.
fn position(value: &ScalarValue) -> Option<f64> {
    Some(match value {
        ScalarValue::Boolean(Some(value)) => f64::from(u8::from(*value)),
        ScalarValue::Int32(Some(value)) => f64::from(*value),
        ScalarValue::Int64(Some(value)) => *value as f64,
        ScalarValue::Float64(Some(value)) => *value,
        ScalarValue::Decimal128(Some(value), _, scale) => {
            *value as f64 / 10f64.powi(i32::from(*scale))
        }
        ScalarValue::Date32(Some(days)) => f64::from(*days),
        ScalarValue::TimestampMicrosecond(Some(value), _)
        | ScalarValue::Time64Microsecond(Some(value)) => *value as f64,
        ScalarValue::TimestampNanosecond(Some(value), _)
        | ScalarValue::Time64Nanosecond(Some(value)) => *value as f64,
        _ => return None,
    })
}

fn joined(node: &Join) -> Estimate {
    let (left, right) = (estimate(&node.left), estimate(&node.right));
    let on: Vec<(&Expr, &Expr)> = node.on.iter().map(|(l, r)| (l, r)).collect();
    let filters: Vec<&Expr> = node.filter.iter().flat_map(split_conjunction).collect();
    let inner = || join(&left, &right, &on, &filters);
    match node.join_type {
        JoinType::Inner => inner(),
        JoinType::Left => with_at_least(inner(), left.rows),
        JoinType::Right => with_at_least(inner(), right.rows),
        JoinType::Full => with_at_least(inner(), left.rows + right.rows),
        JoinType::LeftSemi => {
            let part = matching(&left, &right, &node.on);
            left.kept(part)
        }
        JoinType::LeftAnti => {
            let part = 1.0 - matching(&left, &right, &node.on);
            left.kept(part.max(0.1))
        }
        JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
    }
}

fn with_at_least(mut estimate: Estimate, rows: f64) -> Estimate {
    estimate.rows = estimate.rows.max(rows);
    estimate
}

fn grouped(node: &Aggregate) -> Estimate {
    let input = estimate(&node.input);
    let groups: Vec<ColumnEstimate> = node.group_expr.iter().map(|e| input.column(e)).collect();
    let distinct = groups.iter().map(|group| group.distinct).fold(1.0, |a, b| a * b);
    let rows = input.rows.min(distinct).max(1.0);
    let single = groups.len() == 1;
    let mut columns = HashMap::new();
    for (place, column) in node.schema.columns().into_iter().enumerate() {
        let known = match groups.get(place) {
            Some(group) => ColumnEstimate {
                distinct: group.distinct.min(rows),
                key: single.then_some(group.distinct),
                ..*group
            },
            None => ColumnEstimate { aggregated: true, ..ColumnEstimate::unknown(rows) },
        };
        columns.insert(column, known);
    }
    Estimate { rows, columns }
}

fn filtered(input: Estimate, predicate: &Expr) -> Estimate {
    let mut ranges: HashMap<&Expr, (f64, f64)> = HashMap::new();
    let mut part = 1.0;
    for condition in split_conjunction(predicate) {
        match range(&input, condition) {
            // Both ends of a range count together.
            Some((column, low, high)) => {
                let known = ranges.entry(column).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                *known = (known.0.max(low), known.1.min(high));
            }
            None => part *= selectivity(&input, condition),
        }
    }
    for (column, (low, high)) in ranges {
        part *= within(&input.column(column), low, high);
    }
    input.kept(part)
}

fn within(column: &ColumnEstimate, low: f64, high: f64) -> f64 {
    let (Some(least), Some(most)) = (column.low, column.high) else { return INEQUALITY };
    if most <= least {
        return 1.0;
    }
    let (low, high) = (low.max(least), high.min(most));
    ((high - low) / (most - least)).clamp(0.5 / column.distinct.max(1.0), 1.0)
}

/// A condition of a column with bounds against a value, as the range it keeps.
fn range<'a>(input: &Estimate, condition: &'a Expr) -> Option<(&'a Expr, f64, f64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (column, op, value) = match (left.as_ref(), right.as_ref()) {
        (column @ Expr::Column(_), Expr::Literal(value, _)) => (column, *op, value),
        (Expr::Literal(value, _), column @ Expr::Column(_)) => (column, op.swap()?, value),
        _ => return None,
    };
    let known = input.column(column);
    known.low.zip(known.high)?;
    let value = position(value)?;
    match op {
        Operator::Lt | Operator::LtEq => Some((column, f64::NEG_INFINITY, value)),
        Operator::Gt | Operator::GtEq => Some((column, value, f64::INFINITY)),
        _ => None,
    }
}

/// Part of the rows that a condition keeps.
fn selectivity(input: &Estimate, condition: &Expr) -> f64 {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => selectivity(input, left) * selectivity(input, right),
            Operator::Or => {
                let (a, b) = (selectivity(input, left), selectivity(input, right));
                a + b - a * b
            }
            Operator::Eq | Operator::IsNotDistinctFrom => equality(input, left, right),
            Operator::NotEq | Operator::IsDistinctFrom => 1.0 - equality(input, left, right),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                match range(input, condition) {
                    Some((column, low, high)) => within(&input.column(column), low, high),
                    None if input.column(left).aggregated || input.column(right).aggregated => {
                        HAVING
                    }
                    None => INEQUALITY,
                }
            }
            _ => CONDITION,
        },
        Expr::InList(InList { expr, list, negated }) => {
            let distinct = input.column(expr).distinct;
            let part = (list.len() as f64 / distinct.max(1.0)).min(0.9);
            if *negated { 1.0 - part } else { part }
        }
        Expr::Like(Like { negated, .. }) => {
            if *negated {
                1.0 - PATTERN
            } else {
                PATTERN
            }
        }
        Expr::Not(inner) => 1.0 - selectivity(input, inner),
        Expr::IsNull(_) => 0.05,
        Expr::IsNotNull(_) => 0.95,
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => 1.0,
        Expr::Literal(_, _) => 0.0,
        _ => CONDITION,
    }
}

fn equality(input: &Estimate, left: &Expr, right: &Expr) -> f64 {
    let column = |expr: &Expr| matches!(expr, Expr::Column(_)).then(|| input.column(expr).distinct);
    let distinct = match (column(left), column(right)) {
        (Some(left), Some(right)) => left.max(right),
        (Some(distinct), None) | (None, Some(distinct)) => distinct,
        // The value of an expression.
        (None, None) => DISTINCT_UNKNOWN,
    };
    1.0 / distinct.max(1.0)
}
