//! One semi-structured column as JSON, a document on each line.

use arrow::array::RecordBatch;
use frazil_common::UserError;
use frazil_functions::variant::to_json_string;

use super::pack::{Drain, Packer};

/// Writes JSON documents.
pub(super) struct JsonEncoder {
    packer: Packer,
    input_bytes: u64,
}

impl JsonEncoder {
    pub fn new(packer: Packer) -> JsonEncoder {
        JsonEncoder { packer, input_bytes: 0 }
    }

    /// An encoder that nothing is written to.
    pub fn none() -> JsonEncoder {
        JsonEncoder::new(Packer::None(Drain::default()))
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), UserError> {
        let column = batch.column(0);
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            match to_json_string(column, row) {
                Some(document) => text.push_str(&document),
                None => text.push_str("null"),
            }
            text.push('\n');
        }
        self.input_bytes += text.len() as u64;
        self.packer.write(text.as_bytes())
    }

    pub fn finish(self) -> Result<u64, UserError> {
        self.packer.finish()?;
        Ok(self.input_bytes)
    }
}
