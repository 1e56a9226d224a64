#!/bin/bash
# A client of NTS against the servers of chronyd, NTPsec and ntpd-rs: keys by TLS under a root of our own, requests that they call
# authenticated, AEAD 30 by the standard's keys and by those of older chronyds, a restart on kept cookies, a server that has lost its keys, and what the log says of certificates and ports that are no good.
set -u
. "$(dirname "$0")/lib.sh"
needs "a client of NTS"
command -v openssl > /dev/null || { skip "a client of NTS: no openssl"; verdict; exit; }
world_up
fixtures=$top/tests/fixtures/nts

# A root of this world, and a certificate for each server.
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
certificate() { # FILE SAN
    new_key "$work/$1.key"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\n' "$2" > "$work/$1.ext"
    openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 30 \
        -extfile "$work/$1.ext" -out "$work/$1.pem"
}
{
    new_key "$work/ca.key"
    openssl req -x509 -new -key "$work/ca.key" -subj "/CN=A root" -days 30 -out "$work/ca.pem"
    certificate s1 "IP:${address[s1]}"
    certificate s2 "DNS:two.test"
    certificate lan "IP:10.199.255.51,IP:10.199.255.52,IP:10.199.255.53,IP:10.199.255.54"
} > "$work/log/openssl" 2>&1
printf '%s\n' '127.0.0.1 localhost' "${address[s2]} two.test" "${address[s3]} ke.test" > "$work/hosts"

# chronyd with this certificate and key; what it counts is asked by a socket.
nts_server_up() { # HOST CERTIFICATE KEY
    local h=$1
    mkdir -p "$work/$h"; chmod 700 "$work/$h"
    printf '%s\n' 'local stratum 1' allow 'cmdport 0' "bindcmdaddress $work/$h/sock" "pidfile $work/$h.pid" \
        "ntsservercert $2" "ntsserverkey $3" > "$work/$h.conf"
    exec_tame "$h" "$peers/chronyd" -x -d -u root -f "$work/$h.conf" > "$work/log/$h" 2>&1 &
    pids+=($!)
    eval "pid_$h=$!"
}
nts_server_up s1 "$work/s1.pem" "$work/s1.key"
nts_server_up s3 "$fixtures/expired.pem" "$fixtures/key.pem"
# NTPsec takes the time from the last one, without NTS, and is a server of NTS itself.
printf '%s\n' "server ${address[s3]} iburst minpoll 3 maxpoll 3" "driftfile $work/s2.drift" 'restrict default' 'restrict 127.0.0.1' 'nts enable' "nts cert $work/s2.pem" \
    "nts key $work/s2.key" "nts cookie $work/s2.cookies" > "$work/s2.conf"
exec_tame s2 "$peers/ntpd-ntpsec" -n -c "$work/s2.conf" > "$work/log/s2" 2>&1 &
pids+=($!)
# Debian 13's on one host, each with an address of its own: chronyd as it is, as before 4.6.1, and as one that says nothing of its keys; ntpd-rs.
newer=() new=${peers%/*}/debian13/bin
if [ -x "$new/chronyd" ] && gcc -O2 -shared -fPIC -o "$work/oldchrony.so" "$top/tests/system/cage/oldchrony.c" 2> "$work/log/oldchrony"; then
    chrony13_up() { # NUMBER MODE
        on lan ip addr add "10.199.255.$1/24" dev eth0
        mkdir -m 700 "$work/$1"
        printf '%s\n' 'local stratum 1' allow "bindaddress 10.199.255.$1" 'cmdport 0' "bindcmdaddress $work/$1/sock" "pidfile $work/$1.pid" \
            "ntsservercert $work/lan.pem" "ntsserverkey $work/lan.key" > "$work/$1.conf"
        PRELOAD=$work/oldchrony.so OLDCHRONY=$2 exec_tame lan "$new/chronyd" -x -d -u root -f "$work/$1.conf" > "$work/log/$1" 2>&1 &
        pids+=($!)
    }
    chrony13_up 51 none; chrony13_up 52 both; chrony13_up 53 sent
    newer+=("server 10.199.255.51 nts aead AES_128_GCM_SIV:AES_SIV_CMAC_256 iburst minpoll 3 maxpoll 3")
    for number in 52 53; do newer+=("server 10.199.255.$number nts iburst minpoll 3 maxpoll 3"); done
else skip "AEAD 30 with chronyd's server: no chronyd of Debian 13 (tests/system/peers.sh debian13), or no gcc"; fi
if [ -x "$new/ntp-daemon" ]; then
    on lan ip addr add 10.199.255.54/24 dev eth0
    mkdir -m 700 "$work/54"
    cat > "$work/54.toml" <<TOML
[[server]]
listen = "10.199.255.54:123"
[[nts-ke-server]]
listen = "10.199.255.54:4460"
certificate-chain-path = "$work/lan.pem"
private-key-path = "$work/lan.key"
[synchronization]
local-stratum = 1
TOML
    exec_tame lan "$new/ntp-daemon" -c "$work/54.toml" > "$work/log/54" 2>&1 &
    pids+=($!)
    newer+=("server 10.199.255.54 nts iburst minpoll 3 maxpoll 3")
else skip "ntpd-rs' server: there is none (tests/system/peers.sh debian13)"; fi
sleep 2

mkdir -p "$work/varlib/ntp"
printf '%s\n' 'driftfile /var/lib/ntp/drift' 'nts dump /var/lib/ntp' "nts ca $work/ca.pem" 'restrict default' 'tos minsane 1' \
    "server ${address[s1]} nts iburst minpoll 3 maxpoll 3" \
    'server two.test nts iburst minpoll 3 maxpoll 3' \
    "server ke.test nts ca $fixtures/ca.pem iburst" \
    'server localhost:4461 nts' "${newer[@]}" > "$work/ntp.conf"
# As daemon_up, with the names of this world, and as a user who may read what all may read.
nts_daemon_up() {
    exec_host bash -c 'mount --bind "$1" /etc/hosts; shift; exec "$@"' nts "$work/hosts" \
        "$rsntpd" -n -u 38:38 -c "$work/ntp.conf" -l "$work/log/rsntpd" -p /var/run/rsntpd.pid > "$work/log/stderr" 2>&1 &
    daemon=$!
    pids+=("$daemon")
}
nts_daemon_up

rows() { ntpq -pn | tee /dev/stderr; }
used() { rows | grep -qE "^[*+]${address[$1]}"; }
check "chronyd is a source within 25 s of the start" within 25 used s1
check "NTPsec is one" within 25 used s2
# NTP packets, and sixth and eighth, connections for keys, and the packets that it calls authenticated.
served() { on "$1" "$peers/chronyc" -h "$work/$1/sock" -c serverstats | tee /dev/stderr; }
exchanges() { served s1 2>/dev/null | cut -d, -f6; }
authenticated() { served s1 2>/dev/null | cut -d, -f8; }
all_authenticated() { served s1 | awk -F, '$1 >= 4 && $1 == $8 {found = 1} END {exit !found}'; }
check "every packet that chronyd has from us is authenticated" within 20 all_authenticated
one_exchange() { served s1 | awk -F, '$6 == 1 {found = 1} END {exit !found}'; }
check "after one exchange of keys" one_exchange
ntsinfo() { on s2 "$peers/ntpq" -c ntsinfo 127.0.0.1 | tee /dev/stderr | grep -qE "^$1: +[1-9]"; }
check "NTPsec counts authenticated requests" ntsinfo 'NTS server recvs good'
check "NTPsec counts an exchange of keys" ntsinfo 'NTS KE serves good'
logged() { grep -q "$1" "$work/log/rsntpd" || { cat "$work/log/rsntpd"; false; }; }
check "the log: a certificate that has expired" within 10 logged \
    'ke.test:4460 failed: certificate of ke.test has expired, it was valid until 2021-01-01 00:00:00 UTC; this clock says'
check "the log: nothing listens at a port" logged 'cannot connect to TCP port 4461 of localhost: Connection refused'

# The algorithm and cookies of a line of ntp.conf, as ours say, and whether the source is used.
agreed() { # LINE ADDRESS AEAD
    ntpq -c "rv &$1 srcadr,ntsaead,ntscookies" | tee /dev/stderr | tr -d '\n' | grep -q "srcadr=$2, ntscookies=[78], ntsaead=\"$3\"" && rows | grep -qE "^[-*+]$2"
}
# The same with chronyd of Debian 13: what became of its record 1024, and how many packets that it received are not authentic.
agreed30() { # LINE NUMBER RECORD… WRONG
    local record line=$1 number=$2 wrong=${*: -1}; shift 2
    agreed "$line" "10.199.255.$number" AES_128_GCM_SIV || return 1
    for record in "${@:1:$#-1}"; do grep "record 1024 $record" "$work/log/$number" || return 1; done
    on lan "$new/chronyc" -h "$work/$number/sock" -c serverstats | tee /dev/stderr | awk -F, -v w="$wrong" '$6 == 1 && $8 >= 4 && $1 - $8 == w {found = 1} END {exit !found}'
}
line=5
if [ -e "$work/51.conf" ]; then
    check "chronyd 4.6.1, AEAD 30: keys of the standard, by record 1024" within 20 agreed30 5 51 "received$" "sent$" 0
    check "without it, as before 4.6.1: chrony's old keys, at the first request" within 20 agreed30 6 52 "received, and taken out" 0
    check "keys of the standard without a word of it: after one NAK, without another exchange" within 20 agreed30 7 53 "received$" "sent, and taken out" 1
    line=8
fi
[ ! -e "$work/54.toml" ] || check "ntpd-rs is a source, by AEAD 15" within 20 agreed $line 10.199.255.54 AES_SIV_CMAC_256

# NAME MODE KEYID TYPE KLEN LAST ATMP NAK COOK CLEN, as chronyc has them.
authdata() { on host "$rsntpq" -n -c authdata | tee /dev/stderr | grep -E -A1 -- "^$1"; }
of_chronyd() { authdata "${address[s1]} +NTS +- +15 +256 +[0-9]+ +0 +0 +[78] +[0-9]+$"; }
check "rsntpq authdata: chronyd's keys and cookies" of_chronyd
of_ntpsec() { authdata "${address[s2]} +NTS +- +15 +256 +[0-9]+ +0 +0 +[78] +104$"; }
check "NTPsec's" of_ntpsec
of_expired() { authdata 'ke.test +NTS +(- +){4}[1-9] +0 +0 +-$' | grep -q '^    key exchange failed: certificate of ke.test has expired'; }
check "and why a source has none" of_expired
documents() {
    on host "$rsntpq" --json -n -c authdata > "$work/authdata" && on host "$rsntpq" metrics > "$work/metrics" || return 1
    grep nts "$work/authdata" "$work/metrics"
    python3 - "${address[s1]}" "$work/authdata" "$work/metrics" <<'PY'
import json, sys
rows = {row["remote"]: row for row in json.load(open(sys.argv[2]))["sources"]}
good, bad = rows[sys.argv[1]], rows["ke.test"]
assert good["mode"] == "nts" and good["aead"] == "AES_SIV_CMAC_256" and good["ke_error"] is None and good["nak"] is False, good
assert good["authentication"] == "ok" and good["ke_age_s"] < 600 and good["ke_attempts"] == 0 and good["cookies"] >= 7, good
assert bad["aead"] is None and "has expired" in bad["ke_error"] and bad["ke_attempts"] >= 1 and bad["cookies"] == 0, bad
found = {}
for line in open(sys.argv[3]):
    name = line.split("{")[0]
    if not line.startswith("#") and "nts" in name:
        label = line.split('"')[1] if "{" in line else ""
        found[name, label] = float(line.split()[-1])
for source, ok in ((sys.argv[1], 1), ("ke.test", 0)):
    assert found["rsntp_source_nts_ok", source] == ok and found["rsntp_source_nts_ke_failed", source] == 1 - ok, found
client = {label: count for (name, label), count in found.items() if name == "rsntp_nts_ke_client_total"}
assert set(client) == {"good", "name", "connection", "tls", "protocol"}, client
assert client["good"] == sum(row["aead"] is not None for row in rows.values()), client
assert client["tls"] >= 1 and client["connection"] >= 1 and client["name"] == client["protocol"] == 0, client
assert ("rsntp_nts_certificate_not_after_timestamp_seconds", "") not in found, found
PY
}
check "JSON and metrics have it: what is good, and what failed by its class" documents
check "SIGTERM ends it with status 0" daemon_down
kept=$work/varlib/ntp/nts-${address[s1]}.4460
only_ours() { stat -c '%a %u' "$kept" | tee /dev/stderr | grep -qx '600 38'; }
check "it keeps its cookies, which only it can read" only_ours
check "those of a name, too" test -s "$work/varlib/ntp/nts-two.test.4460"
before=$(authenticated)
nts_daemon_up
grown() { served s1 | awk -F, -v n="$before" '$8 > n {found = 1} END {exit !found}'; }
check "a restart is authenticated at once" within 15 grown
check "with the same keys: there was no other exchange" one_exchange
check "cookies are used once: the file is gone" test ! -e "$kept"

# chronyd makes new keys when it is started: ours are worth nothing any more.
kill "$pid_s1"; within 5 test ! -e "$work/s1.pid"
nts_server_up s1 "$work/s1.pem" "$work/s1.key"
again() { [ "$(exchanges)" = 1 ] && [ "$(authenticated)" -ge 1 ]; }
check "a server that lost its keys gets new ones within 40 s" within 40 again
check "the log: the server does not know the cookie" logged 'does not know our NTS cookie'
check "SIGTERM ends it with status 0, again" daemon_down

# In a jail, roots and cookies are in there; and the certificate that has expired does where none is looked at.
mkdir -p "$work/jail/var/run" "$work/jail/cookies"; chown 38:38 "$work/jail/cookies"; cp "$work/ca.pem" "$work/jail/"
printf '%s\n' 'nts ca /ca.pem' 'nts dump /cookies' 'tos minsane 1' "server ${address[s1]} nts iburst minpoll 3 maxpoll 3" \
    "server ${address[s3]} nts noval iburst minpoll 3 maxpoll 3" > "$work/jail.conf"
# There is no /dev, and on a kernel before 3.17 nothing else that gives randomness.
if gcc -O2 -static -o "$work/oldkernel" "$top/tests/system/cage/oldkernel.c" 2> "$work/log/gcc"; then
    printf '#!/bin/sh\nexec %s 313 %s "$@"\n' "$work/oldkernel" "$rsntpd" > "$work/rsntpd-313"
    chmod 755 "$work/rsntpd-313"
    rsntpd=$work/rsntpd-313
else skip "a jail on an old kernel: no gcc for the cage"; fi
daemon_up -u 38:38 -i "$work/jail" -c "$work/jail.conf"
check "in a jail, chronyd is a source within 25 s" within 25 used s1
check "with noval, one whose certificate has expired is" within 25 used s3
check "SIGTERM ends it with status 0, in a jail" daemon_down
check "its cookies are in the jail" test -s "$work/jail/cookies/nts-${address[s1]}.4460"
verdict
