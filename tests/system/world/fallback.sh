#!/bin/bash
# All servers fall silent: the local clock takes over at stratum 10; they come back and win again.
# The walk's configuration with polls of 8 s, so that reach runs out in a minute.
set -u
. "$(dirname "$0")/lib.sh"
needs fallback
world_up; servers_up
sed -E 's/^(server +[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)/\1 minpoll 3 maxpoll 3/; s/minpoll 3 maxpoll 3 *(#|$)/minpoll 3 maxpoll 3 \1/; /^server +127/s/ minpoll 3 maxpoll 3//' \
    "$top/conf/walk.conf" > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
follows() { ntpq -pn | grep -E "^\*$1"; }
check "a server is followed first" within 25 follows '(210|202|59)'
for h in s1 s2 s3; do p="pid_$h"; kill -STOP "${!p}"; done
check "all servers silent: LOCAL takes over" within 110 follows 'LOCAL\(0\)'
stratum() { on lan "$peers/ntpdig" -j -t 3 10.199.255.1 | tee /dev/stderr | grep -q "\"stratum\": *$1[,}]"; }
check "clients get time at stratum 11" within 10 stratum 11
logged() { grep -q "$1" "$work/log/rsntpd"; }
check "the log says so" logged 'synchronized to LOCAL(0), stratum 10'
for h in s1 s2 s3; do p="pid_$h"; kill -CONT "${!p}"; done
check "servers back: one of them wins again" within 75 follows '(210|202|59)'
check "clients get time at stratum 2" within 10 stratum 2
check "SIGTERM ends it with status 0" daemon_down
verdict
