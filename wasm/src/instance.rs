//! An instance at work: rows in, rows out, within its limits.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use wasmtime::{InstancePre, Memory, Store, Trap, TypedFunc, WasmBacktrace, WasmParams, WasmResults};

use crate::error::CallError;
use crate::host::{Host, Stop};
use crate::limits::Limits;
use crate::module::{ALLOC, ALLOC_TYPE, CALL_TYPE, FINISH_TYPE, MEMORY, SETUP, SETUP_TYPE, finish_of};
use crate::{decode, encode};

/// Of the address that `windrow_alloc` gives: what Arrow's widest plain values need.
const ALIGNMENT: u32 = 8;

/// What a module's own start function is called in errors.
const START: &str = "start";

type Call = TypedFunc<(u32, u32), u64>;

/// A module with a memory of its own. Calls of it see what earlier ones have left there.
pub struct Instance {
    store: Store<Host>,
    exports: wasmtime::Instance,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    calls: HashMap<String, Call>,
    /// A call has failed: what it has left in memory is no state to go on from.
    is_ended: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("limits", &self.store.data().limits).field("is_ended", &self.is_ended).finish()
    }
}

impl Instance {
    pub(crate) fn start(linked: &InstancePre<Host>, limits: Limits) -> Result<Instance, CallError> {
        let mut store = Store::new(linked.module().engine(), Host::new(limits));
        store.limiter(|host| host);
        fuel(&mut store, START, 0)?;
        let exports = linked.instantiate(&mut store).map_err(|error| failed(&store, START, 0, error))?;
        let memory = exports.get_memory(&mut store, MEMORY);
        let memory = memory.ok_or_else(|| CallError::Missing { function: MEMORY.to_owned(), expected: "memory" })?;
        let alloc = typed(&mut store, &exports, ALLOC, ALLOC_TYPE)?;
        let mut instance = Instance { store, exports, memory, alloc, calls: HashMap::new(), is_ended: false };
        instance.set_up()?;
        Ok(instance)
    }

    fn set_up(&mut self) -> Result<(), CallError> {
        if self.exports.get_export(&mut self.store, SETUP).is_none() {
            return Ok(());
        }
        let setup: TypedFunc<(), ()> = typed(&mut self.store, &self.exports, SETUP, SETUP_TYPE)?;
        self.within(SETUP, 0, |instance| instance.run(SETUP, 0, &setup, ()))
    }

    /// Calls `function` with the rows of a batch.
    ///
    /// # Errors
    ///
    /// If the function does not end with a readable result within its limits. The instance has ended then, and every later
    /// call says so; its counters and its log can still be taken.
    pub fn call(&mut self, function: &str, rows: &RecordBatch) -> Result<Vec<RecordBatch>, CallError> {
        let count = rows.num_rows();
        self.within(function, count, |instance| {
            let call = instance.typed_call(function)?;
            let (pointer, length) = instance.send(function, rows)?;
            let result = instance.run(function, count, &call, (pointer, length))?;
            instance.receive(function, result)
        })
    }

    /// Calls `function`'s `_finish`, which gives the rows that it has held back; no rows if there is none.
    ///
    /// # Errors
    ///
    /// As [`Instance::call`].
    pub fn finish(&mut self, function: &str) -> Result<Vec<RecordBatch>, CallError> {
        let finish = finish_of(function);
        if self.exports.get_export(&mut self.store, &finish).is_none() {
            return Ok(Vec::new());
        }
        self.within(&finish, 0, |instance| {
            let call: TypedFunc<(), u64> = typed(&mut instance.store, &instance.exports, &finish, FINISH_TYPE)?;
            let result = instance.run(&finish, 0, &call, ())?;
            instance.receive(&finish, result)
        })
    }

    /// What was counted since the last time.
    pub fn take_counters(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.store.data_mut().counters)
    }

    /// The lines of log since the last time.
    pub fn take_log(&mut self) -> Vec<String> {
        self.store.data_mut().take_log()
    }

    /// Bytes of linear memory that the instance has by now.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.data_size(&self.store) as u64
    }

    /// One use of the instance: with a new budget, and the last one if it fails.
    fn within<T>(
        &mut self,
        function: &str,
        rows: usize,
        act: impl FnOnce(&mut Instance) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        if self.is_ended {
            return Err(CallError::Ended { function: function.to_owned() });
        }
        fuel(&mut self.store, function, rows)?;
        let done = act(self);
        self.is_ended = done.is_err();
        done
    }

    fn typed_call(&mut self, function: &str) -> Result<Call, CallError> {
        if let Some(call) = self.calls.get(function) {
            return Ok(call.clone());
        }
        let call: Call = typed(&mut self.store, &self.exports, function, CALL_TYPE)?;
        self.calls.insert(function.to_owned(), call.clone());
        Ok(call)
    }

    fn run<Params: WasmParams, Results: WasmResults>(
        &mut self,
        function: &str,
        rows: usize,
        call: &TypedFunc<Params, Results>,
        params: Params,
    ) -> Result<Results, CallError> {
        call.call(&mut self.store, params).map_err(|error| failed(&self.store, function, rows, error))
    }

    /// Writes rows into the module's memory: their place and length.
    fn send(&mut self, function: &str, rows: &RecordBatch) -> Result<(u32, u32), CallError> {
        let wrong = |detail: String| CallError::Input { function: function.to_owned(), detail };
        let parts = encode::stream(rows).map_err(|error| wrong(error.to_string()))?;
        let length: usize = parts.iter().map(Buffer::len).sum();
        let limit_bytes = self.store.data().limits.memory_bytes;
        let fitting = u32::try_from(length).ok().filter(|length| u64::from(*length) <= limit_bytes);
        let fitting = fitting.ok_or_else(|| CallError::OutOfMemory { function: function.to_owned(), limit_bytes })?;
        let alloc = self.alloc.clone();
        let pointer = self.run(function, rows.num_rows(), &alloc, fitting)?;
        let room = place(self.memory.data_mut(&mut self.store), pointer, length);
        let mut room = room.filter(|_| pointer % ALIGNMENT == 0).ok_or_else(|| CallError::Malformed {
            function: function.to_owned(),
            detail: format!("`{ALLOC}` gives the address {pointer}, which has no aligned room for {length} bytes"),
        })?;
        for part in &parts {
            let (head, tail) = room.split_at_mut(part.len());
            head.copy_from_slice(part);
            room = tail;
        }
        Ok((pointer, fitting))
    }

    /// Copies a result out of the module's memory, and reads it.
    fn receive(&mut self, function: &str, result: u64) -> Result<Vec<RecordBatch>, CallError> {
        if result == 0 {
            return Ok(Vec::new());
        }
        let (pointer, length) = ((result >> 32) as u32, (result & u64::from(u32::MAX)) as usize);
        let wrong = |detail: String| CallError::Malformed { function: function.to_owned(), detail };
        let outside = || wrong(format!("its {length} bytes at the address {pointer} are not in the module's memory"));
        let bytes = place(self.memory.data_mut(&mut self.store), pointer, length).ok_or_else(outside)?;
        decode::stream(&Buffer::from(&*bytes)).map_err(wrong)
    }
}

/// The part of a memory, if it is one.
fn place(memory: &mut [u8], pointer: u32, length: usize) -> Option<&mut [u8]> {
    memory.get_mut(pointer as usize..).and_then(|rest| rest.get_mut(..length))
}

fn typed<Params: WasmParams, Results: WasmResults>(
    store: &mut Store<Host>,
    exports: &wasmtime::Instance,
    function: &str,
    expected: &'static str,
) -> Result<TypedFunc<Params, Results>, CallError> {
    let missing = |_| CallError::Missing { function: function.to_owned(), expected };
    exports.get_typed_func(store, function).map_err(missing)
}

fn fuel(store: &mut Store<Host>, function: &str, rows: usize) -> Result<(), CallError> {
    let budget = store.data().limits.budget(rows);
    let host = |error: wasmtime::Error| CallError::Host { function: function.to_owned(), detail: format!("{error:#}") };
    store.set_fuel(budget).map_err(host)
}

fn failed(store: &Store<Host>, function: &str, rows: usize, error: wasmtime::Error) -> CallError {
    let limits = store.data().limits;
    let function = function.to_owned();
    let place = error.downcast_ref::<WasmBacktrace>().and_then(innermost);
    match (error.downcast_ref::<Stop>(), error.downcast_ref::<Trap>()) {
        (Some(Stop::Failed(message)), _) => CallError::Failed { function, message: message.clone() },
        (Some(Stop::Misused(detail)), _) => CallError::Misused { function, detail: detail.clone() },
        (Some(Stop::OutOfMemory), _) => CallError::OutOfMemory { function, limit_bytes: limits.memory_bytes },
        (None, Some(Trap::OutOfFuel)) => CallError::OutOfFuel { function, budget: limits.budget(rows), rows },
        (None, Some(trap)) => CallError::Trapped { function, trap: trap.to_string().replace("wasm trap: ", ""), place },
        (None, None) => CallError::Host { function, detail: format!("{error:#}") },
    }
}

fn innermost(backtrace: &WasmBacktrace) -> Option<String> {
    backtrace.frames().iter().find_map(|frame| frame.func_name()).map(str::to_owned)
}
