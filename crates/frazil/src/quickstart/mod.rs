//! The quickstart's statements and its report.

pub mod chart;
pub mod report;
pub mod steps;
