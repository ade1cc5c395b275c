//! CREATE STAGE, CREATE FILE FORMAT.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::{comment, refuse_governance};
use super::copy::file_format;
use super::create::CreateHead;
use crate::tokens::Tokens;

use frazil_common::ObjectName;

use super::common::{CreateMode, Persistence};
use super::options::Options;
use super::tag::{self, TagValue};

#[derive(Debug, Clone, PartialEq)]
pub struct CreateStage {
    pub mode: CreateMode,
    pub persistence: Persistence,
    pub name: ObjectName,
    /// URL of an external stage.
    pub url: Option<String>,
    /// FILE_FORMAT = (…); FORMAT_NAME where the name alone was given.
    pub file_format: Options,
    /// DIRECTORY = (ENABLE = …).
    pub directory: Options,
    /// ENCRYPTION = (TYPE = …).
    pub encryption: Options,
    pub copy_options: Options,
    pub comment: Option<String>,
    pub tags: Vec<TagValue>,
    /// STORAGE_INTEGRATION, CREDENTIALS, … of external stages.
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateFileFormat {
    pub mode: CreateMode,
    pub persistence: Persistence,
    pub name: ObjectName,
    /// TYPE and the format's options.
    pub options: Options,
    pub comment: Option<String>,
}

/// What only external stages have.
const EXTERNAL: &[&str] =
    &["STORAGE_INTEGRATION", "CREDENTIALS", "ENDPOINT", "USE_PRIVATELINK_ENDPOINT"];

pub(super) fn parse_stage(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let mut stage = CreateStage {
        mode,
        persistence: head.persistence,
        name,
        url: None,
        file_format: Options::default(),
        directory: Options::default(),
        encryption: Options::default(),
        copy_options: Options::default(),
        comment: None,
        tags: Vec::new(),
        options: Options::default(),
    };
    let parenthesized = |tokens: &mut Tokens<'_>| {
        tokens.expect(&Token::Eq)?;
        Options::parse_parenthesized(tokens)
    };
    loop {
        let tags = tag::values(tokens, &stage.tags)?;
        if !tags.is_empty() {
            stage.tags = tags;
            continue;
        }
        refuse_governance(tokens)?;
        if stage.url.is_none() && tokens.words("URL") {
            tokens.expect(&Token::Eq)?;
            stage.url = Some(tokens.expect_text()?);
        } else if stage.file_format.is_empty() && tokens.words("FILE_FORMAT") {
            stage.file_format = file_format(tokens)?;
        } else if stage.directory.is_empty() && tokens.words("DIRECTORY") {
            stage.directory = parenthesized(tokens)?;
        } else if stage.encryption.is_empty() && tokens.words("ENCRYPTION") {
            stage.encryption = parenthesized(tokens)?;
        } else if stage.copy_options.is_empty() && tokens.words("COPY_OPTIONS") {
            stage.copy_options = parenthesized(tokens)?;
        } else if stage.comment.is_none() && tokens.peek_words("COMMENT") {
            stage.comment = comment(tokens)?;
        } else if EXTERNAL.iter().any(|key| tokens.peek_words(key)) {
            stage.options.parse_known(tokens, EXTERNAL)?;
        } else {
            return Ok(Statement::CreateStage(stage));
        }
    }
}

pub(super) fn parse_file_format(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let mut options = Options::parse_to_end(tokens, false)?;
    let comment =
        options.take("COMMENT").and_then(|value| value.as_text().map(ToString::to_string));
    Ok(Statement::CreateFileFormat(CreateFileFormat {
        mode,
        persistence: head.persistence,
        name,
        options,
        comment,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn stages() {
        let Statement::CreateStage(create) = statement(
            "create scoped temporary stage if not exists \"D\".\"S\".x FILE_FORMAT = (TYPE = PARQUET COMPRESSION = auto) \
             DIRECTORY = (ENABLE = TRUE) ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') COMMENT = 'c'",
        ) else {
            panic!()
        };
        assert_eq!(create.persistence, Persistence::Temporary);
        assert!(create.mode.if_not_exists && create.url.is_none());
        assert_eq!(
            create.file_format.get("COMPRESSION").and_then(|value| value.as_text()),
            Some("AUTO")
        );
        assert_eq!(create.directory.get("ENABLE").and_then(|value| value.as_boolean()), Some(true));
        let Statement::CreateStage(create) =
            statement("CREATE STAGE s URL = 's3://b/x' STORAGE_INTEGRATION = i")
        else {
            panic!()
        };
        assert_eq!(create.url.as_deref(), Some("s3://b/x"));
    }

    #[test]
    fn file_formats() {
        let Statement::CreateFileFormat(create) = statement(
            "CREATE OR REPLACE TEMP FILE FORMAT f TYPE = 'CSV' FIELD_DELIMITER = ',' SKIP_HEADER = 1 \
             NULL_IF = ('', 'NULL') COMMENT = 'c'",
        ) else {
            panic!()
        };
        assert_eq!((create.options.0.len(), create.comment.as_deref()), (4, Some("c")));
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE STAGE s FROB = 1", "FROB");
        unexpected("CREATE STAGE s DIRECTORY = TRUE", "TRUE");
        unexpected("CREATE FILE FORMAT f TYPE CSV", "CSV");
        unexpected("CREATE TRANSIENT STAGE s", "STAGE");
    }
}
