//! Medians, geometric means and ratios, printed as Markdown.

use windrow_model::format_bytes;

use crate::process::Processes;

/// Figures of one engine for one case, one entry a round.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub wall_seconds: Vec<f64>,
    pub cpu_seconds: Vec<f64>,
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The value that this share of `values` is not above; 0 gives the least of them, 1 the greatest.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.max(1e-9).ln()).sum::<f64>() / values.len() as f64).exp()
}

/// One row a case, then totals and geometric means; ratios are the first engine over the second.
pub fn print(engines: &[&str], cases: &[&str], figures: &[Vec<Figures>]) {
    let compare = engines.len() == 2;
    print!("| case |");
    for engine in engines {
        print!(" {engine} s | {engine} CPU s |");
    }
    println!("{}", if compare { " wall ratio | CPU ratio |" } else { "" });
    println!("|---|{}", "---:|".repeat(engines.len() * 2 + if compare { 2 } else { 0 }));
    let medians: Vec<Vec<(f64, f64)>> = figures
        .iter()
        .map(|of_engine| of_engine.iter().map(|f| (median(&f.wall_seconds), median(&f.cpu_seconds))).collect())
        .collect();
    for (index, case) in cases.iter().enumerate() {
        let row: Vec<(f64, f64)> = medians.iter().map(|of_engine| of_engine[index]).collect();
        print_row(case, &row, compare);
    }
    let total: Vec<(f64, f64)> = medians
        .iter()
        .map(|of_engine| (of_engine.iter().map(|m| m.0).sum(), of_engine.iter().map(|m| m.1).sum()))
        .collect();
    print_row("**total**", &total, compare);
    let geometric: Vec<(f64, f64)> = medians
        .iter()
        .map(|of_engine| {
            let wall: Vec<f64> = of_engine.iter().map(|m| m.0).collect();
            let cpu: Vec<f64> = of_engine.iter().map(|m| m.1).collect();
            (geometric_mean(&wall), geometric_mean(&cpu))
        })
        .collect();
    print_row("**geometric mean**", &geometric, compare);
    println!();
}

/// Peak memory of each of an engine's processes.
pub fn print_memory(engine: &str, processes: &Processes) -> anyhow::Result<()> {
    let peaks = processes.rss_peak_bytes()?;
    let each: Vec<String> = peaks.iter().map(|bytes| format_bytes(*bytes)).collect();
    let sum = format_bytes(peaks.iter().sum());
    println!("Peak memory of {engine}'s processes: {} (sum {sum}).", each.join(", "));
    Ok(())
}

/// Resident memory of each of an engine's processes, after so many seconds without work.
pub fn print_resident(engine: &str, processes: &Processes, idle_seconds: u64) -> anyhow::Result<()> {
    let each: Vec<String> = processes.rss_bytes()?.into_iter().map(format_bytes).collect();
    println!("Memory of {engine}'s processes after {idle_seconds} s without work: {}.", each.join(", "));
    Ok(())
}

fn print_row(name: &str, row: &[(f64, f64)], compare: bool) {
    print!("| {name} |");
    for (wall, cpu) in row {
        print!(" {wall:.3} | {cpu:.2} |");
    }
    if compare {
        print!(" {:.2} | {:.2} |", row[0].0 / row[1].0, row[0].1 / row[1].1);
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_is_the_middle_of_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.25, 0.5, 0.99, 1.0].map(|share| percentile(&values, share)), [1.0, 1.0, 2.0, 4.0, 4.0]);
    }

    #[test]
    fn the_geometric_mean_weighs_ratios_alike() {
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-12);
    }
}
