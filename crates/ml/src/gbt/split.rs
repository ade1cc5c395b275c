//! The best split of a node: gains in XGBoost's arithmetic, numeric scans in both directions of
//! missing, one-hot and partition splits of categories, monotone bounds.

use super::bins::Cuts;
use super::histogram::Cell;
use super::options::Settings;

/// Sums of derivatives over some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    pub grad: f64,
    pub hess: f64,
}

impl Sums {
    fn add(&mut self, cell: Cell) {
        self.grad += cell[0];
        self.hess += cell[1];
    }

    fn minus(self, other: Sums) -> Sums {
        Sums { grad: self.grad - other.grad, hess: self.hess - other.hess }
    }

    fn plus(self, other: Sums) -> Sums {
        Sums { grad: self.grad + other.grad, hess: self.hess + other.hess }
    }
}

/// Least and greatest weight a node may take under monotone constraints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    pub lower: f32,
    pub upper: f32,
}

impl Bounds {
    /// No limit.
    pub const FREE: Bounds = Bounds { lower: f32::MIN, upper: f32::MAX };
}

/// Which rows go left.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Bins up to and including `last_left` (-1: none), which is `x < threshold`.
    Threshold { last_left: i64, threshold: f32 },
    /// All categories but these.
    Categories { right: Vec<u32> },
}

/// A split and what it gains.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    pub gain: f32,
    pub feature: usize,
    pub rule: Rule,
    pub default_left: bool,
    pub left: Sums,
    pub right: Sums,
}

impl Split {
    /// Whether `self` is to be preferred; ties go to the lower feature.
    pub fn beats(&self, other: &Split) -> bool {
        self.gain > other.gain || self.gain == other.gain && self.feature < other.feature
    }
}

/// Regularisation in the precision XGBoost holds it.
#[derive(Debug, Clone)]
pub struct Penalty {
    lambda: f64,
    alpha: f64,
    max_delta_step: f64,
    min_child_weight: f64,
    max_cat_to_onehot: usize,
    max_cat_threshold: usize,
    monotone: Vec<i8>,
}

/// What the scans of one node share.
#[derive(Debug, Clone, Copy)]
pub struct Parent {
    pub sums: Sums,
    pub gain: f32,
    pub bounds: Bounds,
}

/// The best place found so far in one feature's scan.
struct Best {
    gain: f32,
    at: Option<usize>,
    default_left: bool,
    left: Sums,
    right: Sums,
}

impl Best {
    fn new() -> Self {
        Best {
            gain: 0.0,
            at: None,
            default_left: false,
            left: Sums::default(),
            right: Sums::default(),
        }
    }

    fn offer(&mut self, gain: f32, at: usize, default_left: bool, left: Sums, right: Sums) {
        if gain > self.gain && gain.is_finite() {
            *self = Best { gain, at: Some(at), default_left, left, right };
        }
    }

    fn split(&self, feature: usize, rule: impl FnOnce(usize) -> Rule) -> Option<Split> {
        self.at.map(|at| Split {
            gain: self.gain,
            feature,
            rule: rule(at),
            default_left: self.default_left,
            left: self.left,
            right: self.right,
        })
    }
}

impl Penalty {
    /// The penalties of a training run.
    pub fn new(settings: &Settings, max_delta_step: f64) -> Self {
        let single = |v: f64| f64::from(v as f32);
        Penalty {
            lambda: single(settings.lambda),
            alpha: single(settings.alpha),
            max_delta_step: single(max_delta_step),
            min_child_weight: single(settings.min_child_weight),
            max_cat_to_onehot: settings.max_cat_to_onehot,
            max_cat_threshold: settings.max_cat_threshold,
            monotone: settings.monotone.clone(),
        }
    }

    /// Whether monotone constraints are set.
    pub fn constrained(&self) -> bool {
        !self.monotone.is_empty()
    }

    /// Whether a node is heavy enough for two children.
    pub fn divisible(&self, sums: Sums) -> bool {
        sums.hess >= 2.0 * self.min_child_weight && sums.hess > 0.0
    }

    fn soft(&self, grad: f64) -> f64 {
        if grad > self.alpha {
            grad - self.alpha
        } else if grad < -self.alpha {
            grad + self.alpha
        } else {
            0.0
        }
    }

    /// A group of rows too light to be a child has no say: rare categories sort in the middle.
    fn free_weight(&self, s: Sums) -> f64 {
        if s.hess < self.min_child_weight || s.hess <= 0.0 {
            return 0.0;
        }
        let w = -self.soft(s.grad) / (s.hess + self.lambda);
        if self.max_delta_step != 0.0 && w.abs() > self.max_delta_step {
            return self.max_delta_step.copysign(w);
        }
        w
    }

    /// Newton step of a node.
    pub fn weight(&self, s: Sums, bounds: Bounds) -> f32 {
        let w = self.free_weight(s) as f32;
        if self.constrained() { w.max(bounds.lower).min(bounds.upper) } else { w }
    }

    /// Loss reduction of a node that takes weight `w`.
    pub fn gain(&self, s: Sums, w: f32) -> f32 {
        if s.hess <= 0.0 {
            return 0.0;
        }
        if self.max_delta_step == 0.0 && !self.constrained() {
            let g = self.soft(s.grad);
            return (g * g) as f32 / (s.hess + self.lambda) as f32;
        }
        let w = f64::from(w);
        let cost = 2.0 * s.grad * w + (s.hess + self.lambda) * w * w + 2.0 * self.alpha * w.abs();
        -cost as f32
    }

    fn split_gain(&self, parent: &Parent, feature: usize, left: Sums, right: Sums) -> f32 {
        let enough = |s: Sums| s.hess > 0.0 && s.hess >= self.min_child_weight;
        if !enough(left) || !enough(right) {
            return f32::NEG_INFINITY;
        }
        if self.max_delta_step == 0.0 && !self.constrained() {
            return self.gain(left, 0.0) + self.gain(right, 0.0) - parent.gain;
        }
        let wl = self.weight(left, parent.bounds);
        let wr = self.weight(right, parent.bounds);
        let gain = self.gain(left, wl) + self.gain(right, wr);
        match self.monotone.get(feature) {
            Some(1) if wl > wr => f32::NEG_INFINITY,
            Some(-1) if wl < wr => f32::NEG_INFINITY,
            _ => gain - parent.gain,
        }
    }

    /// Bounds of the two children of a split.
    pub fn child_bounds(&self, split: &Split, bounds: Bounds) -> (Bounds, Bounds) {
        let sign = self.monotone.get(split.feature).copied().unwrap_or(0);
        if sign == 0 {
            return (bounds, bounds);
        }
        let wl = self.weight(split.left, bounds);
        let wr = self.weight(split.right, bounds);
        let middle = (wl + wr) / 2.0;
        let below = Bounds { upper: middle, ..bounds };
        let above = Bounds { lower: middle, ..bounds };
        if sign > 0 { (below, above) } else { (above, below) }
    }

    /// The best split of a node on one feature; `cells` are the feature's bins.
    pub fn best_split(
        &self,
        feature: usize,
        cuts: &Cuts,
        cells: &[Cell],
        parent: &Parent,
    ) -> Option<Split> {
        let cells = &cells[..cuts.n_bins];
        if !cuts.categorical {
            self.numeric(feature, cuts, cells, parent)
        } else if cuts.n_bins < self.max_cat_to_onehot {
            self.one_hot(feature, cells, parent)
        } else {
            self.partition(feature, cells, parent)
        }
    }

    fn numeric(
        &self,
        feature: usize,
        cuts: &Cuts,
        cells: &[Cell],
        parent: &Parent,
    ) -> Option<Split> {
        // Missing to the right.
        let mut best = Best::new();
        let mut left = Sums::default();
        for (i, cell) in cells.iter().enumerate() {
            left.add(*cell);
            let right = parent.sums.minus(left);
            best.offer(self.split_gain(parent, feature, left, right), i, false, left, right);
        }
        // Missing to the left, unless nothing is missing.
        if left != parent.sums {
            let mut right = Sums::default();
            for (i, cell) in cells.iter().enumerate().rev() {
                right.add(*cell);
                let left = parent.sums.minus(right);
                best.offer(self.split_gain(parent, feature, left, right), i, true, left, right);
            }
        }
        let default_left = best.default_left;
        best.split(feature, |i| {
            if !default_left {
                Rule::Threshold { last_left: i as i64, threshold: cuts.values[i] }
            } else {
                Rule::Threshold {
                    last_left: i as i64 - 1,
                    threshold: if i == 0 { cuts.below } else { cuts.values[i - 1] },
                }
            }
        })
    }

    fn one_hot(&self, feature: usize, cells: &[Cell], parent: &Parent) -> Option<Split> {
        let mut present = Sums::default();
        cells.iter().for_each(|c| present.add(*c));
        let missing = parent.sums.minus(present);
        let mut best = Best::new();
        for (i, cell) in cells.iter().enumerate() {
            let mut right = Sums::default();
            right.add(*cell);
            let left = parent.sums.minus(right);
            best.offer(self.split_gain(parent, feature, left, right), i, true, left, right);
            let right = right.plus(missing);
            let left = parent.sums.minus(right);
            best.offer(self.split_gain(parent, feature, left, right), i, false, left, right);
        }
        best.split(feature, |i| Rule::Categories { right: vec![i as u32] })
    }

    /// Categories sorted by weight; prefixes go right, with missing on either side.
    fn partition(&self, feature: usize, cells: &[Cell], parent: &Parent) -> Option<Split> {
        // Adding 0 makes -0 equal to 0, so that ties stay in code order.
        let weights: Vec<f32> = cells
            .iter()
            .map(|&[grad, hess]| self.free_weight(Sums { grad, hess }) as f32 + 0.0)
            .collect();
        let mut order: Vec<u32> = (0..cells.len() as u32).collect();
        order.sort_by(|&a, &b| weights[a as usize].total_cmp(&weights[b as usize]));
        let steps = self.max_cat_threshold.min(cells.len()).saturating_sub(1);
        let mut best = Best::new();
        let mut right = Sums::default();
        for (i, c) in order.iter().take(steps).enumerate() {
            right.add(cells[*c as usize]);
            let left = parent.sums.minus(right);
            best.offer(self.split_gain(parent, feature, left, right), i + 1, true, left, right);
        }
        let mut left = Sums::default();
        for (i, c) in order.iter().enumerate().rev().take(steps) {
            left.add(cells[*c as usize]);
            let right = parent.sums.minus(left);
            best.offer(self.split_gain(parent, feature, left, right), i, false, left, right);
        }
        best.split(feature, |n| {
            let mut right = order[..n].to_vec();
            right.sort_unstable();
            Rule::Categories { right }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn penalty(monotone: Vec<i8>, onehot: usize) -> Penalty {
        Penalty {
            lambda: 1.0,
            alpha: 0.0,
            max_delta_step: 0.0,
            min_child_weight: 1.0,
            max_cat_to_onehot: onehot,
            max_cat_threshold: 64,
            monotone,
        }
    }

    fn parent(p: &Penalty, grad: f64, hess: f64) -> Parent {
        let sums = Sums { grad, hess };
        Parent { sums, gain: p.gain(sums, p.weight(sums, Bounds::FREE)), bounds: Bounds::FREE }
    }

    fn cuts(n_bins: usize, categorical: bool) -> Cuts {
        Cuts { values: (1..=n_bins).map(|i| i as f32).collect(), n_bins, categorical, below: -1.0 }
    }

    #[test]
    fn a_numeric_split_gains_what_the_formula_says() {
        let p = penalty(vec![], 4);
        let cells = [[-4.0, 2.0], [6.0, 2.0]];
        let s = p.best_split(0, &cuts(2, false), &cells, &parent(&p, 2.0, 4.0)).unwrap();
        // 16/3 + 36/3 - 4/5
        assert!((s.gain - (16.0 / 3.0 + 12.0 - 0.8)).abs() < 1e-5);
        assert_eq!(s.rule, Rule::Threshold { last_left: 0, threshold: 1.0 });
    }

    #[test]
    fn missing_goes_where_it_gains_most() {
        let p = penalty(vec![], 4);
        let cells = [[-4.0, 2.0], [6.0, 2.0]];
        // Missing rows resemble bin 0, so they go left with it.
        let s = p.best_split(0, &cuts(2, false), &cells, &parent(&p, -2.0, 6.0)).unwrap();
        assert!(s.default_left);
        assert_eq!(s.left, Sums { grad: -8.0, hess: 4.0 });
        // Only missing differs: it is parted from every value.
        let cells = [[3.0, 2.0], [3.0, 2.0]];
        let s = p.best_split(0, &cuts(2, false), &cells, &parent(&p, -4.0, 6.0)).unwrap();
        assert!(matches!(s.rule, Rule::Threshold { last_left: 1, .. }) && !s.default_left);
    }

    #[test]
    fn categories_are_parted_by_weight() {
        let cells = [[5.0, 2.0], [-5.0, 2.0], [4.0, 2.0], [-4.0, 2.0]];
        let p = penalty(vec![], 4);
        let s = p.best_split(0, &cuts(4, true), &cells, &parent(&p, 0.0, 8.0)).unwrap();
        assert_eq!(s.rule, Rule::Categories { right: vec![0, 2] });
        let p = penalty(vec![], 9);
        let s = p.best_split(0, &cuts(4, true), &cells, &parent(&p, 0.0, 8.0)).unwrap();
        assert_eq!(s.rule, Rule::Categories { right: vec![0] });
    }

    #[test]
    fn a_split_against_the_constraint_is_not_taken() {
        let cells = [[-4.0, 2.0], [4.0, 2.0]];
        for (sign, found) in [(1, false), (-1, true)] {
            let p = penalty(vec![sign], 4);
            let s = p.best_split(0, &cuts(2, false), &cells, &parent(&p, 0.0, 4.0));
            assert_eq!(s.is_some(), found);
        }
    }
}
