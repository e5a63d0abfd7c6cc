//! CPU time and memory of processes, from `/proc`.

use std::fs;

use anyhow::Context;

/// Linux tells user space CPU times in hundredths of a second, whatever the kernel's own tick is (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processes whose cost is counted together.
#[derive(Clone, Debug, Default)]
pub struct Processes(pub Vec<u32>);

impl Processes {
    /// User and system CPU seconds since the processes started, summed.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        Ok(self.each_cpu_seconds()?.iter().sum())
    }

    /// The same of each process.
    pub fn each_cpu_seconds(&self) -> anyhow::Result<Vec<f64>> {
        self.0.iter().map(|pid| cpu_seconds(*pid)).collect()
    }

    /// Peak resident bytes of each process.
    pub fn rss_peak_bytes(&self) -> anyhow::Result<Vec<u64>> {
        self.0.iter().map(|pid| resident_bytes(*pid, "VmHWM:")).collect()
    }

    /// Resident bytes of each process.
    pub fn rss_bytes(&self) -> anyhow::Result<Vec<u64>> {
        self.0.iter().map(|pid| resident_bytes(*pid, "VmRSS:")).collect()
    }
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // Fields are counted after the command's closing parenthesis, because a command may hold spaces.
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).context("malformed stat")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The line of `/proc/PID/status` that starts with `name`.
fn resident_bytes(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    // A process that has ended, and that its parent has not asked about, has no memory.
    let Some(line) = status.lines().find_map(|line| line.strip_prefix(name)) else { return Ok(0) };
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}
