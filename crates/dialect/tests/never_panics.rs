//! Whatever the text, parsing ends with statements or an error that lies in the text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "WITH",
    "AS",
    "MODEL",
    "VERSION",
    "USING",
    "TABLE",
    "CREATE",
    "OR",
    "REPLACE",
    "TEMP",
    "VIEW",
    "ALTER",
    "DROP",
    "IF",
    "NOT",
    "EXISTS",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "MERGE",
    "WHEN",
    "MATCHED",
    "THEN",
    "COPY",
    "PUT",
    "GET",
    "LIST",
    "SHOW",
    "TABLES",
    "IN",
    "LIKE",
    "GRANT",
    "REVOKE",
    "ON",
    "TO",
    "ROLE",
    "IDENTIFIER",
    "LATERAL",
    "FLATTEN",
    "AT",
    "BEFORE",
    "OFFSET",
    "INTERVAL",
    "CASE",
    "END",
    "CAST",
    "NULL",
    "DEFAULT",
    "JOIN",
    "UNION",
    "ALL",
    "PIVOT",
    "QUALIFY",
    "OVER",
    "DESCRIBE",
    "COMMENT",
    "BEGIN",
    "EXPLAIN",
    "EXECUTE",
    "IMMEDIATE",
    "CALL",
    "STAGE",
    "FILE",
    "FORMAT",
    "ENDPOINT",
    "a",
    "t",
    "\"q\"",
    "'s'",
    "'@st/x'",
    "@st/x",
    "@",
    "$$x$$",
    "$1",
    "$v",
    "?",
    ":1",
    ":",
    "1",
    "1.5e3",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ".",
    "*",
    "!",
    "!=",
    "=",
    "=>",
    "->",
    "->>",
    "::",
    "+",
    "-",
    "/",
    "//",
    "/*",
    "--",
    "\n",
    "file://x",
    "'",
    "\"",
    "$$",
    "%",
    "|",
    "||",
    "<",
    ">",
    "#",
    "é",
    "\\",
    "X'ab'",
    "TRUE",
    "DATE",
    "FOR",
    "USER",
];

fn check(text: &str) {
    if let Err(error) = frazil_dialect::parse_statements(text) {
        assert!(!error.message.is_empty());
        if let Some(place) = error.position {
            let lines = u64::try_from(text.matches('\n').count()).unwrap() + 1;
            assert!(place.line >= 1 && place.line <= lines, "{place:?} in {text:?}");
            assert!(place.column >= 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn word_soup(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..24)) {
        check(&words.join(" "));
    }

    #[test]
    fn glued_soup(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..12)) {
        check(&words.concat());
    }

    #[test]
    fn characters(text in "\\PC{0,60}") {
        check(&text);
    }

    #[test]
    fn identifiers_survive(name in "\\PC{1,20}") {
        let quoted = frazil_common::quote_identifier(&name);
        let parsed = frazil_dialect::parse_object_name_text(&quoted);
        prop_assert_eq!(parsed.map(|name| name.name), Ok(name));
    }

    #[test]
    fn strings_survive(text in "\\PC{0,40}") {
        let literal = text.replace('\\', "\\\\").replace('\'', "''");
        let parsed = frazil_dialect::parse_statement(&format!("DESC RESULT '{literal}'")).unwrap();
        let frazil_dialect::Statement::DescribeResult(describe) = parsed.statement else { panic!() };
        prop_assert_eq!(describe.query_id, Some(text));
    }
}
