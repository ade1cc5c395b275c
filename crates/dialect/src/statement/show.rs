//! SHOW.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::grant::{grantee, scope};
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::ObjectWord;
use super::grant::Grantee;

/// `SHOW [TERSE] <objects> [HISTORY] [LIKE '…'] [IN …] [STARTS WITH '…'] [LIMIT n [FROM '…']]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    pub object: ShowObject,
    pub terse: bool,
    pub history: bool,
    /// Case-insensitive pattern with % and _.
    pub like: Option<String>,
    pub scope: Option<ShowScope>,
    /// `SHOW FUNCTIONS IN MODEL m VERSION v`.
    pub version: Option<String>,
    /// Case-sensitive.
    pub starts_with: Option<String>,
    pub limit: Option<u64>,
    pub limit_from: Option<String>,
}

macro_rules! show_objects {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// What SHOW lists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ShowObject { $($variant),* }
        impl ShowObject {
            pub const ALL: &'static [ShowObject] = &[$(ShowObject::$variant),*];
            pub fn as_str(self) -> &'static str { match self { $(ShowObject::$variant => $text),* } }
        }
    };
}

show_objects! {
    Tables = "TABLES", Views = "VIEWS", Objects = "OBJECTS", Schemas = "SCHEMAS",
    Databases = "DATABASES", Columns = "COLUMNS", Warehouses = "WAREHOUSES", Roles = "ROLES",
    DatabaseRoles = "DATABASE ROLES", Users = "USERS", Stages = "STAGES",
    FileFormats = "FILE FORMATS", Sequences = "SEQUENCES", Functions = "FUNCTIONS",
    UserFunctions = "USER FUNCTIONS", BuiltinFunctions = "BUILTIN FUNCTIONS",
    ExternalFunctions = "EXTERNAL FUNCTIONS", Procedures = "PROCEDURES",
    UserProcedures = "USER PROCEDURES", Parameters = "PARAMETERS", Variables = "VARIABLES",
    Models = "MODELS", VersionsInModel = "VERSIONS", FunctionsInModel = "MODEL FUNCTIONS",
    Endpoints = "ENDPOINTS", Transactions = "TRANSACTIONS", Locks = "LOCKS",
    PrimaryKeys = "PRIMARY KEYS", ImportedKeys = "IMPORTED KEYS", ExportedKeys = "EXPORTED KEYS",
    UniqueKeys = "UNIQUE KEYS", Streams = "STREAMS", Tasks = "TASKS", Pipes = "PIPES",
    Tags = "TAGS", MaskingPolicies = "MASKING POLICIES",
    RowAccessPolicies = "ROW ACCESS POLICIES", NetworkPolicies = "NETWORK POLICIES",
    ResourceMonitors = "RESOURCE MONITORS", Integrations = "INTEGRATIONS", Shares = "SHARES",
    Secrets = "SECRETS", DynamicTables = "DYNAMIC TABLES", ExternalTables = "EXTERNAL TABLES",
    MaterializedViews = "MATERIALIZED VIEWS", Regions = "REGIONS",
    Organizations = "ORGANIZATION ACCOUNTS", ComputePools = "COMPUTE POOLS",
    Services = "SERVICES", Streamlits = "STREAMLITS",
    UserAccessTokens = "USER PROGRAMMATIC ACCESS TOKENS",
}

/// Where SHOW looks.
#[derive(Debug, Clone, PartialEq)]
pub enum ShowScope {
    /// IN ACCOUNT; for PARAMETERS and LOCKS too.
    Account,
    /// IN DATABASE [name]; None: the current one.
    Database(Option<String>),
    /// IN SCHEMA [name].
    Schema(Option<ObjectName>),
    /// IN {TABLE | VIEW | MODEL | …} name, FOR USER name, FOR WAREHOUSE name …
    Object(ObjectWord, Option<ObjectName>),
    /// IN SESSION, FOR SESSION.
    Session,
    /// IN name: a schema or a database, whichever the name is; for COLUMNS and keys a table.
    Name(ObjectName),
}

/// `SHOW GRANTS …`.
#[derive(Debug, Clone, PartialEq)]
pub enum ShowGrants {
    /// Without arguments: to the current user.
    Mine,
    OnAccount,
    On {
        kind: ObjectWord,
        name: ObjectName,
    },
    To(Grantee),
    /// OF ROLE: who has the role.
    OfRole(ObjectName),
    OfDatabaseRole(ObjectName),
    /// FUTURE GRANTS IN {SCHEMA | DATABASE}.
    FutureIn(super::grant::Scope),
    /// FUTURE GRANTS TO ROLE.
    FutureTo(Grantee),
}

/// Other words for the same.
const SYNONYMS: &[(&str, ShowObject)] =
    &[("PATS", ShowObject::UserAccessTokens), ("USER PATS", ShowObject::UserAccessTokens)];

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    if let Some(word) = tokens.one_of(&["GRANTS", "FUTURE GRANTS"]) {
        let grants = grants(tokens, word == "FUTURE GRANTS")?;
        let limit = if tokens.words("LIMIT") { Some(limit(tokens)?) } else { None };
        return Ok(Statement::ShowGrants(grants, limit));
    }
    let terse = tokens.words("TERSE");
    let object = object(tokens).ok_or_else(|| tokens.unexpected())?;
    let mut show = Show {
        object,
        terse,
        history: tokens.words("HISTORY"),
        like: None,
        scope: None,
        version: None,
        starts_with: None,
        limit: None,
        limit_from: None,
    };
    loop {
        if show.like.is_none() && tokens.words("LIKE") {
            show.like = Some(tokens.expect_text()?);
        } else if show.scope.is_none() && tokens.one_of(&["IN", "FOR"]).is_some() {
            let found = show_scope(tokens)?;
            let of_model = matches!(found, ShowScope::Object(ObjectWord::Model, _));
            show.scope = Some(found);
            if of_model && tokens.words("VERSION") {
                show.version = Some(tokens.identifier()?);
            }
        } else if show.starts_with.is_none() && tokens.words("STARTS WITH") {
            show.starts_with = Some(tokens.expect_text()?);
        } else if show.limit.is_none() && tokens.words("LIMIT") {
            show.limit = Some(limit(tokens)?);
            if tokens.words("FROM") {
                show.limit_from = Some(tokens.expect_text()?);
            }
        } else {
            break;
        }
    }
    if show.object == ShowObject::VersionsInModel {
        match show.scope {
            Some(ShowScope::Object(ObjectWord::Model, Some(_))) => {}
            _ => return Err(tokens.unexpected()),
        }
    }
    let of_model = matches!(show.scope, Some(ShowScope::Object(ObjectWord::Model, Some(_))));
    if show.object == ShowObject::Functions && of_model {
        show.object = ShowObject::FunctionsInModel;
    }
    Ok(Statement::Show(show))
}

fn limit(tokens: &mut Tokens<'_>) -> Result<u64, UserError> {
    let position = tokens.position();
    let limit = tokens.integer()?;
    u64::try_from(limit).map_err(|_| tokens.invalid("LIMIT must not be negative.", position))
}

/// What is to be listed; the longest phrase that comes next.
fn object(tokens: &mut Tokens<'_>) -> Option<ShowObject> {
    let (words, object) = ShowObject::ALL
        .iter()
        .map(|object| (object.as_str(), *object))
        .chain(SYNONYMS.iter().copied())
        .filter(|(words, _)| tokens.peek_words(words))
        .max_by_key(|(words, _)| words.len())?;
    tokens.words(words).then_some(object)
}

fn show_scope(tokens: &mut Tokens<'_>) -> Result<ShowScope, UserError> {
    // A kind's word is a name where nothing but the word is there: `IN session`.
    let clause_follows = |tokens: &Tokens<'_>| {
        tokens.at_end()
            || tokens.peek_words("STARTS WITH")
            || (tokens.peek_words("LIMIT") && matches!(tokens.peek_nth(1).token, Token::Number(..)))
            || (tokens.peek_words("LIKE")
                && matches!(tokens.peek_nth(1).token, Token::SingleQuotedString(_)))
    };
    if tokens.words("ACCOUNT") {
        return Ok(ShowScope::Account);
    }
    if tokens.words("SESSION") {
        return Ok(ShowScope::Session);
    }
    let dotted = tokens.peek_nth(1).token == Token::Period;
    let kind = if dotted { None } else { ObjectWord::parse_optional(tokens) };
    let Some(kind) = kind else { return Ok(ShowScope::Name(tokens.name()?)) };
    let name = if clause_follows(tokens) { None } else { Some(tokens.name()?) };
    Ok(match kind {
        ObjectWord::Database => ShowScope::Database(match name {
            None => None,
            Some(ObjectName { database: None, schema: None, name }) => Some(name),
            Some(_) => return Err(tokens.unexpected()),
        }),
        ObjectWord::Schema => ShowScope::Schema(name),
        other => ShowScope::Object(other, name),
    })
}

fn grants(tokens: &mut Tokens<'_>, future: bool) -> Result<ShowGrants, UserError> {
    if future {
        return if tokens.words("IN") {
            Ok(ShowGrants::FutureIn(scope(tokens)?))
        } else {
            tokens.expect_words("TO")?;
            Ok(ShowGrants::FutureTo(grantee(tokens)?))
        };
    }
    if tokens.words("ON ACCOUNT") {
        Ok(ShowGrants::OnAccount)
    } else if tokens.words("ON") {
        let kind = ObjectWord::parse(tokens)?;
        Ok(ShowGrants::On { kind, name: tokens.name()? })
    } else if tokens.words("TO") {
        Ok(ShowGrants::To(grantee(tokens)?))
    } else if tokens.words("OF DATABASE ROLE") {
        Ok(ShowGrants::OfDatabaseRole(tokens.name()?))
    } else if tokens.words("OF ROLE") {
        Ok(ShowGrants::OfRole(tokens.name()?))
    } else if tokens.peek_words("OF") {
        tokens.advance();
        Err(tokens.unexpected())
    } else {
        Ok(ShowGrants::Mine)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected};

    fn show(sql: &str) -> Show {
        match statement(sql) {
            Statement::Show(show) => show,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn every_object_shows() {
        for object in ShowObject::ALL {
            let sql = match object {
                ShowObject::VersionsInModel => "SHOW VERSIONS IN MODEL m".to_string(),
                ShowObject::FunctionsInModel => "SHOW FUNCTIONS IN MODEL m".to_string(),
                other => format!("SHOW {}", other.as_str()),
            };
            assert_eq!(show(&sql).object, *object, "{sql}");
        }
    }

    #[test]
    fn clauses() {
        let found = show(
            "SHOW TERSE /* x */ TABLES HISTORY LIKE 'a%' IN SCHEMA d.s STARTS WITH 'b' LIMIT 5 FROM 'c'",
        );
        assert!(found.terse && found.history);
        assert_eq!((found.like.as_deref(), found.starts_with.as_deref()), (Some("a%"), Some("b")));
        assert_eq!((found.limit, found.limit_from.as_deref()), (Some(5), Some("c")));
        assert!(matches!(found.scope, Some(ShowScope::Schema(Some(_)))));
    }

    #[test]
    fn scopes() {
        for (sql, scope) in [
            ("SHOW TABLES IN ACCOUNT", ShowScope::Account),
            ("SHOW TABLES IN DATABASE", ShowScope::Database(None)),
            ("SHOW TABLES IN DATABASE LIMIT 5", ShowScope::Database(None)),
            ("SHOW TABLES IN DATABASE \"d\"", ShowScope::Database(Some("d".into()))),
            ("SHOW TABLES IN s", ShowScope::Name(ObjectName::bare("S"))),
            (
                "SHOW COLUMNS IN TABLE t",
                ShowScope::Object(ObjectWord::Table, Some(ObjectName::bare("T"))),
            ),
            ("SHOW PARAMETERS IN SESSION", ShowScope::Session),
            ("SHOW PARAMETERS LIKE 'x' FOR SESSION", ShowScope::Session),
            (
                "SHOW PARAMETERS IN USER u",
                ShowScope::Object(ObjectWord::User, Some(ObjectName::bare("U"))),
            ),
            (
                "SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER u",
                ShowScope::Object(ObjectWord::User, Some(ObjectName::bare("U"))),
            ),
        ] {
            assert_eq!(show(sql).scope, Some(scope), "{sql}");
        }
    }

    #[test]
    fn grants_show() {
        for (sql, expected) in [
            ("SHOW GRANTS", ShowGrants::Mine),
            ("SHOW GRANTS ON ACCOUNT", ShowGrants::OnAccount),
            (
                "SHOW GRANTS ON TABLE t",
                ShowGrants::On { kind: ObjectWord::Table, name: ObjectName::bare("T") },
            ),
            ("SHOW GRANTS OF ROLE r", ShowGrants::OfRole(ObjectName::bare("R"))),
        ] {
            assert_eq!(statement(sql), Statement::ShowGrants(expected.clone(), None), "{sql}");
            let limited = statement(&format!("{sql} LIMIT 2"));
            assert_eq!(limited, Statement::ShowGrants(expected, Some(2)), "{sql}");
        }
        all_parse(&[
            "SHOW GRANTS TO ROLE r",
            "SHOW GRANTS TO USER u",
            "SHOW FUTURE GRANTS IN SCHEMA d.s",
            "SHOW FUTURE GRANTS TO ROLE r",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("SHOW FROBS", "FROBS");
        unexpected("SHOW TABLES LIKE a", "a");
        unexpected("SHOW TABLES FROB", "FROB");
        unexpected("SHOW VERSIONS", "");
        unexpected("SHOW GRANTS OF USER u", "USER");
        unexpected("SHOW GRANTS LIMIT 2 FROM 'x'", "FROM");
    }
}
