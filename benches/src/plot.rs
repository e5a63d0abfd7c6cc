//! Bars of seconds by case and engine, as SVG, on a logarithmic scale: ratios are what counts.

use std::path::Path;

use plotters::prelude::*;

const CASE_WIDTH: u32 = 60;
const MARGINS: u32 = 100;
const HEIGHT: u32 = 420;
/// Part of a case's width that its bars take.
const BARS: f64 = 0.8;

/// `seconds` by engine and case.
pub fn bars(path: &Path, title: &str, engines: &[&str], cases: &[&str], seconds: &[Vec<f64>]) -> anyhow::Result<()> {
    let all = || seconds.iter().flatten().copied().filter(|seconds| *seconds > 0.0);
    let (low, high) = (all().fold(f64::INFINITY, f64::min) * 0.8, all().fold(0.0, f64::max) * 1.3);
    let area = SVGBackend::new(path, (MARGINS + CASE_WIDTH * cases.len() as u32, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..cases.len() as f64, (low..high).log_scale())?;
    let name = |place: &f64| cases.get(*place as usize).map_or(String::new(), |case| (*case).to_owned());
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(cases.len() + 1)
        .x_label_offset(CASE_WIDTH as i32 / 2)
        .x_label_formatter(&name)
        .y_desc("seconds (logarithmic)")
        .draw()?;
    let width = BARS / engines.len() as f64;
    for (index, (engine, seconds)) in engines.iter().zip(seconds).enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let bar = |(case, seconds): (usize, &f64)| {
            let left = case as f64 + (1.0 - BARS) / 2.0 + index as f64 * width;
            Rectangle::new([(left, low), (left + width, seconds.max(low))], color.filled())
        };
        let drawn = chart.draw_series(seconds.iter().enumerate().map(bar))?;
        drawn.label(*engine).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(area.present()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_and_engine_is_named() {
        let file = tempfile::Builder::new().suffix(".svg").tempfile().expect("a temporary file");
        let seconds = [vec![0.5, 20.0], vec![1.0, 10.0]];
        bars(file.path(), "a title", &["one", "two"], &["q01", "q02"], &seconds).expect("it is drawn");
        let svg = std::fs::read_to_string(file.path()).expect("it was written");
        for text in ["a title", "one", "two", "q01", "q02"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }
}
