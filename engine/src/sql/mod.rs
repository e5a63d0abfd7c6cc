//! SQL text to statements, and the statements that a job may hold.

mod settings;
mod stage_table;
mod statement;
mod window_filter;

pub(crate) use settings::{Setting, check_setting};
pub(crate) use stage_table::StageTable;
#[cfg(test)]
pub(crate) use statement::tokens;
pub(crate) use statement::{Action, Written, split};
pub(crate) use window_filter::WindowFilter;
