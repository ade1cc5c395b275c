#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{JoinType, ScalarValue, Statistics};
use datafusion::datasource::{MemTable, TableType, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::functions_aggregate::expr_fn::{avg, sum};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::{is_constant, optimize};

/// A few rows that claim to be many.
#[derive(Debug)]
struct Claimed {
    rows: MemTable,
    statistics: Statistics,
}

#[async_trait]
impl TableProvider for Claimed {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.rows.scan(state, projection, filters, limit).await
    }
    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics.clone())
    }
}

/// A table of integer columns: (name, values, claimed highest value, from 1).
fn table(name: &str, claimed: usize, columns: &[(&str, &[i64], i64)]) -> LogicalPlanBuilder {
    let arrays = columns
        .iter()
        .map(|(name, values, _)| (*name, Arc::new(Int64Array::from(values.to_vec())) as ArrayRef));
    let batch = RecordBatch::try_from_iter(arrays).unwrap();
    let mut statistics = Statistics::new_unknown(&batch.schema());
    statistics.num_rows = Precision::Exact(claimed);
    for (column, (_, _, high)) in statistics.column_statistics.iter_mut().zip(columns) {
        column.min_value = Precision::Exact(ScalarValue::Int64(Some(1)));
        column.max_value = Precision::Exact(ScalarValue::Int64(Some(*high)));
    }
    let rows = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let source = provider_as_source(Arc::new(Claimed { rows, statistics }));
    LogicalPlanBuilder::scan(name, source, None).unwrap()
}

/// 6 M rows: four for each order, thirty for each part.
fn lines() -> LogicalPlanBuilder {
    table(
        "lines",
        6_000_000,
        &[
            ("l_order", &[1, 1, 2, 3, 3, 4, 5, 5], 1_500_000),
            ("l_part", &[1, 2, 1, 3, 2, 2, 4, 1], 200_000),
            ("l_quantity", &[5, 9, 2, 40, 7, 1, 3, 8], 50),
        ],
    )
}

fn orders() -> LogicalPlanBuilder {
    table(
        "orders",
        1_500_000,
        &[("o_order", &[1, 2, 3, 4, 5], 1_500_000), ("o_customer", &[1, 2, 1, 3, 3], 150_000)],
    )
}

fn customers() -> LogicalPlanBuilder {
    table(
        "customers",
        150_000,
        &[("c_customer", &[1, 2, 3], 150_000), ("c_nation", &[1, 2, 1], 25)],
    )
}

fn nations() -> LogicalPlanBuilder {
    table("nations", 25, &[("n_nation", &[1, 2], 25), ("n_region", &[1, 2], 5)])
}

fn parts() -> LogicalPlanBuilder {
    table("parts", 200_000, &[("p_part", &[1, 2, 3, 4], 200_000), ("p_size", &[7, 1, 7, 2], 50)])
}

fn on(left: LogicalPlanBuilder, right: LogicalPlanBuilder, l: &str, r: &str) -> LogicalPlanBuilder {
    left.join(right.build().unwrap(), JoinType::Inner, (vec![l], vec![r]), None).unwrap()
}

fn state() -> SessionState {
    SessionStateBuilder::new().with_default_features().build()
}

async fn rows(state: &SessionState, plan: &LogicalPlan) -> Vec<String> {
    let plan = state.query_planner().create_physical_plan(plan, state).await.unwrap();
    let batches = collect(plan, state.task_ctx()).await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort();
    lines
}

/// The optimised plan, which gives the same rows and columns as DataFusion's.
async fn checked(plan: LogicalPlanBuilder) -> String {
    let (state, plan) = (state(), plan.build().unwrap());
    let plain = state.optimize(&plan).unwrap();
    let ours = optimize(&state, &plan).unwrap();
    assert_eq!(plain.schema().columns(), ours.schema().columns());
    let expected = rows(&state, &plain).await;
    assert!(expected.len() > 4, "the test needs rows: {expected:?}");
    assert_eq!(expected, rows(&state, &ours).await);
    ours.display_indent().to_string()
}

/// The words appear in the plan in this order.
fn in_order(plan: &str, words: &[&str]) {
    let mut from = 0;
    for word in words {
        let found = plan.get(from..).and_then(|rest| rest.find(word));
        assert!(found.is_some(), "no {word} after {from} in\n{plan}");
        from += found.unwrap() + word.len();
    }
}

#[tokio::test]
async fn the_most_selective_relation_is_joined_first() {
    let plan = on(lines(), orders(), "l_order", "o_order");
    let plan = on(plan, customers(), "o_customer", "c_customer");
    let plan = on(plan, nations(), "c_nation", "n_nation");
    let plan = plan.filter(col("n_region").eq(lit(1i64))).unwrap();
    let plan = checked(plan).await;
    // The smaller side builds: nations, then their customers, then their orders.
    in_order(&plan, &["nations", "customers", "orders", "lines"]);
    in_order(&plan, &["Inner Join: orders.o_order", "Inner Join: customers.c_customer"]);
}

#[tokio::test]
async fn one_row_tells_that_there_are_rows() {
    for (join_type, asked) in [(JoinType::LeftSemi, "customers"), (JoinType::RightSemi, "orders")] {
        let all = customers().build().unwrap();
        let plan = checked(orders().join_on(all, join_type, [lit(true)]).unwrap()).await;
        in_order(&plan, &["Semi Join", "Limit: skip=0, fetch=1", &format!("TableScan: {asked}")]);
        assert_eq!(plan.matches("Limit").count(), 1, "{plan}");
    }
}

#[tokio::test]
async fn a_selective_semi_join_goes_below_the_joins() {
    let many = lines()
        .aggregate(vec![col("l_order")], vec![sum(col("l_quantity")).alias("q")])
        .unwrap()
        .filter(col("q").gt(lit(10i64)))
        .unwrap()
        .project(vec![col("l_order").alias("key")])
        .unwrap()
        .alias("many")
        .unwrap();
    let plan = on(orders(), lines(), "o_order", "l_order");
    let plan = plan
        .join(many.build().unwrap(), JoinType::LeftSemi, (vec!["o_order"], vec!["key"]), None)
        .unwrap();
    let plan = checked(plan).await;
    in_order(&plan, &["Inner Join", "LeftSemi Join", "orders"]);
}

#[tokio::test]
async fn a_semi_join_that_keeps_nearly_all_stays_above_the_joins() {
    let few = nations().filter(col("n_region").eq(lit(1i64))).unwrap();
    let plan = on(customers(), few, "c_nation", "n_nation");
    let with_orders = orders().project(vec![col("o_customer").alias("key")]).unwrap();
    let with_orders = with_orders.alias("buyers").unwrap().build().unwrap();
    let plan = plan
        .join(with_orders, JoinType::LeftSemi, (vec!["c_customer"], vec!["key"]), None)
        .unwrap();
    let plan = checked(plan).await;
    in_order(&plan, &["LeftSemi Join", "Inner Join"]);
}

#[tokio::test]
async fn outer_and_cross_joins_keep_their_order() {
    let plan = lines()
        .join(orders().build().unwrap(), JoinType::Left, (vec!["l_order"], vec!["o_order"]), None)
        .unwrap();
    let plan = checked(plan.cross_join(nations().build().unwrap()).unwrap()).await;
    in_order(&plan, &["Cross Join", "Left Join", "lines", "orders", "nations"]);
}

#[tokio::test]
async fn conditions_over_several_relations_stay_with_their_joins() {
    let plan = on(lines(), orders(), "l_order", "o_order");
    let plan = on(plan, parts(), "l_part", "p_part");
    let condition = col("l_quantity").gt(col("p_size")).or(col("o_customer").eq(col("p_size")));
    let plan = checked(plan.filter(condition).unwrap()).await;
    assert_eq!(plan.matches(" OR ").count(), 1, "{plan}");
}

#[tokio::test]
async fn only_the_groups_that_are_asked_for_are_made() {
    let average = lines()
        .aggregate(vec![col("l_part")], vec![avg(col("l_quantity")).alias("a")])
        .unwrap()
        .project(vec![col("l_part").alias("part"), col("a")])
        .unwrap()
        .alias("averages")
        .unwrap();
    let few = parts().filter(col("p_size").eq(lit(7i64))).unwrap();
    let plan = on(lines(), few, "l_part", "p_part");
    let plan = on(plan, average, "p_part", "part");
    let plan = plan.filter(col("l_quantity").lt_eq(col("a"))).unwrap();
    let plan = checked(plan).await;
    in_order(&plan, &["Aggregate: groupBy=[[lines.l_part]]", "LeftSemi Join", "lines", "parts"]);
}

#[tokio::test]
async fn groups_are_all_made_where_most_are_asked_for() {
    let average = lines()
        .aggregate(vec![col("l_part")], vec![avg(col("l_quantity")).alias("a")])
        .unwrap()
        .project(vec![col("l_part").alias("part"), col("a")])
        .unwrap()
        .alias("averages")
        .unwrap();
    let plan = checked(on(parts(), average, "p_part", "part")).await;
    assert!(!plan.contains("LeftSemi"), "{plan}");
}

#[tokio::test]
async fn plans_of_literals_alone_skip_the_rules_for_operators() {
    let values = || LogicalPlanBuilder::values(vec![vec![lit(1_i64)], vec![lit(2_i64)]]).unwrap();
    let tripled = || values().project(vec![(col("column1") * lit(3_i64)).alias("x")]).unwrap();
    let plan = tripled().build().unwrap();
    assert!(is_constant(&plan));
    let state = state();
    let ours = rows(&state, &optimize(&state, &plan).unwrap()).await;
    assert_eq!(ours, rows(&state, &state.optimize(&plan).unwrap()).await);
    // What changes the number or order of rows, or reads others, takes the usual way.
    assert!(!is_constant(&tripled().limit(0, Some(1)).unwrap().build().unwrap()));
    assert!(!is_constant(&tripled().filter(col("x").gt(lit(3_i64))).unwrap().build().unwrap()));
    let inner = Arc::new(table("t", 1, &[("a", &[1], 1)]).build().unwrap());
    let nested = values().project(vec![datafusion::logical_expr::scalar_subquery(inner)]).unwrap();
    assert!(!is_constant(&nested.build().unwrap()));
}
