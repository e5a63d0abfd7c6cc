//! The functions that a module may import, and the check that it imports no other.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Engine, ExternType, FuncType, ImportType, Linker, Module, ValType};
use windrow_model::{ErrorKind, ErrorReport};

use crate::host::{Host, Stop};
use crate::limits::{COUNTER_NAME_BYTES_MAX, Grants, HOST_CALL_FUEL, LOG_LINE_BYTES_MAX, MESSAGE_BYTES_MAX};

/// The module name of every import.
const NAMESPACE: &str = "windrow";

/// Refuses a module with an import that the contract does not have, or that is not granted.
pub fn check(module: &Module, grants: Grants) -> Result<(), ErrorReport> {
    module.imports().try_for_each(|import| check_import(module.engine(), &import, grants))
}

fn check_import(engine: &Engine, import: &ImportType, grants: Grants) -> Result<(), ErrorReport> {
    use ValType::{I32, I64};
    let name = format!("{}.{}", import.module(), import.name());
    let (params, results, text): (&[ValType], &[ValType], &str) = match (import.module(), import.name()) {
        (NAMESPACE, "fail" | "log") => (&[I32, I32], &[], "(i32, i32)"),
        (NAMESPACE, "count") => (&[I32, I32, I64], &[], "(i32, i32, i64)"),
        (NAMESPACE, "clock") if grants.clock => (&[], &[I64], "() -> i64"),
        (NAMESPACE, "clock") => {
            let what = format!("the module imports `{name}`, and is not granted the clock");
            return Err(ErrorReport::new(ErrorKind::PermissionDenied, what)
                .with_hint("grant the clock, or have the time in a column of the input"));
        }
        _ => {
            return Err(ErrorReport::invalid(format!("the module imports `{name}`, which there is not"))
                .with_detail(
                    "modules have no files and no network; they may import `fail`, `count` and `log` of `windrow`",
                )
                .with_hint("build it without a system: -nostdlib in C, wasm32-unknown-unknown in Rust"));
        }
    };
    let expected = FuncType::new(engine, params.iter().cloned(), results.iter().cloned());
    match import.ty() {
        ExternType::Func(found) if FuncType::eq(&found, &expected) => Ok(()),
        _ => Err(ErrorReport::invalid(format!("the module imports `{name}` with a wrong type"))
            .with_detail(format!("it is a function `{text}`"))),
    }
}

/// What a module of `grants` is linked with.
///
/// # Errors
///
/// If a name is defined twice, which is a mistake in this file.
pub fn linker(engine: &Engine, grants: Grants) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(NAMESPACE, "fail", fail)?;
    linker.func_wrap(NAMESPACE, "count", count)?;
    linker.func_wrap(NAMESPACE, "log", log)?;
    if grants.clock {
        linker.func_wrap(NAMESPACE, "clock", clock)?;
    }
    Ok(linker)
}

fn fail(mut caller: Caller<'_, Host>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let message = read(&mut caller, pointer, length, MESSAGE_BYTES_MAX)?;
    Err(Stop::Failed(String::from_utf8_lossy(&message).into_owned()).into())
}

fn count(mut caller: Caller<'_, Host>, pointer: u32, length: u32, amount: i64) -> wasmtime::Result<()> {
    charge(&mut caller)?;
    // One byte more than a name has, so that a longer one is noticed.
    let name = read(&mut caller, pointer, length, COUNTER_NAME_BYTES_MAX + 1)?;
    let name =
        std::str::from_utf8(&name).map_err(|_| Stop::Misused("the name of a counter is not UTF-8".to_owned()))?;
    Ok(caller.data_mut().count(name, amount)?)
}

fn log(mut caller: Caller<'_, Host>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    charge(&mut caller)?;
    if !caller.data().has_room_for_log() {
        caller.data_mut().drop_line();
        return Ok(());
    }
    let line = read(&mut caller, pointer, length, LOG_LINE_BYTES_MAX)?;
    caller.data_mut().log.push(String::from_utf8_lossy(&line).into_owned());
    Ok(())
}

fn clock(mut caller: Caller<'_, Host>) -> wasmtime::Result<i64> {
    charge(&mut caller)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}

/// Without it, a module could keep a thread for minutes with the fuel of a second.
fn charge(caller: &mut Caller<'_, Host>) -> wasmtime::Result<()> {
    let left = caller.get_fuel()?;
    caller.set_fuel(left.saturating_sub(HOST_CALL_FUEL))
}

/// The first `bytes_max` bytes of a module's memory from `pointer` to `pointer + length`.
fn read(caller: &mut Caller<'_, Host>, pointer: u32, length: u32, bytes_max: usize) -> Result<Vec<u8>, Stop> {
    let memory = caller.get_export("memory").and_then(|export| export.into_memory());
    let memory = memory.ok_or_else(|| Stop::Misused("it exports no `memory`".to_owned()))?;
    let (start, length) = (pointer as usize, length as usize);
    let bytes = memory.data(&caller).get(start..).and_then(|rest| rest.get(..length));
    let bytes = bytes.ok_or_else(|| Stop::Misused("it gives the host a text outside of its memory".to_owned()))?;
    Ok(bytes[..length.min(bytes_max)].to_vec())
}
