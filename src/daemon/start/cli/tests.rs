//! The command line of ntpd 4.2.6p5, case by case.

use super::*;

fn parsed(line: &str) -> Result<Command, CliError> {
    parse(std::iter::once("rsntpd").chain(line.split_whitespace()).map(OsString::from))
}

fn run(line: &str) -> Options {
    match parsed(line) {
        Ok(Command::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    let error = parsed(line).unwrap_err();
    assert_eq!((error.exit_code, error.to_stderr), (1, true), "{line}: {error:?}");
    assert!(error.message.contains("\nUsage: rsntpd [OPTION]"), "{line}: {error:?}");
    error.message.lines().next().unwrap().to_owned()
}

#[test]
fn nothing_given() {
    assert_eq!(run(""), Options::default());
}

#[test]
fn a_link_with_the_name_of_a_companion_starts_no_daemon() {
    for (ours, classic, _) in Companion::NAMES {
        for name in [ours, classic] {
            let error =
                parse([format!("/usr/sbin/{name}"), "-g".to_owned()].map(OsString::from)).unwrap_err();
            let expected =
                format!("rsntpd: this is the daemon; {name} is in the program rsntpq: link {name} to that\n");
            assert_eq!((error.message, error.exit_code, error.to_stderr), (expected, 1, true));
        }
    }
    assert!(parse(["/usr/sbin/ntpd", "-g"].map(OsString::from)).is_ok());
}

#[test]
fn the_options_of_centos() {
    let options = run("-u ntp:ntp -p /var/run/ntpd.pid -g");
    assert_eq!(options.user.as_deref(), Some("ntp:ntp"));
    assert_eq!(options.pidfile, Some("/var/run/ntpd.pid".into()));
    assert!(options.panicgate && !options.nofork);
    let twice = run("-u ntp:ntp -p /a -u other --pidfile=/b");
    assert_eq!((twice.user.as_deref(), twice.pidfile), (Some("other"), Some("/b".into())));
}

#[test]
fn clusters_and_every_way_to_give_a_value() {
    for line in
        ["-ngc/x", "-n -g -c /x", "-ngc /x", "--nofork --panicgate --configfile=/x", "-gn --config /x"]
    {
        let options = run(line);
        assert_eq!(
            (options.configfile, options.nofork, options.panicgate),
            ("/x".into(), true, true),
            "{line}"
        );
    }
    assert_eq!(run("--configfile /y").configfile, PathBuf::from("/y"));
}

#[test]
fn every_option_arrives() {
    let options =
        run("-6 -A -b -D 3 -d -f F -i J -I eth0 -I 10.0.0.1 -k K -l L -L -N -P 5 -q -r 0.004 -s S \
                       -t 4 --trustedkey 8 -U 0 --var a=b --dvar c=d=e -x -m");
    let expected = Options {
        nofork: true,
        quit: true,
        slew: true,
        driftfile: Some("F".into()),
        keyfile: Some("K".into()),
        logfile: Some("L".into()),
        statsdir: Some("S".into()),
        ipv6_only: true,
        interfaces: vec!["eth0".into(), "10.0.0.1".into()],
        novirtualips: true,
        jaildir: Some("J".into()),
        updateinterval: 0,
        nice: true,
        priority: Some(5),
        lock_memory: true,
        trusted_keys: vec![KeyId(4), KeyId(8)],
        debug: 4,
        variables: vec![
            Variable { name: "a".into(), value: "b".into(), shown: false },
            Variable { name: "c".into(), value: "d=e".into(), shown: true },
        ],
        require_authentication: Some(false),
        bcastsync: true,
        propagation_delay: Some(Seconds::new(0.004)),
        ..Options::default()
    };
    assert_eq!(options, expected);
    assert_eq!(run("-a4").require_authentication, Some(true));
}

#[test]
fn what_implies_the_foreground() {
    assert!(run("-d").nofork && run("-D 1").nofork && run("-q").nofork && run("-n").nofork);
    assert!(!run("-D 0").nofork && !run("-g -g -gg -x").nofork);
    assert_eq!(run("-ddd").debug, 3);
}

#[test]
fn what_is_no_option_is_refused() {
    for line in ["-h", "-v", "-V", "-G", "-w 5", "--force_step_once", "--nosuch"] {
        assert!(refused(line).starts_with("rsntpd: illegal option "), "{line}: {}", refused(line));
    }
    for line in ["192.0.2.1", "-g pool.ntp.org", "-- -n", "--check a b"] {
        assert_eq!(refused(line), "rsntpd: Command line arguments not allowed", "{line}");
    }
    assert_eq!(refused("-f a -f b"), "rsntpd: only one driftfile option allowed");
    assert_eq!(refused("-n --nofork"), "rsntpd: only one nofork option allowed");
    assert_eq!(refused("-4 -6"), "rsntpd: --ipv4 and --ipv6 exclude each other");
    assert_eq!(refused("-A -a"), "rsntpd: --authnoreq and --authreq exclude each other");
    assert_eq!(refused("-46"), "rsntpd: --ipv4 and --ipv6 exclude each other");
    assert!(refused("-c").starts_with("rsntpd: --configfile needs a value"), "{}", refused("-c"));
    assert!(refused("-U x").starts_with("rsntpd: --updateinterval: x is not"), "{}", refused("-U x"));
}

#[test]
fn abbreviations_must_be_unambiguous() {
    assert!(run("--pan --quit --sl").panicgate);
    refused("--p");
    refused("--no");
}

#[test]
fn odd_values_are_told_and_stop_nothing_where_ntpd_goes_on() {
    let options = run("-t 0 -t 65536 -t x -t 65535 -r soon --var novalue");
    assert_eq!(options.trusted_keys, [KeyId(65_535)]);
    assert_eq!(options.complaints.len(), 5, "{:?}", options.complaints);
    let negative = parsed("-U -5").unwrap_err();
    assert_eq!((negative.exit_code, negative.to_stderr), (2, true));
    assert!(parsed("-U 99999999999999999999").is_err());
}

#[test]
fn help_and_version_are_no_mistakes() {
    for line in ["--help", "-?", "--more-help", "--version", "-g --vers"] {
        let text = parsed(line).unwrap_err();
        assert_eq!((text.exit_code, text.to_stderr), (0, false), "{line}");
    }
    let version = parsed("--version").unwrap_err().message;
    assert!(version.starts_with(concat!("rsntpd ", env!("CARGO_PKG_VERSION"), "\n")), "{version}");
}

#[test]
fn every_visible_option_has_one_line_of_help_that_fits() {
    let help = parsed("--help").unwrap_err().message;
    for line in help.lines() {
        assert!(line.chars().count() <= 110, "{line}");
    }
    for argument in command("rsntpd").get_arguments().filter(|argument| !argument.is_hide_set()) {
        let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
        assert!(!text.is_empty() && !text.contains('\n'), "{}", argument.get_id());
    }
}

#[test]
fn check_and_explain() {
    let request = |file: &str, json| CheckRequest {
        options: Options { configfile: file.into(), ..Options::default() },
        json,
    };
    let check = |file: &str| Command::Check(Box::new(request(file, false)));
    assert_eq!(parsed("--check"), Ok(check("/etc/ntp.conf")));
    assert_eq!(parsed("--check /x"), Ok(check("/x")));
    assert_eq!(parsed("--check=/x"), Ok(check("/x")));
    assert_eq!(parsed("-c /y --check"), Ok(check("/y")));
    let mut full = request("/x", true);
    full.options.user = Some("ntp".to_owned());
    full.options.panicgate = true;
    full.options.ipv4_only = true;
    assert_eq!(parsed("-g -4 --check /x --json -u ntp"), Ok(Command::Check(Box::new(full))));
    assert_eq!(parsed("--check --json /x"), Ok(Command::Check(Box::new(request("/x", true)))));
    assert!(refused("--check /x --json /y").contains("not allowed"));
    assert!(refused("--check --json /x /y").contains("not allowed"));
    refused("--json");
    let explain =
        |address: &str, file: &str| Command::Explain { address: address.parse().unwrap(), file: file.into() };
    assert_eq!(parsed("--explain 192.0.2.1"), Ok(explain("192.0.2.1", "/etc/ntp.conf")));
    assert_eq!(parsed("--explain [2001:db8::1] /x"), Ok(explain("2001:db8::1", "/x")));
    assert_eq!(parsed("--explain fe80::1%eth0 -c /y"), Ok(explain("fe80::1", "/y")));
    let wrong = refused("--explain pool.ntp.org");
    assert!(wrong.contains("expected the numeric address of a client"), "{wrong}");
    refused("--explain");
    refused("--explain ::1 a b");
    refused("--check --explain ::1");
}

#[test]
fn processes_that_only_answer() {
    let options = run("--server-only");
    assert!(options.server_only && options.workers.is_none());
    assert_eq!(run("--server-only --workers 4").workers, Some(4));
    assert!(refused("--workers 2").contains("--workers needs --server-only"));
    assert!(refused("--server-only -q").contains("exclude each other"));
    assert!(refused("--server-only --workers 65").contains("65"));
    assert!(refused("--server-only --workers 0").contains('0'));
}

#[test]
fn print_and_help() {
    let print = |file: &str| Command::PrintConfig { file: file.into() };
    assert_eq!(parsed("--print-config"), Ok(print("/etc/ntp.conf")));
    assert_eq!(parsed("--print-config /x"), Ok(print("/x")));
    let save = Command::SaveConfig { file: "/y".into(), to: "/x".into() };
    assert_eq!(parsed("-c /y --saveconfigquit /x"), Ok(save));
    assert_eq!(parsed("--help-config"), Ok(Command::HelpConfig { word: None }));
    assert_eq!(parsed("--help-config tos"), Ok(Command::HelpConfig { word: Some("tos".to_owned()) }));
    refused("--check --print-config");
}

#[test]
fn d2_the_name_is_the_one_that_the_program_was_started_by() {
    let name = |program: &str| match parse([program].map(OsString::from)) {
        Ok(Command::Run(options)) => options.name,
        other => panic!("{other:?}"),
    };
    assert_eq!(name("/usr/sbin/ntpd"), "ntpd");
    assert_eq!(name("rsntpd"), "rsntpd");
    assert_eq!(name("-ntpd"), "ntpd");
    for odd in ["", "/", "a b", "x\u{1b}[2J", "ntpd[1]: forged"] {
        assert_eq!(name(odd), "rsntpd", "{odd:?}");
    }
}

#[test]
fn d6_under_the_name_ntpd_the_version_is_ntpds() {
    let version = |program: &str| parse([program, "--version"].map(OsString::from)).unwrap_err().message;
    let printed = version("/usr/sbin/ntpd");
    let first = printed.lines().next().unwrap();
    let ours = env!("CARGO_PKG_VERSION");
    assert!(first.starts_with(&format!("ntpd 4.2.6p5 (rsntpd {ours})")), "{printed}");
    // Chef's cookbook: /ntpd.*(\d+\.\d+\.\d+)/, which is the last such number of the line.
    let numbers: Vec<&str> = first
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|word| word.split('.').count() == 3)
        .collect();
    assert_eq!(numbers, ["4.2.6", ours, "4.2.6"]);
    assert!(version("rsntpd").starts_with(&format!("rsntpd {ours}\n")));
}

#[test]
fn d8_reload_takes_the_daemons_own_options() {
    let asked = |line: &str| parsed(line).unwrap();
    let reload = |pidfile: &str| Command::Reload { pidfile: pidfile.into(), name: "rsntpd".to_owned() };
    assert_eq!(asked("--reload"), reload("/var/run/rsntpd.pid"));
    assert_eq!(asked("--reload -u ntp:ntp -g -p /a -p /run/ntpd.pid"), reload("/run/ntpd.pid"));
}
