//! A random account, and a small model of what each role may see of it.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const ROLES: usize = 4;
const TABLES: usize = 3;
pub const ROWS: usize = 12;

/// Columns with secrets, each value of which is unlike any other in the account.
pub const SECRETS: [&str; 2] = ["SECRET", "NOTE"];

/// How all secrets begin; nothing else does.
const BEGIN: &str = "zq";

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
    /// Others see it in the rows of their region, which the policy is given.
    pub own_region: bool,
    pub hides: Hides,
}

impl Mask {
    fn shows(&self, role: usize, row: usize) -> bool {
        self.seen_by.contains(&role) || (self.own_region && World::region(row) == role)
    }

    /// What a role sees in the place of a value.
    fn shown(&self, role: usize, row: usize, value: &str) -> String {
        match self.hides {
            _ if self.shows(role, row) => value.to_string(),
            Hides::Letter => value.chars().take(1).collect(),
            Hides::Stars | Hides::Fails => "***".to_string(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct RowPolicy {
    /// They see all rows; others those of their region.
    pub seen_by: BTreeSet<usize>,
    /// Who they are is in a table that the policy's owner alone may read.
    pub mapped: bool,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// Policies of the columns' own, by the number of the secret column.
    pub masks: [Option<Mask>; 2],
    /// Policies of tags on the columns, and of one on the table.
    pub column_tags: [Option<Mask>; 2],
    pub tag: Option<Mask>,
    pub rows: Option<RowPolicy>,
}

/// How a role came by SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Direct,
    DatabaseRole,
    /// By a grant on what would be created, which is revoked since.
    Future,
}

/// What there is to select from.
#[derive(Debug, Clone)]
pub struct Relation {
    pub name: String,
    pub table: usize,
    pub view: Option<View>,
    /// Roles with SELECT, granted to themselves.
    pub granted: BTreeMap<usize, Way>,
    /// Roles that had SELECT once.
    pub revoked: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
pub struct View {
    pub secure: bool,
    /// It shows only the rows whose number is below.
    pub below: usize,
    /// The relation that it reads, and the views below, itself the last.
    pub from: String,
    pub depth: usize,
    /// Whether no condition of a query gets below it.
    pub sealed: bool,
    /// A policy of its own column SECRET.
    pub mask: Option<Mask>,
}

#[derive(Debug)]
pub struct World {
    pub seed: u64,
    pub tables: Vec<Table>,
    pub relations: Vec<Relation>,
    /// The policy of a tag on the schema: it hides what looks like a secret.
    pub schema_tag: Option<Mask>,
    /// (role, the role it is granted to).
    pub inherits: Vec<(usize, usize)>,
    /// What each role holds on the schema with a table that it may read, if anything.
    pub ways: [Option<&'static str>; ROLES],
}

/// What a column's policies come to.
enum Masked<'a> {
    Open,
    By(&'a Mask),
    /// Several tags bring policies for it: nobody can read it.
    Refused,
}

/// A row as a role sees it: its number, and what stands in the secret columns.
pub type Shown = (usize, [String; 2]);

/// What a role gets of a relation.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    Rows {
        rows: Vec<Shown>,
        /// Whether reading a secret column fails by its policy.
        fails: [bool; 2],
        /// Whether it has too many.
        refused: [bool; 2],
    },
}

pub fn role(number: usize) -> String {
    format!("R{number}")
}

fn some_roles(random: &mut StdRng) -> BTreeSet<usize> {
    (0..ROLES).filter(|_| random.random_bool(0.4)).collect()
}

impl Relation {
    fn new(random: &mut StdRng, name: String, table: usize, view: Option<View>) -> Relation {
        let cloned = name.starts_with('C');
        let mut granted = BTreeMap::new();
        for role in some_roles(random) {
            let way = match random.random_range(0..4) {
                0 => Way::DatabaseRole,
                1 if !cloned => Way::Future,
                _ => Way::Direct,
            };
            granted.insert(role, way);
        }
        let gone = (0..ROLES).filter(|role| !granted.contains_key(role));
        let revoked = gone.filter(|_| random.random_bool(0.3)).collect();
        Relation { name, table, view, granted, revoked }
    }

    pub fn kind(&self) -> &'static str {
        if self.view.is_some() { "VIEW" } else { "TABLE" }
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let schema_tag =
            random.random_bool(0.4).then(|| Mask { own_region: false, ..mask(&mut random, false) });
        let mut tables = Vec::new();
        let mut relations: Vec<Relation> = Vec::new();
        for number in 0..TABLES {
            let name = format!("T{number}");
            let masks = [0, 1].map(|_| random.random_bool(0.4).then(|| mask(&mut random, true)));
            let by_tag = |random: &mut StdRng, chance| {
                random.random_bool(chance).then(|| Mask { own_region: false, ..mask(random, true) })
            };
            let column_tags = [0, 1].map(|_| by_tag(&mut random, 0.3));
            let tag = by_tag(&mut random, 0.25);
            let rows = random.random_bool(0.6).then(|| RowPolicy {
                seen_by: some_roles(&mut random),
                mapped: random.random_bool(0.5),
            });
            tables.push(Table { name: name.clone(), masks, column_tags, tag, rows });
            let table = number;
            relations.push(Relation::new(&mut random, name, table, None));
            relations.push(Relation::new(&mut random, format!("C{number}"), table, None));
            for secure in [false, true] {
                let below = random.random_range(3..=ROWS);
                let name = format!("{}{number}", if secure { "S" } else { "V" });
                let from = format!("T{number}");
                let view = View { secure, below, from, depth: 1, sealed: secure, mask: None };
                relations.push(Relation::new(&mut random, name, table, Some(view)));
            }
            // Views over views, and over a clone.
            for name in ["N", "W"] {
                let bases: Vec<&Relation> = relations
                    .iter()
                    .filter(|base| base.table == table && !base.name.starts_with('T'))
                    .filter(|base| name == "W" || base.name.starts_with('S'))
                    .collect();
                let base = bases[random.random_range(0..bases.len())].clone();
                let secure = name == "W" && random.random_bool(0.5);
                let below = random.random_range(3..=ROWS);
                let view = View {
                    secure,
                    // Which of two conditions comes first is not to be told by what fails.
                    below: base.view.as_ref().map_or(below, |view| view.below),
                    from: base.name.clone(),
                    depth: base.view.as_ref().map_or(0, |view| view.depth) + 1,
                    sealed: secure || base.view.as_ref().is_some_and(|view| view.sealed),
                    mask: None,
                };
                relations.push(Relation::new(
                    &mut random,
                    format!("{name}{number}"),
                    table,
                    Some(view),
                ));
            }
        }
        let mut inherits = Vec::new();
        for (lower, upper) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
            if random.random_bool(0.3) {
                inherits.push((lower, upper));
            }
        }
        // Numbers of its own: the rest of a seed's account is what it was.
        let mut apart = StdRng::seed_from_u64(seed);
        let ways = std::array::from_fn(|_| match apart.random_range(0..4) {
            0 => None,
            1 => Some("USAGE"),
            2 => Some("MODIFY"),
            _ => Some("CREATE VIEW"),
        });
        let mut world = World { seed, tables, relations, schema_tag, inherits, ways };
        for at in 0..world.relations.len() {
            let relation = &world.relations[at];
            // What a mask above hides is not read below, be it that this would fail.
            let plain = match world.masked(relation.table, 0) {
                Masked::Open => true,
                Masked::By(mask) => mask.hides != Hides::Fails,
                Masked::Refused => false,
            };
            if relation.name.starts_with('W') && plain && random.random_bool(0.5) {
                let own = Mask { own_region: false, ..mask(&mut random, false) };
                if let Some(view) = &mut world.relations[at].view {
                    view.mask = Some(own);
                }
            }
        }
        world
    }

    /// A secret, unlike any other: letters alone, so that it is told from numbers and names.
    pub fn secret(&self, table: usize, row: usize, column: usize) -> String {
        format!("{BEGIN}{}t{table}r{row}c{column}qz", self.seed)
    }

    /// A text that only the owner of a definition may see.
    pub fn definition_secret(&self, name: &str) -> String {
        format!("{BEGIN}{}d{}qz", self.seed, name.to_lowercase())
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

    /// Whether a role is another one, or inherits it.
    pub fn holds(&self, role: usize, other: usize) -> bool {
        self.held(role).contains(&other)
    }

    /// Snowflake's rules: a policy of the column's own comes first; of tags, all count.
    fn masked(&self, table: usize, column: usize) -> Masked<'_> {
        let table = &self.tables[table];
        if let Some(own) = &table.masks[column] {
            return Masked::By(own);
        }
        let tags = [&table.column_tags[column], &table.tag, &self.schema_tag];
        let tags: Vec<&Mask> = tags.into_iter().flatten().collect();
        match tags.as_slice() {
            [] => Masked::Open,
            [mask] => Masked::By(mask),
            _ => Masked::Refused,
        }
    }

    /// The relation with the grants that leave its database.
    pub fn without_database_roles(&self, relation: &Relation) -> Relation {
        let mut relation = relation.clone();
        relation.granted.retain(|_, way| *way != Way::DatabaseRole);
        relation
    }

    /// Whether a role, or those it inherits, reach the table of a role by any privilege on the schema.
    pub fn reaches(&self, role: usize, other: usize) -> bool {
        self.holds(role, other) && self.ways[other].is_some()
    }

    /// Whether a role, or one that it inherits, has SELECT.
    pub fn may_select(&self, role: usize, secondary: Option<usize>, relation: &Relation) -> bool {
        let mut held = self.held(role);
        held.extend(secondary.map(|secondary| self.held(secondary)).unwrap_or_default());
        relation.granted.keys().any(|granted| held.contains(granted))
    }

    /// Snowflake's rules: SELECT on the relation by the role, a secondary role or one that these
    /// inherit; policies of the table by the session's primary role, also below views.
    pub fn seen(&self, role: usize, secondary: Option<usize>, relation: &Relation) -> Seen {
        if !self.may_select(role, secondary, relation) {
            return Seen::Nothing;
        }
        let table = &self.tables[relation.table];
        let in_view = |row: usize| relation.view.as_ref().is_none_or(|view| row < view.below);
        let in_table: Vec<usize> = (0..ROWS)
            .filter(|row| {
                table.rows.as_ref().is_none_or(|policy| {
                    policy.seen_by.contains(&role) || World::region(*row) == role
                })
            })
            .collect();
        let cell = |row: usize, column: usize| {
            let mut value = self.secret(relation.table, row, column);
            if let Masked::By(mask) = self.masked(relation.table, column) {
                value = mask.shown(role, row, &value);
            }
            // The schema's tag is on the columns of views too.
            let Some(view) = &relation.view else { return value };
            let own = view.mask.as_ref().filter(|_| column == 0);
            for layer in 1..=view.depth {
                let mask = match own {
                    Some(own) if layer == view.depth => Some(own),
                    _ => self.schema_tag.as_ref(),
                };
                if let Some(mask) = mask.filter(|_| value.starts_with(BEGIN)) {
                    value = mask.shown(role, row, &value);
                }
            }
            value
        };
        let rows = in_table
            .iter()
            .filter(|row| in_view(**row))
            .map(|row| (*row, [0, 1].map(|column| cell(*row, column))))
            .collect();
        let fails = [0, 1].map(|column| {
            // A view's own condition may come after the masks of the table below.
            let Masked::By(mask) = self.masked(relation.table, column) else { return false };
            mask.hides == Hides::Fails && in_table.iter().any(|row| !mask.shows(role, *row))
        });
        let refused =
            [0, 1].map(|column| matches!(self.masked(relation.table, column), Masked::Refused));
        Seen::Rows { rows, fails, refused }
    }

    /// Statements that make the account, as its administrator runs them.
    pub fn statements(&self) -> Vec<String> {
        let mut all = vec!["CREATE SCHEMA d.s".to_string(), "CREATE STAGE d.s.st".to_string()];
        for number in 0..ROLES {
            let role = role(number);
            all.push(format!("CREATE ROLE {role}"));
            for holder in ["USER worker", "USER other", "ROLE accountadmin"] {
                all.push(format!("GRANT ROLE {role} TO {holder}"));
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
        for (number, way) in self.ways.iter().enumerate() {
            let schema = format!("w.s{number}");
            all.push(format!("CREATE SCHEMA {schema}"));
            all.push(format!(
                "CREATE TABLE {schema}.t AS SELECT '{}' AS a",
                self.definition_secret(&schema.replace('.', ""))
            ));
            all.push(format!("GRANT SELECT ON TABLE {schema}.t TO ROLE {}", role(number)));
            if let Some(privilege) = way {
                let role = role(number);
                all.push(format!("GRANT {privilege} ON SCHEMA {schema} TO ROLE {role}"));
            }
        }
        all.push("GRANT READ, WRITE ON STAGE d.s.st TO ROLE PUBLIC".to_string());
        if let Some(mask) = &self.schema_tag {
            self.tagged("MS", "GS", mask, "SCHEMA d.s", &mut all);
        }
        for number in 0..self.tables.len() {
            self.table_statements(number, &mut all);
        }
        for relation in &self.relations {
            if let Some(view) = &relation.view {
                self.view_statements(relation, view, &mut all);
            }
            self.grants(relation, &mut all);
        }
        all
    }

    fn view_statements(&self, relation: &Relation, view: &View, all: &mut Vec<String>) {
        let name = &relation.name;
        let secure = if view.secure { "SECURE " } else { "" };
        // What a plain view's text says, all who may use it may read.
        let told = if view.secure { self.definition_secret(name) } else { "x".into() };
        self.created(
            relation,
            format!(
                "CREATE {secure}VIEW d.s.{name} AS SELECT id, region, secret, note, num FROM \
                 d.s.{} WHERE id < {} AND region <> '{told}'",
                view.from, view.below
            ),
            all,
        );
        if let Some(mask) = &view.mask {
            let policy = format!("M{name}");
            self.policy(&policy, mask, all);
            all.push(format!(
                "ALTER VIEW d.s.{name} ALTER COLUMN secret SET MASKING POLICY d.s.{policy}"
            ));
        }
    }

    /// A statement that creates the relation, between the grants on what is created.
    fn created(&self, relation: &Relation, create: String, all: &mut Vec<String>) {
        let kind = relation.kind();
        let future = |verb: &str, direction: &str, all: &mut Vec<String>| {
            for (number, _) in relation.granted.iter().filter(|(_, way)| **way == Way::Future) {
                let role = role(*number);
                all.push(format!(
                    "{verb} SELECT ON FUTURE {kind}S IN SCHEMA d.s {direction} ROLE {role}"
                ));
            }
        };
        future("GRANT", "TO", all);
        all.push(create);
        future("REVOKE", "FROM", all);
    }

    /// Grants on the relation that is there.
    fn grants(&self, relation: &Relation, all: &mut Vec<String>) {
        let Relation { name, granted, revoked, .. } = relation;
        let on = format!("{} d.s.{name}", relation.kind());
        for number in revoked {
            all.push(format!("GRANT SELECT ON {on} TO ROLE {}", role(*number)));
            all.push(format!("REVOKE SELECT ON {on} FROM ROLE {}", role(*number)));
        }
        for (number, way) in granted {
            let role = role(*number);
            match way {
                Way::Future => {}
                Way::Direct => all.push(format!("GRANT SELECT ON {on} TO ROLE {role}")),
                Way::DatabaseRole => {
                    let through = format!("d.reads_{name}_{number}");
                    all.push(format!("CREATE DATABASE ROLE {through}"));
                    all.push(format!("GRANT SELECT ON {on} TO DATABASE ROLE {through}"));
                    all.push(format!("GRANT DATABASE ROLE {through} TO ROLE {role}"));
                }
            }
        }
    }

    fn table_statements(&self, number: usize, all: &mut Vec<String>) {
        let table = &self.tables[number];
        let name = &table.name;
        let named = |name: &str| self.relations.iter().find(|relation| relation.name == name);
        if let Some(relation) = named(name) {
            let columns = "(id INT, region VARCHAR, secret VARCHAR, note VARCHAR, num FLOAT)";
            let create = format!("CREATE TABLE d.s.{name} {columns} CHANGE_TRACKING = TRUE");
            self.created(relation, create, all);
        }
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
        for (column, secret) in SECRETS.iter().enumerate() {
            let place = format!("TABLE d.s.{name} ALTER COLUMN {secret}");
            if let Some(mask) = &table.masks[column] {
                let policy = format!("M{number}{column}");
                self.policy(&policy, mask, all);
                let using =
                    if mask.own_region { format!(" USING ({secret}, region)") } else { "".into() };
                all.push(format!("ALTER {place} SET MASKING POLICY d.s.{policy}{using}"));
            }
            if let Some(mask) = &table.column_tags[column] {
                let (policy, tag) = (format!("MG{number}{column}"), format!("G{number}{column}"));
                self.tagged(&policy, &tag, mask, &place, all);
            }
        }
        if let Some(mask) = &table.tag {
            let (policy, tag) = (format!("MG{number}"), format!("G{number}"));
            self.tagged(&policy, &tag, mask, &format!("TABLE d.s.{name}"), all);
        }
        if table.tag.is_some() {
            // REGION has the type too, and is no secret.
            all.push(format!(
                "CREATE MASKING POLICY d.s.MR{number} AS (val VARCHAR) RETURNS VARCHAR -> val"
            ));
            all.push(format!(
                "ALTER TABLE d.s.{name} ALTER COLUMN region SET MASKING POLICY d.s.MR{number}"
            ));
        }
        if let Some(policy) = &table.rows {
            let names = names_of(&policy.seen_by);
            let seen = if policy.mapped {
                all.push(format!("CREATE TABLE d.s.map{number} (who VARCHAR)"));
                let rows: Vec<String> = names.iter().map(|name| format!("('{name}')")).collect();
                all.push(format!("INSERT INTO d.s.map{number} VALUES {}", rows.join(", ")));
                format!("EXISTS (SELECT 1 FROM map{number} WHERE who = CURRENT_ROLE())")
            } else {
                one_of(&policy.seen_by)
            };
            all.push(format!(
                "CREATE ROW ACCESS POLICY d.s.P{number} AS (r VARCHAR) RETURNS BOOLEAN -> {seen} OR \
                 r = CURRENT_ROLE() OR r = '{}'",
                self.definition_secret(&format!("P{number}"))
            ));
            all.push(format!(
                "ALTER TABLE d.s.{name} ADD ROW ACCESS POLICY d.s.P{number} ON (region)"
            ));
        }
        all.push(format!("CREATE TABLE d.s.C{number} CLONE d.s.{name}"));
    }

    /// A masking policy.
    fn policy(&self, name: &str, mask: &Mask, all: &mut Vec<String>) {
        let hidden = match mask.hides {
            Hides::Stars => "'***'",
            Hides::Letter => "LEFT(val, 1)",
            Hides::Fails => "TO_VARCHAR(TO_NUMBER(val))",
        };
        let (argument, own) = match mask.own_region {
            true => (", r VARCHAR", " OR r = CURRENT_ROLE()"),
            false => ("", ""),
        };
        all.push(format!(
            "CREATE MASKING POLICY d.s.{name} AS (val VARCHAR{argument}) RETURNS VARCHAR -> CASE \
             WHEN {}{own} OR NOT STARTSWITH(val, '{BEGIN}') OR val = '{}' THEN val ELSE {hidden} END",
            one_of(&mask.seen_by),
            self.definition_secret(name)
        ));
    }

    /// A tag with a masking policy, put on something.
    fn tagged(&self, policy: &str, tag: &str, mask: &Mask, place: &str, all: &mut Vec<String>) {
        self.policy(policy, mask, all);
        all.push(format!("CREATE TAG d.s.{tag}"));
        all.push(format!("ALTER TAG d.s.{tag} SET MASKING POLICY d.s.{policy}"));
        all.push(format!("ALTER {place} SET TAG d.s.{tag} = 'v'"));
    }
}

fn mask(random: &mut StdRng, may_fail: bool) -> Mask {
    let hides = match random.random_range(0..5) {
        0 if may_fail => Hides::Fails,
        1 => Hides::Letter,
        _ => Hides::Stars,
    };
    let own_region = hides != Hides::Fails && random.random_bool(0.3);
    Mask { seen_by: some_roles(random), own_region, hides }
}

fn names_of(roles: &BTreeSet<usize>) -> Vec<String> {
    roles.iter().map(|number| role(*number)).chain(["ACCOUNTADMIN".to_string()]).collect()
}

/// Whether the session's role is one of these, or the administrator's.
fn one_of(roles: &BTreeSet<usize>) -> String {
    format!("CURRENT_ROLE() IN ('{}')", names_of(roles).join("', '"))
}
