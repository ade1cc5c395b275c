//! How files are written.

/// Compression of Parquet pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    None,
    /// Costs little to read and about halves the bytes.
    #[default]
    Lz4,
}

/// Settings of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeSettings {
    pub compression: Compression,
    /// A file is ended when it has grown to this size.
    pub target_file_bytes: u64,
    pub row_group_rows: usize,
    /// Up to so many rows deleted from one file at once are kept as catalog rows, not as a file.
    pub inlined_deletes_max: usize,
}

impl Default for LakeSettings {
    fn default() -> Self {
        LakeSettings {
            compression: Compression::default(),
            target_file_bytes: 192 << 20,
            row_group_rows: 512 * 1024,
            inlined_deletes_max: 256,
        }
    }
}
