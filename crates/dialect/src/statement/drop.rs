//! DROP, UNDROP, TRUNCATE.

use frazil_common::UserError;

use super::Statement;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::ObjectWord;

/// `DROP <kind> [IF EXISTS] <name> [CASCADE | RESTRICT]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Drop {
    pub kind: ObjectWord,
    pub if_exists: bool,
    pub name: ObjectName,
    pub restrict: bool,
    pub cascade: bool,
}

/// `UNDROP {TABLE | SCHEMA | DATABASE | …} <name>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Undrop {
    pub kind: ObjectWord,
    pub name: ObjectName,
}

/// `TRUNCATE [TABLE] [IF EXISTS] <name>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Truncate {
    pub if_exists: bool,
    pub name: ObjectName,
}

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let position = tokens.position();
    let kind = ObjectWord::parse(tokens)?;
    match kind {
        ObjectWord::Account | ObjectWord::Column | ObjectWord::Function | ObjectWord::Procedure => {
            return Err(UserError::unsupported(format!("DROP {kind}")).at(Some(position)));
        }
        _ => {}
    }
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.name()?;
    let behaviour = tokens.one_of(&["CASCADE", "RESTRICT"]);
    Ok(Statement::Drop(Drop {
        kind,
        if_exists,
        name,
        restrict: behaviour == Some("RESTRICT"),
        cascade: behaviour == Some("CASCADE"),
    }))
}

pub(super) fn parse_undrop(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let kind = ObjectWord::parse(tokens)?;
    Ok(Statement::Undrop(Undrop { kind, name: tokens.name()? }))
}

pub(super) fn parse_truncate(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if tokens.peek_words("MATERIALIZED VIEW") {
        return Err(tokens.unsupported("TRUNCATE MATERIALIZED VIEW"));
    }
    let _ = tokens.words("TABLE");
    let if_exists = tokens.words("IF EXISTS");
    Ok(Statement::Truncate(Truncate { if_exists, name: tokens.name()? }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected, unsupported};

    #[test]
    fn every_kind_drops() {
        for kind in [
            "TABLE",
            "VIEW",
            "SCHEMA",
            "DATABASE",
            "STAGE",
            "FILE FORMAT",
            "SEQUENCE",
            "MODEL",
            "ENDPOINT",
            "WAREHOUSE",
            "ROLE",
            "USER",
        ] {
            let Statement::Drop(drop) = statement(&format!("DROP {kind} IF EXISTS a CASCADE"))
            else {
                panic!("{kind}")
            };
            assert_eq!(
                (drop.kind.as_str(), drop.if_exists, drop.cascade, drop.restrict),
                (kind, true, true, false)
            );
        }
        let Statement::Drop(drop) = statement("DROP SCHEMA d.s RESTRICT") else { panic!() };
        assert!(drop.restrict && !drop.if_exists);
    }

    #[test]
    fn undrop_and_truncate() {
        assert!(matches!(statement("UNDROP TABLE s.t"), Statement::Undrop(_)));
        for sql in ["TRUNCATE TABLE IF EXISTS t", "TRUNCATE t"] {
            let Statement::Truncate(truncate) = statement(sql) else { panic!("{sql}") };
            assert_eq!(truncate.name, ObjectName::bare("T"));
        }
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("DROP FROB t", "FROB");
        unexpected("DROP TABLE t, u", ",");
        unexpected("TRUNCATE TABLE t CASCADE", "CASCADE");
        unsupported("DROP FUNCTION f(INT)", "DROP FUNCTION");
    }
}
