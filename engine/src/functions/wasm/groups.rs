//! States of groups, which an instance of the module keeps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, filter, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use windrow_wasm::Instance;

use super::instances::{Instances, column};
use super::{WasmFunction, failed};

/// Numbers behind an instance from which on it may pay to begin again, and how many times more than it has groups.
const RENUMBER_BASE_MIN: usize = 65_536;
const RENUMBER_FACTOR: usize = 4;

/// Accumulates one call of an aggregate.
pub struct WasmGroups {
    function: WasmFunction,
    returns: DataType,
    instances: Instances,
    /// Keeps the states; `None` before the first rows, and after all were given out.
    instance: Option<Instance>,
    /// The instance's number of group 0: those before it were given out.
    base: usize,
    /// Groups from there on.
    groups: usize,
}

impl WasmGroups {
    pub fn new(function: WasmFunction, returns: DataType) -> WasmGroups {
        WasmGroups { function, returns, instances: Instances::default(), instance: None, base: 0, groups: 0 }
    }

    fn tell(&mut self, step: &str, arguments: &Schema, values: &[ArrayRef], groups: &[usize]) -> Result<()> {
        let group = Field::new("group", DataType::UInt32, false);
        let fields: Vec<Field> =
            std::iter::once(group).chain(arguments.fields().iter().map(|field| field.as_ref().clone())).collect();
        let types = arguments.fields().iter().map(|field| field.data_type());
        let values =
            values.iter().zip(types).map(|(values, kind)| Ok(cast(values, kind)?)).collect::<Result<Vec<_>>>()?;
        let columns = std::iter::once(Ok(self.numbers(groups.iter().copied())?)).chain(values.into_iter().map(Ok));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        self.call(step, &batch).map(drop)
    }

    /// Asks for something of the first groups, and forgets them.
    fn take(&mut self, step: &str, emit_to: EmitTo, kind: &DataType) -> Result<ArrayRef> {
        let wanted = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(first) => first.min(self.groups),
        };
        let answers = self.ask(step, wanted, kind)?;
        self.groups -= wanted;
        self.base += wanted;
        if self.groups == 0 {
            (self.instance, self.base) = (None, 0);
        }
        Ok(answers)
    }

    /// Something of the first `wanted` groups, which stay.
    fn ask(&mut self, step: &str, wanted: usize, kind: &DataType) -> Result<ArrayRef> {
        let schema = Arc::new(Schema::new(vec![Field::new("group", DataType::UInt32, false)]));
        let batch = RecordBatch::try_new(schema, vec![self.numbers(0..wanted)?])?;
        let batches = self.call(step, &batch)?;
        column(&self.function, &batches, wanted, kind)
    }

    /// Moves the groups that are left into a new instance, if it has many more numbers behind it: the memory of groups that
    /// were given out is the module's until then.
    fn renumber(&mut self) -> Result<()> {
        if self.base <= RENUMBER_BASE_MIN.max(self.groups.saturating_mul(RENUMBER_FACTOR)) {
            return Ok(());
        }
        let (groups, states) = (self.groups, self.ask("state", self.groups, &DataType::Binary)?);
        (self.instance, self.base) = (None, 0);
        self.merge(&states, &(0..groups).collect::<Vec<_>>())
    }

    /// A group whose rows were all left out has no state.
    fn merge(&mut self, states: &ArrayRef, groups: &[usize]) -> Result<()> {
        let known = arrow::compute::is_not_null(states)?;
        let states = filter(states, &known)?;
        let groups = groups.iter().zip(known.values()).filter(|(_, known)| *known).map(|(group, _)| *group);
        let schema = Schema::new(vec![Field::new("state", DataType::Binary, true)]);
        self.tell("merge", &schema, &[states], &groups.collect::<Vec<_>>())
    }

    fn numbers(&self, groups: impl Iterator<Item = usize>) -> Result<ArrayRef> {
        let number = |group: usize| match u32::try_from(self.base + group) {
            Ok(number) => Ok(number),
            Err(_) => exec_err!("the function `{}` has too many groups", self.function.name),
        };
        Ok(Arc::new(UInt32Array::from(groups.map(number).collect::<Result<Vec<_>>>()?)))
    }

    fn call(&mut self, step: &str, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let export = format!("{}_{step}", self.function.export);
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.instances.start(&self.function)?,
        };
        let called = instance.call(&export, batch);
        self.instance = Some(instance);
        called.map_err(|error| failed(self.function.prefixed(error.into())))
    }
}

impl GroupsAccumulator for WasmGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.renumber()?;
        self.groups = total_num_groups;
        let arguments = Arc::clone(&self.function.arguments);
        let Some(wanted) = opt_filter else { return self.tell("update", &arguments, values, group_indices) };
        let wanted = prep_null_mask_filter(wanted);
        let values = values.iter().map(|values| Ok(filter(values, &wanted)?)).collect::<Result<Vec<_>>>()?;
        let groups = group_indices.iter().zip(wanted.values()).filter(|(_, wanted)| *wanted).map(|(group, _)| *group);
        self.tell("update", &arguments, &values, &groups.collect::<Vec<_>>())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.renumber()?;
        self.groups = total_num_groups;
        self.merge(&values[0], group_indices)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let returns = self.returns.clone();
        self.take("evaluate", emit_to, &returns)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take("state", emit_to, &DataType::Binary)?])
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("states of single rows of the function `{}`", self.function.name)
    }

    fn size(&self) -> usize {
        let memory = self.instance.as_ref().map_or(0, |instance| instance.memory_bytes() as usize);
        size_of::<Self>() + memory
    }
}

/// One group.
pub struct WasmOne(pub WasmGroups);

impl std::fmt::Debug for WasmOne {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WasmOne({})", self.0.function.name)
    }
}

impl Accumulator for WasmOne {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }

    /// A window asks after every row, and goes on.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let returns = self.0.returns.clone();
        ScalarValue::try_from_array(&self.0.ask("evaluate", 1, &returns)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.0.ask("state", 1, &DataType::Binary)?;
        let state = states.as_binary_opt::<i32>().filter(|states| states.is_valid(0));
        Ok(vec![ScalarValue::Binary(state.map(|states| states.value(0).to_vec()))])
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
}
