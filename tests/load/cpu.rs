//! CPU and memory of processes, as the kernel accounts for them.
//!
//! `schedstat` counts in nanoseconds; threads that have ended are not in it, so only differences over a span without
//! such ends mean anything.

use crate::{order::Service, while_doing};
use keysvc_tests::ground::Failed;
use std::fs;

/// The kernel's unit of `/proc/stat`, in nanoseconds: `USER_HZ` is 100 on every Linux that this runs on.
const TICK_NS: u64 = 10_000_000;

/// CPU used so far, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// By this process.
    pub own: u64,
    /// By the front.
    pub front: u64,
    /// By the keeper.
    pub keeper: u64,
    /// By the whole machine, in steps of 10 ms.
    pub machine: u64,
}

impl Cpu {
    /// Looks now.
    pub fn now(service: Option<Service>) -> Result<Self, Failed> {
        let (front, keeper) = match service {
            Some(Service { front, keeper }) => {
                (of(&front.to_string())?, keeper.map_or(Ok(0), |keeper| of(&keeper.to_string()))?)
            }
            None => (0, 0),
        };
        Ok(Self { own: of("self")?, front, keeper, machine: machine()? })
    }

    /// What was used since `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            front: self.front.saturating_sub(before.front),
            keeper: self.keeper.saturating_sub(before.keeper),
            machine: self.machine.saturating_sub(before.machine),
        }
    }

    /// What the machine used beside this process and the service.
    pub const fn others(self) -> u64 {
        self.machine.saturating_sub(self.own).saturating_sub(self.front).saturating_sub(self.keeper)
    }
}

fn of(process: &str) -> Result<u64, Failed> {
    let folder = format!("/proc/{process}/task");
    let threads = fs::read_dir(&folder).map_err(while_doing(&folder))?;
    let mut sum = 0_u64;
    for thread in threads {
        let path = thread.map_err(while_doing(&folder))?.path().join("schedstat");
        // A thread may end between the listing and the look.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        sum = sum.saturating_add(number(&text, 0));
    }
    Ok(sum)
}

/// Everything but idleness and waiting for disks (proc(5), `/proc/stat`).
fn machine() -> Result<u64, Failed> {
    let text = fs::read_to_string("/proc/stat").map_err(while_doing("/proc/stat"))?;
    let line = text.lines().next().unwrap_or_default();
    let ticks = [1, 2, 3, 6, 7].into_iter().map(|place| number(line, place)).fold(0, u64::saturating_add);
    Ok(ticks.saturating_mul(TICK_NS))
}

fn number(line: &str, place: usize) -> u64 {
    line.split_whitespace().nth(place).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Memory of a process that lies in RAM, in KiB.
pub fn resident_kib(process: u32) -> Result<u64, Failed> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(while_doing(&path))?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    Ok(number(line, 1))
}

/// Memory of the keeper that lies in RAM, in KiB; 0 of a server that has one process.
pub fn keeper_kib(service: Service) -> Result<u64, Failed> {
    service.keeper.map_or(Ok(0), resident_kib)
}

/// What the machine's first processor calls itself; nothing where it does not say.
pub fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim().to_owned()
}

/// The machine's load average over one minute, as the kernel writes it.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
