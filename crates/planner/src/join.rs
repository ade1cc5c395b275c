//! JOIN in its forms.

use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::{JoinConstraint as PlanConstraint, JoinType, NullEquality};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Subquery, lit};
use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use frazil_functions::operators::{self, BinaryOperator};
use sqlparser::ast::{self, Expr as Syntax, JoinConstraint, JoinOperator, Spanned};

use crate::binder::Binder;
use crate::error::{At, Result, position, refuse, unsupported};
use crate::expr::correlated::{is_correlated, refused};
use crate::from::{Input, is_table_function};
use crate::names::fold;
use crate::query::column_ident;
use crate::scope::{Env, Scope, ScopeColumn};

impl Binder<'_> {
    pub(crate) fn join(&mut self, left: Input, join: &ast::Join) -> Result<Input> {
        self.bind_join(left, join).at(join.span())
    }

    fn bind_join(&mut self, left: Input, join: &ast::Join) -> Result<Input> {
        let ast::Join { relation, global, join_operator } = join;
        refuse(*global, "GLOBAL JOIN")?;
        let (join_type, constraint) = match join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                (JoinType::Inner, constraint)
            }
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (JoinType::Left, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (JoinType::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (JoinType::Full, constraint),
            JoinOperator::CrossJoin(constraint) => {
                refuse(!matches!(constraint, JoinConstraint::None), "a condition of a CROSS JOIN")?;
                return self.cross(left, relation);
            }
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_) => return unsupported("SEMI and ANTI JOIN"),
            JoinOperator::CrossApply | JoinOperator::OuterApply => return unsupported("APPLY"),
            JoinOperator::AsOf { match_condition, constraint } => {
                if is_table_function(relation) {
                    return unsupported("ASOF JOIN with a table function");
                }
                let right = self.factor_beside(&left, relation)?;
                return self.asof_join(left, right, match_condition, constraint);
            }
            JoinOperator::StraightJoin(_) => return unsupported("STRAIGHT_JOIN"),
            JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => return unsupported("ARRAY JOIN"),
        };
        if is_table_function(relation) {
            return self.join_function(left, relation, join_type, constraint);
        }
        if join_type == JoinType::Inner && matches!(constraint, JoinConstraint::None) {
            return self.cross(left, relation);
        }
        let right = self.factor_beside(&left, relation)?;
        if right.lateral && !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return unsupported("LATERAL on the right of RIGHT and FULL JOIN");
        }
        match constraint {
            JoinConstraint::On(condition) => self.join_on(left, right, join_type, condition),
            JoinConstraint::Using(names) => {
                let names = names.iter().map(column_ident).collect::<Result<Vec<_>>>()?;
                self.join_using(left, right, join_type, &names)
            }
            JoinConstraint::Natural => {
                let mut names: Vec<ast::Ident> = Vec::new();
                for column in &left.scope.columns {
                    let shared = column.in_star
                        && right.scope.columns.iter().any(|c| c.in_star && c.name == column.name);
                    if shared && !names.iter().any(|known| known.value == column.name) {
                        names.push(ast::Ident::with_quote('"', column.name.clone()));
                    }
                }
                self.join_using(left, right, join_type, &names)
            }
            JoinConstraint::None => match join_type {
                JoinType::Inner => self.cross_join(left, right),
                _ => self.joined(left, right, join_type, Some(lit(true))),
            },
        }
    }

    /// `t JOIN TABLE(FLATTEN(t.v))`: the function is applied to the rows of the left.
    fn join_function(
        &mut self,
        left: Input,
        relation: &ast::TableFactor,
        join_type: JoinType,
        constraint: &JoinConstraint,
    ) -> Result<Input> {
        let condition = match constraint {
            JoinConstraint::None => None,
            JoinConstraint::On(Syntax::Value(ast::ValueWithSpan {
                value: ast::Value::Boolean(true),
                span: _,
            })) => None,
            JoinConstraint::On(condition) => Some(condition),
            JoinConstraint::Using(_) | JoinConstraint::Natural => {
                return unsupported("USING with a table function");
            }
        };
        if join_type != JoinType::Inner {
            return unsupported(
                "an outer join with a table function (FLATTEN keeps rows by OUTER => TRUE)",
            );
        }
        let joined = self.cross(left, relation)?;
        let Some(condition) = condition else { return Ok(joined) };
        let Input { plan, scope, lateral } = joined;
        let scope = Rc::new(scope);
        let condition = self.condition(condition, &Env::new(scope.clone(), "ON"))?;
        let plan = LogicalPlanBuilder::from(plan).filter(condition.expr)?.build()?;
        Ok(Input { plan, scope: Rc::unwrap_or_clone(scope), lateral })
    }

    fn join_on(
        &mut self,
        left: Input,
        right: Input,
        join_type: JoinType,
        condition: &Syntax,
    ) -> Result<Input> {
        // The condition's names are those of the joined rows.
        let probe = join_plans(&left.plan, &right.plan, JoinType::Inner, None)?;
        let scope = Scope::joined(left.scope.clone(), right.scope.clone(), &probe);
        let condition = self.condition(condition, &Env::new(Rc::new(scope), "ON"))?;
        self.joined(left, right, join_type, Some(condition.expr))
    }

    fn joined(
        &mut self,
        mut left: Input,
        mut right: Input,
        join_type: JoinType,
        filter: Option<Expr>,
    ) -> Result<Input> {
        let plan = join_plans(&left.plan, &right.plan, join_type, filter)?;
        if matches!(join_type, JoinType::Left | JoinType::Full) {
            right.scope.set_nullable();
        }
        if matches!(join_type, JoinType::Right | JoinType::Full) {
            left.scope.set_nullable();
        }
        let scope = Scope::joined(left.scope, right.scope, &plan);
        Ok(Input { plan, scope, lateral: false })
    }

    /// Columns of USING stand first and once: the left's, for a RIGHT JOIN the right's, for a
    /// FULL JOIN whichever is there.
    fn join_using(
        &mut self,
        left: Input,
        right: Input,
        join_type: JoinType,
        names: &[ast::Ident],
    ) -> Result<Input> {
        if names.is_empty() {
            return match join_type {
                JoinType::Inner => self.cross_join(left, right),
                _ => self.joined(left, right, join_type, Some(lit(true))),
            };
        }
        let facts = self.ctx.facts;
        let mut filter: Option<TypedExpr> = None;
        let mut merged = Vec::with_capacity(names.len());
        for ident in names {
            let find = |scope: &Scope| -> Result<ScopeColumn> {
                let index = scope.find(std::slice::from_ref(ident))?;
                let index = index.ok_or_else(|| {
                    UserError::invalid_identifier(fold(ident)).at(position(ident.span))
                })?;
                Ok(scope.columns[index].clone())
            };
            let (mut l, mut r) = (find(&left.scope)?, find(&right.scope)?);
            l.nullable |= matches!(join_type, JoinType::Right | JoinType::Full);
            r.nullable |= matches!(join_type, JoinType::Left | JoinType::Full);
            for (usage, name) in l.uses.iter().chain(&r.uses) {
                self.uses[*usage].columns.insert(name.clone());
            }
            let equal = operators::binary(BinaryOperator::Eq, l.typed(), r.typed(), facts)?;
            filter = Some(match filter {
                None => equal,
                Some(filter) => operators::and(filter, equal, facts)?,
            });
            let TypedExpr { expr, sql_type, nullable } = match join_type {
                JoinType::Right => r.typed(),
                JoinType::Full => operators::coalesce(vec![l.typed(), r.typed()], facts)?,
                _ => l.typed(),
            };
            merged.push(ScopeColumn {
                relation: None,
                name: l.name.clone(),
                sql_type,
                nullable,
                expr,
                in_star: true,
                bare: true,
                uses: l.uses.iter().chain(&r.uses).cloned().collect(),
            });
        }
        let filter = filter.map(|filter| filter.expr);
        let mut input = self.joined(left, right, join_type, filter)?;
        for column in &mut input.scope.columns {
            if column.bare && merged.iter().any(|m| m.name == column.name) {
                column.bare = false;
                column.in_star = false;
            }
        }
        let duplicate = merged
            .iter()
            .enumerate()
            .find(|(i, m)| merged[..*i].iter().any(|other| other.name == m.name));
        if let Some((_, column)) = duplicate {
            return Err(UserError::new(
                Code::DuplicateColumn,
                format!("duplicate column name '{}' in USING", column.name),
            )
            .into());
        }
        input.scope.columns.splice(0..0, merged);
        Ok(input)
    }
}

/// Two plans joined by a condition.
///
/// # Errors
/// 002031 for a condition of an outer join with a query that looks at its row.
pub(crate) fn join_plans(
    left: &LogicalPlan,
    right: &LogicalPlan,
    join_type: JoinType,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let filter = match filter {
        // Subqueries are planned below filters, not in the conditions of joins.
        Some(filter) if join_type == JoinType::Inner && has_subquery(&filter) => {
            let plan = join_plans(left, right, join_type, None)?;
            return Ok(LogicalPlanBuilder::from(plan).filter(filter)?.build()?);
        }
        // Which rows of an outer join stay without a partner would hang on a join within its condition.
        Some(filter) if has_correlated_subquery(&filter) => return Err(refused()),
        filter => filter,
    };
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left.clone()),
        Arc::new(right.clone()),
        Vec::new(),
        filter,
        join_type,
        PlanConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?))
}

/// Whether an expression contains a subquery.
pub(crate) fn has_subquery(expr: &Expr) -> bool {
    any_subquery(expr, |_| true)
}

/// Whether an expression contains a subquery that looks at the row around it.
pub(crate) fn has_correlated_subquery(expr: &Expr) -> bool {
    any_subquery(expr, |subquery| is_correlated(&subquery.subquery))
}

fn any_subquery(expr: &Expr, is_meant: impl Fn(&Subquery) -> bool) -> bool {
    use datafusion::common::tree_node::TreeNode;
    expr.exists(|node| {
        Ok(match node {
            Expr::ScalarSubquery(subquery) => is_meant(subquery),
            Expr::Exists(exists) => is_meant(&exists.subquery),
            Expr::InSubquery(within) => is_meant(&within.subquery),
            Expr::SetComparison(compared) => is_meant(&compared.subquery),
            _ => false,
        })
    })
    .unwrap_or(false)
}
