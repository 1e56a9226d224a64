#!/bin/bash
# The daemon as a process: the parent's exit status, user and capabilities, reload, restart, a port
# that is taken, the drift file at the end.
set -u
. "$(dirname "$0")/lib.sh"
needs daemon
world_up; server_up s1; server_up s2
conf=$work/ntp.conf
printf 'driftfile /var/lib/ntp/drift\nserver 210.72.145.44 iburst minpoll 3 maxpoll 3\n' > "$conf"
launch() { in_host "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$work/log/rsntpd" -c "$conf" "$@"; }
touch "$work/log/rsntpd"; chmod 666 "$work/log/rsntpd"
check "the parent exits with 0 once the child serves" launch
daemon=$(cat "$work/run/rsntpd.pid")
serves() { on lan "$peers/ntpdig" -j -t 2 10.199.255.1; }
check "it serves" within 12 serves
caps() { cat "/proc/$daemon/status" | grep -E 'Cap|Uid|Groups'; grep -q 'CapEff:.*0000000000000400' "/proc/$daemon/status" && grep -qE 'Uid:\s+38' "/proc/$daemon/status"; }
check "it runs as user 38 with CAP_NET_BIND_SERVICE (CAP_SYS_TIME was withheld)" caps
no_newline() { [ "$(wc -l < "$work/run/rsntpd.pid")" = 0 ]; }
check "the pid file has no newline" no_newline
taken() { out=$(in_host "$rsntpd" -p /var/run/second.pid -c "$conf" 2>&1); s=$?; echo "$s: $out"; [ $s != 0 ] && grep -qi 'in use' <<< "$out"; }
check "a second daemon fails loudly: the port is taken" taken
still() { kill -0 "$daemon"; }
check "and the first one goes on" still
synced() { ntpq -pn | grep -E '^\*210'; }
check "it is synchronised" within 20 synced
printf 'server 202.112.10.36 iburst minpoll 3 maxpoll 3\n' >> "$conf"; chmod 644 "$conf"
kill -HUP "$daemon"
both() { ntpq -pn | grep -E '^[*+]202' && ntpq -pn | grep -E '^[*+]210'; }
check "SIGHUP: a new server is taken in" within 20 both
lost() { ! grep -E 'no servers reachable' "$work/log/rsntpd"; }
check "SIGHUP: synchronisation was not lost" lost
printf 'bogus line\n' >> "$conf"; kill -HUP "$daemon"
kept() { grep -q 'old configuration stays' "$work/log/rsntpd" && ntpq -pn | grep -E '^[*+]202'; }
check "SIGHUP: a bad file keeps the old configuration and says so" within 5 kept
on host ip addr add 10.199.255.2/24 dev eth0
second_address() { on lan "$peers/ntpdig" -j -t 2 10.199.255.2; }
check "an address that comes is served" within 8 second_address
on host ip addr del 10.199.255.2/24 dev eth0
check "and when it goes the daemon stays" within 5 serves
ended() { ! kill -0 "$daemon" 2>/dev/null; }
kill -TERM "$daemon"
check "SIGTERM ends it" within 5 ended
verdict
