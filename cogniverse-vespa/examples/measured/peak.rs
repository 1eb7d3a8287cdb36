//! The most memory that this process has held, as Linux counts it.

use anyhow::{Context, Result};

/// The peak of resident memory in MiB.
pub(crate) fn peak_mib() -> Result<f64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("the peak is read from /proc, which only Linux has")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
