//! Gradient histograms of a node, one group of features at a time.
//!
//! Every cell is summed in row order by one worker, so the sums do not depend on the number of
//! threads or on how features are grouped.

use super::bins::{BYTE_SLOTS, Group, WORD_SLOTS};

/// Sum of first and second derivatives.
pub type Cell = [f64; 2];
/// Cells of one group.
pub type Histogram = Vec<Cell>;

/// Sums the derivatives of `rows` into a new histogram of the group.
pub fn build(group: &Group, rows: &[u32], grads: &[[f32; 2]]) -> Histogram {
    let mut hist = vec![[0.0f64; 2]; group.cells()];
    match group {
        Group::Bytes { features, bins } => match features.len() {
            8 => packed::<u8, 8, BYTE_SLOTS>(bins, rows, grads, &mut hist),
            4 => packed::<u8, 4, BYTE_SLOTS>(bins, rows, grads, &mut hist),
            2 => packed::<u8, 2, BYTE_SLOTS>(bins, rows, grads, &mut hist),
            _ => packed::<u8, 1, BYTE_SLOTS>(bins, rows, grads, &mut hist),
        },
        Group::Words { features, bins } => match features.len() {
            8 => packed::<u16, 8, WORD_SLOTS>(bins, rows, grads, &mut hist),
            4 => packed::<u16, 4, WORD_SLOTS>(bins, rows, grads, &mut hist),
            2 => packed::<u16, 2, WORD_SLOTS>(bins, rows, grads, &mut hist),
            _ => packed::<u16, 1, WORD_SLOTS>(bins, rows, grads, &mut hist),
        },
        Group::Wide { bins, .. } => {
            for &r in rows {
                let [g, h] = grads[r as usize];
                let cell = &mut hist[bins[r as usize] as usize];
                cell[0] += f64::from(g);
                cell[1] += f64::from(h);
            }
        }
    }
    hist
}

/// `W` lanes of `S` cells. The mask changes no bin, it only shows that none is out of range.
fn packed<T: Copy + Into<usize>, const W: usize, const S: usize>(
    bins: &[T],
    rows: &[u32],
    grads: &[[f32; 2]],
    hist: &mut [Cell],
) {
    let (bins, _) = bins.as_chunks::<W>();
    let (lanes, _) = hist.as_chunks_mut::<S>();
    let Ok(lanes) = <&mut [[Cell; S]; W]>::try_from(lanes) else {
        return;
    };
    for &r in rows {
        let [g, h] = grads[r as usize];
        let (g, h) = (f64::from(g), f64::from(h));
        let row = &bins[r as usize];
        for (lane, bin) in lanes.iter_mut().zip(row) {
            let bin: usize = (*bin).into();
            let cell = &mut lane[bin & (S - 1)];
            cell[0] += g;
            cell[1] += h;
        }
    }
}

/// `parent - child`, in the parent's memory.
pub fn subtract(mut parent: Histogram, child: &[Cell]) -> Histogram {
    for (p, c) in parent.iter_mut().zip(child) {
        p[0] -= c[0];
        p[1] -= c[1];
    }
    parent
}
