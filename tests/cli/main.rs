//! The built program from outside: help, version, usage errors, `--check`, `--explain`, with their exit statuses.

// These helpers are test code as much as the tests, where a failure is the answer.
#![allow(clippy::unwrap_used)]

mod check;
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Ended {
    status: i32,
    out: String,
    err: String,
}

fn rsntpd(args: &[&str]) -> Ended {
    with_env(args, &[])
}

fn with_env(args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_rsntpd"))
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .unwrap();
    Ended {
        status: output.status.code().unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A directory of the test's own with an `ntp.conf` in it.
struct Conf {
    dir: PathBuf,
    file: String,
}

impl Conf {
    fn new(name: &str, text: &[u8]) -> Self {
        let dir = std::env::temp_dir().join(format!("rsntpd-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("ntp.conf");
        fs::write(&file, text).unwrap();
        Self { dir, file: file.to_str().unwrap().to_owned() }
    }

    fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for option in ["--help", "-?"] {
        let ended = rsntpd(&[option]);
        assert_eq!((ended.status, ended.err.as_str()), (0, ""));
        for word in ["Usage: rsntpd", "--panicgate", "--check", "--explain", "/etc/ntp.conf"] {
            assert!(ended.out.contains(word), "{word}: {}", ended.out);
        }
    }
    let ended = rsntpd(&["--version"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    let mut lines = ended.out.lines();
    assert_eq!(lines.next(), Some(concat!("rsntpd ", env!("CARGO_PKG_VERSION"))));
    assert!(lines.next().unwrap().contains("ntpd 4.2.6p5"));
}

#[test]
fn mistakes_go_to_standard_error_with_usage_and_status_1() {
    for (args, said) in [
        (&["-h"][..], "illegal option -h"),
        (&["--pidfil", "/a", "--driftfile"], "--driftfile needs a value"),
        (&["-f", "a", "-f", "b"], "only one driftfile option allowed"),
        (&["server.example"], "Command line arguments not allowed"),
        (&["-4", "-6"], "exclude each other"),
        (&["--explain", "nonsense"], "numeric address"),
    ] {
        let ended = rsntpd(args);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{args:?}");
        assert!(ended.err.contains(said) && ended.err.contains("Usage: rsntpd"), "{args:?}: {}", ended.err);
    }
    assert_eq!(rsntpd(&["-U", "-1"]).status, 2);
}

#[test]
fn the_environment_presets_options() {
    let conf = Conf::new("env", b"server 192.0.2.1\n");
    let env = [("NTPD_CONFIGFILE", conf.file.as_str()), ("NTPD_PANICGATE", "1")];
    let ended = with_env(&["--check"], &env);
    assert!(ended.status == 0 && ended.out.contains(&conf.file), "{}{}", ended.out, ended.err);
    let other = with_env(&["--check", "-c", "/nonexistent/ntp.conf"], &env);
    assert_eq!(other.status, 2, "the command line wins: {}", other.out);
}

#[test]
fn check_says_what_is_not_understood_and_what_is_in_effect() {
    let clean = Conf::new("clean", b"pool ntp.example iburst\nrestrict default nomodify\n");
    let ended = rsntpd(&["--check", &clean.file]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{}", ended.out);
    let expected = format!(
        "{}: no errors, no warnings. In effect: 1 time source, 1 restrict line, no drift file.\n",
        clean.file
    );
    assert_eq!(ended.out, expected);

    let slip = Conf::new("slip", b"driftfile /tmp/drift\nserver 192.0.2.1 perfer\n");
    let ended = rsntpd(&["--check", &slip.file]);
    assert_eq!(ended.status, 1);
    for word in
        ["prefer", "perfer", "^", "1 error, no warnings. rsntpd starts with the rest. In effect: 1 time"]
    {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "no colours unless on a terminal");
}

#[test]
fn check_tells_programs_the_same_as_one_object() {
    let conf = Conf::new("json", b"\nserver 192.0.2.1 perfer \xff\xfe\nrestrict default ignore\n");
    let ended = rsntpd(&["--check", &conf.file, "--json"]);
    assert_eq!((ended.status, ended.err.as_str()), (1, ""));
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(told["errors"], 1);
    let first = &told["findings"][0];
    assert_eq!((&first["line"], &first["column"], &first["end_column"]), (&2.into(), &18.into(), &24.into()));
    assert_eq!((first["suggestion"].as_str(), first["lint"].as_bool()), (Some("prefer"), Some(false)));
    let deaf = told["findings"].as_array().unwrap().iter().find(|f| f["lint"] == true).unwrap();
    assert!(deaf["message"].as_str().unwrap().contains("dropped by restrict of line 3"), "{deaf}");
    let clean = Conf::new("json-clean", b"pool ntp.example\n");
    let told: serde_json::Value =
        serde_json::from_str(&rsntpd(&["--check", &clean.file, "--json"]).out).unwrap();
    assert_eq!(told["findings"], serde_json::json!([]));
}

#[test]
fn what_is_in_effect_is_printed_and_reads_as_the_same() {
    let text = b"server 192.0.2.1 perfer\ndisable ntp\nenable ntp\nrestrict default nomodify # remark\nkeys /a\nkeys /b\n";
    let conf = Conf::new("print", text);
    let ended = rsntpd(&["--print-config", &conf.file]);
    assert_eq!(ended.status, 1);
    assert_eq!(ended.out, "keys /b\ndisable ntp\nrestrict default nomodify\nserver 192.0.2.1\n");
    assert!(ended.err.contains("line 1 column 18") && ended.err.lines().count() == 1, "{}", ended.err);
    let again = Conf::new("print-again", ended.out.as_bytes());
    let second = rsntpd(&["--print-config", &again.file]);
    assert_eq!((second.status, second.out, second.err.as_str()), (0, ended.out.clone(), ""));
    let saved = conf.dir().join("saved");
    let ended_saving = rsntpd(&["-c", &conf.file, "--saveconfigquit", saved.to_str().unwrap()]);
    assert_eq!(ended_saving.status, 0);
    assert_eq!(fs::read_to_string(saved).unwrap(), ended.out);
    assert_eq!(rsntpd(&["--print-config", "/nonexistent/ntp.conf"]).status, 2);
}

#[test]
fn a_word_of_the_configuration_is_explained() {
    let ended = rsntpd(&["--help-config", "minpoll"]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    assert!(
        ended.out.starts_with("minpoll INTEGER\n") && ended.out.contains("3 to 17, log2 s"),
        "{}",
        ended.out
    );
    let all = rsntpd(&["--help-config"]);
    assert!(all.status == 0 && all.out.contains("\n  restrict "), "{}", all.out);
    let wrong = rsntpd(&["--help-config", "minpol"]);
    assert_eq!((wrong.status, wrong.out.as_str()), (1, ""));
    assert!(wrong.err.contains("did you mean minpoll?"), "{}", wrong.err);
}

#[test]
fn check_warns_of_missing_files_and_fails_for_the_file_itself() {
    let conf =
        Conf::new("missing", b"server 192.0.2.1\nincludefile /nonexistent/pw\nkeys /nonexistent/keys\n");
    let ended = rsntpd(&["--check", &conf.file]);
    assert_eq!(ended.status, 0, "{}", ended.out);
    for word in ["/nonexistent/pw", "/nonexistent/keys: No such file", "no errors, 2 warnings"] {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    let ended = rsntpd(&["--check", "/nonexistent/ntp.conf"]);
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    assert_eq!(ended.err, "rsntpd: /nonexistent/ntp.conf: No such file or directory\n");
    let ended = rsntpd(&["--explain", "::1", "/nonexistent/ntp.conf"]);
    assert_eq!((ended.status, ended.out.as_str()), (2, ""));
    assert_eq!(rsntpd(&["--check", conf.dir().to_str().unwrap()]).status, 2);
}

/// The access rules of a file as administrators write it, remarks behind the flags included.
const OFFICE: &[u8] = b"restrict default ignore
restrict default kod nomodify notrap nopeer noquery
restrict -6 default kod nomodify notrap nopeer noquery
restrict 127.0.0.1
restrict -6 ::1
restrict 10.199.255.0 mask 255.255.255.0 nomodify notrap \xe5\x85\x81\xe8\xae\xb8
server 192.0.2.1
server 192.0.2.2
restrict 192.0.2.1 nomodify
restrict 198.51.100.9 limited kod ntpport
";

fn explained(name: &str, address: &str) -> String {
    let conf = Conf::new(name, OFFICE);
    let ended = rsntpd(&["--explain", address, &conf.file]);
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    ended.out.replace(&conf.file, "FILE")
}

#[test]
fn explain_a_stranger() {
    let text = explained("stranger", "203.0.113.5");
    assert!(
        text.starts_with(
            "203.0.113.5: the entry default (IPv4) applies: ignore kod nomodify nopeer noquery notrap.\n"
        ),
        "{text}"
    );
    for line in [
        "    FILE line 1: restrict default ignore\n",
        "    FILE line 2: restrict default kod nomodify notrap nopeer noquery\n",
        "    do nothing: its packets are dropped without a response\n",
        "    get the time  (ignore)\n",
        "add up",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn explain_a_client_of_the_lan_and_this_machine() {
    let text = explained("lan", "10.199.255.77");
    for line in [
        "the entry 10.199.255.0 mask 255.255.255.0 applies: nomodify notrap.\n",
        "    FILE line 6: restrict 10.199.255.0 mask 255.255.255.0 nomodify notrap 允许\n",
        "    get the time\n",
        "    query the state with ntpq (peers, variables)\n",
        "    change settings with ntpq  (nomodify)\n",
        "it replaces the default, it does not add to it",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let text = explained("local", "::1");
    assert!(text.contains("the entry ::1 applies: no restriction."), "{text}");
}

#[test]
fn explain_servers_and_ports() {
    let heard = explained("heard", "192.0.2.1");
    assert!(!heard.contains("is never"), "{heard}");
    let lost = explained("lost", "192.0.2.2");
    assert!(lost.contains("rsntpd is never"), "{lost}");
    let port = explained("port", "198.51.100.9");
    for line in [
        "198.51.100.9 from a port other than 123: the entry default (IPv4) applies",
        "198.51.100.9 from port 123 (a server, or ntpd as client): the entry 198.51.100.9 ntpport applies: kod limited.",
        "poll every 8 s on average and not twice within 2 s",
    ] {
        assert!(port.contains(line), "{line}: {port}");
    }
}

#[test]
fn explain_addresses_that_no_packet_has_by_that_name() {
    let mapped = explained("mapped", "::ffff:10.199.255.77");
    assert_eq!(mapped, explained("plain", "10.199.255.77"), "the kernel gives it to IPv4 sockets");
    for nobody in ["224.0.1.1", "ff05::101", "0.0.0.0", "::", "255.255.255.255"] {
        let text = explained("nobody", nobody);
        assert!(text.contains("no client has this address") && !text.contains("may"), "{nobody}: {text}");
    }
    let own = explained("own", "127.0.0.1");
    assert!(own.contains("127.0.0.1 from port 123") && own.contains("an address of this machine"), "{own}");
}
