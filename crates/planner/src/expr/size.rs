//! A bound on what expressions grow to: some of their parts are copied where they are bound.

use datafusion::logical_expr::Expr;
use frazil_common::{Code, UserError};
use frazil_functions::{TypedExpr, nodes_up_to};
use sqlparser::ast::Expr as Syntax;

use crate::binder::Binder;
use crate::error::Result;

/// Nodes of the large expressions of a statement.
pub(crate) const NODES_MAX: usize = 200_000;
/// Expressions up to this size do not count: a statement may have many rows of VALUES.
const SMALL_NODES: usize = 1000;

fn too_large() -> UserError {
    UserError::new(
        Code::ResourceLimit,
        format!(
            "SQL statement is too complex: its expressions have more than {NODES_MAX} parts once \
             aliases and functions are written out."
        ),
    )
}

/// # Errors
/// The expression alone is too large.
pub(super) fn check_size(value: &TypedExpr) -> Result<()> {
    nodes_within(&value.expr).map(|_| ())
}

fn nodes_within(expr: &Expr) -> Result<usize> {
    let nodes = nodes_up_to(expr, NODES_MAX);
    if nodes > NODES_MAX { Err(too_large().into()) } else { Ok(nodes) }
}

/// Whether an expression may be larger than its parts together. Chains of operators, which can be
/// thousands of links long, are not: they are looked at as a whole.
fn may_copy(syntax: &Syntax) -> bool {
    !matches!(
        syntax,
        Syntax::Identifier(_)
            | Syntax::CompoundIdentifier(_)
            | Syntax::Value(_)
            | Syntax::BinaryOp { .. }
            | Syntax::UnaryOp { .. }
            | Syntax::Nested(_)
    )
}

impl Binder<'_> {
    /// Looks at what has been bound; `whole` if it is no part of another expression.
    ///
    /// # Errors
    /// The expression, or all large ones of the statement together, are too large.
    pub(super) fn count_nodes(
        &mut self,
        syntax: &Syntax,
        value: &TypedExpr,
        whole: bool,
    ) -> Result<()> {
        if !whole && !may_copy(syntax) {
            return Ok(());
        }
        let nodes = nodes_within(&value.expr)?;
        if whole && nodes > SMALL_NODES {
            self.large_nodes += nodes;
            if self.large_nodes > NODES_MAX {
                return Err(too_large().into());
            }
        }
        Ok(())
    }
}
