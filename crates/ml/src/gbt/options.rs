//! `OPTIONS (…)` of gradient boosting, under XGBoost's names and with its defaults.

use crate::{MlError, OptionValue, TrainSpec};

/// Every option name, aliases included, for the error about an unknown one.
const KNOWN: &[&str] = &[
    "alpha",
    "base_score",
    "colsample_bylevel",
    "colsample_bynode",
    "colsample_bytree",
    "early_stopping_rounds",
    "eta",
    "gamma",
    "lambda",
    "learning_rate",
    "max_bin",
    "max_cat_threshold",
    "max_cat_to_onehot",
    "max_delta_step",
    "max_depth",
    "min_child_weight",
    "min_split_loss",
    "monotone_constraints",
    "n_estimators",
    "num_boost_round",
    "num_parallel_tree",
    "objective",
    "random_state",
    "reg_alpha",
    "reg_lambda",
    "sample_weight",
    "scale_pos_weight",
    "seed",
    "subsample",
    "task",
    "validation_fraction",
];

/// What the target is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedTask {
    /// Decided by the target's type.
    Auto,
    Regression,
    Poisson,
    Binary,
    Multiclass,
}

/// The settings of a training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub rounds: usize,
    /// Trees per round and output, averaged: more than one makes a forest of each round.
    pub parallel_trees: usize,
    pub eta: f64,
    pub max_depth: usize,
    pub min_child_weight: f64,
    pub lambda: f64,
    pub alpha: f64,
    pub gamma: f64,
    /// `None`: 0, or 0.7 for count:poisson.
    pub max_delta_step: Option<f64>,
    pub subsample: f64,
    pub colsample_bytree: f64,
    pub colsample_bylevel: f64,
    pub colsample_bynode: f64,
    pub max_bin: usize,
    pub max_cat_to_onehot: usize,
    pub max_cat_threshold: usize,
    pub seed: u64,
    pub task: WantedTask,
    pub base_score: Option<f64>,
    pub scale_pos_weight: f64,
    /// One of -1, 0, 1 per feature; empty when unconstrained.
    pub monotone: Vec<i8>,
    pub early_stopping_rounds: Option<usize>,
    pub validation_fraction: f64,
    pub sample_weight: Option<String>,
}

impl Settings {
    /// Reads the options of a request.
    ///
    /// # Errors
    /// [`MlError::Invalid`] naming an unknown option with all known ones, or a value out of range.
    pub fn from_spec(spec: &TrainSpec) -> Result<Self, MlError> {
        for name in spec.options.keys() {
            if !KNOWN.contains(&name.as_str()) {
                return Err(MlError::Invalid(format!(
                    "unknown option '{name}' for GBT; known options: {}",
                    KNOWN.join(", ")
                )));
            }
        }
        let o = Reader { spec };
        let share = |names: &[&str]| -> Result<f64, MlError> {
            o.number(names, 1.0, |v| v > 0.0 && v <= 1.0, "greater than 0 and at most 1")
        };
        let positive =
            |names: &[&str], default: f64| o.number(names, default, |v| v >= 0.0, "0 or more");
        let objective = o.text(&["objective"])?;
        let by_objective = match objective.as_deref() {
            None => WantedTask::Auto,
            Some("reg:squarederror") => WantedTask::Regression,
            Some("count:poisson") => WantedTask::Poisson,
            Some("binary:logistic") => WantedTask::Binary,
            Some("multi:softprob" | "multi:softmax") => WantedTask::Multiclass,
            Some(other) => {
                return Err(MlError::Unsupported(format!(
                    "objective '{other}' cannot be trained; known objectives: reg:squarederror, \
                     count:poisson, binary:logistic, multi:softprob"
                )));
            }
        };
        let by_task = match o.text(&["task"])?.map(|t| t.to_ascii_lowercase()).as_deref() {
            None => WantedTask::Auto,
            Some("regression") => WantedTask::Regression,
            Some("binary") => WantedTask::Binary,
            Some("multiclass") => WantedTask::Multiclass,
            Some(other) => {
                return Err(MlError::Invalid(format!(
                    "option task is '{other}'; it is one of regression, binary, multiclass"
                )));
            }
        };
        let task = match (by_task, by_objective) {
            (WantedTask::Auto, b) => b,
            (a, WantedTask::Auto) => a,
            (WantedTask::Regression, WantedTask::Poisson) => WantedTask::Poisson,
            (a, b) if a == b => a,
            _ => {
                return Err(MlError::Invalid(
                    "the options task and objective contradict each other".into(),
                ));
            }
        };
        Ok(Settings {
            rounds: o.count(&["n_estimators", "num_boost_round"], 100, 1, 100_000)?,
            parallel_trees: o.count(&["num_parallel_tree"], 1, 1, 100_000)?,
            eta: o.number(
                &["learning_rate", "eta"],
                0.3,
                |v| v > 0.0 && v <= 1.0,
                "greater than 0 and at most 1",
            )?,
            max_depth: o.count(&["max_depth"], 6, 1, 30)?,
            min_child_weight: positive(&["min_child_weight"], 1.0)?,
            lambda: positive(&["reg_lambda", "lambda"], 1.0)?,
            alpha: positive(&["reg_alpha", "alpha"], 0.0)?,
            gamma: positive(&["gamma", "min_split_loss"], 0.0)?,
            max_delta_step: match o.get(&["max_delta_step"])? {
                None => None,
                Some(_) => Some(positive(&["max_delta_step"], 0.0)?),
            },
            subsample: share(&["subsample"])?,
            colsample_bytree: share(&["colsample_bytree"])?,
            colsample_bylevel: share(&["colsample_bylevel"])?,
            colsample_bynode: share(&["colsample_bynode"])?,
            max_bin: o.count(&["max_bin"], 256, 2, 65_000)?,
            max_cat_to_onehot: o.count(&["max_cat_to_onehot"], 4, 1, usize::MAX)?,
            max_cat_threshold: o.count(&["max_cat_threshold"], 64, 1, usize::MAX)?,
            seed: o.count(&["seed", "random_state"], 0, 0, usize::MAX)? as u64,
            task,
            base_score: match o.get(&["base_score"])? {
                None => None,
                Some(_) => Some(o.number(&["base_score"], 0.5, f64::is_finite, "a number")?),
            },
            scale_pos_weight: o.number(&["scale_pos_weight"], 1.0, |v| v > 0.0, "positive")?,
            monotone: monotone(o.get(&["monotone_constraints"])?, &spec.features)?,
            early_stopping_rounds: match o.count(&["early_stopping_rounds"], 0, 0, 100_000)? {
                0 => None,
                n => Some(n),
            },
            validation_fraction: o.number(
                &["validation_fraction"],
                0.1,
                |v| v > 0.0 && v < 1.0,
                "between 0 and 1",
            )?,
            sample_weight: o.text(&["sample_weight"])?,
        })
    }
}

struct Reader<'a> {
    spec: &'a TrainSpec,
}

impl Reader<'_> {
    fn get(&self, names: &[&str]) -> Result<Option<&OptionValue>, MlError> {
        let mut found = None;
        for name in names {
            if let Some(v) = self.spec.options.get(*name) {
                if found.is_some() {
                    return Err(MlError::Invalid(format!(
                        "the options {} mean the same; give one",
                        names.join(" and ")
                    )));
                }
                found = Some(v);
            }
        }
        Ok(found)
    }

    fn number(
        &self,
        names: &[&str],
        default: f64,
        valid: impl Fn(f64) -> bool,
        range: &str,
    ) -> Result<f64, MlError> {
        let value = match self.get(names)? {
            None => return Ok(default),
            Some(OptionValue::Int(i)) => Some(*i as f64),
            Some(OptionValue::Float(f)) => Some(*f),
            Some(OptionValue::Text(t)) => t.trim().parse().ok(),
            Some(_) => None,
        };
        match value {
            Some(v) if v.is_finite() && valid(v) => Ok(v),
            _ => Err(MlError::Invalid(format!("option {} must be {range}", names[0]))),
        }
    }

    fn count(
        &self,
        names: &[&str],
        default: usize,
        least: usize,
        most: usize,
    ) -> Result<usize, MlError> {
        let range = if most == usize::MAX {
            format!("a whole number of at least {least}")
        } else {
            format!("a whole number between {least} and {most}")
        };
        let v = self.number(
            names,
            default as f64,
            |v| v.fract() == 0.0 && v >= least as f64 && v <= most as f64,
            &range,
        )?;
        Ok(v as usize)
    }

    fn text(&self, names: &[&str]) -> Result<Option<String>, MlError> {
        match self.get(names)? {
            None => Ok(None),
            Some(OptionValue::Text(t)) => Ok(Some(t.clone())),
            Some(_) => Err(MlError::Invalid(format!("option {} must be a text", names[0]))),
        }
    }
}

/// A list of numbers in feature order, the text `(1,0,-1)`, or the text `name:1,other:-1`.
fn monotone(value: Option<&OptionValue>, features: &[String]) -> Result<Vec<i8>, MlError> {
    let bad = |what: &str| {
        Err(MlError::Invalid(format!(
            "option monotone_constraints: {what}; give -1, 0 or 1 for each feature"
        )))
    };
    let signs: Vec<i64> = match value {
        None => return Ok(Vec::new()),
        Some(OptionValue::List(items)) => {
            let mut out = Vec::new();
            for item in items {
                match item {
                    OptionValue::Int(i) => out.push(*i),
                    _ => return bad("not a list of whole numbers"),
                }
            }
            out
        }
        Some(OptionValue::Text(text)) => {
            let mut out = Vec::new();
            let mut named = vec![0i64; features.len()];
            let mut any_named = false;
            let inner = text.trim().trim_matches(['(', ')', '[', ']']);
            for part in inner.split(',').filter(|p| !p.trim().is_empty()) {
                let (name, sign) = match part.rsplit_once(':') {
                    Some((name, sign)) => (Some(name.trim()), sign),
                    None => (None, part),
                };
                let Ok(sign) = sign.trim().parse::<i64>() else {
                    return bad("not a whole number");
                };
                match name {
                    None => out.push(sign),
                    Some(name) => match features.iter().position(|f| f == name) {
                        Some(i) => {
                            named[i] = sign;
                            any_named = true;
                        }
                        None => return bad(&format!("'{name}' is not a feature")),
                    },
                }
            }
            if any_named { named } else { out }
        }
        Some(_) => return bad("not a list"),
    };
    if signs.len() > features.len() {
        return bad("more constraints than features");
    }
    if signs.iter().any(|s| !(-1..=1).contains(s)) {
        return bad("a value other than -1, 0 and 1");
    }
    let mut out: Vec<i8> = signs.iter().map(|&s| s as i8).collect();
    out.resize(features.len(), 0);
    if out.iter().all(|&s| s == 0) {
        out.clear();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Algorithm;

    fn spec(options: &[(&str, OptionValue)]) -> TrainSpec {
        TrainSpec {
            algorithm: Algorithm::Gbt,
            target: "y".into(),
            features: vec!["a".into(), "b".into()],
            options: options.iter().map(|(k, v)| ((*k).into(), v.clone())).collect(),
            threads: 1,
            stop: Default::default(),
        }
    }

    #[test]
    fn an_unknown_option_lists_the_known() {
        let e = Settings::from_spec(&spec(&[("depth", OptionValue::Int(3))])).unwrap_err();
        let text = e.to_string();
        assert!(text.contains("'depth'") && text.contains("max_depth"), "{text}");
    }

    #[test]
    fn values_out_of_range_and_doubles_are_refused() {
        for (name, v) in [
            ("eta", OptionValue::Float(0.0)),
            ("max_depth", OptionValue::Float(2.5)),
            ("subsample", OptionValue::Float(1.5)),
            ("n_estimators", OptionValue::Bool(true)),
            ("objective", OptionValue::Text("reg:gamma".into())),
        ] {
            assert!(Settings::from_spec(&spec(&[(name, v)])).is_err(), "{name}");
        }
        let both = [("eta", OptionValue::Float(0.1)), ("learning_rate", OptionValue::Float(0.1))];
        assert!(Settings::from_spec(&spec(&both)).is_err());
    }

    #[test]
    fn monotone_constraints_have_three_spellings() {
        let list = OptionValue::List(vec![OptionValue::Int(1), OptionValue::Int(-1)]);
        for v in [list, OptionValue::Text("(1,-1)".into()), OptionValue::Text("b:-1, a:1".into())] {
            let s = Settings::from_spec(&spec(&[("monotone_constraints", v)])).unwrap();
            assert_eq!(s.monotone, vec![1, -1]);
        }
    }
}
