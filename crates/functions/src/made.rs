//! How many bytes a kernel may make for one batch of rows: operators count the batches they keep, but
//! a single call of REPEAT can make more than the machine has.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use frazil_common::types::VARCHAR_LENGTH_MAX;
use frazil_common::{Code, UserError};

/// Bytes of text or binary that one call of a function may make. Travels to the kernels in the plan's
/// options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeBytesMax(pub usize);

impl MadeBytesMax {
    /// The one in a plan's options.
    pub(crate) fn of(options: &ConfigOptions) -> Option<Self> {
        options.extensions.get::<MadeBytesMax>().copied()
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
pub(crate) fn check_length(text: &str) -> std::result::Result<(), UserError> {
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
    most: Option<MadeBytesMax>,
}

impl MadeBytes {
    pub fn new(most: Option<MadeBytesMax>) -> Self {
        MadeBytes { left: most.map_or(usize::MAX, |most| most.0), most }
    }

    /// Counts a text.
    ///
    /// # Errors
    /// It has more characters than a text may have, or the call makes more than it may.
    pub fn add_text(&mut self, text: &str) -> std::result::Result<(), UserError> {
        check_length(text)?;
        self.add(text.len())
    }

    /// # Errors
    /// The call makes more than it may.
    pub fn add(&mut self, bytes: usize) -> std::result::Result<(), UserError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(UserError::new(
                Code::ResourceLimit,
                format!(
                    "The statement needs more memory than the limit allows: a function makes more \
                     than {} MiB for one batch of rows. Raise --memory-limit, use a larger \
                     warehouse, or make the values shorter.",
                    self.most.map_or(0, |most| most.0 / (1024 * 1024))
                ),
            )),
        }
    }
}

impl ConfigExtension for MadeBytesMax {
    const PREFIX: &'static str = "frazil_made";
}

impl ExtensionOptions for MadeBytesMax {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("{key} is no setting")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
