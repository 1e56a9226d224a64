//! The configurations among which the engine is reloaded.

use rsntpd::config::model::{Digest, Key};
use rsntpd::config::{Diagnostic, Severity, parse};
use rsntpd::engine::contract::Setup;
use rsntpd::units::KeyId;
use std::path::Path;
use std::sync::LazyLock;

/// Key numbers: those of `trustedkey`, the last of them for mode 6.
pub const KEYS: [KeyId; 3] = [KeyId(1), KeyId(7), KeyId(9)];
/// Clients that are remembered at most.
pub const DEPTH: u64 = 8;
/// What all configurations have.
const COMMON: &str = "keys /etc/ntp/keys\ntrustedkey 1 7 9\ncontrolkey 9\ndriftfile /var/lib/ntp/drift\n\
    mru maxdepth 8\nstatistics loopstats peerstats clockstats rawstats sysstats\nsetvar site = roof default\n";

const TEXTS: [&str; 16] = [
    // A client.
    "server 192.0.2.1 iburst\nserver 192.0.2.2 iburst\nserver 192.0.2.3 iburst minpoll 4\nserver 2001:db8::1 iburst\n",
    "server 192.0.2.1 iburst burst minpoll 3 maxpoll 4\ntinker panic 0 step 0.5 stepout 10\n",
    // A server with an access list.
    "server 127.127.1.0\nfudge 127.127.1.0 stratum 5\nrestrict default limited kod nomodify notrap nopeer noquery\n\
     restrict 10.0.0.0 mask 255.0.0.0 version\nrestrict 10.1.0.0 mask 255.255.0.0 ignore\n\
     restrict 10.2.0.1 notrust\nrestrict 10.3.0.0 mask 255.255.0.0 noserve ntpport\nrestrict source nomodify\n\
     server 192.0.2.1 key 7\ndiscard average 3 minimum 1\nleapsmearinterval 7200\n",
    // Symmetric, signed and unsigned.
    "peer 192.0.2.1 key 1\npeer 192.0.2.2 minpoll 4\nserver 192.0.2.3 iburst key 9\n",
    "disable auth\npeer 192.0.2.1 xleave\nserver 127.127.1.0\ntos maxclock 3\n",
    // Broadcasts.
    "broadcast 192.0.2.255 minpoll 4 key 1\nbroadcast 224.0.1.1 xleave minpoll 3\nserver 127.127.1.0\n",
    "broadcastclient\nmulticastclient 224.0.1.1\nserver 192.0.2.1 iburst\ndisable auth\nbroadcastdelay 0.008\n",
    "broadcastclient\nserver 192.0.2.1 iburst\n",
    // Manycast.
    "manycastclient 239.255.0.1 key 1\nmanycastserver 239.255.0.1\ntos minclock 2 maxclock 4 ceiling 9\n",
    "manycastclient 239.255.0.1\ndisable auth\ntos maxclock 4 cohort 1\n",
    // Names and pools.
    "pool pool.example iburst\nserver name.example iburst\nserver name.example\npeer peer.example\n\
     restrict bad.example ignore\ntos maxclock 6\n",
    // Orphans.
    "tos orphan 5 orphanwait 30\npeer 192.0.2.1\npeer 192.0.2.2\nserver 192.0.2.3\n",
    // Network Time Security.
    "server nts.example nts iburst\npool pool.example nts iburst\nserver 192.0.2.1 nts noval\nserver 192.0.2.2\n",
    // Reference clocks.
    "server 127.127.28.0 minpoll 0 maxpoll 4 prefer\nserver 127.127.22.0 minpoll 4\nserver 127.127.20.0 mode 1\n\
     server 127.127.46.0\nfudge 127.127.28.0 time1 0.5 stratum 1 refid GPS flag4 1\nserver 192.0.2.1 iburst\n",
    // It may not touch the clock.
    "disable ntp\nenable calibrate\nserver 192.0.2.1 iburst\nserver 127.127.22.0\nserver 127.127.1.0\nenable stats\n",
    // Nothing, and a machine that limits all clients.
    "restrict default limited kod\nrestrict 127.0.0.1\ndisable monitor\n",
];

static SETUPS: LazyLock<Vec<Setup>> = LazyLock::new(|| {
    let setup = |text: &&str| {
        let text = format!("{COMMON}{text}");
        let file = Path::new("/etc/ntp.conf");
        let parsed = parse(file, text.as_bytes(), &mut |_| Err("none".into()));
        let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let found: Vec<String> = errors.map(Diagnostic::log_line).collect();
        assert!(found.is_empty(), "{found:?}");
        Setup { config: parsed.config, keys: keys(), ..Setup::default() }
    };
    TEXTS.iter().map(setup).collect()
});

/// One of the configurations.
pub fn setup(number: usize) -> Setup {
    SETUPS[number % SETUPS.len()].clone()
}

/// Servers that lines may make, most of all configurations, and those that packets may.
pub fn associations() -> usize {
    let lines = SETUPS.iter().map(|setup| setup.config.servers.len()).max().unwrap_or(0);
    let more = SETUPS.iter().map(|setup| setup.config.tos.maxclock as usize).max().unwrap_or(0);
    lines + more
}

/// The keys file.
pub fn keys() -> Vec<Key> {
    let digests = [Digest::Md5, Digest::Sha1, Digest::AesCmac];
    let key = |(id, digest): (&KeyId, Digest)| Key::new(*id, digest, b"0123456789abcdef".to_vec());
    KEYS.iter().zip(digests).map(key).collect()
}
