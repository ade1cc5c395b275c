//! The one implementation of `ScalarUDFImpl`: a name, a result type and a function over rows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder,
    Decimal128Array, PrimitiveArray, PrimitiveBuilder, StringViewArray, StringViewBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int64Type,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::expr::ScalarFunction as ScalarCall;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use frazil_common::{SqlType, UserError};

use crate::error::FunctionError;
use crate::made::{MadeBytes, MadeBytesMax};
use crate::size::{SMALL_EXPR_NODES, has_long_literal, nodes_up_to};
use crate::stop::StatementStop;
use crate::typed::TypedExpr;

pub(crate) type KernelResult<T = ArrayRef> = Result<T, FunctionError>;
/// Rows between two looks at whether the statement goes on.
pub(crate) const ROWS_UNCHECKED: usize = 64;

pub(crate) type KernelFn = fn(&Rows) -> KernelResult;

/// A scalar function; its identity is its name and result type.
#[derive(Debug)]
pub(crate) struct Kernel {
    name: &'static str,
    returns: DataType,
    signature: Signature,
    run: KernelFn,
    /// Stands for the arguments in the name of a column where they are large.
    number: u64,
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.returns == other.returns
    }
}
impl Eq for Kernel {}
impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.returns.hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        self.name
    }
    /// The engine asks each part of an expression for its name, again and again. Were all of it
    /// spelled out each time, a chain of a few hundred calls would not be planned in a minute.
    fn schema_name(&self, args: &[Expr]) -> EngineResult<String> {
        let mut left = SMALL_EXPR_NODES;
        for arg in args {
            match left.checked_sub(nodes_up_to(arg, left)) {
                Some(rest) if !has_long_literal(arg) => left = rest,
                _ => return Ok(format!("{}(#{})", self.name, self.number)),
            }
        }
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name, args.join(",")))
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.returns.clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let constant = self.signature.volatility != Volatility::Volatile
            && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let inputs = args
            .args
            .into_iter()
            .map(|value| match value {
                ColumnarValue::Scalar(value) => {
                    Ok(Input { array: value.to_array_of_size(1)?, constant: true })
                }
                ColumnarValue::Array(array) => Ok(Input { array, constant: false }),
            })
            .collect::<EngineResult<Vec<_>>>()?;
        let rows = if constant { 1 } else { args.number_rows };
        let stop = StatementStop::of(&args.config_options);
        let made_max = MadeBytesMax::of(&args.config_options);
        let out = (self.run)(&Rows { inputs, rows, out: self.returns.clone(), stop, made_max })?;
        if out.data_type() != &self.returns {
            return Err(DataFusionError::Internal(format!(
                "{} gave {} for {}",
                self.name,
                out.data_type(),
                self.returns
            )));
        }
        if constant {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?))
        } else {
            Ok(ColumnarValue::Array(out))
        }
    }
}

/// The function itself, for callers that wrap it on their own.
pub(crate) fn udf(name: &'static str, returns: DataType, run: KernelFn) -> Arc<ScalarUDF> {
    udf_with(name, returns, Volatility::Immutable, run)
}

pub(crate) fn udf_with(
    name: &'static str,
    returns: DataType,
    volatility: Volatility,
    run: KernelFn,
) -> Arc<ScalarUDF> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let any = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
    let signature = Signature::one_of(any, volatility);
    Arc::new(ScalarUDF::from(Kernel { name, returns, signature, run, number }))
}

/// A call of a kernel.
pub(crate) fn call(
    name: &'static str,
    args: Vec<Expr>,
    returns: SqlType,
    nullable: bool,
    run: KernelFn,
) -> TypedExpr {
    let func = udf(name, returns.to_arrow(), run);
    let expr = Expr::ScalarFunction(ScalarCall::new_udf(func, args));
    crate::evaluate::fold(TypedExpr::new(expr, returns, nullable))
}

/// A call of a kernel that gives another value on every row.
pub(crate) fn call_volatile(
    name: &'static str,
    args: Vec<Expr>,
    returns: SqlType,
    run: KernelFn,
) -> TypedExpr {
    let func = udf_with(name, returns.to_arrow(), Volatility::Volatile, run);
    let expr = Expr::ScalarFunction(ScalarCall::new_udf(func, args));
    TypedExpr::new(expr, returns, false)
}

/// One argument's values; a constant has a single row.
#[derive(Debug)]
pub(crate) struct Input {
    pub array: ArrayRef,
    pub constant: bool,
}

impl Input {
    pub fn row(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }
    pub fn is_null(&self, row: usize) -> bool {
        self.array.data_type() == &DataType::Null || self.array.is_null(self.row(row))
    }
}

/// The arguments of one call over a batch.
#[derive(Debug)]
pub(crate) struct Rows {
    pub inputs: Vec<Input>,
    pub rows: usize,
    pub out: DataType,
    /// Asked now and then by what can take long.
    pub stop: Option<StatementStop>,
    /// What texts and binary values may come to.
    pub made_max: Option<MadeBytesMax>,
}

macro_rules! typed_input {
    ($name:ident, $array:ty, $value:ty, $get:expr) => {
        /// Values of one argument, `None` for NULL.
        pub(crate) struct $name<'a> {
            array: Option<&'a $array>,
            constant: bool,
        }
        impl<'a> $name<'a> {
            pub fn get(&self, row: usize) -> Option<$value> {
                let array = self.array?;
                let row = if self.constant { 0 } else { row };
                if array.is_null(row) { None } else { Some($get(array, row)) }
            }
        }
    };
}
typed_input!(Texts, StringViewArray, &'a str, |a: &'a StringViewArray, r| a.value(r));
typed_input!(Bytes, BinaryArray, &'a [u8], |a: &'a BinaryArray, r| a.value(r));
typed_input!(Booleans, BooleanArray, bool, |a: &'a BooleanArray, r| a.value(r));
typed_input!(Integers, PrimitiveArray<Int64Type>, i64, |a: &PrimitiveArray<Int64Type>, r| a
    .value(r));
typed_input!(Floats, PrimitiveArray<Float64Type>, f64, |a: &PrimitiveArray<Float64Type>, r| a
    .value(r));
typed_input!(Dates, PrimitiveArray<Date32Type>, i32, |a: &PrimitiveArray<Date32Type>, r| a
    .value(r));

/// NUMBER values of either backing, in units of 10^-scale.
pub(crate) struct Numbers<'a> {
    integers: Option<&'a PrimitiveArray<Int64Type>>,
    decimals: Option<&'a Decimal128Array>,
    constant: bool,
    pub scale: u8,
}

impl Numbers<'_> {
    pub fn get(&self, row: usize) -> Option<i128> {
        let row = if self.constant { 0 } else { row };
        if let Some(array) = self.integers {
            return (!array.is_null(row)).then(|| array.value(row) as i128);
        }
        let array = self.decimals?;
        (!array.is_null(row)).then(|| array.value(row))
    }
}

impl Rows {
    /// Whether a text of so many bytes may be made, before it is.
    ///
    /// # Errors
    /// The call makes more than it may.
    pub fn room_for(&self, bytes: usize) -> KernelResult<()> {
        Ok(MadeBytes::new(self.made_max.as_ref()).add(bytes)?)
    }

    /// # Errors
    /// The statement was cancelled or is out of time.
    pub fn check(&self) -> KernelResult<()> {
        Ok(self.stop.as_ref().map_or(Ok(()), StatementStop::check)?)
    }

    /// As [`Rows::check`], at some of the rows.
    pub fn check_at(&self, row: usize) -> KernelResult<()> {
        if row.is_multiple_of(ROWS_UNCHECKED) { self.check() } else { Ok(()) }
    }

    pub fn input(&self, index: usize) -> KernelResult<&Input> {
        self.inputs
            .get(index)
            .ok_or_else(|| UserError::internal(format!("argument {index} is missing")).into())
    }

    fn wrong(&self, index: usize, wanted: &str) -> FunctionError {
        let found = self.inputs.get(index).map(|i| i.array.data_type().to_string());
        UserError::internal(format!("argument {index} is {found:?}, not {wanted}")).into()
    }

    pub fn texts(&self, index: usize) -> KernelResult<Texts<'_>> {
        let input = self.input(index)?;
        let array = input.array.as_string_view_opt();
        if array.is_none() && input.array.data_type() != &DataType::Null {
            return Err(self.wrong(index, "text"));
        }
        Ok(Texts { array, constant: input.constant })
    }

    pub fn bytes(&self, index: usize) -> KernelResult<Bytes<'_>> {
        let input = self.input(index)?;
        let array = input.array.as_binary_opt::<i32>();
        if array.is_none() && input.array.data_type() != &DataType::Null {
            return Err(self.wrong(index, "binary"));
        }
        Ok(Bytes { array, constant: input.constant })
    }

    pub fn booleans(&self, index: usize) -> KernelResult<Booleans<'_>> {
        let input = self.input(index)?;
        let array = input.array.as_boolean_opt();
        if array.is_none() && input.array.data_type() != &DataType::Null {
            return Err(self.wrong(index, "boolean"));
        }
        Ok(Booleans { array, constant: input.constant })
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        index: usize,
    ) -> KernelResult<Option<&PrimitiveArray<T>>> {
        let input = self.input(index)?;
        let array = input.array.as_primitive_opt::<T>();
        if array.is_none() && input.array.data_type() != &DataType::Null {
            return Err(self.wrong(index, &T::DATA_TYPE.to_string()));
        }
        Ok(array)
    }

    pub fn integers(&self, index: usize) -> KernelResult<Integers<'_>> {
        Ok(Integers {
            array: self.primitive::<Int64Type>(index)?,
            constant: self.input(index)?.constant,
        })
    }

    pub fn floats(&self, index: usize) -> KernelResult<Floats<'_>> {
        Ok(Floats {
            array: self.primitive::<Float64Type>(index)?,
            constant: self.input(index)?.constant,
        })
    }

    pub fn dates(&self, index: usize) -> KernelResult<Dates<'_>> {
        Ok(Dates {
            array: self.primitive::<Date32Type>(index)?,
            constant: self.input(index)?.constant,
        })
    }

    pub fn numbers(&self, index: usize) -> KernelResult<Numbers<'_>> {
        let input = self.input(index)?;
        let integers = input.array.as_primitive_opt::<Int64Type>();
        let decimals = input.array.as_primitive_opt::<Decimal128Type>();
        let scale = match input.array.data_type() {
            DataType::Decimal128(_, scale) => u8::try_from(*scale).unwrap_or(0),
            DataType::Int64 | DataType::Null => 0,
            _ => return Err(self.wrong(index, "number")),
        };
        Ok(Numbers { integers, decimals, constant: input.constant, scale })
    }

    /// A text column made row by row.
    pub fn build_texts<S: AsRef<str>>(
        &self,
        mut value: impl FnMut(usize) -> KernelResult<Option<S>>,
    ) -> KernelResult {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut made = MadeBytes::new(self.made_max.as_ref());
        for row in 0..self.rows {
            self.check_at(row)?;
            let text = value(row)?;
            if let Some(text) = &text {
                made.add_text(text.as_ref())?;
            }
            builder.append_option(text);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// As [`Rows::build_texts`], into a text that is cleared for each row; false is NULL.
    pub fn write_texts(
        &self,
        mut write: impl FnMut(usize, &mut String) -> KernelResult<bool>,
    ) -> KernelResult {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut made = MadeBytes::new(self.made_max.as_ref());
        let mut text = String::new();
        for row in 0..self.rows {
            self.check_at(row)?;
            text.clear();
            let written = write(row, &mut text)?;
            made.add_text(&text)?;
            builder.append_option(written.then_some(&text));
        }
        Ok(Arc::new(builder.finish()))
    }

    pub fn build_bytes(
        &self,
        mut value: impl FnMut(usize) -> KernelResult<Option<Vec<u8>>>,
    ) -> KernelResult {
        let mut builder = BinaryBuilder::new();
        let mut made = MadeBytes::new(self.made_max.as_ref());
        for row in 0..self.rows {
            self.check_at(row)?;
            let bytes = value(row)?;
            made.add(bytes.as_ref().map_or(0, Vec::len))?;
            builder.append_option(bytes);
        }
        Ok(Arc::new(builder.finish()))
    }

    pub fn build_booleans(
        &self,
        mut value: impl FnMut(usize) -> KernelResult<Option<bool>>,
    ) -> KernelResult {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            self.check_at(row)?;
            builder.append_option(value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    pub fn build<T: ArrowPrimitiveType>(
        &self,
        mut value: impl FnMut(usize) -> KernelResult<Option<T::Native>>,
    ) -> KernelResult {
        let mut builder =
            PrimitiveBuilder::<T>::with_capacity(self.rows).with_data_type(self.out.clone());
        for row in 0..self.rows {
            self.check_at(row)?;
            builder.append_option(value(row)?);
        }
        Ok(Arc::new(builder.finish()))
    }

    pub fn build_integers(
        &self,
        value: impl FnMut(usize) -> KernelResult<Option<i64>>,
    ) -> KernelResult {
        self.build::<Int64Type>(value)
    }

    pub fn build_floats(
        &self,
        value: impl FnMut(usize) -> KernelResult<Option<f64>>,
    ) -> KernelResult {
        self.build::<Float64Type>(value)
    }

    /// A NUMBER column of the result type; values are in units of the result's scale and are
    /// checked against its precision.
    pub fn build_numbers(
        &self,
        mut value: impl FnMut(usize) -> KernelResult<Option<i128>>,
    ) -> KernelResult {
        let out = self.out.clone();
        match out {
            DataType::Int64 => self.build::<Int64Type>(|row| {
                value(row)?
                    .map(|v| i64::try_from(v).map_err(|_| crate::number::out_of_range(v, 18, 0)))
                    .transpose()
                    .map_err(FunctionError::from)
            }),
            DataType::Decimal128(precision, scale) => {
                let limit = crate::number::power_of_ten(precision).unwrap_or(i128::MAX);
                self.build::<Decimal128Type>(|row| {
                    let v = value(row)?;
                    match v {
                        Some(v) if v.unsigned_abs() >= limit as u128 => {
                            Err(crate::number::out_of_range(v, precision, scale as u8).into())
                        }
                        v => Ok(v),
                    }
                })
            }
            other => Err(UserError::internal(format!("{other} is not a number")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::common::Column;

    use super::*;
    use crate::facts::Facts;

    fn call(name: &str, args: Vec<TypedExpr>) -> TypedExpr {
        crate::scalar(name).unwrap().bind(args, &Facts::default()).unwrap()
    }

    #[test]
    fn names_of_large_calls_are_short_and_different() {
        let column = Expr::Column(Column::from_name("a"));
        let mut value = TypedExpr::new(column, SqlType::TEXT, true);
        let long = TypedExpr::text(&"x".repeat(10_000));
        let name = call("CONCAT", vec![value.clone(), long]).expr.schema_name().to_string();
        assert!(name.len() < 100, "{name}");
        for _ in 0..300 {
            value = call("CONCAT", vec![value.clone(), TypedExpr::text("x")]);
        }
        let other = call("CONCAT", vec![value.clone(), TypedExpr::text("y")]);
        let (name, other) = (value.expr.schema_name().to_string(), other.expr.schema_name());
        assert!(name.len() < 100, "{name}");
        assert_ne!(name, other.to_string());
    }

    #[test]
    fn a_comparison_of_long_texts_can_be_stopped() {
        let text: ArrayRef = Arc::new(StringViewArray::from(vec!["a".repeat(5000)]));
        let input = || Input { array: Arc::clone(&text), constant: true };
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let stop = StatementStop::when(move || count.fetch_add(1, Ordering::Relaxed) > 1);
        let inputs = vec![input(), input()];
        let rows = Rows { inputs, rows: 1, out: DataType::Int64, stop: Some(stop), made_max: None };
        assert!(crate::scalar::string::jarowinkler(&rows).is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
