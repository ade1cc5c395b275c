//! FILTER, TRANSFORM and REDUCE: a function given as an expression, applied to an array's elements.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column as PlanColumn, DFSchema};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::create_physical_expr;
use frazil_common::{Code, SqlType, UserError};

use crate::aggregate::value_bytes;
use crate::error::{raise, user_error};
use crate::made::{MadeBytes, MadeBytesMax};
use crate::stop::StatementStop;
use crate::typed::TypedExpr;
use crate::variant::{Value, VariantBuilder, VariantColumn, row_to_value};

/// Elements that the body is computed for at once.
const ELEMENTS_AT_ONCE: usize = 1024;

/// What becomes of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LambdaKind {
    /// Keeps the elements for which the body is true.
    Filter,
    /// The body's value for each element.
    Transform,
    /// The last value of an accumulator that the body computes element by element.
    Reduce,
}

/// A function of an array's elements.
#[derive(Debug, Clone)]
pub struct Lambda {
    pub kind: LambdaKind,
    /// Unqualified columns of `body` that stand for the parameters: the element, a VARIANT; for
    /// REDUCE the accumulator before it, of the body's type.
    pub parameters: Vec<String>,
    /// Columns of the rows that `body` reads besides, and the names it knows them by.
    pub captured: Vec<(String, Expr)>,
    /// For FILTER a BOOLEAN.
    pub body: TypedExpr,
}

impl Lambda {
    /// The call; `initial` is REDUCE's first accumulator, of the body's type.
    pub fn call(self, array: Expr, initial: Option<Expr>) -> TypedExpr {
        let Lambda { kind, parameters, captured, body } = self;
        let returns = match kind {
            LambdaKind::Filter | LambdaKind::Transform => SqlType::Array,
            LambdaKind::Reduce => body.sql_type.clone(),
        };
        let mut names = parameters;
        let mut args = vec![array];
        args.extend(initial);
        for (name, column) in captured {
            names.push(name);
            args.push(column);
        }
        let volatility =
            if body.expr.is_volatile() { Volatility::Volatile } else { Volatility::Immutable };
        let function = HigherOrder {
            kind,
            names,
            body: body.expr,
            returns: returns.to_arrow(),
            signature: Signature::variadic_any(volatility),
        };
        TypedExpr::new(Arc::new(ScalarUDF::from(function)).call(args), returns, true)
    }
}

#[derive(Debug)]
struct HigherOrder {
    kind: LambdaKind,
    /// Columns of the body: the accumulator of REDUCE, the element, the captured columns.
    names: Vec<String>,
    body: Expr,
    returns: DataType,
    signature: Signature,
}

impl PartialEq for HigherOrder {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.names, &self.body, &self.returns)
            == (other.kind, &other.names, &other.body, &other.returns)
    }
}

impl Eq for HigherOrder {}

impl Hash for HigherOrder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, &self.names, &self.body, &self.returns).hash(state);
    }
}

impl ScalarUDFImpl for HigherOrder {
    fn name(&self) -> &str {
        match self.kind {
            LambdaKind::Filter => "frazil_filter",
            LambdaKind::Transform => "frazil_transform",
            LambdaKind::Reduce => "frazil_reduce",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let mut columns = args
            .args
            .into_iter()
            .map(|value| value.into_array(args.number_rows))
            .collect::<EngineResult<Vec<_>>>()?;
        let statement = Statement::new(&args.config_options);
        let array = columns.remove(0);
        let lists = elements(&array)?;
        let out = match self.kind {
            LambdaKind::Filter | LambdaKind::Transform => self.map(lists, &columns, &statement)?,
            LambdaKind::Reduce => {
                let initial = columns.remove(0);
                self.reduce(&lists, initial, &columns, &statement)?
            }
        };
        Ok(ColumnarValue::Array(out))
    }
}

/// The elements of each row's array; `None` where there is none.
fn elements(array: &ArrayRef) -> EngineResult<Vec<Option<Vec<Value>>>> {
    if array.data_type() == &DataType::Null {
        return Ok(vec![None; array.len()]);
    }
    let column = VariantColumn::new(array.as_ref()).map_err(raise)?;
    let list = |row| match column.value(row) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    };
    Ok((0..array.len()).map(list).collect())
}

/// A null among an array's elements is the function's NULL.
fn append(builder: &mut VariantBuilder, value: &Value) {
    builder.append(Some(value).filter(|value| **value != Value::Null));
}

/// What the functions of a body go by, as those outside.
struct Statement {
    props: ExecutionProps,
    stop: Option<StatementStop>,
    made_max: Option<MadeBytesMax>,
}

impl Statement {
    fn new(options: &Arc<ConfigOptions>) -> Self {
        let mut props = ExecutionProps::new();
        props.mark_start_execution(Arc::clone(options));
        Statement { props, stop: StatementStop::of(options), made_max: MadeBytesMax::of(options) }
    }
}

impl HigherOrder {
    /// The body's values over columns given in the order of `names`.
    fn evaluate(&self, columns: Vec<ArrayRef>, statement: &Statement) -> EngineResult<ArrayRef> {
        statement.stop.as_ref().map_or(Ok(()), StatementStop::check).map_err(raise)?;
        let rows = columns.first().map_or(0, |column| column.len());
        let fields: Vec<Field> = self
            .names
            .iter()
            .zip(&columns)
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let schema = DFSchema::try_from(batch.schema())?;
        let physical = create_physical_expr(
            &self.body,
            &schema,
            &statement.props,
            &PhysicalPlanningContext::default(),
        )?;
        physical.evaluate(&batch)?.into_array(rows)
    }

    /// The body's values for elements, each with its row.
    fn part(
        &self,
        elements: &[(u64, &Value)],
        captured: &[ArrayRef],
        statement: &Statement,
    ) -> EngineResult<ArrayRef> {
        let mut items = VariantBuilder::with_capacity(elements.len());
        elements.iter().for_each(|(_, item)| append(&mut items, item));
        let rows: UInt64Array = elements.iter().map(|(row, _)| Some(*row)).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(items.finish())];
        for column in captured {
            columns.push(take(column, &rows, None)?);
        }
        self.evaluate(columns, statement)
    }

    /// The body's values for all elements of all rows. Where a function makes too much of so many
    /// elements it is asked again for half of them.
    fn parts(
        &self,
        lists: &[Option<Vec<Value>>],
        captured: &[ArrayRef],
        statement: &Statement,
    ) -> EngineResult<Vec<ArrayRef>> {
        let rows = lists.iter().enumerate();
        let elements =
            rows.flat_map(|(row, list)| list.iter().flatten().map(move |item| (row as u64, item)));
        let elements: Vec<(u64, &Value)> = elements.collect();
        let once = self.signature.volatility == Volatility::Volatile;
        let mut made = MadeBytes::new(statement.made_max.as_ref());
        let (mut parts, mut left, mut most) = (Vec::new(), elements.as_slice(), ELEMENTS_AT_ONCE);
        while !left.is_empty() {
            let (part, rest) = left.split_at(left.len().min(most));
            match self.part(part, captured, statement) {
                Err(error) if part.len() > 1 && !once && is_too_much(&error) => {
                    most = part.len().div_ceil(2);
                }
                values => {
                    let values = values?;
                    made.add(value_bytes(values.as_ref())).map_err(raise)?;
                    parts.push(values);
                    left = rest;
                }
            }
        }
        Ok(parts)
    }

    fn map(
        &self,
        lists: Vec<Option<Vec<Value>>>,
        captured: &[ArrayRef],
        statement: &Statement,
    ) -> EngineResult<ArrayRef> {
        let parts = self.parts(&lists, captured, statement)?;
        let mut values = parts.iter().flat_map(|part| (0..part.len()).map(move |at| (part, at)));
        let mut out = VariantBuilder::with_capacity(lists.len());
        for list in lists {
            let Some(list) = list else {
                out.append(None);
                continue;
            };
            let mut kept = Vec::with_capacity(list.len());
            for item in list {
                let Some((part, at)) = values.next() else {
                    return Err(raise(UserError::internal("an element has no value")));
                };
                if self.kind == LambdaKind::Filter {
                    let keep = part.as_boolean();
                    if keep.is_valid(at) && keep.value(at) {
                        kept.push(item);
                    }
                } else {
                    let value = row_to_value(part.as_ref(), at).map_err(raise)?;
                    kept.push(value.unwrap_or(Value::Null));
                }
            }
            out.append(Some(&Value::List(kept)));
        }
        Ok(Arc::new(out.finish()))
    }

    /// One element of every row at a time.
    fn reduce(
        &self,
        lists: &[Option<Vec<Value>>],
        initial: ArrayRef,
        captured: &[ArrayRef],
        statement: &Statement,
    ) -> EngineResult<ArrayRef> {
        let mut accumulator = initial;
        let longest = lists.iter().flatten().map(Vec::len).max().unwrap_or(0);
        for step in 0..longest {
            let mut rows: Vec<u64> = Vec::new();
            let mut items = VariantBuilder::with_capacity(lists.len());
            let mut places = Vec::with_capacity(lists.len());
            for (row, list) in lists.iter().enumerate() {
                match list.as_ref().and_then(|list| list.get(step)) {
                    Some(item) => {
                        places.push((1, rows.len()));
                        rows.push(row as u64);
                        append(&mut items, item);
                    }
                    None => places.push((0, row)),
                }
            }
            let rows = UInt64Array::from(rows);
            let mut columns: Vec<ArrayRef> =
                vec![take(&accumulator, &rows, None)?, Arc::new(items.finish())];
            for column in captured {
                columns.push(take(column, &rows, None)?);
            }
            let next = self.evaluate(columns, statement)?;
            accumulator = interleave(&[accumulator.as_ref(), next.as_ref()], &places)?;
        }
        // A row without an array has no result.
        let places: Vec<(usize, usize)> = lists
            .iter()
            .enumerate()
            .map(|(row, list)| if list.is_some() { (0, row) } else { (1, 0) })
            .collect();
        let nothing = arrow::array::new_null_array(accumulator.data_type(), 1);
        Ok(interleave(&[accumulator.as_ref(), nothing.as_ref()], &places)?)
    }
}

fn is_too_much(error: &DataFusionError) -> bool {
    user_error(error).code == Code::ResourceLimit
}

/// The column a body knows a parameter or a captured column by.
pub fn lambda_column(name: &str) -> Expr {
    Expr::Column(PlanColumn::from_name(name))
}
