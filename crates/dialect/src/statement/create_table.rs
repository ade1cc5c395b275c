//! CREATE TABLE in all its forms.

use frazil_common::UserError;
use sqlparser::dialect::{Dialect, Precedence, SnowflakeDialect};
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{comment, refuse_governance};
use super::create::CreateHead;
use crate::tokens::Tokens;

use frazil_common::{ObjectName, Position};
use sqlparser::ast::{DataType, Expr, Query};

use super::common::{CreateMode, Persistence, TimeTravelPoint};
use super::options::Options;
use super::policy::{self, ColumnMask, RowFilter};
use super::tag::{self, TagValue};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub mode: CreateMode,
    pub persistence: Persistence,
    pub name: ObjectName,
    pub source: CreateTableSource,
    pub cluster_by: Vec<Expr>,
    pub comment: Option<String>,
    pub copy_grants: bool,
    pub copy_tags: bool,
    pub tags: Vec<TagValue>,
    pub row_access: Option<RowFilter>,
    /// DATA_RETENTION_TIME_IN_DAYS, MAX_DATA_EXTENSION_TIME_IN_DAYS, CHANGE_TRACKING,
    /// DEFAULT_DDL_COLLATION, ENABLE_SCHEMA_EVOLUTION.
    pub options: Options,
}

// Statements are few and short-lived; boxes would cost the reader more than the bytes.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum CreateTableSource {
    Columns {
        columns: Vec<ColumnDefinition>,
        constraints: Vec<TableConstraint>,
    },
    /// AS SELECT; the column list may be empty, or name the columns, or give types too.
    AsSelect {
        columns: Vec<ColumnDefinition>,
        constraints: Vec<TableConstraint>,
        query: Box<Query>,
    },
    Like(ObjectName),
    Clone {
        source: ObjectName,
        point: Option<TimeTravelPoint>,
    },
}

/// A column as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    pub name: String,
    pub position: Position,
    /// None only in CREATE TABLE (names) AS SELECT.
    pub data_type: Option<DataType>,
    pub not_null: bool,
    /// The default and its text as written.
    pub default: Option<(Expr, String)>,
    pub autoincrement: Option<AutoIncrement>,
    pub collation: Option<String>,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
    pub masking: Option<ColumnMask>,
    pub primary_key: bool,
    pub unique: bool,
    /// REFERENCES: kept, not enforced, as in Snowflake.
    pub references: Option<ForeignKey>,
    /// Name given by CONSTRAINT to the inline constraint.
    pub constraint_name: Option<String>,
}

/// AUTOINCREMENT or IDENTITY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoIncrement {
    pub start: i64,
    pub increment: i64,
    /// ORDER (true), NOORDER (false).
    pub order: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ForeignKey {
    pub table: ObjectName,
    /// Empty: the primary key of the table.
    pub columns: Vec<String>,
}

/// A constraint outside a column. Only NOT NULL is enforced, as in Snowflake.
#[derive(Debug, Clone, PartialEq)]
pub struct TableConstraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    PrimaryKey(Vec<String>),
    Unique(Vec<String>),
    ForeignKey {
        columns: Vec<String>,
        references: ForeignKey,
    },
    /// `ALTER TABLE … DROP CONSTRAINT name`: the kind isn't said.
    ByName,
}

const PROPERTIES: &[&str] = &[
    "DATA_RETENTION_TIME_IN_DAYS",
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "CHANGE_TRACKING",
    "DEFAULT_DDL_COLLATION",
    "ENABLE_SCHEMA_EVOLUTION",
];

pub(super) fn parse(tokens: &mut Tokens<'_>, head: CreateHead) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let mut create = CreateTable {
        mode,
        persistence: head.persistence,
        name,
        source: CreateTableSource::Columns { columns: Vec::new(), constraints: Vec::new() },
        cluster_by: Vec::new(),
        comment: None,
        copy_grants: false,
        copy_tags: false,
        tags: Vec::new(),
        row_access: None,
        options: Options::default(),
    };
    if tokens.words("LIKE") {
        create.source = CreateTableSource::Like(tokens.name()?);
        properties(tokens, &mut create)?;
    } else if tokens.words("CLONE") {
        let source = tokens.name()?;
        let point = TimeTravelPoint::parse(tokens)?;
        create.source = CreateTableSource::Clone { source, point };
        properties(tokens, &mut create)?;
    } else if tokens.peek_words("USING TEMPLATE") {
        return Err(tokens.unsupported("CREATE TABLE … USING TEMPLATE"));
    } else {
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        let listed = tokens.peek().token == Token::LParen;
        if listed {
            tokens.expect(&Token::LParen)?;
            loop {
                match table_constraint(tokens)? {
                    Some(constraint) => constraints.push(constraint),
                    None => columns.push(column(tokens, false)?),
                }
                if !tokens.token(&Token::Comma) {
                    break;
                }
            }
            tokens.expect(&Token::RParen)?;
        }
        properties(tokens, &mut create)?;
        let untyped = columns.iter().any(|column: &ColumnDefinition| column.data_type.is_none());
        if tokens.words("AS") {
            let query = tokens.query()?;
            create.source = CreateTableSource::AsSelect { columns, constraints, query };
        } else if !listed || untyped {
            return Err(tokens.unexpected());
        } else {
            create.source = CreateTableSource::Columns { columns, constraints };
        }
    }
    Ok(Statement::CreateTable(Box::new(create)))
}

fn properties(tokens: &mut Tokens<'_>, create: &mut CreateTable) -> Result<(), UserError> {
    loop {
        let tags = tag::values(tokens, &create.tags)?;
        if !tags.is_empty() {
            create.tags = tags;
            continue;
        }
        if policy::row_filter(tokens, &mut create.row_access)? {
            continue;
        }
        refuse_governance(tokens)?;
        if create.cluster_by.is_empty() && tokens.words("CLUSTER BY") {
            let _ = tokens.words("LINEAR");
            create.cluster_by = tokens.parenthesized(|tokens| tokens.expr())?;
        } else if create.comment.is_none() && tokens.peek_words("COMMENT") {
            create.comment = comment(tokens)?;
        } else if !create.copy_grants && tokens.words("COPY GRANTS") {
            create.copy_grants = true;
        } else if !create.copy_tags && tokens.words("COPY TAGS") {
            create.copy_tags = true;
        } else if PROPERTIES.iter().any(|key| tokens.peek_words(key)) {
            create.options.parse_known(tokens, PROPERTIES)?;
        } else {
            for words in ["STAGE_FILE_FORMAT", "STAGE_COPY_OPTIONS", "USING TEMPLATE"] {
                if tokens.peek_words(words) {
                    return Err(tokens.unsupported(words));
                }
            }
            return Ok(());
        }
    }
}

/// Reads a constraint outside a column if one comes next.
pub(super) fn table_constraint(
    tokens: &mut Tokens<'_>,
) -> Result<Option<TableConstraint>, UserError> {
    let named =
        tokens.peek_words("CONSTRAINT") && matches!(tokens.peek_nth(1).token, Token::Word(_));
    let begins = |words: &str| tokens.peek_words(words);
    let parenthesis_after = |n: usize| tokens.peek_nth(n).token == Token::LParen;
    let bare = (begins("PRIMARY KEY") && parenthesis_after(2))
        || (begins("UNIQUE") && parenthesis_after(1))
        || begins("FOREIGN KEY");
    if begins("CHECK") && parenthesis_after(1) {
        return Err(tokens.unsupported("CHECK"));
    }
    if !named && !bare {
        return Ok(None);
    }
    let name = if tokens.words("CONSTRAINT") { Some(tokens.identifier()?) } else { None };
    let columns = |tokens: &mut Tokens<'_>| tokens.parenthesized(|tokens| tokens.identifier());
    let kind = if tokens.words("PRIMARY KEY") {
        ConstraintKind::PrimaryKey(columns(tokens)?)
    } else if tokens.words("UNIQUE") {
        ConstraintKind::Unique(columns(tokens)?)
    } else if tokens.words("FOREIGN KEY") {
        let columns = columns(tokens)?;
        tokens.expect_words("REFERENCES")?;
        ConstraintKind::ForeignKey { columns, references: foreign_key(tokens)? }
    } else {
        return Err(tokens.unexpected());
    };
    constraint_properties(tokens)?;
    let comment = comment(tokens)?;
    Ok(Some(TableConstraint { name, kind, comment }))
}

fn foreign_key(tokens: &mut Tokens<'_>) -> Result<ForeignKey, UserError> {
    let table = tokens.name()?;
    let columns = if tokens.peek().token == Token::LParen {
        tokens.parenthesized(|tokens| tokens.identifier())?
    } else {
        Vec::new()
    };
    Ok(ForeignKey { table, columns })
}

/// The words after a constraint. Snowflake takes them for other systems' sake and gives them no
/// effect, except ENFORCED, which it can't do.
fn constraint_properties(tokens: &mut Tokens<'_>) -> Result<(), UserError> {
    while !tokens.peek_words("NOT NULL") {
        if tokens.peek_words("ENFORCED") {
            return Err(tokens.unsupported("ENFORCED constraints"));
        }
        let found = tokens.one_of(&[
            "NOT ENFORCED",
            "NOT DEFERRABLE",
            "DEFERRABLE",
            "INITIALLY DEFERRED",
            "INITIALLY IMMEDIATE",
            "MATCH FULL",
            "MATCH SIMPLE",
            "MATCH PARTIAL",
            "ON UPDATE CASCADE",
            "ON UPDATE SET NULL",
            "ON UPDATE SET DEFAULT",
            "ON UPDATE RESTRICT",
            "ON UPDATE NO ACTION",
            "ON DELETE CASCADE",
            "ON DELETE SET NULL",
            "ON DELETE SET DEFAULT",
            "ON DELETE RESTRICT",
            "ON DELETE NO ACTION",
            "ENABLE",
            "DISABLE",
            "VALIDATE",
            "NOVALIDATE",
            "RELY",
            "NORELY",
        ]);
        if found.is_none() {
            break;
        }
    }
    Ok(())
}

/// Reads a column; `typed` demands a data type.
pub(super) fn column(tokens: &mut Tokens<'_>, typed: bool) -> Result<ColumnDefinition, UserError> {
    let (name, position) = tokens.placed_identifier()?;
    let ends = matches!(tokens.peek().token, Token::Comma | Token::RParen)
        || ["WITH", "TAG", "MASKING POLICY"].iter().any(|words| tokens.peek_words(words));
    let data_type = if ends && !typed { None } else { Some(tokens.data_type()?) };
    let mut column = ColumnDefinition {
        name,
        position,
        data_type,
        not_null: false,
        default: None,
        autoincrement: None,
        collation: None,
        comment: None,
        tags: Vec::new(),
        masking: None,
        primary_key: false,
        unique: false,
        references: None,
        constraint_name: None,
    };
    while column_option(tokens, &mut column)? {}
    Ok(column)
}

fn column_option(
    tokens: &mut Tokens<'_>,
    column: &mut ColumnDefinition,
) -> Result<bool, UserError> {
    let tags = tag::values(tokens, &column.tags)?;
    if !tags.is_empty() {
        column.tags = tags;
        return Ok(true);
    }
    if policy::mask(tokens, &mut column.masking)? {
        return Ok(true);
    }
    refuse_governance(tokens)?;
    if tokens.words("NOT NULL") {
        column.not_null = true;
    } else if tokens.words("NULL") {
        // The default.
    } else if column.default.is_none() && tokens.words("DEFAULT") {
        column.default = Some(default_value(tokens)?);
    } else if column.autoincrement.is_none()
        && tokens.one_of(&["AUTOINCREMENT", "IDENTITY"]).is_some()
    {
        column.autoincrement = Some(autoincrement(tokens)?);
    } else if column.collation.is_none() && tokens.words("COLLATE") {
        column.collation = Some(tokens.expect_text()?);
    } else if column.comment.is_none() && tokens.peek_words("COMMENT") {
        column.comment = comment(tokens)?;
    } else if column.constraint_name.is_none() && tokens.words("CONSTRAINT") {
        column.constraint_name = Some(tokens.identifier()?);
    } else if tokens.words("PRIMARY KEY") {
        column.primary_key = true;
        constraint_properties(tokens)?;
    } else if tokens.words("UNIQUE") {
        column.unique = true;
        constraint_properties(tokens)?;
    } else if tokens.peek_words("FOREIGN KEY REFERENCES") || tokens.peek_words("REFERENCES") {
        let _ = tokens.words("FOREIGN KEY");
        tokens.expect_words("REFERENCES")?;
        column.references = Some(foreign_key(tokens)?);
        constraint_properties(tokens)?;
    } else if tokens.peek_words("CHECK") {
        return Err(tokens.unsupported("CHECK"));
    } else if tokens.peek_words("AS") && tokens.peek_nth(1).token == Token::LParen {
        return Err(tokens.unsupported("computed columns (AS …)"));
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A default and its text. Binds tighter than NOT, so that `DEFAULT 0 NOT NULL` ends before NOT.
pub(super) fn default_value(tokens: &mut Tokens<'_>) -> Result<(Expr, String), UserError> {
    let start = tokens.offset();
    let above_is = SnowflakeDialect.prec_value(Precedence::Is);
    let expr = tokens.sql(|parser| parser.parse_subexpr(above_is))?;
    Ok((expr, tokens.text_since(start)))
}

fn autoincrement(tokens: &mut Tokens<'_>) -> Result<AutoIncrement, UserError> {
    let mut auto = AutoIncrement { start: 1, increment: 1, order: None };
    if tokens.token(&Token::LParen) {
        auto.start = tokens.integer()?;
        tokens.expect(&Token::Comma)?;
        auto.increment = tokens.integer()?;
        tokens.expect(&Token::RParen)?;
    }
    loop {
        if tokens.one_of(&["START WITH", "START"]).is_some() {
            tokens.optional_equals();
            auto.start = tokens.integer()?;
        } else if tokens.one_of(&["INCREMENT BY", "INCREMENT"]).is_some() {
            tokens.optional_equals();
            auto.increment = tokens.integer()?;
        } else if tokens.words("ORDER") {
            auto.order = Some(true);
        } else if tokens.words("NOORDER") {
            auto.order = Some(false);
        } else {
            return Ok(auto);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected, unsupported};

    fn create(sql: &str) -> CreateTable {
        match statement(sql) {
            Statement::CreateTable(create) => *create,
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn columns(create: CreateTable) -> (Vec<ColumnDefinition>, Vec<TableConstraint>) {
        match create.source {
            CreateTableSource::Columns { columns, constraints } => (columns, constraints),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_have_their_clauses() {
        let table = create(
            "CREATE OR REPLACE TRANSIENT TABLE d.s.\"t\" (\n  id INT AUTOINCREMENT START 5 INCREMENT 2 NOORDER, \
             a NUMBER(10, 2) NOT NULL DEFAULT 1 + 2 COMMENT 'x', b VARCHAR(5) COLLATE 'en-ci' UNIQUE, \
             c INT CONSTRAINT fk REFERENCES u (x) NOT NULL, d DATE DEFAULT CURRENT_DATE() NOT NULL, \
             e INT IDENTITY(1, 1) PRIMARY KEY, CONSTRAINT pk PRIMARY KEY (id, a) NOT ENFORCED RELY, \
             FOREIGN KEY (a) REFERENCES u) CLUSTER BY (a, b) COMMENT = 'y' \
             DATA_RETENTION_TIME_IN_DAYS = 1 CHANGE_TRACKING = TRUE COPY GRANTS",
        );
        assert!(table.mode.or_replace && table.copy_grants);
        assert_eq!(table.persistence, Persistence::Transient);
        assert_eq!(table.name.to_string(), "D.S.\"t\"");
        assert_eq!((table.cluster_by.len(), table.comment.as_deref()), (2, Some("y")));
        assert_eq!(table.options.0.len(), 2);
        let (columns, constraints) = columns(table);
        assert_eq!(
            columns[0].autoincrement,
            Some(AutoIncrement { start: 5, increment: 2, order: Some(false) })
        );
        assert_eq!(columns[0].position, Position { line: 2, column: 3 });
        assert!(columns[1].not_null);
        assert_eq!(columns[1].default.as_ref().map(|(_, text)| text.as_str()), Some("1 + 2"));
        assert_eq!(columns[2].collation.as_deref(), Some("en-ci"));
        assert_eq!(columns[3].constraint_name.as_deref(), Some("FK"));
        assert!(columns[3].references.is_some() && columns[3].not_null);
        assert_eq!(
            columns[4].default.as_ref().map(|(_, text)| text.as_str()),
            Some("CURRENT_DATE()")
        );
        assert!(columns[4].not_null && columns[5].primary_key);
        assert_eq!(constraints.len(), 2);
    }

    #[test]
    fn a_query_may_fill_it() {
        let table = create("CREATE TEMP TABLE IF NOT EXISTS t (a, b) AS SELECT 1, 2");
        assert_eq!(table.persistence, Persistence::Temporary);
        assert!(table.mode.if_not_exists);
        let CreateTableSource::AsSelect { columns, .. } = table.source else { panic!() };
        assert_eq!(
            columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            ["A", "B"]
        );
        all_parse(&[
            "CREATE TABLE t AS (SELECT 1 AS a)",
            "CREATE TABLE t CLUSTER BY (a) AS SELECT 1 AS a",
            "CREATE TABLE t (a INT NOT NULL) COMMENT 'x' AS WITH c AS (SELECT 1) SELECT * FROM c",
        ]);
    }

    #[test]
    fn like_and_clone() {
        assert!(matches!(create("CREATE TABLE t LIKE u").source, CreateTableSource::Like(_)));
        let table = create("CREATE TABLE t IF NOT EXISTS CLONE u AT (OFFSET => -60)");
        assert!(table.mode.if_not_exists);
        let CreateTableSource::Clone { point: Some(point), .. } = table.source else { panic!() };
        assert_eq!((point.kind, point.by.as_str()), (crate::TravelKind::At, "OFFSET"));
    }

    #[test]
    fn every_type_parses() {
        let types = "NUMBER, NUMBER(10), DECIMAL(10, 2), INT, INTEGER, BIGINT, SMALLINT, TINYINT, BYTEINT, FLOAT, \
            FLOAT4, FLOAT8, DOUBLE, DOUBLE PRECISION, REAL, VARCHAR, VARCHAR(16777216), CHAR, CHARACTER(3), \
            STRING, TEXT, NVARCHAR(5), BINARY, BINARY(8), VARBINARY, BOOLEAN, DATE, DATETIME, TIME, TIME(3), \
            TIMESTAMP, TIMESTAMP_NTZ, TIMESTAMP_NTZ(9), TIMESTAMP_LTZ(6), TIMESTAMP_TZ, VARIANT, OBJECT, ARRAY, \
            VECTOR(FLOAT, 256), GEOGRAPHY";
        let mut list = String::new();
        for (index, name) in types.split(", ").enumerate() {
            // Commas inside parentheses belong to the type.
            let separator = if index == 0 { "" } else { ", " };
            let continues = name.ends_with(')') && !name.contains('(');
            if continues {
                list.push_str(&format!(", {name}"));
            } else {
                list.push_str(&format!("{separator}c{index} {name}"));
            }
        }
        let (columns, _) = columns(create(&format!("CREATE TABLE t ({list})")));
        assert_eq!(columns.len(), 40);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE TABLE t", "");
        unexpected("CREATE TABLE t (a)", "");
        unexpected("CREATE TABLE t (a INT FROB)", "FROB");
        unexpected("CREATE TABLE t (a INT) FROB = 1", "FROB");
        unexpected("CREATE TABLE t (a INT,)", ")");
        unexpected("CREATE SECURE TABLE t (a INT)", "TABLE");
        unsupported("CREATE TABLE t USING TEMPLATE (SELECT 1)", "USING TEMPLATE");
        unsupported("CREATE TABLE t (a INT CHECK (a > 1))", "CHECK");
        unsupported("CREATE TABLE t (a INT PROJECTION POLICY p)", "PROJECTION POLICY");
        unexpected("CREATE TABLE t (a INT) WITH ROW ACCESS POLICY p", "");
        unexpected("CREATE TABLE t (a WITH MASKING POLICY p)", "");
        unsupported("CREATE TABLE t (a INT, b INT AS (a + 1))", "computed columns");
        unsupported("CREATE TABLE t (a INT PRIMARY KEY ENFORCED)", "ENFORCED");
        unsupported("CREATE OR ALTER TABLE t (a INT)", "CREATE OR ALTER");
        unsupported("CREATE DYNAMIC TABLE t AS SELECT 1", "CREATE DYNAMIC TABLE");
    }
}
