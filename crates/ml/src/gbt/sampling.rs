//! Random choice of rows and columns, drawn as XGBoost 3 draws it: the same seed picks the same
//! rows and the same features.

/// Multiplier and modulus of the generator that decides over rows.
const ROW_FACTOR: u64 = 16_807;
const ROW_MODULUS: u64 = 1 << 63;

const STATE: usize = 624;
const MIDDLE: usize = 397;

/// The Mersenne twister of Matsumoto and Nishimura (1998), 32 bits.
#[derive(Debug)]
struct Twister {
    state: [u32; STATE],
    at: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        for i in 1..STATE {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Twister { state, at: STATE }
    }

    fn next(&mut self) -> u32 {
        if self.at == STATE {
            for i in 0..STATE {
                let joined =
                    (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7FFF_FFFF);
                let twist = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.state[i] = self.state[(i + MIDDLE) % STATE] ^ (joined >> 1) ^ twist;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    /// A number below `count`, without bias.
    fn below(&mut self, count: u64) -> u64 {
        let scale = u64::from(u32::MAX) / count;
        loop {
            let draw = u64::from(self.next());
            if draw < count * scale {
                return draw / scale;
            }
        }
    }

    /// Shuffles in place, two places to a draw.
    fn shuffle(&mut self, items: &mut [usize]) {
        let n = items.len();
        let mut i = 1;
        if n > 1 && n.is_multiple_of(2) {
            items.swap(1, self.below(2) as usize);
            i = 2;
        }
        while i + 1 < n {
            let (a, b) = (i as u64 + 1, i as u64 + 2);
            let draw = self.below(a * b);
            items.swap(i, (draw / b) as usize);
            items.swap(i + 1, (draw % b) as usize);
            i += 2;
        }
    }
}

/// Shares of the columns taken for each tree, level and node.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    pub tree: f32,
    pub level: f32,
    pub node: f32,
}

/// Chooses columns.
#[derive(Debug)]
pub struct ColumnSampler {
    random: Twister,
    n_features: usize,
    shares: Shares,
}

impl ColumnSampler {
    /// Columns of the next tree, in order.
    pub fn tree(&mut self) -> Vec<usize> {
        let all: Vec<usize> = (0..self.n_features).collect();
        self.sample(&all, self.shares.tree)
    }

    /// Columns of the next level of a tree.
    pub fn level(&mut self, tree: &[usize]) -> Vec<usize> {
        self.sample(tree, self.shares.level)
    }

    /// Columns of the next node of a level.
    pub fn node(&mut self, level: &[usize]) -> Vec<usize> {
        self.sample(level, self.shares.node)
    }

    fn sample(&mut self, from: &[usize], share: f32) -> Vec<usize> {
        let mut picked = from.to_vec();
        if share < 1.0 {
            let n = ((share * from.len() as f32) as usize).max(1);
            self.random.shuffle(&mut picked);
            picked.truncate(n);
            picked.sort_unstable();
        }
        picked
    }
}

/// Chooses rows.
#[derive(Debug)]
pub struct RowSampler {
    random: Twister,
    share: f32,
}

impl RowSampler {
    /// Sets the derivatives of the rows left out of the next tree to zero.
    pub fn apply(&mut self, grads: &mut [[f32; 2]]) {
        if self.share >= 1.0 {
            return;
        }
        let mut state = u64::from(self.random.next()).max(1);
        for g in grads {
            state = state.wrapping_mul(ROW_FACTOR) % ROW_MODULUS;
            let uniform = (state - 1) as f64 / ROW_MODULUS as f64;
            if uniform >= f64::from(self.share) {
                *g = [0.0; 2];
            }
        }
    }
}

/// The samplers of a training run.
pub fn samplers(
    seed: u64,
    n_features: usize,
    shares: Shares,
    row_share: f32,
) -> (ColumnSampler, RowSampler) {
    let mut random = Twister::new(seed as u32);
    let mut columns = ColumnSampler { random: Twister::new(random.next()), n_features, shares };
    // XGBoost draws a set of columns before the first tree and does not use it.
    columns.tree();
    let rows = RowSampler { random, share: row_share };
    (columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_gives_its_published_numbers() {
        // The C++ standard fixes the 10,000th number of the default seed.
        let mut random = Twister::new(5489);
        let mut last = 0;
        for _ in 0..10_000 {
            last = random.next();
        }
        assert_eq!(last, 4_123_659_995);
    }

    #[test]
    fn samples_have_their_size_and_order() {
        let shares = Shares { tree: 0.5, level: 1.0, node: 0.5 };
        let (mut columns, mut rows) = samplers(3, 21, shares, 0.25);
        let tree = columns.tree();
        assert_eq!(tree.len(), 10);
        assert!(tree.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(columns.level(&tree), tree);
        assert_eq!(columns.node(&tree).len(), 5);
        let mut grads = vec![[1.0f32; 2]; 40_000];
        rows.apply(&mut grads);
        let kept = grads.iter().filter(|g| g[0] != 0.0).count();
        assert!((9_500..10_500).contains(&kept), "{kept}");
    }
}
