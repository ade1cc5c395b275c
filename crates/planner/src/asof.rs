//! ASOF JOIN: each row of the left with the closest row of the right, a node of its own.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, Projection, UserDefinedLogicalNodeCore,
};
use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::coerce::comparable;
use sqlparser::ast::{BinaryOperator, Expr as Syntax, JoinConstraint, Spanned};

use crate::binder::Binder;
use crate::error::{Result, position, unsupported};
use crate::expr::window::key_of;
use crate::from::Input;
use crate::query::column_ident;
use crate::scope::{Env, Scope};

/// Both inputs end with the join's keys, then the value that is compared: columns of equal types
/// on both sides. The output has the inputs' other columns, those of the right nullable.
///
/// Each row of the left is joined with the last row of the right, in the order of the value, that
/// has the same keys and meets the condition; without one the right's columns are NULL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AsofJoin {
    pub left: LogicalPlan,
    pub right: LogicalPlan,
    /// Number of keys.
    pub keys: usize,
    /// The closest row has the least value of those above, not the greatest of those below.
    pub descending: bool,
    /// An equal value does not match.
    pub strict: bool,
    schema: DFSchemaRef,
}

impl AsofJoin {
    fn try_new(
        left: LogicalPlan,
        right: LogicalPlan,
        keys: usize,
        descending: bool,
        strict: bool,
    ) -> EngineResult<Self> {
        let mut fields = Vec::new();
        for (plan, nullable) in [(&left, false), (&right, true)] {
            let kept = plan.schema().fields().len().saturating_sub(keys + 1);
            for (qualifier, field) in plan.schema().iter().take(kept) {
                let field = if nullable {
                    Arc::new(field.as_ref().clone().with_nullable(true))
                } else {
                    field.clone()
                };
                fields.push((qualifier.cloned(), field));
            }
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
        Ok(AsofJoin { left, right, keys, descending, strict, schema })
    }
}

impl PartialOrd for AsofJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.left.partial_cmp(&other.left) {
            Some(Ordering::Equal) => self.right.partial_cmp(&other.right),
            order => order,
        }
    }
}

impl UserDefinedLogicalNodeCore for AsofJoin {
    fn name(&self) -> &str {
        "AsofJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let op = match (self.descending, self.strict) {
            (false, false) => ">=",
            (false, true) => ">",
            (true, false) => "<=",
            (true, true) => "<",
        };
        write!(f, "AsofJoin: left {op} right, {} keys", self.keys)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> EngineResult<Self> {
        let mut inputs = inputs.into_iter();
        match (inputs.next(), inputs.next()) {
            (Some(left), Some(right)) => {
                AsofJoin::try_new(left, right, self.keys, self.descending, self.strict)
            }
            _ => Err(DataFusionError::Internal("an ASOF JOIN has two inputs".into())),
        }
    }
}

impl Binder<'_> {
    pub(crate) fn asof_join(
        &mut self,
        left: Input,
        right: Input,
        condition: &Syntax,
        constraint: &JoinConstraint,
    ) -> Result<Input> {
        if right.lateral {
            return unsupported("LATERAL on the right of ASOF JOIN");
        }
        let facts = self.ctx.facts;
        let (on_left, op, on_right) = match_condition(condition)?;
        let (descending, strict) = match op {
            BinaryOperator::GtEq => (false, false),
            BinaryOperator::Gt => (false, true),
            BinaryOperator::LtEq => (true, false),
            BinaryOperator::Lt => (true, true),
            _ => return Err(wrong_condition(condition)),
        };
        let mut pairs: Vec<(TypedExpr, TypedExpr)> = Vec::new();
        let mut merged: Vec<String> = Vec::new();
        match constraint {
            JoinConstraint::None => {}
            JoinConstraint::On(on) => {
                for term in conjunction(on) {
                    let Syntax::BinaryOp { left: l, op: BinaryOperator::Eq, right: r } = term
                    else {
                        return Err(UserError::new(
                            Code::InvalidStatement,
                            "ON of an ASOF JOIN takes equalities joined by AND",
                        )
                        .at(position(term.span()))
                        .into());
                    };
                    pairs.push(self.sides(l, r, &left.scope, &right.scope)?);
                }
            }
            JoinConstraint::Using(names) => {
                for name in names {
                    let ident = Syntax::Identifier(column_ident(name)?);
                    let l = self.expr(&ident, &side(&left.scope))?;
                    let r = self.expr(&ident, &side(&right.scope))?;
                    pairs.push((l, r));
                    if let Syntax::Identifier(ident) = &ident {
                        merged.push(crate::names::fold(ident));
                    }
                }
            }
            JoinConstraint::Natural => return unsupported("NATURAL ASOF JOIN"),
        }
        let keys = pairs.len();
        // The condition names the left's value first.
        let l = self.expr(on_left, &side(&left.scope))?;
        let r = self.expr(on_right, &side(&right.scope))?;
        pairs.push((l, r));
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for (l, r) in pairs {
            let (l, r) = comparable(l, r, facts)?;
            lefts.push(key_of(&l));
            rights.push(key_of(&r));
        }
        // A row of the right without a key or a value matches nothing.
        let known = rights
            .iter()
            .map(|value| value.clone().is_not_null())
            .reduce(|all, value| all.and(value));
        let right_plan = match known {
            Some(known) => LogicalPlanBuilder::from(right.plan).filter(known)?.build()?,
            None => right.plan,
        };
        let left_plan = self.with_columns(left.plan, lefts)?;
        let right_plan = self.with_columns(right_plan, rights)?;
        let node = AsofJoin::try_new(left_plan, right_plan, keys, descending, strict)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        let (left_scope, mut right_scope) = (left.scope, right.scope);
        right_scope.set_nullable();
        for column in &mut right_scope.columns {
            // USING shows its columns once, as the left has them.
            if merged.contains(&column.name) {
                column.bare = false;
                column.in_star = false;
            }
        }
        let scope = Scope::joined(left_scope, right_scope, &plan);
        Ok(Input { plan, scope, lateral: false })
    }

    /// Two values that are equal, one of each side, in either order.
    fn sides(
        &mut self,
        one: &Syntax,
        other: &Syntax,
        left: &Scope,
        right: &Scope,
    ) -> Result<(TypedExpr, TypedExpr)> {
        if let Ok(l) = self.expr(one, &side(left))
            && let Ok(r) = self.expr(other, &side(right))
        {
            return Ok((l, r));
        }
        Ok((self.expr(other, &side(left))?, self.expr(one, &side(right))?))
    }

    fn with_columns(&mut self, plan: LogicalPlan, values: Vec<Expr>) -> Result<LogicalPlan> {
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        for value in values {
            exprs.push(value.alias(self.unique_column("asof")));
        }
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
    }
}

fn side(scope: &Scope) -> Env {
    Env::new(Rc::new(scope.clone()), "MATCH_CONDITION")
}

fn match_condition(condition: &Syntax) -> Result<(&Syntax, &BinaryOperator, &Syntax)> {
    match condition {
        Syntax::Nested(inner) => match_condition(inner),
        Syntax::BinaryOp { left, op, right } => Ok((left, op, right)),
        other => Err(wrong_condition(other)),
    }
}

fn wrong_condition(condition: &Syntax) -> crate::error::PlannerError {
    UserError::new(
        Code::InvalidStatement,
        "MATCH_CONDITION takes one comparison by >=, >, <= or <, the left table's value first",
    )
    .at(position(condition.span()))
    .into()
}

/// The terms of a chain of ANDs.
pub(crate) fn conjunction(expr: &Syntax) -> Vec<&Syntax> {
    match expr {
        Syntax::Nested(inner) => conjunction(inner),
        Syntax::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut terms = conjunction(left);
            terms.extend(conjunction(right));
            terms
        }
        other => vec![other],
    }
}
