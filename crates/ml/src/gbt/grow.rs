//! Depth-wise growth of one tree over binned rows.

use std::ops::Range;

use rayon::prelude::*;

use super::bins::{Binned, Group};
use super::histogram::{self, Cell, Histogram};
use super::options::Settings;
use super::sampling::ColumnSampler;
use super::split::{Bounds, Parent, Penalty, Rule, Split, Sums};
use super::tree::Tree;
use crate::{MlError, Stop};

/// Smallest gain that counts as one.
const MIN_GAIN: f32 = 1e-6;
/// Histograms kept for the next level, at most; beyond it both children are summed directly.
const KEPT_BYTES: usize = 512 << 20;
/// Histograms computed at a time, at most.
const BATCH_BYTES: usize = 128 << 20;
/// Rows of a node partitioned by one worker.
const PARTITION_CHUNK: usize = 32 << 10;
/// Rows per partial sum of the root; fixed, so that the sum does not depend on threads.
const SUM_CHUNK: usize = 8 << 10;

/// A tree with the rows of each leaf.
#[derive(Debug)]
pub struct Grown {
    pub tree: Tree,
    /// (leaf value, its part of the row order).
    pub leaves: Vec<(f32, Range<usize>)>,
}

/// Grows trees on one table.
#[derive(Debug)]
pub struct Grower<'a> {
    pub data: &'a Binned,
    pub settings: &'a Settings,
    pub penalty: &'a Penalty,
    pub stop: &'a Stop,
}

struct Active {
    node: usize,
    rows: Range<usize>,
    parent: Parent,
    features: Vec<usize>,
    hist: Option<Vec<Histogram>>,
    best: Option<Split>,
}

/// Siblings whose histograms are computed together.
struct Family {
    small: usize,
    large: Option<usize>,
    parent_hist: Option<Vec<Histogram>>,
}

struct Task {
    family: usize,
    group: usize,
    parent_hist: Option<Histogram>,
}

struct Answer {
    hist: [Option<Histogram>; 2],
    best: [Option<Split>; 2],
}

impl Grower<'_> {
    /// Grows one tree. `order` is any arrangement of all rows and is left sorted by leaf.
    ///
    /// # Errors
    /// [`MlError::Stopped`].
    pub fn grow(
        &self,
        grads: &[[f32; 2]],
        order: &mut [u32],
        sampler: &mut ColumnSampler,
    ) -> Result<Grown, MlError> {
        self.stop.check()?;
        let eta = (self.settings.eta / self.settings.parallel_trees as f64) as f32;
        let tree_features = sampler.tree();
        let needed: Vec<bool> = self
            .data
            .groups
            .iter()
            .map(|g| g.features().iter().any(|f| tree_features.contains(f)))
            .collect();

        let sums = total(grads);
        let mut tree = Tree::default();
        let weight = self.penalty.weight(sums, Bounds::FREE);
        tree.push_leaf(weight * eta, weight, sums.hess as f32);
        let mut level = vec![self.active(0, 0..order.len(), sums, [Bounds::FREE; 2])];
        let mut families = vec![Family { small: 0, large: None, parent_hist: None }];
        let mut leaves = Vec::new();
        for depth in 0..=self.settings.max_depth {
            if depth < self.settings.max_depth {
                self.choose_features(&mut level, &tree_features, sampler);
                let keep = depth + 1 < self.settings.max_depth;
                self.evaluate(&mut level, families, &needed, grads, order, keep)?;
            }
            let splits = self.partition(&level, order);
            let mut next = Vec::new();
            families = Vec::new();
            for (mut active, left_rows) in level.into_iter().zip(splits) {
                let (Some(split), Some(left_rows)) = (active.best.take(), left_rows) else {
                    leaves.push((tree.value[active.node], active.rows));
                    continue;
                };
                let middle = active.rows.start + left_rows;
                let outer = active.parent.bounds;
                let (lb, rb) = self.penalty.child_bounds(&split, outer);
                // XGBoost bounds the children's own weights by their parent's interval.
                let wl = self.penalty.weight(split.left, outer);
                let wr = self.penalty.weight(split.right, outer);
                let left = tree.push_leaf(wl * eta, wl, split.left.hess as f32);
                let right = tree.push_leaf(wr * eta, wr, split.right.hess as f32);
                set_split(&mut tree, active.node, left, right, &split);
                let first = next.len();
                next.push(self.active(left, active.rows.start..middle, split.left, [outer, lb]));
                next.push(self.active(right, middle..active.rows.end, split.right, [outer, rb]));
                let left_smaller = left_rows * 2 <= active.rows.len();
                families.push(Family {
                    small: if left_smaller { first } else { first + 1 },
                    large: Some(if left_smaller { first + 1 } else { first }),
                    parent_hist: active.hist.take(),
                });
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        Ok(Grown { tree, leaves })
    }

    /// `outer` bounds the node's own gain, `bounds` its children's weights, as in XGBoost.
    fn active(
        &self,
        node: usize,
        rows: Range<usize>,
        sums: Sums,
        [outer, bounds]: [Bounds; 2],
    ) -> Active {
        let weight = self.penalty.weight(sums, outer);
        Active {
            node,
            rows,
            parent: Parent { sums, gain: self.penalty.gain(sums, weight), bounds },
            features: Vec::new(),
            hist: None,
            best: None,
        }
    }

    fn choose_features(&self, level: &mut [Active], tree: &[usize], sampler: &mut ColumnSampler) {
        let of_level = sampler.level(tree);
        for active in level {
            active.features = sampler.node(&of_level);
        }
    }

    /// Finds each node's best split, and keeps histograms for the level below where they fit.
    fn evaluate(
        &self,
        level: &mut [Active],
        mut families: Vec<Family>,
        needed: &[bool],
        grads: &[[f32; 2]],
        order: &[u32],
        keep: bool,
    ) -> Result<(), MlError> {
        families.retain(|f| {
            let divisible = |i: usize| self.penalty.divisible(level[i].parent.sums);
            divisible(f.small) || f.large.is_some_and(divisible)
        });
        let cells: usize = self.data.groups.iter().map(Group::cells).sum();
        let bytes = cells.max(1) * size_of::<Cell>();
        let per_batch = (BATCH_BYTES / (2 * bytes)).max(1);
        let mut kept = 0usize;
        let mut families = families.into_iter().peekable();
        while families.peek().is_some() {
            let mut batch: Vec<Family> = families.by_ref().take(per_batch).collect();
            let keep = keep && kept + 2 * bytes * batch.len() <= KEPT_BYTES;
            let mut tasks = Vec::new();
            for (i, family) in batch.iter_mut().enumerate() {
                let mut parents = family.parent_hist.take().map(Vec::into_iter);
                for (group, needed) in needed.iter().enumerate() {
                    let parent_hist = parents.as_mut().and_then(Iterator::next);
                    if *needed {
                        tasks.push(Task { family: i, group, parent_hist });
                    }
                }
            }
            let places: Vec<(usize, usize)> = tasks.iter().map(|t| (t.family, t.group)).collect();
            let shared: &[Active] = level;
            let answers: Vec<Answer> = tasks
                .into_par_iter()
                .map(|task| {
                    // A look per histogram: on many rows a level takes seconds.
                    self.stop.check()?;
                    let family = &batch[task.family];
                    Ok(self.task(task.group, task.parent_hist, family, shared, grads, order, keep))
                })
                .collect::<Result<_, MlError>>()?;
            for ((i, group), answer) in places.into_iter().zip(answers) {
                let nodes = [Some(batch[i].small), batch[i].large];
                for ((node, hist), best) in nodes.into_iter().zip(answer.hist).zip(answer.best) {
                    let Some(node) = node else { continue };
                    let active = &mut level[node];
                    if let Some(hist) = hist {
                        let all = active.hist.get_or_insert_with(|| vec![Vec::new(); needed.len()]);
                        all[group] = hist;
                    }
                    if let Some(new) = best
                        && active.best.as_ref().is_none_or(|old| new.beats(old))
                    {
                        active.best = Some(new);
                    }
                }
            }
            for family in &batch {
                for node in [Some(family.small), family.large].into_iter().flatten() {
                    let active = &mut level[node];
                    let gamma = self.settings.gamma as f32;
                    if active.best.as_ref().is_none_or(|b| b.gain <= MIN_GAIN || b.gain < gamma) {
                        active.best = None;
                        active.hist = None;
                    }
                    kept += if active.hist.is_some() { bytes } else { 0 };
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn task(
        &self,
        group: usize,
        parent_hist: Option<Histogram>,
        family: &Family,
        level: &[Active],
        grads: &[[f32; 2]],
        order: &[u32],
        keep: bool,
    ) -> Answer {
        let group = &self.data.groups[group];
        let rows = |i: usize| &order[level[i].rows.clone()];
        let small = histogram::build(group, rows(family.small), grads);
        let small_best = self.scan(group, &small, &level[family.small]);
        let (large, large_best) = match family.large {
            None => (None, None),
            Some(i) => {
                let hist = match parent_hist {
                    Some(parent) => histogram::subtract(parent, &small),
                    None => histogram::build(group, rows(i), grads),
                };
                let best = self.scan(group, &hist, &level[i]);
                (Some(hist), best)
            }
        };
        Answer {
            hist: if keep { [Some(small), large] } else { [None, None] },
            best: [small_best, large_best],
        }
    }

    fn scan(&self, group: &Group, hist: &[Cell], active: &Active) -> Option<Split> {
        if !self.penalty.divisible(active.parent.sums) {
            return None;
        }
        let mut best: Option<Split> = None;
        for (lane, &f) in group.features().iter().enumerate() {
            if active.features.binary_search(&f).is_err() {
                continue;
            }
            let cells = &hist[group.offset(lane)..];
            let found = self.penalty.best_split(f, &self.data.cuts[f], cells, &active.parent);
            if let Some(new) = found
                && best.as_ref().is_none_or(|old| new.beats(old))
            {
                best = Some(new);
            }
        }
        best
    }

    /// Orders the rows of every node that splits, left before right; gives the left counts.
    fn partition(&self, level: &[Active], order: &mut [u32]) -> Vec<Option<usize>> {
        let mut slices = Vec::with_capacity(level.len());
        let mut rest = order;
        let mut at = 0;
        for active in level {
            let (_, tail) = rest.split_at_mut(active.rows.start - at);
            let (mine, tail) = tail.split_at_mut(active.rows.len());
            slices.push(mine);
            at = active.rows.end;
            rest = tail;
        }
        slices
            .into_par_iter()
            .zip(level)
            .map(|(rows, active)| active.best.as_ref().map(|split| self.divide(rows, split)))
            .collect()
    }

    fn divide(&self, rows: &mut [u32], split: &Split) -> usize {
        let cuts = &self.data.cuts[split.feature];
        let place = self.data.places[split.feature];
        let mut left = vec![true; cuts.n_bins + 1];
        match &split.rule {
            Rule::Threshold { last_left, .. } => {
                for (bin, l) in left.iter_mut().enumerate() {
                    *l = bin as i64 <= *last_left;
                }
            }
            Rule::Categories { right } => right.iter().for_each(|&c| left[c as usize] = false),
        }
        left[cuts.n_bins] = split.default_left;
        let lane = place.lane;
        // One loop per layout, so that the choice is not made for each row.
        match &self.data.groups[place.group] {
            g @ Group::Bytes { .. } => divide_rows(rows, |r| left[g.bin(r as usize, lane)]),
            g @ Group::Words { .. } => divide_rows(rows, |r| left[g.bin(r as usize, lane)]),
            g @ Group::Wide { .. } => divide_rows(rows, |r| left[g.bin(r as usize, lane)]),
        }
    }
}

/// Stable partition; returns the number of rows that go left.
fn divide_rows(rows: &mut [u32], goes_left: impl Fn(u32) -> bool + Sync) -> usize {
    let parts: Vec<(usize, Vec<u32>)> = rows
        .par_chunks_mut(PARTITION_CHUNK)
        .map(|part| {
            let mut right = vec![0u32; part.len()];
            let (mut l, mut r) = (0usize, 0usize);
            for i in 0..part.len() {
                let row = part[i];
                let left = goes_left(row);
                part[l] = row;
                right[r] = row;
                l += usize::from(left);
                r += usize::from(!left);
            }
            right.truncate(r);
            (l, right)
        })
        .collect();
    let mut at = 0;
    for (i, (l, _)) in parts.iter().enumerate() {
        let from = i * PARTITION_CHUNK;
        rows.copy_within(from..from + l, at);
        at += l;
    }
    let lefts = at;
    for (_, right) in &parts {
        rows[at..at + right.len()].copy_from_slice(right);
        at += right.len();
    }
    lefts
}

fn set_split(tree: &mut Tree, node: usize, left: usize, right: usize, split: &Split) {
    tree.left[node] = left as i32;
    tree.right[node] = right as i32;
    tree.feature[node] = split.feature as u32;
    tree.default_left[node] = split.default_left;
    tree.gain[node] = split.gain;
    match &split.rule {
        Rule::Threshold { threshold, .. } => tree.value[node] = *threshold,
        Rule::Categories { right } => {
            tree.value[node] = 0.0;
            tree.categories.insert(node, right.clone());
        }
    }
}

fn total(grads: &[[f32; 2]]) -> Sums {
    let parts: Vec<Sums> = grads
        .par_chunks(SUM_CHUNK)
        .map(|part| {
            part.iter().fold(Sums::default(), |s, g| Sums {
                grad: s.grad + f64::from(g[0]),
                hess: s.hess + f64::from(g[1]),
            })
        })
        .collect();
    parts.iter().fold(Sums::default(), |a, b| Sums { grad: a.grad + b.grad, hess: a.hess + b.hess })
}
