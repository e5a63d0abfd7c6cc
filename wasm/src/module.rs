//! A compiled module: loading, checking its exports, starting instances.

use std::fmt;
use std::sync::Arc;

use wasmtime::{ExternType, FuncType, InstancePre, ValType};
use windrow_model::ErrorReport;

use crate::error::CallError;
use crate::host::Host;
use crate::instance::Instance;
use crate::limits::{Grants, Limits, MODULE_BYTES_MAX};
use crate::{cache, engine, imports};

/// Names that the contract has fixed.
pub const MEMORY: &str = "memory";
pub const ALLOC: &str = "windrow_alloc";
pub const SETUP: &str = "windrow_setup";

/// Their types and those of functions, as errors show them.
pub const ALLOC_TYPE: &str = "(i32) -> i32";
pub const SETUP_TYPE: &str = "()";
pub const CALL_TYPE: &str = "(i32, i32) -> i64";
pub const FINISH_TYPE: &str = "() -> i64";

/// The export that gives what `function` has held back.
pub fn finish_of(function: &str) -> String {
    format!("{function}_finish")
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows in, rows out: scalar and table functions, mappers, combiners and reducers.
    Rows,
    /// Over groups, with states: four exports.
    Aggregate,
}

/// A compiled module, linked with what it is granted. Clones share it.
#[derive(Clone)]
pub struct Module {
    linked: Arc<InstancePre<Host>>,
    grants: Grants,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exports: Vec<&str> = self.exports().collect();
        f.debug_struct("Module").field("exports", &exports).field("grants", &self.grants).finish()
    }
}

impl Module {
    /// Compiles a module in the binary format, unless this process has done so before.
    ///
    /// # Errors
    ///
    /// If the bytes are no module, too many, or of an unsupported feature (threads, 64-bit memories); and if the module
    /// imports something that it does not get.
    pub fn load(bytes: &[u8], grants: Grants) -> Result<Module, ErrorReport> {
        if bytes.len() > MODULE_BYTES_MAX {
            let what = format!("the module has {} bytes, and at most {MODULE_BYTES_MAX} are taken", bytes.len());
            return Err(ErrorReport::invalid(what).with_hint("build it optimised and without debug information"));
        }
        let engine = engine::shared()?;
        let compiled = cache::compiled(engine, bytes).map_err(|error| {
            ErrorReport::invalid("the module is not WebAssembly that Windrow runs")
                .with_detail(format!("{error:#}"))
                .with_hint("build it for wasm32 without threads; text (.wat) is assembled first")
        })?;
        imports::check(&compiled, grants)?;
        let linked = imports::linker(engine, grants).and_then(|linker| linker.instantiate_pre(&compiled));
        let linked = linked
            .map_err(|error| ErrorReport::internal("a module cannot be linked").with_detail(format!("{error:#}")))?;
        Ok(Module { linked: Arc::new(linked), grants })
    }

    /// Names of the exports, of every sort.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.linked.module().exports().map(|export| export.name())
    }

    /// Whether `function` has a `_finish`, which is called after the last batch.
    pub fn has_finish(&self, function: &str) -> bool {
        self.exports().any(|export| export == finish_of(function))
    }

    /// Checks that the module has what calls of `function` need.
    ///
    /// # Errors
    ///
    /// If an export is missing or of another type: it is named, with the type that it should have.
    pub fn check(&self, function: &str, kind: Kind) -> Result<(), ErrorReport> {
        use ValType::{I32, I64};
        let exports = &self.linked.module();
        if !matches!(exports.get_export(MEMORY), Some(ExternType::Memory(_))) {
            return Err(ErrorReport::invalid(format!("the module exports no memory named `{MEMORY}`"))
                .with_hint("linkers of C and Rust export it unless told otherwise"));
        }
        self.check_export(ALLOC, &[I32], &[I32], ALLOC_TYPE)?;
        self.check_optional(SETUP, &[], &[], SETUP_TYPE)?;
        match kind {
            Kind::Rows => {
                self.check_export(function, &[I32, I32], &[I64], CALL_TYPE)?;
                self.check_optional(&finish_of(function), &[], &[I64], FINISH_TYPE)
            }
            Kind::Aggregate => ["update", "merge", "state", "evaluate"]
                .into_iter()
                .try_for_each(|step| self.check_export(&format!("{function}_{step}"), &[I32, I32], &[I64], CALL_TYPE)),
        }
    }

    fn check_optional(
        &self,
        name: &str,
        params: &[ValType],
        results: &[ValType],
        text: &str,
    ) -> Result<(), ErrorReport> {
        match self.linked.module().get_export(name) {
            Some(_) => self.check_export(name, params, results, text),
            None => Ok(()),
        }
    }

    fn check_export(&self, name: &str, params: &[ValType], results: &[ValType], text: &str) -> Result<(), ErrorReport> {
        let module = self.linked.module();
        let expected = FuncType::new(module.engine(), params.iter().cloned(), results.iter().cloned());
        let wrong = match module.get_export(name) {
            Some(ExternType::Func(found)) if FuncType::eq(&found, &expected) => return Ok(()),
            Some(ExternType::Func(found)) => format!("the module's `{name}` is `{found}`, not `{text}`"),
            Some(_) => format!("the module's `{name}` is not a function"),
            None => format!("the module exports no function `{name}`"),
        };
        Err(ErrorReport::invalid(wrong).with_hint(format!("export a function `{name}` of the type `{text}`")))
    }

    /// Starts an instance: its own memory, and `windrow_setup` if there is one.
    ///
    /// # Errors
    ///
    /// As a call does; the start and the setup have the budget of a call without rows.
    pub fn start(&self, limits: Limits) -> Result<Instance, CallError> {
        Instance::start(&self.linked, limits)
    }
}
