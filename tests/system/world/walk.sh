#!/bin/bash
# The administrator's walk: rsntpd on an ntp.conf as it is, seen with ntpq, ntpstat, ss and by clients.
# usage: walk.sh CONF
set -u
. "$(dirname "$0")/lib.sh"
conf=$(realpath "$1")
needs "walk on $1"
world_up; servers_up
echo "# rsntpd -c $1"
start=$SECONDS
daemon_up -c "$conf" -g

rows() { ntpq -pn | tail -n +3; }
converged() {
    local table; table=$(rows); echo "$table"
    [ "$(grep -cE '^[*+-](210\.72\.145\.44|202\.112\.10\.36|59\.124\.196\.83) ' <<< "$table")" = 3 ] &&
    [ "$(grep -c '^\*' <<< "$table")" = 1 ] && ! grep -q '^\*127' <<< "$table" &&
    tail -1 <<< "$table" | grep -qE 'LOCAL\(0\) .*\.LOCL\. +10 l '
}
check "ntpq -pn within 20 s: three servers, one *, LOCAL last" within 20 converged
echo "#   after $((SECONDS - start)) s:"; ntpq -pn | sed 's/^/#   /'
reach() { rows | awk '$1 ~ /210.72/ {print $7}'; }
first=$(reach)
synchronised() { on host "$peers/ntpstat"; on host "$peers/ntpstat" | grep -q 'synchronised to NTP server (.*) at stratum 2'; }
check "ntpstat: synchronised at stratum 2" synchronised
exit_of_ntpstat() { on host "$peers/ntpstat" >/dev/null; }
check "ntpstat exits 0" exit_of_ntpstat
no_prefer() { ntpq -c "rv 0" | grep -E 'leap_none, sync_ntp' ; }
check "rv: leap_none, sync_ntp" no_prefer
sockets() {
    local table; table=$(on host ss -lunp); echo "$table"
    for a in 0.0.0.0 127.0.0.1 10.199.255.1 '\[::\]' '\[::1\]'; do
        grep -qE " ($a|\*)(%[a-z0-9]+)?:123 .*rsntpd" <<< "$table" || { echo "nothing on $a"; return 1; }
    done
}
check "ss -lunp: wildcard and a socket per address, both families" sockets

printf 'server 10.199.255.1 iburst minpoll 4\ncmdport 0\npidfile %s/lan.pid\n' "$work" > "$work/lan.conf"
lan_client() { timeout 25 ip netns exec "$(world_ns lan)" setpriv --bounding-set -sys_time --inh-caps -sys_time -- \
    "$peers/chronyd" -x -Q -t 20 -u root -f "$work/lan.conf"; }
lan_agrees() { lan_client 2>&1 | tee /dev/stderr | grep -q 'System clock wrong by -\?0\.00'; }
check "a chronyd client in the LAN takes the time from it" lan_agrees
outside() { ! timeout 10 ip netns exec "$(world_ns out)" "$peers/ntpdig" -t 3 10.199.255.1; }
check "a client from outside gets no answer" outside
outside_query() { ! timeout 10 ip netns exec "$(world_ns out)" "$peers/ntpq" -pn 10.199.255.1 | grep -q 210.72; }
check "nor may it ask with ntpq" outside_query
lan_query() { timeout 10 ip netns exec "$(world_ns lan)" "$peers/ntpq" -pn 10.199.255.1 | grep -q '210\.72'; }
check "the LAN may ask with ntpq (nomodify notrap only)" lan_query

log() { grep -qE "$1" "$work/log/rsntpd" || { cat "$work/log/rsntpd"; false; }; }
check "log: the misspelt prefer, with line, column and remedy" log 'line [0-9]+ column [0-9]+: unknown keyword "perfer", did you mean prefer'
check "log: synchronized to" log 'synchronized to (210|202|59)[0-9.]+, stratum 1$'
once() { [ "$(grep -c 'cannot adjust the system clock' "$work/log/rsntpd")" = 1 ]; }
check "log: no permission to steer, once and loudly" once
check "log: a missing includefile is a line" log '/etc/ntp/crypto/pw'
grows() { [ "$((8#$(reach)))" -gt "$((8#$first))" ]; }
lean() { grep VmRSS "/proc/$(cat "$work/run/rsntpd.pid")/status" | tee /dev/stderr | awk '{exit !($2 > 0 && $2 <= 4096)}'; }
check "it takes no more than 4 MB" lean
check "reach grows with the next poll" within 75 grows
check "SIGTERM ends it with status 0" daemon_down
verdict
