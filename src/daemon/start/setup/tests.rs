use super::*;
use crate::config::model::{Family, InterfaceAction, InterfaceMatch, InterfaceRule, Target};
use crate::daemon::files::{Scratch, scratch};
use crate::daemon::start::cli;
use crate::units::{KeyId, Ppm, Seconds};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// The options of a command line whose configuration file is `text`.
fn options(dir: &Scratch, text: &str, line: &str) -> Options {
    let file = dir.path().join("ntp.conf");
    fs::write(&file, text).unwrap();
    let words = ["rsntpd", "-c"].map(OsString::from).into_iter();
    let line = line.split_whitespace().map(OsString::from);
    match cli::parse(words.chain([file.into_os_string()]).chain(line)) {
        Ok(cli::Command::Run(options)) => *options,
        other => panic!("{other:?}"),
    }
}

fn loaded(name: &str, text: &str, line: &str) -> Loaded {
    let dir = scratch(name);
    load(&options(&dir, text, line))
}

fn logged(loaded: &Loaded) -> Vec<String> {
    loaded.log_lines().map(|(_, text)| text).collect()
}

#[test]
fn the_file_overrides_the_command_line() {
    let file = "tinker step 0.128\nenable auth kernel\nkeys /file/keys\ndriftfile /file/drift\nlogfile /file/log\n\
                statsdir /file/stats\n";
    let line = "-x -A -k /k -f /f -l /l -s /s -p /p";
    let by_file = loaded("setup-file", file, line).setup.config;
    assert_eq!(by_file.tinker.step, Seconds::new(0.128));
    assert!(by_file.enable.auth && by_file.enable.kernel);
    assert_eq!(by_file.auth.keys, Some("/file/keys".into()));
    assert_eq!(by_file.driftfile, Some("/file/drift".into()));
    assert_eq!(by_file.logfile, Some("/file/log".into()));
    assert_eq!(by_file.statistics.dir, Some("/file/stats".into()));
    assert_eq!(by_file.pidfile, Some("/p".into()));
    let by_line = loaded("setup-line", "# nothing\n", line).setup.config;
    assert_eq!(by_line.tinker.step, Seconds::new(600.0));
    assert!(!by_line.enable.auth && !by_line.enable.kernel);
    assert_eq!(by_line.auth.keys, Some("/k".into()));
    assert_eq!(by_line.driftfile, Some("/f".into()));
    assert_eq!(by_line.logfile, Some("/l".into()));
    assert_eq!(by_line.statistics.dir, Some("/s".into()));
}

#[test]
fn what_the_command_line_adds() {
    let file = "trustedkey 4\nserver 192.0.2.1\nsetvar a = file\n";
    let loaded = loaded("setup-adds", file, "-t 4 -t 8 -t 0 -q -g --var a=line -b");
    let config = &loaded.setup.config;
    assert_eq!(config.auth.trusted, [KeyId(4), KeyId(8)]);
    assert!(config.servers[0].iburst && !config.enable.kernel && config.enable.bclient);
    assert!(loaded.setup.quit_after_set && loaded.setup.allow_panic_once);
    let values: Vec<_> = config.setvar.iter().map(|variable| variable.value.as_str()).collect();
    assert_eq!(values, ["line", "file"]);
    assert!(logged(&loaded).iter().any(|line| line.contains("trusted key 0 is invalid")));
}

#[test]
fn one_family_only() {
    let file =
        "server 192.0.2.1\nserver 2001:db8::1\nserver a.example\nserver -6 b.example\nserver 127.127.1.0\n";
    let loaded = loaded("setup-family", file, "-4");
    let kept: Vec<_> = loaded.setup.config.servers.iter().map(|s| (s.target.clone(), s.family)).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert_eq!(kept[1], (Target::Name("a.example".to_owned()), Family::V4));
    assert_eq!(logged(&loaded).iter().filter(|line| line.ends_with("is left out: -4")).count(), 2);
}

#[test]
fn interfaces_of_the_command_line_take_the_place_of_rules() {
    let loaded = loaded("setup-nic", "interface ignore eth1\n", "-I eth0 -I 10.0.0.1");
    let rule = |matches| InterfaceRule { action: InterfaceAction::Listen, matches };
    let address = InterfaceMatch::Address("10.0.0.1".parse().unwrap(), 32);
    let expected = [rule(InterfaceMatch::Name("eth0".to_owned())), rule(address)];
    assert_eq!(loaded.setup.config.interfaces, expected);
    assert!(logged(&loaded).iter().any(|line| line.contains("not allowed with --interface")));
}

#[test]
fn a_missing_configuration_is_told_and_means_the_defaults() {
    let options = Options { configfile: "/nonexistent/ntp.conf".into(), ..Options::default() };
    let loaded = load(&options);
    assert!(loaded.unreadable.is_some() && loaded.setup.config == Config::default());
    let line = &logged(&loaded)[0];
    assert!(line.starts_with("getconfig: Couldn't open </nonexistent/ntp.conf>: No such file"), "{line}");
}

#[test]
fn keys_and_drift_are_read() {
    let dir = scratch("setup-keys");
    let (keys, drift) = (dir.path().join("keys"), dir.path().join("drift"));
    fs::write(&keys, "4 M secret\n8 SHA1 other\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&drift, "-12.345\n").unwrap();
    let text = format!("server 192.0.2.1\nkeys {}\ndriftfile {}\n", keys.display(), drift.display());
    let options = options(&dir, &text, "");
    let first = load(&options);
    assert_eq!(first.setup.keys.len(), 2);
    let read = first.drift.unwrap();
    assert_eq!((read.frequency, read.record), (Ppm::new(-12.345), Record::default()));
    assert!(read.age.is_some_and(|age| age.get() < 60.0), "{read:?}");
    assert!(logged(&first).is_empty(), "{:?}", logged(&first));

    let record = dir.path().join("drift.error");
    fs::write(&record, "0.250 7\n").unwrap();
    assert_eq!(load(&options).drift.unwrap().record, Record { rms: Ppm::new(0.25), starts: 7 });
    fs::write(&record, "0.250\n").unwrap();
    let unread = load(&options);
    assert_eq!(unread.drift.unwrap().record, Record::default());
    assert!(logged(&unread)[0].contains("drift.error"), "{:?}", logged(&unread));
    fs::remove_file(&record).unwrap();

    fs::write(&drift, "garbage\n").unwrap();
    fs::remove_file(&keys).unwrap();
    let second = load(&options);
    assert_eq!(second.drift, None);
    let lines = logged(&second);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("authreadkeys: file ") && lines[0].contains("No such file"), "{lines:?}");

    fs::remove_file(&drift).unwrap();
    assert_eq!(logged(&load(&options)).len(), 1, "a first start is no reason for a line");
    let kept = reload(&options, &first.memory).unwrap();
    assert_eq!(kept.setup.keys, first.setup.keys);
}

#[test]
fn a_drift_file_that_could_never_be_written_is_told() {
    let loaded = loaded("setup-nodrift", "server 192.0.2.1\ndriftfile /nonexistent/drift\n", "");
    assert!(logged(&loaded)[0].contains("there is no directory /nonexistent"), "{:?}", logged(&loaded));
}

#[test]
fn a_reload_refuses_new_errors_and_forgives_old_ones() {
    let dir = scratch("setup-reload");
    let with_slip = "server 192.0.2.1 perfer\n";
    let first = load(&options(&dir, with_slip, ""));
    assert_eq!(first.setup.config.servers.len(), 1);

    let moved = options(&dir, "# a line more\nserver 192.0.2.2\nserver 192.0.2.1 perfer\n", "");
    let second = reload(&moved, &first.memory).unwrap();
    assert_eq!(second.setup.config.servers.len(), 2);

    let worse = options(&dir, "server 192.0.2.1 perfer\nsrever 192.0.2.3\n", "");
    let refused = reload(&worse, &second.memory).unwrap_err();
    let (level, last) = refused.lines.last().unwrap();
    assert_eq!(*level, Level::Error);
    assert!(last.ends_with("is not put in force: it has a new error; the old configuration stays"), "{last}");

    fs::remove_file(&worse.configfile).unwrap();
    let refused = reload(&worse, &second.memory).unwrap_err();
    assert!(refused.lines.last().unwrap().1.contains("it cannot be read"), "{refused:?}");
}

/// Not a test by itself: reloads as an unprivileged user, in a process of its own.
#[test]
fn child_without_root() {
    let Some(dir) = std::env::var_os("RSNTPD_TEST_DROPPED") else { return };
    let dir = std::path::PathBuf::from(dir);
    let options = Options { configfile: dir.join("ntp.conf"), ..Options::default() };
    let first = load(&options);
    assert_eq!((first.setup.keys.len(), first.setup.config.servers.len()), (1, 1), "{:?}", logged(&first));
    let changed = std::env::var_os("RSNTPD_TEST_CHANGED").is_some();
    if changed {
        for name in ["keys", "pw"] {
            fs::write(dir.join(name), "# changed\n").unwrap();
        }
    }
    nix::unistd::setgroups(&[]).unwrap();
    nix::unistd::setgid(38.into()).unwrap();
    nix::unistd::setuid(38.into()).unwrap();
    let second = reload(&options, &first.memory).unwrap();
    assert_eq!(second.setup.keys, first.setup.keys);
    assert_eq!(second.setup.config, first.setup.config);
    let stale = logged(&second).iter().filter(|line| line.contains("may no longer be read")).count();
    assert_eq!(stale, if changed { 2 } else { 0 }, "{:?}", logged(&second));
}

#[test]
fn d8_what_only_root_may_read_survives_a_reload_without_root() {
    use std::os::unix::fs::PermissionsExt;
    if !nix::unistd::geteuid().is_root() {
        return skip::because("only root can give up root");
    }
    let dir = scratch("setup-dropped");
    let (keys, include) = (dir.path().join("keys"), dir.path().join("pw"));
    fs::write(&keys, "4 M secret\n").unwrap();
    fs::write(&include, "server 192.0.2.1\n").unwrap();
    for secret in [&keys, &include] {
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!("includefile {}\nkeys {}\n", include.display(), keys.display());
    fs::write(dir.path().join("ntp.conf"), text).unwrap();
    // First as they were, where there is nothing to report; then changed.
    for changed in [None, Some(("RSNTPD_TEST_CHANGED", "yes"))] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::setup::tests::child_without_root", "-q"])
            .env("RSNTPD_TEST_DROPPED", dir.path())
            .envs(changed)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
    }
}

#[test]
fn b6_relative_paths_are_meant_from_where_the_daemon_was_started() {
    let dir = scratch("setup-b6");
    let text = "includefile more.conf\nkeys keys\ndriftfile drift\nlogfile log/ntp.log\npidfile ntpd.pid\n\
                leapfile leap\nstatsdir stats/\nsaveconfigdir /abs/saved\n";
    fs::write(dir.path().join("ntp.conf"), text).unwrap();
    fs::write(dir.path().join("more.conf"), "restrict 192.0.2.1 noserve\n").unwrap();
    fs::write(dir.path().join("keys"), "4 M secret\n").unwrap();
    let line = ["rsntpd", "-c", "ntp.conf", "-p", "p", "-f", "f", "-k", "k", "-l", "l", "-s", "s", "-i", "i"];
    let Ok(cli::Command::Run(mut options)) = cli::parse(line.map(OsString::from)) else {
        panic!("no options")
    };
    anchor(&mut options, dir.path().to_owned());
    let at = |name: &str| dir.path().join(name);
    assert_eq!((&options.configfile, &options.pidfile), (&at("ntp.conf"), &Some(at("p"))));
    assert_eq!((&options.driftfile, &options.keyfile), (&Some(at("f")), &Some(at("k"))));
    assert_eq!((&options.logfile, &options.statsdir), (&Some(at("l")), &Some(at("s"))));
    assert_eq!(options.jaildir, Some(at("i")));
    let first = load(&options);
    // The test runs in another directory, as the daemon does after its start.
    let again = reload(&options, &first.memory).unwrap();
    for config in [&first.setup.config, &again.setup.config] {
        assert_eq!(config.restrict.len(), 1);
        assert_eq!((&config.driftfile, &config.auth.keys), (&Some(at("drift")), &Some(at("keys"))));
        assert_eq!((&config.logfile, &config.pidfile), (&Some(at("log/ntp.log")), &Some(at("ntpd.pid"))));
        assert_eq!((&config.leapfile, &config.statistics.dir), (&Some(at("leap")), &Some(at("stats/"))));
        assert_eq!(config.saveconfigdir, Some("/abs/saved".into()));
    }
    assert_eq!(again.setup.keys.len(), 1);
}

#[test]
fn b6_relative_paths_are_found_after_the_change_of_root() {
    let mut options = Options { configfile: "etc/ntp.conf".into(), ..Options::default() };
    anchor(&mut options, "/jail/ntp".into());
    let mut config = Config { driftfile: Some("/jail/ntp/drift".into()), ..Config::default() };
    config.leapfile = Some("/usr/share/leap".into());
    enter_jail(&mut options, &mut config, Path::new("/elsewhere"));
    assert_eq!(options.configfile, Path::new("/jail/ntp/etc/ntp.conf"));
    enter_jail(&mut options, &mut config, Path::new("/jail"));
    assert_eq!((options.configfile, options.directory), ("/ntp/etc/ntp.conf".into(), "/ntp".into()));
    assert_eq!(config.driftfile, Some("/ntp/drift".into()));
    assert_eq!(config.leapfile, Some("/usr/share/leap".into()));
}

#[test]
fn b6_a_reload_says_once_what_becomes_of_the_configuration() {
    let dir = scratch("setup-b6-once");
    let options = options(&dir, "server 192.0.2.1\n", "");
    let first = load(&options);
    fs::remove_file(&options.configfile).unwrap();
    let lines = reload(&options, &first.memory).unwrap_err().lines;
    assert!(lines.iter().all(|(_, line)| !line.contains("defaults")), "{lines:?}");
    assert!(logged(&load(&options))[0].ends_with("running with the defaults"));
}

#[test]
fn e13_a_fifo_in_the_place_of_a_file_is_told_and_what_was_read_before_stays() {
    let dir = scratch("setup-e13");
    let at = |name: &str| dir.path().join(name);
    let text = format!(
        "includefile {0}/more.conf\nkeys {0}/keys\ndriftfile {0}/drift\nleapfile {0}/leap\n",
        dir.path().display()
    );
    fs::write(at("more.conf"), "restrict default ignore\n").unwrap();
    fs::write(at("keys"), "4 M secret\n").unwrap();
    let options = options(&dir, &text, "");
    let first = load(&options);
    let into_fifo = |name: &str| {
        let _not_there = fs::remove_file(at(name));
        nix::unistd::mkfifo(&at(name), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    };
    ["keys", "leap"].into_iter().for_each(into_fifo);
    let again = reload(&options, &first.memory).unwrap();
    assert_eq!(again.setup.keys, first.setup.keys);
    let lines = logged(&again);
    assert_eq!(lines.iter().filter(|line| line.contains("it is a FIFO")).count(), 2, "{lines:?}");
    into_fifo("more.conf");
    assert!(reload(&options, &first.memory).is_err());
    into_fifo("ntp.conf");
    let refused = reload(&options, &first.memory).unwrap_err();
    assert!(refused.lines.iter().any(|(_, line)| line.contains("it is a FIFO")), "{refused:?}");
    assert!(logged(&load(&options))[0].contains("Couldn't open"));
    fs::remove_file(at("ntp.conf")).unwrap();
    fs::write(at("ntp.conf"), text).unwrap();
    into_fifo("drift.error");
    fs::write(at("drift"), "1.000\n").unwrap();
    let lines = logged(&load(&options));
    assert_eq!(lines.iter().filter(|line| line.contains("it is a FIFO")).count(), 4, "{lines:?}");
    fs::remove_file(at("drift")).unwrap();
    into_fifo("drift");
    assert!(
        logged(&load(&options)).iter().any(|line| line.starts_with("driftfile ") && line.contains("FIFO"))
    );
}
