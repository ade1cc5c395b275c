//! CREATE RESOURCE MONITOR, ALTER RESOURCE MONITOR.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::common::CreateMode;
use super::create::CreateHead;
use super::options::Options;
use crate::tokens::Tokens;

#[derive(Debug, Clone, PartialEq)]
pub struct CreateResourceMonitor {
    pub mode: CreateMode,
    pub name: String,
    /// CREDIT_QUOTA, FREQUENCY, START_TIMESTAMP, END_TIMESTAMP, NOTIFY_USERS.
    pub options: Options,
    pub triggers: Vec<MonitorTrigger>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterResourceMonitor {
    pub name: String,
    pub if_exists: bool,
    pub options: Options,
    /// Takes the place of all triggers there are; none leaves them.
    pub triggers: Option<Vec<MonitorTrigger>>,
}

/// `ON percent PERCENT DO action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorTrigger {
    pub percent: u32,
    pub action: MonitorAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorAction {
    Notify,
    Suspend,
    SuspendImmediate,
}

const OPTIONS: &[&str] =
    &["CREDIT_QUOTA", "FREQUENCY", "START_TIMESTAMP", "END_TIMESTAMP", "NOTIFY_USERS"];

pub(super) fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.identifier()?;
    let _ = tokens.words("WITH");
    let (options, triggers) = properties(tokens)?;
    let triggers = triggers.unwrap_or_default();
    Ok(Statement::CreateResourceMonitor(CreateResourceMonitor { mode, name, options, triggers }))
}

pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.identifier()?;
    // TRIGGERS may follow the name, or the options after SET.
    let set = tokens.words("SET");
    if !set && !tokens.peek_words("TRIGGERS") {
        return Err(tokens.unexpected());
    }
    let (options, triggers) = properties(tokens)?;
    if options.is_empty() && triggers.is_none() {
        return Err(tokens.unexpected());
    }
    let alter = AlterResourceMonitor { name, if_exists, options, triggers };
    Ok(Statement::AlterResourceMonitor(alter))
}

/// The options and then the triggers, up to the statement's end.
fn properties(
    tokens: &mut Tokens<'_>,
) -> Result<(Options, Option<Vec<MonitorTrigger>>), UserError> {
    let mut options = Options::default();
    options.parse_known(tokens, OPTIONS)?;
    if !tokens.words("TRIGGERS") {
        return if tokens.at_end() { Ok((options, None)) } else { Err(tokens.unexpected()) };
    }
    let mut triggers = Vec::new();
    while !tokens.at_end() {
        tokens.expect_words("ON")?;
        let percent = match &tokens.peek().token {
            Token::Number(text, _) => text.parse().ok(),
            _ => None,
        };
        let Some(percent) = percent else { return Err(tokens.unexpected()) };
        tokens.advance();
        tokens.expect_words("PERCENT")?;
        tokens.expect_words("DO")?;
        let action = if tokens.words("NOTIFY") {
            MonitorAction::Notify
        } else if tokens.words("SUSPEND_IMMEDIATE") {
            MonitorAction::SuspendImmediate
        } else {
            tokens.expect_words("SUSPEND")?;
            MonitorAction::Suspend
        };
        triggers.push(MonitorTrigger { percent, action });
    }
    if triggers.is_empty() {
        return Err(tokens.unexpected());
    }
    Ok((options, Some(triggers)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{statement, unexpected};

    #[test]
    fn creates_and_alters() {
        let Statement::CreateResourceMonitor(create) = statement(
            "CREATE OR REPLACE RESOURCE MONITOR m WITH CREDIT_QUOTA = 10 FREQUENCY = MONTHLY
             START_TIMESTAMP = IMMEDIATELY NOTIFY_USERS = (a, b)
             TRIGGERS ON 75 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND
                      ON 110 PERCENT DO SUSPEND_IMMEDIATE",
        ) else {
            panic!()
        };
        assert!(create.mode.or_replace);
        assert_eq!(create.name, "M");
        assert_eq!(create.options.get("CREDIT_QUOTA").and_then(|v| v.as_integer()), Some(10));
        assert_eq!(create.options.get("NOTIFY_USERS").map(|v| v.as_list().len()), Some(2));
        let triggers: Vec<_> = create.triggers.iter().map(|t| (t.percent, t.action)).collect();
        assert_eq!(
            triggers,
            [
                (75, MonitorAction::Notify),
                (100, MonitorAction::Suspend),
                (110, MonitorAction::SuspendImmediate)
            ]
        );
        let Statement::AlterResourceMonitor(alter) =
            statement("ALTER RESOURCE MONITOR IF EXISTS m SET CREDIT_QUOTA = 5")
        else {
            panic!()
        };
        assert!(alter.if_exists && alter.triggers.is_none());
        let Statement::AlterResourceMonitor(alter) =
            statement("ALTER RESOURCE MONITOR m TRIGGERS ON 50 PERCENT DO NOTIFY")
        else {
            panic!()
        };
        assert_eq!(alter.triggers.map(|triggers| triggers.len()), Some(1));
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE RESOURCE MONITOR m WITH CREDIT_QUOTA = 1 COLOUR = RED", "COLOUR");
        unexpected("CREATE RESOURCE MONITOR m TRIGGERS", "");
        unexpected("CREATE RESOURCE MONITOR m TRIGGERS ON x PERCENT DO NOTIFY", "x");
        unexpected("CREATE RESOURCE MONITOR m TRIGGERS ON 5 PERCENT DO DANCE", "DANCE");
        unexpected("ALTER RESOURCE MONITOR m SET", "");
        unexpected("ALTER RESOURCE MONITOR m FROB", "FROB");
    }
}
