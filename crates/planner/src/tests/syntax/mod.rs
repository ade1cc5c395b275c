//! No part of the syntax is dropped in silence.
//!
//! The parser's own source tells which nodes a query is made of, with their fields and variants.
//! Each must have a case in `cases/`: a query, and the same query with that one part set. With it
//! the answer or the plan differs, or an error names it, or the dialect does not parse it. A part
//! that a new version of the parser adds has no case, and fails the test.
//!
//! A case is a block of lines: what setting the part does, the query without it, and one or more
//! queries that each set one part. Two queries that differ in one part alone and differ in their
//! plan show as well that whatever holds the part is not dropped. The first line is one of
//!
//! ```text
//! used                what the query refers to, its plan or its rows differ
//! nothing: why        it means what its absence means
//! refused: word       an error that has this word
//! unparsed            a syntax error; the part is as another dialect reads the text
//! foreign: dialect    this dialect reads the text so, Frazil's otherwise or not at all
//! unreachable: why    no text sets the parts that follow
//! ```
//!
//! with `together` before it where the syntax cannot set one part without another.

use std::collections::{BTreeMap, BTreeSet};

use frazil_common::{Code, UserError};
use sqlparser::dialect::dialect_from_str;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::harness::World;
use frazil_syntax_tree::{Differences, Node, Part, PartOf, Types};

/// Most parts for which no text exists in any dialect.
const UNREACHABLE_MOST: usize = 5;

/// Queries of which the parser keeps no place.
const UNPLACED: &[&str] = &["TABLE emp"];

/// Nodes that tell places in the text, and types.
const WHOLE: &[&str] = &["AttachedToken", "DataType", "Span"];

/// What setting a part does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    /// The plan or the rows differ.
    Used,
    /// It means what its absence means, for this reason.
    Nothing(String),
    /// An error that has this word.
    Refused(String),
    /// Frazil's dialect does not parse it; another one of the parser's does.
    Unparsed,
    /// This dialect reads the text so, Frazil's otherwise or not at all.
    Foreign(String),
}

#[derive(Debug)]
struct Case {
    base: String,
    /// The base with one part more, or another.
    sql: String,
    effect: Effect,
    /// The syntax cannot set one part without another.
    together: bool,
}

/// What `cases.txt` says.
#[derive(Debug, Default)]
struct Cases {
    cases: Vec<Case>,
    /// Parts for which no text exists.
    unreachable: Vec<Part>,
}

fn read_cases() -> Cases {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/syntax/cases");
    let mut read = Cases::default();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for block in text.split("\n\n") {
            read.block(block);
        }
    }
    read
}

impl Cases {
    fn block(&mut self, block: &str) {
        let mut lines = block.lines().filter(|line| !line.starts_with('#'));
        let Some(head) = lines.next().filter(|head| !head.is_empty()) else { return };
        let (word, rest) = head.split_once(": ").unwrap_or((head, ""));
        let (word, together) = match word.strip_prefix("together ") {
            Some(word) => (word, true),
            None => (word, false),
        };
        let reason = || {
            assert!(!rest.is_empty(), "no reason or word: {block}");
            rest.to_string()
        };
        let effect = match word {
            "used" => Effect::Used,
            "nothing" => Effect::Nothing(reason()),
            "refused" => Effect::Refused(reason().to_uppercase()),
            "unparsed" => Effect::Unparsed,
            "foreign" => Effect::Foreign(reason()),
            "unreachable" => {
                reason();
                self.unreachable.extend(lines.map(str::to_string));
                return;
            }
            other => panic!("no such effect: {other}"),
        };
        let Some(base) = lines.next() else { panic!("no query: {block}") };
        let mut several = false;
        for sql in lines {
            several = true;
            let (base, sql, effect) = (base.to_string(), sql.to_string(), effect.clone());
            self.cases.push(Case { base, sql, effect, together });
        }
        assert!(several, "one query alone: {block}");
    }
}

/// A query as a tree, by Frazil's dialect.
fn tree(sql: &str) -> Option<Node> {
    let query = frazil_dialect::parse_query(sql).ok()?;
    Some(frazil_syntax_tree::parse(&format!("{query:?}")))
}

/// A query as a tree, by one of the parser's own dialects.
fn foreign_tree(dialect: &str, sql: &str) -> Option<Node> {
    let dialect = dialect_from_str(dialect).unwrap();
    let mut parser = Parser::new(dialect.as_ref()).try_with_sql(sql).ok()?;
    let query = parser.parse_query().ok()?;
    (parser.peek_token().token == Token::EOF)
        .then(|| frazil_syntax_tree::parse(&format!("{query:?}")))
}

/// The parser's dialects, the likeliest ones first.
const DIALECTS: &[&str] = &[
    "snowflake",
    "mysql",
    "postgres",
    "mssql",
    "clickhouse",
    "hive",
    "bigquery",
    "duckdb",
    "databricks",
    "oracle",
    "sqlite",
    "redshift",
    "teradata",
    "generic",
];

impl Case {
    /// Both queries, by Frazil's dialect or, where that refuses them, by the first that does not.
    fn trees(&self) -> Option<(Node, Node)> {
        let any = |sql: &str| {
            tree(sql).or_else(|| DIALECTS.iter().find_map(|dialect| foreign_tree(dialect, sql)))
        };
        match &self.effect {
            Effect::Foreign(dialect) => {
                let of = |sql| foreign_tree(dialect, sql);
                of(&self.base).zip(of(&self.sql))
            }
            _ => any(&self.base).zip(any(&self.sql)),
        }
    }
}

/// What a query answers: what it refers to, its plan and its rows, or its error.
fn outcome(world: &World, sql: &str) -> Result<String, UserError> {
    let planned = world.plan(sql)?;
    let query = frazil_dialect::parse_query(sql).unwrap();
    let named = world.with_context(sql, |_| Ok(Vec::new()), |ctx| crate::references(&query, ctx));
    let names: Vec<&str> = planned.columns.iter().map(|column| column.name.as_str()).collect();
    let plan = planned.plan.display_indent_schema().to_string();
    Ok(format!("{named:?}\n{names:?}\n{plan}\n{:?}", world.rows(sql)?))
}

#[test]
fn every_part_of_a_query_is_used_or_refused() {
    let types = Types::of(&frazil_syntax_tree::parser(), "Query", WHOLE);
    let Cases { cases, unreachable } = read_cases();
    let world = World::new();
    let mut faults = String::new();
    // Part → whether some case uses it.
    let mut known: BTreeMap<Part, bool> = BTreeMap::new();
    let differ = |left: &Node, right: &Node| {
        let mut differences = Differences::default();
        types.differences("Query", left, right, "Query", &mut differences);
        differences
    };
    for case in &cases {
        let Case { base, sql, effect, together } = case;
        let Some((base_tree, changed)) = case.trees() else {
            faults += &format!("{sql}\n  no dialect parses this, or its base\n");
            continue;
        };
        let Differences { parts, before, above, chosen, added } = differ(&base_tree, &changed);
        if parts.is_empty() {
            faults += &format!("{sql}\n  is no different from its base {base}\n");
        }
        if parts.len() > 1 && !together {
            faults += &format!("{sql}\n  changes more than one part: {parts:?}\n");
        }
        let base_outcome = outcome(&world, base);
        if let Err(error) = &base_outcome
            && !matches!(effect, Effect::Foreign(_))
        {
            faults += &format!("{base}\n  is a base and fails: {error}\n");
        }
        let parsed = frazil_dialect::parse_query(sql).is_ok();
        let after = outcome(&world, sql);
        match (effect, &base_outcome, &after) {
            (Effect::Used, Ok(before), Ok(after)) if before != after => {}
            (Effect::Nothing(_), Ok(before), Ok(after)) if before == after => {}
            (Effect::Refused(word), _, Err(error))
                if parsed && error.to_string().to_uppercase().contains(word) =>
            {
                // An internal error is this test's own: its engine cannot run the plan.
                let placed = error.position.is_some() || error.code == Code::Internal;
                if !placed && !UNPLACED.contains(&sql.as_str()) {
                    faults += &format!("{sql}\n  is refused without a position: {error}\n");
                }
            }
            (Effect::Unparsed, _, _) if !parsed => {}
            (Effect::Foreign(_), _, _) => {
                if let Some((own_base, own)) = tree(base).zip(tree(sql)) {
                    let own = differ(&own_base, &own);
                    let has = |part| own.parts.contains(part) || own.added.contains(part);
                    if parts.union(&added).all(has) {
                        faults += &format!("{sql}\n  {parts:?} is not foreign\n");
                    }
                }
            }
            (Effect::Used, _, Ok(_)) => {
                faults += &format!("{sql}\n  {parts:?} is dropped\n");
            }
            (Effect::Nothing(_), Ok(before), Ok(after)) => {
                faults += &format!("{sql}\n  {parts:?} is not nothing:\n{before}\n{after}\n");
            }
            (effect, _, after) => {
                let after = match after {
                    Ok(_) => "runs".to_string(),
                    Err(error) if parsed => error.to_string(),
                    Err(error) => format!("unparsed: {error}"),
                };
                faults += &format!("{sql}\n  {parts:?} expected {effect:?}, but: {after}\n");
            }
        }
        let mut credit = |parts: BTreeSet<Part>, used: bool| {
            for part in parts {
                *known.entry(part).or_default() |= used;
            }
        };
        let used = matches!(effect, Effect::Used | Effect::Nothing(_));
        credit(parts, used);
        if base_outcome.is_ok() {
            // The base runs with them, and is told apart from what has another in their place.
            credit(before, true);
            credit(chosen, true);
        }
        if !together || !used {
            credit(added, used);
        }
        if *effect == Effect::Used && !together {
            // What holds a part that makes a difference is not dropped itself.
            credit(above, true);
        }
    }
    let reached: BTreeSet<Part> = known.keys().cloned().collect();
    for part in &unreachable {
        if reached.contains(part) {
            faults += &format!("{part} is unreachable, but a case has it\n");
        }
        known.entry(part.clone()).or_default();
    }
    if unreachable.len() > UNREACHABLE_MOST {
        faults += &format!("{} parts are called unreachable\n", unreachable.len());
    }
    let wanted = types.parts_below("Query", &known, |part| match part {
        PartOf::Variant => true,
        PartOf::Field(of) => !WHOLE.contains(&of),
    });
    for part in unreachable.iter().filter(|part| !wanted.contains(*part)) {
        faults += &format!("{part} is unreachable, but no part of a query\n");
    }
    let missing: Vec<&Part> = wanted.iter().filter(|part| !known.contains_key(*part)).collect();
    if !missing.is_empty() {
        faults += &format!("without a case ({}):\n  {missing:#?}\n", missing.len());
    }
    assert!(faults.is_empty(), "\n{faults}");
}
