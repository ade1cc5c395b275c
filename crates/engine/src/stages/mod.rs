//! Internal stages: locations, file formats, files as relations, relations as files.

pub(crate) mod bytes;
pub(crate) mod csv_files;
pub(crate) mod csv_reader;
pub(crate) mod file_format;
pub(crate) mod infer;
pub(crate) mod json_files;
pub(crate) mod json_reader;
pub(crate) mod load_log;
pub(crate) mod location;
pub(crate) mod parquet_files;
mod rights;
pub(crate) mod scan;
pub(crate) mod unload;
