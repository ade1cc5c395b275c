//! How files are written, and how long things stay.

use std::time::Duration;

/// Compression of Parquet pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    None,
    /// Costs little to read and about halves the bytes.
    #[default]
    Lz4,
}

/// Settings of the lake and of its upkeep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSettings {
    pub compression: Compression,
    /// A file is ended when it has grown to this size.
    pub target_file_bytes: u64,
    pub row_group_rows: usize,
    /// Up to so many rows deleted from one file at once are kept as catalog rows, not as a file.
    pub inlined_deletes_max: usize,
    /// Up to so many rows that one statement writes to a table are kept in the catalog, not in a
    /// file; 0 writes files always.
    pub inlined_rows_max: usize,
    /// Rows of more bytes than this go into a file, however few they are.
    pub inlined_bytes_max: usize,
    /// Inlined rows of a table go to a file when they have become so many, ended ones included.
    pub flush_rows: u64,
    /// Inlined rows go to a file when they have lain in the catalog for so long.
    pub flush_age: Duration,
    /// Files below this size are merged,
    pub small_file_bytes: u64,
    /// when a table has so many of them.
    pub small_files_max: usize,
    /// How long superseded snapshots stay readable.
    pub retention: Duration,
    /// Files that no snapshot names stay for so long, for readers outside of this process.
    pub removal_delay: Duration,
    /// Files that no snapshot ever named are cleared when they were last written so long ago: other clients
    /// may have younger ones in transactions of theirs.
    pub orphan_age: Duration,
}

impl Default for LakeSettings {
    fn default() -> Self {
        LakeSettings {
            compression: Compression::default(),
            target_file_bytes: 192 << 20,
            row_group_rows: 512 * 1024,
            inlined_deletes_max: 256,
            inlined_rows_max: 256,
            inlined_bytes_max: 256 << 10,
            flush_rows: 10_000,
            flush_age: Duration::from_secs(60),
            small_file_bytes: 16 << 20,
            small_files_max: 16,
            retention: Duration::from_secs(24 * 60 * 60),
            removal_delay: Duration::from_secs(10 * 60),
            orphan_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}
