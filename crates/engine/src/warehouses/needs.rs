//! Which statements compute, and so take a place in a warehouse.

use std::ops::ControlFlow;

use frazil_dialect::sqlparser::ast::{Query, TableFactor, Visit, Visitor};
use frazil_dialect::{AlterModelAction, CreateTableSource, Statement};

/// Whether a statement reads or writes rows, or trains. All others are answered at once: also on
/// a server that is full one can look at it, cancel and commit.
pub(crate) fn computes(statement: &Statement) -> bool {
    match statement {
        Statement::Query(query) => reads_rows(query),
        Statement::Insert(_)
        | Statement::MultiInsert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_)
        | Statement::CopyIntoTable(_)
        | Statement::CopyIntoLocation(_)
        | Statement::CreateModel(_) => true,
        Statement::CreateTable(create) => {
            matches!(create.source, CreateTableSource::AsSelect { .. })
        }
        Statement::AlterModel(alter) => {
            matches!(alter.action, AlterModelAction::AddVersion { .. })
        }
        _ => false,
    }
}

/// Whether anything stands in a FROM of the query.
fn reads_rows(query: &Query) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    query.visit(&mut Finder).is_break()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_touches_rows_computes() {
        for (sql, expected) in [
            ("SELECT 1", false),
            ("SELECT SYSTEM$CANCEL_QUERY('x')", false),
            ("SELECT (SELECT MAX(a) FROM t)", true),
            ("SELECT * FROM t", true),
            ("WITH q AS (SELECT 1) SELECT * FROM q", true),
            ("INSERT INTO t VALUES (1)", true),
            ("CREATE TABLE t AS SELECT 1 AS a", true),
            ("CREATE TABLE t (a INT)", false),
            ("CREATE MODEL m USING GBT TARGET y AS SELECT * FROM t", true),
            ("SHOW TABLES", false),
            ("COMMIT", false),
        ] {
            let statement = frazil_dialect::parse_statement(sql).unwrap().statement;
            assert_eq!(computes(&statement), expected, "{sql}");
        }
    }
}
