//! ALTER USER … PROGRAMMATIC ACCESS TOKEN.

use frazil_common::UserError;

use super::Statement;
use crate::tokens::Tokens;

use super::options::Options;

/// `ALTER USER [IF EXISTS] [user] {ADD | MODIFY | ROTATE | REMOVE} PROGRAMMATIC ACCESS TOKEN …`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterUserAccessToken {
    /// None: the session's own user.
    pub user: Option<String>,
    pub if_exists: bool,
    /// The token's name.
    pub token: String,
    pub action: AccessTokenAction,
}

/// What is done to the token.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessTokenAction {
    /// Options: ROLE_RESTRICTION, DAYS_TO_EXPIRY, MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT, COMMENT.
    Add(Options),
    /// SET of the same options and DISABLED.
    Set(Options),
    RenameTo(String),
    /// Options: EXPIRE_ROTATED_TOKEN_AFTER_HOURS.
    Rotate(Options),
    Remove,
}

const ADD: &[&str] =
    &["ROLE_RESTRICTION", "DAYS_TO_EXPIRY", "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT", "COMMENT"];
const SET: &[&str] = &["DISABLED", "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT", "COMMENT"];

/// Reads what follows ALTER USER if it is about an access token; otherwise reads nothing.
pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Option<Statement>, UserError> {
    let verb_at = |tokens: &Tokens<'_>, n: usize| {
        ["ADD", "MODIFY", "ROTATE", "REMOVE"].iter().any(|verb| tokens.peek_nth_word(n, verb))
            && (tokens.peek_nth_word(n + 1, "PAT") || tokens.peek_nth_word(n + 1, "PROGRAMMATIC"))
    };
    let skip = if tokens.peek_words("IF EXISTS") { 2 } else { 0 };
    let without_user = verb_at(tokens, skip);
    if !without_user && !verb_at(tokens, skip + 1) {
        return Ok(None);
    }
    let if_exists = tokens.words("IF EXISTS");
    let user = if without_user { None } else { Some(tokens.identifier()?) };
    let Some(verb) = tokens.one_of(&["ADD", "MODIFY", "ROTATE", "REMOVE"]) else {
        return Err(tokens.unexpected());
    };
    if !tokens.words("PAT") {
        tokens.expect_words("PROGRAMMATIC ACCESS TOKEN")?;
    }
    let token = tokens.identifier()?;
    let mut options = Options::default();
    let action = match verb {
        "ADD" => {
            options.parse_known(tokens, ADD)?;
            AccessTokenAction::Add(options)
        }
        "ROTATE" => {
            options.parse_known(tokens, &["EXPIRE_ROTATED_TOKEN_AFTER_HOURS"])?;
            AccessTokenAction::Rotate(options)
        }
        "REMOVE" => AccessTokenAction::Remove,
        _ if tokens.words("RENAME TO") => AccessTokenAction::RenameTo(tokens.identifier()?),
        _ => {
            tokens.expect_words("SET")?;
            options.parse_known(tokens, SET)?;
            if options.is_empty() {
                return Err(tokens.unexpected());
            }
            AccessTokenAction::Set(options)
        }
    };
    Ok(Some(Statement::AlterUserAccessToken(AlterUserAccessToken {
        user,
        if_exists,
        token,
        action,
    })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, statement, unexpected};

    #[test]
    fn adds_a_token_to_a_user() {
        let sql = "ALTER USER IF EXISTS joe ADD PROGRAMMATIC ACCESS TOKEN ci \
                   ROLE_RESTRICTION = 'ETL' DAYS_TO_EXPIRY = 30";
        let Statement::AlterUserAccessToken(alter) = statement(sql) else { panic!("{sql}") };
        assert_eq!(
            (alter.user.as_deref(), alter.if_exists, alter.token.as_str()),
            (Some("JOE"), true, "CI")
        );
        let AccessTokenAction::Add(options) = alter.action else { panic!("{sql}") };
        assert_eq!(options.get("DAYS_TO_EXPIRY").and_then(OptionValue::as_integer), Some(30));
        assert_eq!(options.get("ROLE_RESTRICTION").and_then(OptionValue::as_text), Some("ETL"));
    }

    #[test]
    fn the_user_may_be_left_out() {
        let Statement::AlterUserAccessToken(alter) = statement("ALTER USER REMOVE PAT ci") else {
            panic!()
        };
        assert_eq!((alter.user, alter.action), (None, AccessTokenAction::Remove));
    }

    #[test]
    fn the_other_actions_parse() {
        all_parse(&[
            "ALTER USER joe ROTATE PAT ci EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 1",
            "ALTER USER joe MODIFY PROGRAMMATIC ACCESS TOKEN ci RENAME TO cd",
            "ALTER USER joe MODIFY PAT ci SET DISABLED = TRUE",
        ]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("ALTER USER joe ADD PAT ci COLOUR = 1", "COLOUR");
        unexpected("ALTER USER joe MODIFY PAT ci SET", "");
        unexpected("ALTER USER joe REMOVE PROGRAMMATIC TOKEN ci", "TOKEN");
    }

    use super::super::options::OptionValue;
}
