//! A function as a statement has declared it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use windrow_model::{CodeLimits, ErrorReport, ShippedFile};
use windrow_wasm as wasm;

use crate::user_code::{load_module, module_limits};

/// With the module that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WasmFunction {
    /// In SQL.
    pub name: String,
    pub module: Arc<ShippedFile>,
    /// In the module.
    pub export: String,
    pub arguments: SchemaRef,
    pub returns: Returns,
    pub limits: CodeLimits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    /// One value for each row, or for each group.
    Value(DataType),
    Table(SchemaRef),
}

/// What a function is to SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Aggregate,
    Table,
}

impl Hash for WasmFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.export.hash(state);
    }
}

impl WasmFunction {
    /// # Errors
    /// The module is none, asks for what it does not get, or has no such function.
    pub(super) fn kind(&self) -> Result<Kind, ErrorReport> {
        let module = self.load()?;
        let updates = format!("{}_update", self.export);
        let (kind, calls) = match &self.returns {
            Returns::Table(_) => (Kind::Table, wasm::Kind::Rows),
            Returns::Value(_) if module.exports().any(|export| export == updates) => {
                (Kind::Aggregate, wasm::Kind::Aggregate)
            }
            Returns::Value(_) => (Kind::Scalar, wasm::Kind::Rows),
        };
        module.check(&self.export, calls).map_err(|report| self.prefixed(report))?;
        Ok(kind)
    }

    pub fn load(&self) -> Result<wasm::Module, ErrorReport> {
        load_module(&self.module).map_err(|report| self.prefixed(report))
    }

    pub fn module_limits(&self) -> wasm::Limits {
        module_limits(self.limits)
    }

    pub fn argument_types(&self) -> Vec<DataType> {
        self.arguments.fields().iter().map(|field| field.data_type().clone()).collect()
    }

    /// With the name that SQL has for it.
    pub fn prefixed(&self, report: ErrorReport) -> ErrorReport {
        ErrorReport {
            what: format!("the function `{}` (`{}`): {}", self.name, self.module.name, report.what),
            ..report
        }
    }
}
