//! Decision trees and the forest they form, independent of file format and of scoring layout.

use std::collections::BTreeMap;

use super::objective::Objective;
use crate::MlError;
use crate::formats::document::Value;

/// One regression tree in node arrays; node 0 is the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Left child, or -1 for a leaf.
    pub left: Vec<i32>,
    pub right: Vec<i32>,
    pub feature: Vec<u32>,
    /// Threshold of a numeric split (`x < value` goes left) or the leaf's value.
    pub value: Vec<f32>,
    /// Where a missing value goes.
    pub default_left: Vec<bool>,
    /// Categorical splits: the codes that go right.
    pub categories: BTreeMap<usize, Vec<u32>>,
    /// Loss reduction of the split, 0 for leaves.
    pub gain: Vec<f32>,
    /// Sum of second derivatives of the rows that reached the node.
    pub cover: Vec<f32>,
    /// Newton step of the node, before the learning rate for inner nodes.
    pub weight: Vec<f32>,
}

impl Tree {
    /// Number of nodes, reachable or not.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether the tree has no node at all.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Adds a leaf and returns its place.
    pub fn push_leaf(&mut self, value: f32, weight: f32, cover: f32) -> usize {
        self.left.push(-1);
        self.right.push(-1);
        self.feature.push(0);
        self.value.push(value);
        self.default_left.push(false);
        self.gain.push(0.0);
        self.cover.push(cover);
        self.weight.push(weight);
        self.len() - 1
    }

    /// Whether node `i` is a leaf.
    pub fn is_leaf(&self, i: usize) -> bool {
        self.left[i] < 0
    }

    /// The two children of an inner node.
    pub fn children(&self, i: usize) -> (usize, usize) {
        (self.left[i] as usize, self.right[i] as usize)
    }

    /// Edges on the longest way from the root to a leaf. The tree must be valid.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut stack = vec![(0usize, 0usize)];
        while let Some((i, depth)) = stack.pop() {
            deepest = deepest.max(depth);
            if !self.is_leaf(i) {
                let (l, r) = self.children(i);
                stack.push((l, depth + 1));
                stack.push((r, depth + 1));
            }
        }
        deepest
    }

    /// Checks that walking the tree ends and stays inside its arrays.
    ///
    /// # Errors
    /// Names the first node at fault.
    pub fn validate(&self, n_features: usize) -> Result<(), MlError> {
        let n = self.len();
        let bad = |i: usize, what: &str| Err(MlError::Format(format!("node {i}: {what}")));
        if n == 0 {
            return Err(MlError::Format("a tree without nodes".into()));
        }
        let mut seen = vec![false; n];
        let mut stack = vec![0usize];
        while let Some(i) = stack.pop() {
            if std::mem::replace(&mut seen[i], true) {
                return bad(i, "is reached twice, so the nodes do not form a tree");
            }
            if self.left[i] == -1 {
                if self.right[i] != -1 {
                    return bad(i, "has only one child");
                }
                continue;
            }
            if self.feature[i] as usize >= n_features {
                return bad(i, "splits on a feature the model does not have");
            }
            if self.value[i].is_nan() && !self.categories.contains_key(&i) {
                return bad(i, "has a threshold that is not a number");
            }
            for child in [self.left[i], self.right[i]] {
                match usize::try_from(child) {
                    Ok(c) if c < n => stack.push(c),
                    _ => return bad(i, "has a child outside the tree"),
                }
            }
        }
        Ok(())
    }
}

/// All trees of a model with what is needed to turn their sum into a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    pub trees: Vec<Tree>,
    /// Output (class) each tree adds to.
    pub tree_group: Vec<usize>,
    /// Weight of each tree (DART); `None` when all are 1.
    pub tree_weight: Option<Vec<f32>>,
    /// Outputs per row.
    pub n_groups: usize,
    /// Intercepts as stored, before the link function; one, or one per output.
    pub base_score: Vec<f32>,
    pub objective: Objective,
    /// The file's `objective` member, kept as it was read.
    pub objective_document: Value,
    pub num_class: i64,
    pub num_target: i64,
    pub num_parallel_tree: i64,
    /// First tree of each boosting round, and the end.
    pub iteration_indptr: Vec<i64>,
    pub n_features: usize,
    pub feature_names: Vec<String>,
    pub feature_types: Vec<String>,
    /// Category dictionaries the file carries, by feature.
    pub dictionaries: Vec<Option<Vec<String>>>,
    /// Free attributes of the learner.
    pub attributes: BTreeMap<String, String>,
}

impl Forest {
    /// Margin every row starts from, one per output.
    pub fn base_margin(&self) -> Vec<f32> {
        (0..self.n_groups)
            .map(|g| {
                let score = self.base_score.get(g).or(self.base_score.first());
                self.objective.margin_of(score.copied().unwrap_or(0.5))
            })
            .collect()
    }

    /// Share of the total split gain by feature; all 0 when nothing is split.
    pub fn importance(&self) -> Vec<f64> {
        let mut gain = vec![0.0f64; self.n_features];
        for tree in &self.trees {
            for i in 0..tree.len() {
                if !tree.is_leaf(i)
                    && let Some(g) = gain.get_mut(tree.feature[i] as usize)
                {
                    *g += f64::from(tree.gain[i]);
                }
            }
        }
        let total: f64 = gain.iter().sum();
        if total > 0.0 {
            gain.iter_mut().for_each(|g| *g /= total);
        }
        gain
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stump() -> Tree {
        let mut t = Tree::default();
        for _ in 0..3 {
            t.push_leaf(1.0, 1.0, 1.0);
        }
        t.left[0] = 1;
        t.right[0] = 2;
        t
    }

    #[test]
    fn a_sound_tree_passes() {
        assert!(stump().validate(1).is_ok());
        assert_eq!(stump().depth(), 1);
    }

    #[test]
    fn loops_strays_and_missing_features_are_told() {
        let mut t = stump();
        t.left[1] = 0;
        t.right[1] = 0;
        assert!(t.validate(1).unwrap_err().to_string().contains("twice"));
        let mut t = stump();
        t.right[0] = 7;
        assert!(t.validate(1).unwrap_err().to_string().contains("outside"));
        let mut t = stump();
        t.right[0] = -1;
        assert!(t.validate(1).is_err());
        assert!(stump().validate(0).unwrap_err().to_string().contains("feature"));
        assert!(Tree::default().validate(1).is_err());
    }
}
