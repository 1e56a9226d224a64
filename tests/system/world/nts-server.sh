#!/bin/bash
# Clients of NTS that other people wrote (chronyd, NTPsec, ntpd-rs) get authenticated time of rsntpd: while others hold connections open, after
# a restart, after a rotation of the keys, and of several workers.
set -u
. "$(dirname "$0")/lib.sh"
needs "nts-server"
for tool in openssl python3 prlimit; do [ -n "$(command -v $tool)" ] || { skip "nts-server: no $tool"; verdict; exit; }; done
world_up
keys=$work/varlib/ntp/nts-keys
mkdir "$work/tls"
(cd "$work/tls" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Test root" -keyout ca.key -out ca.pem &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=ke.test" -keyout key.pem -out csr &&
    printf 'subjectAltName=DNS:ke.test,IP:10.199.255.1\n' > san &&
    for days in 30 40; do openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -extfile san -out cert-$days.pem; done &&
    mv cert-30.pem cert.pem) > "$work/log/openssl" 2>&1
chmod 600 "$work/tls/key.pem"
printf '127.0.0.1 localhost\n10.199.255.1 ke.test\n' > "$work/hosts"
conf=$work/ntp.conf
cat > "$conf" <<CONF
server 127.127.1.0
fudge 127.127.1.0 stratum 3
disable ntp
nts enable
nts cert $work/tls/cert.pem
nts key $work/tls/key.pem
restrict default nomodify
CONF
touch "$work/log/rsntpd"; chmod 666 "$work/log/rsntpd"
launch() { in_host "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$work/log/rsntpd" -c "$conf" "$@"; }
check "the daemon starts" launch
daemon=$(cat "$work/run/rsntpd.pid")
ke() { sed -n 's/.*NTS key exchange on TCP port 4460: process //p' "$work/log/rsntpd" | tail -1; }
private() { stat -c '%a %u' "$keys"; [ "$(stat -c '%a %u' "$keys")" = "600 38" ]; }
check "the keys of the cookies are the daemon's user's alone" private
humble() { grep -E 'CapEff|CapPrm|Uid|NoNewPrivs' "/proc/$(ke)/status"; grep -qE 'CapPrm:.*0000000000000000' "/proc/$(ke)/status" && grep -qE 'Uid:\s+38' "/proc/$(ke)/status"; }
check "keys are exchanged by a process of user 38 without any capability" within 5 humble
sockets() { ls -l "/proc/$(ke)/fd"; on host ss -Hunlp 2>/dev/null | tee /dev/stderr | grep -v "pid=$(ke)," > /dev/null; ! on host ss -Hunlp | grep -q "pid=$(ke),"; }
check "it has no socket of NTP" sockets

counter() { on host "$peers/ntpq" -c "rv 0 $1" | sed -n "s/.*$1=\([0-9]*\).*/\1/p"; }
at_least() { local now; now=$(counter "$1"); echo "$1 = $now, wanted $2"; [ "${now:-0}" -ge "$2" ]; }

# chronyd on lan, NTPsec on out; both know the server by its name.
with_hosts() { exec ip netns exec "$(world_ns "$1")" unshare -m --propagation private bash -c 'mount --bind "$0" /etc/hosts; exec setpriv --bounding-set -sys_time --inh-caps -sys_time -- "$@"' "$work/hosts" "${@:2}"; }
mkdir -m 770 "$work/chrony"
cat > "$work/chrony.conf" <<CONF
server ke.test nts iburst minpoll 2 maxpoll 2
ntstrustedcerts $work/tls/ca.pem
nosystemcert
bindcmdaddress $work/chrony/chronyd.sock
cmdport 0
pidfile $work/chronyd.pid
CONF
with_hosts lan "$peers/chronyd" -x -d -u root -f "$work/chrony.conf" > "$work/log/chronyd" 2>&1 & pids+=($!)
cat > "$work/ntpsec.conf" <<CONF
server ke.test nts ca $work/tls/ca.pem iburst minpoll 3 maxpoll 3
disable ntp
statsdir $work/log/
filegen peerstats file ntpsec-peers type none enable
restrict default
restrict 127.0.0.1
CONF
with_hosts out "$peers/ntpd-ntpsec" -n -l "$work/log/ntpsec" -p "$work/ntpsec.pid" -c "$work/ntpsec.conf" > "$work/log/ntpsec.err" 2>&1 & pids+=($!)
authdata() { on lan "$peers/chronyc" -h "$work/chrony/chronyd.sock" -n authdata | tail -1; }
# Name Mode KeyID Type KLen Last Atmp NAK Cook CLen
fields() { local line; line=$(authdata); echo "$line"; [ "$(awk "$1 {print \"yes\"}" <<< "$line")" = yes ]; }
check "chronyd has eight cookies of 104 bytes" within 20 fields '$2 == "NTS" && $8 == 0 && $9 == 8 && $10 == 104'
follows() { on lan "$peers/chronyc" -h "$work/chrony/chronyd.sock" -n sources | tee /dev/stderr | grep -qE '^\^\* 10\.199\.255\.1 '; }
check "chronyd follows the server" within 20 follows
# NTPsec counts a sample only of a packet that was authentic.
secured() { grep NTSc: "$work/log/ntpsec"; cat "$work/log/ntpsec-peers"; grep -q 'NTSc: Got 8 cookies, length 104' "$work/log/ntpsec" && [ "$(grep -c ' 10\.199\.255\.1 ' "$work/log/ntpsec-peers")" -ge 3 ]; }
check "NTPsec has eight cookies, and three samples" within 30 secured
check "both are counted: the key exchanges" at_least nts_ke_serves_good 2
check "and the requests" at_least nts_server_recv_good 4
info() { on host "$peers/ntpq" -c ntsinfo | tee /dev/stderr | grep -qE 'NTS server sends: +[1-9]'; }
check "NTPsec's ntpq shows them" info
# What is counted goes on between the two.
alike() {
    local ours theirs
    theirs=$(on host "$peers/ntpq" -c ntsinfo); ours=$(on host "$rsntpq" -c ntsinfo)
    [ "$(wc -l <<< "$theirs")" = 17 ] && diff <(head -17 <<< "$ours") <(cat <<< "$theirs")
}
check "rsntpq shows the same, to the letter" within 10 alike
more() { on host "$rsntpq" -c ntsinfo | tail -n +18 | tee /dev/stderr | grep -cE '^NTS KE (serves (no TLS|refused)|client bad (name|connect|TLS|answer)): +0$' | grep -qx 6; }
check "and, of a server that has had good clients only, six zeros" more
# The certificate that clients are shown, as openssl reads it.
end_of() { date -ud "$(openssl x509 -enddate -noout -in "$work/tls/cert.pem" | cut -d= -f2)" "$@"; }
valid_to() { on host "$rsntpq" -c ntsinfo | tee /dev/stderr | grep -qx "NTS certificate valid to: * $(end_of '+%F %T UTC')"; }
check "rsntpq shows until when the certificate is valid" valid_to
metric() { on host "$rsntpq" metrics | grep nts | tee /dev/stderr | grep -qxF -- "$1"; }
expires() { metric "rsntp_nts_certificate_not_after_timestamp_seconds $(end_of +%s)"; }
check "and a metric does" expires
head_of() { diff <(on lan "$peers/chronyc" -h "$work/chrony/chronyd.sock" -n authdata | head -2) <(on host "$rsntpq" -c authdata | head -2); }
check "the head of authdata is chronyc's" head_of
other() { on out "$rsntpq" -n -c authdata 127.0.0.1 | tee /dev/stderr | grep -qE '^10\.199\.255\.1 +NTS +(- +){6}[1-8] +-$'; }
check "and what NTPsec reports is in it: its cookies" other

# Debian 13's, for as long as these rows take: chronyd as it is, and as before 4.6.1 without its record 1024; ntpd-rs.
new=${peers%/*}/debian13/bin newer=()
if [ -x "$new/chronyd" ] && gcc -O2 -shared -fPIC -o "$work/oldchrony.so" "$top/tests/system/cage/oldchrony.c" 2> "$work/log/oldchrony"; then
    for mode in none both; do
        mkdir -m 700 "$work/$mode"
        sed "s,$work/chrony/,$work/$mode/,; s,$work/chronyd,$work/$mode," "$work/chrony.conf" > "$work/$mode.conf"
        PRELOAD=$work/oldchrony.so OLDCHRONY=$mode with_hosts lan "$new/chronyd" -x -d -u root -f "$work/$mode.conf" > "$work/log/chronyd-$mode" 2>&1 & newer+=($!)
    done
else skip "AEAD 30 with chronyd: no chronyd of Debian 13 (tests/system/peers.sh debian13), or no gcc"; fi
# ntpd-rs ends where it cannot set the clock.
if [ -x "$new/ntp-daemon" ] && gcc -O2 -shared -fPIC -o "$work/stillclock.so" "$top/tests/system/cage/stillclock.c" 2> "$work/log/stillclock"; then
    cat > "$work/ntpd-rs.toml" <<TOML
[[source]]
mode = "nts"
address = "ke.test:4460"
certificate-authority = "$work/tls/ca.pem"
[source-defaults]
poll-interval-limits = { min = 3, max = 4 }
initial-poll-interval = 3
[synchronization]
minimum-agreeing-sources = 1
[observability]
observation-path = "$work/ntpd-rs.sock"
TOML
    PRELOAD=$work/stillclock.so with_hosts out "$new/ntp-daemon" -c "$work/ntpd-rs.toml" > "$work/log/ntpd-rs" 2>&1 & newer+=($!)
else skip "ntpd-rs as a client: there is none (tests/system/peers.sh debian13), or no gcc"; fi
pids+=("${newer[@]}")
# MODE RECORD…: what became of record 1024; then the type and the length of the key, no NAK, cookies and their length; and the source.
takes30() {
    local record mode=$1; shift
    for record in "$@"; do grep "record 1024 $record" "$work/log/chronyd-$mode" || return 1; done
    [ "$(grep -c 'record 1024' "$work/log/chronyd-$mode")" = $# ] || return 1
    on lan "$new/chronyc" -h "$work/$mode/chronyd.sock" -N authdata | tail -1 | tee /dev/stderr | awk '$2 == "NTS" && $4 == 30 && $5 == 128 && $8 == 0 && $9 == 8 && $10 == 72 {f = 1} END {exit !f}' &&
        on lan "$new/chronyc" -h "$work/$mode/chronyd.sock" -N sources | tee /dev/stderr | grep -qE '^\^\* ke\.test '
}
if [ -d "$work/none" ]; then
    check "chronyd 4.6.1 follows the server by AEAD 30: keys of the standard, by record 1024" within 20 takes30 none 'sent$' 'received$'
    check "and without the record, as before 4.6.1, by chrony's old keys" within 20 takes30 both 'sent, and taken out'
fi
rust() { on out "$new/ntp-ctl" status -c "$work/ntpd-rs.toml" | tee /dev/stderr | tr '\n' ' ' | grep -qE 'Stratum: 5 .*10\.199\.255\.1:123 \[NTS\].* missing polls: 0 .* NTS cookies: 8/8'; }
[ ! -e "$work/ntpd-rs.toml" ] || check "ntpd-rs follows it, with eight cookies" within 20 rust
for pid in "${newer[@]}"; do kill "$pid"; wait "$pid"; done 2> /dev/null

# A key exchange by openssl, of which only the length of the answer is looked at.
exchange() { # HOST
    printf '\x80\x01\x00\x02\x00\x00\x80\x04\x00\x02\x00\x0f\x80\x00\x00\x00' |
        on "$1" timeout 5 openssl s_client -quiet -alpn ntske/1 -connect 10.199.255.1:4460 -CAfile "$work/tls/ca.pem" 2> "$work/log/s_client" | wc -c
}
whole() { local length; length=$(exchange "$1"); echo "$length bytes"; [ "$length" = "${2:-880}" ]; }
check "openssl gets eight cookies" whole s1
stall() { # HOST COUNT SECONDS [ADDRESS…]: so many connections of each address, that say nothing
    on "$1" python3 - "${@:2}" <<'PY'
import socket, sys, time
open_ = []
for own in sys.argv[3:] or ["0.0.0.0"]:
    for i in range(int(sys.argv[1])):
        s = socket.socket(); s.settimeout(1); s.bind((own, 0))
        try: s.connect(("10.199.255.1", 4460))
        except OSError: break
        open_.append(s)
time.sleep(float(sys.argv[2]))
PY
}
stall s2 300 6 & stalled=$!; pids+=($!)
sleep 0.7
check "and gets them while another holds 300 connections" whole s1
wait $stalled
limited() { local i; for i in 1 2 3 4 5 6 7 8 9; do exchange s3; done | tee /dev/stderr | tail -1 | grep -qx 0; }
check "an address that wants the ninth in a minute gets none" limited
refused() { local n; n=$(counter nts_ke_serves_refused); echo "$n refused"; [ "$n" -ge 1 ] && metric "rsntp_nts_ke_server_total{result=\"refused\"} $n"; }
check "it is counted as refused" refused
bad() { printf 'GET / HTTP/1.0\r\n\r\n' | on out timeout 3 bash -c 'exec 3<>/dev/tcp/10.199.255.1/4460; cat >&3; cat <&3' > /dev/null; at_least nts_ke_serves_nossl 10; }
check "who speaks no TLS is counted" within 5 bad

end() { local old=$daemon old_ke; old_ke=$(ke); kill "$old"; within 5 gone "$old" && within 5 gone "$old_ke"; }
gone() { [ ! -d "/proc/$1" ]; }
again() { launch "$@" && daemon=$(cat "$work/run/rsntpd.pid"); }
# CVE-2024-38528: a process that could open no more files ended.
check "the daemon ends, and the other process with it" end
crowded() { in_host prlimit --nofile=100:100 "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$work/log/rsntpd" -c "$conf" && daemon=$(cat "$work/run/rsntpd.pid"); }
check "it starts where it may open 100 files" crowded
full() { local open; open=$(ls "/proc/$(ke)/fd" | wc -l); echo "$open open"; [ "$open" -ge 100 ]; }
alive() { [ -d "/proc/$(ke)" ] && ! grep -q 'NTS key exchange (process' "$work/log/rsntpd"; }
busy() { local before after; before=$(awk '{print $14 + $15}' "/proc/$(ke)/stat"); sleep 1; after=$(awk '{print $14 + $15}' "/proc/$(ke)/stat"); echo "$((after - before)) ticks"; [ $((after - before)) -lt 30 ]; }
sed -i 's/^nts enable/nts enable connections 200/' "$conf"
end; crowded
own=(); for i in {1..14}; do on host ip addr add "10.199.254.$i/32" dev lo; own+=("10.199.254.$i"); done
stall host 8 4 "${own[@]}" & stalled=$!; pids+=($!)
check "as many files are open as may be" within 3 full
check "it does not spin" busy
check "and lives" alive
wait $stalled
check "afterwards keys are exchanged again" within 8 whole s1

check "the daemon ends, and the other process with it" end
check "it starts again" again
check "cookies by the keys that it had are good" within 20 at_least nts_cookie_decode_current 3
check "no client was sent away" fields '$8 == 0 && $9 == 8'
end
sed -i 's/^T: .*/T: 1000000000/' "$keys"
check "it starts with keys that are long due" again
check "cookies by the key before are good" within 20 at_least nts_cookie_decode_old 1
check "and then, when those are spent, by the new one" within 90 at_least nts_cookie_decode_current 1
check "no client was sent away" fields '$8 == 0 && $9 == 8'
end
printf 'T: 5\nL: 32\nI: x\n' > "$keys"
check "it starts with a file that makes no sense" again
aside() { grep 'NTS keys.*line 3: expected I:' "$work/log/rsntpd" && [ "$(tail -1 "$keys.bad")" = "I: x" ]; }
check "the file is kept aside, and its line named" aside
nak() { fields '$7 == 0 && $8 == 0 && $9 == 8' && at_least nts_cookie_decode_current 2; }
check "chronyd gets a NAK, exchanges keys, and goes on" within 60 nak
check "which was counted" at_least nts_cookie_decode_too_old 1
end
rm "$keys"; sed -i 's/^nts enable.*/& port 4123/' "$conf"
check "it starts with a second port, and new keys" again
port() { on lan "$peers/chronyc" -h "$work/chrony/chronyd.sock" -n ntpdata | grep -E 'Remote port|Authenticated' | tee /dev/stderr | tr -s ' ' | tr '\n' ' ' | grep -q 'Remote port : 4123 .*Authenticated : Yes'; }
check "to which chronyd is sent, and where it is answered" within 60 port
end
check "it starts with workers" again --server-only --workers 2
check "whose answers are authenticated" within 20 at_least nts_server_recv_good 3
rotated() { grep -c '^I:' "$keys"; kill -HUP "$daemon"; sleep 1; at_least nts_server_recv_bad 0; }
check "a SIGHUP changes nothing" rotated
silent() { ! grep 'NTS certificate' "$work/log/rsntpd"; }
check "and the certificate is not read without need" silent
cp "$work/tls/cert-40.pem" "$work/tls/new" && chmod 644 "$work/tls/key.pem" && mv "$work/tls/new" "$work/tls/cert.pem"
reread() { kill -HUP "$daemon"; sleep 1; grep 'NTS certificate read again' "$work/log/rsntpd"; }
check "a new certificate is read when the signal comes" within 5 reread
# With the record of the second port.
check "and shown" whole s2 886
check "and the metric is that of the new one" within 5 expires
check "no client was sent away" fields '$8 == 0 && $9 == 8'
without() { ! on host "$rsntpq" -c ntsinfo | tee /dev/stderr | grep -q '^NTS certificate'; }
kill -KILL "$(ke)"
check "without the process that exchanges keys there is no certificate" within 5 without
check "the daemon ends, and all its processes" end
verdict
