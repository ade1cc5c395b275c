//! COPY INTO @stage: a query's rows as files.

use frazil_common::UserError;
use frazil_dialect::CopyIntoLocation;

use crate::statements::context::{StatementContext, Work};
use crate::statements::outcome::Outcome;

pub(crate) async fn run(
    _context: &StatementContext,
    _work: &mut Work,
    copy: &CopyIntoLocation,
) -> Result<Outcome, UserError> {
    Err(UserError::unsupported(format!("COPY INTO {} (unloading to a stage)", copy.location)))
}
