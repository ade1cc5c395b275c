//! Reading `OPTIONS (name => value)` with clear errors.

use std::collections::BTreeMap;

use crate::{MlError, OptionValue};

/// The options of one training statement, checked against the names an estimator knows.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    values: &'a BTreeMap<String, OptionValue>,
}

impl<'a> Options<'a> {
    /// Errors on the first name outside `known`, listing the known ones.
    pub fn new(values: &'a BTreeMap<String, OptionValue>, known: &[&str]) -> Result<Self, MlError> {
        if let Some(name) = values.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(MlError::Invalid(format!(
                "unknown option '{name}'; known options are: {}",
                known.join(", ")
            )));
        }
        Ok(Self { values })
    }

    /// Whether the option was written.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A finite number (an integer is accepted); `None` when not written.
    pub fn number(&self, name: &str) -> Result<Option<f64>, MlError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(OptionValue::Int(value)) => Ok(Some(*value as f64)),
            Some(OptionValue::Float(value)) if value.is_finite() => Ok(Some(*value)),
            Some(other) => Err(wrong(name, "a number", other)),
        }
    }

    /// A number of at least `least`, or `default` when not written.
    pub fn number_from(&self, name: &str, default: f64, least: f64) -> Result<f64, MlError> {
        let value = self.number(name)?.unwrap_or(default);
        if value < least {
            return Err(MlError::Invalid(format!(
                "option '{name}' must be at least {least}, not {value}"
            )));
        }
        Ok(value)
    }

    /// A whole number of at least `least`, or `default` when not written.
    pub fn count_from(&self, name: &str, default: usize, least: usize) -> Result<usize, MlError> {
        let value = match self.values.get(name) {
            None => return Ok(default),
            Some(OptionValue::Int(value)) => usize::try_from(*value).ok(),
            Some(OptionValue::Float(value)) if value.fract() == 0.0 && *value >= 0.0 => {
                Some(*value as usize)
            }
            Some(_) => None,
        };
        match value {
            Some(value) if value >= least => Ok(value),
            _ => Err(MlError::Invalid(format!(
                "option '{name}' must be a whole number of at least {least}"
            ))),
        }
    }

    /// A seed: any integer; `default` when not written.
    pub fn seed(&self, name: &str, default: u64) -> Result<u64, MlError> {
        match self.values.get(name) {
            None => Ok(default),
            Some(OptionValue::Int(value)) => Ok(*value as u64),
            Some(other) => Err(wrong(name, "an integer", other)),
        }
    }

    /// TRUE or FALSE; `default` when not written.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, MlError> {
        match self.values.get(name) {
            None => Ok(default),
            Some(OptionValue::Bool(value)) => Ok(*value),
            Some(other) => Err(wrong(name, "TRUE or FALSE", other)),
        }
    }

    /// One of `choices` in any letter case, given back as written in `choices`.
    pub fn choice(
        &self,
        name: &str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, MlError> {
        let text = match self.values.get(name) {
            None => return Ok(None),
            Some(OptionValue::Text(text)) => text,
            Some(other) => return Err(wrong(name, &quoted(choices), other)),
        };
        match choices.iter().find(|choice| choice.eq_ignore_ascii_case(text)) {
            Some(choice) => Ok(Some(choice)),
            None => Err(MlError::Invalid(format!(
                "option '{name}' must be {}, not '{text}'",
                quoted(choices)
            ))),
        }
    }
}

fn quoted(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    quoted.join(" or ")
}

fn wrong(name: &str, wanted: &str, got: &OptionValue) -> MlError {
    MlError::Invalid(format!("option '{name}' must be {wanted}, not {got:?}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, OptionValue)]) -> BTreeMap<String, OptionValue> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn unknown_name_lists_known_ones() {
        let values = map(&[("alfa", OptionValue::Float(1.0))]);
        let error = Options::new(&values, &["alpha", "penalty"]).unwrap_err().to_string();
        assert_eq!(error, "unknown option 'alfa'; known options are: alpha, penalty");
    }

    #[test]
    fn types_are_checked() {
        let values = map(&[
            ("a", OptionValue::Int(3)),
            ("b", OptionValue::Text("L2".to_owned())),
            ("c", OptionValue::Float(f64::NAN)),
        ]);
        let options = Options::new(&values, &["a", "b", "c"]).unwrap();
        assert_eq!(options.number("a").unwrap(), Some(3.0));
        assert_eq!(options.choice("b", &["l1", "l2"]).unwrap(), Some("l2"));
        assert!(options.choice("b", &["l1"]).is_err());
        assert!(options.number("b").is_err());
        assert!(options.number("c").is_err());
        assert!(options.count_from("a", 1, 4).is_err());
        assert!(options.flag("a", true).is_err());
        assert_eq!(options.number_from("z", 0.5, 0.0).unwrap(), 0.5);
    }
}
