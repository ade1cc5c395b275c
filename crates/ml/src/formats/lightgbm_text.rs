//! LightGBM's text format, version 3 and 4: what is needed to predict.
//!
//! A header of `key=value` lines, a block per tree, parameters, and at the end the dictionaries of
//! categorical pandas columns.

use std::collections::HashMap;

use crate::MlError;

/// Most nodes of all trees read; a file that claims more is broken.
const NODES_MAX: usize = 200_000_000;

/// The forest of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct LightGbmForest {
    /// Outputs, and trees per iteration.
    pub outputs: usize,
    /// The objective as written, such as `binary sigmoid:1`; empty where the file has none.
    pub objective: String,
    pub feature_names: Vec<String>,
    /// Which features are categories, where the file tells; unused features are not told.
    pub categorical: Vec<Option<bool>>,
    /// Values of the categorical columns of a pandas frame, in column order.
    pub pandas_categories: Vec<Vec<String>>,
    /// Whether outputs are means over the iterations (random forests), not sums.
    pub average: bool,
    pub trees: Vec<LightGbmTree>,
}

/// What sends a row to the left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// A value up to the threshold.
    Number { threshold: f64, missing: MissingKind, default_left: bool },
    /// A category whose bit is set, in these words of the tree's bit sets.
    Category { first: u32, words: u32 },
}

/// Which values of a numeric feature are missing at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKind {
    /// None: NaN is read as 0.
    Never,
    /// Zero, and NaN with it.
    Zero,
    NaN,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct LightGbmTree {
    pub feature: Vec<u32>,
    pub decision: Vec<Decision>,
    /// Children: a node's index, or minus one minus a leaf's index.
    pub left: Vec<i32>,
    pub right: Vec<i32>,
    pub gain: Vec<f64>,
    pub leaf: Vec<f64>,
    /// Bit sets of the categorical nodes.
    pub bits: Vec<u32>,
}

type Lines<'a> = HashMap<&'a str, &'a str>;

fn broken(what: impl std::fmt::Display) -> MlError {
    MlError::Format(format!("LightGBM model: {what}"))
}

/// Reads a file.
///
/// # Errors
/// [`MlError::Format`] for a broken file or one that is not LightGBM's, [`MlError::Unsupported`]
/// for linear trees.
pub fn read(bytes: &[u8]) -> Result<LightGbmForest, MlError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| broken("the file is no text; save it with save_model()"))?;
    if text.lines().next().map(str::trim_end) != Some("tree") {
        return Err(broken("the file does not begin with 'tree'; save it with save_model()"));
    }
    let end = text.find("\nend of trees").ok_or_else(|| broken("the file ends too early"))?;
    let (body, rest) = text.split_at(end);
    let mut blocks = body.split("\nTree=");
    let header = blocks.next().unwrap_or_default();
    let average = header.lines().any(|line| line.trim_end() == "average_output");
    let header = pairs(header);
    match header.get("version") {
        Some(&("v2" | "v3" | "v4")) => {}
        Some(other) => {
            return Err(MlError::Unsupported(format!("LightGBM model files of version {other}")));
        }
        None => return Err(broken("no version is given")),
    }
    let outputs: usize = one(&header, "num_tree_per_iteration")?;
    let last: usize = one(&header, "max_feature_idx")?;
    let feature_names: Vec<String> =
        value(&header, "feature_names")?.split_whitespace().map(str::to_owned).collect();
    if outputs == 0 || feature_names.len() != last + 1 {
        return Err(broken(format!(
            "{} feature names for {} features",
            feature_names.len(),
            last + 1
        )));
    }
    let categorical: Vec<Option<bool>> = header
        .get("feature_infos")
        .map(|infos| infos.split_whitespace().map(is_categorical).collect())
        .unwrap_or_else(|| vec![None; feature_names.len()]);
    if categorical.len() != feature_names.len() {
        return Err(broken("feature_infos do not fit the features"));
    }
    let mut nodes = 0usize;
    let trees = blocks
        .enumerate()
        .map(|(index, block)| {
            let tree = tree(&pairs(block), feature_names.len())
                .map_err(|error| broken(format!("tree {index}: {error}")))?;
            nodes += tree.leaf.len();
            if nodes > NODES_MAX {
                return Err(broken(format!("more than {NODES_MAX} leaves")));
            }
            Ok(tree)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if trees.is_empty() || trees.len() % outputs != 0 {
        return Err(broken(format!("{} trees for {outputs} outputs", trees.len())));
    }
    Ok(LightGbmForest {
        outputs,
        objective: header.get("objective").copied().unwrap_or_default().to_owned(),
        feature_names,
        categorical,
        pandas_categories: pandas_categories(rest)?,
        average,
        trees,
    })
}

fn pairs(block: &str) -> Lines<'_> {
    block.lines().filter_map(|line| line.trim_end().split_once('=')).collect()
}

fn value<'a>(lines: &Lines<'a>, key: &str) -> Result<&'a str, MlError> {
    lines.get(key).copied().ok_or_else(|| broken(format!("'{key}' is missing")))
}

fn one<T: std::str::FromStr>(lines: &Lines<'_>, key: &str) -> Result<T, MlError> {
    let text = value(lines, key)?;
    text.trim().parse().map_err(|_| broken(format!("'{key}' is '{text}'")))
}

fn list<T: std::str::FromStr>(
    lines: &Lines<'_>,
    key: &str,
    length: usize,
) -> Result<Vec<T>, MlError> {
    let values = value(lines, key)?
        .split_ascii_whitespace()
        .map(|text| text.parse().map_err(|_| broken(format!("'{key}' holds '{text}'"))))
        .collect::<Result<Vec<T>, _>>()?;
    if values.len() != length {
        return Err(broken(format!("'{key}' has {} values, not {length}", values.len())));
    }
    Ok(values)
}

/// `[low:high]` is a number, `0:2:1` are categories, `none` is an unused feature.
fn is_categorical(info: &str) -> Option<bool> {
    match info {
        "none" => None,
        info => Some(!info.starts_with('[')),
    }
}

fn tree(lines: &Lines<'_>, features: usize) -> Result<LightGbmTree, MlError> {
    if lines.get("is_linear").is_some_and(|linear| linear.trim() != "0") {
        return Err(MlError::Unsupported("linear trees".to_owned()));
    }
    let leaves: usize = one(lines, "num_leaves")?;
    if leaves == 0 || leaves > NODES_MAX {
        return Err(broken(format!("{leaves} leaves")));
    }
    let leaf: Vec<f64> = list(lines, "leaf_value", leaves)?;
    let nodes = leaves - 1;
    if nodes == 0 {
        return Ok(LightGbmTree { leaf, ..LightGbmTree::default() });
    }
    let feature: Vec<u32> = list(lines, "split_feature", nodes)?;
    if let Some(place) = feature.iter().find(|place| **place as usize >= features) {
        return Err(broken(format!("a split on feature {place}")));
    }
    let left: Vec<i32> = list(lines, "left_child", nodes)?;
    let right: Vec<i32> = list(lines, "right_child", nodes)?;
    check_children(&left, &right, leaves)?;
    let thresholds: Vec<f64> = list(lines, "threshold", nodes)?;
    let types: Vec<u8> = list(lines, "decision_type", nodes)?;
    let sets: usize = one(lines, "num_cat")?;
    let (bounds, bits): (Vec<u32>, Vec<u32>) = if sets == 0 {
        (Vec::new(), Vec::new())
    } else {
        let bounds: Vec<u32> = list(lines, "cat_boundaries", sets + 1)?;
        let length = bounds.last().copied().unwrap_or(0) as usize;
        if bounds.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(broken("'cat_boundaries' do not rise"));
        }
        (bounds, list(lines, "cat_threshold", length)?)
    };
    let decision = thresholds
        .iter()
        .zip(&types)
        .map(|(threshold, kind)| {
            if kind & 1 == 1 {
                let set = *threshold as usize;
                let range = bounds.get(set).zip(bounds.get(set + 1));
                let (first, end) = range.ok_or_else(|| broken(format!("no bit set {set}")))?;
                return Ok(Decision::Category { first: *first, words: end - first });
            }
            let missing = match (kind >> 2) & 3 {
                0 => MissingKind::Never,
                1 => MissingKind::Zero,
                2 => MissingKind::NaN,
                other => return Err(broken(format!("missing type {other}"))),
            };
            let default_left = kind & 2 == 2;
            Ok(Decision::Number { threshold: *threshold, missing, default_left })
        })
        .collect::<Result<Vec<_>, MlError>>()?;
    let gain = lines
        .get("split_gain")
        .map(|gains| gains.split_ascii_whitespace().filter_map(|gain| gain.parse().ok()).collect())
        .filter(|gains: &Vec<f64>| gains.len() == nodes)
        .unwrap_or_else(|| vec![0.0; nodes]);
    Ok(LightGbmTree { feature, decision, left, right, gain, leaf, bits })
}

/// Every child must exist and come after its parent, so that a walk always ends.
fn check_children(left: &[i32], right: &[i32], leaves: usize) -> Result<(), MlError> {
    for (parent, children) in left.iter().zip(right).enumerate() {
        for child in [*children.0, *children.1] {
            let sound = if child < 0 {
                ((-1 - child) as usize) < leaves
            } else {
                (child as usize) > parent && (child as usize) < left.len()
            };
            if !sound {
                return Err(broken(format!("node {parent} has the child {child}")));
            }
        }
    }
    Ok(())
}

/// The line `pandas_categorical:[[…], …]`; numbers and booleans become text.
fn pandas_categories(rest: &str) -> Result<Vec<Vec<String>>, MlError> {
    let prefix = "pandas_categorical:";
    let Some(line) = rest.lines().find_map(|line| line.strip_prefix(prefix)) else {
        return Ok(Vec::new());
    };
    let value: serde_json::Value = serde_json::from_str(line)
        .map_err(|error| broken(format!("'pandas_categorical' is not JSON: {error}")))?;
    Ok(value
        .as_array()
        .into_iter()
        .flatten()
        .map(|categories| {
            categories
                .as_array()
                .into_iter()
                .flatten()
                .map(|category| match category {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect()
        })
        .collect())
}
