//! The command line's settings: before the file, so that it overrides them, or after it where ntpd adds.

use super::warning;
use crate::config::model::{
    Config, Family, InterfaceAction, InterfaceMatch, InterfaceRule, RestrictTarget, Server, Target,
};
use crate::config::{Notice, Severity};
use crate::daemon::start::cli::Options;
use crate::units::Seconds;
use std::net::IpAddr;

/// The step threshold of `-x`.
const SLEW_STEP: Seconds = Seconds::new(600.0);

/// What holds until the file says otherwise.
pub(super) fn base(options: &Options) -> Config {
    let mut config = Config {
        driftfile: options.driftfile.clone(),
        logfile: options.logfile.clone(),
        pidfile: options.pidfile.clone(),
        setvar: options.variables.clone(),
        ..Config::default()
    };
    config.auth.keys.clone_from(&options.keyfile);
    config.auth.trusted.clone_from(&options.trusted_keys);
    config.statistics.dir.clone_from(&options.statsdir);
    config.enable.auth = options.require_authentication.unwrap_or(config.enable.auth);
    config.enable.bclient |= options.bcastsync;
    if options.slew {
        config.tinker.step = SLEW_STEP;
        config.enable.kernel = false;
    }
    config
}

/// What holds whatever the file says.
pub(super) fn finish(options: &Options, config: &mut Config, notices: &mut Vec<Notice>) {
    for key in &options.trusted_keys {
        if !config.auth.trusted.contains(key) {
            config.auth.trusted.push(*key);
        }
    }
    if options.quit {
        config.enable.kernel = false;
        for server in &mut config.servers {
            server.iburst = true;
        }
    }
    if !options.interfaces.is_empty() {
        if !config.interfaces.is_empty() {
            // ntpd stops here; a time server that does not start is worse.
            let text = "interface/nic rules are not allowed with --interface (-I): the rules of the file are ignored";
            notices.push(Notice { severity: Severity::Error, text: text.to_owned() });
        }
        config.interfaces = options.interfaces.iter().map(|name| listen(name)).collect();
    }
    keep_families(options, config, notices);
}

/// `-4` and `-6`.
pub(super) fn keep_families(options: &Options, config: &mut Config, notices: &mut Vec<Notice>) {
    if options.ipv4_only {
        keep_family(Family::V4, "-4", config, notices);
    } else if options.ipv6_only {
        keep_family(Family::V6, "-6", config, notices);
    }
}

fn listen(name: &str) -> InterfaceRule {
    let matches = match name.parse::<IpAddr>() {
        Ok(address) => InterfaceMatch::Address(address, if address.is_ipv4() { 32 } else { 128 }),
        Err(_) => InterfaceMatch::Name(name.to_owned()),
    };
    InterfaceRule { action: InterfaceAction::Listen, matches }
}

/// Whether `-4` or `-6` leaves a server out.
pub(super) fn leaves_out(options: &Options, server: &Server) -> bool {
    let family = match (options.ipv4_only, options.ipv6_only) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => return false,
    };
    match &server.target {
        Target::Address(address) => !family.admits(*address),
        Target::Name(_) => server.family != Family::Any && server.family != family,
        Target::LocalClock { .. } | Target::RefClock { .. } => false,
    }
}

/// Names resolve to addresses of `family` only, and numeric addresses of the other are left out.
fn keep_family(family: Family, option: &str, config: &mut Config, notices: &mut Vec<Notice>) {
    config.servers.retain_mut(|server| match &server.target {
        Target::Address(address) if !family.admits(*address) => {
            notices.push(warning(format!("server {address} is left out: {option}")));
            false
        }
        Target::Name(name) if server.family != Family::Any && server.family != family => {
            notices.push(warning(format!("server {name} is left out: {option}")));
            false
        }
        Target::Name(_) => {
            server.family = family;
            true
        }
        Target::Address(_) | Target::LocalClock { .. } | Target::RefClock { .. } => true,
    });
    for restrict in &mut config.restrict {
        if let RestrictTarget::Name(_, wanted @ Family::Any)
        | RestrictTarget::Around { family: wanted @ Family::Any, .. } = &mut restrict.target
        {
            *wanted = family;
        }
    }
}
