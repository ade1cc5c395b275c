//! What went wrong, and how many rows there were, file by file, while a COPY reads its files.

use frazil_common::{Code, UserError};
use parking_lot::Mutex;

use crate::stages::csv_reader::Place;

/// Errors of one file that are kept with their texts; all are counted.
const KEPT_MAX: usize = 10_000;

/// A row that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    pub error: UserError,
    /// Row of the file, from 1, headers not counted.
    pub row: i64,
    /// Where the record begins, in unpacked bytes.
    pub offset: i64,
    /// Index of the table's column, where one is to blame.
    pub column: Option<usize>,
    /// Index of the file's field, where one is to blame.
    pub field: Option<usize>,
    /// The exact place, where the reader knows it.
    pub place: Option<Place>,
    /// The text is no record at all, or a value does not convert.
    pub category: Category,
}

/// Snowflake's kinds of load errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Parsing,
    Conversion,
}

impl Category {
    pub fn as_str(self) -> &'static str {
        match self {
            Category::Parsing => "parsing",
            Category::Conversion => "conversion",
        }
    }
}

/// One file's part.
#[derive(Debug, Default)]
pub(crate) struct FileLog {
    pub parsed: i64,
    pub errors: i64,
    /// The first ones in the order they were met.
    pub kept: Vec<RowError>,
}

impl FileLog {
    /// The error of the lowest row.
    pub fn first(&self) -> Option<&RowError> {
        self.kept.iter().min_by_key(|error| error.row)
    }
}

/// The log of all files of a COPY.
#[derive(Debug)]
pub(crate) struct LoadLog {
    files: Vec<Mutex<FileLog>>,
    /// The first error ends the statement.
    strict: bool,
}

impl LoadLog {
    pub fn new(files: usize, strict: bool) -> LoadLog {
        LoadLog { files: (0..files).map(|_| Mutex::default()).collect(), strict }
    }

    /// Whether the first error ends the statement. Readers then hand on the rows before a bad one
    /// first, so that the first error in the file's order is told.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Counts rows read.
    pub fn parsed(&self, file: usize, rows: usize) {
        self.files[file].lock().parsed += rows as i64;
    }

    /// Notes a row that cannot be taken; fails where that ends the statement.
    ///
    /// # Errors
    /// The row's error, in a strict load.
    pub fn note(&self, file: usize, error: RowError) -> Result<(), UserError> {
        let mut log = self.files[file].lock();
        log.errors += 1;
        if log.kept.len() < KEPT_MAX {
            log.kept.push(error.clone());
        }
        if self.strict { Err(error.error) } else { Ok(()) }
    }

    /// Forgets a file's part, before it is read again.
    pub fn reset(&self, file: usize) {
        *self.files[file].lock() = FileLog::default();
    }

    /// A file's part.
    pub fn file(&self, file: usize) -> parking_lot::MutexGuard<'_, FileLog> {
        self.files[file].lock()
    }
}

/// Whether an error is about a row's value, and not about the server or the statement.
pub(crate) fn is_about_row(error: &UserError) -> bool {
    !matches!(
        error.code,
        Code::Internal | Code::Unsupported | Code::Cancelled | Code::ResourceLimit | Code::DiskFull
    )
}
