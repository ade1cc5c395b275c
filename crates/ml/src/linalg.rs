//! Symmetric positive semi-definite systems: a rank-revealing Cholesky factorisation.

use rayon::prelude::*;

use crate::design::dot;
use crate::{MlError, Stop};

/// A pivoted Cholesky factor of a symmetric positive semi-definite matrix.
///
/// The matrix is first scaled to unit diagonal, so the rank decision does not depend on the
/// units of its columns.
#[derive(Debug, Clone)]
pub struct Cholesky {
    size: usize,
    rank: usize,
    /// Lower factor, row-major, in pivoted order.
    factor: Vec<f64>,
    pivots: Vec<usize>,
    /// One over the square root of the diagonal; 0 for a column that is zero.
    scaling: Vec<f64>,
}

impl Cholesky {
    /// Factors the lower triangle of a row-major `size` x `size` matrix. A column whose share not
    /// explained by the ones before it is below `tolerance` (of its squared length) is dependent.
    ///
    /// # Errors
    /// [`MlError::Stopped`].
    pub fn new(matrix: &[f64], size: usize, tolerance: f64, stop: &Stop) -> Result<Self, MlError> {
        let scaling: Vec<f64> = (0..size)
            .map(|i| {
                let diagonal = matrix[i * size + i];
                if diagonal > 0.0 && diagonal.is_finite() { diagonal.sqrt().recip() } else { 0.0 }
            })
            .collect();
        let mut pivots: Vec<usize> = (0..size).collect();
        let mut factor = vec![0.0; size * size];
        let mut left: Vec<f64> =
            scaling.iter().map(|scale| if *scale > 0.0 { 1.0 } else { 0.0 }).collect();
        let mut rank = 0;
        for step in 0..size {
            stop.check()?;
            // The first of the largest, so that the order of pivots is settled.
            let mut best = step;
            for i in step + 1..size {
                if left[i] > left[best] {
                    best = i;
                }
            }
            if left[best] <= tolerance {
                break;
            }
            pivots.swap(step, best);
            left.swap(step, best);
            let (low, high) = (step.min(best) * size, step.max(best) * size);
            if low != high {
                let (head, tail) = factor.split_at_mut(high);
                head[low..low + step].swap_with_slice(&mut tail[..step]);
            }
            let diagonal = left[step].sqrt();
            let pivot = pivots[step];
            let (done, below) = factor.split_at_mut((step + 1) * size);
            let own = &mut done[step * size..];
            own[step] = diagonal;
            let own = &own[..step];
            let update = |((row, left), index): ((&mut [f64], &mut f64), &usize)| {
                let (a, b) = if *index > pivot { (*index, pivot) } else { (pivot, *index) };
                let entry = matrix[a * size + b] * scaling[a] * scaling[b];
                let value = (entry - dot(&row[..step], own)) / diagonal;
                row[step] = value;
                *left -= value * value;
            };
            let rest = &mut left[step + 1..];
            let indices = &pivots[step + 1..];
            // Each row is its own sum, so the result does not depend on the threads.
            if step * (size - step) > 200_000 {
                below
                    .par_chunks_mut(size)
                    .zip(rest.par_iter_mut())
                    .zip(indices.par_iter())
                    .for_each(update);
            } else {
                below.chunks_mut(size).zip(rest.iter_mut()).zip(indices).for_each(update);
            }
            rank = step + 1;
        }
        Ok(Self { size, rank, factor, pivots, scaling })
    }

    /// Number of independent columns.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// A solution of `A x = b`; 0 in the places of dependent columns.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut z: Vec<f64> = self.pivots[..self.rank]
            .iter()
            .map(|pivot| right[*pivot] * self.scaling[*pivot])
            .collect();
        for i in 0..self.rank {
            let row = &self.factor[i * self.size..i * self.size + i];
            z[i] = (z[i] - dot(row, &z[..i])) / self.factor[i * self.size + i];
        }
        self.back_substitute(&mut z);
        let mut solution = vec![0.0; self.size];
        for (value, pivot) in z.iter().zip(&self.pivots) {
            solution[*pivot] = value * self.scaling[*pivot];
        }
        solution
    }

    fn back_substitute(&self, z: &mut [f64]) {
        for i in (0..self.rank).rev() {
            let value = z[i] / self.factor[i * self.size + i];
            z[i] = value;
            let row = &self.factor[i * self.size..i * self.size + i];
            for (z, factor) in z[..i].iter_mut().zip(row) {
                *z -= value * factor;
            }
        }
    }

    /// A basis of the vectors that the matrix maps to zero (one for each dependent column).
    ///
    /// # Errors
    /// [`MlError::Stopped`].
    pub fn null_space(&self, stop: &Stop) -> Result<Vec<Vec<f64>>, MlError> {
        (self.rank..self.size)
            .map(|place| {
                stop.check()?;
                let pivot = self.pivots[place];
                let mut vector = vec![0.0; self.size];
                if self.scaling[pivot] == 0.0 {
                    vector[pivot] = 1.0;
                    return Ok(vector);
                }
                let mut z = self.factor[place * self.size..place * self.size + self.rank].to_vec();
                self.back_substitute(&mut z);
                for (value, own) in z.iter().zip(&self.pivots) {
                    vector[*own] = -value * self.scaling[*own];
                }
                vector[pivot] = self.scaling[pivot];
                Ok(vector)
            })
            .collect()
    }
}

/// Takes from `vector` its part in the span of `basis`: what stays is the shortest vector that
/// differs from it by the span.
///
/// # Errors
/// [`MlError::Stopped`].
pub fn remove_span(vector: &mut [f64], basis: &[Vec<f64>], stop: &Stop) -> Result<(), MlError> {
    if basis.is_empty() {
        return Ok(());
    }
    let mut orthonormal: Vec<Vec<f64>> = Vec::with_capacity(basis.len());
    for candidate in basis {
        stop.check()?;
        let mut own = candidate.clone();
        let length = dot(&own, &own).sqrt();
        // Twice: the second pass removes what rounding left of the first.
        for _ in 0..2 {
            for other in &orthonormal {
                let share = dot(&own, other);
                own.iter_mut().zip(other).for_each(|(own, other)| *own -= share * other);
            }
        }
        let rest = dot(&own, &own).sqrt();
        if rest > 1e-12 * length {
            own.iter_mut().for_each(|value| *value /= rest);
            orthonormal.push(own);
        }
    }
    for _ in 0..2 {
        for other in &orthonormal {
            let share = dot(vector, other);
            vector.iter_mut().zip(other).for_each(|(own, other)| *own -= share * other);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn solves_a_full_rank_system() {
        let matrix = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let cholesky = Cholesky::new(&matrix, 3, 1e-12, &Stop::default()).unwrap();
        assert_eq!(cholesky.rank(), 3);
        let x = cholesky.solve(&[4.0 + 4.0 + 3.0, 2.0 + 10.0 + 9.0, 1.0 + 6.0 + 18.0]);
        for (got, want) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - want).abs() < 1e-12, "{x:?}");
        }
    }

    #[test]
    fn finds_dependent_columns_in_any_unit() {
        // Third column = first + 1e6 * second, from X = [[1,0],[0,1],[1,1]].
        let columns = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1e6, 1.0 + 1e6]];
        let mut matrix = [0.0; 9];
        for i in 0..3 {
            for j in 0..=i {
                matrix[i * 3 + j] = dot(&columns[i], &columns[j]);
            }
        }
        let stop = Stop::default();
        let cholesky = Cholesky::new(&matrix, 3, 1e-12, &stop).unwrap();
        assert_eq!(cholesky.rank(), 2);
        let null = cholesky.null_space(&stop).unwrap();
        assert_eq!(null.len(), 1);
        for row in 0..3 {
            let product: f64 =
                columns.iter().zip(&null[0]).map(|(column, weight)| column[row] * weight).sum();
            assert!(product.abs() < 1e-9, "{null:?}");
        }
        let mut vector = null[0].clone();
        remove_span(&mut vector, &null, &stop).unwrap();
        assert!(vector.iter().all(|value| value.abs() < 1e-9));
    }
}
