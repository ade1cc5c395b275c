//! Small relations, and queries run over them with DataFusion's optimizer.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::TableReference;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use frazil_common::{Column, ObjectKind, ObjectRef, QualifiedName, SqlType, UserError};
use frazil_functions::{Facts, TypedExpr};
use sqlparser::ast::Query;

use crate::*;

/// A column of a test table: its name, its type and its values as SQL expressions.
pub(super) struct World {
    pub facts: Facts,
    pub binds: Vec<TypedExpr>,
    pub variables: HashMap<String, TypedExpr>,
    pub tables: HashMap<String, Relation>,
    pub models: HashMap<Reference, ResolvedModel>,
    pub sequences: HashMap<Reference, ResolvedSequence>,
}

const INT: SqlType = SqlType::Number { precision: 18, scale: 0 };

pub(super) fn integers(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub(super) fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringViewArray::from(values.to_vec()))
}

pub(super) fn table_relation(
    id: i64,
    name: &str,
    columns: Vec<(&str, SqlType, ArrayRef)>,
    hidden: bool,
) -> Relation {
    let rows = columns.first().map_or(0, |(_, _, array)| array.len());
    let shown: Vec<Column> = columns
        .iter()
        .map(|(name, sql_type, _)| Column::new(*name, sql_type.clone(), true))
        .collect();
    let mut fields: Vec<Field> = shown.iter().map(Column::to_field).collect();
    let mut arrays: Vec<ArrayRef> = columns.into_iter().map(|(_, _, array)| array).collect();
    if hidden {
        fields.push(Field::new(METADATA_FILE, DataType::Int32, true));
        fields.push(Field::new(METADATA_FILE_ROW_NUMBER, DataType::Int64, true));
        fields.push(Field::new(METADATA_ROW_ID, DataType::Int64, true));
        arrays.push(Arc::new(Int32Array::from(vec![0; rows])));
        arrays.push(Arc::new(Int64Array::from_iter_values(0..rows as i64)));
        arrays.push(Arc::new(Int64Array::from_iter_values(100..100 + rows as i64)));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let table = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
    let plan = LogicalPlanBuilder::scan(
        TableReference::full("DB", "PUBLIC", name),
        provider_as_source(Arc::new(table)),
        None,
    )
    .unwrap()
    .build()
    .unwrap();
    Relation {
        object: Some(ObjectRef { kind: ObjectKind::Table, id, name: format!("DB.PUBLIC.{name}") }),
        name: Some(QualifiedName::new("DB", "PUBLIC", name)),
        columns: shown,
        plan,
        accesses: Vec::new(),
        hidden: if hidden { 3 } else { 0 },
    }
}

impl World {
    pub fn new() -> Self {
        let mut world = World {
            facts: Facts::default(),
            binds: Vec::new(),
            variables: HashMap::new(),
            tables: HashMap::new(),
            models: HashMap::new(),
            sequences: HashMap::new(),
        };
        // EMP: department, salary with a NULL; DEPT: one without employees.
        world.add(
            "EMP",
            vec![
                ("ID", INT, integers(&[Some(1), Some(2), Some(3), Some(4), Some(5)])),
                (
                    "NAME",
                    SqlType::TEXT,
                    texts(&[Some("ann"), Some("bob"), Some("cid"), Some("dan"), None]),
                ),
                ("DEPT", INT, integers(&[Some(10), Some(10), Some(20), None, Some(20)])),
                ("SALARY", INT, integers(&[Some(100), Some(200), Some(300), Some(400), None])),
            ],
        );
        world.add(
            "DEPT",
            vec![
                ("ID", INT, integers(&[Some(10), Some(20), Some(30)])),
                ("TITLE", SqlType::TEXT, texts(&[Some("sales"), Some("lab"), Some("none")])),
            ],
        );
        world.add(
            "PAIRS",
            vec![
                ("A", INT, integers(&[Some(1), Some(1), Some(2), None, None])),
                ("B", INT, integers(&[Some(1), Some(2), Some(2), Some(3), Some(3)])),
            ],
        );
        world
    }

    pub fn add(&mut self, name: &str, columns: Vec<(&str, SqlType, ArrayRef)>) {
        let id = self.tables.len() as i64 + 1;
        self.tables.insert(name.to_string(), table_relation(id, name, columns, true));
    }

    fn resolve(&self, references: Vec<Reference>) -> Resolved {
        let mut resolved = Resolved {
            relations: HashMap::new(),
            models: self.models.clone(),
            sequences: self.sequences.clone(),
        };
        for reference in references {
            // The changes of a table stand for themselves here: what matters is what was asked for.
            let (Reference::Table { name, travel: _ }
            | Reference::Changes { name, append_only: _, from: _, to: _ }) = &reference
            else {
                continue;
            };
            if let Some(relation) = self.tables.get(&name.name) {
                resolved.relations.insert(reference.clone(), relation.clone());
            }
        }
        resolved
    }

    pub fn with_context<T>(
        &self,
        source: &str,
        references: impl FnOnce(&PlanContext<'_>) -> Result<Vec<Reference>, UserError>,
        plan: impl FnOnce(&PlanContext<'_>) -> Result<T, UserError>,
    ) -> Result<T, UserError> {
        let empty = Resolved::default();
        let ctx = PlanContext::new(&self.facts, &empty, &self.binds, &self.variables);
        let resolved = self.resolve(references(&ctx)?);
        let ctx = PlanContext { resolved: &resolved, ..ctx }.with_source(source);
        plan(&ctx)
    }

    pub fn plan(&self, sql: &str) -> Result<Planned, UserError> {
        let query: Box<Query> = frazil_dialect::parse_query(sql)?;
        self.with_context(sql, |ctx| references(&query, ctx), |ctx| plan_query(&query, ctx))
    }

    /// The rows of a query, values separated by `|`, in the order they come.
    pub fn rows(&self, sql: &str) -> Result<Vec<String>, UserError> {
        let planned = self.plan(sql)?;
        let fields = planned.plan.schema().fields().clone();
        assert_eq!(fields.len(), planned.columns.len(), "{sql}");
        for (field, column) in fields.iter().zip(&planned.columns) {
            assert_eq!(
                field.data_type(),
                &column.sql_type.to_arrow(),
                "{sql}: column {}",
                column.name
            );
        }
        run(planned.plan)
    }

    /// As [`World::rows`], sorted.
    pub fn sorted(&self, sql: &str) -> Vec<String> {
        let mut rows = self.ok(sql);
        rows.sort();
        rows
    }

    pub fn ok(&self, sql: &str) -> Vec<String> {
        match self.rows(sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}\n{error}"),
        }
    }

    pub fn error(&self, sql: &str) -> UserError {
        match self.rows(sql) {
            Ok(rows) => panic!("{sql}\ngave {rows:?}"),
            Err(error) => error,
        }
    }

    pub fn names(&self, sql: &str) -> Vec<String> {
        self.plan(sql).unwrap().columns.into_iter().map(|column| column.name).collect()
    }

    pub fn types(&self, sql: &str) -> Vec<String> {
        let planned = self.plan(sql).unwrap();
        planned.columns.into_iter().map(|column| column.sql_type.to_string()).collect()
    }
}

pub(super) fn run(plan: LogicalPlan) -> Result<Vec<String>, UserError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = SessionConfig::new().with_target_partitions(2);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_optimizer_rules(crate::optimizer_rules())
            .build();
        let context = SessionContext::new_with_state(state);
        let shown = plan.display_indent().to_string();
        let collect = async {
            let frame = context.execute_logical_plan(plan).await?;
            frame.collect().await
        };
        let batches = collect.await.map_err(|error| {
            let mut user = frazil_functions::user_error(&error);
            if user.code == frazil_common::Code::Internal {
                user.message.push_str(&format!("\n{error}\n{shown}"));
            }
            user
        })?;
        let mut rows = Vec::new();
        for batch in batches {
            for row in 0..batch.num_rows() {
                let values: Vec<String> =
                    batch.columns().iter().map(|array| show(array, row)).collect();
                rows.push(values.join("|"));
            }
        }
        Ok(rows)
    })
}

fn show(array: &ArrayRef, row: usize) -> String {
    if let DataType::Struct(fields) = array.data_type()
        && fields.first().is_some_and(|field| field.name() == "metadata")
    {
        return frazil_functions::variant::to_json_string(array, row)
            .unwrap_or_else(|| "NULL".to_string());
    }
    let options = FormatOptions::default().with_null("NULL");
    ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
}
