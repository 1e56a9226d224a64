#!/bin/bash
# --explain says what the running daemon does: under several sets of restrict lines, clients with several addresses ask for
# the time and with mode 6, and each response, or none, is compared with the sentences printed for that address.
set -u
. "$(dirname "$0")/lib.sh"
needs explain
world_up; world_v6
secret=000102030405060708090a0b0c0d0e0f
printf '1 M %s\n' $secret > "$work/keys"
chmod 600 "$work/keys"
# host -> client address -> server address
clients() {
    echo "lan 10.199.255.50 10.199.255.1"
    echo "out 198.51.100.7 10.199.255.1"
    echo "s1 210.72.145.44 10.199.255.1"
    echo "s2 202.112.10.36 10.199.255.1"
    echo "lan fd77::50 fd77::1"
    echo "s3 fd77::3 fd77::1"
    echo "host 127.0.0.1 127.0.0.1"
    echo "host ::1 ::1"
    echo "host 10.199.255.1 10.199.255.1"
}
agrees() { # HOST CLIENT SERVER
    on host "$rsntpd" --explain "$2" "$work/ntp.conf" | on "$1" python3 "$top/tests/system/world/ask.py" "$3" "$2"
}
# The daemon has its sockets when ss shows the last one.
bound() { on host ss -lun | grep -qE '10\.199\.255\.1(%[a-z0-9]+)?:123'; }
serving() { within 10 bound; }
try() { # NAME, the restrict lines on standard input
    local name=$1 h client server
    { echo "server 127.127.1.0"; echo "fudge 127.127.1.0 stratum 10"; cat; } > "$work/ntp.conf"
    daemon_up -c "$work/ntp.conf"
    serving
    while read -r h client server; do
        check "$name: $client" agrees "$h" "$client" "$server"
    done < <(clients)
    daemon_down > /dev/null
    rm -f "$work/run/rsntpd.pid"
}
try "no restrict lines" < /dev/null
try "the usual default" <<'C'
restrict default nomodify notrap nopeer noquery
restrict 127.0.0.1
restrict ::1
restrict 10.199.255.0 mask 255.255.255.0 nomodify notrap
C
try "everything ignored, holes for some" <<'C'
restrict default ignore
restrict 127.0.0.1
restrict 198.51.100.7 noquery
restrict 202.112.0.0 mask 255.255.0.0 nomodify nomrulist
restrict -6 fd77::3
C
try "noserve, version and notrust" <<'C'
restrict default noserve
restrict 10.199.255.50 version
restrict 198.51.100.7 notrust
restrict 210.72.145.44 version notrust noquery
restrict fd77:: mask ffff:: version nomrulist
C
try "ntpport" <<'C'
restrict default ignore ntpport
restrict 10.199.255.0 mask 255.255.255.0 noserve ntpport
restrict 198.51.100.7 noquery ntpport
restrict 198.51.100.7 version
restrict -6 default noquery
C
try "limited with and without kod" <<'C'
restrict default limited kod nomodify noquery
restrict 198.51.100.7 limited
restrict 127.0.0.1
restrict -6 ::1
C
try "lines that ntpd reads otherwise" <<'C'
restrict 10.199.255.0/24 noquery
restrict default nomodify bogus ntpport noquery
restrict -4 210.72.145.44 mask 255.255.255.0 noserve
restrict [fd77::3]:123 noserve
restrict -6 198.51.100.7 ignore
restrict 0.0.0.7 mask 0.0.0.255 noquery
C
try "our own servers" <<'C'
restrict default ignore
restrict source nomodify nomrulist
server 210.72.145.44
server 202.112.10.36
restrict 202.112.10.36 noquery
server fd77::3
C
refused() { "$rsntpd" --explain "$1" "$work/ntp.conf" | grep -q 'no client has this address'; }
check "a multicast address is nobody's" refused 224.0.1.1
check "nor is 0.0.0.0" refused 0.0.0.0
mapped() { [ "$("$rsntpd" --explain ::ffff:10.199.255.50 "$work/ntp.conf")" = "$("$rsntpd" --explain 10.199.255.50 "$work/ntp.conf")" ]; }
check "an address in the form ::ffff:a.b.c.d is explained as the IPv4 address it is" mapped
asks() { # HOST CLIENT: whether the original ntpq gets its variables
    timeout 10 ip netns exec "$(world_ns "$1")" "$peers/ntpq" -n -c "rv 0 stratum" 10.199.255.1 2>&1 | grep -q 'stratum='
}
printf 'server 127.127.1.0\nrestrict default noquery\nrestrict 10.199.255.0 mask 255.255.255.0\n' > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
serving
check "ntpq: the LAN may ask, as explained" asks lan
denied() { ! asks out; }
check "ntpq: a client from outside may not, as explained" denied
daemon_down > /dev/null
verdict
