//! The scorer: forests laid out for blocks of rows, answers equal to XGBoost's to the last bit.
//!
//! A tree up to [`HEAP_DEPTH`] deep becomes a complete binary tree whose children are found by
//! doubling the index; shallow leaves are continued by nodes that always go left. Deeper trees
//! keep explicit child links. Rows are walked eight at a time, so that loads overlap.

use super::tree::{Forest, Tree};

/// Rows per block; a block's features stay in the first-level cache.
pub const BLOCK: usize = 128;
/// Deepest tree laid out as a complete binary tree.
const HEAP_DEPTH: usize = 8;
/// Rows walked together.
const LANES: usize = 8;

const MISSING_RIGHT: u32 = 1;
const CATEGORICAL: u32 = 2;

/// `slot` is the feature's first row in the block, shifted left by 2, with two flag bits. `cond`
/// is the threshold, or the bits of an index into the category sets.
#[derive(Debug, Clone, Copy)]
struct Node {
    cond: f32,
    slot: u32,
}

/// A NaN threshold with missing to the left: every value goes left.
const ALWAYS_LEFT: Node = Node { cond: f32::NAN, slot: 0 };

#[derive(Debug)]
enum Layout {
    Heap {
        nodes: Vec<Node>,
        leaves: Vec<f32>,
    },
    /// (node, left child); the right child follows the left; a leaf links to itself.
    Linked {
        nodes: Vec<(Node, u32)>,
        leaves: Vec<f32>,
    },
}

#[derive(Debug)]
struct Compiled {
    layout: Layout,
    categorical: bool,
    group: usize,
    weight: f32,
}

/// A forest ready for scoring.
#[derive(Debug)]
pub struct Scorer {
    trees: Vec<Compiled>,
    /// Bit sets of the categories that go right.
    sets: Vec<Vec<u32>>,
    base: Vec<f32>,
}

/// Feature values of up to [`BLOCK`] rows, one run of [`BLOCK`] values per feature.
#[derive(Debug)]
pub struct Block {
    values: Vec<f32>,
}

impl Block {
    /// Room for `n_features` features. Rows never written hold 0, which is not missing.
    pub fn new(n_features: usize) -> Self {
        Block { values: vec![0.0; n_features.max(1) * BLOCK] }
    }

    /// The rows of feature `f`.
    pub fn feature_mut(&mut self, f: usize) -> &mut [f32] {
        &mut self.values[f * BLOCK..(f + 1) * BLOCK]
    }
}

impl Scorer {
    /// Lays the forest out. Its trees must be valid.
    pub fn new(forest: &Forest) -> Self {
        let mut sets = Vec::new();
        let trees = forest
            .trees
            .iter()
            .enumerate()
            .map(|(i, tree)| Compiled {
                layout: if tree.depth() <= HEAP_DEPTH {
                    heap(tree, &mut sets)
                } else {
                    linked(tree, &mut sets)
                },
                categorical: !tree.categories.is_empty(),
                group: forest.tree_group[i],
                weight: forest.tree_weight.as_ref().map_or(1.0, |w| w[i]),
            })
            .collect();
        Scorer { trees, sets, base: forest.base_margin() }
    }

    /// Margins of the first `rows` rows of a block, output-major: `margins[group * BLOCK + row]`.
    pub fn margins(&self, block: &Block, rows: usize, margins: &mut [f32]) {
        // Eight lanes at a time, so that the scan for gaps is a vector instruction.
        let missing = block.values.chunks(LANES).any(|c| c.iter().any(|v| v.is_nan()));
        for (g, base) in self.base.iter().enumerate() {
            margins[g * BLOCK..(g + 1) * BLOCK].fill(*base);
        }
        for tree in &self.trees {
            let out = &mut margins[tree.group * BLOCK..(tree.group + 1) * BLOCK];
            match &tree.layout {
                Layout::Heap { nodes, leaves } => {
                    self.heap_any(tree, nodes, leaves, (&block.values, missing), rows, out);
                }
                Layout::Linked { nodes, leaves } => {
                    for (row, o) in out.iter_mut().enumerate().take(rows) {
                        *o += self.follow(nodes, leaves, &block.values, row) * tree.weight;
                    }
                }
            }
        }
    }

    fn heap_any(
        &self,
        tree: &Compiled,
        nodes: &[Node],
        leaves: &[f32],
        (values, missing): (&[f32], bool),
        rows: usize,
        out: &mut [f32],
    ) {
        macro_rules! sizes {
            ($($n:literal)*) => {
                match nodes.len() {
                    $($n => {
                        if let (Ok(nodes), Ok(leaves)) = (
                            <&[Node; $n]>::try_from(nodes),
                            <&[f32; $n]>::try_from(leaves),
                        ) {
                            let w = tree.weight;
                            match (tree.categorical, missing) {
                                (true, _) => self.heap_walk::<$n, true, true>(nodes, leaves, w, values, rows, out),
                                (false, true) => self.heap_walk::<$n, false, true>(nodes, leaves, w, values, rows, out),
                                (false, false) => self.heap_walk::<$n, false, false>(nodes, leaves, w, values, rows, out),
                            }
                        }
                    })*
                    _ => {}
                }
            };
        }
        sizes!(1 2 4 8 16 32 64 128 256);
    }

    #[inline(never)]
    fn heap_walk<const N: usize, const CAT: bool, const GAPS: bool>(
        &self,
        nodes: &[Node; N],
        leaves: &[f32; N],
        weight: f32,
        values: &[f32],
        rows: usize,
        out: &mut [f32],
    ) {
        let levels = N.trailing_zeros();
        let mut first = 0;
        while first < rows {
            let mut at = [1usize; LANES];
            for _ in 0..levels {
                for (lane, i) in at.iter_mut().enumerate() {
                    let node = nodes[*i & (N - 1)];
                    let x = values[(node.slot >> 2) as usize + first + lane];
                    *i = 2 * *i + self.right::<CAT, GAPS>(node, x) as usize;
                }
            }
            for (lane, i) in at.iter().enumerate() {
                out[first + lane] += leaves[*i & (N - 1)] * weight;
            }
            first += LANES;
        }
    }

    /// 1 when the value goes right. Both comparisons fail for a missing value, which leaves the
    /// flag to decide.
    #[inline(always)]
    fn right<const CAT: bool, const GAPS: bool>(&self, node: Node, x: f32) -> u32 {
        if CAT && node.slot & CATEGORICAL != 0 {
            return self.category_right(node, x);
        }
        let at_least = u32::from(x >= node.cond);
        if !GAPS {
            return at_least;
        }
        let below = u32::from(x < node.cond);
        at_least | (node.slot & MISSING_RIGHT & !below)
    }

    #[inline]
    fn category_right(&self, node: Node, x: f32) -> u32 {
        if x.is_nan() {
            return node.slot & MISSING_RIGHT;
        }
        // Codes no set can hold go left, as do codes past the end of the set.
        if !(0.0..16_777_216.0).contains(&x) {
            return 0;
        }
        let code = x as u32;
        let set = &self.sets[node.cond.to_bits() as usize];
        match set.get((code >> 5) as usize) {
            Some(word) => (word >> (code & 31)) & 1,
            None => 0,
        }
    }

    fn follow(&self, nodes: &[(Node, u32)], leaves: &[f32], values: &[f32], row: usize) -> f32 {
        let mut i = 0usize;
        loop {
            let (node, left) = nodes[i];
            if left as usize == i {
                return leaves[i];
            }
            let x = values[(node.slot >> 2) as usize + row];
            i = (left + self.right::<true, true>(node, x)) as usize;
        }
    }
}

fn node_of(tree: &Tree, i: usize, sets: &mut Vec<Vec<u32>>) -> Node {
    let mut slot = (tree.feature[i] * BLOCK as u32) << 2;
    if !tree.default_left[i] {
        slot |= MISSING_RIGHT;
    }
    let cond = match tree.categories.get(&i) {
        None => tree.value[i],
        Some(codes) => {
            slot |= CATEGORICAL;
            let words = codes.iter().max().map_or(0, |m| (*m as usize >> 5) + 1);
            let mut set = vec![0u32; words];
            for c in codes {
                set[*c as usize >> 5] |= 1 << (c & 31);
            }
            sets.push(set);
            f32::from_bits((sets.len() - 1) as u32)
        }
    };
    Node { cond, slot }
}

fn heap(tree: &Tree, sets: &mut Vec<Vec<u32>>) -> Layout {
    let n = 1usize << tree.depth();
    let mut nodes = vec![ALWAYS_LEFT; n];
    let mut leaves = vec![0.0f32; n];
    let mut stack = vec![(0usize, 1usize)];
    while let Some((i, mut at)) = stack.pop() {
        if tree.is_leaf(i) {
            while at < n {
                at *= 2;
            }
            leaves[at - n] = tree.value[i];
        } else {
            nodes[at] = node_of(tree, i, sets);
            let (l, r) = tree.children(i);
            stack.push((l, 2 * at));
            stack.push((r, 2 * at + 1));
        }
    }
    Layout::Heap { nodes, leaves }
}

fn linked(tree: &Tree, sets: &mut Vec<Vec<u32>>) -> Layout {
    let mut nodes = vec![(ALWAYS_LEFT, 0u32)];
    let mut leaves = vec![0.0f32];
    let mut queue = std::collections::VecDeque::from([(0usize, 0usize)]);
    while let Some((i, at)) = queue.pop_front() {
        if tree.is_leaf(i) {
            nodes[at].1 = at as u32;
            leaves[at] = tree.value[i];
        } else {
            let left = nodes.len();
            nodes[at] = (node_of(tree, i, sets), left as u32);
            nodes.extend([(ALWAYS_LEFT, 0); 2]);
            leaves.extend([0.0; 2]);
            let (l, r) = tree.children(i);
            queue.push_back((l, left));
            queue.push_back((r, left + 1));
        }
    }
    Layout::Linked { nodes, leaves }
}
