//! What `--check` reports about the configuration as a whole and about the files it names. Each test is named after the
//! row of the list of faults that it keeps mended.

use super::{Conf, Ended, rsntpd};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

fn check(name: &str, text: &str) -> Ended {
    let conf = Conf::new(name, text.as_bytes());
    rsntpd(&["--check", &conf.file])
}

/// The line that sums up.
fn last(ended: &Ended) -> &str {
    ended.out.lines().last().unwrap()
}

#[test]
fn c1_only_sources_that_can_be_used_are_counted() {
    let clocks =
        "server 127.127.8.0\nbroadcast 10.255.255.255\nserver 127.127.4.0\nmanycastclient 239.1.1.1\n";
    for (text, words) in [
        (format!("{clocks}server a noselect\n"), "no usable time source (none of 4 is used)"),
        (format!("{clocks}server a\nserver b\n"), "2 time sources (3 more cannot be used)"),
        ("server fe80::1\n".to_owned(), "no usable time source (the only one is not used)"),
        ("server 127.0.0.1\n".to_owned(), "no usable time source (the only one is not used)"),
        ("server a\nserver b,c\n".to_owned(), "1 time source (1 more cannot be used)"),
        ("restrict default ignore\nserver a\nserver b\n".to_owned(), "none of 2 is used"),
        ("server a key 7\nserver b\n".to_owned(), "1 time source (1 more cannot be used)"),
        ("server a\ntos minsane 2\n".to_owned(), "no usable time source"),
        ("server a\ntos floor 16\nserver 127.127.1.0\n".to_owned(), "1 time source (1 more cannot be used)"),
        ("server a\nserver b\npool c\nserver 127.127.1.0\n".to_owned(), "In effect: 4 time sources, "),
        ("server a\nserver 127.127.28.0\nserver 127.127.22.0\n".to_owned(), "In effect: 3 time sources, "),
    ] {
        let ended = check("c1", &text);
        assert!(last(&ended).contains(words), "{text}: {}", ended.out);
    }
    let conf = Conf::new("c1-json", clocks.as_bytes());
    let told: serde_json::Value =
        serde_json::from_str(&rsntpd(&["--check", "--json", &conf.file]).out).unwrap();
    assert_eq!((&told["sources"], &told["usable_sources"]), (&3.into(), &0.into()));
}

#[test]
fn c2_that_no_usable_source_is_left_is_said() {
    for text in [
        "driftfile /tmp/drift\n",
        "broadcast 10.255.255.255\n",
        "server a noselect\nserver b noselect\n",
        "server localhost\n",
        "server a;\n",
        "restrict default ignore\npool a\n",
        "server 192.0.2.1 key 3\n",
        "server a\nunpeer a\n",
        "end\nserver a\n",
        "server 127.127.8.0\nserver 127.127.4.1 prefer\n",
        "server 127.127.22.0\n",
    ] {
        let ended = check("c2", text);
        assert!(ended.out.contains("warning: no usable time source: "), "{text}: {}", ended.out);
    }
    for text in ["server a\n", "server 127.127.1.0\n", "pool a noselect\nserver b\n"] {
        let ended = check("c2-good", text);
        assert!(!ended.out.contains("no usable time source"), "{text}: {}", ended.out);
    }
    let conf = Conf::new("c2-family", b"server 192.0.2.1\nserver -4 a\n");
    let ended = rsntpd(&["-6", "--check", &conf.file]);
    assert!(ended.out.contains("none of 2 server lines can be used"), "{}", ended.out);
}

#[test]
fn c6_keys_that_a_server_cannot_use_are_told_once() {
    let conf = Conf::new("c6", b"");
    let keys = conf.dir().join("keys");
    fs::write(&keys, "1 M secret\n2 SHA3 secret\n3 M secret 192.0.2.9\n4 M\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let head = format!("keys {}\ntrustedkey 1 2 3 4 7\n", keys.display());
    for (lines, words) in [
        ("server a key 7\nserver 127.127.1.0\n", "key 7 of this server is not in "),
        ("server a key 7\nserver b key 7\nserver 192.0.2.1 key 7\n", "key 7 of 3 servers is not in "),
        ("server a key 2\n", "key 2 of this server cannot be used: "),
        ("server a key 4\n", "line 4 is skipped"),
        ("server 192.0.2.1 key 3\n", "key 3 of this server is limited to other addresses"),
        ("server a key 5\n", "key 5 of this server is not trusted"),
        ("server a\ncontrolkey 7\n", "controlkey 7 is not in "),
        ("server a\ncontrolkey 9\n", "controlkey 9 is not in "),
    ] {
        fs::write(conf.dir().join("ntp.conf"), format!("{head}{lines}")).unwrap();
        let ended = rsntpd(&["--check", &conf.file]);
        assert_eq!(ended.out.matches(words).count(), 1, "{lines}: {}", ended.out);
    }
    for lines in
        ["server a key 1\n", "server 192.0.2.9 key 3\n", "server a key 1\ncontrolkey 1\nrequestkey 1\n"]
    {
        fs::write(conf.dir().join("ntp.conf"), format!("keys {}\ntrustedkey 1 3\n{lines}", keys.display()))
            .unwrap();
        let ended = rsntpd(&["--check", &conf.file]);
        assert!(!ended.out.contains("key 1 ") && !ended.out.contains("key 3 of"), "{lines}: {}", ended.out);
    }
    // The command line trusts keys and names a keys file, too.
    fs::write(conf.dir().join("ntp.conf"), "server a key 1\n").unwrap();
    let ended = rsntpd(&["-k", keys.to_str().unwrap(), "-t", "1", "--check", &conf.file]);
    assert!(!ended.out.contains("key 1 "), "{}", ended.out);
}

#[test]
fn c15_what_a_line_names_and_is_not_there_is_a_warning() {
    for (line, words) in [
        ("leapfile /nonexistent/leap", "/nonexistent/leap: No such file"),
        ("keys /nonexistent/keys", "/nonexistent/keys: No such file"),
        ("driftfile /nonexistent/drift", "there is no directory /nonexistent"),
        ("statistics loopstats\nstatsdir /nonexistent/", "there is no directory /nonexistent"),
        (
            "filegen peerstats file p type day enable\nstatsdir /nonexistent/",
            "there is no directory /nonexistent",
        ),
        ("logfile /nonexistent/ntp.log", "there is no directory /nonexistent"),
        ("includefile /nonexistent/more", "/nonexistent/more: No such file"),
    ] {
        let ended = check("c15", &format!("server a\n{line}\n"));
        assert!(ended.status == 0 && ended.out.contains(words), "{line}: {} {}", ended.status, ended.out);
        assert_eq!(ended.out.matches("warning: ").count(), 1, "{line}: {}", ended.out);
        assert!(!ended.out.contains("error: "), "{line}: {}", ended.out);
    }
    let idle = check("c15-idle", "server a\nstatsdir /nonexistent/\n");
    assert!(!idle.out.contains("warning: "), "nothing is written there: {}", idle.out);
}

/// A leap second file that ends so many seconds from now.
fn leapfile(from_now: i64) -> String {
    const EPOCH: i64 = 2_208_988_800;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires = i64::try_from(now).unwrap() + EPOCH + from_now;
    format!("#@ {expires}\n2272060800 10\n2287785600 11\n")
}

#[test]
fn c16_a_leap_file_that_has_expired_or_soon_will_is_told() {
    const DAY: i64 = 86_400;
    let conf = Conf::new("c16", b"");
    let leap = conf.dir().join("leap");
    fs::write(conf.dir().join("ntp.conf"), format!("server a\nleapfile {}\n", leap.display())).unwrap();
    for (from_now, words) in [
        (-3600, Some("warning: the leap second file expired less than a day ago")),
        (-3 * DAY / 2, Some("warning: the leap second file expired 1 day ago")),
        (-400 * DAY - 60, Some("warning: the leap second file expired 400 days ago")),
        (3600, Some("note: the leap second file expires in less than a day")),
        (20 * DAY + 60, Some("note: the leap second file expires in 20 days")),
        (100 * DAY, None),
    ] {
        fs::write(&leap, leapfile(from_now)).unwrap();
        let ended = rsntpd(&["--check", &conf.file]);
        match words {
            Some(words) => assert!(ended.out.contains(words), "{from_now}: {}", ended.out),
            None => assert!(!ended.out.contains("expire"), "{}", ended.out),
        }
    }
}

#[test]
fn d19_check_takes_the_daemons_command_line() {
    let conf = Conf::new("d19", b"");
    fs::write(conf.dir().join("ntp.conf"), format!("server a\ndriftfile {}/drift\n", conf.dir().display()))
        .unwrap();
    let unknown = rsntpd(&["-u", "no-such-user", "-g", "--check", &conf.file]);
    assert_eq!(unknown.status, 1, "{}", unknown.out);
    assert!(
        unknown.out.contains("error: -u no-such-user: cannot find user `no-such-user'"),
        "{}",
        unknown.out
    );
    let group = rsntpd(&["-u", "0:no-such-group", "--check", &conf.file]);
    assert!(group.status == 1 && group.out.contains("no-such-group"), "{}", group.out);
    fs::set_permissions(conf.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let closed = rsntpd(&["-u", "54321:54321", "--check", &conf.file]);
    assert!(
        closed.status == 0 && closed.out.contains("user 54321:54321 may not write to "),
        "{}",
        closed.out
    );
    let root = rsntpd(&["-u", "0:0", "--check", &conf.file]);
    assert!(!root.out.contains("may not write"), "{}", root.out);
    let jail = rsntpd(&["-i", "/nonexistent", "--check", &conf.file]);
    assert!(jail.status == 1 && jail.out.contains("-i /nonexistent"), "{}", jail.out);
    // What only the command line names has no line to be shown.
    let drift = rsntpd(&["-f", "/nonexistent/drift", "--check", &conf.file]);
    assert!(!drift.out.contains("/nonexistent"), "the file's driftfile wins: {}", drift.out);
    fs::write(conf.dir().join("ntp.conf"), "server a\n").unwrap();
    let drift = rsntpd(&["-f", "/nonexistent/drift", "--check", &conf.file]);
    assert!(drift.out.contains("warning: driftfile: there is no directory /nonexistent"), "{}", drift.out);
}

#[test]
fn d19_a_read_only_directory_is_told() {
    if !nix::unistd::geteuid().is_root() {
        return skip::because("only root can mount a file system");
    }
    let conf = Conf::new("d19-ro", b"");
    let state = conf.dir().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(conf.dir().join("ntp.conf"), format!("server a\ndriftfile {}/drift\n", state.display()))
        .unwrap();
    let script =
        "mount --make-rprivate / && mount -t tmpfs -o ro none \"$1\" && exec \"$0\" -u 0:0 --check \"$2\"";
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_rsntpd"), state.to_str().unwrap(), &conf.file])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("is on a file system that is read-only"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("the frequency will not be saved"), "{said}");
}

#[test]
fn certificates_of_nts_and_the_roots_are_looked_at() {
    let fixture = |name: &str| format!("{}/tests/fixtures/nts/{name}", env!("CARGO_MANIFEST_DIR"));
    let nts = |cert: &str, key: &str| format!("nts enable cert {} key {}\n", fixture(cert), fixture(key));
    for (text, status, words) in [
        (nts("expired.pem", "key.pem"), 0, "expired.pem expired on 2021-01-01 00:00:00 UTC"),
        (nts("early.pem", "key.pem"), 0, "early.pem is not valid before 2090-01-01 00:00:00 UTC, and it is "),
        (nts("server.pem", "stolen-key.pem"), 0, "stolen-key.pem is not the key of the certificate in "),
        ("nts enable\n".to_owned(), 1, "nts enable needs nts cert FILE and nts key FILE"),
        ("server a nts key 3\n".to_owned(), 1, "key 3 and nts are on one line"),
        ("server a nts ca /none\nserver b\n".to_owned(), 0, "1 time source (1 more cannot be used)"),
        ("nts dump /none/cookies\n".to_owned(), 0, "there is no directory /none/cookies"),
    ] {
        let ended = check("nts", &text);
        assert!(ended.out.contains(words) && ended.status == status, "{text}: {}", ended.out);
    }
}
