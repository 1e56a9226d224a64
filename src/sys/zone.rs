//! The time zone of the environment, which the date library reads as a file, whatever it is and however long.

use std::path::Path;

/// No time zone takes more, bytes.
const SIZE_MAX: u64 = 1 << 20;
/// Where names of time zones are looked for.
const FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo", "/usr/share/lib/zoneinfo"];

/// Forgets a TZ that names a device, a FIFO or a file without end: dates are then in the zone of the machine. Gives what was forgotten. Call it before
/// any other thread runs.
#[allow(unsafe_code)]
pub fn forget_unreadable() -> Option<String> {
    let zone = std::env::var("TZ").ok()?;
    if can_be_read(&zone) {
        return None;
    }
    // SAFETY: there is one thread: none reads the environment meanwhile.
    unsafe { std::env::remove_var("TZ") };
    Some(zone)
}

fn can_be_read(zone: &str) -> bool {
    let name = Path::new(zone.strip_prefix(':').unwrap_or(zone));
    // An absolute path takes the place of the folder.
    FOLDERS
        .iter()
        .filter_map(|folder| Path::new(folder).join(name).metadata().ok())
        .all(|found| found.is_dir() || found.is_file() && found.len() <= SIZE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e32_a_time_zone_is_a_file_of_some_length() {
        for zone in [
            "",
            "UTC",
            ":Europe/Berlin",
            "Europe/Berlin",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "/etc/hostname",
            "/nonexistent",
        ] {
            assert!(can_be_read(zone), "{zone}");
        }
        for zone in ["/dev/zero", ":/dev/zero", "../../../dev/zero", ":../../../dev/tty", "/proc/kcore"] {
            let there = Path::new("/").join(zone.trim_start_matches([':', '.', '/'])).exists();
            assert!(!there || !can_be_read(zone), "{zone}");
        }
    }
}
