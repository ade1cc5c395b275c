//! A random account, and a small model of what each role may see of it.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const ROLES: usize = 4;
const TABLES: usize = 3;
const ROWS: usize = 12;

/// Columns with secrets, each value of which is unlike any other in the account.
pub const SECRETS: [&str; 2] = ["SECRET", "NOTE"];

/// What a policy shows a role that it hides a value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hides {
    Stars,
    /// The first letter, which all secrets have in common.
    Letter,
    /// The body fails on the value, in words that quote it.
    Fails,
}

#[derive(Debug, Clone)]
pub struct Mask {
    pub seen_by: BTreeSet<usize>,
    pub hides: Hides,
    /// It masks by a tag: on the column, on the table or on its schema.
    pub by_tag: Option<TagLevel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagLevel {
    Column,
    Table,
}

#[derive(Debug, Clone)]
pub struct RowPolicy {
    /// They see all rows; others those of their region.
    pub seen_by: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// By the number of the secret column.
    pub masks: [Option<Mask>; 2],
    pub rows: Option<RowPolicy>,
}

/// What there is to select from.
#[derive(Debug, Clone)]
pub struct Relation {
    pub name: String,
    pub table: usize,
    pub view: Option<View>,
    /// Roles with SELECT, granted to themselves.
    pub granted: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
pub struct View {
    pub secure: bool,
    /// It shows only the rows whose number is below.
    pub below: usize,
    /// It reads the secure view of the table, and shows what that shows.
    pub over_secure: bool,
}

impl View {
    /// Whether no condition of a query gets below it.
    pub fn is_sealed(&self) -> bool {
        self.secure || self.over_secure
    }
}

#[derive(Debug)]
pub struct World {
    pub seed: u64,
    pub tables: Vec<Table>,
    pub relations: Vec<Relation>,
    /// (role, the role it is granted to).
    pub inherits: Vec<(usize, usize)>,
}

/// What a role gets of a relation.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    /// Its secrets, and whether reading a secret column fails.
    Rows {
        secrets: BTreeSet<String>,
        rows: usize,
        fails: [bool; 2],
    },
}

pub fn role(number: usize) -> String {
    format!("R{number}")
}

fn some_roles(random: &mut StdRng) -> BTreeSet<usize> {
    (0..ROLES).filter(|_| random.random_bool(0.4)).collect()
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tables = Vec::new();
        let mut relations = Vec::new();
        for number in 0..TABLES {
            let name = format!("T{number}");
            let level = if random.random_bool(0.5) { TagLevel::Table } else { TagLevel::Column };
            let by_table = random.random_bool(0.25);
            let whole = mask(&mut random, Some(TagLevel::Table));
            let masks = [0, 1].map(|_| match (by_table, random.random_bool(0.6)) {
                // A tag on the table masks both columns, but for one with a policy of its own.
                (true, false) => Some(whole.clone()),
                (true, true) => Some(mask(&mut random, None)),
                (false, true) => {
                    let tagged = random.random_bool(0.5) && level == TagLevel::Column;
                    Some(mask(&mut random, tagged.then_some(TagLevel::Column)))
                }
                (false, false) => None,
            });
            let rows =
                random.random_bool(0.6).then(|| RowPolicy { seen_by: some_roles(&mut random) });
            tables.push(Table { name: name.clone(), masks, rows });
            let table = number;
            relations.push(Relation { name, table, view: None, granted: some_roles(&mut random) });
            relations.push(Relation {
                name: format!("C{number}"),
                table,
                view: None,
                granted: some_roles(&mut random),
            });
            for secure in [false, true] {
                let below = random.random_range(3..=ROWS);
                relations.push(Relation {
                    name: format!("{}{number}", if secure { "S" } else { "V" }),
                    table,
                    view: Some(View { secure, below, over_secure: false }),
                    granted: some_roles(&mut random),
                });
                if secure {
                    relations.push(Relation {
                        name: format!("N{number}"),
                        table,
                        view: Some(View { secure: false, below, over_secure: true }),
                        granted: some_roles(&mut random),
                    });
                }
            }
        }
        let mut inherits = Vec::new();
        for (lower, upper) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
            if random.random_bool(0.3) {
                inherits.push((lower, upper));
            }
        }
        World { seed, tables, relations, inherits }
    }

    /// A secret, unlike any other: letters alone, so that it is told from numbers and names.
    pub fn secret(&self, table: usize, row: usize, column: usize) -> String {
        format!("zq{}t{table}r{row}c{column}qz", self.seed)
    }

    /// A text that only the owner of a definition may see.
    pub fn definition_secret(&self, name: &str) -> String {
        format!("zq{}d{}qz", self.seed, name.to_lowercase())
    }

    pub fn region(row: usize) -> usize {
        row % ROLES
    }

    fn held(&self, role: usize) -> BTreeSet<usize> {
        let mut held = BTreeSet::from([role]);
        loop {
            let more: Vec<usize> = self
                .inherits
                .iter()
                .filter(|(lower, upper)| held.contains(upper) && !held.contains(lower))
                .map(|(lower, _)| *lower)
                .collect();
            if more.is_empty() {
                return held;
            }
            held.extend(more);
        }
    }

    /// Snowflake's rules: SELECT on the relation by the role, a secondary role or one that these
    /// inherit; policies of the table by the session's primary role, also below views.
    pub fn seen(&self, role: usize, secondary: Option<usize>, relation: &Relation) -> Seen {
        let also = secondary.map(|secondary| self.held(secondary)).unwrap_or_default();
        if self.held(role).is_disjoint(&relation.granted) && also.is_disjoint(&relation.granted) {
            return Seen::Nothing;
        }
        let table = &self.tables[relation.table];
        let mut secrets = BTreeSet::new();
        let (mut rows, mut in_table) = (0, 0);
        for row in 0..ROWS {
            let shown = table
                .rows
                .as_ref()
                .is_none_or(|policy| policy.seen_by.contains(&role) || World::region(row) == role);
            let in_view = relation.view.as_ref().is_none_or(|view| row < view.below);
            in_table += usize::from(shown);
            if !shown || !in_view {
                continue;
            }
            rows += 1;
            for (column, mask) in table.masks.iter().enumerate() {
                if mask.as_ref().is_none_or(|mask| mask.seen_by.contains(&role)) {
                    secrets.insert(self.secret(relation.table, row, column));
                }
            }
        }
        let fails = [0, 1].map(|column| {
            // A view's own condition may come after the masks of the table below.
            in_table > 0
                && table.masks[column]
                    .as_ref()
                    .is_some_and(|m| m.hides == Hides::Fails && !m.seen_by.contains(&role))
        });
        Seen::Rows { secrets, rows, fails }
    }

    /// Statements that make the account, as its administrator runs them.
    pub fn statements(&self) -> Vec<String> {
        let mut all = vec!["CREATE SCHEMA d.s".to_string(), "CREATE STAGE d.s.st".to_string()];
        for number in 0..ROLES {
            let role = role(number);
            all.push(format!("CREATE ROLE {role}"));
            for user in ["worker", "other"] {
                all.push(format!("GRANT ROLE {role} TO USER {user}"));
            }
        }
        for (lower, upper) in &self.inherits {
            all.push(format!("GRANT ROLE {} TO ROLE {}", role(*lower), role(*upper)));
        }
        all.push("GRANT USAGE, CREATE SCHEMA ON DATABASE d TO ROLE PUBLIC".to_string());
        all.push(
            "GRANT USAGE, CREATE TABLE, CREATE VIEW, CREATE MODEL, CREATE MASKING POLICY, \
             CREATE ROW ACCESS POLICY ON SCHEMA d.s TO ROLE PUBLIC"
                .to_string(),
        );
        all.push("GRANT READ, WRITE ON STAGE d.s.st TO ROLE PUBLIC".to_string());
        for number in 0..self.tables.len() {
            self.table_statements(number, &mut all);
        }
        for relation in &self.relations {
            if let Some(view) = &relation.view {
                let secure = if view.secure { "SECURE " } else { "" };
                // What a plain view's text says, all who may use it may read.
                let told =
                    if view.secure { self.definition_secret(&relation.name) } else { "x".into() };
                let from = if view.over_secure { "s" } else { "t" };
                all.push(format!(
                    "CREATE {secure}VIEW d.s.{} AS SELECT id, region, secret, note, num FROM \
                     d.s.{from}{} WHERE id < {} AND '{told}' <> ''",
                    relation.name, relation.table, view.below
                ));
            }
            let kind = if relation.view.is_some() { "VIEW" } else { "TABLE" };
            for granted in &relation.granted {
                all.push(format!(
                    "GRANT SELECT ON {kind} d.s.{} TO ROLE {}",
                    relation.name,
                    role(*granted)
                ));
            }
        }
        all
    }

    fn table_statements(&self, number: usize, all: &mut Vec<String>) {
        let table = &self.tables[number];
        let name = &table.name;
        all.push(format!(
            "CREATE TABLE d.s.{name} (id INT, region VARCHAR, secret VARCHAR, note VARCHAR, num \
             FLOAT) CHANGE_TRACKING = TRUE"
        ));
        let rows: Vec<String> = (0..ROWS)
            .map(|row| {
                format!(
                    "({row}, '{}', '{}', '{}', {})",
                    role(World::region(row)),
                    self.secret(number, row, 0),
                    self.secret(number, row, 1),
                    row * row
                )
            })
            .collect();
        all.push(format!("INSERT INTO d.s.{name} VALUES {}", rows.join(", ")));
        // One clone is older than the policies' tags on columns, one has all.
        let mut tagged_table = false;
        for (column, mask) in table.masks.iter().enumerate() {
            let Some(mask) = mask else { continue };
            let secret = SECRETS[column];
            let shared = mask.by_tag == Some(TagLevel::Table);
            if shared && tagged_table {
                continue;
            }
            let policy = format!("M{number}{column}");
            all.push(format!(
                "CREATE MASKING POLICY d.s.{policy} AS (val VARCHAR) RETURNS VARCHAR -> {}",
                self.mask_body(mask, &policy)
            ));
            match mask.by_tag {
                None => all.push(format!(
                    "ALTER TABLE d.s.{name} ALTER COLUMN {secret} SET MASKING POLICY d.s.{policy}"
                )),
                Some(level) => {
                    let tag = format!("G{number}{column}");
                    all.push(format!("CREATE TAG d.s.{tag}"));
                    all.push(format!("ALTER TAG d.s.{tag} SET MASKING POLICY d.s.{policy}"));
                    let place = match level {
                        TagLevel::Column => format!(" ALTER COLUMN {secret}"),
                        TagLevel::Table => {
                            tagged_table = true;
                            // REGION has the type too, and is no secret.
                            all.push(format!(
                                "CREATE MASKING POLICY d.s.{policy}R AS (val VARCHAR) RETURNS \
                                 VARCHAR -> val"
                            ));
                            all.push(format!(
                                "ALTER TABLE d.s.{name} ALTER COLUMN region SET MASKING POLICY \
                                 d.s.{policy}R"
                            ));
                            String::new()
                        }
                    };
                    all.push(format!("ALTER TABLE d.s.{name}{place} SET TAG d.s.{tag} = 'v'"));
                }
            }
        }
        if let Some(policy) = &table.rows {
            all.push(format!(
                "CREATE ROW ACCESS POLICY d.s.P{number} AS (r VARCHAR) RETURNS BOOLEAN -> {} OR r \
                 = CURRENT_ROLE() OR CURRENT_ROLE() = '{}'",
                one_of(&policy.seen_by),
                self.definition_secret(&format!("P{number}"))
            ));
            all.push(format!(
                "ALTER TABLE d.s.{name} ADD ROW ACCESS POLICY d.s.P{number} ON (region)"
            ));
        }
        all.push(format!("CREATE TABLE d.s.C{number} CLONE d.s.{name}"));
    }

    fn mask_body(&self, mask: &Mask, policy: &str) -> String {
        let hidden = match mask.hides {
            Hides::Stars => "'***'",
            Hides::Letter => "LEFT(val, 1)",
            Hides::Fails => "TO_VARCHAR(TO_NUMBER(val))",
        };
        format!(
            "CASE WHEN {} OR CURRENT_ROLE() = '{}' THEN val ELSE {hidden} END",
            one_of(&mask.seen_by),
            self.definition_secret(policy)
        )
    }
}

fn mask(random: &mut StdRng, by_tag: Option<TagLevel>) -> Mask {
    let hides = match random.random_range(0..5) {
        0 => Hides::Fails,
        1 => Hides::Letter,
        _ => Hides::Stars,
    };
    Mask { seen_by: some_roles(random), hides, by_tag }
}

/// Whether the session's role is one of these, or the administrator's.
fn one_of(roles: &BTreeSet<usize>) -> String {
    let names: Vec<String> = roles
        .iter()
        .map(|number| format!("'{}'", role(*number)))
        .chain(["'ACCOUNTADMIN'".to_string()])
        .collect();
    format!("CURRENT_ROLE() IN ({})", names.join(", "))
}
