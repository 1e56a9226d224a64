//! Other programs of this machine that set or adjust its clock, by their names: for the log, which then says who it could have been.

use crate::sys::clock_watch::Overwritten;
use std::fs;
use std::path::Path;

/// Programs that set or adjust clocks, as the kernel has their names: the first 15 bytes.
const NAMES: [&str; 22] = [
    "chronyd",
    "ntpd",
    "rsntpd",
    "openntpd",
    "ntp-daemon",
    "systemd-timesyn",
    "ntpdate",
    "rsntpdate",
    "sntp",
    "rdate",
    "htpdate",
    "tlsdate",
    "date",
    "hwclock",
    "timedatectl",
    "systemd-timedat",
    "phc2sys",
    "ptp4l",
    "vmtoolsd",
    "VBoxService",
    "qemu-ga",
    "prl_tools_servi",
];
/// The log names no more than this.
const NAMED: usize = 5;

/// Those that run now, `chronyd (812)`. Empty where /proc cannot be read.
pub(super) fn running() -> Vec<String> {
    among(Path::new("/proc"), std::process::id())
}

fn among(proc: &Path, ourselves: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<(u32, String)> = pids
        .filter(|pid| *pid != ourselves)
        .filter_map(|pid| Some((pid, name_of(&proc.join(pid.to_string()), ourselves)?)))
        .collect();
    found.sort_unstable();
    found.into_iter().take(NAMED).map(|(pid, name)| format!("{name} ({pid})")).collect()
}

/// The name of a process that is on the list, and no child of ours.
fn name_of(process: &Path, ourselves: u32) -> Option<String> {
    let read = |file: &str| fs::read_to_string(process.join(file)).ok();
    let name = read("comm")?.trim_end().to_owned();
    if !NAMES.contains(&name.as_str()) {
        return None;
    }
    // `PID (NAME) STATE PARENT …`; the name may hold anything, parentheses, too.
    let stat = read("stat")?;
    let parent = stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?;
    (parent != ourselves.to_string()).then_some(name)
}

/// The log line about a frequency that another program has written.
pub(super) fn overwritten(found: &Overwritten, running: &[String]) -> String {
    let who =
        if running.is_empty() { String::new() } else { format!("; running here: {}", running.join(", ")) };
    format!(
        "two programs adjust this clock: its frequency was changed from {} to {} by another one{who}",
        found.ours, found.theirs
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use crate::units::Ppm;

    #[test]
    fn programs_that_set_clocks_are_named_and_ours_are_not() {
        let dir = scratch("rivals");
        let process = |pid: u32, name: &str, parent: u32| {
            let place = dir.path().join(pid.to_string());
            fs::create_dir(&place).unwrap();
            fs::write(place.join("comm"), format!("{name}\n")).unwrap();
            fs::write(place.join("stat"), format!("{pid} ({name}) S {parent} 1 1\n")).unwrap();
        };
        assert_eq!(among(dir.path(), 7), [""; 0]);
        process(7, "rsntpd", 1);
        process(8, "rsntpd", 7);
        process(9, "bash", 1);
        process(31, "rsntpd", 1);
        process(12, "chronyd", 1);
        process(13, "systemd-timesyn", 1);
        process(14, "a) S 7 (b", 7);
        fs::create_dir(dir.path().join("self")).unwrap();
        assert_eq!(among(dir.path(), 7), ["chronyd (12)", "systemd-timesyn (13)", "rsntpd (31)"]);
        (100..110).for_each(|pid| process(pid, "ntpd", 1));
        assert_eq!(among(dir.path(), 7).len(), NAMED);
        assert_eq!(among(&dir.path().join("none"), 7), [""; 0]);
    }

    #[test]
    fn the_line_says_what_was_changed_and_who_runs() {
        let found = Overwritten { ours: Ppm::new(1.5), theirs: Ppm::new(-20.0) };
        let line = "two programs adjust this clock: its frequency was changed from 1.500 PPM to -20.000 PPM by another one";
        assert_eq!(overwritten(&found, &[]), line);
        let named = overwritten(&found, &["chronyd (12)".to_owned()]);
        assert_eq!(named, format!("{line}; running here: chronyd (12)"));
    }
}
