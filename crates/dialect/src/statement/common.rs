//! Syntax shared by several statements.

use frazil_common::UserError;
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use crate::tokens::Tokens;

/// `OR REPLACE` and `IF NOT EXISTS` of a CREATE statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreateMode {
    pub or_replace: bool,
    pub if_not_exists: bool,
}

/// How long an object and its data live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    #[default]
    Permanent,
    Transient,
    /// Seen by the session alone and dropped with it: TEMPORARY, TEMP, VOLATILE, LOCAL or GLOBAL
    /// TEMPORARY, SCOPED TEMPORARY.
    Temporary,
}

macro_rules! object_words {
    ($($variant:ident = $singular:literal / $plural:literal),* $(,)?) => {
        /// A kind of object as DROP, GRANT, DESCRIBE, ALTER and COMMENT name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ObjectWord { $($variant),* }
        impl ObjectWord {
            pub const ALL: &'static [ObjectWord] = &[$(ObjectWord::$variant),*];
            /// The words in the singular, such as `FILE FORMAT`.
            pub fn as_str(self) -> &'static str { match self { $(ObjectWord::$variant => $singular),* } }
            /// The words in the plural, such as `FILE FORMATS`.
            pub fn plural(self) -> &'static str { match self { $(ObjectWord::$variant => $plural),* } }
        }
    };
}

object_words! {
    Table = "TABLE" / "TABLES",
    View = "VIEW" / "VIEWS",
    Schema = "SCHEMA" / "SCHEMAS",
    Database = "DATABASE" / "DATABASES",
    DatabaseRole = "DATABASE ROLE" / "DATABASE ROLES",
    Stage = "STAGE" / "STAGES",
    FileFormat = "FILE FORMAT" / "FILE FORMATS",
    Sequence = "SEQUENCE" / "SEQUENCES",
    Model = "MODEL" / "MODELS",
    Endpoint = "ENDPOINT" / "ENDPOINTS",
    Warehouse = "WAREHOUSE" / "WAREHOUSES",
    Role = "ROLE" / "ROLES",
    User = "USER" / "USERS",
    Account = "ACCOUNT" / "ACCOUNTS",
    Column = "COLUMN" / "COLUMNS",
    Function = "FUNCTION" / "FUNCTIONS",
    Procedure = "PROCEDURE" / "PROCEDURES",
    Stream = "STREAM" / "STREAMS",
    Task = "TASK" / "TASKS",
    Pipe = "PIPE" / "PIPES",
    Tag = "TAG" / "TAGS",
    MaskingPolicy = "MASKING POLICY" / "MASKING POLICIES",
    RowAccessPolicy = "ROW ACCESS POLICY" / "ROW ACCESS POLICIES",
    NetworkPolicy = "NETWORK POLICY" / "NETWORK POLICIES",
    ResourceMonitor = "RESOURCE MONITOR" / "RESOURCE MONITORS",
    Integration = "INTEGRATION" / "INTEGRATIONS",
    Secret = "SECRET" / "SECRETS",
    Share = "SHARE" / "SHARES",
    DynamicTable = "DYNAMIC TABLE" / "DYNAMIC TABLES",
    ExternalTable = "EXTERNAL TABLE" / "EXTERNAL TABLES",
    MaterializedView = "MATERIALIZED VIEW" / "MATERIALIZED VIEWS",
    ComputePool = "COMPUTE POOL" / "COMPUTE POOLS",
    Service = "SERVICE" / "SERVICES",
    Streamlit = "STREAMLIT" / "STREAMLITS",
}

impl std::fmt::Display for ObjectWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// AT or BEFORE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TravelKind {
    At,
    Before,
}

/// `{AT | BEFORE} (TIMESTAMP => … | OFFSET => … | STATEMENT => … | STREAM => … | VERSION => …)` of a CLONE.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeTravelPoint {
    pub kind: TravelKind,
    /// TIMESTAMP, OFFSET, STATEMENT or VERSION.
    pub by: String,
    pub value: Expr,
}

impl ObjectWord {
    /// Reads a kind in the singular; two-word kinds before their first word alone.
    pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<ObjectWord, UserError> {
        Self::parse_optional(tokens).ok_or_else(|| tokens.unexpected())
    }

    pub(super) fn parse_optional(tokens: &mut Tokens<'_>) -> Option<ObjectWord> {
        Self::longest(tokens, ObjectWord::as_str)
    }

    /// Reads a kind in the plural.
    pub(super) fn parse_plural(tokens: &mut Tokens<'_>) -> Result<ObjectWord, UserError> {
        Self::longest(tokens, ObjectWord::plural).ok_or_else(|| tokens.unexpected())
    }

    fn longest(tokens: &mut Tokens<'_>, words: fn(ObjectWord) -> &'static str) -> Option<Self> {
        let kind = Self::ALL
            .iter()
            .copied()
            .filter(|kind| tokens.peek_words(words(*kind)))
            .max_by_key(|kind| words(*kind).len())?;
        tokens.words(words(kind)).then_some(kind)
    }
}

impl CreateMode {
    /// Reads `IF NOT EXISTS`, which may stand before or after the name.
    pub(super) fn if_not_exists(&mut self, tokens: &mut Tokens<'_>) {
        if !self.if_not_exists && tokens.words("IF NOT EXISTS") {
            self.if_not_exists = true;
        }
    }
}

/// Reads `COMMENT [=] '…'` if it comes next.
pub(super) fn comment(tokens: &mut Tokens<'_>) -> Result<Option<String>, UserError> {
    if tokens.words("COMMENT") { tokens.equals_text().map(Some) } else { Ok(None) }
}

/// Refuses policies and tags by name.
pub(super) fn refuse_governance(tokens: &mut Tokens<'_>) -> Result<(), UserError> {
    for words in [
        "WITH MASKING POLICY",
        "MASKING POLICY",
        "WITH PROJECTION POLICY",
        "PROJECTION POLICY",
        "WITH ROW ACCESS POLICY",
        "ROW ACCESS POLICY",
        "WITH AGGREGATION POLICY",
        "AGGREGATION POLICY",
        "WITH TAG",
        "TAG",
    ] {
        if tokens.peek_words(words) {
            let what = words.strip_prefix("WITH ").unwrap_or(words);
            return Err(tokens.unsupported(what));
        }
    }
    Ok(())
}

impl TimeTravelPoint {
    /// Reads `{AT | BEFORE} (…)` if it comes next.
    pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Option<Self>, UserError> {
        let kind = match tokens.one_of(&["AT", "BEFORE"]) {
            Some("AT") => TravelKind::At,
            Some(_) => TravelKind::Before,
            None => return Ok(None),
        };
        tokens.expect(&Token::LParen)?;
        let Some(by) = tokens.one_of(&["TIMESTAMP", "OFFSET", "STATEMENT", "VERSION"]) else {
            return Err(tokens.unexpected());
        };
        tokens.expect(&Token::RArrow)?;
        let value = tokens.expr()?;
        tokens.expect(&Token::RParen)?;
        Ok(Some(TimeTravelPoint { kind, by: by.to_string(), value }))
    }
}
