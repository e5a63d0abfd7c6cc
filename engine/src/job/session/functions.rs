//! `CREATE FUNCTION … LANGUAGE wasm AS 'location'` and `DROP FUNCTION`.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    CreateFunction, CreateFunctionBody, DataType as SqlType, Expr, FunctionDefinitionSetParam, FunctionReturnType,
    FunctionSetValue, ObjectName, OperateFunctionArg, Statement as SqlStatement,
};
use object_store::ObjectStoreExt;
use windrow_model::{CodeLimits, ErrorKind, ErrorReport, ShippedFile, format_bytes, parse_bytes};

use super::{Answer, JobSession, Work, prefixed};
use crate::functions::wasm::{self, Returns, WasmFunction};
use crate::stores::{display_location, object_path, resolve_location, store_report};

/// Bytes of a module. It travels with every fragment that calls one of its functions.
const MODULE_BYTES_MAX: u64 = 8 << 20;

const EXAMPLE: &str = "write CREATE FUNCTION name(argument TYPE, …) RETURNS TYPE LANGUAGE wasm AS 'location of the module', 'name in the module'";

/// What a statement says about a function.
struct Declaration {
    name: String,
    or_replace: bool,
    if_not_exists: bool,
    /// As columns of `CREATE TABLE`.
    arguments: String,
    /// The same, or one type.
    returns: ReturnText,
    location: String,
    export: String,
    limits: CodeLimits,
}

enum ReturnText {
    Value(String),
    Table(String),
}

impl JobSession {
    pub(super) async fn change_function(&mut self, at: usize, statement: Statement) -> Result<Work, ErrorReport> {
        let Statement::Statement(sql) = statement else { return Err(ErrorReport::internal("a function is no SQL")) };
        let changed = match *sql {
            SqlStatement::CreateFunction(create) => self.create_function(create).await,
            SqlStatement::DropFunction(drop) => {
                drop.func_desc.iter().try_for_each(|function| self.drop_function(&function.name, drop.if_exists))
            }
            other => Err(ErrorReport::internal(format!("`{other}` is no change of a function"))),
        };
        changed.map_err(|report| prefixed(report, &self.place(at)))?;
        Ok(Work::Done(Answer::default()))
    }

    async fn create_function(&mut self, create: CreateFunction) -> Result<(), ErrorReport> {
        let declared = declaration(create)?;
        if !self.functions.contains(&declared.name) && self.has_function(&declared.name) {
            let what = format!("the function `{}` is built in", declared.name);
            return Err(ErrorReport::new(ErrorKind::AlreadyExists, what).with_hint("give it another name"));
        }
        if self.functions.contains(&declared.name) {
            match (declared.or_replace, declared.if_not_exists) {
                (true, _) => {}
                (false, true) => return Ok(()),
                (false, false) => {
                    let what = format!("the function `{}` exists already", declared.name);
                    return Err(
                        ErrorReport::new(ErrorKind::AlreadyExists, what).with_hint("write CREATE OR REPLACE FUNCTION")
                    );
                }
            }
        }
        let function = WasmFunction {
            module: Arc::new(self.module(&declared.location).await?),
            export: declared.export,
            arguments: self.columns(&declared.arguments).await?,
            returns: match &declared.returns {
                ReturnText::Table(columns) => Returns::Table(self.columns(columns).await?),
                ReturnText::Value(kind) => {
                    let columns = self.columns(&format!("result {kind}")).await?;
                    Returns::Value(columns.field(0).data_type().clone())
                }
            },
            limits: declared.limits,
            name: declared.name,
        };
        let name = function.name.clone();
        wasm::register(function, &self.context)?;
        self.functions.insert(name);
        Ok(())
    }

    fn has_function(&self, name: &str) -> bool {
        let state = self.context.state_ref();
        let state = state.read();
        let tables = state.table_functions();
        state.scalar_functions().contains_key(name)
            || state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name)
            || tables.contains_key(name)
    }

    fn drop_function(&mut self, name: &ObjectName, if_exists: bool) -> Result<(), ErrorReport> {
        let name = local(name)?;
        if self.functions.remove(&name) {
            wasm::unregister(&name, &self.context);
            return Ok(());
        }
        if if_exists {
            return Ok(());
        }
        Err(ErrorReport::new(ErrorKind::NotFound, format!("the job has made no function `{name}`")))
    }

    async fn columns(&self, columns: &str) -> Result<SchemaRef, ErrorReport> {
        if columns.is_empty() {
            return Ok(Arc::new(Schema::empty()));
        }
        self.declared_columns(columns, "the function").await
    }

    async fn module(&self, location: &str) -> Result<ShippedFile, ErrorReport> {
        let url = resolve_location(&self.base, location)?;
        let (store, path) = (self.env.stores.get(&url)?, object_path(&url)?);
        let unread = |error: object_store::Error| store_report(&error, "read", &url);
        let head = store.head(&path).await.map_err(unread)?;
        if head.size > MODULE_BYTES_MAX {
            let what = format!("the module `{}` has {}", display_location(&url), format_bytes(head.size));
            return Err(ErrorReport::new(ErrorKind::Exhausted, what)
                .with_detail(format!("a module has at most {}", format_bytes(MODULE_BYTES_MAX)))
                .with_hint("build it for size, without debug information"));
        }
        let bytes = store.get(&path).await.map_err(unread)?.bytes().await.map_err(unread)?;
        Ok(ShippedFile { name: location.to_owned(), executable: false, bytes: bytes.into() })
    }
}

fn declaration(create: CreateFunction) -> Result<Declaration, ErrorReport> {
    let name = local(&create.name)?;
    let wrong = |what: &str| ErrorReport::invalid(format!("the function `{name}` {what}")).with_hint(EXAMPLE);
    let language = create.language.as_ref().map(|language| language.value.to_lowercase());
    if language.as_deref() != Some("wasm") {
        return Err(ErrorReport::new(ErrorKind::Unsupported, format!("the function `{name}` is not written in wasm"))
            .with_hint(EXAMPLE));
    }
    let (location, export) = match &create.function_body {
        Some(CreateFunctionBody::AsBeforeOptions { body, link_symbol }) => {
            (text(body), link_symbol.as_ref().and_then(text))
        }
        Some(CreateFunctionBody::AsAfterOptions(body)) => (text(body), None),
        _ => (None, None),
    };
    let location = location.ok_or_else(|| wrong("names no module"))?;
    let arguments = create.args.as_deref().unwrap_or_default();
    let argument = |(nth, argument): (usize, &OperateFunctionArg)| {
        let named = argument.name.as_ref().map_or_else(|| format!("a{nth}"), ToString::to_string);
        format!("{named} {}", argument.data_type)
    };
    let arguments = (1..).zip(arguments).map(argument).collect::<Vec<_>>().join(", ");
    let returns = match &create.return_type {
        Some(FunctionReturnType::DataType(SqlType::Table(Some(columns)))) => {
            ReturnText::Table(columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Some(FunctionReturnType::DataType(kind)) => ReturnText::Value(kind.to_string()),
        Some(FunctionReturnType::SetOf(_)) | None => return Err(wrong("does not say what it returns")),
    };
    Ok(Declaration {
        or_replace: create.or_replace,
        if_not_exists: create.if_not_exists,
        arguments,
        returns,
        location,
        export: export.unwrap_or_else(|| name.clone()),
        limits: limits(&create.set_params)?,
        name,
    })
}

/// `SET memory = '64MiB' SET fuel_per_row = 100000`.
fn limits(settings: &[FunctionDefinitionSetParam]) -> Result<CodeLimits, ErrorReport> {
    let mut limits = CodeLimits::default();
    for setting in settings {
        let value = match &setting.value {
            FunctionSetValue::Values(values) => {
                values.first().map(|value| text(value).unwrap_or_else(|| value.to_string()))
            }
            FunctionSetValue::Default | FunctionSetValue::FromCurrent => None,
        };
        let value = value.unwrap_or_default();
        let wrong = || ErrorReport::invalid(format!("`{value}` is no value of `{}`", setting.name));
        match setting.name.to_string().as_str() {
            "memory" => limits.memory_bytes = Some(parse_bytes(&value).map_err(|_| wrong())?),
            "fuel_per_row" => limits.fuel_per_row = Some(value.parse().map_err(|_| wrong())?),
            other => {
                return Err(ErrorReport::invalid(format!("a function has no setting `{other}`"))
                    .with_hint("settings are SET memory = '64MiB' and SET fuel_per_row = 100000"));
            }
        }
    }
    Ok(limits)
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    }
}

/// Unquoted names are lower case, as everywhere in SQL.
fn local(name: &ObjectName) -> Result<String, ErrorReport> {
    match name.0.as_slice() {
        [part] => part
            .as_ident()
            .map(|ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
            .ok_or_else(|| ErrorReport::invalid(format!("`{name}` is no name of a function"))),
        _ => Err(ErrorReport::new(ErrorKind::Unsupported, format!("the function `{name}` is in another schema"))
            .with_hint("write the function's name alone")),
    }
}
