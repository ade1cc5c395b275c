//! COPY INTO: loading and unloading.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::options::OptionValue;
use super::{Statement, file_transfer};
use crate::tokens::Tokens;

use frazil_common::ObjectName;
use sqlparser::ast::{Expr, Query};

use super::options::Options;

/// `COPY INTO table [(columns)] FROM …`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyIntoTable {
    pub table: ObjectName,
    pub columns: Vec<String>,
    pub source: CopySource,
    /// FILES = ('a', 'b').
    pub files: Option<Vec<String>>,
    /// PATTERN: a regular expression over the whole path.
    pub pattern: Option<String>,
    /// FILE_FORMAT = (TYPE = … | FORMAT_NAME = …).
    pub file_format: Options,
    /// RETURN_ERRORS, RETURN_ALL_ERRORS or RETURN_n_ROWS.
    pub validation_mode: Option<String>,
    /// ON_ERROR, SIZE_LIMIT, PURGE, RETURN_FAILED_ONLY, MATCH_BY_COLUMN_NAME, ENFORCE_LENGTH,
    /// TRUNCATECOLUMNS, FORCE, LOAD_UNCERTAIN_FILES, …
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CopySource {
    /// A stage path as `@name/path`, or an URL.
    Location(String),
    /// No FROM: the table's own stage.
    TableStage,
    Transform(Box<TransformQuery>),
}

/// `(SELECT [alias.]$n[:path][::type], … FROM @stage [alias])`.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformQuery {
    pub items: Vec<TransformItem>,
    pub location: String,
    pub alias: Option<String>,
    /// `@stage (FILE_FORMAT => …, PATTERN => …)` inside the query.
    pub location_options: Options,
    pub selection: Option<Expr>,
    pub distinct: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TransformItem {
    pub expr: Expr,
    pub alias: Option<String>,
}

/// `COPY INTO @stage/path FROM {table | (query)}`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyIntoLocation {
    pub location: String,
    pub source: UnloadSource,
    pub partition_by: Option<Expr>,
    pub file_format: Options,
    pub validation_mode: Option<String>,
    /// OVERWRITE, SINGLE, HEADER, MAX_FILE_SIZE, INCLUDE_QUERY_ID, DETAILED_OUTPUT.
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq)]
pub enum UnloadSource {
    Table(ObjectName),
    Query(Box<Query>),
}

const LOAD_OPTIONS: &[&str] = &[
    "ON_ERROR",
    "SIZE_LIMIT",
    "PURGE",
    "RETURN_FAILED_ONLY",
    "MATCH_BY_COLUMN_NAME",
    "INCLUDE_METADATA",
    "ENFORCE_LENGTH",
    "TRUNCATECOLUMNS",
    "FORCE",
    "LOAD_UNCERTAIN_FILES",
    "FILE_PROCESSOR",
    "LOAD_MODE",
];

const UNLOAD_OPTIONS: &[&str] =
    &["OVERWRITE", "SINGLE", "HEADER", "MAX_FILE_SIZE", "INCLUDE_QUERY_ID", "DETAILED_OUTPUT"];

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    match &tokens.peek().token {
        Token::SingleQuotedString(text) if !text.starts_with('@') => {
            Err(tokens.unsupported(format!("COPY INTO the external location '{text}'")))
        }
        Token::SingleQuotedString(_) => unload(tokens),
        _ => load(tokens),
    }
}

fn load(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let table = tokens.name()?;
    let columns = if tokens.peek().token == Token::LParen {
        tokens.parenthesized(|tokens| tokens.identifier())?
    } else {
        Vec::new()
    };
    let source = if !tokens.words("FROM") {
        CopySource::TableStage
    } else if tokens.token(&Token::LParen) {
        let query = transform(tokens)?;
        tokens.expect(&Token::RParen)?;
        CopySource::Transform(Box::new(query))
    } else {
        CopySource::Location(file_transfer::location(tokens)?)
    };
    let mut copy = CopyIntoTable {
        table,
        columns,
        source,
        files: None,
        pattern: None,
        file_format: Options::default(),
        validation_mode: None,
        options: Options::default(),
    };
    loop {
        if copy.files.is_none() && tokens.words("FILES") {
            tokens.expect(&Token::Eq)?;
            copy.files = Some(tokens.parenthesized(|tokens| tokens.expect_text())?);
        } else if copy.pattern.is_none() && tokens.words("PATTERN") {
            tokens.expect(&Token::Eq)?;
            copy.pattern = Some(tokens.expect_text()?);
        } else if copy.file_format.is_empty() && tokens.words("FILE_FORMAT") {
            copy.file_format = file_format(tokens)?;
        } else if copy.validation_mode.is_none() && tokens.words("VALIDATION_MODE") {
            tokens.optional_equals();
            copy.validation_mode = Some(tokens.identifier_or_text()?.to_uppercase());
        } else if LOAD_OPTIONS.iter().any(|key| tokens.peek_words(key)) {
            copy.options.parse_known(tokens, LOAD_OPTIONS)?;
        } else {
            return Ok(Statement::CopyIntoTable(Box::new(copy)));
        }
    }
}

/// `= (…)`, `= 'name'` or `= name`; a name alone becomes FORMAT_NAME.
pub(super) fn file_format(tokens: &mut Tokens<'_>) -> Result<Options, UserError> {
    if !tokens.token(&Token::RArrow) {
        tokens.expect(&Token::Eq)?;
    }
    if tokens.peek().token == Token::LParen {
        return Options::parse_parenthesized(tokens);
    }
    let value = match tokens.text_literal() {
        Some(text) => OptionValue::Text(text),
        None => OptionValue::Word(tokens.name()?.to_string()),
    };
    Ok(Options(vec![("FORMAT_NAME".to_string(), value)]))
}

fn transform(tokens: &mut Tokens<'_>) -> Result<TransformQuery, UserError> {
    tokens.expect_words("SELECT")?;
    let distinct = tokens.words("DISTINCT");
    let items = tokens.comma_separated(|tokens| {
        let expr = tokens.expr()?;
        let alias = if tokens.words("AS")
            || (tokens.peek_ident().is_some() && !tokens.peek_words("FROM"))
        {
            Some(tokens.identifier()?)
        } else {
            None
        };
        Ok(TransformItem { expr, alias })
    })?;
    tokens.expect_words("FROM")?;
    let location = file_transfer::location(tokens)?;
    let location_options = if tokens.peek().token == Token::LParen {
        Options::parse_parenthesized(tokens)?
    } else {
        Options::default()
    };
    let alias =
        if tokens.words("AS") || (tokens.peek_ident().is_some() && !tokens.peek_words("WHERE")) {
            Some(tokens.identifier()?)
        } else {
            None
        };
    let selection = if tokens.words("WHERE") { Some(tokens.expr()?) } else { None };
    Ok(TransformQuery { items, location, alias, location_options, selection, distinct })
}

fn unload(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let location = file_transfer::location(tokens)?;
    tokens.expect_words("FROM")?;
    let source = if tokens.peek().token == Token::LParen {
        UnloadSource::Query(tokens.query()?)
    } else {
        UnloadSource::Table(tokens.name()?)
    };
    let mut copy = CopyIntoLocation {
        location,
        source,
        partition_by: None,
        file_format: Options::default(),
        validation_mode: None,
        options: Options::default(),
    };
    loop {
        if copy.partition_by.is_none() && tokens.words("PARTITION BY") {
            copy.partition_by = Some(tokens.expr()?);
        } else if copy.file_format.is_empty() && tokens.words("FILE_FORMAT") {
            copy.file_format = file_format(tokens)?;
        } else if copy.validation_mode.is_none() && tokens.words("VALIDATION_MODE") {
            tokens.optional_equals();
            copy.validation_mode = Some(tokens.identifier_or_text()?.to_uppercase());
        } else if UNLOAD_OPTIONS.iter().any(|key| tokens.peek_words(key)) {
            copy.options.parse_known(tokens, UNLOAD_OPTIONS)?;
        } else {
            return Ok(Statement::CopyIntoLocation(Box::new(copy)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected, unsupported};

    fn load(sql: &str) -> CopyIntoTable {
        match statement(sql) {
            Statement::CopyIntoTable(copy) => *copy,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn loads_from_a_stage() {
        let copy = load(
            "COPY INTO s.t (a, b) FROM @st/dir/x FILES = ('a.csv', 'b.csv') PATTERN = '.*csv' \
             FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '|' SKIP_HEADER = 1 NULL_IF = ('', 'x')) \
             ON_ERROR = SKIP_FILE_10% PURGE = TRUE FORCE = FALSE \
             MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE VALIDATION_MODE = RETURN_5_ROWS",
        );
        assert_eq!(copy.columns, ["A", "B"]);
        assert_eq!(copy.source, CopySource::Location("@st/dir/x".into()));
        assert_eq!(copy.files, Some(vec!["a.csv".to_string(), "b.csv".to_string()]));
        assert_eq!(copy.pattern.as_deref(), Some(".*csv"));
        assert_eq!(copy.file_format.get("TYPE"), Some(&OptionValue::Word("CSV".into())));
        assert_eq!(
            copy.file_format.get("NULL_IF"),
            Some(&OptionValue::List(vec![
                OptionValue::Text("".into()),
                OptionValue::Text("x".into())
            ]))
        );
        assert_eq!(copy.options.get("ON_ERROR"), Some(&OptionValue::Word("SKIP_FILE_10%".into())));
        assert_eq!(copy.options.get("PURGE").and_then(OptionValue::as_boolean), Some(true));
        assert_eq!(copy.validation_mode.as_deref(), Some("RETURN_5_ROWS"));
    }

    #[test]
    fn transforms_while_loading() {
        let copy = load(
            "COPY INTO \"T\" (\"a\", \"b\") FROM (SELECT $1:\"a\"::NUMBER(38, 0), $1:\"b\" AS b \
             FROM @\"D\".\"S\".\"st\"/x) FILE_FORMAT=(TYPE=PARQUET COMPRESSION=auto) PURGE=TRUE ON_ERROR=abort_statement",
        );
        let CopySource::Transform(query) = copy.source else { panic!() };
        assert_eq!(query.items.len(), 2);
        assert_eq!(query.items[1].alias.as_deref(), Some("B"));
        assert_eq!(query.location, "@\"D\".\"S\".\"st\"/x");
    }

    #[test]
    fn a_format_may_be_named() {
        let copy = load("COPY INTO t FROM '@st' FILE_FORMAT = my.fmt");
        assert_eq!(copy.file_format.get("FORMAT_NAME"), Some(&OptionValue::Word("MY.FMT".into())));
        let copy = load("COPY INTO t FROM '@st' FILE_FORMAT = 'fmt'");
        assert_eq!(copy.file_format.get("FORMAT_NAME"), Some(&OptionValue::Text("fmt".into())));
    }

    #[test]
    fn unloads() {
        let sql = "COPY INTO @st/out FROM (SELECT a FROM t) PARTITION BY (a) \
                   FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE OVERWRITE = TRUE MAX_FILE_SIZE = 100";
        let Statement::CopyIntoLocation(copy) = statement(sql) else { panic!() };
        assert_eq!(copy.location, "@st/out");
        assert!(matches!(copy.source, UnloadSource::Query(_)));
        assert!(copy.partition_by.is_some());
        let Statement::CopyIntoLocation(copy) = statement("COPY INTO @~ FROM s.t SINGLE = TRUE")
        else {
            panic!()
        };
        assert!(matches!(copy.source, UnloadSource::Table(_)));
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("COPY INTO t FROM @st FROB = 1", "FROB");
        unexpected("COPY INTO t '@st'", "'@st'");
        assert_eq!(load("COPY INTO t PURGE = TRUE").source, CopySource::TableStage);
        unexpected("COPY INTO t FROM (SELECT $1 FROM @st LIMIT 1)", "1)");
        unexpected("COPY INTO @st FROM t PURGE = TRUE", "PURGE");
        unsupported("COPY INTO 's3://x' FROM t", "s3://x");
    }
}
