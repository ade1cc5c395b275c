//! CREATE: the words before the object's kind, then the kind's own parser.

use frazil_common::UserError;

use super::common::{CreateMode, ObjectWord, Persistence};
use super::{
    Statement, create_table, create_view, endpoint, model, namespace, policy, principals, sequence,
};
use super::{resource_monitor, stage, tag, warehouse};
use crate::tokens::Tokens;

/// What stands between CREATE and the kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CreateHead {
    pub mode: CreateMode,
    pub persistence: Persistence,
    pub secure: bool,
    pub recursive: bool,
}

type Parse = fn(&mut Tokens<'_>, CreateHead) -> Result<Statement, UserError>;

/// The kinds, which of `TRANSIENT` and `TEMPORARY` they take, and their parsers.
const KINDS: &[(&str, &[Persistence], Parse)] = {
    use Persistence::{Permanent, Temporary, Transient};
    &[
        ("TABLE", &[Permanent, Transient, Temporary], create_table::parse),
        ("VIEW", &[Permanent, Temporary], create_view::parse),
        ("DATABASE ROLE", &[Permanent], principals::parse_database_role),
        ("DATABASE", &[Permanent, Transient], namespace::parse_database),
        ("SCHEMA", &[Permanent, Transient], namespace::parse_schema),
        ("WAREHOUSE", &[Permanent], warehouse::parse_create),
        ("RESOURCE MONITOR", &[Permanent], resource_monitor::parse_create),
        ("ROLE", &[Permanent], principals::parse_role),
        ("USER", &[Permanent], principals::parse_user),
        ("STAGE", &[Permanent, Temporary], stage::parse_stage),
        ("FILE FORMAT", &[Permanent, Temporary], stage::parse_file_format),
        ("SEQUENCE", &[Permanent], sequence::parse),
        ("MODEL", &[Permanent], model::parse_create),
        ("MASKING POLICY", &[Permanent], policy::parse_masking),
        ("ROW ACCESS POLICY", &[Permanent], policy::parse_row_access),
        ("TAG", &[Permanent], tag::parse_create),
        ("ENDPOINT", &[Permanent], endpoint::parse_create),
    ]
};

pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let mut head = CreateHead::default();
    if tokens.peek_words("OR ALTER") {
        return Err(tokens.unsupported("CREATE OR ALTER"));
    }
    head.mode.or_replace = tokens.words("OR REPLACE");
    // LOCAL, GLOBAL and SCOPED add nothing to TEMPORARY, and VOLATILE is another word for it.
    loop {
        let before = tokens.position();
        if !head.secure && tokens.words("SECURE") {
            head.secure = true;
        } else if !head.recursive && tokens.words("RECURSIVE") {
            head.recursive = true;
        } else if head.persistence == Persistence::Permanent && tokens.words("TRANSIENT") {
            head.persistence = Persistence::Transient;
        } else if head.persistence == Persistence::Permanent
            && tokens
                .one_of(&[
                    "TEMPORARY",
                    "TEMP",
                    "VOLATILE",
                    "LOCAL TEMPORARY",
                    "LOCAL TEMP",
                    "GLOBAL TEMPORARY",
                    "GLOBAL TEMP",
                    "SCOPED TEMPORARY",
                    "SCOPED TEMP",
                ])
                .is_some()
        {
            head.persistence = Persistence::Temporary;
        } else {
            debug_assert_eq!(before, tokens.position());
            break;
        }
    }
    for (words, persistences, parse) in KINDS {
        if tokens.peek_words(words) {
            let view = *words == "VIEW";
            if !persistences.contains(&head.persistence)
                || (!view && (head.secure || head.recursive))
            {
                return Err(tokens.unexpected());
            }
            tokens.expect_words(words)?;
            return parse(tokens, head);
        }
    }
    for words in [
        "HYBRID TABLE",
        "ICEBERG TABLE",
        "EVENT TABLE",
        "ALERT",
        "NETWORK RULE",
        "API INTEGRATION",
        "STORAGE INTEGRATION",
        "SECURITY INTEGRATION",
        "NOTIFICATION INTEGRATION",
        "AGGREGATE FUNCTION",
        "EXTERNAL FUNCTION",
        "SESSION POLICY",
        "PASSWORD POLICY",
        "SEMANTIC VIEW",
        "IMAGE REPOSITORY",
        "NOTEBOOK",
    ] {
        if tokens.peek_words(words) {
            return Err(tokens.unsupported(format!("CREATE {words}")));
        }
    }
    let refusal = tokens.unsupported("CREATE");
    match ObjectWord::parse_optional(tokens) {
        Some(kind) => Err(UserError::unsupported(format!("CREATE {kind}")).at(refusal.position)),
        None => Err(tokens.unexpected()),
    }
}
