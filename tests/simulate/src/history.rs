//! A random history of transactions, and what the tables must hold after it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use frazil_catalog::{ColumnInfo, CopiedGrants, NewOwner, TableInfo, TableKind};
use frazil_common::{ObjectKind, QualifiedName, SnapshotId, SqlType};
use frazil_lake::{
    CommitMeta, FILE_COLUMN, Lake, LakeError, LakeTransaction, NewClone, NewTable, ROW_ID,
    ROW_NUMBER_COLUMN, TableVersion,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::account::Accounts;
use crate::faults::Faults;
use crate::objects::Objects;

/// A table's rows: id → text.
pub type Rows = BTreeMap<i64, String>;
/// All tables' rows.
pub type Model = BTreeMap<String, Rows>;

const TABLES: [&str; 3] = ["A", "B", "C"];
const OPEN_MAX: usize = 3;
const ID: SqlType = SqlType::Number { precision: 18, scale: 0 };

/// What a transaction did so far.
#[derive(Debug, Clone)]
enum Effect {
    Create(String),
    /// A copy of another table's rows.
    Clone(String, Rows),
    /// The table of this id.
    Drop(String, i64),
    /// What came back with the table of this id.
    Undrop(String, Rows),
    Put(String, Rows),
    Change(String, Rows),
    Delete(String, Vec<i64>),
    /// The schema of this id, with all tables.
    DropSchema(i64),
    /// The tables that come back with the schema.
    UndropSchema(Model),
    MakeSchema,
}

fn apply(model: &mut Model, effects: &[Effect]) -> Result<(), String> {
    // Rows put into a table that is gone must be deleted again: the two leave nothing behind.
    let mut homeless = Model::new();
    for (index, effect) in effects.iter().enumerate() {
        // Rows of a table that the transaction drops in the end are nobody's business.
        let dropped = |table: &str| {
            effects[index..]
                .iter()
                .any(|later| matches!(later, Effect::Drop(gone, _) if gone == table))
        };
        match effect {
            Effect::Put(table, _) | Effect::Change(table, _) | Effect::Delete(table, _)
                if dropped(table) => {}
            Effect::Create(table) => {
                if model.insert(table.clone(), Rows::new()).is_some() {
                    return Err(format!("table {table} was made twice"));
                }
            }
            Effect::Clone(table, rows) | Effect::Undrop(table, rows) => {
                if model.insert(table.clone(), rows.clone()).is_some() {
                    return Err(format!("table {table} came twice"));
                }
            }
            Effect::DropSchema(_) => model.clear(),
            Effect::MakeSchema if model.is_empty() => {}
            Effect::UndropSchema(tables) if model.is_empty() => model.clone_from(tables),
            Effect::MakeSchema | Effect::UndropSchema(_) => {
                return Err("the schema was made twice".to_string());
            }
            Effect::Drop(table, _) => {
                model.remove(table).ok_or_else(|| format!("table {table} was dropped twice"))?;
            }
            Effect::Put(table, rows) | Effect::Change(table, rows) => match model.get_mut(table) {
                Some(home) => home.extend(rows.clone()),
                None => homeless.entry(table.clone()).or_default().extend(rows.clone()),
            },
            Effect::Delete(table, ids) => {
                let home = model.get_mut(table).or_else(|| homeless.get_mut(table));
                let mut none = Rows::new();
                let rows = home.unwrap_or(&mut none);
                for id in ids {
                    if rows.remove(id).is_none() {
                        return Err(format!("row {id} of {table} was deleted twice"));
                    }
                }
            }
        }
    }
    match homeless.iter().find(|(_, rows)| !rows.is_empty()) {
        None => Ok(()),
        Some((table, _)) => Err(format!("rows went into table {table}, which is gone")),
    }
}

struct Open {
    transaction: LakeTransaction,
    effects: Vec<Effect>,
    /// New tables, their owners, and for clones the source's id.
    owners: BTreeMap<String, (String, Option<i64>)>,
    query_id: String,
    /// Another transaction has changed rows of a table whose rows this one changed: one of the two
    /// loses at its commit, and what this one reads until then is of no account.
    contested: bool,
}

impl Open {
    fn is_contested_by(&self, effects: &[Effect]) -> bool {
        effects.iter().any(|effect| match effect {
            Effect::Create(_) | Effect::Clone(_, _) | Effect::Undrop(_, _) | Effect::Put(_, _) => {
                false
            }
            // Its own rows go with a table that is dropped.
            Effect::Drop(table, _) => self.effects.iter().any(|own| own.table() == Some(table)),
            Effect::DropSchema(_) | Effect::UndropSchema(_) | Effect::MakeSchema => {
                !self.effects.is_empty()
            }
            Effect::Change(table, _) | Effect::Delete(table, _) => {
                rewritten(&self.effects).any(|own| own == table)
            }
        })
    }
}

impl Effect {
    fn table(&self) -> Option<&str> {
        match self {
            Effect::DropSchema(_) | Effect::UndropSchema(_) | Effect::MakeSchema => None,
            Effect::Create(table)
            | Effect::Clone(table, _)
            | Effect::Drop(table, _)
            | Effect::Undrop(table, _)
            | Effect::Put(table, _)
            | Effect::Change(table, _)
            | Effect::Delete(table, _) => Some(table),
        }
    }
}

/// Tables whose existing rows the effects touch; new rows get in nobody's way.
fn rewritten(effects: &[Effect]) -> impl Iterator<Item = &str> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Drop(table, _) | Effect::Change(table, _) | Effect::Delete(table, _) => {
            Some(table.as_str())
        }
        _ => None,
    })
}

/// The state of one run.
pub struct History {
    pub lake: Lake,
    pub accounts: Accounts,
    pub objects: Objects,
    faults: Arc<Faults>,
    rng: ChaCha8Rng,
    /// What was acknowledged.
    pub committed: Model,
    /// What a commit without an answer may have made of it.
    pub in_doubt: Option<Model>,
    /// The tables at acknowledged snapshots.
    pub snapshots: Vec<(SnapshotId, Model)>,
    /// The rows of tables when they were dropped, by table.
    pub dropped: BTreeMap<i64, Rows>,
    /// The tables of schemas when they were dropped, by schema.
    pub dropped_schemas: BTreeMap<i64, Model>,
    open: Vec<Open>,
    next_id: i64,
    next_query: u64,
    /// Commits that were acknowledged.
    pub commits: usize,
    /// Files that upkeep rid of rows.
    pub reclaimed: usize,
    /// Schemas that came back.
    pub undropped_schemas: usize,
    /// What was done, one line each, for who looks into a broken seed.
    pub log: Vec<String>,
}

/// One row as a scan shows it.
struct Place {
    file: i32,
    position: i64,
    row_id: i64,
    id: i64,
    text: String,
}

fn name(table: &str) -> QualifiedName {
    QualifiedName::new("D", "S", table)
}

fn columns() -> Vec<ColumnInfo> {
    vec![ColumnInfo::new("ID", ID, false), ColumnInfo::new("TEXT", SqlType::TEXT, true)]
}

fn row_fields() -> Vec<Field> {
    columns().iter().map(|column| column.to_column().to_field()).collect()
}

fn row_arrays(rows: &[(i64, String)]) -> Vec<ArrayRef> {
    vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, text)| text.as_str()))),
    ]
}

fn stream(fields: Vec<Field>, arrays: Vec<ArrayRef>) -> Result<SendableRecordBatchStream, String> {
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| error.to_string())?;
    let batches = futures::stream::iter([Ok(batch)]);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

fn identity_stream(
    places: &[Place],
    values: &[(i64, String)],
) -> Result<SendableRecordBatchStream, String> {
    let mut fields = vec![
        Field::new(FILE_COLUMN, DataType::Int32, false),
        Field::new(ROW_NUMBER_COLUMN, DataType::Int64, false),
        Field::new(ROW_ID, DataType::Int64, true),
    ];
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(places.iter().map(|place| place.file))),
        Arc::new(Int64Array::from_iter_values(places.iter().map(|place| place.position))),
        Arc::new(Int64Array::from_iter_values(places.iter().map(|place| place.row_id))),
    ];
    if !values.is_empty() {
        fields.extend(row_fields());
        arrays.extend(row_arrays(values));
    }
    stream(fields, arrays)
}

/// One for all reads: making one takes longer than most of them.
static SESSION: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);

async fn places(provider: Arc<dyn TableProvider>) -> Result<Vec<Place>, LakeError> {
    let schema = provider.schema();
    let wanted = [FILE_COLUMN, ROW_NUMBER_COLUMN, ROW_ID, "ID", "TEXT"]
        .iter()
        .map(|column| Ok(schema.index_of(column)?))
        .collect::<Result<Vec<usize>, LakeError>>()?;
    let scan = provider.scan(&SESSION.state(), Some(&wanted), &[], None).await?;
    let batches = collect(scan, SESSION.task_ctx()).await?;
    let mut places = Vec::new();
    for batch in &batches {
        let number =
            |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
        for row in 0..batch.num_rows() {
            places.push(Place {
                file: batch.column(0).as_primitive::<Int32Type>().value(row),
                position: number(1, row),
                row_id: number(2, row),
                id: number(3, row),
                text: batch.column(4).as_string_view().value(row).to_string(),
            });
        }
    }
    Ok(places)
}

fn rows_of(places: Vec<Place>) -> Result<Rows, String> {
    let mut rows = Rows::new();
    for place in places {
        if rows.insert(place.id, place.text).is_some() {
            return Err(format!("row {} came twice", place.id));
        }
    }
    Ok(rows)
}

/// Every table of the newest snapshot, or of the one given.
pub async fn contents(lake: &Lake, at: Option<SnapshotId>) -> Result<Model, String> {
    let text = |error: LakeError| error.to_string();
    let snapshot = match at {
        Some(snapshot) => snapshot,
        None => lake.catalog().head().await.map_err(|error| error.to_string())?,
    };
    let view = lake.catalog().view(snapshot).await.map_err(|error| error.to_string())?;
    let mut model = Model::new();
    for table in TABLES {
        if view.table(&name(table)).is_none() {
            continue;
        }
        let version = lake.table_version_at(&name(table), snapshot).await.map_err(text)?;
        let read = places(lake.scan(&version)).await.map_err(text)?;
        model.insert(table.to_string(), rows_of(read)?);
    }
    Ok(model)
}

/// Makes the database and schema that histories work in.
pub async fn prepare(lake: &Lake) -> Result<(), LakeError> {
    let mut transaction = lake.begin(0).await?;
    transaction.create_database("D", false, None, None)?;
    transaction.create_schema("D", "S", false, None, None)?;
    transaction.commit(CommitMeta::default()).await?;
    Ok(())
}

impl History {
    /// A history over an open lake whose tables hold `committed`.
    pub fn new(
        lake: Lake,
        accounts: Accounts,
        objects: Objects,
        faults: Arc<Faults>,
        rng: ChaCha8Rng,
    ) -> History {
        History {
            lake,
            accounts,
            objects,
            faults,
            rng,
            committed: Model::new(),
            in_doubt: None,
            snapshots: Vec::new(),
            dropped: BTreeMap::new(),
            dropped_schemas: BTreeMap::new(),
            open: Vec::new(),
            next_id: 0,
            next_query: 0,
            commits: 0,
            reclaimed: 0,
            undropped_schemas: 0,
            log: Vec::new(),
        }
    }

    /// Gives new rows ids from here on.
    pub fn start_ids_at(&mut self, id: i64) {
        self.next_id = id;
    }

    /// Does one random thing. `Err` is a broken promise; faults that were asked for are none.
    pub async fn step(&mut self) -> Result<(), String> {
        if self.rng.random_ratio(6, 100) {
            return self.upkeep().await;
        }
        match self.rng.random_range(0..100) {
            0..8 => {
                let line = self.accounts.step(&mut self.rng).await?;
                self.log.push(line);
                return Ok(());
            }
            8..15 => {
                let line = self.objects.step(&mut self.rng).await?;
                self.log.push(line);
                return Ok(());
            }
            _ => {}
        }
        let choice = self.rng.random_range(0..100);
        if self.open.is_empty() || (choice < 10 && self.open.len() < OPEN_MAX) {
            self.next_query += 1;
            if let Ok(transaction) = self.lake.begin(1).await {
                let query_id = format!("query-{}", self.next_query);
                self.open.push(Open {
                    transaction,
                    effects: Vec::new(),
                    owners: BTreeMap::new(),
                    query_id,
                    contested: false,
                });
            }
            return Ok(());
        }
        let index = self.rng.random_range(0..self.open.len());
        let mut open = self.open.swap_remove(index);
        match choice {
            0..35 => self.commit(open).await,
            35..40 => {
                self.log.push(format!("{} is rolled back", open.query_id));
                open.transaction.rollback().await;
                Ok(())
            }
            _ => match self.change(&mut open).await {
                Ok(true) => {
                    let last = open.effects.last();
                    self.log.push(format!("{}: {last:?}", open.query_id));
                    self.open.push(open);
                    Ok(())
                }
                // A statement that failed takes its transaction with it.
                Ok(false) => {
                    self.log.push(format!("{} failed and is rolled back", open.query_id));
                    open.transaction.rollback().await;
                    Ok(())
                }
                Err(broken) => Err(broken),
            },
        }
    }

    /// Upkeep may fail, and may never change what anybody reads.
    async fn upkeep(&mut self) -> Result<(), String> {
        let done = match self.rng.random_range(0..4) {
            0 => self.lake.tidy().await.map(|report| format!("{report:?}")),
            1 => self.lake.tidy_all().await.map(|report| format!("{report:?}")),
            2 => {
                let orphans = self.lake.clear_orphans().await;
                let expired = self.lake.expire(&[]).await;
                expired.map(|report| format!("{report:?}, {orphans:?}"))
            }
            _ => self.lake.reclaim().await.map(|files| {
                self.reclaimed += files;
                format!("{files} files reclaimed")
            }),
        };
        self.log.push(format!("upkeep: {done:?}"));
        if self.faults.is_dead() {
            return Ok(());
        }
        let paused = self.faults.pause(true);
        let found = contents(&self.lake, None).await;
        self.faults.pause(paused);
        match found? == self.committed {
            true => Ok(()),
            false => Err("upkeep changed rows".to_string()),
        }
    }

    /// One statement; whether it worked.
    async fn change(&mut self, open: &mut Open) -> Result<bool, String> {
        if open.transaction.refresh().await.is_err() {
            return Ok(false);
        }
        let of_schema = |e: &Effect| e.table().is_none();
        if open.effects.iter().any(of_schema) {
            return Ok(true);
        }
        let Some(schema) = open.transaction.view().schema("D", "S").cloned() else {
            return self.make_schema(open).await;
        };
        if open.effects.is_empty() && self.rng.random_ratio(2, 100) {
            open.effects.push(Effect::DropSchema(schema.schema_id));
            return Ok(open.transaction.drop_schema("D", "S").is_ok());
        }
        let table = TABLES[self.rng.random_range(0..TABLES.len())];
        let Ok(info) = open.transaction.table(&name(table)) else {
            return self.make(open, table).await;
        };
        // CLONE and UNDROP are statements that commit: what they bring is used after that.
        let came =
            |e: &Effect| matches!(e, Effect::Clone(t, _) | Effect::Undrop(t, _) if t == table);
        if open.effects.iter().any(came) {
            return Ok(true);
        }
        let choice = self.rng.random_range(0..100);
        if choice < 5 {
            open.effects.push(Effect::Drop(table.to_string(), info.table_id));
            open.owners.remove(table);
            // Whoever takes back what this transaction made takes back what goes with it.
            let account = open.transaction.account();
            account.owners.retain(|owner| owner.id != info.table_id || info.table_id >= 0);
            account.copied_grants.retain(|copied| copied.to != info.table_id);
            return Ok(open.transaction.drop_table(&name(table)).is_ok());
        }
        if choice < 50 {
            let count = self.rng.random_range(1..30);
            let rows: Vec<(i64, String)> =
                (self.next_id..self.next_id + count).map(|id| (id, format!("new {id}"))).collect();
            self.next_id += count;
            let written = stream(row_fields(), row_arrays(&rows))?;
            open.effects.push(Effect::Put(table.to_string(), rows.into_iter().collect()));
            return Ok(open.transaction.append(&info, written).await.is_ok());
        }
        let Ok(version) = open.transaction.table_version(&info).await else { return Ok(false) };
        let Ok(seen) = places(open.transaction.scan(&version)).await else { return Ok(false) };
        self.check_seen(open, table, &seen)?;
        if choice < 55 {
            let ids = seen.iter().map(|place| place.id).collect();
            open.effects.push(Effect::Delete(table.to_string(), ids));
            return Ok(open.transaction.truncate(&info).await.is_ok());
        }
        let share = self.rng.random_range(1..=10);
        let chosen: Vec<Place> =
            seen.into_iter().filter(|_| self.rng.random_ratio(share, 10)).collect();
        if chosen.is_empty() {
            return Ok(true);
        }
        self.rewrite(open, table, &version, chosen, choice < 75).await
    }

    /// The schema is not there: it comes back with its tables, or a new one is made.
    async fn make_schema(&mut self, open: &mut Open) -> Result<bool, String> {
        // It went meanwhile, and this transaction's tables with it.
        if !open.effects.is_empty() {
            return Ok(true);
        }
        if self.rng.random_ratio(8, 10) {
            let gone = self.lake.catalog().dropped_schemas(0, |row| row.name == "D.S").await;
            let Ok(gone) = gone else { return Ok(false) };
            let last = gone.first();
            if let Some((last, tables)) = last
                .and_then(|last| Some((last, self.dropped_schemas.get(&last.object.schema_id)?)))
            {
                open.effects.push(Effect::UndropSchema(tables.clone()));
                return Ok(open.transaction.undrop_schema(last).is_ok());
            }
        }
        open.effects.push(Effect::MakeSchema);
        Ok(open.transaction.create_schema("D", "S", false, None, None).is_ok())
    }

    /// A table that is not there comes: back, as a clone, or new.
    async fn make(&mut self, open: &mut Open, table: &str) -> Result<bool, String> {
        let untouched = !open.effects.iter().any(|effect| effect.table() == Some(table));
        match self.rng.random_range(0..10) {
            0..4 if untouched => {
                let gone = self.lake.catalog().dropped_tables(0, |row| row.name == table).await;
                let Ok(gone) = gone else { return Ok(false) };
                let last = gone.first();
                if let Some((last, rows)) =
                    last.and_then(|last| Some((last, self.dropped.get(&last.object.table_id)?)))
                {
                    open.effects.push(Effect::Undrop(table.to_string(), rows.clone()));
                    return Ok(open.transaction.undrop_table(last).is_ok());
                }
            }
            4..7 => {
                let from = TABLES[self.rng.random_range(0..TABLES.len())];
                let snapshot = open.transaction.snapshot();
                let source = self.lake.table_version_at(&name(from), snapshot).await;
                if let Ok(source) = source {
                    return self.make_clone(open, table, from, &source).await;
                }
            }
            _ => {}
        }
        let made = open
            .transaction
            .create_table(NewTable {
                name: name(table),
                columns: columns(),
                kind: TableKind::Permanent,
                comment: None,
                cluster_by: None,
                retention_days: None,
                change_tracking: false,
            })
            .await;
        open.effects.push(Effect::Create(table.to_string()));
        let Ok(made) = made else { return Ok(false) };
        self.own(open, &made, None);
        Ok(true)
    }

    async fn make_clone(
        &mut self,
        open: &mut Open,
        table: &str,
        from: &str,
        source: &Arc<TableVersion>,
    ) -> Result<bool, String> {
        let Ok(seen) = places(self.lake.scan(source)).await else { return Ok(false) };
        let rows = rows_of(seen)?;
        if self.committed.get(from) != Some(&rows) {
            return Err(format!("{} would clone {from} as {rows:?}", open.query_id));
        }
        let clone = NewClone {
            name: name(table),
            kind: TableKind::Permanent,
            comment: None,
            retention_days: None,
            change_tracking: None,
            defaults: HashMap::new(),
        };
        open.effects.push(Effect::Clone(table.to_string(), rows));
        let Ok(made) = open.transaction.clone_table(source, clone).await else {
            return Ok(false);
        };
        let from = source.table.table_id;
        open.transaction.account().copied_grants.push(CopiedGrants {
            kind: ObjectKind::Table,
            from,
            to: made.table_id,
            owner: false,
            same_database: true,
        });
        self.own(open, &made, Some(from));
        Ok(true)
    }

    /// A new table's owner is part of the commit.
    fn own(&mut self, open: &mut Open, table: &TableInfo, source: Option<i64>) {
        let role = self.accounts.any_role(&mut self.rng);
        open.transaction.account().owners.push(NewOwner {
            kind: ObjectKind::Table,
            id: table.table_id,
            role: role.clone(),
            containers: None,
        });
        open.owners.insert(table.name.name.clone(), (role, source));
    }

    /// Notes what a commit did to tables: the rows of dropped ones, the owners of new ones.
    async fn note(
        &mut self,
        before: &Model,
        effects: &[Effect],
        owners: BTreeMap<String, (String, Option<i64>)>,
    ) -> Result<(), String> {
        for effect in effects {
            if let Effect::Drop(table, id) = effect
                && let Some(rows) = before.get(table).filter(|_| *id >= 0)
            {
                self.dropped.insert(*id, rows.clone());
            }
            if let Effect::DropSchema(id) = effect {
                self.dropped_schemas.insert(*id, before.clone());
            }
        }
        let paused = self.faults.pause(true);
        let view = self.lake.view().await;
        self.faults.pause(paused);
        let view = view.map_err(|error| error.to_string())?;
        for (table, (role, source)) in owners {
            let made = view.table(&name(&table)).ok_or_else(|| format!("no table {table}"))?;
            self.accounts.facts.add_table(made.table_id, &role, source);
        }
        Ok(())
    }

    async fn rewrite(
        &mut self,
        open: &mut Open,
        table: &str,
        version: &Arc<TableVersion>,
        chosen: Vec<Place>,
        update: bool,
    ) -> Result<bool, String> {
        if update {
            let text = format!("changed {}", self.next_query);
            let values: Vec<(i64, String)> =
                chosen.iter().map(|place| (place.id, text.clone())).collect();
            let rows = identity_stream(&chosen, &values)?;
            open.effects.push(Effect::Change(table.to_string(), values.into_iter().collect()));
            return Ok(open.transaction.update(version, rows).await.is_ok());
        }
        let ids = chosen.iter().map(|place| place.id).collect();
        let rows = identity_stream(&chosen, &[])?;
        open.effects.push(Effect::Delete(table.to_string(), ids));
        Ok(open.transaction.delete(version, rows).await.is_ok())
    }

    /// A statement sees what was committed and its transaction's own changes, nothing else.
    fn check_seen(&self, open: &Open, table: &str, seen: &[Place]) -> Result<(), String> {
        if open.contested {
            return Ok(());
        }
        let mut expected = self.committed.clone();
        // Rows that another transaction took meanwhile are a lost race, found at the commit.
        if apply(&mut expected, &open.effects).is_err() {
            return Ok(());
        }
        let expected = expected.remove(table).unwrap_or_default();
        let seen: Rows = seen.iter().map(|place| (place.id, place.text.clone())).collect();
        match seen == expected {
            true => Ok(()),
            false => Err(format!(
                "{} read {table} as {seen:?} where {expected:?} was right",
                open.query_id
            )),
        }
    }

    async fn commit(&mut self, open: Open) -> Result<(), String> {
        let Open { transaction, effects, owners, query_id, contested: _ } = open;
        let mut after = self.committed.clone();
        let fits = apply(&mut after, &effects);
        self.faults.take_in_doubt();
        let meta = CommitMeta {
            query_id: Some(query_id.clone()),
            statements: vec![query_id.clone()],
            ..CommitMeta::default()
        };
        match transaction.commit(meta).await {
            Ok(snapshot) => {
                self.log.push(format!("{query_id} committed as snapshot {snapshot}"));
                fits.map_err(|fault| format!("{query_id} committed although {fault}"))?;
                self.commits += 1;
                let came = |effect: &&Effect| matches!(effect, Effect::UndropSchema(_));
                self.undropped_schemas += effects.iter().filter(came).count();
                for other in &mut self.open {
                    other.contested |= other.is_contested_by(&effects);
                }
                let before = std::mem::replace(&mut self.committed, after.clone());
                self.note(&before, &effects, owners).await?;
                // A transaction without changes names the snapshot it read last, which may be older
                // than a commit whose answer was lost.
                if before != after {
                    self.snapshots.push((snapshot, after));
                }
                Ok(())
            }
            Err(_) if self.faults.is_dead() => {
                if self.faults.take_in_doubt() && fits.is_ok() {
                    self.in_doubt = Some(after);
                }
                Ok(())
            }
            Err(error) => {
                self.log.push(format!("{query_id} did not commit: {error}"));
                let doubt = self.faults.take_in_doubt();
                let paused = self.faults.pause(true);
                let found = contents(&self.lake, None).await;
                self.faults.pause(paused);
                let found =
                    found.map_err(|e| format!("unreadable after {query_id} ({error}): {e}"))?;
                if found == self.committed {
                    return Ok(());
                }
                // The commit worked, its answer was lost, and asking again failed too.
                if doubt && fits.is_ok() && found == after {
                    let before = std::mem::replace(&mut self.committed, after);
                    return self.note(&before, &effects, owners).await;
                }
                Err(format!("{query_id} failed ({error}) and left a trace"))
            }
        }
    }
}
