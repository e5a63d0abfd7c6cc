//! `sum` that fails when its result does not fit its type. The built-in one wraps around.
//!
//! Everything that the planner asks is answered by the built-in function; only the accumulators of integers,
//! decimals and durations are replaced. Floats and intervals keep the built-in ones.

use std::collections::HashMap;
use std::fmt::Debug;
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowNativeType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, FieldRef, Int64Type, TimeUnit, UInt64Type,
};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, Expr, GroupsAccumulator, Operator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};

use super::summable::Summable;

/// The function `sum`, under the same name as the built-in one.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct CheckedSum {
    built_in: Sum,
}

/// Calls `$make::<T>($type)` for the types that are checked here, and evaluates `$otherwise` for the rest.
macro_rules! by_type {
    ($data_type:expr, $make:ident, $otherwise:expr) => {
        match $data_type {
            DataType::Int64 => Ok(Box::new($make::<Int64Type>::new($data_type))),
            DataType::UInt64 => Ok(Box::new($make::<UInt64Type>::new($data_type))),
            DataType::Decimal32(..) => Ok(Box::new($make::<Decimal32Type>::new($data_type))),
            DataType::Decimal64(..) => Ok(Box::new($make::<Decimal64Type>::new($data_type))),
            DataType::Decimal128(..) => Ok(Box::new($make::<Decimal128Type>::new($data_type))),
            DataType::Decimal256(..) => Ok(Box::new($make::<Decimal256Type>::new($data_type))),
            DataType::Duration(TimeUnit::Second) => Ok(Box::new($make::<DurationSecondType>::new($data_type))),
            DataType::Duration(TimeUnit::Millisecond) => {
                Ok(Box::new($make::<DurationMillisecondType>::new($data_type)))
            }
            DataType::Duration(TimeUnit::Microsecond) => {
                Ok(Box::new($make::<DurationMicrosecondType>::new($data_type)))
            }
            DataType::Duration(TimeUnit::Nanosecond) => Ok(Box::new($make::<DurationNanosecondType>::new($data_type))),
            _ => $otherwise,
        }
    };
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.built_in.name()
    }

    fn aliases(&self) -> &[String] {
        self.built_in.aliases()
    }

    fn signature(&self) -> &Signature {
        self.built_in.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.built_in.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        if args.is_distinct {
            by_type!(data_type, DistinctSum, self.built_in.accumulator(args))
        } else {
            by_type!(data_type, RunningSum, self.built_in.accumulator(args))
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.built_in.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.built_in.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type();
        by_type!(data_type, GroupSums, self.built_in.create_groups_accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        if args.is_distinct {
            by_type!(data_type, DistinctSum, self.built_in.create_sliding_accumulator(args))
        } else {
            by_type!(data_type, RunningSum, self.built_in.create_sliding_accumulator(args))
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.built_in.reverse_expr()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.built_in.order_sensitivity()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.built_in.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.built_in.set_monotonicity(data_type)
    }

    fn simplify_expr_op_literal(
        &self,
        agg_function: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        lit: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.built_in.simplify_expr_op_literal(agg_function, arg, op, lit, arg_is_left)
    }

    fn value_from_stats(&self, statistics_args: &StatisticsArgs) -> Option<ScalarValue> {
        self.built_in.value_from_stats(statistics_args)
    }
}

/// The error of every place here.
fn overflow(data_type: &DataType) -> DataFusionError {
    let text = format!("a sum is out of the range of its type {data_type}");
    DataFusionError::ArrowError(Box::new(ArrowError::ArithmeticOverflow(text)), None)
}

fn scalar<T: Summable>(value: Option<T::Native>, data_type: &DataType) -> Result<ScalarValue> {
    match value {
        Some(value) if !T::fits(value, data_type) => Err(overflow(data_type)),
        value => ScalarValue::new_primitive::<T>(value, data_type),
    }
}

fn each_value<T: Summable>(values: &PrimitiveArray<T>, mut visit: impl FnMut(T::Native)) {
    if values.null_count() == 0 {
        values.values().iter().for_each(|value| visit(*value));
    } else {
        values.iter().flatten().for_each(visit);
    }
}

/// `sum` without groups, over a whole input or over a sliding window.
#[derive(Debug)]
struct RunningSum<T: Summable> {
    sum: T::Wide,
    /// Values inside the sum: none means that it is null.
    count: u64,
    data_type: DataType,
}

impl<T: Summable> RunningSum<T> {
    fn new(data_type: &DataType) -> Self {
        RunningSum { sum: T::Wide::default(), count: 0, data_type: data_type.clone() }
    }

    fn native(&self) -> Result<Option<T::Native>> {
        if self.count == 0 {
            return Ok(None);
        }
        T::narrow(self.sum).map(Some).ok_or_else(|| overflow(&self.data_type))
    }

    fn fold(&mut self, values: &PrimitiveArray<T>, step: impl Fn(T::Wide, T::Native) -> Option<T::Wide>) -> Result<()> {
        let mut sum = self.sum;
        let mut overflowed = false;
        each_value(values, |value| match step(sum, value) {
            Some(next) => sum = next,
            None => overflowed = true,
        });
        self.sum = sum;
        if overflowed { Err(overflow(&self.data_type)) } else { Ok(()) }
    }
}

fn valid_count(values: &dyn Array) -> u64 {
    (values.len() - values.null_count()) as u64
}

impl<T: Summable> Accumulator for RunningSum<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count += valid_count(&values[0]);
        self.fold(values[0].as_primitive::<T>(), T::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count -= valid_count(&values[0]);
        self.fold(values[0].as_primitive::<T>(), T::subtract)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(&states[..1])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        // Digits are checked at the end only: a part of a sum may be larger than the whole.
        Ok(vec![ScalarValue::new_primitive::<T>(self.native()?, &self.data_type)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar::<T>(self.native()?, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// `sum(DISTINCT …)`, over a whole input or over a sliding window.
#[derive(Debug)]
struct DistinctSum<T: Summable> {
    /// How often each value is in the window.
    counts: HashMap<T::Native, u64>,
    sum: RunningSum<T>,
}

impl<T: Summable> DistinctSum<T> {
    fn new(data_type: &DataType) -> Self {
        DistinctSum { counts: HashMap::new(), sum: RunningSum::new(data_type) }
    }

    fn enter(&mut self, value: T::Native) -> Result<()> {
        let count = self.counts.entry(value).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.sum.count += 1;
            self.sum.sum = T::add(self.sum.sum, value).ok_or_else(|| overflow(&self.sum.data_type))?;
        }
        Ok(())
    }

    fn leave(&mut self, value: T::Native) -> Result<()> {
        let Some(count) = self.counts.get_mut(&value) else { return Ok(()) };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&value);
            self.sum.count -= 1;
            self.sum.sum = T::subtract(self.sum.sum, value).ok_or_else(|| overflow(&self.sum.data_type))?;
        }
        Ok(())
    }
}

impl<T: Summable> Accumulator for DistinctSum<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_primitive::<T>().iter().flatten().try_for_each(|value| self.enter(value))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values[0].as_primitive::<T>().iter().flatten().try_for_each(|value| self.leave(value))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|list| self.update_batch(&[list]))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = PrimitiveArray::<T>::from_iter_values(self.counts.keys().copied())
            .with_data_type(self.sum.data_type.clone());
        let list = datafusion::common::utils::SingleRowListArrayBuilder::new(Arc::new(values)).with_nullable(true);
        Ok(vec![list.build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.sum.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<(T::Native, u64)>()
    }
}

/// `sum` by group.
#[derive(Debug)]
struct GroupSums<T: Summable> {
    sums: Vec<T::Native>,
    /// Whether a group has met a value; a group without one is null.
    seen: Vec<bool>,
    data_type: DataType,
}

impl<T: Summable> GroupSums<T> {
    fn new(data_type: &DataType) -> Self {
        GroupSums { sums: Vec::new(), seen: Vec::new(), data_type: data_type.clone() }
    }

    /// Adds the values; returns whether a sum overflowed.
    fn add_all(&mut self, values: impl Iterator<Item = (usize, T::Native)>) -> bool {
        let mut overflowed = false;
        for (group, value) in values {
            let sum = &mut self.sums[group];
            match T::plus(*sum, value) {
                Some(next) => *sum = next,
                None => overflowed = true,
            }
            self.seen[group] = true;
        }
        overflowed
    }

    fn take(&mut self, emit_to: EmitTo) -> PrimitiveArray<T> {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        let nulls = seen.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(seen)));
        PrimitiveArray::<T>::new(sums.into(), nulls).with_data_type(self.data_type.clone())
    }
}

/// The rows that are not null and pass the filter; `None` means all.
fn kept_rows(values: &dyn Array, filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let passing = filter.map(|filter| match filter.nulls() {
        Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
        None => NullBuffer::new(filter.values().clone()),
    });
    NullBuffer::union(values.logical_nulls().as_ref(), passing.as_ref()).filter(|kept| kept.null_count() > 0)
}

impl<T: Summable> GroupsAccumulator for GroupSums<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups, T::Native::usize_as(0));
        self.seen.resize(total_num_groups, false);
        let kept = kept_rows(&values[0], opt_filter);
        let values = values[0].as_primitive::<T>().values();
        let overflowed = match kept {
            None => self.add_all(group_indices.iter().copied().zip(values.iter().copied())),
            Some(kept) => self.add_all(kept.valid_indices().map(|row| (group_indices[row], values[row]))),
        };
        if overflowed { Err(overflow(&self.data_type)) } else { Ok(()) }
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.take(emit_to);
        let fits = matches!(self.data_type, DataType::Int64 | DataType::UInt64 | DataType::Duration(_))
            || sums.iter().flatten().all(|sum| T::fits(sum, &self.data_type));
        if fits { Ok(Arc::new(sums)) } else { Err(overflow(&self.data_type)) }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.take(emit_to))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let kept = kept_rows(&values[0], opt_filter);
        let buffer = values[0].as_primitive::<T>().values().clone();
        let state = PrimitiveArray::<T>::new(buffer, kept).with_data_type(self.data_type.clone());
        Ok(vec![Arc::new(state)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}
