//! How large an expression is.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;

/// An expression of more nodes than this is not copied where it is used several times, and is not
/// spelled out in names.
pub const SMALL_EXPR_NODES: usize = 64;

/// The nodes of an expression, without those of its subqueries. Counting ends beyond `most`.
pub fn nodes_up_to(expr: &Expr, most: usize) -> usize {
    let mut nodes = 0;
    // Counting raises no errors.
    let _ = expr.apply(|_| {
        nodes += 1;
        Ok(if nodes > most { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    nodes
}

/// Bytes of a constant that may be spelled out in names.
const SHORT_LITERAL_BYTES: usize = 1024;

/// Whether an expression holds a long constant, such as an array of thousands of elements.
pub(crate) fn has_long_literal(expr: &Expr) -> bool {
    expr.exists(|part| {
        Ok(matches!(part, Expr::Literal(value, _) if value.size() > SHORT_LITERAL_BYTES))
    })
    .unwrap_or(false)
}

/// Whether an expression may be copied.
pub fn is_small(expr: &Expr) -> bool {
    nodes_up_to(expr, SMALL_EXPR_NODES) <= SMALL_EXPR_NODES
}
