//! What the code of an attempt says while it runs: counters, a status, and lines for its log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Different counters of one attempt, which are kept with its output. Names of rows or users are no counters.
const COUNTERS_MAX: usize = 100;

/// Bytes of a counter's name, or of a status.
const NAME_BYTES_MAX: usize = 128;

/// Bytes of log that an attempt keeps, the last ones.
const LOG_BYTES_MAX: usize = 64 << 10;

/// Bytes of one line; the rest of a longer one is cut.
const LINE_BYTES_MAX: usize = 1_000;

/// Lines that a failure shows, the last ones.
const LINES_SHOWN: usize = 10;

/// What Hadoop Streaming's programs begin such a line with.
const REPORTER: &str = "reporter:";

/// Of one attempt. Code of several partitions writes into the same.
#[derive(Debug, Default)]
pub struct CodeReport {
    said: Mutex<Said>,
    version: AtomicU64,
}

/// What was said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub counters: BTreeMap<String, i64>,
    /// The last one given.
    pub status: String,
    pub lines: VecDeque<String>,
    /// Lines that were dropped before those.
    pub lines_dropped: u64,
    bytes: usize,
}

impl CodeReport {
    /// Adds to a counter. Counters beyond the first hundred are dropped, and the log says so once.
    pub fn count(&self, name: &str, amount: i64) {
        self.change().count(name, amount);
    }

    /// Takes a line of standard error: `reporter:counter:GROUP,COUNTER,AMOUNT` counts as `GROUP.COUNTER`,
    /// `reporter:status:TEXT` is a status, and every other one is a line of the log.
    pub fn line(&self, line: &str) {
        let mut said = self.change();
        match line.strip_prefix(REPORTER) {
            Some(report) => said.reported(report, line),
            None => said.log(line),
        }
    }

    pub fn said(&self) -> Said {
        self.said.lock().clone()
    }

    /// Grows whenever something was said.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn change(&self) -> parking_lot::MutexGuard<'_, Said> {
        self.version.fetch_add(1, Ordering::Relaxed);
        self.said.lock()
    }

    /// Adds what a part of the attempt has said.
    pub fn merge(&self, part: &CodeReport) {
        let part = part.said();
        let mut said = self.change();
        part.counters.iter().for_each(|(name, amount)| said.count(name, *amount));
        part.lines.iter().for_each(|line| said.log(line));
        if !part.status.is_empty() {
            said.status = part.status;
        }
    }

    /// The last lines of the log; empty if there are none.
    pub fn last_lines(&self) -> String {
        let said = self.said.lock();
        let first = said.lines.len().saturating_sub(LINES_SHOWN);
        said.lines.range(first..).map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Said {
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.lines.is_empty() && self.status.is_empty()
    }

    /// The log as text; says what is missing at its beginning.
    pub fn log_text(&self) -> String {
        let mut text = match self.lines_dropped {
            0 => String::new(),
            dropped => format!("({dropped} earlier lines are not kept)\n"),
        };
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn reported(&mut self, report: &str, line: &str) {
        if let Some(status) = report.strip_prefix("status:") {
            self.status = cut(status, NAME_BYTES_MAX).to_owned();
            return;
        }
        let counter = report.strip_prefix("counter:").and_then(|counter| {
            let (name, amount) = counter.rsplit_once(',')?;
            let (group, name) = name.split_once(',')?;
            Some((format!("{}.{}", group.trim(), name.trim()), amount.trim().parse().ok()?))
        });
        match counter {
            Some((name, amount)) => self.count(&name, amount),
            None => self.log(line),
        }
    }

    fn count(&mut self, name: &str, amount: i64) {
        let name = cut(name, NAME_BYTES_MAX);
        if let Some(counter) = self.counters.get_mut(name) {
            *counter = counter.saturating_add(amount);
            return;
        }
        match self.counters.len() {
            COUNTERS_MAX => {
                if self.lines.back().is_none_or(|line| line != TOO_MANY) {
                    self.log(TOO_MANY);
                }
            }
            _ => drop(self.counters.insert(name.to_owned(), amount)),
        }
    }

    fn log(&mut self, line: &str) {
        let line = cut(line, LINE_BYTES_MAX).to_owned();
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > LOG_BYTES_MAX
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
            self.lines_dropped += 1;
        }
    }
}

const TOO_MANY: &str = "(counters beyond the first 100 are not counted)";

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reporter_lines_count_and_other_lines_are_kept() {
        let report = CodeReport::default();
        for line in [
            "reporter:counter:Words,bad, ones,2",
            "reporter:counter:Words,bad, ones,3",
            "reporter:status:half way",
            "reporter:counter:wrong",
            "hello",
        ] {
            report.line(line);
        }
        let said = report.said();
        assert_eq!(said.counters, BTreeMap::from([("Words.bad, ones".to_owned(), 5)]));
        assert_eq!(said.status, "half way");
        assert_eq!(report.last_lines(), "reporter:counter:wrong\nhello");
    }

    #[test]
    fn logs_and_counters_are_bounded() {
        let report = CodeReport::default();
        (0..10_000).for_each(|n| report.line(&format!("line {n} {}", "é".repeat(600))));
        (0..3_000).for_each(|n| report.count(&n.to_string(), 1));
        let said = report.said();
        assert!(said.bytes <= LOG_BYTES_MAX && said.lines.len() > 50);
        assert!(said.log_text().starts_with("(99"), "{}", &said.log_text()[..40]);
        assert_eq!(said.counters.len(), COUNTERS_MAX);
        assert_eq!(said.lines.iter().filter(|line| *line == TOO_MANY).count(), 1);
    }
}
