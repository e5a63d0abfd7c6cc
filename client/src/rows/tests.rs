//! What rows look like in each form.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use expect_test::{Expect, expect};

use super::*;

fn rows() -> RecordBatch {
    let carrier: ArrayRef = Arc::new(StringArray::from(vec![Some("AA"), None, Some("a\nb")]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1200), Some(7), None]));
    RecordBatch::try_from_iter([("carrier", carrier), ("n", n)]).expect("a batch")
}

fn check(format: RowFormat, batches: &[RecordBatch], expected: Expect) {
    let mut out = Vec::new();
    let mut printer = RowPrinter::start(format, rows().schema(), &mut out).expect("a header");
    for batch in batches {
        printer.print(batch).expect("printed");
    }
    printer.finish().expect("flushed");
    expected.assert_eq(&String::from_utf8(out).expect("text"));
}

#[test]
fn a_table_aligns_numbers_and_keeps_a_row_on_its_line() {
    check(
        RowFormat::Table,
        &[rows()],
        expect![[r#"
            +---------+------+
            | carrier | n    |
            +---------+------+
            | AA      | 1200 |
            | NULL    |    7 |
            | a\nb    | NULL |
            +---------+------+
        "#]],
    );
}

#[test]
fn json_is_one_object_a_line_with_its_nulls() {
    check(
        RowFormat::Json,
        &[rows()],
        expect![[r#"
            {"carrier":"AA","n":1200}
            {"carrier":null,"n":7}
            {"carrier":"a\nb","n":null}
        "#]],
    );
}

#[test]
fn csv_has_one_header_even_without_rows() {
    check(
        RowFormat::Csv,
        &[rows(), rows().slice(0, 1)],
        expect![[r#"
            carrier,n
            AA,1200
            ,7
            "a
            b",
            AA,1200
        "#]],
    );
    check(
        RowFormat::Csv,
        &[],
        expect![[r#"
        carrier,n
    "#]],
    );
}

#[test]
fn an_empty_table_has_its_head() {
    check(
        RowFormat::Table,
        &[],
        expect![[r#"
        +---------+---+
        | carrier | n |
        +---------+---+
        +---------+---+
    "#]],
    );
}

#[test]
fn a_long_table_keeps_the_widths_of_its_first_rows() {
    let many: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5_000));
    let batch = RecordBatch::try_from_iter([("i", many)]).expect("a batch");
    let mut out = Vec::new();
    let mut printer = RowPrinter::start(RowFormat::Table, batch.schema(), &mut out).expect("a header");
    printer.print(&batch).expect("printed");
    printer.finish().expect("flushed");
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text.lines().count(), 5_004);
    assert!(text.lines().all(|line| line.len() == "| 1999 |".len()), "widths differ");
}
