//! Functions of WebAssembly modules as mappers, combiners and reducers.

use windrow_model::{CodeLimits, ErrorReport, ShippedFile};
use windrow_wasm::{CallError, Grants, Instance, Kind, Limits, Module};

use super::native::{CodeInput, CodeOutput, NativeCode, Start};

/// Refuses a module that asks for files, the network or anything else that there is not, and one without the function.
pub fn check(module: &ShippedFile, function: &str, place: &str) -> Result<(), ErrorReport> {
    let checked = load_module(module).and_then(|loaded| loaded.check(function, Kind::Rows));
    checked.map_err(|report| ErrorReport { what: format!("{place}: `{}`: {}", module.name, report.what), ..report })
}

/// Compiles a module, unless this process has done so before.
pub fn load_module(module: &ShippedFile) -> Result<Module, ErrorReport> {
    Module::load(&module.bytes, Grants::default())
}

/// What a job's limits are to a module.
pub fn module_limits(limits: CodeLimits) -> Limits {
    let defaults = Limits::default();
    Limits {
        memory_bytes: limits.memory_bytes.unwrap_or(defaults.memory_bytes),
        fuel_per_row: limits.fuel_per_row.unwrap_or(defaults.fuel_per_row),
        ..defaults
    }
}

/// What starts the code of one partition.
pub fn rows(module: &ShippedFile, function: &str, limits: CodeLimits) -> Start {
    let (module, function, limits) = (module.clone(), function.to_owned(), module_limits(limits));
    Box::new(move || Ok(Box::new(WasmRows { module: load_module(&module)?, function, limits })))
}

pub struct WasmRows {
    module: Module,
    function: String,
    limits: Limits,
}

impl NativeCode for WasmRows {
    fn run(&mut self, input: &mut CodeInput, output: &mut CodeOutput) -> Result<(), String> {
        let mut instance = self.module.start(self.limits).map_err(|error| error.to_string())?;
        for batch in input.by_ref() {
            let made = instance.call(&self.function, &batch);
            give(&mut instance, made, output)?;
        }
        input.check()?;
        let made = instance.finish(&self.function);
        give(&mut instance, made, output)
    }
}

fn give(
    instance: &mut Instance,
    made: Result<Vec<arrow::array::RecordBatch>, CallError>,
    output: &mut CodeOutput,
) -> Result<(), String> {
    instance.take_log().iter().for_each(|line| output.log(line));
    instance.take_counters().iter().for_each(|(name, amount)| output.count(name, *amount));
    made.map_err(|error| error.to_string())?.iter().try_for_each(|batch| output.emit(batch))
}
