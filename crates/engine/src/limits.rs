//! The limits of a server. What hits one gets an error that names it and tells what raises it.

/// How much all users together may take of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that operators may have spilled to disk together (`--spill-limit`).
    pub spill_bytes: u64,
    /// Bytes of one statement's result (`--result-limit`).
    pub result_bytes: u64,
    /// Bytes of the files of all results that are kept to be read again (`--kept-results-limit`).
    pub kept_result_bytes: u64,
    /// Bytes of one file put on a stage (`--upload-limit`).
    pub upload_bytes: u64,
    /// Sessions that one user may have open (`--sessions-per-user`).
    pub sessions_per_user: u64,
    /// Statements without a warehouse that compute at the same time (`--concurrency`).
    pub concurrency: usize,
    /// Statements that may wait for their turn, in each warehouse and without one
    /// (`--queue-length`).
    pub queue_length: usize,
    /// Refuse statements that compute without a warehouse (`--require-warehouse`).
    pub require_warehouse: bool,
}

const GIBIBYTE: u64 = 1024 * 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            spill_bytes: 100 * GIBIBYTE,
            result_bytes: 16 * GIBIBYTE,
            kept_result_bytes: 100 * GIBIBYTE,
            upload_bytes: 16 * GIBIBYTE,
            sessions_per_user: 1000,
            concurrency: 32,
            queue_length: 1000,
            require_warehouse: false,
        }
    }
}
