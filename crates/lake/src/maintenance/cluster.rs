//! Clustered tables: how far files overlap in the first key, and which to sort anew together.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use frazil_catalog::TableInfo;
use frazil_catalog::changes::ColumnStatistics;
use frazil_catalog::files::VisibleFile;

use super::relocate::{ROWS_MAX, by_partition};
use crate::Lake;
use crate::error::Result;
use crate::write::statistics::from_text;

/// Files that overlap at one point are sorted anew when they are so many.
const OVERLAPPING_FILES_MIN: usize = 4;
/// Bytes that are sorted anew at once, in target file sizes.
const TARGETS_AT_ONCE: u64 = 8;

/// A range of a key's values; none where the bounds are not known.
pub(crate) type Range = Option<(ScalarValue, ScalarValue)>;

/// How a table's files lie in its clustering keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusteringInformation {
    pub files: usize,
    /// Files with one value of the keys each: sorting makes them no better.
    pub constant_files: usize,
    /// Other files that a file overlaps, on average.
    pub average_overlaps: f64,
    /// Files at a file's most crowded value, itself included, on average.
    pub average_depth: f64,
    /// Number of files by their depth.
    pub depths: Vec<(usize, usize)>,
}

/// The bounds that statistics tell of a column.
fn range(table: &TableInfo, place: usize, statistics: &[ColumnStatistics]) -> Range {
    let column = table.columns.get(place)?;
    let found = statistics.iter().find(|s| s.field_id == column.field_id)?;
    let data_type = column.sql_type.to_arrow();
    let bound = |text: &Option<String>| from_text(text.as_deref()?, &data_type);
    Some((bound(&found.min)?, bound(&found.max)?))
}

/// Whether ranges share more than an end. Unknown ones overlap everything.
fn overlap(a: &Range, b: &Range) -> bool {
    match (a, b) {
        (Some((a_low, a_high)), Some((b_low, b_high))) => a_low < b_high && b_low < a_high,
        _ => true,
    }
}

fn is_constant(range: &Range) -> bool {
    range.as_ref().is_some_and(|(low, high)| low == high)
}

/// Indexes of the ranges at the most crowded place.
fn deepest(ranges: &[Range]) -> Vec<usize> {
    // The most crowded place begins where some range does.
    let at = |index: usize| -> Vec<usize> {
        let Some((low, _)) = &ranges[index] else { return vec![index] };
        let covers = |range: &Range| match range {
            Some((other_low, other_high)) => other_low <= low && low < other_high,
            None => true,
        };
        (0..ranges.len()).filter(|other| covers(&ranges[*other])).collect()
    };
    let places = (0..ranges.len()).filter(|index| !is_constant(&ranges[*index])).map(at);
    places.max_by_key(Vec::len).unwrap_or_default()
}

/// What can be told of files by their ranges of each key.
pub(crate) fn information(files: &[Vec<Range>]) -> ClusteringInformation {
    let all = |a: &[Range], b: &[Range]| a.iter().zip(b).all(|(a, b)| overlap(a, b));
    let constant = |file: &[Range]| file.iter().all(is_constant);
    let mut overlaps = 0_usize;
    let mut depths: Vec<usize> = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let crowd: Vec<&Vec<Range>> = files
            .iter()
            .enumerate()
            .filter(|(other, ranges)| *other != index && all(file, ranges))
            .map(|(_, ranges)| ranges)
            .collect();
        overlaps += crowd.len();
        // Those that overlap this file also overlap each other somewhere in the first key.
        let first: Vec<Range> = crowd
            .iter()
            .chain(std::iter::once(&file))
            .filter_map(|ranges| ranges.first().cloned())
            .collect();
        depths.push(deepest(&first).len().max(1));
    }
    let average = |total: usize| match files.len() {
        0 => 0.0,
        count => total as f64 / count as f64,
    };
    let mut histogram: Vec<(usize, usize)> = Vec::new();
    for depth in &depths {
        match histogram.iter_mut().find(|(known, _)| known == depth) {
            Some((_, count)) => *count += 1,
            None => histogram.push((*depth, 1)),
        }
    }
    histogram.sort_unstable();
    ClusteringInformation {
        files: files.len(),
        constant_files: files.iter().filter(|file| constant(file)).count(),
        average_overlaps: average(overlaps),
        average_depth: average(depths.iter().sum()),
        depths: histogram,
    }
}

/// Pairs of files of one partition that overlap in the first key.
pub(super) fn overlaps(table: &TableInfo, files: &[VisibleFile]) -> usize {
    let Some((place, _)) = table.sorted_columns().first().copied() else { return 0 };
    by_partition(files).iter().map(|files| overlapping_pairs(table, place, files)).sum()
}

fn overlapping_pairs(table: &TableInfo, place: usize, files: &[&VisibleFile]) -> usize {
    let mut ranges: Vec<(ScalarValue, ScalarValue)> =
        files.iter().filter_map(|f| range(table, place, &f.file.statistics)).collect();
    ranges.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let later = |index: usize| {
        let (low, high) = &ranges[index];
        // In the order of their lower bounds, those that begin before this one ends.
        let rest = ranges[index + 1..].iter().take_while(|(other, _)| other < high);
        rest.filter(|(_, other_high)| low < other_high).count()
    };
    (0..ranges.len()).map(later).sum()
}

impl Lake {
    /// How the files of a table's newest version lie in some of its columns.
    pub async fn clustering_information(
        &self,
        table: &Arc<TableInfo>,
        columns: &[String],
    ) -> Result<ClusteringInformation> {
        if table.table_id < 0 {
            return Ok(ClusteringInformation::default());
        }
        let snapshot = self.view().await?.snapshot;
        let set = self.catalog().files(table.table_id, snapshot).await?;
        let place = |name: &String| table.columns.iter().position(|c| c.name == *name);
        let places: Vec<usize> = columns.iter().filter_map(place).collect();
        let files: Vec<Vec<Range>> = set
            .files
            .iter()
            .map(|f| places.iter().map(|p| range(table, *p, &f.file.statistics)).collect())
            .collect();
        Ok(information(&files))
    }

    /// Files of a clustered table that overlap most, within one partition, where they are enough
    /// to sort them anew.
    pub(super) fn crowded<'a>(
        &self,
        table: &TableInfo,
        files: &'a [VisibleFile],
        files_min: Option<usize>,
    ) -> Option<Vec<&'a VisibleFile>> {
        let (place, _) = *table.sorted_columns().first()?;
        let crowds = by_partition(files).into_iter();
        let crowds = crowds.filter_map(|files| self.crowd(table, place, files, files_min));
        crowds.max_by_key(Vec::len)
    }

    fn crowd<'a>(
        &self,
        table: &TableInfo,
        place: usize,
        files: Vec<&'a VisibleFile>,
        files_min: Option<usize>,
    ) -> Option<Vec<&'a VisibleFile>> {
        // A file of NULLs alone has no bounds, and is as good as it can be.
        let (files, ranges): (Vec<&VisibleFile>, Vec<Range>) = files
            .into_iter()
            .map(|f| (f, range(table, place, &f.file.statistics)))
            .filter(|(_, range)| range.is_some())
            .unzip();
        let most = self.settings().target_file_bytes.saturating_mul(TARGETS_AT_ONCE);
        let (mut bytes, mut rows) = (0_u64, 0_u64);
        let mut chosen: Vec<&VisibleFile> = Vec::new();
        for index in deepest(&ranges) {
            let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
            let file = files[index];
            bytes += unsigned(file.file.bytes);
            rows += unsigned(file.file.rows);
            if bytes > most || rows > ROWS_MAX {
                break;
            }
            chosen.push(file);
        }
        (chosen.len() >= files_min.unwrap_or(OVERLAPPING_FILES_MIN).max(2)).then_some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ranges: &[(i64, i64)]) -> Vec<Range> {
        let value = |v: i64| ScalarValue::Int64(Some(v));
        ranges.iter().map(|(low, high)| Some((value(*low), value(*high)))).collect()
    }

    #[test]
    fn the_most_crowded_place_is_found() {
        assert_eq!(deepest(&ranges(&[(0, 10), (5, 20), (9, 30), (25, 40)])), [0, 1, 2]);
        // Ranges that touch do not overlap, and constant ones cannot be sorted apart.
        assert_eq!(deepest(&ranges(&[(0, 10), (10, 20), (10, 10), (10, 10)])).len(), 1);
        let mut unknown = ranges(&[(0, 10), (20, 30)]);
        unknown.push(None);
        assert_eq!(deepest(&unknown).len(), 2);
        assert!(deepest(&[]).is_empty());
    }

    #[test]
    fn information_counts_overlaps_and_depths() {
        let files: Vec<Vec<Range>> =
            ranges(&[(0, 10), (5, 20), (30, 40), (50, 50)]).into_iter().map(|r| vec![r]).collect();
        let found = information(&files);
        assert_eq!((found.files, found.constant_files), (4, 1));
        assert_eq!((found.average_overlaps, found.average_depth), (0.5, 1.5));
        assert_eq!(found.depths, [(1, 2), (2, 2)]);
        assert_eq!(information(&[]), ClusteringInformation::default());
        // Apart in the second key is apart.
        let apart = vec![ranges(&[(0, 10), (0, 1)]), ranges(&[(0, 10), (2, 3)])];
        assert_eq!(information(&apart).average_overlaps, 0.0);
    }
}
