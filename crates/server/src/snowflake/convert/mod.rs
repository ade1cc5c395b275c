//! Result values: from Frazil's Arrow columns to what Snowflake's clients read.

pub mod arrow;
pub mod integers;
pub mod json;
pub mod temporal;
