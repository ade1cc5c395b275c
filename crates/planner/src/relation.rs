//! What the planner is given: resolved relations, models and sequences, and the statement's facts.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use frazil_common::{
    Access, Column, ObjectName, ObjectRef, QualifiedName, SqlType, UserError, hidden,
};
use frazil_functions::{Facts, StatementStop, TypedExpr};
use sqlparser::ast::Query;

/// A table's row: index in `TableVersion.files`, Int32.
pub const METADATA_FILE: &str = hidden::FILE;
/// A table's row: position in its file, counted from 0, Int64.
pub const METADATA_FILE_ROW_NUMBER: &str = hidden::FILE_ROW_NUMBER;
/// A table's row: its id, Int64.
pub const METADATA_ROW_ID: &str = hidden::ROW_ID;
/// What begins the names of hidden columns with a masked column's values as they are. No statement
/// can name them; UPDATE and MERGE write them back where they set nothing.
pub const METADATA_KEPT: &str = hidden::KEPT;
/// Names of the hidden identity columns of tables, in the order DML plans yield them.
pub const IDENTITY_COLUMNS: [&str; 3] = [METADATA_FILE, METADATA_FILE_ROW_NUMBER, METADATA_ROW_ID];

/// Rows with names and types that a query can read: a table, view, stage or function result.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The object whose SELECT privilege a reader needs; none for results of functions.
    pub object: Option<ObjectRef>,
    /// Full name, by which columns can be qualified.
    pub name: Option<QualifiedName>,
    pub columns: Vec<Column>,
    /// Output fields: the columns in order, then the hidden ones.
    pub plan: LogicalPlan,
    /// What reading it reads in turn, such as a view's tables on behalf of its owner.
    pub accesses: Vec<Access>,
    /// Number of trailing fields of the plan that `*` does not show.
    pub hidden: usize,
}

/// Something outside the statement that the engine resolves before planning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    Table {
        name: ObjectName,
        travel: Option<TimeTravel>,
    },
    /// A table's changes after one state, up to another or now.
    Changes {
        name: ObjectName,
        /// Inserted rows only, as they were when inserted.
        append_only: bool,
        from: TimeTravel,
        to: Option<TimeTravel>,
    },
    /// `@stage/path` as written, with the options in parentheses after it (names upper case).
    Stage {
        path: String,
        options: Vec<(String, String)>,
    },
    ResultScan {
        query_id: String,
    },
    /// A table function the engine offers; names upper case.
    TableFunction {
        name: String,
        arguments: Vec<(Option<String>, FunctionValue)>,
    },
    Model {
        name: ObjectName,
        version: Option<String>,
    },
    Sequence {
        name: ObjectName,
    },
}

/// AT and BEFORE, their arguments evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TimeTravel {
    /// Microseconds since 1970-01-01 UTC.
    AtTimestamp(i64),
    /// Seconds from now, not positive.
    AtOffset(i64),
    /// After the statement of that query id.
    AtStatement(String),
    /// A catalog snapshot.
    AtVersion(i64),
    BeforeTimestamp(i64),
    BeforeOffset(i64),
    /// Just before the statement of that query id.
    BeforeStatement(String),
}

/// A constant argument of a table function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FunctionValue {
    Text(String),
    /// Digits as written, with a sign.
    Number(String),
    Boolean(bool),
    Null,
    Query(Box<Query>),
    Identifier(ObjectName),
    List(Vec<FunctionValue>),
}

/// A model version ready to score.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    pub object: ObjectRef,
    pub version: String,
    /// In signature order.
    pub features: Vec<ModelFeature>,
    /// By upper-case name, such as `PREDICT`.
    pub methods: HashMap<String, ModelMethod>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFeature {
    pub name: String,
    /// FLOAT or VARCHAR; arguments are cast to it.
    pub sql_type: SqlType,
}

#[derive(Debug, Clone)]
pub struct ModelMethod {
    /// Takes the features (if `takes_features`), then the extra arguments.
    pub udf: Arc<ScalarUDF>,
    pub returns: SqlType,
    /// Types of arguments that are no features, such as user and count of RECOMMEND.
    pub extra_arguments: Vec<SqlType>,
    pub takes_features: bool,
}

/// A sequence ready to draw from.
#[derive(Debug, Clone)]
pub struct ResolvedSequence {
    pub object: ObjectRef,
    /// The next value for each row; volatile.
    pub next: TypedExpr,
}

/// Everything [`crate::references`] named, resolved.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    pub relations: HashMap<Reference, Relation>,
    pub models: HashMap<Reference, ResolvedModel>,
    pub sequences: HashMap<Reference, ResolvedSequence>,
}

/// What a statement is planned with.
#[derive(Debug, Clone, Copy)]
pub struct PlanContext<'a> {
    pub facts: &'a Facts,
    pub resolved: &'a Resolved,
    /// Values of `?1`, `?2`, … in order.
    pub binds: &'a [TypedExpr],
    /// Session variables by upper-case name.
    pub variables: &'a HashMap<String, TypedExpr>,
    /// The text the syntax tree's spans count in; output columns without an alias are named by
    /// it. May be empty: then names are printed from the tree.
    pub source: &'a str,
    /// Asked at every expression and every query whether the statement goes on.
    pub stop: Option<&'a StatementStop>,
}

impl<'a> PlanContext<'a> {
    /// A context without source text.
    pub fn new(
        facts: &'a Facts,
        resolved: &'a Resolved,
        binds: &'a [TypedExpr],
        variables: &'a HashMap<String, TypedExpr>,
    ) -> Self {
        PlanContext { facts, resolved, binds, variables, source: "", stop: None }
    }

    /// The same for a statement that may be stopped.
    pub fn with_stop(mut self, stop: &'a StatementStop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// # Errors
    /// 000604: the statement was stopped.
    pub(crate) fn check_stopped(&self) -> Result<(), UserError> {
        self.stop.map_or(Ok(()), StatementStop::check)
    }

    /// The same with the text that was parsed.
    pub fn with_source(mut self, source: &'a str) -> Self {
        self.source = source;
        self
    }
}

/// A planned query.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Output fields are in the order of `columns` and have unique names.
    pub plan: LogicalPlan,
    /// Names (which may repeat) and types as the user sees them.
    pub columns: Vec<Column>,
    pub accesses: Vec<Access>,
}

/// The table a DML statement writes.
#[derive(Debug, Clone)]
pub struct TargetTable {
    /// With the hidden identity columns.
    pub relation: Relation,
    /// All columns in table order.
    pub columns: Vec<TargetColumn>,
}

#[derive(Debug, Clone)]
pub struct TargetColumn {
    pub column: Column,
    /// Bound default, or the next value of the column's AUTOINCREMENT; NULL if none.
    pub default: Option<TypedExpr>,
}

/// What a DML plan's rows mean to the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmlKind {
    /// All columns in table order.
    Insert,
    /// Identity columns, then all new column values in table order.
    Update,
    /// Identity columns.
    Delete,
    /// [`METADATA_ACTION`] Int8 (see [`MERGE_UPDATE`]), identity columns (NULL for inserts), all new
    /// column values (NULL for deletes).
    Merge,
}

/// Values of [`METADATA_ACTION`].
pub const MERGE_UPDATE: i8 = 1;
/// See [`MERGE_UPDATE`].
pub const MERGE_DELETE: i8 = 2;
/// See [`MERGE_UPDATE`].
pub const MERGE_INSERT: i8 = 3;
/// Name of the action column of MERGE plans.
pub const METADATA_ACTION: &str = hidden::ACTION;

/// A planned INSERT, UPDATE, DELETE or MERGE.
#[derive(Debug, Clone)]
pub struct PlannedDml {
    pub planned: Planned,
    pub kind: DmlKind,
}
