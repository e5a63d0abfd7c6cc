//! Medians, geometric means and ratios, printed as Markdown.

/// Figures of one engine for one query, one entry a round.
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

pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.max(1e-9).ln()).sum::<f64>() / values.len() as f64).exp()
}

/// One row a query, then totals and geometric means; ratios are the first engine over the second.
pub fn print(engines: &[String], queries: &[String], figures: &[Vec<Figures>], rss_peak_bytes: &[u64]) {
    let compare = engines.len() == 2;
    print!("| query |");
    for engine in engines {
        print!(" {engine} s | {engine} CPU s |");
    }
    println!("{}", if compare { " wall ratio | CPU ratio |" } else { "" });
    println!("|---|{}", "---:|".repeat(engines.len() * 2 + if compare { 2 } else { 0 }));
    let medians: Vec<Vec<(f64, f64)>> = figures
        .iter()
        .map(|of_engine| of_engine.iter().map(|f| (median(&f.wall_seconds), median(&f.cpu_seconds))).collect())
        .collect();
    for (index, query) in queries.iter().enumerate() {
        let row: Vec<(f64, f64)> = medians.iter().map(|of_engine| of_engine[index]).collect();
        print_row(query, &row, compare);
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
    for (engine, bytes) in engines.iter().zip(rss_peak_bytes) {
        println!("Peak memory of {engine}'s processes, summed: {}.", windrow_model::format_bytes(*bytes));
    }
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
    fn the_geometric_mean_weighs_ratios_alike() {
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-12);
    }
}
