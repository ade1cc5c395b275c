//! ALTER of objects that are only renamed and whose properties are only set or unset.

use frazil_common::UserError;

use super::Statement;
use super::common::refuse_governance;
use super::options::keys;
use super::policy::{self, SetPolicy};
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::ObjectWord;
use super::options::Options;

/// `ALTER {ACCOUNT | VIEW | SCHEMA | DATABASE | ROLE | USER | STAGE | FILE FORMAT | SEQUENCE} …`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterObject {
    pub kind: ObjectWord,
    /// None: the account, or the session's current schema or database.
    pub name: Option<ObjectName>,
    pub if_exists: bool,
    pub action: AlterObjectAction,
}

/// What is done to the object.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterObjectAction {
    RenameTo(ObjectName),
    Set(Options),
    Unset(Vec<String>),
    /// ENABLE or DISABLE MANAGED ACCESS of a schema.
    ManagedAccess(bool),
    /// `SWAP WITH` of databases and schemas.
    SwapWith(ObjectName),
    /// `ALTER VIEW v SET SECURE` (true) and `UNSET SECURE` (false).
    Secure(bool),
    /// `ALTER STAGE s REFRESH`.
    Refresh,
    /// `ALTER USER u RESET PASSWORD`.
    ResetPassword,
    /// `ALTER USER u ABORT ALL QUERIES`.
    AbortAllQueries,
}

pub(super) fn parse(tokens: &mut Tokens<'_>, kind: ObjectWord) -> Result<Statement, UserError> {
    let account = kind == ObjectWord::Account;
    let if_exists = !account && tokens.words("IF EXISTS");
    let namespace = matches!(kind, ObjectWord::Database | ObjectWord::Schema);
    let implied = account || namespace && (tokens.peek_words("SET") || tokens.peek_words("UNSET"));
    let name = if implied { None } else { Some(tokens.name()?) };
    if kind == ObjectWord::View
        && let Some(name) = &name
        && let Some(actions) = policy::parse_set(tokens)?
    {
        let name = name.clone();
        return Ok(Statement::SetPolicy(SetPolicy { kind, if_exists, name, actions }));
    }
    let action = if !account && tokens.words("RENAME TO") {
        AlterObjectAction::RenameTo(tokens.name()?)
    } else if namespace && tokens.words("SWAP WITH") {
        AlterObjectAction::SwapWith(tokens.name()?)
    } else if kind == ObjectWord::Schema && tokens.words("ENABLE MANAGED ACCESS") {
        AlterObjectAction::ManagedAccess(true)
    } else if kind == ObjectWord::Schema && tokens.words("DISABLE MANAGED ACCESS") {
        AlterObjectAction::ManagedAccess(false)
    } else if kind == ObjectWord::View && tokens.words("SET SECURE") {
        AlterObjectAction::Secure(true)
    } else if kind == ObjectWord::View && tokens.words("UNSET SECURE") {
        AlterObjectAction::Secure(false)
    } else if kind == ObjectWord::Stage && tokens.words("REFRESH") {
        AlterObjectAction::Refresh
    } else if kind == ObjectWord::User && tokens.words("RESET PASSWORD") {
        AlterObjectAction::ResetPassword
    } else if kind == ObjectWord::User && tokens.words("ABORT ALL QUERIES") {
        AlterObjectAction::AbortAllQueries
    } else if kind == ObjectWord::Sequence && tokens.words("SET INCREMENT") {
        let _ = tokens.words("BY");
        tokens.optional_equals();
        let value = super::options::OptionValue::Number(tokens.integer()?.to_string());
        AlterObjectAction::Set(Options(vec![("INCREMENT".to_string(), value)]))
    } else if tokens.words("SET") {
        refuse_governance(tokens)?;
        AlterObjectAction::Set(Options::parse_to_end(tokens, true)?)
    } else if tokens.words("UNSET") {
        refuse_governance(tokens)?;
        AlterObjectAction::Unset(keys(tokens)?)
    } else {
        return Err(tokens.unexpected());
    };
    Ok(Statement::AlterObject(AlterObject { kind, name, if_exists, action }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    fn alter(sql: &str) -> AlterObject {
        match statement(sql) {
            Statement::AlterObject(alter) => alter,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn the_current_schema_needs_no_name() {
        assert_eq!(alter("ALTER SCHEMA SET COMMENT = 'x'").name, None);
        assert_eq!(alter("ALTER DATABASE UNSET COMMENT").name, None);
        assert_eq!(alter("ALTER SCHEMA s UNSET COMMENT").name, Some(ObjectName::bare("S")));
    }

    #[test]
    fn renames_and_sets() {
        let account = alter("ALTER ACCOUNT SET DATA_RETENTION_TIME_IN_DAYS = 3");
        assert_eq!((account.kind, account.name), (ObjectWord::Account, None));
        assert_eq!(
            alter("ALTER VIEW IF EXISTS a.v RENAME TO a.w"),
            AlterObject {
                kind: ObjectWord::View,
                name: Some(ObjectName {
                    database: None,
                    schema: Some("A".into()),
                    name: "V".into()
                }),
                if_exists: true,
                action: AlterObjectAction::RenameTo(ObjectName {
                    database: None,
                    schema: Some("A".into()),
                    name: "W".into()
                }),
            }
        );
        let AlterObjectAction::Set(options) =
            alter("ALTER USER joe SET PASSWORD = 'x', DEFAULT_ROLE = \"my role\"").action
        else {
            panic!()
        };
        assert_eq!(options.get("PASSWORD").and_then(|value| value.as_text()), Some("x"));
        assert_eq!(
            options.get("DEFAULT_ROLE").and_then(|value| value.as_text()),
            Some("\"my role\"")
        );
        assert_eq!(
            alter("ALTER SCHEMA s UNSET COMMENT, DATA_RETENTION_TIME_IN_DAYS").action,
            AlterObjectAction::Unset(vec!["COMMENT".into(), "DATA_RETENTION_TIME_IN_DAYS".into()])
        );
    }

    #[test]
    fn every_kind_parses() {
        all_parse(&[
            "ALTER DATABASE d SET DATA_RETENTION_TIME_IN_DAYS = 3",
            "ALTER DATABASE d SWAP WITH e",
            "ALTER ROLE r RENAME TO q",
            "ALTER STAGE s REFRESH",
            "ALTER STAGE s SET FILE_FORMAT = (TYPE = CSV) COMMENT = 'x'",
            "ALTER FILE FORMAT f SET SKIP_HEADER = 1",
            "ALTER SEQUENCE s SET INCREMENT BY 5",
            "ALTER VIEW v SET SECURE",
            "ALTER VIEW v UNSET SECURE",
            "ALTER USER joe RESET PASSWORD",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("ALTER VIEW v REFRESH", "REFRESH");
        unexpected("ALTER SCHEMA s SET", "");
        unexpected("ALTER ROLE r RENAME q", "RENAME");
        unsupported("ALTER VIEW v SET ROW ACCESS POLICY p", "ROW ACCESS POLICY");
        unsupported("ALTER PIPE p SET COMMENT = 'x'", "ALTER PIPE");
    }
}
