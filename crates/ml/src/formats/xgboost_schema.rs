//! XGBoost's model schema (version 1 to 3) ⇄ [`Forest`].

use std::collections::BTreeMap;

use super::document::Value;
use super::{xgboost_json, xgboost_ubj};
use crate::MlError;
use crate::gbt::objective::{Link, Objective};
use crate::gbt::tree::{Forest, Tree};

/// Schema version written.
const WRITTEN_VERSION: [i64; 3] = [3, 2, 0];
/// What XGBoost writes as the parent of the root.
const NO_PARENT: i64 = 2_147_483_647;
/// Most features a model may have.
const MAX_FEATURES: usize = 1_000_000;
/// Most bits the category sets of a model may take (512 MiB).
const MAX_CATEGORY_BITS: u64 = 1 << 32;
/// Most outputs a model may have.
const MAX_GROUPS: i64 = 100_000;

/// Reads a model file saved by XGBoost, JSON or UBJSON.
///
/// # Errors
/// [`MlError::Format`] for a broken file, [`MlError::Unsupported`] for a booster or objective
/// that is not offered.
pub fn read(bytes: &[u8]) -> Result<Forest, MlError> {
    if bytes.starts_with(b"binf") {
        return Err(MlError::Unsupported(
            "XGBoost's old binary model format is not supported; save the model as .json or .ubj"
                .into(),
        ));
    }
    if bytes.is_empty() {
        return Err(MlError::Format("the model file is empty".into()));
    }
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(MlError::Format(
            "the file is no XGBoost model: it is neither JSON nor UBJSON; write it with \
             save_model('name.json')"
                .into(),
        ));
    }
    let document = if xgboost_ubj::is_ubj(bytes) {
        xgboost_ubj::parse(bytes)?
    } else {
        xgboost_json::parse(bytes)?
    };
    if document.get("learner").is_none() {
        return Err(MlError::Format("the file is no XGBoost model: it has no 'learner'".into()));
    }
    from_document(&document)
}

/// Writes the forest as XGBoost JSON.
pub fn write_json(forest: &Forest) -> Vec<u8> {
    xgboost_json::write(&to_document(forest))
}

/// Writes the forest as XGBoost UBJSON.
pub fn write_ubj(forest: &Forest) -> Vec<u8> {
    xgboost_ubj::write(&to_document(forest))
}

fn from_document(document: &Value) -> Result<Forest, MlError> {
    let version = document.need_ints("version")?;
    if !matches!(version.first(), Some(1..=3)) {
        return Err(MlError::Unsupported(format!(
            "model written by XGBoost {version:?}; versions 1 to 3 can be read"
        )));
    }
    let learner = document.need("learner")?;
    let params = learner.need("learner_model_param")?;
    let objective_document = learner.need("objective")?.clone();
    let objective = Objective::named(objective_document.need_text("name")?)?;
    let n_features = usize::try_from(params.need_int("num_feature")?)
        .ok()
        .filter(|&n| n <= MAX_FEATURES)
        .ok_or_else(|| MlError::Format("XGBoost model: num_feature is out of range".into()))?;
    let num_class = params.need_int("num_class")?;
    let num_target = match params.get("num_target") {
        Some(_) => params.need_int("num_target")?,
        None => 1,
    };
    let n_groups = num_class.max(num_target).max(1);
    if n_groups > MAX_GROUPS {
        return Err(MlError::Format(format!("XGBoost model: {n_groups} outputs are too many")));
    }
    let base_score = parse_scores(params.need("base_score")?)?;
    if base_score.len() != 1 && base_score.len() as i64 != n_groups {
        return Err(MlError::Format(format!(
            "XGBoost model: {} base scores for {n_groups} outputs",
            base_score.len()
        )));
    }

    let booster = learner.need("gradient_booster")?;
    let name = booster.need_text("name")?;
    let (model, tree_weight) = match name {
        "gbtree" => (booster.need("model")?, None),
        "dart" => {
            let inner = match booster.get("gbtree") {
                Some(gbtree) => gbtree.need("model")?,
                None => booster.need("model")?,
            };
            (inner, Some(booster.need_floats("weight_drop")?))
        }
        other => {
            return Err(MlError::Unsupported(format!(
                "XGBoost booster '{other}' is not supported; gbtree and dart are"
            )));
        }
    };
    let trees = model
        .need("trees")?
        .items()
        .ok_or_else(|| MlError::Format("XGBoost model: 'trees' should be an array".into()))?
        .iter()
        .enumerate()
        .map(|(i, t)| {
            read_tree(t, n_features).map_err(|e| match e {
                MlError::Format(m) => MlError::Format(format!("XGBoost model, tree {i}: {m}")),
                other => other,
            })
        })
        .collect::<Result<Vec<Tree>, MlError>>()?;
    check_category_space(&trees)?;
    let tree_group = model
        .need_ints("tree_info")?
        .into_iter()
        .map(|g| match usize::try_from(g) {
            Ok(g) if (g as i64) < n_groups => Ok(g),
            _ => Err(MlError::Format(format!(
                "XGBoost model: tree_info names output {g} of {n_groups}"
            ))),
        })
        .collect::<Result<Vec<usize>, MlError>>()?;
    let weights = tree_weight.as_ref().map_or(trees.len(), Vec::len);
    if tree_group.len() != trees.len() || weights != trees.len() {
        return Err(MlError::Format(
            "XGBoost model: trees, tree_info and weight_drop differ in length".into(),
        ));
    }
    let num_parallel_tree = match model.get("gbtree_model_param") {
        Some(p) if p.get("num_parallel_tree").is_some() => p.need_int("num_parallel_tree")?,
        _ => 1,
    };
    let iteration_indptr = match model.get("iteration_indptr") {
        Some(v) => v.as_ints().unwrap_or_default(),
        None => rounds(trees.len(), n_groups.saturating_mul(num_parallel_tree.max(1))),
    };
    let optional = |key: &str| match learner.get(key) {
        Some(_) => learner.need_texts(key),
        None => Ok(Vec::new()),
    };
    let mut attributes = BTreeMap::new();
    if let Some(Value::Map(pairs)) = learner.get("attributes") {
        for (key, value) in pairs {
            if let Value::Text(text) = value {
                attributes.insert(key.clone(), text.clone());
            }
        }
    }
    Ok(Forest {
        trees,
        tree_group,
        tree_weight,
        n_groups: n_groups as usize,
        base_score,
        objective,
        objective_document,
        num_class,
        num_target,
        num_parallel_tree,
        iteration_indptr,
        n_features,
        feature_names: optional("feature_names")?,
        feature_types: optional("feature_types")?,
        dictionaries: read_dictionaries(model.get("cats"), n_features)?,
        attributes,
    })
}

/// Scoring keeps each split's categories as bits up to the greatest code; a small file must not
/// ask for memory without bound.
fn check_category_space(trees: &[Tree]) -> Result<(), MlError> {
    let bits: u64 = trees
        .iter()
        .flat_map(|t| t.categories.values())
        .map(|codes| codes.iter().max().map_or(0, |&c| u64::from(c)))
        .sum();
    if bits > MAX_CATEGORY_BITS {
        return Err(MlError::Unsupported(format!(
            "the categorical splits of the model need {bits} bits; at most {MAX_CATEGORY_BITS} \
             are supported"
        )));
    }
    Ok(())
}

fn rounds(n_trees: usize, per_round: i64) -> Vec<i64> {
    let mut ptr: Vec<i64> = (0..n_trees as i64).step_by(per_round.max(1) as usize).collect();
    ptr.push(n_trees as i64);
    ptr
}

/// `"5E-1"`, `"[5E-1]"`, `"[1E0,2E0]"` or a plain number.
fn parse_scores(value: &Value) -> Result<Vec<f32>, MlError> {
    let bad = || MlError::Format("XGBoost model: base_score is not a number".into());
    let scores: Vec<f32> = match value {
        Value::Float(f) => vec![*f],
        Value::Int(i) => vec![*i as f32],
        Value::Text(text) => text
            .trim()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .split(',')
            .map(|part| part.trim().parse::<f32>().map_err(|_| bad()))
            .collect::<Result<_, _>>()?,
        other => other.as_floats().ok_or_else(bad)?,
    };
    if scores.is_empty() || scores.iter().any(|s| !s.is_finite()) {
        return Err(bad());
    }
    Ok(scores)
}

fn read_tree(tree: &Value, n_features: usize) -> Result<Tree, MlError> {
    if let Some(p) = tree.get("tree_param")
        && p.get("size_leaf_vector").is_some()
        && p.need_int("size_leaf_vector")? > 1
    {
        return Err(MlError::Unsupported(
            "XGBoost models with vector leaves (multi_output_tree) are not supported".into(),
        ));
    }
    let left = tree.need_ints("left_children")?;
    let n = left.len();
    let same = |key: &str, len: usize| {
        if len == n {
            Ok(())
        } else {
            Err(MlError::Format(format!("'{key}' has {len} entries for {n} nodes")))
        }
    };
    let ints = |key: &str| -> Result<Vec<i64>, MlError> {
        let v = tree.need_ints(key)?;
        same(key, v.len())?;
        Ok(v)
    };
    let floats = |key: &str| -> Result<Vec<f32>, MlError> {
        let v = tree.need_floats(key)?;
        same(key, v.len())?;
        Ok(v)
    };
    let child = |v: Vec<i64>| -> Result<Vec<i32>, MlError> {
        v.into_iter()
            .map(|i| i32::try_from(i).map_err(|_| MlError::Format("a node id is too large".into())))
            .collect()
    };
    let optional = |key: &str| match tree.get(key) {
        Some(_) => floats(key),
        None => Ok(vec![0.0; n]),
    };
    let split_type = match tree.get("split_type") {
        Some(_) => ints("split_type")?,
        None => vec![0; n],
    };
    let out = Tree {
        left: child(left)?,
        right: child(ints("right_children")?)?,
        // Deleted nodes carry a feature beyond any range; validation looks at live nodes only.
        feature: ints("split_indices")?
            .into_iter()
            .map(|i| u32::try_from(i).unwrap_or(u32::MAX))
            .collect(),
        value: floats("split_conditions")?,
        default_left: ints("default_left")?.into_iter().map(|d| d != 0).collect(),
        categories: read_categories(tree, &split_type)?,
        gain: optional("loss_changes")?,
        cover: optional("sum_hessian")?,
        weight: optional("base_weights")?,
    };
    out.validate(n_features)?;
    Ok(out)
}

/// Categorical splits: `categories` holds the codes of all nodes, cut by segments and sizes.
fn read_categories(tree: &Value, split_type: &[i64]) -> Result<BTreeMap<usize, Vec<u32>>, MlError> {
    let mut out = BTreeMap::new();
    if tree.get("categories").is_some() {
        let codes = tree.need_ints("categories")?;
        let nodes = tree.need_ints("categories_nodes")?;
        let begins = tree.need_ints("categories_segments")?;
        let sizes = tree.need_ints("categories_sizes")?;
        let broken = || MlError::Format("the categories of a split are out of range".into());
        if nodes.len() != begins.len() || nodes.len() != sizes.len() {
            return Err(broken());
        }
        for ((node, begin), size) in nodes.iter().zip(&begins).zip(&sizes) {
            let node = usize::try_from(*node).map_err(|_| broken())?;
            let begin = usize::try_from(*begin).map_err(|_| broken())?;
            let size = usize::try_from(*size).map_err(|_| broken())?;
            let part =
                begin.checked_add(size).and_then(|end| codes.get(begin..end)).ok_or_else(broken)?;
            if split_type.get(node) != Some(&1) {
                return Err(broken());
            }
            let part = part
                .iter()
                .map(|&c| u32::try_from(c).ok().filter(|&c| c < (1 << 24)).ok_or_else(broken))
                .collect::<Result<Vec<u32>, MlError>>()?;
            out.insert(node, part);
        }
    }
    for (node, kind) in split_type.iter().enumerate() {
        match kind {
            0 => {}
            1 if out.contains_key(&node) => {}
            1 => {
                return Err(MlError::Format(format!(
                    "node {node} is a categorical split without categories"
                )));
            }
            other => {
                return Err(MlError::Unsupported(format!("split type {other} is not supported")));
            }
        }
    }
    Ok(out)
}

/// Dictionaries that XGBoost 3.1 and later keep with the trees: texts as bytes with offsets, or
/// numbers.
fn read_dictionaries(
    cats: Option<&Value>,
    n_features: usize,
) -> Result<Vec<Option<Vec<String>>>, MlError> {
    let mut out = vec![None; n_features];
    let Some(enc) = cats.and_then(|c| c.get("enc")).and_then(Value::items) else {
        return Ok(out);
    };
    for (slot, column) in out.iter_mut().zip(enc) {
        if column.get("type").is_some() {
            let values = column.need("values")?;
            let words: Vec<String> = match values.as_ints() {
                Some(v) => v.iter().map(ToString::to_string).collect(),
                None => column.need_floats("values")?.iter().map(ToString::to_string).collect(),
            };
            if !words.is_empty() {
                *slot = Some(words);
            }
            continue;
        }
        let offsets = column.need_ints("offsets")?;
        let bytes: Vec<u8> = column.need_ints("values")?.iter().map(|&b| b as u8).collect();
        if offsets.len() < 2 {
            continue;
        }
        let words = offsets
            .windows(2)
            .map(|w| {
                let from = usize::try_from(w[0]).ok()?;
                let to = usize::try_from(w[1]).ok()?;
                String::from_utf8(bytes.get(from..to)?.to_vec()).ok()
            })
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| MlError::Format("XGBoost model: broken category dictionary".into()))?;
        *slot = Some(words);
    }
    Ok(out)
}

fn to_document(forest: &Forest) -> Value {
    let texts = |v: &[String]| Value::List(v.iter().map(Value::text).collect());
    let scores: Vec<String> = forest.base_score.iter().map(|s| format!("{s:E}")).collect();
    let cats = Value::map([
        ("enc", Value::List(Vec::new())),
        ("feature_segments", Value::Ints(Vec::new())),
        ("sorted_idx", Value::Ints(Vec::new())),
    ]);
    let model = Value::map([
        ("cats", cats),
        (
            "gbtree_model_param",
            Value::map([
                ("num_parallel_tree", Value::text(forest.num_parallel_tree.to_string())),
                ("num_trees", Value::text(forest.trees.len().to_string())),
            ]),
        ),
        ("iteration_indptr", Value::Ints(forest.iteration_indptr.clone())),
        ("tree_info", Value::Ints(forest.tree_group.iter().map(|&g| g as i64).collect())),
        (
            "trees",
            Value::List(
                forest
                    .trees
                    .iter()
                    .enumerate()
                    .map(|(i, t)| write_tree(t, i, forest.n_features))
                    .collect(),
            ),
        ),
    ]);
    let booster = match &forest.tree_weight {
        None => Value::map([("model", model), ("name", Value::text("gbtree"))]),
        Some(weights) => Value::map([
            ("gbtree", Value::map([("model", model), ("name", Value::text("gbtree"))])),
            ("name", Value::text("dart")),
            // XGBoost expects numbers with a fraction here, which the packed form always has.
            ("weight_drop", Value::List(weights.iter().map(|&w| Value::Float(w)).collect())),
        ]),
    };
    let attributes = forest.attributes.iter().map(|(k, v)| (k.clone(), Value::text(v))).collect();
    Value::map([
        (
            "learner",
            Value::map([
                ("attributes", Value::Map(attributes)),
                ("feature_names", texts(&forest.feature_names)),
                ("feature_types", texts(&forest.feature_types)),
                ("gradient_booster", booster),
                (
                    "learner_model_param",
                    Value::map([
                        ("base_score", Value::text(format!("[{}]", scores.join(",")))),
                        ("boost_from_average", Value::text("1")),
                        ("num_class", Value::text(forest.num_class.to_string())),
                        ("num_feature", Value::text(forest.n_features.to_string())),
                        ("num_target", Value::text(forest.num_target.to_string())),
                    ]),
                ),
                ("objective", forest.objective_document.clone()),
            ]),
        ),
        ("version", Value::Ints(WRITTEN_VERSION.to_vec())),
    ])
}

fn write_tree(tree: &Tree, id: usize, n_features: usize) -> Value {
    let n = tree.len();
    let mut parents = vec![NO_PARENT; n];
    for i in 0..n {
        if !tree.is_leaf(i) {
            let (l, r) = tree.children(i);
            for child in [l, r] {
                if let Some(p) = parents.get_mut(child) {
                    *p = i as i64;
                }
            }
        }
    }
    let (mut codes, mut nodes, mut segments, mut sizes) = (vec![], vec![], vec![], vec![]);
    for (node, set) in &tree.categories {
        nodes.push(*node as i64);
        segments.push(codes.len() as i64);
        sizes.push(set.len() as i64);
        codes.extend(set.iter().map(|&c| i64::from(c)));
    }
    let split_type = (0..n).map(|i| i64::from(tree.categories.contains_key(&i))).collect();
    let children = |v: &[i32]| Value::Ints(v.iter().map(|&c| i64::from(c)).collect());
    Value::map([
        ("base_weights", Value::Floats(tree.weight.clone())),
        ("categories", Value::Ints(codes)),
        ("categories_nodes", Value::Ints(nodes)),
        ("categories_segments", Value::Ints(segments)),
        ("categories_sizes", Value::Ints(sizes)),
        ("default_left", Value::Ints(tree.default_left.iter().map(|&d| i64::from(d)).collect())),
        ("id", Value::Int(id as i64)),
        ("left_children", children(&tree.left)),
        ("loss_changes", Value::Floats(tree.gain.clone())),
        ("parents", Value::Ints(parents)),
        ("right_children", children(&tree.right)),
        ("split_conditions", Value::Floats(tree.value.clone())),
        ("split_indices", Value::Ints(tree.feature.iter().map(|&f| i64::from(f)).collect())),
        ("split_type", Value::Ints(split_type)),
        ("sum_hessian", Value::Floats(tree.cover.clone())),
        (
            "tree_param",
            Value::map([
                ("num_deleted", Value::text("0")),
                ("num_feature", Value::text(n_features.to_string())),
                ("num_nodes", Value::text(n.to_string())),
                ("size_leaf_vector", Value::text("1")),
            ]),
        ),
    ])
}

/// The `objective` member XGBoost expects for a trained objective.
pub fn objective_document(
    objective: &Objective,
    num_class: i64,
    scale_pos_weight: f64,
    max_delta_step: f64,
) -> Value {
    let name = ("name", Value::text(&objective.name));
    match objective.link {
        Link::Softmax => Value::map([
            name,
            (
                "softmax_multiclass_param",
                Value::map([("num_class", Value::text(num_class.to_string()))]),
            ),
        ]),
        Link::Exp => Value::map([
            name,
            (
                "poisson_regression_param",
                Value::map([("max_delta_step", Value::text(max_delta_step.to_string()))]),
            ),
        ]),
        _ => Value::map([
            name,
            (
                "reg_loss_param",
                Value::map([("scale_pos_weight", Value::text(scale_pos_weight.to_string()))]),
            ),
        ]),
    }
}
