//! DESCRIBE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::ObjectWord;

/// `DESC[RIBE] <kind> <name>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Describe {
    pub kind: ObjectWord,
    pub name: ObjectName,
    /// `DESCRIBE MODEL m VERSION v`.
    pub version: Option<String>,
    /// `DESCRIBE TABLE t TYPE = STAGE`: stage properties instead of columns.
    pub stage_properties: bool,
}

/// `DESCRIBE RESULT {'<query id>' | LAST_QUERY_ID()}`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeResult {
    /// None: the session's last query.
    pub query_id: Option<String>,
}

/// `DESCRIBE TRANSACTION <id>`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeTransaction {
    pub id: i64,
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if tokens.words("RESULT") {
        if tokens.words("LAST_QUERY_ID") {
            tokens.expect(&Token::LParen)?;
            tokens.expect(&Token::RParen)?;
            return Ok(Statement::DescribeResult(DescribeResult { query_id: None }));
        }
        let query_id = Some(tokens.expect_text()?);
        return Ok(Statement::DescribeResult(DescribeResult { query_id }));
    }
    if tokens.words("TRANSACTION") {
        return Ok(Statement::DescribeTransaction(DescribeTransaction { id: tokens.integer()? }));
    }
    let position = tokens.position();
    let kind = ObjectWord::parse(tokens)?;
    if matches!(kind, ObjectWord::Account | ObjectWord::Column | ObjectWord::Tag) {
        return Err(UserError::unsupported(format!("DESCRIBE {kind}")).at(Some(position)));
    }
    if matches!(kind, ObjectWord::Function | ObjectWord::Procedure) {
        return Err(UserError::unsupported(format!("DESCRIBE {kind}")).at(Some(position)));
    }
    let name = tokens.name()?;
    let version = if kind == ObjectWord::Model && tokens.words("VERSION") {
        Some(tokens.identifier()?)
    } else {
        None
    };
    let mut stage_properties = false;
    if matches!(kind, ObjectWord::Table | ObjectWord::View) && tokens.words("TYPE") {
        tokens.optional_equals();
        match tokens.one_of(&["COLUMNS", "STAGE"]) {
            Some(word) => stage_properties = word == "STAGE",
            None => return Err(tokens.unexpected()),
        }
    }
    Ok(Statement::Describe(Describe { kind, name, version, stage_properties }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    #[test]
    fn kinds_and_results() {
        assert_eq!(
            statement("DESC TABLE t TYPE = STAGE"),
            Statement::Describe(Describe {
                kind: ObjectWord::Table,
                name: ObjectName::bare("T"),
                version: None,
                stage_properties: true,
            })
        );
        assert_eq!(
            statement("DESCRIBE RESULT '01a-b'"),
            Statement::DescribeResult(DescribeResult { query_id: Some("01a-b".into()) })
        );
        assert_eq!(
            statement("DESC RESULT LAST_QUERY_ID()"),
            Statement::DescribeResult(DescribeResult { query_id: None })
        );
        assert_eq!(
            statement("DESC TRANSACTION 1651535571261000000"),
            Statement::DescribeTransaction(DescribeTransaction { id: 1_651_535_571_261_000_000 })
        );
        all_parse(&[
            "DESCRIBE VIEW v",
            "DESC STAGE s",
            "DESC FILE FORMAT f",
            "DESC USER u",
            "DESC WAREHOUSE w",
            "DESC MODEL m VERSION v1",
            "DESC ENDPOINT e",
            "DESC SCHEMA d.s",
            "DESC DATABASE d",
            "DESC SEQUENCE s",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("DESC FROB t", "FROB");
        unexpected("DESC TABLE t TYPE = FROB", "FROB");
        unexpected("DESC VIEW v w", "w");
        unsupported("DESC FUNCTION f(INT)", "DESCRIBE FUNCTION");
    }
}
