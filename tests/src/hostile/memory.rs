//! What processes take of memory and processors, and a cap over them where this machine lets us set one.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The most memory a process has had so far, in KiB; nothing when it is gone.
#[must_use]
pub fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts the peak anew from now on.
pub fn forget_peak(pid: u32) {
    // Where it is not allowed, the peak is one of the whole life: an upper bound.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// What a process has had of the processors so far; nothing when it is gone. In steps of 10 ms.
#[must_use]
pub fn processor_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: user and system time are fields 14 and 15 of the whole.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// A control group with a cap of memory.
#[derive(Debug)]
pub struct Cap {
    folder: PathBuf,
    old: bool,
}

impl Cap {
    /// Puts these processes under a cap of so many bytes together; nothing where this machine does not let us. What they have
    /// already may be counted elsewhere.
    #[must_use]
    pub fn over(pids: &[u32], bytes: u64) -> Option<Self> {
        let name = format!("keysvc-{}-{}", std::process::id(), fastrand::u32(..));
        let new = Path::new("/sys/fs/cgroup");
        let old = !new.join("cgroup.controllers").exists();
        let folder = if old { new.join("memory").join(name) } else { new.join(name) };
        fs::create_dir(&folder).ok()?;
        let cap = Self { folder, old };
        let limit = if old { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(cap.folder.join(limit), bytes.to_string()).ok()?;
        pids.iter().try_for_each(|pid| fs::write(cap.folder.join("cgroup.procs"), pid.to_string())).ok()?;
        Some(cap)
    }

    /// The most that was taken under it, in bytes.
    #[must_use]
    pub fn peak(&self) -> Option<u64> {
        let name = if self.old { "memory.max_usage_in_bytes" } else { "memory.peak" };
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        // Whoever is still in it goes back to the top, without which it cannot be removed.
        let top = self.folder.parent().map(|top| top.join("cgroup.procs"));
        for pid in fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = top.as_ref().map(|top| fs::write(top, pid));
        }
        let _ = fs::remove_dir(&self.folder);
    }
}
