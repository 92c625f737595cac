//! What the system says of the server's process, and of the sockets here.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// What a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processor time of all its threads, since it began.
    pub(super) cpu: Duration,
    /// Memory that it has now.
    pub(super) resident_kb: u64,
}

/// Reads what a process has used; `None` where there is no such process, or no `/proc`.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu: precise_cpu(pid).or_else(|| ticks(pid))?,
        resident_kb: resident(&status)?,
    })
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The scheduler's own sum, in nanoseconds. Threads that have ended are not in it.
fn precise_cpu(pid: u32) -> Option<Duration> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("schedstat");
        let text = fs::read_to_string(path).ok()?;
        sum += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    (sum > 0).then(|| Duration::from_nanos(sum))
}

/// Where the kernel does not keep that sum: ticks of 10 ms.
fn ticks(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    let ticks = user.parse::<u64>().ok()? + system.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

/// Datagrams that the system has dropped for want of room at the sockets with these ports.
pub(super) fn dropped_at(ports: &BTreeSet<u16>) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let texts = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| drops(&text, ports)).sum()
}

fn drops(table: &str, ports: &BTreeSet<u16>) -> u64 {
    let rows = table.lines().skip(1);
    let drops = rows.filter_map(|row| {
        let mut fields = row.split_whitespace();
        let port = fields.nth(1)?.rsplit_once(':')?.1;
        let port = u16::from_str_radix(port, 16).ok()?;
        let drops = fields.next_back()?.parse::<u64>().ok()?;
        ports.contains(&port).then_some(drops)
    });
    drops.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident_kb > 100, "{usage:?}");
        assert_eq!(super::usage(u32::MAX), None);
    }

    #[test]
    fn drops_of_our_ports_are_summed() {
        let table = "  sl  local_address rem_address   st ... drops\n \
            1: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 0 0 0 1 2 x 5\n \
            2: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 0 0 0 1 2 x 7\n";
        assert_eq!(drops(table, &BTreeSet::from([8_081, 9])), 7);
        assert_eq!(resident("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1_234));
    }
}
