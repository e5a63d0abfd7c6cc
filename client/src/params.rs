//! Parameters of a job: `${name}` in its text becomes the parameter's value.
//!
//! The value is put in as it is written, so a text value brings its own quotes or stands between quotes in the
//! SQL: `WHERE day = '${day}'`. `$${name}` stands for a literal `${name}`; any other `$` is left alone.

use std::collections::{BTreeMap, BTreeSet};

use windrow_model::ErrorReport;

use crate::nearest;

/// Values by name, and which of them were used.
#[derive(Clone, Debug, Default)]
pub struct Params {
    values: BTreeMap<String, String>,
    used: BTreeSet<String>,
    /// Text is left as it is.
    untouched: bool,
}

impl Params {
    /// `defaults` are those of the job file; `given` are the user's own and win.
    pub fn new(defaults: BTreeMap<String, String>, given: &[(String, String)]) -> Params {
        let mut values = defaults;
        values.extend(given.iter().cloned());
        Params { values, ..Params::default() }
    }

    /// Leaves every text as it is.
    pub fn untouched() -> Params {
        Params { untouched: true, ..Params::default() }
    }

    /// `text` with every `${name}` replaced.
    ///
    /// # Errors
    /// `Invalid` for a name without a value and for a `${` without its `}`; `place` says where the text is from.
    pub fn substitute(&mut self, text: &str, place: &str) -> Result<String, ErrorReport> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        if self.untouched {
            return Ok(text.to_owned());
        }
        while let Some(at) = rest.find("${") {
            let (before, opened) = (&rest[..at], &rest[at + 2..]);
            if let Some(kept) = before.strip_suffix('$') {
                out.push_str(kept);
                out.push_str("${");
                rest = opened;
                continue;
            }
            out.push_str(before);
            let (name, after) =
                opened.split_once('}').ok_or_else(|| unclosed(text, text.len() - opened.len(), place))?;
            out.push_str(self.value(name, place)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&mut self, name: &str, place: &str) -> Result<&str, ErrorReport> {
        let Some(value) = self.values.get(name) else {
            return Err(self.unknown(name, place));
        };
        self.used.insert(name.to_owned());
        Ok(value)
    }

    fn unknown(&self, name: &str, place: &str) -> ErrorReport {
        let hint = match nearest(name, self.values.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!("give it a value with --param {name}=…, or write `$${{{name}}}` for the text itself"),
        };
        ErrorReport::invalid(format!("the parameter `${{{name}}}` in {place} has no value")).with_hint(hint)
    }

    /// Refuses parameters that the user gave and nothing used: most likely a misspelt name.
    ///
    /// # Errors
    /// `Invalid`, naming the parameter and the nearest one that is used.
    pub fn check_given(&self, given: &[(String, String)]) -> Result<(), ErrorReport> {
        let Some((name, _)) = given.iter().find(|(name, _)| !self.used.contains(name)) else {
            return Ok(());
        };
        let report = ErrorReport::invalid(format!("the job does not use the parameter `{name}`"));
        Err(match nearest(name, self.used.iter().map(String::as_str)) {
            Some(near) => report.with_hint(format!("did you mean --param {near}=…?")),
            None if self.used.is_empty() => report.with_hint("the job has no `${…}` at all; leave out --param"),
            None => report.with_hint(format!("it uses: {}", self.used.iter().cloned().collect::<Vec<_>>().join(", "))),
        })
    }
}

fn unclosed(text: &str, offset: usize, place: &str) -> ErrorReport {
    let line = text[..offset].matches('\n').count() + 1;
    ErrorReport::invalid(format!("`${{` in {place} is never closed"))
        .with_detail(format!("line {line}"))
        .with_hint("close it with `}`, or write `$${` for the text itself")
}

/// Reads `name=value` as given to `--param`.
pub fn parse_assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like `name=value`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(given: &[(&str, &str)]) -> Params {
        let given: Vec<_> = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Params::new(BTreeMap::from([("delay".to_owned(), "30".to_owned())]), &given)
    }

    #[test]
    fn a_given_value_wins_over_the_default() {
        assert_eq!(params(&[]).substitute("x > ${delay}", "the SQL"), Ok("x > 30".into()));
        assert_eq!(params(&[("delay", "5")]).substitute("${delay}${delay}", "the SQL"), Ok("55".into()));
    }

    #[test]
    fn a_doubled_dollar_stands_for_itself() {
        assert_eq!(params(&[]).substitute("'$${delay} costs $5' $$", "the SQL"), Ok("'${delay} costs $5' $$".into()));
    }

    #[test]
    fn a_parameter_without_a_value_is_named_with_the_nearest() {
        let report = params(&[]).substitute("${dealy}", "the SQL").expect_err("unknown");
        assert_eq!(report.what, "the parameter `${dealy}` in the SQL has no value");
        assert_eq!(report.hint, "did you mean `${delay}`?");
    }

    #[test]
    fn an_unclosed_parameter_is_located() {
        let report = params(&[]).substitute("SELECT\n ${delay", "the SQL").expect_err("unclosed");
        assert_eq!(report.detail, "line 2");
    }

    #[test]
    fn an_unused_given_parameter_is_refused() {
        let given = [("dely".to_owned(), "1".to_owned())];
        let mut params = Params::new(BTreeMap::from([("delay".to_owned(), "30".to_owned())]), &given);
        params.substitute("${delay}", "the SQL").expect("known");
        assert_eq!(params.check_given(&given).expect_err("unused").hint, "did you mean --param delay=…?");
    }
}
