//! Names that the rules make beside those that users gave to their columns.

use datafusion::common::alias::AliasGenerator;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

/// What the names begin with that the rules make: `__common_expr_1` and its like.
const PREFIX: &str = "__";

/// Has the rules begin after the greatest number that a column's name of such a form ends with.
pub(super) fn pass_by(plan: &LogicalPlan, names: &AliasGenerator) {
    // The closure never fails.
    let _ = plan.apply_with_subqueries(|node| {
        for field in node.schema().fields() {
            if let Some(name) = field.name().strip_prefix(PREFIX)
                && let Some((_, number)) = name.rsplit_once('_')
                && let Ok(number) = number.parse::<u32>()
            {
                names.update_min_id(number as usize);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
}
