//! CPU time and memory of processes, from `/proc`.

use std::fs;

use anyhow::Context;

/// Processes whose cost is counted together.
#[derive(Clone, Debug, Default)]
pub struct Processes(pub Vec<u32>);

impl Processes {
    /// User and system CPU seconds since the processes started, summed.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        self.0.iter().map(|pid| cpu_seconds(*pid)).sum()
    }

    /// Peak resident bytes of each process, summed.
    pub fn rss_peak_bytes(&self) -> anyhow::Result<u64> {
        self.0.iter().map(|pid| rss_peak_bytes(*pid)).sum()
    }
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // Fields are counted after the command's closing parenthesis, because a command may hold spaces.
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).context("malformed stat")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn rss_peak_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}
