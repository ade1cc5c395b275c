//! CREATE VIEW.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{comment, refuse_governance};
use super::create::CreateHead;
use crate::tokens::Tokens;

use frazil_common::ObjectName;
use sqlparser::ast::Query;

use super::common::{CreateMode, Persistence};
use super::options::Options;
use super::policy::{self, ColumnMask, RowFilter};
use super::tag::{self, TagValue};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    pub mode: CreateMode,
    pub persistence: Persistence,
    pub secure: bool,
    pub recursive: bool,
    pub name: ObjectName,
    pub columns: Vec<ViewColumn>,
    pub comment: Option<String>,
    pub copy_grants: bool,
    pub tags: Vec<TagValue>,
    pub row_access: Option<RowFilter>,
    /// CHANGE_TRACKING.
    pub options: Options,
    pub query: Box<Query>,
    /// The query as written.
    pub query_text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ViewColumn {
    pub name: String,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
    pub masking: Option<ColumnMask>,
}

pub(super) fn parse(tokens: &mut Tokens<'_>, head: CreateHead) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let columns = if tokens.peek().token == Token::LParen {
        tokens.parenthesized(|tokens| {
            let name = tokens.identifier()?;
            let mut column = ViewColumn { name, comment: None, tags: Vec::new(), masking: None };
            loop {
                let tags = tag::values(tokens, &column.tags)?;
                if !tags.is_empty() {
                    column.tags = tags;
                } else if policy::mask(tokens, &mut column.masking)? {
                    // Read in place.
                } else if column.comment.is_none() && tokens.peek_words("COMMENT") {
                    column.comment = comment(tokens)?;
                } else {
                    refuse_governance(tokens)?;
                    return Ok(column);
                }
            }
        })?
    } else {
        Vec::new()
    };
    let (mut view_comment, mut copy_grants, mut options) = (None, false, Options::default());
    let (mut tags, mut row_access) = (Vec::new(), None);
    loop {
        let found = tag::values(tokens, &tags)?;
        if !found.is_empty() {
            tags = found;
            continue;
        }
        if policy::row_filter(tokens, &mut row_access)? {
            continue;
        }
        refuse_governance(tokens)?;
        if view_comment.is_none() && tokens.peek_words("COMMENT") {
            view_comment = comment(tokens)?;
        } else if !copy_grants && tokens.words("COPY GRANTS") {
            copy_grants = true;
        } else if tokens.peek_words("CHANGE_TRACKING") {
            options.parse_known(tokens, &["CHANGE_TRACKING"])?;
        } else {
            break;
        }
    }
    tokens.expect_words("AS")?;
    let start = tokens.offset();
    let query = tokens.query()?;
    let query_text = tokens.text_since(start);
    Ok(Statement::CreateView(CreateView {
        mode,
        persistence: head.persistence,
        secure: head.secure,
        recursive: head.recursive,
        name,
        columns,
        comment: view_comment,
        copy_grants,
        tags,
        row_access,
        options,
        query,
        query_text,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn a_view_keeps_its_text() {
        let sql = "create or replace secure view s.v (a comment 'x', b) comment = 'y' copy grants as\n select 1, 2 -- end";
        let Statement::CreateView(view) = statement(sql) else { panic!() };
        assert!(view.mode.or_replace && view.secure && view.copy_grants && !view.recursive);
        assert_eq!(view.columns[0].comment.as_deref(), Some("x"));
        assert_eq!(view.comment.as_deref(), Some("y"));
        assert_eq!(view.query_text, "select 1, 2");
    }

    #[test]
    fn the_other_forms_parse() {
        all_parse(&[
            "CREATE VIEW IF NOT EXISTS v AS (SELECT * FROM t)",
            "CREATE TEMPORARY VIEW v AS WITH c AS (SELECT 1) SELECT * FROM c",
            "CREATE RECURSIVE VIEW v (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM v",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE VIEW v SELECT 1", "SELECT");
        unexpected("CREATE VIEW v AS SELECT 1 FROB 2", "2");
        unexpected("CREATE TRANSIENT VIEW v AS SELECT 1", "VIEW");
        unsupported("CREATE VIEW v WITH AGGREGATION POLICY p AS SELECT 1 a", "AGGREGATION POLICY");
        unexpected("CREATE VIEW v ROW ACCESS POLICY p AS SELECT 1 a", "AS");
        unsupported("CREATE MATERIALIZED VIEW v AS SELECT 1", "MATERIALIZED VIEW");
    }
}
