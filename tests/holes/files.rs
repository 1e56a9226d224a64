//! Files that the daemon reads and writes, and what it runs under.

use crate::table::{Row, tried};
use crate::world::{World, configure, control_key, exchange, socket, until};
use nix::sys::signal::Signal;
use rsntpd::engine::auth::{Authenticity, Keys};
use rsntpd::units::KeyId;
use sim::bench::ip;
use sim::desk::ask;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::process::Command;

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-7703, 2015-7851, 2015-7976",
        rule: "no path is set at run time; saveconfig writes new plain names in saveconfigdir only",
        tried: tried![in a namespace:
            cve_2015_7703_no_path_is_set_at_run_time,
            cve_2015_7851_2015_7976_saveconfig_writes_new_plain_names_only,
        ],
    },
    Row {
        holes: "2014-9293, 2014-9294, 2015-3405",
        rule: "keys are made of the system's random numbers, no two alike; there are none by default",
        tried: tried![
            cve_2014_9293_2014_9294_2015_3405_keys_are_random_and_no_two_alike,
            cve_2014_9293_there_are_no_keys_by_default,
        ],
    },
    Row {
        holes: "2015-7850, 2020-15025, E14",
        rule: "whatever is in a keys file: it is read once, the findings name their lines and are bounded, and reading it again takes no memory",
        tried: tried![in a namespace:
            cve_2015_7850_e14_a_keys_file_of_junk_is_bounded,
            cve_2020_15025_reading_keys_again_takes_no_memory,
        ],
    },
    Row {
        holes: "2020-14367",
        rule: "pid and drift files follow no link that another user may have put there",
        tried: tried![in a namespace: cve_2020_14367_pid_and_drift_files_follow_no_links],
    },
    Row {
        holes: "E29",
        rule: "nor does a log file that root opens where another user may make files",
        tried: tried![in a namespace: e29_a_log_in_a_users_directory_is_no_file_of_roots],
    },
    Row {
        holes: "E15",
        rule: "ntp.conf makes 1,000 associations at most, and the daemon serves at once",
        tried: tried![in a namespace: e15_a_hundred_thousand_server_lines_are_a_thousand],
    },
    Row {
        holes: "E19",
        rule: "a file that may not grow (RLIMIT_FSIZE) is reported and ends nothing",
        tried: tried![in a namespace: e19_a_file_size_limit_does_not_end_the_daemon],
    },
    Row {
        holes: "E20",
        rule: "a small stack limit is raised, or the daemon says that it cannot run with it",
        tried: tried![in a namespace: e20_a_small_stack_is_raised_or_refused],
    },
    Row {
        holes: "E30",
        rule: "no program that the daemon might run could have capabilities (the packaged program is not position-independent: musl-gcc of Debian makes such ones with a dynamic loader)",
        tried: tried![in a namespace: e30_the_bounding_set_is_empty],
    },
    Row {
        holes: "E31",
        rule: "a crate without a maintainer is an exception with its reason",
        tried: tried![e31_daemonize_is_an_exception_with_its_reason],
    },
    Row {
        holes: "E32",
        rule: "a time zone that is a device is not read",
        tried: tried![in a namespace: e32_a_time_zone_that_is_a_device_is_not_read],
    },
];

fn cve_2015_7703_no_path_is_set_at_run_time() {
    let world = World::new();
    let mut daemon = world.daemon(&format!("server 127.127.1.0\n{}", control_key(&world)), &[]);
    let stolen = world.named("stolen");
    for word in [
        "pidfile",
        "driftfile",
        "logfile",
        "statsdir",
        "keys",
        "includefile",
        "keysdir",
        "crypto pw",
        "saveconfigdir",
        "leapfile",
        "filegen loopstats file",
        "ntpsigndsocket",
        "nts key",
        "nts cert",
        "nts cookie",
        "nts dump",
    ] {
        let reply = configure(8, &format!("{word} {stolen}"));
        assert!(!reply.starts_with("Config Succeeded"), "{word}: {reply}");
        assert!(reply.contains("run time"), "{word}: {reply}");
    }
    assert!(configure(8, "server 192.0.2.9").starts_with("Config Succeeded"));
    daemon.signal(Signal::SIGHUP);
    assert!(daemon.serves() && daemon.end().success());
    assert!(!world.path("stolen").exists());
}

fn cve_2015_7851_2015_7976_saveconfig_writes_new_plain_names_only() {
    let world = World::new();
    let directory = world.path("saved");
    fs::create_dir(&directory).unwrap();
    world.write("saved/there.conf", "as it was");
    symlink(world.path("victim"), directory.join("link.conf")).unwrap();
    let lines =
        format!("server 127.127.1.0\nsaveconfigdir {}\n{}", world.named("saved"), control_key(&world));
    let mut daemon = world.daemon(&lines, &[]);
    for name in [
        "../up.conf",
        "/tmp/rsntpd-holes-absolute.conf",
        "a/b.conf",
        ".hidden",
        "-option",
        "there.conf",
        "link.conf",
        "..",
        "",
        "with space",
        "new\nline",
        "%s%s%s%n/x",
    ] {
        let reply = configure(9, name);
        assert!(!reply.contains("Configuration saved"), "{name}: {reply}");
    }
    assert!(configure(9, "good-%Y.conf").contains("Configuration saved"));
    let names: BTreeSet<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(world.read("saved/there.conf"), "as it was");
    for gone in ["victim", "up.conf"] {
        assert!(!world.path(gone).exists(), "{gone}");
    }
    assert!(daemon.end().success());
}

/// A run of a companion; its output and whether it went well.
fn companion(name: &str, args: &[&str]) -> (String, bool) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_rsntpq")).args(["--tool", name]).args(args).output().unwrap();
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.success())
}

fn cve_2014_9293_2014_9294_2015_3405_keys_are_random_and_no_two_alike() {
    let folder = std::env::temp_dir().join(format!("rsntpd-holes-keys.{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut secrets: Vec<String> = Vec::new();
    for n in 0..20 {
        let file = folder.join(format!("keys{n}"));
        let (text, made) = companion("rsntp-keygen", &["-M", "-o", file.to_str().unwrap()]);
        assert!(made, "{text}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        secrets.extend(lines.filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned)));
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(secrets.len() >= 400, "{}", secrets.len());
    let different: BTreeSet<&String> = secrets.iter().collect();
    assert_eq!(different.len(), secrets.len(), "no two alike");
    // Every character has its share: none is zero, or always the same, as where a generator is read wrongly.
    let passwords: Vec<&[u8]> = secrets.iter().filter(|s| s.len() == 20).map(String::as_bytes).collect();
    assert!(passwords.len() >= 200);
    for place in 0..20 {
        let seen: BTreeSet<u8> = passwords.iter().map(|secret| secret[place]).collect();
        assert!(seen.len() > 60, "place {place}: {} characters", seen.len());
    }
}

fn cve_2014_9293_there_are_no_keys_by_default() {
    let mut ours = Keys::new(&[], &[KeyId(1), KeyId(65_535)]);
    let defaults = ["", "ntp", "password", "default", "secret", "0"];
    for (id, secret) in (0..=20).flat_map(|id| defaults.map(|secret| (id, secret))) {
        use md5::Digest as _;
        let packet = [0x23; 48];
        let digest = md5::Md5::digest([secret.as_bytes(), &packet[..]].concat());
        let signed = [&packet[..], &u32::to_be_bytes(id), &digest[..]].concat();
        assert_eq!(ours.check(&signed, ip("192.0.2.1")), Ok(Authenticity::Failed), "key {id}");
    }
}

fn cve_2015_7850_e14_a_keys_file_of_junk_is_bounded() {
    let world = World::new();
    let mut junk = "7 SHA1 control\n".to_owned();
    while junk.len() < 4_000_000 {
        junk.push_str("this is no key at all\n");
    }
    world.write("keys", &junk);
    let keys = format!("keys {}\ntrustedkey 7\ncontrolkey 7\n", world.named("keys"));
    let mut daemon = world.daemon(&format!("server 127.127.1.0\n{keys}"), &[]);
    let log = world.read("log");
    let place = format!("{} line ", world.named("keys"));
    let named: Vec<&str> = log.lines().filter(|line| line.contains(&place)).collect();
    assert!((2..=21).contains(&named.len()), "{named:#?}");
    assert!(named[0].contains("keys line 2 column 1"), "{}", named[0]);
    assert!(named.last().unwrap().contains("more findings"), "{}", named.last().unwrap());
    assert!(daemon.status("VmHWM") < 64 << 10, "{} kB", daemon.status("VmHWM"));
    // What is right in it counts.
    assert!(configure(8, "server 192.0.2.9").starts_with("Config Succeeded"));
    // And a log file that is named as the keys file, which made ntpd read its own complaints for ever.
    let read = Command::new(env!("CARGO_BIN_EXE_rsntpd"))
        .arg("--check")
        .arg(world.path("ntp.conf"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&read.stdout).len() < 100_000);
    assert!(daemon.end().success());
}

fn cve_2020_15025_reading_keys_again_takes_no_memory() {
    let world = World::new();
    let keys: String = (1..=2_000).map(|id| format!("{id} AES128CMAC {:032x}\n", id * 7)).collect();
    world.write("keys", &keys);
    let lines = format!("server 127.127.1.0\nkeys {}\ntrustedkey (1 ... 2000)\n", world.named("keys"));
    let mut daemon = world.daemon(&lines, &[]);
    let reloads = |world: &World| world.read("log").matches("configuration reloaded").count();
    let again = |times: usize| {
        for _ in 0..times {
            let before = reloads(&world);
            daemon.signal(Signal::SIGHUP);
            assert!(until(|| reloads(&world) > before), "{}", world.read("log"));
        }
        daemon.status("VmRSS")
    };
    let (few, many) = (again(10), again(60));
    assert!(many < few + 1_024, "{few} kB after 10 times, {many} kB after 70");
    assert!(daemon.end().success());
}

/// A folder that belongs to a user without rights, in which a file of root's has the name `victim`.
fn users_folder(world: &World) {
    fs::create_dir(world.path("user")).unwrap();
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    chown(world.path("user"), Some(USER), Some(USER)).unwrap();
    world.write("victim", "root's");
}

/// The user of `-u`, who need not be in a list.
const USER: u32 = 38;

fn cve_2020_14367_pid_and_drift_files_follow_no_links() {
    let world = World::new();
    users_folder(&world);
    let victim = world.path("victim");
    for name in ["pid", "pid.TEMP", "drift", "drift.TEMP", "drift.error", "drift.error.TEMP"] {
        let link = world.path(&format!("user/{name}"));
        symlink(&victim, &link).unwrap();
        lchown(&link, Some(USER), Some(USER)).unwrap();
    }
    let lines = format!("server 127.127.1.0\ndriftfile {}\n", world.named("user/drift"));
    let mut daemon = world.daemon(&lines, &["-p", &world.named("user/pid"), "-u", "38:38"]);
    let written = world.path("user/pid").symlink_metadata().unwrap();
    assert!(written.is_file(), "the file takes the place of the link");
    assert_eq!(world.read("user/pid"), daemon.pid().to_string());
    assert!(daemon.end().success());
    assert_eq!(world.read("victim"), "root's");
    assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
}

fn e29_a_log_in_a_users_directory_is_no_file_of_roots() {
    for kind in ["symbolic link", "link of root's own", "hard link", "none"] {
        let world = World::new();
        users_folder(&world);
        let (victim, log) = (world.path("victim"), world.path("user/log"));
        match kind {
            "hard link" => fs::hard_link(&victim, &log).unwrap(),
            "none" => {}
            _ => symlink(&victim, &log).unwrap(),
        }
        if kind == "symbolic link" {
            lchown(&log, Some(USER), Some(USER)).unwrap();
        }
        let lines = format!("server 127.127.1.0\nlogfile {}\n", log.display());
        let mut daemon = world.daemon(&lines, &["-u", "38:38"]);
        assert!(daemon.end().success());
        assert_eq!(world.read("victim"), "root's", "{kind}");
        assert_eq!(fs::metadata(&victim).unwrap().uid(), 0, "{kind}");
        assert_eq!(
            world.read("user/log").contains("exiting"),
            kind == "none",
            "{kind}: {}",
            world.read("user/log")
        );
    }
}

fn e15_a_hundred_thousand_server_lines_are_a_thousand() {
    let world = World::new();
    let mut lines = "server 127.127.1.0\n".to_owned();
    for n in 0..100_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        lines.push_str(&format!("server 10.{a}.{b}.{c}\n"));
    }
    let begun = std::time::Instant::now();
    let mut daemon = world.daemon(&lines, &[]);
    let took = begun.elapsed();
    let list = (0..40).find_map(|_| exchange(&socket(), &ask(2, 0, "ss_numctlreq")));
    assert!(list.is_some());
    let text = world.read("log");
    assert!(text.contains("there are 1000 associations already"), "{}", &text[..text.len().min(2_000)]);
    assert!(text.lines().count() < 5_000, "{} lines", text.lines().count());
    assert_eq!(text.matches("mobilize").count().max(1_000), 1_000);
    assert!(took.as_secs() < 20, "{took:?}");
    assert!(daemon.status("VmHWM") < 128 << 10, "{} kB", daemon.status("VmHWM"));
    assert!(daemon.end().success());
}

fn e19_a_file_size_limit_does_not_end_the_daemon() {
    let world = World::new();
    let mut daemon = world.launch("server 127.127.1.0\nnonsense\n", "ulimit -f 1;", &[]);
    assert!(daemon.serves(), "{}", world.read("log"));
    for _ in 0..5 {
        daemon.signal(Signal::SIGHUP);
        assert!(daemon.serves());
    }
    assert!(fs::metadata(world.path("log")).unwrap().len() <= 1_024, "the limit was met");
    assert!(daemon.end().success());
}

fn e20_a_small_stack_is_raised_or_refused() {
    let world = World::new();
    // The soft limit is raised.
    let mut daemon = world.launch("server 127.127.1.0\n", "ulimit -S -s 64;", &[]);
    assert!(daemon.serves(), "{}", world.read("log"));
    assert!(daemon.end().success());
    // Under the hard one it cannot run, and says so.
    let mut daemon = world.launch("server 127.127.1.0\n", "ulimit -s 64;", &[]);
    assert!(until(|| daemon.ended().is_some()));
    let status = daemon.ended().unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "no signal ended it: {status:?}");
}

fn e30_the_bounding_set_is_empty() {
    let world = World::new();
    for options in [&["-u", "38:38"][..], &[]] {
        let mut daemon = world.daemon("server 127.127.1.0\n", options);
        let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let set = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        assert_eq!((set("CapBnd:"), set("CapInh:")), (0, 0), "{options:?}");
        // What it needs it has: port 123 of addresses that come later (the clock is withheld here).
        assert_eq!(set("CapEff:"), 1 << 10, "{options:?}");
        assert!(daemon.end().success());
    }
}

fn e31_daemonize_is_an_exception_with_its_reason() {
    let read = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let deny: toml::Table = read(".cargo/deny.toml").parse().unwrap();
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    let reasons: Vec<(&str, &str)> = ignored
        .iter()
        .map(|entry| (entry["id"].as_str().unwrap(), entry["reason"].as_str().unwrap()))
        .collect();
    let used = read("Cargo.lock").contains("name = \"daemonize\"");
    let excepted = reasons.iter().find(|(id, _)| *id == "RUSTSEC-2025-0069");
    assert_eq!(used, excepted.is_some_and(|(_, reason)| reason.contains("daemonize")), "{reasons:?}");
}

fn e32_a_time_zone_that_is_a_device_is_not_read() {
    let world = World::new();
    for zone in ["/dev/zero", ":/dev/zero", "../../../dev/zero"] {
        let limits = format!("export TZ={zone}; ulimit -v 1000000;");
        let mut daemon = world.launch("server 127.127.1.0\n", &limits, &[]);
        assert!(daemon.serves(), "{zone}");
        assert!(world.read("log").contains("names no file of a time zone"), "{}", world.read("log"));
        let check = Command::new(env!("CARGO_BIN_EXE_rsntpq"))
            .env("TZ", zone)
            .args(["-c", "rv", "127.0.0.1"])
            .output();
        let text = String::from_utf8_lossy(&check.unwrap().stdout).into_owned();
        assert!(text.contains("stratum="), "{zone}: {text}");
        assert!(daemon.end().success());
        fs::remove_file(world.path("log")).unwrap();
    }
    let mut daemon = world.launch("server 127.127.1.0\n", "export TZ=CET-1CEST;", &[]);
    assert!(daemon.serves() && !world.read("log").contains("time zone"), "{}", world.read("log"));
    assert!(daemon.end().success());
}
