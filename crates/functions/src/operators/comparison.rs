//! Comparisons and boolean logic.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{BinaryExpr, InList};
use datafusion::logical_expr::{Expr, Operator, lit};
use frazil_common::{SqlType, TimeZoneKind, UserError};

use crate::cast::{CastMode, cast};
use crate::coerce::{comparable, mismatch, unify};
use crate::facts::Facts;
use crate::kernel::call;
use crate::typed::TypedExpr;
use crate::variant::sort_key_udf;

/// Types whose Arrow form does not compare as its values do.
pub(crate) fn needs_key(sql_type: &SqlType) -> bool {
    sql_type.is_semi_structured()
        || matches!(sql_type, SqlType::Timestamp { zone: TimeZoneKind::Tz, .. })
}

pub(super) fn keyed(value: TypedExpr) -> Expr {
    if needs_key(&value.sql_type) { sort_key_udf().call(vec![value.expr]) } else { value.expr }
}

/// Binds a comparison, casting both sides to one type.
pub fn compare(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let nullable = left.nullable || right.nullable;
    let (left, right) = comparable(left, right, facts)?;
    let both = left.as_literal().is_some() && right.as_literal().is_some();
    let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(keyed(left)), op, Box::new(keyed(right))));
    let value = TypedExpr::new(expr, SqlType::Boolean, nullable);
    if both && let Ok(result) = crate::evaluate::evaluate_constant(&value) {
        return Ok(TypedExpr::literal(result, SqlType::Boolean));
    }
    Ok(value)
}

fn boolean(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    cast(value, &SqlType::Boolean, CastMode::Implicit, facts)
}

fn logic(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let (left, right) = (boolean(left, facts)?, boolean(right, facts)?);
    let nullable = left.nullable || right.nullable;
    let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.expr), op, Box::new(right.expr)));
    Ok(TypedExpr::new(expr, SqlType::Boolean, nullable))
}

pub fn and(left: TypedExpr, right: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    logic(Operator::And, left, right, facts)
}

pub fn or(left: TypedExpr, right: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    logic(Operator::Or, left, right, facts)
}

/// Terms from which a chain of ANDs or ORs is a tree.
const LONG_CHAIN: usize = 32;

/// A long chain of ANDs or ORs, which leans to the left, as a tree of their terms in the same order. To
/// tell a node's type the engine goes down below it, which costs the square of a chain's length.
#[must_use]
pub fn balanced(value: TypedExpr) -> TypedExpr {
    TypedExpr { expr: balanced_expr(value.expr), ..value }
}

fn balanced_expr(expr: Expr) -> Expr {
    let op = match &expr {
        Expr::BinaryExpr(BinaryExpr {
            left: _,
            op: op @ (Operator::And | Operator::Or),
            right: _,
        }) => *op,
        _ => return expr,
    };
    let join = |left, right| {
        Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })
    };
    let mut terms = Vec::new();
    let mut rest = expr;
    let first = loop {
        match rest {
            Expr::BinaryExpr(link) if link.op == op => {
                terms.push(*link.right);
                rest = *link.left;
            }
            other => break balanced_expr(other),
        }
    };
    terms.push(first);
    terms.reverse();
    while terms.len() >= LONG_CHAIN {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut left = terms.into_iter();
        while let Some(term) = left.next() {
            pairs.push(match left.next() {
                Some(next) => join(term, next),
                None => term,
            });
        }
        terms = pairs;
    }
    let mut terms = terms.into_iter();
    match terms.next() {
        Some(first) => terms.fold(first, join),
        None => Expr::Literal(ScalarValue::Boolean(Some(op == Operator::And)), None),
    }
}

pub fn not(value: TypedExpr, facts: &Facts) -> Result<TypedExpr, UserError> {
    let value = boolean(value, facts)?;
    Ok(TypedExpr { expr: Expr::Not(Box::new(value.expr)), ..value })
}

pub fn is_null(value: TypedExpr) -> TypedExpr {
    TypedExpr::new(Expr::IsNull(Box::new(value.expr)), SqlType::Boolean, false)
}

pub fn is_not_null(value: TypedExpr) -> TypedExpr {
    TypedExpr::new(Expr::IsNotNull(Box::new(value.expr)), SqlType::Boolean, false)
}

/// `IS [NOT] TRUE`
pub fn is_true(value: TypedExpr, negated: bool, facts: &Facts) -> Result<TypedExpr, UserError> {
    let inner = Box::new(boolean(value, facts)?.expr);
    let expr = if negated { Expr::IsNotTrue(inner) } else { Expr::IsTrue(inner) };
    Ok(TypedExpr::new(expr, SqlType::Boolean, false))
}

/// `IS [NOT] FALSE`
pub fn is_false(value: TypedExpr, negated: bool, facts: &Facts) -> Result<TypedExpr, UserError> {
    let inner = Box::new(boolean(value, facts)?.expr);
    let expr = if negated { Expr::IsNotFalse(inner) } else { Expr::IsFalse(inner) };
    Ok(TypedExpr::new(expr, SqlType::Boolean, false))
}

/// `IS [NOT] DISTINCT FROM`; `negated` is `IS NOT DISTINCT FROM`.
pub fn is_distinct_from(
    left: TypedExpr,
    right: TypedExpr,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let op = if negated { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom };
    Ok(TypedExpr { nullable: false, ..compare(op, left, right, facts)? })
}

/// `value [NOT] BETWEEN low AND high`
pub fn between(
    value: TypedExpr,
    low: TypedExpr,
    high: TypedExpr,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let above = compare(Operator::GtEq, value.clone(), low, facts)?;
    let below = compare(Operator::LtEq, value, high, facts)?;
    let inside = and(above, below, facts)?;
    if negated { not(inside, facts) } else { Ok(inside) }
}

/// `value [NOT] IN (items)`
pub fn in_list(
    value: TypedExpr,
    items: Vec<TypedExpr>,
    negated: bool,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let nullable = value.nullable || items.iter().any(|i| i.nullable);
    // Literals take the value's type one by one; if any cannot, all meet in a common type.
    let mut pairs = Vec::with_capacity(items.len());
    for item in &items {
        pairs.push(comparable(value.clone(), item.clone(), facts)?);
    }
    let same = pairs.iter().all(|(v, _)| v.sql_type == value.sql_type);
    let (value, items) = if same {
        (value, pairs.into_iter().map(|(_, item)| item).collect())
    } else {
        let kind = value.sql_type.clone();
        let mut all = vec![value];
        all.extend(pairs.into_iter().map(|(_, item)| item));
        let (mut all, _) = unify(all, facts).map_err(|_| mismatch(&kind, &SqlType::TEXT))?;
        let value = all.remove(0);
        (value, all)
    };
    let list = items.into_iter().map(listed).collect();
    let expr = Expr::InList(InList::new(Box::new(listed(value)), list, negated));
    Ok(TypedExpr::new(expr, SqlType::Boolean, nullable))
}

/// A value as it is looked up in a list: by its bits, of which -0 has others than 0.
fn listed(value: TypedExpr) -> Expr {
    match value.sql_type {
        SqlType::Float => value.expr + lit(0.0_f64),
        _ => keyed(value),
    }
}

/// The expression by which values of this type group, sort, join and are distinct.
pub(crate) fn sort_key(value: TypedExpr) -> TypedExpr {
    if needs_key(&value.sql_type) {
        let nullable = value.nullable;
        call(
            "frazil_sort_key",
            vec![value.expr],
            SqlType::BYTES,
            nullable,
            crate::variant::sort_key,
        )
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::logical_expr::col;

    use super::*;

    fn chain(terms: usize) -> Expr {
        (1..terms).fold(col("c0"), |left, n| left.or(col(format!("c{n}"))))
    }

    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryExpr(link) => 1 + depth(&link.left).max(depth(&link.right)),
            _ => 0,
        }
    }

    #[test]
    fn long_chains_are_trees_of_the_same_terms() {
        // The last term of a chain of ANDs is one of ORs.
        let expr = chain(1000).and(chain(3)).and(chain(500));
        let tree = balanced(TypedExpr::new(expr.clone(), SqlType::Boolean, true)).expr;
        let terms = |expr: &Expr| {
            let mut terms = Vec::new();
            let _ = expr.apply(|part| {
                if let Expr::Column(column) = part {
                    terms.push(column.name.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            });
            terms
        };
        assert_eq!(terms(&tree), terms(&expr));
        assert_eq!(terms(&tree).len(), 1503);
        // What stands on the right was bound before, and is as it was.
        let first = balanced_expr(chain(1000));
        assert!(depth(&first) < 50, "{}", depth(&first));
        assert_eq!(balanced_expr(chain(31)), chain(31));
    }
}
