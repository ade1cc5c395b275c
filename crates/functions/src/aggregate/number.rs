//! SUM and AVG of NUMBER, in i128 with overflow checks.

use std::hash::{Hash, Hasher};
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal128Builder, Int64Array,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::error::raise;
use crate::number;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Sum,
    /// The result has this many more fraction digits than the input.
    Average {
        more: u8,
    },
}

/// SUM or AVG of an Int64 or Decimal128 column; the result is Decimal128(38, scale).
#[derive(Debug)]
pub(crate) struct NumberAggregate {
    kind: Kind,
    scale: u8,
    signature: Signature,
}

impl PartialEq for NumberAggregate {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.scale) == (other.kind, other.scale)
    }
}
impl Eq for NumberAggregate {}
impl Hash for NumberAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.scale).hash(state);
    }
}

/// `scale` is the input's.
pub(crate) fn udaf(kind: Kind, scale: u8) -> Arc<AggregateUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(AggregateUDF::from(NumberAggregate { kind, scale, signature }))
}

impl NumberAggregate {
    fn out_scale(&self) -> u8 {
        match self.kind {
            Kind::Sum => self.scale,
            Kind::Average { more } => self.scale + more,
        }
    }

    fn state(&self) -> Totals {
        Totals { kind: self.kind, scale: self.scale, sums: Vec::new(), counts: Vec::new() }
    }
}

impl AggregateUDFImpl for NumberAggregate {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Sum => "frazil_sum",
            Kind::Average { .. } => "frazil_avg",
        }
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, self.out_scale() as i8))
    }
    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut totals = self.state();
        totals.resize(1);
        Ok(Box::new(One(totals)))
    }
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let sum = DataType::Decimal128(38, self.scale as i8);
        Ok(vec![
            Arc::new(Field::new(format!("{}[sum]", args.name), sum, true)),
            Arc::new(Field::new(format!("{}[count]", args.name), DataType::Int64, true)),
        ])
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }
    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.state()))
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }
}

/// Sum and count of values per group.
#[derive(Debug)]
struct Totals {
    kind: Kind,
    scale: u8,
    sums: Vec<i128>,
    counts: Vec<i64>,
}

fn overflow() -> DataFusionError {
    raise(number::overflow())
}

impl Totals {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.counts.resize(groups, 0);
    }

    #[inline]
    fn add(&mut self, group: usize, value: i128) -> Result<()> {
        let sum = &mut self.sums[group];
        *sum = sum.checked_add(value).ok_or_else(overflow)?;
        self.counts[group] += 1;
        Ok(())
    }

    /// Calls `f` with the group and value of every row that counts.
    fn update(
        &mut self,
        values: &ArrayRef,
        groups: impl Fn(usize) -> usize,
        keep: impl Fn(usize) -> bool,
    ) -> Result<()> {
        if let Some(values) = values.as_primitive_opt::<Decimal128Type>() {
            for row in 0..values.len() {
                if values.is_valid(row) && keep(row) {
                    self.add(groups(row), values.value(row))?;
                }
            }
        } else if let Some(values) = values.as_primitive_opt::<Int64Type>() {
            for row in 0..values.len() {
                if values.is_valid(row) && keep(row) {
                    self.add(groups(row), values.value(row) as i128)?;
                }
            }
        } else {
            return Err(DataFusionError::Internal(format!("sum of {}", values.data_type())));
        }
        Ok(())
    }

    fn result(&self, sum: i128, count: i64) -> Result<Option<i128>> {
        if count == 0 {
            return Ok(None);
        }
        let value = match self.kind {
            Kind::Sum => Some(sum),
            Kind::Average { more } => number::divide_scaled(sum, count as i128, more),
        };
        match value {
            Some(v) if v.unsigned_abs() < 10u128.pow(38) => Ok(Some(v)),
            _ => Err(overflow()),
        }
    }

    fn out_type(&self) -> DataType {
        match self.kind {
            Kind::Sum => DataType::Decimal128(38, self.scale as i8),
            Kind::Average { more } => DataType::Decimal128(38, (self.scale + more) as i8),
        }
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        groups: impl Fn(usize) -> usize,
        keep: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let [sums, counts] = states else {
            return Err(DataFusionError::Internal("sum has two states".into()));
        };
        let (sums, counts) =
            (sums.as_primitive::<Decimal128Type>(), counts.as_primitive::<Int64Type>());
        for row in 0..sums.len() {
            if sums.is_valid(row) && keep(row) {
                let group = groups(row);
                self.sums[group] =
                    self.sums[group].checked_add(sums.value(row)).ok_or_else(overflow)?;
                self.counts[group] += counts.value(row);
            }
        }
        Ok(())
    }
}

fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|f| f.is_valid(row) && f.value(row))
}

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        let plain = filter.is_none() && values[0].null_count() == 0;
        // The common case has nothing to check per row but the sum itself.
        if plain && let Some(column) = values[0].as_primitive_opt::<Decimal128Type>() {
            for (group, value) in group_indices.iter().zip(column.values()) {
                self.add(*group, *value)?;
            }
            return Ok(());
        }
        if plain && let Some(column) = values[0].as_primitive_opt::<Int64Type>() {
            for (group, value) in group_indices.iter().zip(column.values()) {
                self.add(*group, *value as i128)?;
            }
            return Ok(());
        }
        self.update(&values[0], |row| group_indices[row], |row| passes(filter, row))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let mut out = Decimal128Builder::with_capacity(sums.len()).with_data_type(self.out_type());
        for (sum, count) in sums.into_iter().zip(counts) {
            out.append_option(self.result(sum, count)?);
        }
        Ok(Arc::new(out.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let sums =
            Decimal128Array::from(sums).with_data_type(DataType::Decimal128(38, self.scale as i8));
        Ok(vec![Arc::new(sums), Arc::new(Int64Array::from(counts))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        self.merge(values, |row| group_indices[row], |_| true)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut one = Totals { kind: self.kind, scale: self.scale, sums: vec![], counts: vec![] };
        one.resize(rows);
        one.update(&values[0], |row| row, |row| passes(opt_filter, row))?;
        one.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// A single group.
#[derive(Debug)]
struct One(Totals);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update(&values[0], |_| 0, |_| true)
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.0.result(self.0.sums[0], self.0.counts[0])?;
        let scale = match self.0.out_type() {
            DataType::Decimal128(_, scale) => scale,
            _ => 0,
        };
        Ok(ScalarValue::Decimal128(value, 38, scale))
    }
    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0) + size_of::<Self>()
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Decimal128(Some(self.0.sums[0]), 38, self.0.scale as i8),
            ScalarValue::Int64(Some(self.0.counts[0])),
        ])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| 0, |_| true)
    }
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut gone =
            Totals { kind: self.0.kind, scale: self.0.scale, sums: vec![0], counts: vec![0] };
        gone.update(&values[0], |_| 0, |_| true)?;
        self.0.sums[0] = self.0.sums[0].checked_sub(gone.sums[0]).ok_or_else(overflow)?;
        self.0.counts[0] -= gone.counts[0];
        Ok(())
    }
    fn supports_retract_batch(&self) -> bool {
        true
    }
}
