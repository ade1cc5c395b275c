//! Join order: inner joins are put in the order that makes the fewest rows, by estimates.
//!
//! A group of inner joins is taken apart into its relations and conditions, and the cheapest tree
//! over them is found by dynamic programming over sets of relations. Semi and anti joins of a
//! group that look at one relation alone are placed below the joins or above them, whichever is
//! cheaper. Outer joins, cross joins and large groups stay as they were written.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection};

use super::cardinality::{Estimate, estimate, join, matching};

/// Larger groups of joins are not reordered: the number of trees grows too fast.
const RELATIONS_MAX: usize = 10;
/// Semi and anti joins placed by trying each place of each.
const REDUCERS_MAX: usize = 4;
/// Work of putting a row into a hash table, in rows probed.
const BUILD_COST: f64 = 2.0;

/// Reorders all joins of a plan. Tells whether there were any to look at.
pub(super) fn reorder(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    let result = rewrite(plan)?;
    Ok((result.data, result.transformed))
}

fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let plan = plan.map_subqueries(rewrite)?;
    let seen = plan.transformed;
    if !is_group(&plan.data) {
        let mut result = plan.data.map_children(rewrite)?;
        if result.transformed {
            result.data = result.data.recompute_schema()?;
        }
        result.transformed |= seen;
        return Ok(result);
    }
    let mut group = Group::default();
    group.take_apart(plan.data.clone());
    let Some((early, trees)) = group.order() else {
        // Not to be reordered as a whole, but parts of it may be.
        let mut result = plan.data.map_children(rewrite_below)?;
        if result.transformed {
            result.data = result.data.recompute_schema()?;
        }
        result.transformed |= seen;
        return Ok(result);
    };
    for leaf in &mut group.leaves {
        *leaf = rewrite(std::mem::take(leaf))?.data;
    }
    for reducer in &mut group.reducers {
        reducer.right = rewrite(std::mem::take(&mut reducer.right))?.data;
    }
    let Some(problem) = Problem::of(&group) else {
        return Err(DataFusionError::Internal("a relation lost its columns".into()));
    };
    let ordered = problem.build(early, &trees)?;
    let columns = plan.data.schema().columns().into_iter().map(Expr::Column).collect();
    let projected = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(ordered))?);
    Ok(Transformed::yes(projected))
}

/// Goes on below a join of a group that stays.
fn rewrite_below(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if is_group(&plan) {
        let mut result = plan.map_children(rewrite_below)?;
        if result.transformed {
            result.data = result.data.recompute_schema()?;
        }
        return Ok(result);
    }
    rewrite(plan)
}

/// Whether a plan is the top of joins that may be reordered.
fn is_group(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(node) => is_inner(node) || is_reducer(node),
        LogicalPlan::Projection(node) => is_transparent(node) && is_group(&node.input),
        LogicalPlan::Filter(node) => is_movable(&node.predicate) && is_group(&node.input),
        _ => false,
    }
}

fn is_inner(node: &Join) -> bool {
    node.join_type == JoinType::Inner
        && node.null_equality == NullEquality::NullEqualsNothing
        && !node.on.is_empty()
        && node.filter.as_ref().is_none_or(is_movable)
}

/// A join that only drops rows of its left side.
fn is_reducer(node: &Join) -> bool {
    matches!(node.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && !node.null_aware
        && !node.on.is_empty()
}

/// A projection that passes columns on as they are.
fn is_transparent(node: &Projection) -> bool {
    node.expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
}

/// Whether a condition may be evaluated on other rows than it was written for.
fn is_movable(expr: &Expr) -> bool {
    !expr.is_volatile() && !has_subquery(expr)
}

/// Whether an expression runs a query.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let runs = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        )
    };
    expr.exists(|expr| Ok(runs(expr))).unwrap_or(true)
}

/// A semi or anti join, without its left side.
#[derive(Debug, Clone)]
struct Reducer {
    join_type: JoinType,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    null_equality: NullEquality,
}

impl Reducer {
    fn apply(&self, left: LogicalPlan) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Join(Join::try_new(
            Arc::new(left),
            Arc::new(self.right.clone()),
            self.on.clone(),
            self.filter.clone(),
            self.join_type,
            JoinConstraint::On,
            self.null_equality,
            false,
        )?))
    }

    /// The part of the rows that stays.
    fn part(&self, left: &Estimate, right: &Estimate) -> f64 {
        let found = matching(left, right, &self.on);
        match self.join_type {
            // A further condition spares some.
            JoinType::LeftAnti if self.filter.is_some() => 1.0 - found * 0.5,
            JoinType::LeftAnti => 1.0 - found,
            _ => found,
        }
    }
}

/// A group of inner joins, taken apart.
#[derive(Debug, Default)]
struct Group {
    leaves: Vec<LogicalPlan>,
    equalities: Vec<(Expr, Expr)>,
    filters: Vec<Expr>,
    reducers: Vec<Reducer>,
}

/// A set of relations, as bits.
type Set = u32;

/// The cheapest way to join a set of relations.
#[derive(Debug, Clone)]
struct Tree {
    cost: f64,
    rows: Estimate,
    /// The sides that build and probe; none for a single relation.
    sides: Option<(Set, Set)>,
}

impl Group {
    fn take_apart(&mut self, plan: LogicalPlan) {
        match plan {
            LogicalPlan::Join(node) if is_inner(&node) => {
                self.equalities.extend(node.on);
                if let Some(filter) = node.filter {
                    self.filters.extend(split_conjunction_owned(filter));
                }
                self.take_apart(Arc::unwrap_or_clone(node.left));
                self.take_apart(Arc::unwrap_or_clone(node.right));
            }
            LogicalPlan::Join(node) if is_reducer(&node) => {
                self.reducers.push(Reducer {
                    join_type: node.join_type,
                    right: Arc::unwrap_or_clone(node.right),
                    on: node.on,
                    filter: node.filter,
                    null_equality: node.null_equality,
                });
                self.take_apart(Arc::unwrap_or_clone(node.left));
            }
            LogicalPlan::Projection(node) if is_transparent(&node) && is_group(&node.input) => {
                self.take_apart(Arc::unwrap_or_clone(node.input));
            }
            LogicalPlan::Filter(node) if is_movable(&node.predicate) && is_group(&node.input) => {
                self.filters.extend(split_conjunction_owned(node.predicate));
                self.take_apart(Arc::unwrap_or_clone(node.input));
            }
            leaf => self.leaves.push(leaf),
        }
    }

    /// The set of relations whose columns an expression uses; none if it uses a column of no
    /// relation, or of several.
    fn uses(&self, expr: &Expr) -> Option<Set> {
        let mut set = 0;
        for column in expr.column_refs() {
            set |= self.home(column)?;
        }
        Some(set)
    }

    fn home(&self, column: &Column) -> Option<Set> {
        let mut homes = (0..self.leaves.len())
            .filter(|i| self.leaves.get(*i).is_some_and(|leaf| leaf.schema().has_column(column)));
        let home = homes.next()?;
        homes.next().is_none().then_some(1 << home)
    }

    /// The reducers to apply first and the cheapest trees; none where the group must stay.
    fn order(&self) -> Option<(Set, HashMap<Set, Tree>)> {
        let count = self.leaves.len();
        if count > RELATIONS_MAX || self.reducers.len() > REDUCERS_MAX || self.repeats_a_column() {
            return None;
        }
        let problem = Problem::of(self)?;
        let mut best: Option<(f64, Set, HashMap<Set, Tree>)> = None;
        // Bit i: reducer i is applied to its relation before the joins.
        for early in 0..(1 << self.reducers.len()) {
            if let Some((cost, trees)) = problem.solve(early)
                && best.as_ref().is_none_or(|(least, _, _)| cost < *least)
            {
                best = Some((cost, early, trees));
            }
        }
        best.map(|(_, early, trees)| (early, trees))
    }

    /// Whether two relations have a column of the same name, which a projection told apart.
    fn repeats_a_column(&self) -> bool {
        let columns = self.leaves.iter().flat_map(|leaf| leaf.schema().columns());
        let mut seen = std::collections::HashSet::new();
        columns.into_iter().any(|column| !seen.insert(column))
    }
}

/// A group with its conditions resolved to sets of relations.
#[derive(Debug)]
struct Problem<'a> {
    group: &'a Group,
    leaves: Vec<Estimate>,
    /// Equalities with the relations of their sides.
    edges: Vec<(Set, Set)>,
    /// Filters with the relations they use.
    filters: Vec<Set>,
    /// Reducers: their relation if it is a single one, and an estimate of their right side.
    reducers: Vec<(Option<usize>, Estimate)>,
}

impl<'a> Problem<'a> {
    fn of(group: &'a Group) -> Option<Self> {
        let mut edges = Vec::with_capacity(group.equalities.len());
        for (left, right) in &group.equalities {
            let (left, right) = (group.uses(left)?, group.uses(right)?);
            if left == 0 || right == 0 || left & right != 0 {
                return None;
            }
            edges.push((left, right));
        }
        let filters = group.filters.iter().map(|filter| group.uses(filter));
        let filters = filters.collect::<Option<Vec<_>>>()?;
        if filters.contains(&0) {
            return None;
        }
        let mut reducers = Vec::with_capacity(group.reducers.len());
        for reducer in &group.reducers {
            let mut set = 0;
            for (outer, _) in &reducer.on {
                set |= group.uses(outer)?;
            }
            for column in reducer.filter.iter().flat_map(|filter| filter.column_refs()) {
                if !reducer.right.schema().has_column(column) {
                    set |= group.home(column)?;
                } else if group.home(column).is_some() {
                    return None;
                }
            }
            let single = set.is_power_of_two().then(|| set.trailing_zeros() as usize);
            reducers.push((single, estimate(&reducer.right)));
        }
        let leaves = group.leaves.iter().map(estimate).collect();
        Some(Problem { group, leaves, edges, filters, reducers })
    }

    fn all(&self) -> Set {
        (1 << self.leaves.len()) - 1
    }

    /// The cheapest tree for every set that can be joined without a cross join, with these
    /// reducers applied first; none if that is not possible.
    fn solve(&self, early: Set) -> Option<(f64, HashMap<Set, Tree>)> {
        let mut trees: HashMap<Set, Tree> = HashMap::new();
        for (index, rows) in self.leaves.iter().enumerate() {
            let mut tree = Tree { cost: 0.0, rows: rows.clone(), sides: None };
            for (place, (single, right)) in self.reducers.iter().enumerate() {
                if early & (1 << place) != 0 && *single == Some(index) {
                    tree = self.reduced(tree, place, right);
                }
            }
            trees.insert(1 << index, tree);
        }
        for (place, (single, _)) in self.reducers.iter().enumerate() {
            if early & (1 << place) != 0 && single.is_none() {
                return None;
            }
        }
        let all = self.all();
        for set in 1..=all {
            if set.is_power_of_two() {
                continue;
            }
            let mut best: Option<Tree> = None;
            // Every split once: the side with the lowest relation is named first.
            let lowest = set & set.wrapping_neg();
            let mut first = (set - 1) & set;
            while first > 0 {
                if first & lowest != 0
                    && let Some(tree) = self.joined(&trees, first, set & !first)
                    && best.as_ref().is_none_or(|known| tree.cost < known.cost)
                {
                    best = Some(tree);
                }
                first = (first - 1) & set;
            }
            if let Some(tree) = best {
                trees.insert(set, tree);
            }
        }
        let mut top = trees.get(&all)?.clone();
        for (place, (_, right)) in self.reducers.iter().enumerate() {
            if early & (1 << place) == 0 {
                top = self.reduced(top, place, right);
            }
        }
        Some((top.cost, trees))
    }

    fn reduced(&self, tree: Tree, place: usize, right: &Estimate) -> Tree {
        let Some(reducer) = self.group.reducers.get(place) else { return tree };
        let part = reducer.part(&tree.rows, right);
        let (left, other) = (tree.rows.rows, right.rows);
        let rows = tree.rows.kept(part);
        let work = BUILD_COST * left.min(other) + left.max(other);
        Tree { cost: tree.cost + work + rows.rows, rows, sides: tree.sides }
    }

    /// Both sides joined, if an equality connects them.
    fn joined(&self, trees: &HashMap<Set, Tree>, first: Set, second: Set) -> Option<Tree> {
        let (left, right) = (trees.get(&first)?, trees.get(&second)?);
        let on: Vec<(&Expr, &Expr)> = self.on(first, second).collect();
        if on.is_empty() {
            return None;
        }
        let filters: Vec<&Expr> = self.new_filters(first, second).collect();
        let rows = join(&left.rows, &right.rows, &on, &filters);
        let (small, large) =
            if left.rows.rows <= right.rows.rows { (first, second) } else { (second, first) };
        let build = left.rows.rows.min(right.rows.rows);
        let probe = left.rows.rows.max(right.rows.rows);
        let cost = left.cost + right.cost + BUILD_COST * build + probe + rows.rows;
        Some(Tree { cost, rows, sides: Some((small, large)) })
    }

    /// The equalities between two sets, each with the first set's side first.
    fn on(&self, first: Set, second: Set) -> impl Iterator<Item = (&'a Expr, &'a Expr)> + '_ {
        let pairs = self.edges.iter().zip(&self.group.equalities);
        pairs.filter_map(move |((left, right), (l, r))| {
            let within = |part: Set, set: Set| part & !set == 0;
            if within(*left, first) && within(*right, second) {
                Some((l, r))
            } else if within(*left, second) && within(*right, first) {
                Some((r, l))
            } else {
                None
            }
        })
    }

    /// The filters that both sides together can evaluate and neither can alone.
    fn new_filters(&self, first: Set, second: Set) -> impl Iterator<Item = &'a Expr> + '_ {
        let pairs = self.filters.iter().zip(&self.group.filters);
        pairs.filter_map(move |(set, filter)| {
            let within = |whole: Set| set & !whole == 0;
            (within(first | second) && !within(first) && !within(second)).then_some(filter)
        })
    }

    fn build(&self, early: Set, trees: &HashMap<Set, Tree>) -> Result<LogicalPlan> {
        let mut plan = self.plan(early, trees, self.all())?;
        for (place, reducer) in self.group.reducers.iter().enumerate() {
            if early & (1 << place) == 0 {
                plan = reducer.apply(plan)?;
            }
        }
        Ok(plan)
    }

    fn plan(&self, early: Set, trees: &HashMap<Set, Tree>, set: Set) -> Result<LogicalPlan> {
        let sides = trees.get(&set).and_then(|tree| tree.sides);
        let Some((build, probe)) = sides else {
            let index = set.trailing_zeros() as usize;
            let mut plan = self.group.leaves.get(index).cloned().unwrap_or_default();
            let own = self.filters.iter().zip(&self.group.filters).filter(|(s, _)| **s == set);
            if let Some(filter) = conjunction(own.map(|(_, filter)| filter.clone())) {
                plan = LogicalPlan::Filter(Filter::try_new(filter, Arc::new(plan))?);
            }
            for (place, (single, _)) in self.reducers.iter().enumerate() {
                if early & (1 << place) != 0
                    && *single == Some(index)
                    && let Some(reducer) = self.group.reducers.get(place)
                {
                    plan = reducer.apply(plan)?;
                }
            }
            return Ok(plan);
        };
        let on = self.on(build, probe).map(|(l, r)| (l.clone(), r.clone())).collect();
        let filter = conjunction(self.new_filters(build, probe).cloned());
        Ok(LogicalPlan::Join(Join::try_new(
            Arc::new(self.plan(early, trees, build)?),
            Arc::new(self.plan(early, trees, probe)?),
            on,
            filter,
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?))
    }
}
