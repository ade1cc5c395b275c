//! UNION, INTERSECT, EXCEPT and MINUS.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{JoinConstraint, JoinType, NullEquality};
use datafusion::logical_expr::{Join, LogicalPlan, Union};
use frazil_common::{Code, Column, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::coerce::common_type;
use sqlparser::ast::{self, SetExpr, Spanned};

use crate::binder::{Binder, Bound};
use crate::error::{At, PlannerError, Result, unsupported};
use crate::expr::window::key_of;
use crate::query::project;
use crate::scope::ScopeColumn;

impl Binder<'_> {
    pub(crate) fn set_operation(&mut self, body: &SetExpr) -> Result<Bound> {
        // Long chains of UNION lean to the left: walk them without recursion.
        let mut spine = Vec::new();
        let mut first = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            spine.push((*op, *set_quantifier, right.as_ref()));
            first = left;
        }
        let mut result = self.plain_set_expr(first)?;
        let mut pending: Vec<Bound> = Vec::new();
        while let Some((op, quantifier, right)) = spine.pop() {
            let right_bound = self.plain_set_expr(right)?;
            let plain_union = matches!(op, ast::SetOperator::Union)
                && matches!(quantifier, ast::SetQuantifier::All);
            if plain_union {
                pending.push(right_bound);
                let more = spine.last().is_some_and(|(op, quantifier, _)| {
                    matches!(op, ast::SetOperator::Union)
                        && matches!(quantifier, ast::SetQuantifier::All)
                });
                if !more {
                    let mut inputs = vec![result];
                    inputs.append(&mut pending);
                    result = self.union_all(inputs)?;
                }
                continue;
            }
            result = self.combine(result, op, quantifier, right_bound).at(right.span())?;
        }
        Ok(result)
    }

    fn combine(
        &mut self,
        left: Bound,
        op: ast::SetOperator,
        quantifier: ast::SetQuantifier,
        right: Bound,
    ) -> Result<Bound> {
        use ast::{SetOperator as O, SetQuantifier as Q};
        match (op, quantifier) {
            (O::Union, Q::All) => self.union_all(vec![left, right]),
            (O::Union, Q::None | Q::Distinct) => {
                let all = self.union_all(vec![left, right])?;
                self.distinct(all)
            }
            (O::Union, Q::ByName | Q::DistinctByName) => {
                let all = self.union_by_name(left, right)?;
                self.distinct(all)
            }
            (O::Union, Q::AllByName) => self.union_by_name(left, right),
            (O::Intersect, Q::None | Q::Distinct) => self.semi(left, right, true),
            (O::Except | O::Minus, Q::None | Q::Distinct) => self.semi(left, right, false),
            (op, quantifier) => unsupported(format!("{op} {quantifier}")),
        }
    }

    /// Inputs of a set operation brought to common types, with the first one's names.
    fn aligned(&mut self, inputs: Vec<Bound>) -> Result<(Vec<LogicalPlan>, Vec<Column>)> {
        let mut columns = match inputs.first() {
            Some(first) => first.columns.clone(),
            None => return Err(UserError::internal("a set operation without inputs").into()),
        };
        for input in &inputs[1..] {
            if input.columns.len() != columns.len() {
                return Err(column_count(columns.len(), input.columns.len()));
            }
            for (column, other) in columns.iter_mut().zip(&input.columns) {
                column.sql_type =
                    common_type(&column.sql_type, &other.sql_type).ok_or_else(|| {
                        UserError::new(
                            Code::IncompatibleTypes,
                            format!(
                                "inconsistent data type for result columns for set operator \
                                     input branches, expected {}, got {} for column '{}'",
                                column.sql_type, other.sql_type, column.name
                            ),
                        )
                    })?;
                column.nullable |= other.nullable;
            }
        }
        let plans = inputs
            .into_iter()
            .map(|input| Ok(self.cast_columns(input, &columns)?.plan))
            .collect::<Result<Vec<_>>>()?;
        Ok((plans, columns))
    }

    pub(crate) fn union_all(&mut self, inputs: Vec<Bound>) -> Result<Bound> {
        let inputs = match <[Bound; 1]>::try_from(inputs) {
            Ok([only]) => return Ok(only),
            Err(inputs) => inputs,
        };
        let (plans, columns) = self.aligned(inputs)?;
        let inputs = plans.into_iter().map(Arc::new).collect();
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
        Ok(Bound { plan, columns })
    }

    fn union_by_name(&mut self, left: Bound, right: Bound) -> Result<Bound> {
        let mut columns = left.columns.clone();
        for column in &right.columns {
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column.clone());
            }
        }
        let inputs = [left, right]
            .into_iter()
            .map(|input| {
                let outputs = input.outputs();
                let mut named: HashMap<&str, TypedExpr> = HashMap::new();
                for (column, output) in input.columns.iter().zip(outputs) {
                    if named.insert(&column.name, output).is_some() {
                        return Err(UserError::new(
                            Code::AmbiguousColumn,
                            format!("ambiguous column name '{}'", column.name),
                        )
                        .into());
                    }
                }
                let values: Vec<TypedExpr> = columns
                    .iter()
                    .map(|column| {
                        named.get(column.name.as_str()).cloned().unwrap_or_else(TypedExpr::null)
                    })
                    .collect();
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                project(input.plan.clone(), &names, &values)
            })
            .collect::<Result<Vec<_>>>()?;
        self.union_all(inputs)
    }

    /// Rows of the left that have (or have not) an equal row on the right, each once.
    fn semi(&mut self, left: Bound, right: Bound, intersect: bool) -> Result<Bound> {
        let (plans, columns) = self.aligned(vec![left, right])?;
        let mut plans = plans.into_iter();
        let (Some(left), Some(right)) = (plans.next(), plans.next()) else {
            return Err(UserError::internal("a set operation without inputs").into());
        };
        let left = self.distinct(Bound { plan: left, columns: columns.clone() })?;
        let right = Bound { plan: right, columns: columns.clone() };
        let (left_plan, left_scope) =
            self.named_relation(left.plan, &columns, vec![String::new()], None, None)?;
        let (right_plan, right_scope) =
            self.named_relation(right.plan, &columns, vec![String::new()], None, None)?;
        let on = left_scope
            .columns
            .iter()
            .zip(&right_scope.columns)
            .map(|(l, r)| (key_of(&l.typed()), key_of(&r.typed())))
            .collect();
        let join_type = if intersect { JoinType::LeftSemi } else { JoinType::LeftAnti };
        let plan = LogicalPlan::Join(Join::try_new(
            Arc::new(left_plan),
            Arc::new(right_plan),
            on,
            None,
            join_type,
            JoinConstraint::On,
            NullEquality::NullEqualsNull,
            false,
        )?);
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let values: Vec<TypedExpr> = left_scope.columns.iter().map(ScopeColumn::typed).collect();
        project(plan, &names, &values)
    }
}

/// Inputs of different widths.
pub(crate) fn column_count(left: usize, right: usize) -> PlannerError {
    UserError::new(
        Code::SetOperationColumnCountMismatch,
        format!(
            "invalid number of result columns for set operator input branches, expected {left}, \
             got {right} in one of the branches"
        ),
    )
    .into()
}
