//! ALTER TABLE.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{ObjectWord, refuse_governance};
use super::create_table::{self, ConstraintKind};
use super::options::keys;
use super::policy::{self, SetPolicy};
use crate::tokens::Tokens;

use frazil_common::ObjectName;
use sqlparser::ast::{DataType, Expr};

use super::create_table::{ColumnDefinition, TableConstraint};
use super::options::Options;

/// `ALTER TABLE [IF EXISTS] name …`: one action, except that ADD, DROP and ALTER COLUMN take lists.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTable {
    pub name: ObjectName,
    pub if_exists: bool,
    pub action: AlterTableAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterTableAction {
    AddColumns {
        if_not_exists: bool,
        columns: Vec<ColumnDefinition>,
    },
    AddConstraint(TableConstraint),
    DropColumns {
        if_exists: bool,
        columns: Vec<String>,
    },
    DropConstraint(TableConstraint),
    RenameColumn {
        from: String,
        to: String,
    },
    RenameTo(ObjectName),
    SwapWith(ObjectName),
    AlterColumns(Vec<AlterColumn>),
    /// DATA_RETENTION_TIME_IN_DAYS, CHANGE_TRACKING, COMMENT, …
    Set(Options),
    Unset(Vec<String>),
    ClusterBy(Vec<Expr>),
    DropClusteringKey,
    SuspendRecluster,
    ResumeRecluster,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterColumn {
    pub column: String,
    pub action: AlterColumnAction,
}

// Statements are few and short-lived; boxes would cost the reader more than the bytes.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum AlterColumnAction {
    SetNotNull,
    DropNotNull,
    SetDataType(DataType),
    /// The default and its text as written.
    SetDefault(Expr, String),
    DropDefault,
    SetComment(String),
    UnsetComment,
}

/// What ALTER TABLE … SET takes.
const PROPERTIES: &[&str] = &[
    "DATA_RETENTION_TIME_IN_DAYS",
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "CHANGE_TRACKING",
    "DEFAULT_DDL_COLLATION",
    "ENABLE_SCHEMA_EVOLUTION",
    "COMMENT",
    "STAGE_FILE_FORMAT",
    "STAGE_COPY_OPTIONS",
];

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.name()?;
    if let Some(actions) = policy::parse_set(tokens)? {
        let kind = ObjectWord::Table;
        return Ok(Statement::SetPolicy(SetPolicy { kind, if_exists, name, actions }));
    }
    let action = action(tokens)?;
    Ok(Statement::AlterTable(AlterTable { name, if_exists, action }))
}

fn action(tokens: &mut Tokens<'_>) -> Result<AlterTableAction, UserError> {
    if tokens.words("RENAME TO") {
        Ok(AlterTableAction::RenameTo(tokens.name()?))
    } else if tokens.words("RENAME COLUMN") {
        let from = tokens.identifier()?;
        tokens.expect_words("TO")?;
        Ok(AlterTableAction::RenameColumn { from, to: tokens.identifier()? })
    } else if tokens.words("SWAP WITH") {
        Ok(AlterTableAction::SwapWith(tokens.name()?))
    } else if tokens.words("ADD") {
        add(tokens)
    } else if tokens.words("DROP") {
        drop(tokens)
    } else if tokens.one_of(&["ALTER", "MODIFY"]).is_some() {
        let parenthesized = tokens.token(&Token::LParen);
        let columns = tokens.comma_separated(alter_column)?;
        if parenthesized {
            tokens.expect(&Token::RParen)?;
        }
        Ok(AlterTableAction::AlterColumns(columns))
    } else if tokens.words("CLUSTER BY") {
        let _ = tokens.words("LINEAR");
        Ok(AlterTableAction::ClusterBy(tokens.parenthesized(|tokens| tokens.expr())?))
    } else if tokens.words("SUSPEND RECLUSTER") {
        Ok(AlterTableAction::SuspendRecluster)
    } else if tokens.words("RESUME RECLUSTER") {
        Ok(AlterTableAction::ResumeRecluster)
    } else if tokens.words("SET") {
        refuse_governance(tokens)?;
        let mut options = Options::default();
        options.parse_known(tokens, PROPERTIES)?;
        if options.is_empty() {
            return Err(tokens.unexpected());
        }
        Ok(AlterTableAction::Set(options))
    } else if tokens.words("UNSET") {
        refuse_governance(tokens)?;
        Ok(AlterTableAction::Unset(keys(tokens)?))
    } else {
        Err(tokens.unexpected())
    }
}

fn add(tokens: &mut Tokens<'_>) -> Result<AlterTableAction, UserError> {
    refuse_governance(tokens)?;
    if tokens.peek_words("SEARCH OPTIMIZATION") {
        return Err(tokens.unsupported("SEARCH OPTIMIZATION"));
    }
    if let Some(constraint) = create_table::table_constraint(tokens)? {
        return Ok(AlterTableAction::AddConstraint(constraint));
    }
    let _ = tokens.words("COLUMN");
    let if_not_exists = tokens.words("IF NOT EXISTS");
    let columns = tokens.comma_separated(|tokens| {
        // Later columns of the list may repeat the word.
        let _ = tokens.words("COLUMN");
        create_table::column(tokens, true)
    })?;
    Ok(AlterTableAction::AddColumns { if_not_exists, columns })
}

fn drop(tokens: &mut Tokens<'_>) -> Result<AlterTableAction, UserError> {
    refuse_governance(tokens)?;
    if tokens.peek_words("SEARCH OPTIMIZATION") {
        return Err(tokens.unsupported("SEARCH OPTIMIZATION"));
    }
    if tokens.words("CLUSTERING KEY") {
        return Ok(AlterTableAction::DropClusteringKey);
    }
    let constraint = if tokens.words("CONSTRAINT") {
        Some(TableConstraint {
            name: Some(tokens.identifier()?),
            kind: ConstraintKind::ByName,
            comment: None,
        })
    } else if tokens.words("PRIMARY KEY") {
        Some(TableConstraint {
            name: None,
            kind: ConstraintKind::PrimaryKey(Vec::new()),
            comment: None,
        })
    } else if tokens.words("UNIQUE") {
        let columns = tokens.parenthesized(|tokens| tokens.identifier())?;
        Some(TableConstraint { name: None, kind: ConstraintKind::Unique(columns), comment: None })
    } else if tokens.peek_words("FOREIGN KEY") {
        return Err(tokens.unsupported("DROP FOREIGN KEY without the constraint's name"));
    } else {
        None
    };
    if let Some(constraint) = constraint {
        let _ = tokens.one_of(&["CASCADE", "RESTRICT"]);
        return Ok(AlterTableAction::DropConstraint(constraint));
    }
    let _ = tokens.words("COLUMN");
    let if_exists = tokens.words("IF EXISTS");
    let columns = tokens.comma_separated(|tokens| tokens.identifier())?;
    let _ = tokens.one_of(&["CASCADE", "RESTRICT"]);
    Ok(AlterTableAction::DropColumns { if_exists, columns })
}

fn alter_column(tokens: &mut Tokens<'_>) -> Result<AlterColumn, UserError> {
    let _ = tokens.words("COLUMN");
    let column = tokens.identifier()?;
    let action = if tokens.one_of(&["SET NOT NULL", "NOT NULL"]).is_some() {
        AlterColumnAction::SetNotNull
    } else if tokens.words("DROP NOT NULL") {
        AlterColumnAction::DropNotNull
    } else if tokens.one_of(&["SET DATA TYPE", "TYPE"]).is_some() {
        AlterColumnAction::SetDataType(tokens.data_type()?)
    } else if tokens.words("SET DEFAULT") {
        let (expr, text) = create_table::default_value(tokens)?;
        AlterColumnAction::SetDefault(expr, text)
    } else if tokens.words("DROP DEFAULT") {
        AlterColumnAction::DropDefault
    } else if tokens.words("UNSET COMMENT") {
        AlterColumnAction::UnsetComment
    } else if tokens.one_of(&["SET COMMENT", "COMMENT"]).is_some() {
        AlterColumnAction::SetComment(tokens.equals_text()?)
    } else {
        for words in ["SET PROJECTION POLICY", "SET TAG", "UNSET TAG"] {
            if tokens.peek_words(words) {
                return Err(tokens.unsupported(words));
            }
        }
        AlterColumnAction::SetDataType(tokens.data_type()?)
    };
    Ok(AlterColumn { column, action })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    fn action_of(sql: &str) -> AlterTableAction {
        match statement(sql) {
            Statement::AlterTable(alter) => alter.action,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn columns_are_added_and_dropped() {
        let AlterTableAction::AddColumns { if_not_exists, columns } =
            action_of("ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT NOT NULL DEFAULT 1, b VARCHAR")
        else {
            panic!()
        };
        assert!(if_not_exists);
        assert_eq!(columns.len(), 2);
        assert!(columns[0].not_null && columns[0].default.is_some());
        assert_eq!(
            action_of("ALTER TABLE t DROP COLUMN IF EXISTS a, \"b\""),
            AlterTableAction::DropColumns {
                if_exists: true,
                columns: vec!["A".into(), "b".into()]
            }
        );
        assert_eq!(
            action_of("ALTER TABLE t RENAME COLUMN a TO b"),
            AlterTableAction::RenameColumn { from: "A".into(), to: "B".into() }
        );
    }

    #[test]
    fn columns_are_altered() {
        let AlterTableAction::AlterColumns(columns) = action_of(
            "ALTER TABLE t MODIFY COLUMN a SET NOT NULL, COLUMN b DROP DEFAULT, c TYPE VARCHAR(20), d COMMENT 'x'",
        ) else {
            panic!()
        };
        assert_eq!(columns[0].action, AlterColumnAction::SetNotNull);
        assert_eq!(columns[1].action, AlterColumnAction::DropDefault);
        assert!(matches!(columns[2].action, AlterColumnAction::SetDataType(_)));
        assert_eq!(columns[3].action, AlterColumnAction::SetComment("x".into()));
    }

    #[test]
    fn the_other_actions_parse() {
        all_parse(&[
            "ALTER TABLE IF EXISTS t RENAME TO u",
            "ALTER TABLE t SWAP WITH u",
            "ALTER TABLE t SET DATA_RETENTION_TIME_IN_DAYS = 1 COMMENT = 'x'",
            "ALTER TABLE t UNSET COMMENT",
            "ALTER TABLE t CLUSTER BY (a, to_date(b))",
            "ALTER TABLE t DROP CLUSTERING KEY",
            "ALTER TABLE t ADD CONSTRAINT pk PRIMARY KEY (a)",
            "ALTER TABLE t ADD PRIMARY KEY (a, b)",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (b)",
            "ALTER TABLE t DROP CONSTRAINT pk",
            "ALTER TABLE t DROP PRIMARY KEY",
            "ALTER TABLE t ALTER (a SET DATA TYPE NUMBER(10, 2), b DROP NOT NULL)",
            "ALTER TABLE t ALTER a SET DEFAULT s.NEXTVAL",
            "ALTER TABLE t ADD a INT AUTOINCREMENT",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("ALTER TABLE t FROB", "FROB");
        unexpected("ALTER TABLE t ADD COLUMN a", "");
        unexpected("ALTER TABLE t SET FROB = 1", "FROB");
        unexpected("ALTER TABLE t RENAME COLUMN a b", "b");
        unsupported("ALTER TABLE t ALTER a SET PROJECTION POLICY p", "PROJECTION POLICY");
        unsupported("ALTER TABLE t ADD SEARCH OPTIMIZATION", "SEARCH OPTIMIZATION");
    }
}
