//! Where the columns of a plan come from.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use frazil_catalog::account::ColumnSource;
use frazil_common::QualifiedName;

type Sources = Rc<BTreeSet<ColumnSource>>;

/// Follows columns down to the tables, or to the first view on the way.
#[derive(Default)]
pub(crate) struct Lineage {
    /// Stop at what the statement itself names.
    direct: bool,
    /// Stored rows of another query by their internal name, with the sources of their columns.
    stored: Option<(String, Vec<Vec<ColumnSource>>)>,
    known: HashMap<(*const LogicalPlan, usize), Sources>,
}

impl Lineage {
    /// One that stops at views.
    pub fn direct() -> Self {
        Lineage { direct: true, ..Lineage::default() }
    }

    /// The same, which knows the sources of rows that were stored under a name.
    pub fn knowing(self, name: &str, columns: Vec<Vec<ColumnSource>>) -> Self {
        Lineage { stored: Some((name.to_string(), columns)), ..self }
    }

    /// The columns of tables that the values of a plan's column are computed from.
    pub fn sources(&mut self, plan: &LogicalPlan, column: usize) -> Sources {
        let key = (std::ptr::from_ref(plan), column);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut found = BTreeSet::new();
        self.collect(plan, column, &mut found);
        let found = Rc::new(found);
        self.known.insert(key, found.clone());
        found
    }

    fn collect(&mut self, plan: &LogicalPlan, column: usize, found: &mut BTreeSet<ColumnSource>) {
        match plan {
            LogicalPlan::TableScan(scan) => {
                if let Some(object) = full_name(&scan.table_name) {
                    let (_, field) = scan.projected_schema.qualified_field(column);
                    found.insert(ColumnSource { object, column: field.name().clone() });
                } else if let Some((name, columns)) = &self.stored
                    && scan.table_name.table() == name
                {
                    let place = match &scan.projection {
                        Some(places) => places.get(column).copied(),
                        None => Some(column),
                    };
                    found.extend(
                        place.and_then(|at| columns.get(at)).into_iter().flatten().cloned(),
                    );
                }
            }
            // Views stand under their full names; what statements name has names of its own.
            LogicalPlan::SubqueryAlias(alias)
                if self.direct && full_name(&alias.alias).is_some() =>
            {
                let (_, field) = alias.schema.qualified_field(column);
                let object = full_name(&alias.alias).unwrap_or_default();
                found.insert(ColumnSource { object, column: field.name().clone() });
            }
            LogicalPlan::Projection(projection) => {
                if let Some(expr) = projection.expr.get(column) {
                    self.of_expr(expr, &projection.input, found);
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                let grouping_sets =
                    matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_)));
                let exprs: Vec<&Expr> = if grouping_sets {
                    // The sets' expressions and their number come before the aggregates.
                    let fields = aggregate.schema.fields().len();
                    let first = fields.saturating_sub(aggregate.aggr_expr.len());
                    match column.checked_sub(first) {
                        Some(place) => aggregate.aggr_expr.get(place).into_iter().collect(),
                        None => aggregate.group_expr.iter().collect(),
                    }
                } else {
                    let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
                    exprs.skip(column).take(1).collect()
                };
                for expr in exprs {
                    self.of_expr(expr, &aggregate.input, found);
                }
            }
            LogicalPlan::Window(window) => {
                let inputs = window.input.schema().fields().len();
                match column.checked_sub(inputs) {
                    None => self.extend(&window.input, column, found),
                    Some(place) => {
                        if let Some(expr) = window.window_expr.get(place) {
                            self.of_expr(expr, &window.input, found);
                        }
                    }
                }
            }
            LogicalPlan::Join(join) => {
                let left = join.left.schema().fields().len();
                match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                        self.within(&join.right, column, found);
                    }
                    JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                        self.within(&join.left, column, found);
                    }
                    _ if column < left => self.extend(&join.left, column, found),
                    _ => self.within(&join.right, column - left, found),
                }
            }
            LogicalPlan::Union(union) => {
                for input in &union.inputs {
                    self.within(input, column, found);
                }
            }
            LogicalPlan::Distinct(Distinct::On(on)) => {
                if let Some(expr) = on.select_expr.get(column) {
                    self.of_expr(expr, &on.input, found);
                }
            }
            LogicalPlan::RecursiveQuery(query) => self.within(&query.static_term, column, found),
            // Rows are chosen or ordered, columns stay.
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => {
                for input in plan.inputs() {
                    self.within(input, column, found);
                }
            }
            // Our own nodes and those that unfold a column hand on columns under their names.
            other => {
                let (qualifier, field) = other.schema().qualified_field(column);
                for input in other.inputs() {
                    let same = input.schema().index_of_column_by_name(qualifier, field.name());
                    if let Some(place) = same {
                        self.extend(input, place, found);
                    }
                }
            }
        }
    }

    fn within(&mut self, plan: &LogicalPlan, column: usize, found: &mut BTreeSet<ColumnSource>) {
        if column < plan.schema().fields().len() {
            self.extend(plan, column, found);
        }
    }

    fn extend(&mut self, plan: &LogicalPlan, column: usize, found: &mut BTreeSet<ColumnSource>) {
        let sources = self.sources(plan, column);
        found.extend(sources.iter().cloned());
    }

    fn of_expr(&mut self, expr: &Expr, input: &LogicalPlan, found: &mut BTreeSet<ColumnSource>) {
        for column in expr.column_refs() {
            if let Some(place) = input.schema().maybe_index_of_column(column) {
                self.extend(input, place, found);
            }
        }
        let mut subqueries = Vec::new();
        // The visitor never fails.
        let _ = expr.apply(|part| {
            if let Expr::ScalarSubquery(subquery) = part {
                subqueries.push(subquery.subquery.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for subquery in subqueries {
            self.within(&subquery, 0, found);
        }
    }
}

/// The full name of a table or view of the account.
fn full_name(reference: &TableReference) -> Option<String> {
    match reference {
        TableReference::Full { catalog, schema, table } => {
            Some(QualifiedName::new(&**catalog, &**schema, &**table).to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::builder::LogicalTableSource;
    use datafusion::logical_expr::{JoinType, LogicalPlanBuilder, lit};

    use super::*;

    fn scan(name: &str) -> LogicalPlanBuilder {
        let fields = ["A", "B"].map(|name| Field::new(name, DataType::Int64, true));
        let source = Arc::new(LogicalTableSource::new(Arc::new(Schema::new(fields.to_vec()))));
        LogicalPlanBuilder::scan(TableReference::full("D", "S", name), source, None).unwrap()
    }

    fn shown(plan: &LogicalPlan, column: usize) -> Vec<String> {
        let sources = Lineage::default().sources(plan, column);
        sources.iter().map(|source| format!("{}.{}", source.object, source.column)).collect()
    }

    #[test]
    fn values_come_from_the_columns_they_are_computed_of() {
        let plan = scan("T")
            .join_on(scan("U").alias("u").unwrap().build().unwrap(), JoinType::Inner, [lit(true)])
            .unwrap();
        let fields = plan.schema().columns();
        let plan = plan
            .project(vec![
                Expr::Column(fields[0].clone()) + Expr::Column(fields[3].clone()),
                Expr::Column(fields[1].clone()),
                lit(1i64),
            ])
            .unwrap()
            .limit(0, Some(3))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(shown(&plan, 0), ["D.S.T.A", "D.S.U.B"]);
        assert_eq!(shown(&plan, 1), ["D.S.T.B"]);
        assert!(shown(&plan, 2).is_empty());
    }

    #[test]
    fn direct_sources_are_those_of_the_outermost_view() {
        let view = scan("T").alias(TableReference::full("D", "S", "V")).unwrap();
        let plan = view.alias("r1").unwrap().build().unwrap();
        assert_eq!(shown(&plan, 1), ["D.S.T.B"]);
        let direct = Lineage::direct().sources(&plan, 1);
        assert_eq!(direct.iter().map(|found| found.object.as_str()).collect::<Vec<_>>(), ["D.S.V"]);
    }

    #[test]
    fn groups_and_unions_are_followed() {
        let grouped = |name: &str| {
            let plan = scan(name);
            let fields = plan.schema().columns();
            let sum = datafusion::functions_aggregate::sum::sum(Expr::Column(fields[1].clone()));
            plan.aggregate(vec![Expr::Column(fields[0].clone())], vec![sum]).unwrap()
        };
        let plan = grouped("T").union(grouped("U").build().unwrap()).unwrap().build().unwrap();
        assert_eq!(shown(&plan, 0), ["D.S.T.A", "D.S.U.A"]);
        assert_eq!(shown(&plan, 1), ["D.S.T.B", "D.S.U.B"]);
    }
}
