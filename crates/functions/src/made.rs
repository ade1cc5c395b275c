//! How many bytes a kernel may make for one batch of rows: operators count the batches they keep, but
//! a single call of REPEAT can make more than the machine has.

use datafusion::common::config::ConfigOptions;
use frazil_common::types::VARCHAR_LENGTH_MAX;
use frazil_common::{Code, UserError};

use crate::options::travels_in_options;

/// Bytes of text or binary that one call of a function may make. Travels to the kernels in the plan's
/// options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBytesMax(pub usize);

impl MadeBytesMax {
    /// The one in a plan's options.
    pub(crate) fn of(options: &ConfigOptions) -> Option<Self> {
        options.extensions.get::<MadeBytesMax>().cloned()
    }
}

/// No text of [`VARCHAR_LENGTH_MAX`] characters has more bytes.
pub(crate) const TEXT_BYTES_MAX: usize = VARCHAR_LENGTH_MAX as usize * 4;

/// 100078: more characters than a text may have.
pub(crate) fn too_long() -> UserError {
    UserError::new(Code::StringTooLong, "String is too long and would be truncated")
}

/// # Errors
/// [`too_long`].
pub(crate) fn check_length(text: &str) -> Result<(), UserError> {
    let most = VARCHAR_LENGTH_MAX as usize;
    if text.len() > most && (text.len() > TEXT_BYTES_MAX || text.chars().count() > most) {
        return Err(too_long());
    }
    Ok(())
}

/// The bytes that a call has made so far.
#[derive(Debug)]
pub(crate) struct MadeBytes {
    left: usize,
    most: usize,
}

impl MadeBytes {
    pub fn new(most: Option<&MadeBytesMax>) -> Self {
        let most = most.map_or(usize::MAX, |most| most.0);
        MadeBytes { left: most, most }
    }

    /// Counts a text.
    ///
    /// # Errors
    /// It has more characters than a text may have, or the call makes more than it may.
    pub fn add_text(&mut self, text: &str) -> Result<(), UserError> {
        check_length(text)?;
        self.add(text.len())
    }

    /// Counts a part of one array or object.
    ///
    /// # Errors
    /// The value is larger than it may be.
    pub fn add_to_value(&mut self, bytes: usize) -> Result<(), UserError> {
        self.take(bytes, |most| {
            format!(
                "An array or object would have more than {most} MiB. Aggregate fewer or shorter \
                 values in a group."
            )
        })
    }

    /// # Errors
    /// The call makes more than it may.
    pub fn add(&mut self, bytes: usize) -> Result<(), UserError> {
        self.take(bytes, |most| {
            format!(
                "The statement needs more memory than the limit allows: a function makes more \
                 than {most} MiB for one batch of rows. Raise --memory-limit, use a larger \
                 warehouse, or make the values shorter."
            )
        })
    }

    fn take(&mut self, bytes: usize, told: impl Fn(usize) -> String) -> Result<(), UserError> {
        let too_much = || UserError::new(Code::ResourceLimit, told(self.most / (1024 * 1024)));
        self.left = self.left.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

travels_in_options!(MadeBytesMax, "frazil_made");
