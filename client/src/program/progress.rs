//! A bar per stage on the terminal while a job runs; nothing anywhere else.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windrow_model::{StageState, format_bytes};
use windrow_proto::{Job, Stage};

/// A plan with more stages than this shows those that run and those that come next.
const BARS_MAX: usize = 12;

/// The bars of one job.
pub struct Progress {
    bars: MultiProgress,
    stages: BTreeMap<u32, ProgressBar>,
    style: ProgressStyle,
}

impl Progress {
    /// Draws on standard error if it is a terminal.
    pub fn new() -> Progress {
        let style = ProgressStyle::with_template("{prefix:>9} {bar:24} {pos:>4}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ");
        Progress { bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), stages: BTreeMap::new(), style }
    }

    pub fn show(&mut self, job: &Job) {
        let stages: Vec<&Stage> = job.stages.iter().filter(|stage| stage.step == job.step).collect();
        let wanted = visible(&stages);
        self.stages.retain(|index, bar| {
            let keep = wanted.iter().any(|stage| stage.index == *index);
            if !keep {
                bar.finish_and_clear();
                self.bars.remove(bar);
            }
            keep
        });
        for stage in wanted {
            let bar = self.stages.entry(stage.index).or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::new(0).with_style(self.style.clone()));
                bar.with_prefix(format!("stage {}", stage.index))
            });
            bar.set_length(u64::from(stage.tasks));
            bar.set_position(u64::from(stage.tasks_done));
            bar.set_message(message(stage));
        }
    }

    /// Leaves the terminal as it was.
    pub fn clear(&mut self) {
        self.stages.clear();
        // The terminal may have gone; there is nobody to tell.
        let _ = self.bars.clear();
    }
}

/// All stages if they fit, else the last ones done and those after them.
fn visible<'a>(stages: &[&'a Stage]) -> Vec<&'a Stage> {
    let done = stages.iter().take_while(|stage| stage.state == StageState::Done.name()).count();
    let first = done.saturating_sub(1).min(stages.len().saturating_sub(BARS_MAX));
    stages.iter().skip(first).take(BARS_MAX).copied().collect()
}

fn message(stage: &Stage) -> String {
    let mut text = format!("{} rows  {}", HumanCount(stage.rows), format_bytes(stage.bytes));
    if stage.state == StageState::Running.name() {
        text.push_str(&format!("  {:.1} s", since(stage.state_since_us).as_secs_f64()));
    }
    if stage.reruns > 0 {
        text.push_str(&format!("  {} re-runs", stage.reruns));
    }
    format!("{text}  {}", stage.label)
}

fn since(us: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(us))
}
