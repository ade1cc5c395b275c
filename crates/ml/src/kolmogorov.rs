//! Distributions of the Kolmogorov–Smirnov statistics.
//!
//! Two samples: exact, by counting lattice paths. One sample (used for large samples): the choice
//! of methods of Simard and L'Ecuyer, "Computing the two-sided Kolmogorov–Smirnov distribution"
//! (Journal of Statistical Software 39, 2011).

use std::f64::consts::PI;

/// Chance that two samples of `m` and `n` values from one distribution differ by a statistic of at
/// least `d`, both tails.
///
/// A random walk from (0, 0) to (m, n) of `m` steps right and `n` up is the merged order of the
/// samples; the statistic reaches `d` where `|i/m - j/n| >= d`. The share of walks to (i, j) that
/// have been there is the mean of the shares of the two points before it, weighted by how many
/// walks come through each. All terms are positive, so small chances keep their digits.
pub fn two_sample_exact(m: usize, n: usize, d: f64) -> (f64, f64) {
    let common = gcd(m, n);
    let (step_m, step_n) = ((m / common) as i64, (n / common) as i64);
    let least_multiple = (m / common) as f64 * n as f64;
    let height = (d * least_multiple).round_ties_even();
    let d = height / least_multiple;
    if height == 0.0 {
        return (d, 1.0);
    }
    // Compared as whole numbers, |i/m - j/n| times the least common multiple. Only the band of
    // points inside is visited; every point beside it has share 1.
    let height = height as i64;
    let mut shares: Vec<f64> = vec![1.0; n + 1];
    for i in 0..=m {
        let middle = i as i64 * step_n;
        let first = ((middle - height).div_euclid(step_m) + 1).max(0) as usize;
        let last = ((middle + height - 1).div_euclid(step_m) as usize).min(n);
        if first > 0 {
            shares[first - 1] = 1.0;
        }
        for j in first..=last {
            let left = if i > 0 { i as f64 * shares[j] } else { 0.0 };
            let below = if j > 0 { j as f64 * shares[j - 1] } else { 0.0 };
            shares[j] = if i + j > 0 { (left + below) / (i + j) as f64 } else { 0.0 };
        }
    }
    (d, shares[n].clamp(0.0, 1.0))
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Chance that the two-sided statistic of one sample of `n` values is above `x`.
pub fn two_sided_survival(n: f64, x: f64) -> f64 {
    if x >= 1.0 {
        return 0.0;
    }
    let t = n * x;
    if x <= 0.0 || t <= 0.5 {
        return 1.0;
    }
    let survival = if t <= 1.0 {
        // n! ((2t - 1) / n)^n
        let mut log = n * (2.0 * t - 1.0).ln();
        log += ln_factorial_over_power(n);
        1.0 - log.exp()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - x).powf(n)
    } else if x >= 0.5 {
        2.0 * one_sided_survival(n, x)
    } else {
        let nxx = t * x;
        if n <= 140.0 {
            if nxx <= 4.0 { 1.0 - durbin_matrix(n, x) } else { 2.0 * one_sided_survival(n, x) }
        } else if nxx >= 370.0 {
            0.0
        } else if nxx >= 2.2 {
            2.0 * one_sided_survival(n, x)
        } else if n <= 100_000.0 && n * x.powf(1.5) <= 1.4 {
            1.0 - durbin_matrix(n, x)
        } else {
            1.0 - pelz_good(n, x)
        }
    };
    survival.clamp(0.0, 1.0)
}

/// `ln(n! / n^n)`.
fn ln_factorial_over_power(n: f64) -> f64 {
    (2.0 * PI * n).ln() / 2.0 - n + stirling_error(n)
}

/// `ln(n!)` minus Stirling's formula `ln(sqrt(2πn) (n/e)^n)`.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let product: f64 = (1..=n as u32).map(f64::from).product();
        return product.ln() - (2.0 * PI * n).ln() / 2.0 - n * n.ln() + n;
    }
    let square = n * n;
    let inner = 1.0 / 1188.0 - 691.0 / 360_360.0 / square;
    let inner = 1.0 / 1680.0 - inner / square;
    let inner = 1.0 / 1260.0 - inner / square;
    let inner = 1.0 / 360.0 - inner / square;
    (1.0 / 12.0 - inner / square) / n
}

/// `x ln(x / mean) + mean - x`, without cancellation where the two are near.
fn deviance(x: f64, mean: f64) -> f64 {
    let difference = x - mean;
    if difference.abs() < 0.1 * (x + mean) {
        let v = difference / (x + mean);
        let mut sum = difference * v;
        let mut term = 2.0 * x * v;
        let square = v * v;
        let mut odd = 3.0;
        loop {
            term *= square;
            let next = sum + term / odd;
            if next == sum {
                return sum;
            }
            sum = next;
            odd += 2.0;
        }
    }
    x * (x / mean).ln() - difference
}

/// Chance that the one-sided statistic of one sample of `n` values is above `x`:
/// `x Σ C(n, j) (x + j/n)^(j-1) (1 - x - j/n)^(n-j)` over `j <= n (1 - x)`.
///
/// Each term is a binomial probability (in Loader's saddle-point form, exact to rounding) times
/// `x / (x + j/n)`.
fn one_sided_survival(n: f64, x: f64) -> f64 {
    let last = (n * (1.0 - x)).floor();
    let error_n = stirling_error(n);
    // From the first term (j = 0) on; the last may be a probability of 0 to a power of 0.
    let mut sum = (n * (-x).ln_1p()).exp();
    let mut j = 1.0;
    while j <= last {
        let rest = n - j;
        let hit = x + j / n;
        let miss = 1.0 - hit;
        if rest <= 0.0 || miss <= 0.0 {
            break;
        }
        let log = error_n
            - stirling_error(j)
            - stirling_error(rest)
            - deviance(j, n * x + j)
            - deviance(rest, rest - n * x);
        sum += x / hit * log.exp() * (n / (2.0 * PI * j * rest)).sqrt();
        j += 1.0;
    }
    sum
}

/// Cumulative chance by Durbin's matrix formula (Marsaglia, Tsang and Wang 2003): the middle entry
/// of a power of a matrix of size `2 ⌈nx⌉ - 1`, times `n! / n^n`.
fn durbin_matrix(n: f64, x: f64) -> f64 {
    let k = (n * x).ceil();
    let h = k - n * x;
    let k = k as usize;
    let size = 2 * k - 1;
    let mut base = vec![0.0; size * size];
    let mut inverse_factorial = vec![1.0; size + 1];
    for i in 1..=size {
        inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
    }
    for i in 0..size {
        for j in 1..size.min(i + 2) {
            base[i * size + j] = inverse_factorial[i + 1 - j];
        }
    }
    let power = |exponent: usize| h.powi(exponent as i32);
    for i in 0..size {
        let entry = (1.0 - power(i + 1)) * inverse_factorial[i + 1];
        base[i * size] = entry;
        base[(size - 1) * size + (size - 1 - i)] = entry;
    }
    let corner = 1.0 - 2.0 * power(size) + (2.0 * h - 1.0).max(0.0).powi(size as i32);
    base[(size - 1) * size] = corner * inverse_factorial[size];

    // Matrices carry a binary exponent, as their entries outgrow any float.
    let (mut base_exponent, mut exponent) = (0i64, 0i64);
    let mut result: Option<Vec<f64>> = None;
    let mut left = n as u64;
    let middle = (k - 1) * size + (k - 1);
    loop {
        if left % 2 == 1 {
            result = Some(match result {
                None => base.clone(),
                Some(result) => product(&result, &base, size),
            });
            exponent += base_exponent;
            if let Some(result) = &mut result {
                exponent += rescale(result, middle);
            }
        }
        left /= 2;
        if left == 0 {
            break;
        }
        base = product(&base, &base, size);
        base_exponent = 2 * base_exponent + rescale(&mut base, middle);
    }
    let mut chance = result.map_or(0.0, |result| result[middle]);
    let mut i = 1.0;
    while i <= n {
        chance *= i / n;
        if chance < 2f64.powi(-400) && chance > 0.0 {
            chance *= 2f64.powi(400);
            exponent -= 400;
        }
        i += 1.0;
    }
    // In halves: the whole power may be out of range where the product is not.
    let half = (exponent / 2) as i32;
    chance * 2f64.powi(half) * 2f64.powi(exponent as i32 - half)
}

fn rescale(matrix: &mut [f64], middle: usize) -> i64 {
    if matrix[middle] <= 2f64.powi(300) {
        return 0;
    }
    matrix.iter_mut().for_each(|entry| *entry *= 2f64.powi(-300));
    300
}

fn product(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut out = vec![0.0; size * size];
    for (row, out) in a.chunks(size).zip(out.chunks_mut(size)) {
        for (factor, other) in row.iter().zip(b.chunks(size)) {
            out.iter_mut().zip(other).for_each(|(out, other)| *out += factor * other);
        }
    }
    out
}

/// Cumulative chance by the asymptotic series of Pelz and Good (1976), in powers of `1/√n` up to
/// the third, each a theta-function sum.
fn pelz_good(n: f64, x: f64) -> f64 {
    let z = n.sqrt() * x;
    let (z2, z4) = (z * z, z.powi(4));
    let (z6, z8) = (z.powi(6), z.powi(8));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    if -pi2 / 8.0 / z2 < -708.0 {
        return 0.0;
    }
    let root = (2.0 * PI).sqrt();
    let mut sums = [0.0f64; 4];
    let mut even = [0.0f64; 2];
    let terms = (16.0 * z / PI).ceil() as i32;
    for k in (1..=terms).rev() {
        // Sums over the odd numbers, and over all whole ones.
        let odd = f64::from(2 * k - 1);
        let (o2, o4, o6) = (odd.powi(2), odd.powi(4), odd.powi(6));
        let weight = (-pi2 * o2 / 8.0 / z2).exp();
        sums[0] += weight;
        sums[1] += weight * (-z2 + pi2 / 4.0 * o2);
        sums[2] += weight
            * (6.0 * z6
                + 2.0 * z4
                + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * o2
                + pi4 * (1.0 - 2.0 * z2) / 16.0 * o4);
        sums[3] += weight
            * (-30.0 * z6 - 90.0 * z8
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * o2
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * o4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * o6);
        let whole = f64::from(k);
        let weight = (-pi2 * whole * whole / 2.0 / z2).exp() * whole * whole;
        even[0] += weight;
        even[1] += weight * (3.0 * z2 - pi2 * whole * whole);
    }
    let k0 = root / z * sums[0];
    let k1 = root / (6.0 * z4) * sums[1];
    let k2 = root / (72.0 * z.powi(7)) * sums[2] - pi2 * root / (36.0 * z.powi(3)) * even[0];
    let k3 = root / (6480.0 * z.powi(10)) * sums[3] + pi2 * root / (216.0 * z6) * even[1];
    k0 + k1 / n.sqrt() + k2 / n + k3 / n.powf(1.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-9 * want.abs() + 1e-15, "{got} is not {want}");
    }

    #[test]
    fn small_samples_by_hand() {
        // 3 against 3 values wholly apart: 2 of the 20 orders.
        let (d, p) = two_sample_exact(3, 3, 1.0);
        assert_eq!(d, 1.0);
        close(p, 0.1);
        // 2 against 1: the statistic is at least 1/2 always, 1 in two of three orders.
        close(two_sample_exact(2, 1, 0.5).1, 1.0);
        close(two_sample_exact(2, 1, 1.0).1, 2.0 / 3.0);
        assert_eq!(two_sample_exact(4, 6, 0.0), (0.0, 1.0));
    }

    #[test]
    fn neighbouring_methods_agree() {
        // Matrix formula and the doubled one-sided tail, where both hold.
        close(1.0 - durbin_matrix(30.0, 0.36), 2.0 * one_sided_survival(30.0, 0.36));
        // Matrix formula and the series.
        let (exact, series) = (durbin_matrix(2000.0, 0.012), pelz_good(2000.0, 0.012));
        assert!((exact - series).abs() < 1e-7, "{exact} {series}");
        // The first interval in closed form.
        close(1.0 - two_sided_survival(10.0, 0.08), durbin_matrix(10.0, 0.08));
    }
}
