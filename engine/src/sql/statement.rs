//! Splits a script into statements that keep their text and place, and says what each of them asks for.

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{
    CopyToStatement, CreateExternalTable, DFParserBuilder, ExplainStatement, ResetStatement, Statement,
};
use datafusion::sql::sqlparser::ast::{ObjectType, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use windrow_model::{ErrorKind, ErrorReport};

use crate::{errors, guards};

/// Characters of a statement that are shown in lists.
const SHOWN_CHARS: usize = 120;

/// One statement as its author wrote it. Its tree is made when it is needed: a deep one must not be dropped on a
/// small stack.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub text: String,
    /// Where it starts in the script, from 1.
    pub line: u64,
    tokens: Vec<TokenWithSpan>,
}

/// What a statement asks for. Everything else is refused.
pub(crate) enum Action {
    /// Rows for the client.
    Query(Statement),
    /// Rows from the catalog and the settings, which the coordinator has.
    Show(Statement),
    Explain(ExplainStatement),
    CreateExternalTable(CreateExternalTable),
    CreateTableAs(Statement),
    /// `CREATE VIEW`, `DROP`: changes of the job's catalog alone.
    Catalog(Statement),
    /// `CREATE FUNCTION`, `DROP FUNCTION`.
    Function(Statement),
    Setting(Statement),
    Copy(CopyToStatement),
    Insert(Statement),
}

/// The statements of a script, in order. Errors with line and column on text that is not SQL, and on statements that
/// are too large to plan.
pub(crate) fn split(script: &str) -> Result<Vec<Written>, ErrorReport> {
    guards::check_size(script)?;
    let tokens = tokens(script).map_err(|error| errors::report(error, ""))?;
    let lines = LineStarts::new(script);
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|statement| statement.iter().any(|token| !is_space(token)))
        .map(|statement| written(script, &lines, statement))
        .collect()
}

/// The script's tokens, white space and comments included, with their places.
pub(crate) fn tokens(script: &str) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    Tokenizer::new(&GenericDialect {}, script)
        .tokenize_with_location()
        .map_err(|error| DataFusionError::SQL(Box::new(ParserError::from(error)), None))
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

fn written(script: &str, lines: &LineStarts, tokens: &[TokenWithSpan]) -> Result<Written, ErrorReport> {
    guards::check_depth(tokens)?;
    let first = tokens.iter().position(|token| !is_space(token)).unwrap_or(0);
    let last = tokens.iter().rposition(|token| !is_space(token)).unwrap_or(0);
    let tokens = tokens[first..=last].to_vec();
    let (start, end) = (tokens[0].span.start, tokens[tokens.len() - 1].span.end);
    let text = script[lines.offset(script, start)..lines.offset(script, end)].to_owned();
    Ok(Written { text, line: start.line, tokens })
}

/// Byte offsets at which lines start.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn new(script: &str) -> LineStarts {
        LineStarts(std::iter::once(0).chain(script.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Columns count characters, from 1.
    fn offset(&self, script: &str, at: Location) -> usize {
        let line = self.0.get((at.line as usize).saturating_sub(1)).copied().unwrap_or(script.len());
        let column = (at.column as usize).saturating_sub(1);
        script[line..].char_indices().nth(column).map_or(script.len(), |(offset, _)| line + offset)
    }
}

impl Written {
    /// Call on a big stack, and drop the result there.
    pub fn parse(&self) -> Result<Statement, DataFusionError> {
        let mut parser = DFParserBuilder::new(self.tokens.clone()).build()?;
        let mut statements = parser.parse_statements().map_err(|error| self.place(error))?;
        statements.pop_front().ok_or_else(|| DataFusionError::Plan("the statement is empty".to_owned()))
    }

    /// The parser gives no place when the text ends too early.
    fn place(&self, error: DataFusionError) -> DataFusionError {
        let DataFusionError::SQL(parser, _) = error.find_root() else { return error };
        let ParserError::ParserError(text) = parser.as_ref() else { return error };
        if text.contains(" at Line: ") {
            return error;
        }
        let end = self.tokens.last().map_or(Location { line: self.line, column: 1 }, |token| token.span.end);
        let text = format!("{text} at Line: {}, Column: {}", end.line, end.column);
        DataFusionError::SQL(Box::new(ParserError::ParserError(text)), None)
    }

    /// Line and column at which `name` is first written.
    pub fn locate(&self, name: &str) -> Option<(u64, u64)> {
        let is_name = |token: &&TokenWithSpan| match &token.token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(name),
            _ => false,
        };
        self.tokens.iter().find(is_name).map(|token| (token.span.start.line, token.span.start.column))
    }

    /// One line for lists.
    pub fn shortened(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let line = words.join(" ");
        if line.chars().count() <= SHOWN_CHARS {
            return line;
        }
        line.chars().take(SHOWN_CHARS - 1).chain(['…']).collect()
    }
}

impl Action {
    /// Errors with `Unsupported` and what to write instead.
    pub fn of(statement: Statement) -> Result<Action, ErrorReport> {
        match statement {
            Statement::CreateExternalTable(create) => Ok(Action::CreateExternalTable(create)),
            Statement::CopyTo(copy) => Ok(Action::Copy(copy)),
            Statement::Explain(explain) => Ok(Action::Explain(explain)),
            Statement::Reset(ResetStatement::Variable(_)) => Ok(Action::Setting(statement)),
            Statement::Statement(ref sql) => match of_sql(sql) {
                Ok(make) => Ok(make(statement)),
                Err(report) => Err(report),
            },
        }
    }
}

fn of_sql(sql: &SqlStatement) -> Result<fn(Statement) -> Action, ErrorReport> {
    match sql {
        SqlStatement::Query(_) => Ok(Action::Query),
        SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowVariable { .. }
        | SqlStatement::ShowCreate { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ExplainTable { .. } => Ok(Action::Show),
        SqlStatement::CreateTable(create) if create.query.is_some() => Ok(Action::CreateTableAs),
        SqlStatement::CreateView(_) => Ok(Action::Catalog),
        SqlStatement::Drop { object_type: ObjectType::Table | ObjectType::View, .. } => Ok(Action::Catalog),
        SqlStatement::CreateFunction(_) | SqlStatement::DropFunction(_) => Ok(Action::Function),
        SqlStatement::Set(_) | SqlStatement::Reset(_) => Ok(Action::Setting),
        SqlStatement::Insert(_) => Ok(Action::Insert),
        other => Err(refused(other)),
    }
}

fn refused(sql: &SqlStatement) -> ErrorReport {
    let (name, hint) = match sql {
        SqlStatement::CreateTable(_) => (
            "CREATE TABLE without a query",
            "write CREATE TABLE … AS SELECT …, or CREATE EXTERNAL TABLE … LOCATION '…' for a table of files",
        ),
        SqlStatement::Delete(_) | SqlStatement::Truncate(_) => {
            ("DELETE", "write the rows to keep with COPY or INSERT OVERWRITE into another location")
        }
        SqlStatement::Update(_) | SqlStatement::Merge(_) => {
            ("UPDATE", "write the new rows with COPY or INSERT OVERWRITE into another location")
        }
        SqlStatement::Prepare { .. } | SqlStatement::Execute { .. } | SqlStatement::Deallocate { .. } => {
            ("PREPARE", "use ${name} in the SQL with `params:` in the job file, or --param name=value")
        }
        SqlStatement::StartTransaction { .. } | SqlStatement::Commit { .. } | SqlStatement::Rollback { .. } => {
            ("a transaction", "each COPY and INSERT is atomic on its own")
        }
        SqlStatement::CreateSchema { .. } | SqlStatement::CreateDatabase { .. } => {
            ("CREATE SCHEMA", "all tables of a job are in one schema; give them distinct names")
        }
        _ => (
            "this statement",
            "a job may hold SELECT, CREATE EXTERNAL TABLE, CREATE VIEW, CREATE TABLE AS, CREATE FUNCTION, COPY, INSERT, \
             DROP, SET, SHOW and EXPLAIN",
        ),
    };
    ErrorReport::new(ErrorKind::Unsupported, format!("{name} is not supported")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(script: &str) -> Vec<(u64, String)> {
        split(script).unwrap().into_iter().map(|written| (written.line, written.text)).collect()
    }

    #[test]
    fn a_script_is_split_at_semicolons_outside_of_texts_and_comments() {
        let script = "-- one; two\nSELECT ';' AS \"a;b\";\n\n;\n  SELECT\n 'é' ; /* c; */ VALUES (1)";
        let expected = [(2, "SELECT ';' AS \"a;b\""), (5, "SELECT\n 'é'"), (6, "VALUES (1)")];
        assert_eq!(places(script), expected.map(|(line, text)| (line, text.to_owned())));
    }

    #[test]
    fn syntax_errors_carry_line_and_column_of_the_whole_script() {
        let written = split("SELECT 1;\nSELECT *\n  FORM t").unwrap();
        let report = errors::report(written[1].parse().unwrap_err(), "");
        assert!(report.what.starts_with("syntax error at line 3, column "), "{report:?}");
        let written = split("SELECT (1").unwrap();
        let report = errors::report(written[0].parse().unwrap_err(), "");
        assert_eq!(report.what, "syntax error at line 1, column 10");
    }

    #[test]
    fn other_statements_are_refused_with_a_hint() {
        for sql in ["DELETE FROM t", "UPDATE t SET a = 1", "CREATE TABLE t (a INT)", "PREPARE p AS SELECT 1", "BEGIN"] {
            let report = Action::of(split(sql).unwrap()[0].parse().unwrap()).err().unwrap();
            assert_eq!(report.kind, ErrorKind::Unsupported, "{sql}");
            assert!(!report.hint.is_empty(), "{sql}");
        }
    }
}
