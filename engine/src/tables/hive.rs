//! Hive's layout: `column=value/` folders, values percent-encoded, null spelled out.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

/// The folder value that stands for null in Hive, Spark and Windrow.
pub const NULL_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// `column=value` as a folder name. `None` is null.
pub fn folder_name(column: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{}={}", encode(column), encode(value)),
        None => format!("{}={NULL_VALUE}", encode(column)),
    }
}

/// Column and raw value of a folder name, or `None` if it is a plain folder.
pub fn parse_folder(name: &str) -> Option<(String, Option<String>)> {
    let (column, value) = name.split_once('=').filter(|(column, _)| !column.is_empty())?;
    let value = (value != NULL_VALUE).then(|| decode(value));
    Some((decode(column), value))
}

/// A folder's value as the declared type of its column.
pub fn typed_value(value: Option<&str>, wanted: &DataType) -> datafusion::common::Result<ScalarValue> {
    match value {
        Some(value) => ScalarValue::try_from_string(value.to_owned(), wanted),
        None => ScalarValue::try_from(wanted),
    }
}

/// Everything but letters, digits and a few marks that no store, shell or URL takes for something else.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@' | ',') || !c.is_ascii() {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{:02X}", u32::from(c)));
        }
    }
    encoded
}

/// Reverses percent-encoding; text that is not valid encoding stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_name_reads_back_as_the_value_it_was_made_from() {
        for value in ["plain", "", "a b", "a/b", "50%", "x=y", "..", "naïve", "#?*:\\", "line\nbreak"] {
            let name = folder_name("col", Some(value));
            assert!(!name.contains('/') && !name.contains('\n'), "{name}");
            assert_eq!(parse_folder(&name), Some(("col".into(), Some(value.into()))));
        }
        assert_eq!(parse_folder(&folder_name("a b", None)), Some(("a b".into(), None)));
        assert_eq!(parse_folder("plain"), None);
        assert_eq!(parse_folder("=x"), None);
    }
}
