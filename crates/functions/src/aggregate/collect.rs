//! Aggregates that need all their rows at once: they keep the rows of a group, put them in order,
//! and compute the result when it is asked for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use frazil_common::SqlType;

use super::watch::Watch;
use crate::error::raise;
use crate::kernel::{Input, KernelResult, ROWS_UNCHECKED, Rows};
use crate::made::MadeBytesMax;
use crate::stop::StatementStop;
use crate::variant::Value;

/// Computes the result of one group; the columns are the arguments, in order.
pub(crate) type Finish = fn(&Rows) -> KernelResult<ArrayRef>;

/// How the rows of a group are prepared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Shape {
    /// The last arguments are sort keys with these options (descending, nulls first).
    pub order: Vec<(bool, bool)>,
    /// Rows that repeat an earlier row's first argument are dropped.
    pub distinct: bool,
}

/// Bytes that the result for one group may have: the most that Snowflake has in one value.
const MADE_BYTES_MAX: usize = 128 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Collect {
    name: &'static str,
    returns: DataType,
    shape: Shape,
    finish: Finish,
    signature: Signature,
    /// What it looks at while it computes; of no account to what it computes.
    watch: Option<Watch>,
}

impl Collect {
    /// The same that looks at this while it computes.
    pub(super) fn watched_by(&self, watch: Watch) -> Self {
        Collect {
            name: self.name,
            returns: self.returns.clone(),
            shape: self.shape.clone(),
            finish: self.finish,
            signature: self.signature.clone(),
            watch: Some(watch),
        }
    }

    pub(super) fn counting_watch(&self) -> Option<&Watch> {
        let of_one_size =
            self.returns.primitive_width().is_some() || self.returns == DataType::Boolean;
        self.watch.as_ref().filter(|watch| watch.counts() && !of_one_size)
    }
}

impl PartialEq for Collect {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.returns == other.returns && self.shape == other.shape
    }
}
impl Eq for Collect {}
impl Hash for Collect {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, &self.returns, &self.shape).hash(state);
    }
}

pub(crate) fn udaf(
    name: &'static str,
    returns: DataType,
    shape: Shape,
    finish: Finish,
) -> Arc<AggregateUDF> {
    let signature = Signature::variadic_any(Volatility::Immutable);
    Arc::new(AggregateUDF::from(Collect { name, returns, shape, finish, signature, watch: None }))
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }
    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        Ok(Box::new(Rowset {
            chunks: vec![Vec::new(); types.len()],
            held: 0,
            rows: 0,
            makes_values: self.returns == SqlType::Variant.to_arrow(),
            types,
            skip: 0,
            returns: self.returns.clone(),
            shape: self.shape.clone(),
            finish: self.finish,
            stop: self.watch.as_ref().map(|watch| watch.stop().clone()),
            count: self.counting_watch().cloned(),
        }))
    }
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(args
            .input_fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let item = Field::new("item", field.data_type().clone(), true);
                let name = format!("{}[{index}]", args.name);
                Arc::new(Field::new(name, DataType::List(Arc::new(item)), true))
            })
            .collect())
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }
    /// What no rows give, where a query's rows are joined with those that it has none for.
    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        const INPUTS: usize = 4;
        let none = || Input { array: new_empty_array(&SqlType::TEXT.to_arrow()), constant: false };
        let made = (self.finish)(&Rows {
            inputs: std::iter::repeat_with(none).take(INPUTS).collect(),
            rows: 0,
            out: self.returns.clone(),
            stop: None,
            made_max: None,
        });
        // Those that look at their values' types give NULL for no values.
        match made {
            Ok(made) if made.data_type() == &self.returns => ScalarValue::try_from_array(&made, 0),
            _ => ScalarValue::try_from(&self.returns),
        }
    }
}

/// The rows of one group, by column.
struct Rowset {
    chunks: Vec<Vec<ArrayRef>>,
    /// Bytes of the chunks' rows.
    held: usize,
    /// Rows of the chunks.
    rows: usize,
    /// Whether each row becomes a [`Value`] before the result is written.
    makes_values: bool,
    types: Vec<DataType>,
    /// Rows at the front that a sliding frame has left behind.
    skip: usize,
    returns: DataType,
    shape: Shape,
    finish: Finish,
    stop: Option<StatementStop>,
    /// Counts the bytes of what is made.
    count: Option<Watch>,
}

impl std::fmt::Debug for Rowset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rowset").field("types", &self.types).field("skip", &self.skip).finish()
    }
}

impl Rowset {
    /// # Errors
    /// The statement was cancelled or is out of time.
    fn check(&self) -> Result<()> {
        self.stop.as_ref().map_or(Ok(()), StatementStop::check).map_err(raise)
    }

    fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.types.len());
        for (chunks, data_type) in self.chunks.iter_mut().zip(&self.types) {
            let whole = match chunks.as_slice() {
                [] => new_empty_array(data_type),
                [one] => Arc::clone(one),
                many => {
                    let parts: Vec<&dyn Array> = many.iter().map(|a| a.as_ref()).collect();
                    concat(&parts)?
                }
            };
            let kept = whole.slice(self.skip, whole.len() - self.skip);
            *chunks = vec![Arc::clone(&kept)];
            columns.push(kept);
        }
        self.rows = columns.first().map_or(0, |column| column.len());
        self.held = columns.iter().map(|column| row_bytes(column.as_ref())).sum();
        self.skip = 0;
        Ok(columns)
    }
}

/// Bytes of an array's texts and other values that have no fixed size. Those of several arrays in one
/// come to the same.
pub fn value_bytes(array: &dyn Array) -> usize {
    if let Some(texts) = array.as_string_view_opt() {
        texts.lengths().map(|length| length as usize).sum()
    } else if let Some(values) = array.as_binary_view_opt() {
        values.lengths().map(|length| length as usize).sum()
    } else if let Some(values) = array.as_binary_opt::<i32>() {
        let offsets = values.value_offsets();
        let end = |offset: Option<&i32>| offset.map_or(0, |offset| *offset as usize);
        end(offsets.last()) - end(offsets.first())
    } else if let Some(parts) = array.as_struct_opt() {
        parts.columns().iter().map(|part| value_bytes(part.as_ref())).sum()
    } else {
        0
    }
}

/// Bytes of an array's own rows: chunks of one batch share its buffers.
fn row_bytes(array: &dyn Array) -> usize {
    /// What an array needs beside its buffers.
    const ARRAY: usize = 64;
    /// A view holds values of up to so many bytes itself.
    const INLINE: usize = 12;
    let views = |length: usize, values: &mut dyn Iterator<Item = usize>| {
        length * size_of::<u128>() + values.filter(|bytes| *bytes > INLINE).sum::<usize>()
    };
    let bytes = if let Some(texts) = array.as_string_view_opt() {
        views(texts.len(), &mut texts.lengths().map(|length| length as usize))
    } else if let Some(values) = array.as_binary_view_opt() {
        views(values.len(), &mut values.lengths().map(|length| length as usize))
    } else if let Some(parts) = array.as_struct_opt() {
        parts.columns().iter().map(|part| row_bytes(part.as_ref())).sum()
    } else {
        array.to_data().get_slice_memory_size().unwrap_or(0)
    };
    bytes + ARRAY
}

impl Accumulator for Rowset {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows += values.first().map_or(0, |values| values.len());
        for (chunks, values) in self.chunks.iter_mut().zip(values) {
            if !values.is_empty() {
                self.held += row_bytes(values.as_ref());
                chunks.push(Arc::clone(values));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.check()?;
        let mut columns = self.columns()?;
        let keys = self.shape.order.len();
        if keys > 0 {
            let at = columns.len().saturating_sub(keys);
            let sort: Vec<SortColumn> = columns
                .split_off(at)
                .into_iter()
                .zip(&self.shape.order)
                .map(|(values, (descending, nulls_first))| SortColumn {
                    values,
                    options: Some(SortOptions {
                        descending: *descending,
                        nulls_first: *nulls_first,
                    }),
                })
                .collect();
            let order = lexsort_to_indices(&sort, None)?;
            columns = columns.iter().map(|c| take(c, &order, None)).collect::<Result<_, _>>()?;
        }
        if self.shape.distinct
            && let Some(first) = columns.first()
        {
            let mut seen = std::collections::HashSet::new();
            let mut kept = Vec::new();
            let mut key = Vec::new();
            for row in 0..first.len() {
                if row.is_multiple_of(ROWS_UNCHECKED) {
                    self.check()?;
                }
                key.clear();
                if let Some(value) =
                    crate::variant::row_to_value(first.as_ref(), row).map_err(raise)?
                {
                    crate::variant::append_key(&value, &mut key);
                }
                if seen.insert(key.clone()) {
                    kept.push(row as u32);
                }
            }
            let kept = arrow::array::UInt32Array::from(kept);
            columns = columns.iter().map(|c| take(c, &kept, None)).collect::<Result<_, _>>()?;
        }
        let rows = columns.first().map_or(0, |c| c.len());
        let inputs = columns.into_iter().map(|array| Input { array, constant: false }).collect();
        let out = (self.finish)(&Rows {
            inputs,
            rows,
            out: self.returns.clone(),
            stop: self.stop.clone(),
            made_max: Some(MadeBytesMax(MADE_BYTES_MAX)),
        })
        .map_err(DataFusionError::from)?;
        if let Some(count) = &self.count {
            count.made(value_bytes(out.as_ref())).map_err(raise)?;
        }
        ScalarValue::try_from_array(&out, 0)
    }

    fn size(&self) -> usize {
        // What the result is made of is counted before it is there: nobody asks in between.
        let values = if self.makes_values { self.held + self.rows * size_of::<Value>() } else { 0 };
        self.held + values + size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self
            .columns()?
            .into_iter()
            .map(|c| SingleRowListArrayBuilder::new(c).build_list_scalar())
            .collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (index, (chunks, state)) in self.chunks.iter_mut().zip(states).enumerate() {
            let lists = state.as_list::<i32>();
            for row in 0..lists.len() {
                if lists.is_valid(row) && !lists.value(row).is_empty() {
                    let rows = lists.value(row);
                    self.held += row_bytes(rows.as_ref());
                    self.rows += if index == 0 { rows.len() } else { 0 };
                    chunks.push(rows);
                }
            }
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.skip += values.first().map_or(0, |v| v.len());
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
