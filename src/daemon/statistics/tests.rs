use super::*;
use crate::daemon::files::{Scratch, scratch};

/// 2026-12-30 23:59:59 UTC, a Wednesday, day 364 of its year.
const LATE: i64 = 1_798_675_199;

fn config(dir: &Path, rotation: FilegenType, link: bool) -> Statistics {
    let file = "loopstats".to_owned();
    let filegen = Filegen { kind: StatKind::Loop, file, rotation, link, enabled: true };
    Statistics { dir: Some(dir.to_owned()), filegens: vec![filegen] }
}

fn line(unix: i64, text: &str) -> StatLine {
    StatLine { kind: StatKind::Loop, at: NtpTimestamp::from_unix(unix, 0), text: text.to_owned() }
}

fn names(dir: &Scratch) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn content(dir: &Scratch, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn every_type_has_ntpds_suffix_and_changes_when_its_time_is_over() {
    let at = |rotation, unix, uptime| suffix(rotation, NtpTimestamp::from_unix(unix, 0), uptime);
    let pid = format!(".#{}", std::process::id());
    for (rotation, before, after) in [
        (FilegenType::None, "", ""),
        (FilegenType::Pid, pid.as_str(), pid.as_str()),
        (FilegenType::Day, ".20261231", ".20270101"),
        (FilegenType::Week, ".2026w52", ".2027w00"),
        (FilegenType::Month, ".202612", ".202701"),
        (FilegenType::Year, ".2026", ".2027"),
        (FilegenType::Age, ".a00086400", ".a00172800"),
    ] {
        assert_eq!(at(rotation, LATE + 86_400, 172_799), before);
        assert_eq!(at(rotation, LATE + 86_401, 172_800), after);
    }
}

#[test]
fn a_new_day_begins_a_new_file_and_the_link_follows() {
    let dir = scratch("stat-day");
    let mut files = StatFiles::new(&config(dir.path(), FilegenType::Day, true));
    assert_eq!(files.write(&line(LATE, "one"), 0), None);
    assert_eq!(content(&dir, "loopstats"), "one\n");
    assert_eq!(files.write(&line(LATE + 1, "two"), 0), None);
    assert_eq!(names(&dir), ["loopstats", "loopstats.20261230", "loopstats.20261231"]);
    assert_eq!(
        (content(&dir, "loopstats"), content(&dir, "loopstats.20261230")),
        ("two\n".into(), "one\n".into())
    );
    // A line of another kind, which no file set takes, and a clock that was set back.
    assert_eq!(files.write(&StatLine { kind: StatKind::Peer, ..line(LATE, "x") }, 0), None);
    assert_eq!(files.write(&line(LATE, "again"), 0), None);
    assert_eq!(content(&dir, "loopstats.20261230"), "one\nagain\n");
    assert_eq!(content(&dir, "loopstats"), "one\nagain\n");
}

#[test]
fn a_plain_file_in_the_way_is_kept_by_another_name() {
    let dir = scratch("stat-conflict");
    fs::write(dir.path().join("loopstats"), "old\n").unwrap();
    let mut files = StatFiles::new(&config(dir.path(), FilegenType::Month, true));
    assert_eq!(files.write(&line(LATE, "new"), 0), None);
    let kept = format!("loopstats.{}C0", std::process::id());
    assert_eq!((content(&dir, &kept), content(&dir, "loopstats")), ("old\n".into(), "new\n".into()));
    // A second daemon's start on the same files: the link is made anew, nothing is renamed.
    let mut again = StatFiles::new(&config(dir.path(), FilegenType::Month, true));
    assert_eq!(again.write(&line(LATE, "more"), 0), None);
    assert_eq!(content(&dir, "loopstats"), "new\nmore\n");
    assert_eq!(names(&dir).len(), 3);
}

#[test]
fn nolink_and_none_leave_no_second_name() {
    let dir = scratch("stat-nolink");
    let mut files = StatFiles::new(&config(dir.path(), FilegenType::Day, false));
    assert_eq!(files.write(&line(LATE, "x"), 0), None);
    assert_eq!(names(&dir), ["loopstats.20261230"]);
    let mut plain = StatFiles::new(&config(dir.path(), FilegenType::None, true));
    assert_eq!(plain.write(&line(LATE, "x"), 0), None);
    assert_eq!(names(&dir), ["loopstats", "loopstats.20261230"]);
    let mut off = config(dir.path(), FilegenType::Year, true);
    off.filegens[0].enabled = false;
    assert_eq!(StatFiles::new(&off).write(&line(LATE, "x"), 0), None);
    assert_eq!(names(&dir).len(), 2);
}

#[test]
fn a_missing_directory_and_links_are_told_once_and_followed_by_none() {
    let dir = scratch("stat-missing");
    let missing = dir.path().join("no");
    let mut files = StatFiles::new(&config(&missing, FilegenType::Day, true));
    let why = files.write(&line(LATE, "x"), 0).unwrap();
    assert!(why.ends_with("no/loopstats.20261230: No such file or directory"), "{why}");
    assert_eq!(files.write(&line(LATE, "x"), 0), None);
    files.reopen(&config(&missing, FilegenType::Day, true));
    assert_eq!(files.write(&line(LATE, "x"), 0), None, "nor after a reload");
    fs::create_dir(&missing).unwrap();
    assert_eq!(files.write(&line(LATE, "there now"), 0), None);
    assert_eq!(fs::read_to_string(missing.join("loopstats")).unwrap(), "there now\n");
    // What another user laid there is neither written through nor replaced.
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, missing.join("loopstats.20261231")).unwrap();
    assert!(files.write(&line(LATE + 1, "x"), 0).unwrap().contains("20261231"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn after_a_rotation_from_outside_and_a_reload_lines_go_to_a_new_file() {
    let dir = scratch("stat-rotate");
    let wanted = config(dir.path(), FilegenType::None, true);
    let mut files = StatFiles::new(&wanted);
    assert_eq!(files.write(&line(LATE, "old"), 0), None);
    fs::rename(dir.path().join("loopstats"), dir.path().join("loopstats.1")).unwrap();
    files.reopen(&wanted);
    assert_eq!(files.write(&line(LATE, "new"), 0), None);
    assert_eq!((content(&dir, "loopstats.1"), content(&dir, "loopstats")), ("old\n".into(), "new\n".into()));
}

#[test]
fn no_descriptor_is_left_behind() {
    let dir = scratch("stat-fds");
    let mut files = StatFiles::new(&config(dir.path(), FilegenType::Day, true));
    let held = || {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|e| fs::read_link(e.unwrap().path()).ok());
        links.filter(|target| target.starts_with(dir.path())).count()
    };
    for day in 0..400 {
        assert_eq!(files.write(&line(LATE + 86_400 * day, "x"), 0), None);
        assert_eq!(held(), 1);
    }
    files.reopen(&Statistics::default());
    assert_eq!(held(), 0);
}

/// Not a test by itself: the child of the next one, on a disk that is full.
#[test]
fn child_with_a_full_disk() {
    let Some(dir) = std::env::var_os("RSNTPD_TEST_STAT_FULL").map(PathBuf::from) else { return };
    let mut files = StatFiles::new(&config(&dir, FilegenType::None, true));
    let lines: Vec<String> =
        (0..500).filter_map(|n| files.write(&line(LATE, &format!("line {n:04}")), 0)).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("File too large") && lines[0].contains("lines are lost"), "{lines:?}");
    let text = fs::read_to_string(dir.join("loopstats")).unwrap();
    assert!(text.ends_with('\n') && text.lines().all(|l| l.len() == 9), "whole lines only: {text}");
    assert!(text.len() <= 1024 && text.len() > 1000, "{}", text.len());
}

#[test]
fn a_full_disk_is_one_line_and_leaves_whole_lines() {
    let dir = scratch("stat-full");
    // 1 KiB a file at most (dash counts in 512 bytes); the signal for going past it is off.
    let script =
        "trap '' XFSZ; ulimit -f 2; exec \"$0\" --exact daemon::statistics::tests::child_with_a_full_disk -q";
    let output = std::process::Command::new("dash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("RSNTPD_TEST_STAT_FULL", dir.path())
        .output();
    let Ok(output) = output else { return skip::because("there is no dash") };
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}

#[test]
fn half_a_line_of_a_process_that_was_killed_goes_when_the_next_one_begins() {
    let dir = scratch("stat-torn");
    let path = dir.path().join("loopstats");
    for (before, after) in [
        ("one\ntwo\nthr", "one\ntwo\nnext\n"),
        ("one\n", "one\nnext\n"),
        ("", "next\n"),
        ("no line at all", "no line at allnext\n"),
    ] {
        fs::write(&path, before).unwrap();
        let mut files = StatFiles::new(&config(dir.path(), FilegenType::None, false));
        assert_eq!(files.write(&line(LATE, "next"), 0), None);
        assert_eq!(content(&dir, "loopstats"), after);
    }
    let long = format!("{}\n{}", "a".repeat(9000), "b".repeat(100));
    assert_eq!((fs::write(&path, &long).unwrap(), torn_at(&path, 9101)), ((), Some(9001)));
    let none = "c".repeat(9000);
    assert_eq!((fs::write(&path, &none).unwrap(), torn_at(&path, 9000)), ((), None));
}
