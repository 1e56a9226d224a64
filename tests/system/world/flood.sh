#!/bin/bash
# Floods with forged sources against the daemon in namespaces: octets on the victim's wire for octets on the
# attacker's, headers included. Meanwhile a client association keeps time, and clients are served.
set -u
. "$(dirname "$0")/lib.sh"
needs "floods"
python=$(command -v python3) || { skip "floods: no python3"; verdict; exit; }
world_up; servers_up
cat > "$work/ntp.conf" <<'CONF'
server 210.72.145.44 iburst minpoll 3 maxpoll 3
server 127.127.1.0
fudge 127.127.1.0 stratum 10
restrict default nomodify notrap nopeer
restrict 198.51.100.7 nomodify notrap nopeer noquery
restrict 127.0.0.1
CONF
daemon_up -c "$work/ntp.conf"
follows() { ntpq -pn | grep -E '^\*210'; }
check "a server is followed" within 25 follows
octets() { on "$1" cat "/sys/class/net/eth0/statistics/$2_bytes"; }
count=20000 lan=10.199.255.50 out=198.51.100.7 host=10.199.255.1
plain=23$(printf '00%.0s' {1..39})0123456789abcdef
flood() { # WHAT LIMIT SOURCE PORT HEX…: the factor; the victim is `out`, or nobody where the source is another
    local what=$1 limit=$2 source=$3 port=$4 hex=$5
    local victim_before sent_before
    victim_before=$(octets out rx); sent_before=$(octets lan tx)
    on lan "$python" "$top/tests/system/world/spoof.py" "$source" "$port" $host $count "$hex"
    sleep 0.3
    factor=$(awk -v o="$(($(octets out rx) - victim_before))" -v i="$(($(octets lan tx) - sent_before))" 'BEGIN {printf "%.4f", (i > 0 ? o / i : 99)}')
    at_most() { awk -v f="$factor" -v l="$limit" 'BEGIN {exit !(f != "" && f + 0 <= l)}'; }
    check "$what: $factor octets for one (at most $limit)" at_most
}
flood "requests" 1.001 $out 40000 "$plain"
flood "requests with a forged code" 1.001 $out 40000 "${plain}00000001$(printf '77%.0s' {1..16})"
flood "mode 6, where noquery stands" 0.001 $out 40000 160200010000000000000000
flood "mode 7, monlist" 0.001 $out 40000 1700032a00000000
flood "broadcasts" 0.001 $out 123 "25${plain:2}"
flood "our own address" 0.001 $host 123 "$plain"
flood "port 0" 0.001 $out 0 "$plain"
flood "port 19" 0.001 $out 19 "$plain"
flood "no octets" 0.001 $out 40000 ""
# Without noquery an answer may be longer than its question; then their number is bounded.
sed -i '/198.51.100.7/d' "$work/ntp.conf"; kill -HUP "$(cat "$work/run/rsntpd.pid")"; sleep 0.5
before=$(octets out rx); start=$SECONDS
flood "mode 6, where it is allowed" 99 $out 40000 160200010000000000000000
# 300 datagrams at once and 100 a second (src/engine/control/bound.rs), of 480 octets and headers.
bounded() { local got=$(($(octets out rx) - before)); echo "$got octets"; [ $got -le $((540 * (300 + 100 * (SECONDS - start + 1)))) ]; }
check "of which there are 300, and 100 a second" bounded
big() { on lan "$python" -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(500): s.sendto(b'\x23' + bytes(65000), ('$host', 123))
s.settimeout(0.5)
try: s.recv(100000); raise SystemExit('answered')
except TimeoutError: pass"; }
check "65,001 octets: no answer" big
reached() { [ "$(ntpq -pn | awk '/210.72/ {print $7}')" = 377 ]; }
check "the association goes on: reach 377" within 70 reached
serves() { on lan "$peers/ntpdig" -j -t 2 $host; }
check "clients are served" within 5 serves
quiet() { [ "$(wc -l < "$work/log/rsntpd")" -lt 60 ] || { tail -5 "$work/log/rsntpd"; false; }; }
check "the log did not grow: $(wc -l < "$work/log/rsntpd") lines" quiet
check "SIGTERM ends it with status 0" daemon_down
verdict
