//! CREATE WAREHOUSE, ALTER WAREHOUSE.

use frazil_common::UserError;

use super::Statement;
use super::common::refuse_governance;
use super::create::CreateHead;
use super::options::keys;
use crate::tokens::Tokens;

use super::common::CreateMode;
use super::options::Options;
use super::tag::{self, TagValue};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateWarehouse {
    pub mode: CreateMode,
    pub name: String,
    /// WAREHOUSE_SIZE, AUTO_SUSPEND, AUTO_RESUME, INITIALLY_SUSPENDED, COMMENT, …
    pub options: Options,
    pub tags: Vec<TagValue>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterWarehouse {
    /// None: the session's warehouse.
    pub name: Option<String>,
    pub if_exists: bool,
    pub action: AlterWarehouseAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterWarehouseAction {
    Suspend,
    Resume { if_suspended: bool },
    AbortAllQueries,
    RenameTo(String),
    Set(Options),
    Unset(Vec<String>),
}

pub(super) fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    mode.if_not_exists(tokens);
    let with = !tokens.peek_words("WITH TAG") && tokens.words("WITH");
    let (options, tags) = tag::options_and_values(tokens, with)?;
    Ok(Statement::CreateWarehouse(CreateWarehouse { mode, name, options, tags }))
}

pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    const ACTIONS: &[&str] =
        &["SUSPEND", "RESUME", "ABORT ALL QUERIES", "RENAME TO", "SET", "UNSET"];
    let named = !ACTIONS.iter().any(|words| tokens.peek_words(words));
    let name = if named { Some(tokens.identifier()?) } else { None };
    let action = if tokens.words("SUSPEND") {
        AlterWarehouseAction::Suspend
    } else if tokens.words("RESUME") {
        AlterWarehouseAction::Resume { if_suspended: tokens.words("IF SUSPENDED") }
    } else if tokens.words("ABORT ALL QUERIES") {
        AlterWarehouseAction::AbortAllQueries
    } else if tokens.words("RENAME TO") {
        AlterWarehouseAction::RenameTo(tokens.identifier()?)
    } else if tokens.words("SET") {
        refuse_governance(tokens)?;
        AlterWarehouseAction::Set(Options::parse_to_end(tokens, true)?)
    } else if tokens.words("UNSET") {
        refuse_governance(tokens)?;
        AlterWarehouseAction::Unset(keys(tokens)?)
    } else {
        return Err(tokens.unexpected());
    };
    Ok(Statement::AlterWarehouse(AlterWarehouse { name, if_exists, action }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn creates_and_alters() {
        let Statement::CreateWarehouse(create) = statement(
            "CREATE WAREHOUSE IF NOT EXISTS w WITH WAREHOUSE_SIZE = 'X-SMALL' AUTO_SUSPEND = 60 INITIALLY_SUSPENDED = TRUE",
        ) else {
            panic!()
        };
        assert_eq!(
            create.options.get("WAREHOUSE_SIZE").and_then(|value| value.as_text()),
            Some("X-SMALL")
        );
        assert_eq!(
            create.options.get("AUTO_SUSPEND").and_then(|value| value.as_integer()),
            Some(60)
        );
        for (sql, action) in [
            ("ALTER WAREHOUSE w SUSPEND", AlterWarehouseAction::Suspend),
            (
                "ALTER WAREHOUSE w RESUME IF SUSPENDED",
                AlterWarehouseAction::Resume { if_suspended: true },
            ),
            ("ALTER WAREHOUSE w RENAME TO v", AlterWarehouseAction::RenameTo("V".into())),
            (
                "ALTER WAREHOUSE w UNSET COMMENT",
                AlterWarehouseAction::Unset(vec!["COMMENT".into()]),
            ),
        ] {
            let Statement::AlterWarehouse(alter) = statement(sql) else { panic!("{sql}") };
            assert_eq!((alter.name.as_deref(), alter.action), (Some("W"), action), "{sql}");
        }
        let Statement::AlterWarehouse(alter) =
            statement("ALTER WAREHOUSE SET WAREHOUSE_SIZE = MEDIUM")
        else {
            panic!()
        };
        assert_eq!(alter.name, None);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE WAREHOUSE w WITH", "");
        unexpected("ALTER WAREHOUSE w FROB", "FROB");
        unexpected("CREATE TRANSIENT WAREHOUSE w", "WAREHOUSE");
    }
}
