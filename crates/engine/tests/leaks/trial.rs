//! What one role asks, and what it must not be told.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;

use crate::account::{Answer, Client};
use crate::paths::{DEFINITIONS, OWNERS, probe, some};
use crate::world::{Relation, SECRETS, Seen, Shown, World, role};

/// Texts of an answer: names, cells, or the error's words.
fn texts(answer: &Answer) -> Vec<String> {
    match answer {
        Ok((names, rows)) => {
            names.iter().cloned().chain(rows.iter().flatten().flatten().cloned()).collect()
        }
        Err(error) => vec![error.message.clone()],
    }
}

/// The secrets in a text: all of them begin and end alike.
pub fn secrets_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find("zq") {
        let after = &rest[start..];
        match after.find("qz") {
            Some(end) => {
                found.insert(after[..end + 2].to_string());
                rest = &after[end + 2..];
            }
            None => break,
        }
    }
    found
}

fn secrets_of(answer: &Answer) -> BTreeSet<String> {
    texts(answer).iter().flat_map(|text| secrets_in(text)).collect()
}

/// The first cell of an answer.
fn first(answer: &Answer) -> Option<&str> {
    answer.as_ref().ok()?.1.first()?.first()?.as_deref()
}

pub struct Trial<'a> {
    pub world: &'a World,
    pub worker: &'a Client,
    pub role: usize,
    /// The one secondary role of the session.
    pub secondary: Option<usize>,
    /// By table: a time at which it was there and had no rows.
    pub since: &'a [String],
    pub random: StdRng,
    pub faults: Vec<String>,
}

/// What a role sees of a relation.
struct Sight {
    rows: Vec<Shown>,
    allowed: BTreeSet<String>,
    /// By secret column: whether reading it fails.
    unreadable: [bool; 2],
}

impl Trial<'_> {
    /// Runs a statement whose answer may hold these secrets and no other.
    pub async fn ask(&mut self, sql: &str, allowed: &BTreeSet<String>) -> Answer {
        let answer = self.worker.try_run(sql).await;
        // What the statement itself says is no news.
        let said = secrets_in(sql);
        for secret in secrets_of(&answer) {
            if !allowed.contains(&secret) && !said.contains(&secret) {
                self.fault(sql, &format!("tells {secret}"));
            }
        }
        answer
    }

    pub fn fault(&mut self, sql: &str, what: &str) {
        self.faults.push(format!(
            "seed {} as {} with {:?}: {sql}\n  {what}",
            self.world.seed,
            role(self.role),
            self.secondary
        ));
    }

    /// A statement that must fail.
    pub async fn refused(&mut self, sql: &str) {
        if self.ask(sql, &BTreeSet::new()).await.is_ok() {
            self.fault(sql, "is allowed");
        }
    }

    /// Asks for a count.
    async fn count(&mut self, sql: &str, allowed: &BTreeSet<String>, expected: usize) {
        let answer = self.ask(sql, allowed).await;
        if first(&answer) != Some(expected.to_string().as_str()) {
            self.fault(sql, &format!("counts {expected}, but {answer:?}"));
        }
    }

    /// Everything that can be asked of one relation.
    pub async fn relation(&mut self, relation: &Relation) {
        let name = format!("d.s.{}", relation.name);
        let mut paths = some(&mut self.random, &name, self.role);
        let since = &self.since[relation.table];
        for information in ["DEFAULT", "APPEND_ONLY"] {
            let sql = format!(
                "SELECT * FROM {name} CHANGES (INFORMATION => {information}) AT (TIMESTAMP => \
                 '{since}'::TIMESTAMP_LTZ)"
            );
            paths.push((sql, true));
        }
        let sight = self.whole(relation, "d.s").await;
        let none = BTreeSet::new();
        let allowed = sight.as_ref().map_or(&none, |sight| &sight.allowed);
        for (sql, reads) in paths {
            let answer = self.ask(&sql, allowed).await;
            if sight.is_none() && reads && answer.is_ok() {
                self.fault(&sql, "is allowed without SELECT");
            }
        }
        if let Some(sight) = sight {
            self.conditions(relation, &name, &sight).await;
            self.numbers(&name, &sight).await;
        }
    }

    /// What the model allows.
    fn sight(&self, relation: &Relation) -> Option<Sight> {
        match self.world.seen(self.role, self.secondary, relation) {
            Seen::Nothing => None,
            Seen::Rows { rows, fails, refused } => {
                let shown = |(_, cells): &Shown| cells.clone();
                let unreadable = [0, 1].map(|column| fails[column] || refused[column]);
                let allowed =
                    rows.iter().flat_map(shown).filter(|cell| !secrets_in(cell).is_empty());
                Some(Sight { allowed: allowed.collect(), unreadable, rows })
            }
        }
    }

    /// All rows of a relation, or of its clone in another schema; none where SELECT is missing.
    async fn whole(&mut self, relation: &Relation, schema: &str) -> Option<Sight> {
        let name = format!("{schema}.{}", relation.name);
        let Some(sight) = self.sight(relation) else {
            self.refused(&format!("SELECT * FROM {name}")).await;
            return None;
        };
        if sight.unreadable.contains(&true) {
            let sql = format!("SELECT * FROM {name}");
            match self.ask(&sql, &BTreeSet::new()).await {
                Err(error)
                    if error.message == "Error in secure object"
                        || error.message.contains("multiple masking policies by tags") => {}
                other => self.fault(&sql, &format!("must fail, but {other:?}")),
            }
        }
        let columns: Vec<usize> = (0..2).filter(|column| !sight.unreadable[*column]).collect();
        let listed: String =
            columns.iter().map(|column| format!(", {}", SECRETS[*column])).collect();
        let sql = format!("SELECT id{listed} FROM {name} ORDER BY id");
        let expected: Vec<Vec<Option<String>>> = sight
            .rows
            .iter()
            .map(|(row, cells)| {
                let cells = columns.iter().map(|column| Some(cells[*column].clone()));
                std::iter::once(Some(row.to_string())).chain(cells).collect()
            })
            .collect();
        match self.ask(&sql, &sight.allowed).await {
            Ok((_, rows)) if rows == expected => {}
            other => self.fault(&sql, &format!("shows {other:?}, expected {expected:?}")),
        }
        Some(sight)
    }

    pub async fn all(&mut self, schema: &str) {
        for relation in &self.world.relations {
            let _ = self.whole(relation, schema).await;
        }
    }

    /// Numbers of rows and values: also those that are kept with files.
    async fn numbers(&mut self, name: &str, sight: &Sight) {
        let Sight { rows, allowed, unreadable } = sight;
        let number = |number: Option<usize>| number.map(|number| number.to_string());
        let sum = rows.iter().map(|(row, _)| row * row).reduce(|a, b| a + b);
        let sql = format!("SELECT COUNT(*), MIN(id), MAX(id), SUM(num)::INT FROM {name}");
        let expected = vec![
            Some(rows.len().to_string()),
            number(rows.iter().map(|(row, _)| *row).min()),
            number(rows.iter().map(|(row, _)| *row).max()),
            number(sum),
        ];
        match self.ask(&sql, allowed).await {
            Ok((_, answer)) if answer == [expected.clone()] => {}
            other => self.fault(&sql, &format!("is {expected:?}, but {other:?}")),
        }
        for (column, secret) in SECRETS.iter().enumerate().filter(|(c, _)| !unreadable[*c]) {
            let mut values: BTreeMap<&str, usize> = BTreeMap::new();
            for (_, cells) in rows {
                *values.entry(&cells[column]).or_default() += 1;
            }
            let functions = ["COUNT(DISTINCT {c})", "APPROX_COUNT_DISTINCT({c})", "HLL({c})"];
            let function = functions[self.random.random_range(0..functions.len())];
            let distinct = format!("SELECT {} FROM {name}", function.replace("{c}", secret));
            self.count(&distinct, allowed, values.len()).await;
            let pairs = values.values().map(|count| count * count).sum();
            let joined =
                format!("SELECT COUNT(*) FROM {name} a JOIN {name} b ON a.{secret} = b.{secret}");
            self.count(&joined, allowed, pairs).await;
            let mut ordered: Vec<(&str, usize)> =
                rows.iter().map(|(row, cells)| (cells[column].as_str(), *row)).collect();
            ordered.sort_unstable();
            let expected: Vec<_> =
                ordered.iter().map(|(_, row)| vec![Some(row.to_string())]).take(3).collect();
            let sql = format!("SELECT id FROM {name} ORDER BY {secret}, id LIMIT 3");
            match self.ask(&sql, allowed).await {
                Ok((_, answer)) if answer == expected => {}
                other => self.fault(&sql, &format!("is {expected:?}, but {other:?}")),
            }
        }
        // A model is trained on the rows that are seen.
        if self.random.random_bool(0.15) && rows.len() > 2 {
            let sql = format!(
                "CREATE OR REPLACE MODEL d.s.rows_{} WITH VERSION v1 USING GBT TARGET num OPTIONS \
                 (n_estimators => 1) AS SELECT id, num FROM {name}",
                self.role
            );
            if let Ok((_, answer)) = self.ask(&sql, allowed).await {
                let cell = |at: usize| answer[0][at].clone().unwrap_or_default();
                let metrics: serde_json::Value = serde_json::from_str(&cell(3)).unwrap_or_default();
                let evaluated = metrics["rows_evaluated"].as_u64().unwrap_or_default();
                if cell(4).parse::<u64>().ok().map(|trained| trained + evaluated)
                    != Some(rows.len() as u64)
                {
                    self.fault(&sql, &format!("sees {} rows, but {answer:?}", rows.len()));
                }
            }
        }
    }

    /// Conditions on single values: counts and errors tell whether one is there.
    async fn conditions(&mut self, relation: &Relation, name: &str, sight: &Sight) {
        let Sight { allowed, unreadable, rows } = sight;
        let sealed = relation.view.as_ref().is_none_or(|view| view.sealed);
        for row in [0, 3, 5, 10] {
            for (column, secret_column) in SECRETS.iter().enumerate() {
                let secret = self.world.secret(relation.table, row, column);
                if unreadable[column] {
                    let sql =
                        format!("SELECT COUNT(*) FROM {name} WHERE {secret_column} = '{secret}'");
                    self.refused(&sql).await;
                    continue;
                }
                let there = allowed.contains(&secret);
                let sql = probe(&mut self.random, name, secret_column, &secret);
                self.count(&sql, allowed, usize::from(there)).await;
                let divide = format!(
                    "SELECT COUNT(*) FROM {name} WHERE 1 / IFF({secret_column} = '{secret}', 0, 1) > 0"
                );
                match (self.ask(&divide, allowed).await, there) {
                    (Ok(_), false) => {}
                    (Err(error), true) if error.code.number() == 100_051 => {}
                    // A plain view's own condition may come after the query's.
                    (Err(_), false) if !sealed => {}
                    (other, _) => self.fault(&divide, &format!("is there: {there}, but {other:?}")),
                }
            }
        }
        // Rows that are not seen are not told by conditions on columns that are not masked.
        let hidden = format!("SELECT COUNT(*) FROM {name} WHERE 1 / IFF(id = 11, 0, 1) > 0");
        let there = rows.iter().any(|(row, _)| *row == 11);
        match (self.worker.try_run(&hidden).await, there) {
            (Ok(_), false) => {}
            (Err(_), true) => {}
            (Err(_), false) if !sealed => {}
            (other, _) => self.fault(&hidden, &format!("is there: {there}, but {other:?}")),
        }
    }

    /// A clone of the schema, made by the role itself: its tables and views keep their owners,
    /// grants and policies, also when it was dropped meanwhile.
    pub async fn cloned_schema(&mut self) {
        let none = BTreeSet::new();
        let schema = format!("d.copy_{}", self.role);
        let made = format!("CREATE SCHEMA {schema} CLONE d.s");
        if let Err(error) = self.ask(&made, &none).await {
            self.fault(&made, &format!("fails: {error}"));
            return;
        }
        for dropped in [false, true] {
            if dropped {
                for sql in [format!("DROP SCHEMA {schema}"), format!("UNDROP SCHEMA {schema}")] {
                    if let Err(error) = self.ask(&sql, &none).await {
                        self.fault(&sql, &format!("fails: {error}"));
                    }
                }
            }
            self.all(&schema).await;
        }
        for relation in self.world.relations.iter().filter(|relation| relation.view.is_none()) {
            let name = format!("{schema}.{}", relation.name);
            let own = role(self.role);
            for sql in [
                format!("GRANT SELECT ON TABLE {name} TO ROLE {own}"),
                format!("GRANT OWNERSHIP ON TABLE {name} TO ROLE {own}"),
                format!("ALTER TABLE {name} DROP ALL ROW ACCESS POLICIES"),
                format!("ALTER TABLE {name} ALTER COLUMN secret UNSET MASKING POLICY"),
                format!("ALTER SCHEMA {schema} UNSET TAG d.s.GS"),
            ] {
                let _ = self.ask(&sql, &none).await;
            }
            let _ = self.whole(relation, &schema).await;
        }
        let ddl = format!("SELECT GET_DDL('schema', '{schema}')");
        let _ = self.ask(&ddl, &none).await;
        let _ = self.ask(&format!("DROP SCHEMA {schema}"), &none).await;
    }

    /// What the role learns of definitions.
    pub async fn definitions(&mut self) {
        let none = BTreeSet::new();
        for sql in DEFINITIONS {
            let _ = self.ask(sql, &none).await;
        }
        for number in 0..self.world.tables.len() {
            for sql in [
                format!("DESCRIBE MASKING POLICY d.s.M{number}0"),
                format!("DESCRIBE MASKING POLICY d.s.MG{number}1"),
                format!("DESCRIBE ROW ACCESS POLICY d.s.P{number}"),
                format!("DESCRIBE VIEW d.s.S{number}"),
            ] {
                let _ = self.ask(&sql, &none).await;
            }
            let counted = format!(
                "SELECT row_count FROM d.information_schema.tables WHERE table_name = 'T{number}'"
            );
            if let Ok((_, rows)) = self.ask(&counted, &none).await {
                let told = rows.iter().flatten().flatten().next().is_some();
                if told && self.world.tables[number].rows.is_some() {
                    self.fault(&counted, "tells the number of rows under a row access policy");
                }
            }
        }
    }

    /// The owner of a clone does not get at what the policies on it hide, and changes no more than
    /// it sees.
    pub async fn clones(&mut self, relation: &Relation) {
        let Some(sight) = self.sight(relation) else { return };
        let own = format!("d.s.own_{}_{}", relation.name, self.role);
        let create = format!("CREATE OR REPLACE TABLE {own} CLONE d.s.{}", relation.name);
        let _ = self.ask(&create, &sight.allowed).await;
        self.changes(relation, &own, &sight).await;
        let _ = self.ask(&create, &sight.allowed).await;
        let _ = self.ask(&format!("CREATE SCHEMA d.own_{}", self.role), &sight.allowed).await;
        // Who may change what a mask goes by may see what it hides.
        let table = &self.world.tables[relation.table];
        let by_region = table.masks.iter().flatten().any(|mask| mask.own_region);
        for text in OWNERS {
            if by_region && text.contains("SET region") {
                continue;
            }
            let sql = text.replace("{o}", &own).replace("{n}", &self.role.to_string());
            let _ = self.ask(&sql, &sight.allowed).await;
        }
    }

    /// Changes of rows by values: their number tells whether one is there.
    async fn changes(&mut self, relation: &Relation, own: &str, sight: &Sight) {
        let Sight { rows, allowed, unreadable } = sight;
        self.count(&format!("UPDATE {own} SET num = num"), allowed, rows.len()).await;
        for (column, name) in SECRETS.iter().enumerate().filter(|(c, _)| !unreadable[*c]) {
            for row in [1, 4, 9] {
                let secret = self.world.secret(relation.table, row, column);
                let there = usize::from(allowed.contains(&secret));
                for sql in [
                    format!("UPDATE {own} SET num = 5 WHERE {name} = '{secret}'"),
                    format!(
                        "UPDATE {own} SET num = 6 FROM (SELECT '{secret}' AS k) q WHERE {name} = k"
                    ),
                    format!(
                        "MERGE INTO {own} t USING (SELECT '{secret}' AS k) q ON t.{name} = q.k WHEN \
                         MATCHED THEN UPDATE SET num = 7"
                    ),
                ] {
                    self.count(&sql, allowed, there).await;
                }
            }
        }
        let hidden = format!("UPDATE {own} SET num = 1 / IFF(id = 11, 0, 1)");
        let there = rows.iter().any(|(row, _)| *row == 11);
        if self.ask(&hidden, allowed).await.is_ok() == there {
            self.fault(&hidden, &format!("is there: {there}"));
        }
        let merged = format!(
            "MERGE INTO {own} t USING (SELECT SEQ4() AS k FROM TABLE(GENERATOR(ROWCOUNT => 6))) q \
             ON t.id = q.k WHEN MATCHED THEN DELETE"
        );
        let first_rows = rows.iter().filter(|(row, _)| *row < 6).count();
        self.count(&merged, allowed, first_rows).await;
        let deleted = format!("DELETE FROM {own}");
        self.count(&deleted, allowed, rows.len() - first_rows).await;
    }

    /// A database's clone takes along the grants to roles of the account alone.
    pub async fn cloned_database(&mut self) {
        let none = BTreeSet::new();
        for sql in ["CREATE DATABASE copied CLONE d", "DROP DATABASE copied"] {
            if let Err(error) = self.ask(sql, &none).await {
                self.fault(sql, &format!("fails: {error}"));
            }
            if sql.starts_with("CREATE") {
                for relation in &self.world.relations {
                    let _ =
                        self.whole(&self.world.without_database_roles(relation), "copied.s").await;
                }
            }
        }
    }
}
