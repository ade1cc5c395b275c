//! How rows are parted into files: DuckLake's partition keys, which other clients set on a table.

use std::fmt;

use frazil_common::SnapshotId;

/// What of a column's values rows are parted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// A part of the calendar: the year, the month from 1 to 12, and so on.
    Year,
    Month,
    Day,
    Hour,
    /// The value's hash, modulo this number.
    Bucket(u32),
    /// Another client's word: its files can be read, but none written.
    Unknown(String),
}

impl Transform {
    /// Reads DuckLake's word.
    pub fn parse(text: &str) -> Transform {
        let bucket = |text: &str| {
            let count = text.strip_prefix("bucket(")?.strip_suffix(')')?.trim().parse().ok()?;
            (count > 0).then_some(Transform::Bucket(count))
        };
        match text {
            "identity" => Transform::Identity,
            "year" => Transform::Year,
            "month" => Transform::Month,
            "day" => Transform::Day,
            "hour" => Transform::Hour,
            other => bucket(other).unwrap_or_else(|| Transform::Unknown(other.to_string())),
        }
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transform::Identity => "identity",
            Transform::Year => "year",
            Transform::Month => "month",
            Transform::Day => "day",
            Transform::Hour => "hour",
            Transform::Bucket(count) => return write!(f, "bucket({count})"),
            Transform::Unknown(text) => text,
        })
    }
}

/// A key that rows are parted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionKey {
    /// Field id of the column.
    pub field_id: i64,
    pub transform: Transform,
    /// Snapshot since which the column has its type: values of older files were made of another.
    pub since: SnapshotId,
}

/// A table's partition keys, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    /// Files written by these keys bear this id.
    pub partition_id: i64,
    pub keys: Vec<PartitionKey>,
}

/// What all rows of a file have in common: one value for each partition key, as DuckLake's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePartition {
    /// The keys; those the table had when the rows were written.
    pub partition_id: i64,
    pub values: Vec<Option<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_read_and_shown() {
        for text in ["identity", "year", "month", "day", "hour", "bucket(16)", "epoch_day"] {
            assert_eq!(Transform::parse(text).to_string(), text);
        }
        assert_eq!(Transform::parse("bucket(0)"), Transform::Unknown("bucket(0)".into()));
        assert_eq!(Transform::parse("bucket(x)"), Transform::Unknown("bucket(x)".into()));
    }
}
