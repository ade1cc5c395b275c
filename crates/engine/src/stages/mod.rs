//! Internal stages: locations, file formats, and files as relations.

pub(crate) mod csv_files;
pub(crate) mod file_format;
pub(crate) mod location;
pub(crate) mod parquet_files;
