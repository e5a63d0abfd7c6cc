//! How a command ends: its exit code, and what a user reads when it failed.

use std::fmt::Write;
use std::process::ExitCode;

use crate::rows::PrintError;
use serde_json::{Value, json};
use windrow_model::ErrorReport;

/// What a command returns; a closed output is a quiet end.
pub type Outcome<T = ()> = Result<T, ErrorReport>;

/// Prints the error, if there is one, and says how the process ends.
pub fn exit_code(outcome: Outcome, json: bool) -> ExitCode {
    let Err(report) = outcome else { return ExitCode::SUCCESS };
    if json {
        eprintln!("{}", json!({ "error": error_object(&report) }))
    } else {
        eprint!("{}", render(&report))
    }
    ExitCode::from(report.kind.exit_code())
}

/// For programs: the same words as [`render`].
pub fn error_object(report: &ErrorReport) -> Value {
    json!({ "kind": report.kind.name(), "what": report.what, "detail": report.detail, "hint": report.hint })
}

/// For people: what failed, the detail, the next thing to do.
pub fn render(report: &ErrorReport) -> String {
    let mut text = format!("error: {}\n", report.what);
    for (label, part) in [("detail", &report.detail), ("hint", &report.hint)] {
        if !part.is_empty() {
            let indented = part.trim_end().replace('\n', "\n          ");
            let _ = writeln!(text, "  {label}: {indented}");
        }
    }
    text
}

/// A reader that has gone, as `head` does, is no failure of ours.
pub fn printed(outcome: Result<(), PrintError>) -> Outcome {
    match outcome {
        Ok(()) | Err(PrintError::Closed) => Ok(()),
        Err(PrintError::Report(report)) => Err(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_error_has_three_parts_and_leaves_out_empty_ones() {
        let report = ErrorReport::invalid("column `arr_dely` does not exist").with_detail("line 2\ncolumn 7");
        expect![[r#"
            error: column `arr_dely` does not exist
              detail: line 2
                      column 7
        "#]]
        .assert_eq(&render(&report));
        let hinted = report.with_detail("").with_hint("did you mean `arr_delay`?");
        expect![[r#"
            error: column `arr_dely` does not exist
              hint: did you mean `arr_delay`?
        "#]]
        .assert_eq(&render(&hinted));
    }
}
