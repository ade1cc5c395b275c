//! The whole job on real data: statements, their answers, and a report.

pub mod report;
pub mod steps;
