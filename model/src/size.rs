//! Sizes and durations as people write them: `256MiB`, `30s`.

use std::fmt;
use std::time::Duration;

/// The text is not a size or a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseSizeError {
    text: String,
    example: &'static str,
}

impl fmt::Display for ParseSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be read; write it like `{}`", self.text, self.example)
    }
}

impl std::error::Error for ParseSizeError {}

const UNITS: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
    ("", 1),
];

fn split_unit(text: &str) -> (&str, String) {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..at], text[at..].trim().to_ascii_lowercase())
}

/// Reads `4GiB`, `256MiB`, `1.5GB`, `1000`. A bare number is bytes.
pub fn parse_bytes(text: &str) -> Result<u64, ParseSizeError> {
    let error = || ParseSizeError { text: text.to_owned(), example: "256MiB" };
    let (number, unit) = split_unit(text.trim());
    let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?.1;
    let value: f64 = number.parse().map_err(|_| error())?;
    Ok((value * scale as f64) as u64)
}

/// Reads `500ms`, `30s`, `5m`, `2h`, `1d`. A bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, ParseSizeError> {
    let error = || ParseSizeError { text: text.to_owned(), example: "30s" };
    let (number, unit) = split_unit(text.trim());
    let seconds = match unit.as_str() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(error()),
    };
    let value: f64 = number.parse().map_err(|_| error())?;
    Duration::try_from_secs_f64(value * seconds).map_err(|_| error())
}

/// Prints bytes with a binary unit: `1.5 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    const NAMES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < NAMES.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", NAMES[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_with_their_units() {
        assert_eq!(parse_bytes("4GiB"), Ok(4 << 30));
        assert_eq!(parse_bytes("1.5 kb"), Ok(1_500));
        assert_eq!(parse_bytes("10"), Ok(10));
        assert!(parse_bytes("ten").is_err());
        assert!(parse_bytes("10 apples").is_err());
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(parse_duration("-3s").is_err());
        assert_eq!(format_bytes(1_610_612_736), "1.5 GiB");
    }
}
