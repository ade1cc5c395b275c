//! What each operator of a plan that ran did: rows, bytes, time.

use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use frazil_common::hidden;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::run::{counted, forgetful, halved, sealed};

const NANOS_PER_MILLI: f64 = 1e6;

/// Operators that only pass rows on: they are left out, and what is below them stands for them. What
/// they spill is told with the operator that takes their rows.
const PASSING: &[&str] = &[
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    counted::NAME,
    forgetful::NAME,
    "HandedOnExec",
    "RepartitionExec",
    "SlicedExec",
    "SortPreservingMergeExec",
    "StoppableExec",
];

/// DataFusion's operators in the words of GET_QUERY_OPERATOR_STATS.
const WORDS: &[(&str, &str)] = &[
    ("AggregateExec", "Aggregate"),
    ("AsofJoinExec", "AsofJoin"),
    ("BoundedWindowAggExec", "WindowFunction"),
    ("CrossJoinExec", "CartesianJoin"),
    ("DataSourceExec", "TableScan"),
    ("EmptyExec", "ValuesClause"),
    ("FilterExec", "Filter"),
    ("GlobalLimitExec", "Limit"),
    (halved::NAME, "Projection"),
    ("HashJoinExec", "Join"),
    ("InterleaveExec", "UnionAll"),
    ("LazyMemoryExec", "Generator"),
    ("LocalLimitExec", "Limit"),
    ("NestedLoopJoinExec", "Join"),
    ("PartialSortExec", "Sort"),
    ("PartitionedTopKExec", "SortWithLimit"),
    ("PiecewiseMergeJoinExec", "Join"),
    ("PlaceholderRowExec", "ValuesClause"),
    ("RecursiveQueryExec", "WithClause"),
    (sealed::NAME, "DynamicSecureView"),
    ("SortExec", "Sort"),
    ("SortExec(TopK)", "SortWithLimit"),
    ("SortMergeJoinExec", "Join"),
    ("StreamingTableExec", "ExternalScan"),
    ("SymmetricHashJoinExec", "Join"),
    ("UnionExec", "UnionAll"),
    ("UnnestExec", "Flatten"),
    ("WindowAggExec", "WindowFunction"),
    ("WorkTableExec", "WithReference"),
];

/// One operator, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operator {
    /// The plan among those of its statement, from 1.
    pub step: i64,
    /// Unique in its step; the topmost is 0.
    pub id: i64,
    pub parent: Option<i64>,
    pub kind: String,
    pub statistics: Value,
    pub time: Value,
    pub attributes: Value,
}

/// What the operators of some plans did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    pub operators: Vec<Operator>,
    pub bytes_scanned: u64,
    pub bytes_spilled: u64,
    steps: i64,
}

/// The figures of one operator.
#[derive(Default)]
struct Figures {
    input_rows: Option<usize>,
    output_rows: Option<usize>,
    bytes_scanned: usize,
    bytes_spilled: usize,
    nanos: usize,
}

impl Figures {
    fn of(plan: &dyn ExecutionPlan) -> Figures {
        let metrics = plan.metrics().unwrap_or_default();
        let inputs = plan.children();
        // A scan's own measure, within which its decoder measures what it computes.
        let scanning =
            metrics.sum_by_name("time_elapsed_processing").map_or(0, |value| value.as_usize());
        let input_rows =
            inputs.iter().filter_map(|input| rows(input.as_ref())).reduce(|a, b| a + b);
        Figures {
            input_rows,
            output_rows: metrics.output_rows(),
            bytes_scanned: metrics.sum_by_name("bytes_scanned").map_or(0, |value| value.as_usize()),
            bytes_spilled: metrics.spilled_bytes().unwrap_or(0),
            nanos: metrics.elapsed_compute().unwrap_or(0).max(scanning),
        }
    }

    /// The sum of a plan's operators, with the rows it gives.
    fn below(plan: &dyn ExecutionPlan) -> Figures {
        let mut sum = Figures { output_rows: rows(plan), input_rows: None, ..Figures::of(plan) };
        for input in plan.children() {
            let figures = Figures::below(input.as_ref());
            sum.bytes_scanned += figures.bytes_scanned;
            sum.bytes_spilled += figures.bytes_spilled;
            sum.nanos += figures.nanos;
        }
        sum
    }

    fn statistics(&self) -> Value {
        let mut all = Map::new();
        if let Some(rows) = self.input_rows {
            all.insert("input_rows".to_string(), rows.into());
        }
        if let Some(rows) = self.output_rows {
            all.insert("output_rows".to_string(), rows.into());
        }
        if self.bytes_scanned > 0 {
            all.insert("io".to_string(), json!({ "bytes_scanned": self.bytes_scanned }));
        }
        if self.bytes_spilled > 0 {
            let spilled = json!({ "bytes_spilled_local_storage": self.bytes_spilled });
            all.insert("spilling".to_string(), spilled);
        }
        Value::Object(all)
    }
}

/// Whether an operator only passes rows on.
pub(crate) fn passes_on(name: &str) -> bool {
    PASSING.contains(&name)
}

/// Rows an operator gave; one that only passes them on gives those of the one below.
fn rows(plan: &dyn ExecutionPlan) -> Option<usize> {
    match plan.metrics().as_ref().and_then(MetricsSet::output_rows) {
        Some(rows) => Some(rows),
        None if passes_on(plan.name()) || plan.name() == sealed::NAME => {
            plan.children().first().and_then(|below| rows(below.as_ref()))
        }
        None => None,
    }
}

fn word(name: &str) -> String {
    match WORDS.iter().find(|(own, _)| *own == name) {
        Some((_, word)) => (*word).to_string(),
        None => name.strip_suffix("Exec").unwrap_or(name).to_string(),
    }
}

/// The operator's own description. That of a scan names files, which are nobody's business.
fn attributes(plan: &dyn ExecutionPlan) -> Value {
    struct Shown<'a>(&'a dyn ExecutionPlan);
    impl std::fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt_as(DisplayFormatType::Default, f)
        }
    }
    if plan.children().is_empty() || plan.name() == sealed::NAME {
        return json!({});
    }
    json!({ "description": hidden::shown(&Shown(plan).to_string()) })
}

impl Profile {
    /// Takes in rows that were computed with their plan.
    pub fn add_values(&mut self, rows: usize) {
        self.steps += 1;
        self.operators.push(Operator {
            step: self.steps,
            id: 0,
            parent: None,
            kind: word("PlaceholderRowExec"),
            statistics: json!({ "output_rows": rows }),
            time: json!({ "overall_percentage": 0.0, "processing_milliseconds": 0.0 }),
            attributes: json!({}),
        });
    }

    /// Takes in what a plan's operators did. To be called once it has run.
    pub fn add(&mut self, plan: &dyn ExecutionPlan) {
        self.steps += 1;
        let mut step = Step { number: self.steps, ..Step::default() };
        step.walk(plan, None, None);
        let total = Figures::below(plan);
        self.bytes_scanned += total.bytes_scanned as u64;
        self.bytes_spilled += total.bytes_spilled as u64;
        let all: usize = step.operators.iter().map(|(_, figures)| figures.nanos).sum();
        self.operators.extend(step.operators.into_iter().map(|(operator, figures)| {
            let nanos = figures.nanos as f64;
            Operator {
                statistics: figures.statistics(),
                time: json!({
                    "overall_percentage": if all == 0 { 0.0 } else { nanos / all as f64 },
                    "processing_milliseconds": nanos / NANOS_PER_MILLI,
                }),
                ..operator
            }
        }));
    }
}

/// The operators of one plan, with their figures; an operator's id is its place.
#[derive(Default)]
struct Step {
    number: i64,
    operators: Vec<(Operator, Figures)>,
    /// What was passed on above the first operator.
    above: Figures,
}

impl Step {
    /// Gives the cost of passing rows on to the operator that takes them; where none does, to the one
    /// that gives them.
    fn pass(&mut self, parent: Option<i64>, figures: &Figures) {
        let taker = parent.and_then(|id| self.operators.get_mut(usize::try_from(id).ok()?));
        let taker = taker.map_or(&mut self.above, |(_, figures)| figures);
        taker.bytes_spilled += figures.bytes_spilled;
        taker.nanos += figures.nanos;
    }

    fn push(&mut self, operator: Operator, mut figures: Figures) {
        let above = std::mem::take(&mut self.above);
        figures.bytes_spilled += above.bytes_spilled;
        figures.nanos += above.nanos;
        self.operators.push((operator, figures));
    }

    /// `given` are the rows that an operator above has counted for this one.
    fn walk(&mut self, plan: &dyn ExecutionPlan, parent: Option<i64>, given: Option<usize>) {
        let (mut below, mut given) = (parent, given);
        let sealed = plan.name() == sealed::NAME;
        if passes_on(plan.name()) {
            if plan.name() == counted::NAME {
                given = rows(plan);
            }
            self.pass(parent, &Figures::of(plan));
        } else {
            // What is sealed is told as one operator, in sum.
            let mut figures = if sealed { Figures::below(plan) } else { Figures::of(plan) };
            figures.output_rows = given.take().or(figures.output_rows);
            let id = self.operators.len() as i64;
            let operator = Operator {
                step: self.number,
                id,
                parent,
                kind: word(plan.name()),
                statistics: Value::Null,
                time: Value::Null,
                attributes: attributes(plan),
            };
            self.push(operator, figures);
            below = Some(id);
        }
        if !sealed {
            for input in plan.children() {
                self.walk(input.as_ref(), below, given);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted_and_unknown_operators_keep_their_name() {
        assert!(WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(word("HashJoinExec"), "Join");
        assert_eq!(word("SortExec(TopK)"), "SortWithLimit");
        assert_eq!(word("ProjectionExec"), "Projection");
    }

    #[test]
    fn what_passing_on_spills_goes_to_the_operator_that_takes_the_rows() {
        let operator = |id: i64, parent: Option<i64>| Operator {
            step: 1,
            id,
            parent,
            kind: "Sort".to_string(),
            statistics: Value::Null,
            time: Value::Null,
            attributes: Value::Null,
        };
        let spilled = |bytes_spilled: usize| Figures { bytes_spilled, ..Figures::default() };
        let mut step = Step::default();
        // A merge at the top, a repartition above each of the operators.
        step.pass(None, &spilled(1));
        step.push(operator(0, None), spilled(10));
        step.pass(Some(0), &spilled(100));
        step.push(operator(1, Some(0)), spilled(1000));
        step.pass(Some(1), &spilled(5000));
        let bytes: Vec<usize> =
            step.operators.iter().map(|(_, figures)| figures.bytes_spilled).collect();
        assert_eq!(bytes, [111, 6000]);
    }
}
