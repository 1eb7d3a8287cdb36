//! What this process has used, as Linux counts it.

use anyhow::{Context, Result};
use std::{fs, time::Duration};

/// Time on a processor, of all threads that still run.
pub(crate) fn cpu_time() -> Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").context("CPU time is read from /proc, which only Linux has")? {
        let used = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += used.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}
