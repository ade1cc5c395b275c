//! The boosting loop: gradients, trees, margins, early stopping.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::bins::Binned;
use super::grow::Grower;
use super::objective::{Loss, Objective, softmax, softmax_gradient};
use super::options::Settings;
use super::sampling::{Shares, samplers};
use super::split::Penalty;
use super::target::Target;
use super::tree::Tree;
use crate::{MlError, Stop};

/// Rows of gradients computed by one worker at a time.
const CHUNK: usize = 16 << 10;

/// What the loop yields.
#[derive(Debug)]
pub struct Boosted {
    /// Round by round, one tree per output.
    pub trees: Vec<Tree>,
    /// Intercepts in prediction space.
    pub base_score: Vec<f32>,
    /// Best round and its validation loss, when early stopping was asked for.
    pub best: Option<(usize, f64)>,
    pub max_delta_step: f64,
}

/// Trains all trees. Runs on the current rayon pool.
///
/// # Errors
/// [`MlError::Invalid`] when every row falls into the validation part or has no weight;
/// [`MlError::Stopped`].
pub fn boost(
    data: &Binned,
    target: &Target,
    loss: Loss,
    objective: &Objective,
    settings: &Settings,
    stop: &Stop,
) -> Result<Boosted, MlError> {
    let n = data.rows;
    let groups = loss.groups();
    let max_delta_step =
        settings.max_delta_step.unwrap_or(if loss == Loss::Poisson { 0.7 } else { 0.0 });
    let penalty = Penalty::new(settings, max_delta_step);
    let validation = validation_rows(settings, n);
    let positive = settings.scale_pos_weight as f32;
    // Weight in the loss: 0 keeps a row out of training while its margin is still followed.
    let weights: Vec<f32> = (0..n)
        .map(|i| {
            let w = target.weights[i];
            match &validation {
                Some(v) if v[i] => 0.0,
                _ if loss == Loss::Logistic && target.labels[i] == 1.0 => w * positive,
                _ => w,
            }
        })
        .collect();
    if weights.iter().all(|&w| w == 0.0) {
        return Err(MlError::Invalid(
            "no rows are left to train on after taking out the validation part".into(),
        ));
    }
    let base_score = match settings.base_score {
        Some(b) => vec![b as f32; groups],
        None => loss.intercept(&target.labels, &weights, positive == 1.0),
    };
    if loss == Loss::Logistic && base_score.iter().any(|b| !(0.0..=1.0).contains(b)) {
        return Err(MlError::Invalid(
            "option base_score of a binary model must be between 0 and 1".into(),
        ));
    }
    let mut margins: Vec<Vec<f32>> =
        base_score.iter().map(|b| vec![objective.margin_of(*b); n]).collect();
    let grower = Grower { data, settings, penalty: &penalty, stop };
    let shares = Shares {
        tree: settings.colsample_bytree as f32,
        level: settings.colsample_bylevel as f32,
        node: settings.colsample_bynode as f32,
    };
    let (mut columns, mut rows) =
        samplers(settings.seed, data.cuts.len(), shares, settings.subsample as f32);
    let mut order = vec![0u32; n];
    let mut grads: Vec<Vec<[f32; 2]>> = vec![vec![[0.0; 2]; n]; groups];
    let parallel = settings.parallel_trees;
    let mut sampled: Vec<[f32; 2]> = Vec::new();
    let mut trees = Vec::with_capacity(settings.rounds * groups * parallel);
    let mut best: Option<(usize, f64)> = None;
    for round in 0..settings.rounds {
        gradients(loss, &margins, &target.labels, &weights, max_delta_step, &mut grads);
        for (grads, margins) in grads.iter_mut().zip(&mut margins) {
            // Trees beside each other learn the same derivatives, each from its own rows.
            for place in 0..parallel {
                let last = place + 1 == parallel;
                if !last {
                    sampled.clear();
                    sampled.extend_from_slice(grads);
                }
                let own = if last { grads.as_mut_slice() } else { sampled.as_mut_slice() };
                rows.apply(own);
                order.iter_mut().enumerate().for_each(|(i, r)| *r = i as u32);
                let grown = grower.grow(own, &mut order, &mut columns)?;
                for (value, rows) in grown.leaves {
                    for &r in &order[rows] {
                        margins[r as usize] += value;
                    }
                }
                trees.push(grown.tree);
            }
        }
        if let (Some(patience), Some(rows)) = (settings.early_stopping_rounds, &validation) {
            let now = validation_loss(loss, &margins, target, rows);
            if best.is_none_or(|(_, b)| now < b) {
                best = Some((round, now));
            }
            if best.is_some_and(|(at, _)| round - at >= patience) {
                break;
            }
        }
    }
    if let Some((round, _)) = best {
        trees.truncate((round + 1) * groups * parallel);
    }
    Ok(Boosted { trees, base_score, best, max_delta_step })
}

fn validation_rows(settings: &Settings, n: usize) -> Option<Vec<bool>> {
    settings.early_stopping_rounds?;
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut rows: Vec<bool> =
        (0..n).map(|_| rng.random::<f64>() < settings.validation_fraction).collect();
    if n > 1 && !rows.contains(&true) {
        rows[n - 1] = true;
    }
    Some(rows)
}

fn gradients(
    loss: Loss,
    margins: &[Vec<f32>],
    labels: &[f32],
    weights: &[f32],
    max_delta_step: f64,
    out: &mut [Vec<[f32; 2]>],
) {
    if let Loss::Softmax(k) = loss {
        let parts: Vec<&mut [[f32; 2]]> =
            out.iter_mut().flat_map(|g| g.chunks_mut(CHUNK)).collect();
        let chunks = labels.len().div_ceil(CHUNK);
        // Regroup the parts by chunk of rows: one worker then does all classes of its rows.
        let mut by_chunk: Vec<Vec<&mut [[f32; 2]]>> = (0..chunks).map(|_| Vec::new()).collect();
        for (i, part) in parts.into_iter().enumerate() {
            by_chunk[i % chunks].push(part);
        }
        by_chunk.into_par_iter().enumerate().for_each(|(c, mut parts)| {
            let start = c * CHUNK;
            let mut p = vec![0.0f32; k];
            for i in 0..parts[0].len() {
                let row = start + i;
                p.iter_mut().zip(margins).for_each(|(p, m)| *p = m[row]);
                softmax(&mut p);
                for (class, part) in parts.iter_mut().enumerate() {
                    part[i] =
                        softmax_gradient(p[class], labels[row] as usize == class, weights[row]);
                }
            }
        });
        return;
    }
    let step = max_delta_step as f32;
    out[0]
        .par_chunks_mut(CHUNK)
        .zip(margins[0].par_chunks(CHUNK))
        .zip(labels.par_chunks(CHUNK).zip(weights.par_chunks(CHUNK)))
        .for_each(|((out, m), (y, w))| {
            for (i, o) in out.iter_mut().enumerate() {
                *o = loss.gradient(m[i], y[i], w[i], step);
            }
        });
}

fn validation_loss(loss: Loss, margins: &[Vec<f32>], target: &Target, rows: &[bool]) -> f64 {
    let (mut sum, mut weight) = (0.0f64, 0.0f64);
    let mut row = vec![0.0f32; margins.len()];
    for (i, _) in rows.iter().enumerate().filter(|(_, v)| **v) {
        row.iter_mut().zip(margins).for_each(|(r, m)| *r = m[i]);
        let w = f64::from(target.weights[i]);
        sum += w * loss.row_loss(&row, target.labels[i]);
        weight += w;
    }
    let mean = sum / weight.max(f64::MIN_POSITIVE);
    if loss == Loss::SquaredError { mean.sqrt() } else { mean }
}
