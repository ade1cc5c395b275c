//! `SVD`: ratings of items by users as biases plus an inner product of learned factors
//! (Funk's matrix factorisation), fitted by stochastic gradient descent.
//!
//! `rating = mean + user bias + item bias + user factors · item factors`, with the update rules,
//! defaults and fall-backs of Surprise's `SVD`. An unseen user or item leaves out its bias and
//! the product. Predictions are clipped to the rating scale.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::design::mean;
use crate::encode;
use crate::options::Options;
use crate::{Algorithm, Feature, FeatureKind, MlError, Model, Rows, Signature, Task, TrainSpec};

const KNOWN_OPTIONS: &[&str] = &[
    "biased",
    "init_mean",
    "init_std_dev",
    "lr_all",
    "n_epochs",
    "n_factors",
    "rating_max",
    "rating_min",
    "reg_all",
    "seed",
];

const FORMAT: &str = "frazil-svd-1";

/// Ratings fitted between two looks at the stop flag.
const STEP_RATINGS: usize = 16_384;

/// A fitted factorisation. Users and items are the sorted categories of the two features.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct SvdModel {
    stored: Stored,
    user_places: HashMap<String, u32>,
    item_places: HashMap<String, u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    format: String,
    signature: Signature,
    factors: usize,
    mean: f64,
    rating_min: f64,
    rating_max: f64,
    user_biases: Vec<f64>,
    item_biases: Vec<f64>,
    /// Row-major, `factors` values per user; single precision, a hundredth of a rating's noise
    /// away from double and half its size.
    user_factors: Vec<f32>,
    item_factors: Vec<f32>,
    /// Items each user rated, rising.
    rated: Vec<Vec<u32>>,
    rows: u64,
}

impl From<Stored> for SvdModel {
    fn from(stored: Stored) -> Self {
        let places = |feature: usize| -> HashMap<String, u32> {
            names(&stored.signature, feature).iter().cloned().zip(0..).collect()
        };
        Self { user_places: places(0), item_places: places(1), stored }
    }
}

impl From<SvdModel> for Stored {
    fn from(model: SvdModel) -> Self {
        model.stored
    }
}

fn names(signature: &Signature, feature: usize) -> &[String] {
    match signature.features.get(feature).map(|feature| &feature.kind) {
        Some(FeatureKind::Categorical { categories }) => categories,
        _ => &[],
    }
}

/// A user or item column as text. Whole numbers read the same from every numeric type, so that
/// an id kept as 7, 7.0 or 7.00 is one id.
fn ids(name: &str, column: &ArrayRef) -> Result<StringArray, MlError> {
    let text = encode::read_text(name, column)?;
    if !encode::is_number(column.data_type()) {
        return Ok(text);
    }
    Ok(text
        .iter()
        .map(|value| {
            value.map(|value| match value.split_once('.') {
                Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => whole,
                _ => value,
            })
        })
        .collect())
}

/// Distinct ids, sorted, and each row's place among them. A missing id is an error.
fn index(rows: Rows<'_>, name: &str) -> Result<(Vec<String>, Vec<u32>), MlError> {
    let columns: Vec<StringArray> = encode::gather(rows, name)?
        .iter()
        .map(|column| ids(name, column))
        .collect::<Result<_, _>>()?;
    let missing: usize = columns.iter().map(|column| column.null_count()).sum();
    if missing > 0 {
        return Err(MlError::Invalid(format!(
            "column '{name}' is NULL in {missing} rows; every rating needs a user and an item"
        )));
    }
    let mut distinct: Vec<&str> =
        columns.iter().flat_map(|column| column.iter().flatten()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let places: HashMap<&str, u32> = distinct.iter().copied().zip(0..).collect();
    let codes = columns
        .iter()
        .flat_map(|column| column.iter().flatten())
        .filter_map(|value| places.get(value).copied())
        .collect();
    Ok((distinct.into_iter().map(str::to_owned).collect(), codes))
}

struct Settings {
    factors: usize,
    epochs: usize,
    rate: f64,
    shrink: f64,
    biased: bool,
    seed: u64,
    init_mean: f64,
    init_deviation: f64,
    rating_min: Option<f64>,
    rating_max: Option<f64>,
}

impl Settings {
    fn read(spec: &TrainSpec) -> Result<Self, MlError> {
        let options = Options::new(&spec.options, KNOWN_OPTIONS)?;
        Ok(Self {
            factors: options.count_from("n_factors", 100, 0)?,
            epochs: options.count_from("n_epochs", 20, 0)?,
            rate: options.number_from("lr_all", 0.005, 0.0)?,
            shrink: options.number_from("reg_all", 0.02, 0.0)?,
            biased: options.flag("biased", true)?,
            seed: options.seed("seed", 0)?,
            init_mean: options.number("init_mean")?.unwrap_or(0.0),
            init_deviation: options.number_from("init_std_dev", 0.1, 0.0)?,
            rating_min: options.number("rating_min")?,
            rating_max: options.number("rating_max")?,
        })
    }
}

fn two_features(spec: &TrainSpec) -> Result<&[String; 2], MlError> {
    spec.features.as_slice().try_into().map_err(|_| {
        MlError::Invalid(format!(
            "SVD takes two features, the user and the item, not {}; name them with FEATURES",
            spec.features.len()
        ))
    })
}

/// Checks the options and the number of features alone.
pub(crate) fn check_options(spec: &TrainSpec) -> Result<(), MlError> {
    two_features(spec)?;
    Settings::read(spec).map(drop)
}

/// Fits user and item factors. The first feature is the user, the second the item (any type, read
/// as text), the target the rating.
///
/// Options: `n_factors` (100), `n_epochs` (20), `lr_all` (0.005), `reg_all` (0.02), `init_mean`
/// (0), `init_std_dev` (0.1), `biased` (TRUE), `seed` (0), `rating_min` and `rating_max` (the
/// least and greatest rating seen).
///
/// Ratings are visited user by user, items in sorted order, so neither the order of the rows nor
/// the number of threads changes the model. Errors: unknown options, not exactly two features,
/// no rows, missing ids or ratings, a fit that diverges.
pub fn train(spec: &TrainSpec, rows: Rows<'_>) -> Result<SvdModel, MlError> {
    let settings = Settings::read(spec)?;
    let [user_name, item_name] = two_features(spec)?;
    let Settings { factors, epochs, rate, shrink, biased, .. } = settings;

    let target = encode::numeric_target(rows, &spec.target)?;
    if target.is_empty() {
        return Err(MlError::Invalid("there are no rows to train on".to_owned()));
    }
    let (users, user_codes) = index(rows, user_name)?;
    let (items, item_codes) = index(rows, item_name)?;
    let mut ratings: Vec<(u32, u32, f64)> = user_codes
        .into_iter()
        .zip(item_codes)
        .zip(target)
        .map(|((user, item), rating)| (user, item, rating))
        .collect();
    ratings.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));

    let all = || ratings.iter().map(|rating| rating.2);
    let rating_min = settings.rating_min.unwrap_or(all().fold(f64::INFINITY, f64::min));
    let rating_max = settings.rating_max.unwrap_or(all().fold(f64::NEG_INFINITY, f64::max));
    if rating_min > rating_max {
        return Err(MlError::Invalid("rating_min is above rating_max".to_owned()));
    }
    let centre = if biased { mean(all()) } else { 0.0 };

    let mut normal = Normal::new(settings.seed, settings.init_mean, settings.init_deviation);
    let mut user_factors = normal.take(users.len() * factors);
    let mut item_factors = normal.take(items.len() * factors);
    let mut user_biases = vec![0.0f64; users.len()];
    let mut item_biases = vec![0.0f64; items.len()];
    let steps = (0..epochs).flat_map(|_| ratings.chunks(STEP_RATINGS));
    for step in steps {
        spec.stop.check()?;
        for (user, item, rating) in step {
            let (user, item) = (*user as usize, *item as usize);
            let own = &mut user_factors[user * factors..(user + 1) * factors];
            let other = &mut item_factors[item * factors..(item + 1) * factors];
            let expected =
                centre + user_biases[user] + item_biases[item] + crate::design::dot(own, other);
            let error = rating - expected;
            if biased {
                user_biases[user] += rate * (error - shrink * user_biases[user]);
                item_biases[item] += rate * (error - shrink * item_biases[item]);
            }
            for (own, other) in own.iter_mut().zip(other) {
                let before = *own;
                *own += rate * (error * *other - shrink * before);
                *other += rate * (error * before - shrink * *other);
            }
        }
    }
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    if ![&user_factors, &item_factors, &user_biases, &item_biases].iter().all(|v| finite(v)) {
        return Err(MlError::Invalid(
            "the factorisation diverged; use a smaller lr_all or scale the ratings".to_owned(),
        ));
    }
    let mut rated: Vec<Vec<u32>> = vec![Vec::new(); users.len()];
    for (user, item, _) in &ratings {
        let own = &mut rated[*user as usize];
        if own.last() != Some(item) {
            own.push(*item);
        }
    }
    let feature = |name: &String, categories: Vec<String>| Feature {
        name: name.clone(),
        kind: FeatureKind::Categorical { categories },
    };
    Ok(SvdModel::from(Stored {
        format: FORMAT.to_owned(),
        signature: Signature {
            task: Task::Recommendation,
            target: spec.target.clone(),
            features: vec![feature(user_name, users), feature(item_name, items)],
            classes: Vec::new(),
        },
        factors,
        mean: centre,
        rating_min,
        rating_max,
        user_biases,
        item_biases,
        user_factors: user_factors.into_iter().map(|value| value as f32).collect(),
        item_factors: item_factors.into_iter().map(|value| value as f32).collect(),
        rated,
        rows: ratings.len() as u64,
    }))
}

/// Normally distributed numbers from a seed (Box and Muller's transform of a ChaCha stream).
struct Normal {
    source: ChaCha8Rng,
    mean: f64,
    deviation: f64,
}

impl Normal {
    fn new(seed: u64, mean: f64, deviation: f64) -> Self {
        Self { source: ChaCha8Rng::seed_from_u64(seed), mean, deviation }
    }

    fn take(&mut self, count: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // From (0, 1], so that the logarithm is finite.
            let radius = (-2.0 * (1.0 - self.source.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * self.source.random::<f64>();
            values.push(self.mean + self.deviation * radius * angle.cos());
            values.push(self.mean + self.deviation * radius * angle.sin());
        }
        values.truncate(count);
        values
    }
}

impl SvdModel {
    /// Reads a model file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlError> {
        let stored: Stored = serde_json::from_slice(bytes)
            .map_err(|error| MlError::Format(format!("not an SVD model file: {error}")))?;
        let users = names(&stored.signature, 0).len();
        let items = names(&stored.signature, 1).len();
        let known = |rated: &Vec<u32>| rated.iter().all(|item| (*item as usize) < items);
        if stored.format != FORMAT
            || stored.signature.features.len() != 2
            || stored.user_biases.len() != users
            || stored.item_biases.len() != items
            || Some(stored.user_factors.len()) != users.checked_mul(stored.factors)
            || Some(stored.item_factors.len()) != items.checked_mul(stored.factors)
            || stored.rated.len() != users
            || !stored.rated.iter().all(known)
            || stored.rating_min > stored.rating_max
        {
            return Err(MlError::Format(format!("not a {FORMAT} file")));
        }
        Ok(Self::from(stored))
    }

    /// The estimate before clipping.
    fn estimate(&self, user: Option<u32>, item: Option<u32>) -> f64 {
        let stored = &self.stored;
        let mut estimate = stored.mean;
        if let Some(user) = user {
            estimate += stored.user_biases[user as usize];
        }
        if let Some(item) = item {
            estimate += stored.item_biases[item as usize];
        }
        if let (Some(user), Some(item)) = (user, item) {
            let own = &stored.user_factors[user as usize * stored.factors..][..stored.factors];
            let other = &stored.item_factors[item as usize * stored.factors..][..stored.factors];
            estimate += own
                .iter()
                .zip(other)
                .map(|(own, other)| f64::from(*own) * f64::from(*other))
                .sum::<f64>();
        }
        estimate
    }

    fn clip(&self, estimate: f64) -> f64 {
        estimate.clamp(self.stored.rating_min, self.stored.rating_max)
    }
}

impl PartialEq for SvdModel {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl Model for SvdModel {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Svd
    }

    fn signature(&self) -> &Signature {
        &self.stored.signature
    }

    /// Estimated ratings; NULL ids count as unseen ones.
    fn predict(&self, columns: &[ArrayRef]) -> Result<ArrayRef, MlError> {
        let features = &self.stored.signature.features;
        encode::check_columns(features, columns)?;
        let users = ids(&features[0].name, &columns[0])?;
        let items = ids(&features[1].name, &columns[1])?;
        let ratings = users.iter().zip(items.iter()).map(|(user, item)| {
            let user = user.and_then(|user| self.user_places.get(user).copied());
            let item = item.and_then(|item| self.item_places.get(item).copied());
            self.clip(self.estimate(user, item))
        });
        Ok(Arc::new(Float64Array::from_iter_values(ratings)))
    }

    fn predict_proba(&self, _columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, MlError> {
        Err(MlError::Unsupported("SVD models have no class probabilities".to_owned()))
    }

    /// Users and items have no shares of their own: all 0.
    fn importance(&self) -> Vec<f64> {
        vec![0.0; 2]
    }

    fn to_bytes(&self) -> Result<Vec<u8>, MlError> {
        serde_json::to_vec(&self.stored).map_err(|error| MlError::Format(error.to_string()))
    }

    fn extension(&self) -> &'static str {
        "json"
    }

    /// The best items the user has not rated in training, by the estimate before clipping (so
    /// that items above the scale stay ordered), equal ones by item text. Scores are clipped. An
    /// unseen user gets the items with the best biases.
    fn recommend(&self, user: &str, k: usize) -> Result<Vec<(String, f64)>, MlError> {
        let user = self.user_places.get(user).copied();
        let rated: &[u32] = user.map_or(&[], |user| &self.stored.rated[user as usize]);
        let items = names(&self.stored.signature, 1);
        let mut open: Vec<(f64, u32)> = (0..items.len() as u32)
            .filter(|item| rated.binary_search(item).is_err())
            .map(|item| (self.estimate(user, Some(item)), item))
            .collect();
        // Items are sorted by text, so the place breaks ties by text.
        let better = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if k < open.len() {
            open.select_nth_unstable_by(k, better);
            open.truncate(k);
        }
        open.sort_unstable_by(better);
        Ok(open
            .into_iter()
            .map(|(estimate, item)| (items[item as usize].clone(), self.clip(estimate)))
            .collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::compute::take_record_batch;
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::OptionValue;

    fn spec(threads: usize) -> TrainSpec {
        TrainSpec {
            algorithm: Algorithm::Svd,
            target: "rating".to_owned(),
            features: vec!["user".to_owned(), "item".to_owned()],
            options: BTreeMap::from([
                ("n_factors".to_owned(), OptionValue::Int(4)),
                ("n_epochs".to_owned(), OptionValue::Int(60)),
                ("lr_all".to_owned(), OptionValue::Float(0.02)),
            ]),
            threads,
            stop: Default::default(),
        }
    }

    /// 20 users, 15 items, every third pair unrated; users 0..10 like even items.
    fn ratings() -> RecordBatch {
        let pairs: Vec<(i64, i64)> = (0..20)
            .flat_map(|user| (0..15).map(move |item| (user, item)))
            .filter(|(user, item)| (user + item) % 3 != 0)
            .collect();
        let rating =
            |(user, item): &(i64, i64)| if (*user < 10) == (item % 2 == 0) { 5.0 } else { 1.0 };
        let users: ArrayRef = Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| p.0)));
        let items: ArrayRef =
            Arc::new(StringArray::from_iter_values(pairs.iter().map(|p| format!("i{:02}", p.1))));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(pairs.iter().map(rating)));
        RecordBatch::try_from_iter([("user", users), ("item", items), ("rating", values)]).unwrap()
    }

    #[test]
    fn learns_tastes_and_recommends_unseen_items() {
        let batch = [ratings()];
        let model = train(&spec(1), Rows { batches: &batch }).unwrap();
        let best = model.recommend("3", 2).unwrap();
        // User 3 has not rated items 0, 3, 6, 9, 12 and likes even ones.
        assert_eq!(best.len(), 2);
        assert!(best.iter().all(|(item, score)| ["i00", "i06", "i12"].contains(&item.as_str()) && *score > 4.0), "{best:?}");
        assert_eq!(model.recommend("3", 99).unwrap().len(), 5);
        assert_eq!(model.recommend("nobody", 99).unwrap().len(), 15);

        let users: ArrayRef = Arc::new(Float64Array::from(vec![3.0, 77.0]));
        let items: ArrayRef = Arc::new(StringArray::from(vec![Some("i06"), None]));
        let scored = model.predict(&[users, items]).unwrap();
        let scored = scored.as_primitive::<Float64Type>();
        assert!(scored.value(0) > 4.0, "a user id of 3.0 is user 3");
        assert_eq!(scored.value(1), model.stored.mean);

        let again = SvdModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(again, model);
        assert_eq!(again.recommend("3", 5).unwrap(), model.recommend("3", 5).unwrap());
    }

    #[test]
    fn row_order_and_threads_do_not_matter() {
        let batch = ratings();
        let reversed: arrow::array::UInt32Array = (0..batch.num_rows() as u32).rev().collect();
        let turned = [take_record_batch(&batch, &reversed).unwrap()];
        let batch = [batch];
        let bytes = |threads, batches: &[RecordBatch]| {
            train(&spec(threads), Rows { batches }).unwrap().to_bytes().unwrap()
        };
        assert_eq!(bytes(1, &batch), bytes(2, &turned));
    }

    #[test]
    fn equal_scores_are_ordered_by_item() {
        let batch = [ratings()];
        let mut flat = spec(1);
        flat.options.insert("n_epochs".to_owned(), OptionValue::Int(0));
        flat.options.insert("n_factors".to_owned(), OptionValue::Int(0));
        let model = train(&flat, Rows { batches: &batch }).unwrap();
        let items: Vec<String> =
            model.recommend("nobody", 3).unwrap().into_iter().map(|(item, _)| item).collect();
        assert_eq!(items, ["i00", "i01", "i02"]);
    }
}
