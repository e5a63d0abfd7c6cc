//! Friendly names of format options, and what the engine calls them.

use std::collections::BTreeMap;

use windrow_model::{ErrorReport, TableFormat};

/// Options of a table or an output as a job file writes them.
#[derive(Debug, Default)]
pub(super) struct FormatKeys {
    pub header: Option<bool>,
    pub delimiter: Option<String>,
    pub quote: Option<String>,
    pub escape: Option<String>,
    pub null_value: Option<String>,
    pub compression: Option<String>,
    /// Passed on under the engine's own names; `format.` may be left out.
    pub options: BTreeMap<String, String>,
}

impl FormatKeys {
    /// Options for reading a table: `null_value` is null beside the empty field.
    pub fn for_reading(self, place: &str, format: TableFormat) -> Result<BTreeMap<String, String>, ErrorReport> {
        let nulls =
            self.null_value.as_deref().map(|text| ("format.null_regex", format!("^({})?$", escape_regex(text))));
        self.named(place, format, nulls)
    }

    /// Options for writing files.
    pub fn for_writing(self, place: &str, format: TableFormat) -> Result<BTreeMap<String, String>, ErrorReport> {
        let nulls = self.null_value.clone().map(|text| ("format.null_value", text));
        self.named(place, format, nulls)
    }

    fn named(
        self,
        place: &str,
        format: TableFormat,
        nulls: Option<(&'static str, String)>,
    ) -> Result<BTreeMap<String, String>, ErrorReport> {
        let character = |key: &str, text: Option<String>| text.map(|text| one_character(place, key, &text)).transpose();
        let csv_only = [
            ("header", self.header.map(|header| ("format.has_header", header.to_string()))),
            ("delimiter", character("delimiter", self.delimiter)?.map(|text| ("format.delimiter", text))),
            ("quote", character("quote", self.quote)?.map(|text| ("format.quote", text))),
            ("escape", character("escape", self.escape)?.map(|text| ("format.escape", text))),
            ("null_value", nulls),
        ];
        let mut options = BTreeMap::new();
        for (key, option) in csv_only {
            let Some((name, value)) = option else { continue };
            if format != TableFormat::Csv {
                return Err(ErrorReport::invalid(format!("{place} has the key `{key}`"))
                    .with_detail(format!("only csv has it, and the format is {}", format.name()))
                    .with_hint(format!("leave out `{key}`")));
            }
            options.insert(name.to_owned(), value);
        }
        options.extend(self.compression.map(|name| ("format.compression".to_owned(), name)));
        options.extend(self.options.into_iter().map(|(name, value)| (full_name(&name), value)));
        Ok(options)
    }
}

fn full_name(name: &str) -> String {
    if name.starts_with("format.") { name.to_owned() } else { format!("format.{name}") }
}

fn one_character(place: &str, key: &str, text: &str) -> Result<String, ErrorReport> {
    match text {
        r"\t" => Ok("\t".to_owned()),
        _ if text.len() == 1 => Ok(text.to_owned()),
        _ => Err(ErrorReport::invalid(format!("{place} has the {key} `{text}`"))
            .with_detail(format!("a {key} is one ASCII character"))
            .with_hint(r#"write it in quotes, for example ";" or "\t""#)),
    }
}

fn escape_regex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friendly_names_become_the_engines_names() {
        let keys = FormatKeys {
            header: Some(true),
            delimiter: Some(";".into()),
            null_value: Some("N.A".into()),
            compression: Some("gzip".into()),
            options: BTreeMap::from([("schema_infer_max_rec".into(), "10".into())]),
            ..FormatKeys::default()
        };
        let options = keys.for_reading("the table `t`", TableFormat::Csv).expect("csv has them all");
        let text: Vec<String> = options.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            [
                "format.compression=gzip",
                "format.delimiter=;",
                "format.has_header=true",
                r"format.null_regex=^(N\.A)?$",
                "format.schema_infer_max_rec=10",
            ]
        );
    }

    #[test]
    fn a_csv_key_on_parquet_is_refused() {
        let keys = FormatKeys { header: Some(true), ..FormatKeys::default() };
        let report = keys.for_writing("the output", TableFormat::Parquet).expect_err("no header in parquet");
        assert_eq!(report.what, "the output has the key `header`");
    }

    #[test]
    fn a_delimiter_is_one_character() {
        let keys = |text: &str| FormatKeys { delimiter: Some(text.into()), ..FormatKeys::default() };
        assert!(keys("::").for_reading("the table `t`", TableFormat::Csv).is_err());
        let options = keys(r"\t").for_reading("the table `t`", TableFormat::Csv).expect("a tab");
        assert_eq!(options["format.delimiter"], "\t");
    }
}
