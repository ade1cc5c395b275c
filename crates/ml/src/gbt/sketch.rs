//! Streaming weighted quantiles (after Greenwald and Khanna), with the block sizes, the pruning
//! and the single-precision ranks of XGBoost 3: the same column gets the same cuts there and here.

/// Precision of the sketch, in multiples of the number of bins.
const FACTOR: f64 = 8.0;

/// A value with bounds of its rank: the weight below it, up to it, and its own.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked {
    low: f32,
    high: f32,
    own: f32,
    value: f32,
}

impl Ranked {
    /// Least rank of a greater value.
    fn after(&self) -> f32 {
        self.low + self.own
    }

    /// Greatest rank of a smaller value.
    fn before(&self) -> f32 {
        self.high - self.own
    }
}

type Summary = Vec<Ranked>;

/// The sketch of one column.
#[derive(Debug)]
struct Sketch {
    /// Entries a summary may keep.
    limit: usize,
    /// Values not summarised yet; runs of one value are joined.
    queue: Vec<(f32, f32)>,
    /// Summaries of 2, 4, 8 … queues, empty where there is none.
    levels: Vec<Summary>,
}

impl Sketch {
    fn new(count: usize, bins: usize) -> Self {
        let error = f64::from(1.0 / (bins.min(count).max(1) as f32 * FACTOR as f32));
        let mut depth = 1u32;
        let limit = loop {
            let limit = (((f64::from(depth) / error).ceil() as usize) + 1).min(count);
            if limit.saturating_mul(1 << depth) >= count {
                break limit;
            }
            depth += 1;
        };
        Sketch { limit, queue: Vec::new(), levels: Vec::new() }
    }

    fn push(&mut self, value: f32, weight: f32) {
        if weight == 0.0 {
            return;
        }
        if let Some(last) = self.queue.last_mut() {
            if last.0 == value {
                last.1 += weight;
                return;
            }
            if self.queue.len() == (2 * self.limit).max(1) {
                let summary = summarise(&mut self.queue);
                self.carry(summary);
            }
        }
        self.queue.push((value, weight));
    }

    /// Adds a queue's summary to the levels as in binary counting.
    fn carry(&mut self, mut summary: Summary) {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let pruned = prune(&summary, self.limit);
            if self.levels[level].is_empty() {
                self.levels[level] = pruned;
                return;
            }
            summary = merge(&pruned, &self.levels[level]);
            if summary.len() <= self.limit {
                self.levels[level] = summary;
                return;
            }
            self.levels[level].clear();
        }
    }

    fn finish(mut self) -> Summary {
        let mut all = prune(&summarise(&mut self.queue), self.limit);
        for level in self.levels.iter().filter(|l| !l.is_empty()) {
            all =
                if all.is_empty() { level.clone() } else { prune(&merge(&all, level), self.limit) };
        }
        all
    }
}

/// Exact ranks of the queued values; empties the queue.
fn summarise(queue: &mut Vec<(f32, f32)>) -> Summary {
    queue.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut out: Summary = Vec::with_capacity(queue.len());
    let mut below = 0.0f32;
    for run in queue.chunk_by(|a, b| a.0 == b.0) {
        let own = run[1..].iter().fold(run[0].1, |sum, item| sum + item.1);
        out.push(Ranked { low: below, high: below + own, own, value: run[0].0 });
        below += own;
    }
    queue.clear();
    out
}

/// Keeps at most `size` entries: the ends, and those nearest to evenly spaced ranks.
fn prune(from: &[Ranked], size: usize) -> Summary {
    if from.len() <= size {
        return from.to_vec();
    }
    let last = from.len() - 1;
    let start = from[0].high;
    let range = from[last].low - start;
    let steps = size - 1;
    let mut out = vec![from[0]];
    let (mut at, mut taken) = (1usize, 0usize);
    for step in 1..steps {
        let twice = 2.0 * ((step as f32 * range) / steps as f32 + start);
        while at < last && twice >= from[at + 1].high + from[at + 1].low {
            at += 1;
        }
        if at == last {
            break;
        }
        let nearest = if twice < from[at].after() + from[at + 1].before() { at } else { at + 1 };
        if nearest != taken {
            out.push(from[nearest]);
            taken = nearest;
        }
    }
    if taken != last {
        out.push(from[last]);
    }
    out
}

/// Joins two summaries; ranks add up.
fn merge(a: &[Ranked], b: &[Ranked]) -> Summary {
    let (Some(a_last), Some(b_last)) = (a.last(), b.last()) else {
        return if a.is_empty() { b.to_vec() } else { a.to_vec() };
    };
    let mut out: Summary = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    let (mut a_after, mut b_after) = (0.0f32, 0.0f32);
    while i < a.len() || j < b.len() {
        let from_a = j == b.len() || i < a.len() && a[i].value <= b[j].value;
        let both = i < a.len() && j < b.len() && a[i].value == b[j].value;
        if both {
            out.push(Ranked {
                low: a[i].low + b[j].low,
                high: a[i].high + b[j].high,
                own: a[i].own + b[j].own,
                value: a[i].value,
            });
            a_after = a[i].after();
            b_after = b[j].after();
            i += 1;
            j += 1;
        } else if from_a {
            let rest = b.get(j).map_or(b_last.high, Ranked::before);
            out.push(Ranked { low: a[i].low + b_after, high: a[i].high + rest, ..a[i] });
            a_after = a[i].after();
            i += 1;
        } else {
            let rest = a.get(i).map_or(a_last.high, Ranked::before);
            out.push(Ranked { low: b[j].low + a_after, high: b[j].high + rest, ..b[j] });
            b_after = b[j].after();
            j += 1;
        }
    }
    repair(&mut out);
    out
}

/// Rounding may have let ranks fall; they must not.
fn repair(summary: &mut [Ranked]) {
    let (mut low, mut high) = (0.0f32, 0.0f32);
    for r in summary {
        r.low = r.low.max(low);
        low = r.low;
        r.high = r.high.max(high).max(r.after());
        high = r.high;
    }
}

/// Least value, inner cuts in rising order, and greatest value of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles {
    pub low: f32,
    pub cuts: Vec<f32>,
    pub high: f32,
}

/// Cuts a column into at most `bins` parts of about equal weight; NaN is left out. `None` when
/// nothing is left.
pub fn quantiles(values: &[f32], weights: Option<&[f32]>, bins: usize) -> Option<Quantiles> {
    let present = values.iter().filter(|v| !v.is_nan()).count();
    let mut sketch = Sketch::new(present, bins);
    for (i, &v) in values.iter().enumerate() {
        if !v.is_nan() {
            // Negative zero counts as zero.
            sketch.push(v + 0.0, weights.map_or(1.0, |w| w[i]));
        }
    }
    let middle = present.min((bins as f64 * FACTOR) as usize);
    let wanted = middle.min(bins);
    let summary = prune(&prune(&sketch.finish(), middle), wanted + 1);
    let (first, last) = (summary.first()?, summary.last()?);
    let mut cuts: Vec<f32> = Vec::new();
    for r in summary.iter().take(wanted).skip(1) {
        if cuts.last().is_none_or(|c| r.value > *c) {
            cuts.push(r.value);
        }
    }
    Some(Quantiles { low: first.value, cuts, high: last.value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn few_values_are_all_cuts() {
        let q = quantiles(&[3.0, 1.0, f32::NAN, 2.0, 1.0], None, 256).unwrap();
        assert_eq!((q.low, q.high), (1.0, 3.0));
        assert_eq!(q.cuts, [2.0, 3.0]);
        assert!(quantiles(&[f32::NAN], None, 256).is_none());
    }

    #[test]
    fn cuts_of_a_long_column_are_near_its_quantiles() {
        let n = 200_000;
        let values: Vec<f32> = (0..n).map(|i| ((i * 7919) % n) as f32).collect();
        let q = quantiles(&values, None, 64).unwrap();
        assert_eq!(q.cuts.len(), 63);
        for (i, cut) in q.cuts.iter().enumerate() {
            let exact = (i + 1) as f32 / 64.0 * n as f32;
            assert!((cut - exact).abs() < n as f32 / 64.0 / 4.0, "{cut} {exact}");
        }
    }

    #[test]
    fn weights_pull_the_cuts() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let weights: Vec<f32> = (0..1000).map(|i| if i < 500 { 9.0 } else { 1.0 }).collect();
        let q = quantiles(&values, Some(&weights), 10).unwrap();
        let below = q.cuts.iter().filter(|c| **c < 500.0).count();
        assert!(below >= 7, "{:?}", q.cuts);
    }
}
