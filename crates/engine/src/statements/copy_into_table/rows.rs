//! Runs a COPY's plan file by file, and finds the rows that cannot be taken.
//!
//! The plan is a chain of projections and filters over the files. A batch that fails is halved
//! until the failing rows stand alone; the others go on.

use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use frazil_catalog::TableInfo;
use frazil_common::{Code, UserError};
use futures::StreamExt;

use crate::run::counted;
use crate::run::execute::user_error;
use crate::run::halved::HalvedExec;
use crate::stages::load_log::{Category, LoadLog, RowError, is_about_row};
use crate::stages::scan::{ROW_NUMBER, ROW_OFFSET};

/// One operator over a batch.
enum Step {
    Project { expressions: Vec<ProjectionExpr>, schema: SchemaRef },
    Filter { predicate: Arc<dyn PhysicalExpr>, projection: Option<Vec<usize>> },
}

/// Where a batch holds the rows' number and offset.
#[derive(Debug, Clone, Copy)]
struct Places {
    number: usize,
    offset: usize,
}

/// A COPY's plan, ready to run for one file after another.
pub(super) struct Pipeline {
    files: Arc<dyn ExecutionPlan>,
    /// First to run first, each with the places in its input.
    steps: Vec<(Step, Places)>,
    table: Arc<TableInfo>,
    places: Places,
    /// CSV: an empty field is the usual reason of a NULL.
    text_files: bool,
}

impl Pipeline {
    /// Takes a plan apart.
    ///
    /// # Errors
    /// An operator that mixes rows, which a COPY has no use for.
    pub fn new(
        plan: &Arc<dyn ExecutionPlan>,
        table: Arc<TableInfo>,
        text_files: bool,
    ) -> Result<Pipeline, UserError> {
        let mut steps = Vec::new();
        let files = take_apart(plan, &mut steps)?;
        let schema = files.schema();
        let at = |name: &str| {
            schema.index_of(name).map_err(|_| UserError::internal("a row's place was not read"))
        };
        let mut places = Places { number: at(ROW_NUMBER)?, offset: at(ROW_OFFSET)? };
        let mut placed = Vec::with_capacity(steps.len());
        for step in steps.into_iter().rev() {
            let input = places;
            places = Places {
                number: follow(&step, input.number)?,
                offset: follow(&step, input.offset)?,
            };
            placed.push((step, input));
        }
        Ok(Pipeline { files, steps: placed, table, places, text_files })
    }

    /// Number of files.
    pub fn file_count(&self) -> usize {
        self.files.properties().output_partitioning().partition_count()
    }

    /// Reads a file and hands on the table's columns of the rows that can be taken, batch by
    /// batch of at most `chunk` rows, until `give` declines. Gives the number of rows handed on.
    ///
    /// # Errors
    /// In a strict load the first row that cannot be taken; else only what is no row's fault.
    pub async fn run<F>(
        &self,
        file: usize,
        log: &LoadLog,
        context: Arc<TaskContext>,
        chunk: usize,
        mut give: impl FnMut(RecordBatch) -> F,
    ) -> Result<u64, UserError>
    where
        F: Future<Output = bool>,
    {
        let mut stream = self.files.execute(file, context).map_err(user_error)?;
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let read = batch.map_err(user_error)?;
            let mut offset = 0;
            while offset < read.num_rows() {
                let count = chunk.min(read.num_rows() - offset);
                let batch = self.apply(read.slice(offset, count), file, log)?;
                offset += count;
                if batch.num_rows() == 0 {
                    continue;
                }
                rows += batch.num_rows() as u64;
                if !give(batch).await {
                    return Ok(rows);
                }
            }
        }
        Ok(rows)
    }

    fn apply(
        &self,
        mut batch: RecordBatch,
        file: usize,
        log: &LoadLog,
    ) -> Result<RecordBatch, UserError> {
        for (index, (step, places)) in self.steps.iter().enumerate() {
            let last = index + 1 == self.steps.len();
            let salvage = Salvage { step, places: *places, last, file, log };
            batch = salvage.run(batch, &self.table)?;
        }
        let batch = self.without_nulls(batch, file, log)?;
        let columns: Vec<usize> = (0..self.table.columns.len()).collect();
        batch.project(&columns).map_err(UserError::internal)
    }

    /// Leaves out rows that are NULL where the table takes none.
    fn without_nulls(
        &self,
        batch: RecordBatch,
        file: usize,
        log: &LoadLog,
    ) -> Result<RecordBatch, UserError> {
        let required: Vec<(usize, ArrayRef)> = self
            .table
            .columns
            .iter()
            .zip(batch.columns())
            .enumerate()
            .filter(|(_, (column, array))| !column.nullable && array.logical_null_count() > 0)
            .map(|(index, (_, array))| (index, Arc::clone(array)))
            .collect();
        if required.is_empty() {
            return Ok(batch);
        }
        let nulls: Vec<_> =
            required.iter().map(|(index, array)| (*index, array.logical_nulls())).collect();
        let mut keep = vec![true; batch.num_rows()];
        for (row, keep) in keep.iter_mut().enumerate() {
            let column = nulls
                .iter()
                .find(|(_, nulls)| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)))
                .map(|(column, _)| *column);
            let Some(column) = column else { continue };
            *keep = false;
            let error = if self.text_files {
                UserError::new(
                    Code::NullInFile,
                    "NULL result in a non-nullable column. Use quotes if an empty field should be \
                     interpreted as an empty string instead of a null",
                )
            } else {
                UserError::new(Code::NullNotAllowed, "NULL result in a non-nullable column")
            };
            log.note(
                file,
                RowError {
                    error,
                    row: place(&batch, self.places.number, row)?,
                    offset: place(&batch, self.places.offset, row)?,
                    column: Some(column),
                    field: None,
                    place: None,
                    category: Category::Parsing,
                },
            )?;
        }
        filter_record_batch(&batch, &BooleanArray::from(keep)).map_err(UserError::internal)
    }
}

fn place(batch: &RecordBatch, column: usize, row: usize) -> Result<i64, UserError> {
    let array: Option<&Int64Array> = batch.column(column).as_primitive_opt::<Int64Type>();
    array
        .map(|array| array.value(row))
        .ok_or_else(|| UserError::internal("a row's place is no number"))
}

/// Notes the operators over the files, outermost first; gives the scan.
fn take_apart(
    plan: &Arc<dyn ExecutionPlan>,
    steps: &mut Vec<Step>,
) -> Result<Arc<dyn ExecutionPlan>, UserError> {
    // What counts the scan's rows goes with it.
    if plan.downcast_ref::<StreamingTableExec>().is_some() || plan.name() == counted::NAME {
        return Ok(Arc::clone(plan));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        steps.push(Step::Project {
            expressions: projection.expr().to_vec(),
            schema: projection.schema(),
        });
        return take_apart(projection.input(), steps);
    }
    if let Some(projection) = plan.downcast_ref::<HalvedExec>() {
        steps.push(Step::Project {
            expressions: projection.exprs().to_vec(),
            schema: projection.schema(),
        });
        return take_apart(projection.input(), steps);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        steps.push(Step::Filter {
            predicate: Arc::clone(filter.predicate()),
            projection: filter.projection().as_ref().map(|indexes| indexes.to_vec()),
        });
        return take_apart(filter.input(), steps);
    }
    // These only move batches between threads.
    let moves = plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<RepartitionExec>().is_some();
    match plan.children().as_slice() {
        [input] if moves => take_apart(input, steps),
        _ => {
            Err(UserError::unsupported(format!("a COPY transformation that needs {}", plan.name())))
        }
    }
}

/// Where a column of a step's input stands in its output.
fn follow(step: &Step, column: usize) -> Result<usize, UserError> {
    let found = match step {
        Step::Project { expressions, .. } => expressions.iter().position(|expression| {
            expression
                .expr
                .downcast_ref::<ColumnExpr>()
                .is_some_and(|found| found.index() == column)
        }),
        Step::Filter { projection: None, .. } => Some(column),
        Step::Filter { projection: Some(kept), .. } => kept.iter().position(|at| *at == column),
    };
    found.ok_or_else(|| UserError::internal("a row's place was lost on the way"))
}

/// One step over one batch of one file.
struct Salvage<'a> {
    step: &'a Step,
    places: Places,
    /// The step that makes the table's columns.
    last: bool,
    file: usize,
    log: &'a LoadLog,
}

impl Salvage<'_> {
    fn run(&self, batch: RecordBatch, table: &TableInfo) -> Result<RecordBatch, UserError> {
        match (self.evaluate(&batch), self.step) {
            (Ok(done), _) => Ok(done),
            (Err((error, _)), _) if !is_about_row(&error) => Err(error),
            (Err(_), Step::Project { expressions, .. }) if !self.log.is_strict() => {
                self.without_bad_rows(batch, expressions, table)
            }
            (Err(_), _) => self.halves(batch, table),
        }
    }

    /// Halves a batch until its failing rows stand alone, the first ones first.
    fn halves(&self, batch: RecordBatch, table: &TableInfo) -> Result<RecordBatch, UserError> {
        match self.evaluate(&batch) {
            Ok(done) => Ok(done),
            Err((error, _)) if !is_about_row(&error) => Err(error),
            Err((error, at)) if batch.num_rows() <= 1 => {
                self.log.note(self.file, self.row_error(&batch, error, at, table)?)?;
                self.evaluate(&batch.slice(0, 0)).map_err(|(error, _)| error)
            }
            Err(_) => {
                let half = batch.num_rows() / 2;
                let first = self.halves(batch.slice(0, half), table)?;
                let second = self.halves(batch.slice(half, batch.num_rows() - half), table)?;
                concat_batches(&first.schema(), [&first, &second]).map_err(UserError::internal)
            }
        }
    }

    /// Leaves out the rows that any expression fails on; only that expression is tried again.
    fn without_bad_rows(
        &self,
        mut batch: RecordBatch,
        expressions: &[ProjectionExpr],
        table: &TableInfo,
    ) -> Result<RecordBatch, UserError> {
        for (index, expression) in expressions.iter().enumerate() {
            let mut bad = Vec::new();
            find_bad(expression, &batch, 0, &mut bad)?;
            if bad.is_empty() {
                continue;
            }
            let mut keep = vec![true; batch.num_rows()];
            for (row, error) in bad {
                keep[row] = false;
                let one = batch.slice(row, 1);
                self.log.note(self.file, self.row_error(&one, error, Some(index), table)?)?;
            }
            batch = filter_record_batch(&batch, &BooleanArray::from(keep))
                .map_err(UserError::internal)?;
        }
        self.evaluate(&batch).map_err(|(error, _)| error)
    }

    /// The step's output, or its error and the expression that raised it.
    fn evaluate(&self, batch: &RecordBatch) -> Result<RecordBatch, (UserError, Option<usize>)> {
        match self.step {
            Step::Project { expressions, schema } => {
                let mut columns = Vec::with_capacity(expressions.len());
                for (index, expression) in expressions.iter().enumerate() {
                    let column = expression
                        .expr
                        .evaluate(batch)
                        .and_then(|value| value.into_array(batch.num_rows()))
                        .map_err(|error| (user_error(error), Some(index)))?;
                    columns.push(column);
                }
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
                    .map_err(|error| (UserError::internal(error), None))
            }
            Step::Filter { predicate, projection } => {
                let kept = predicate
                    .evaluate(batch)
                    .and_then(|value| value.into_array(batch.num_rows()))
                    .map_err(|error| (user_error(error), None))?;
                let internal = |error| (UserError::internal(error), None);
                let batch = filter_record_batch(batch, kept.as_boolean()).map_err(internal)?;
                match projection {
                    Some(kept) => batch.project(kept).map_err(internal),
                    None => Ok(batch),
                }
            }
        }
    }

    fn row_error(
        &self,
        row: &RecordBatch,
        error: UserError,
        expression: Option<usize>,
        table: &TableInfo,
    ) -> Result<RowError, UserError> {
        let field = match (self.step, expression) {
            (Step::Project { expressions, .. }, Some(index)) => {
                collect_columns(&expressions[index].expr)
                    .iter()
                    .filter_map(|column| row.schema().fields().get(column.index()).cloned())
                    .find_map(|field| field.name().strip_prefix('C')?.parse::<usize>().ok())
                    .and_then(|position| position.checked_sub(1))
            }
            _ => None,
        };
        Ok(RowError {
            error,
            row: place(row, self.places.number, 0)?,
            offset: place(row, self.places.offset, 0)?,
            column: expression.filter(|index| self.last && *index < table.columns.len()),
            field,
            place: None,
            category: Category::Conversion,
        })
    }
}

/// Collects the rows an expression fails on, with their errors; `first` is the number of the
/// batch's first row.
fn find_bad(
    expression: &ProjectionExpr,
    batch: &RecordBatch,
    first: usize,
    bad: &mut Vec<(usize, UserError)>,
) -> Result<(), UserError> {
    let rows = batch.num_rows();
    let Err(error) = expression.expr.evaluate(batch).map_err(user_error) else { return Ok(()) };
    if !is_about_row(&error) {
        return Err(error);
    }
    if rows <= 1 {
        bad.push((first, error));
        return Ok(());
    }
    let half = rows / 2;
    find_bad(expression, &batch.slice(0, half), first, bad)?;
    find_bad(expression, &batch.slice(half, rows - half), first + half, bad)
}
