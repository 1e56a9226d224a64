#!/bin/bash
# What the configuration makes of files, sockets, log and ntpq: statistics files of the user we drop to,
# a leap second file, interface rules, logconfig, setvar, both pid files, a late log file.
set -u
. "$(dirname "$0")/lib.sh"
needs effects
world_up; server_up s1
on host ip addr add 10.199.255.3/24 dev eth0
mkdir -p "$work/varlib/stats"; chown 38:38 "$work/varlib/stats"
# TAI-UTC grows at the end of this month, by a file that is good for another hundred days.
month_end=$(next_month)
leap_file "$month_end" 38 > "$work/varlib/leap"
cat > "$work/ntp.conf" <<C
server 210.72.145.44 iburst minpoll 3 maxpoll 3
statsdir /var/lib/stats
statistics loopstats peerstats rawstats protostats
filegen peerstats file peers type month nolink
filegen rawstats file raw type none
leapfile /var/lib/leap
interface ignore all
interface listen 10.199.255.1
logconfig =syncall +sysevents
logfile /var/lib/late.log
pidfile /var/lib/second.pid
setvar site = Basel default
setvar hidden = value
tinker allan 12
C
: > "$work/varlib/late.log"; chown 38:38 "$work/varlib/late.log"
daemon_up -c "$work/ntp.conf" -u 38:38 -p /var/run/rsntpd.pid
follows() { ntpq -pn | tee /dev/stderr | grep -qE '^\*210\.72'; }
check "it follows its server" within 20 follows
pids_agree() { a=$(cat "$work/run/rsntpd.pid") b=$(cat "$work/varlib/second.pid"); echo "$a $b"; [ -n "$a" ] && [ "$a" = "$b" ]; }
check "both pid files name it" pids_agree
day=$(date -u +%Y%m%d) month=$(date -u +%Y%m)
stats=$work/varlib/stats
files() { ls -ln "$stats"; [ -s "$stats/loopstats.$day" ] && [ -s "$stats/protostats.$day" ] && [ -s "$stats/peers.$month" ] && [ -s "$stats/raw" ] && [ ! -e "$stats/peers" ]; }
check "statistics files by type and name" within 15 files
owner() { stat -c '%u:%g %a %n' "$stats"/*; ! stat -c '%u:%g %a' "$stats"/* | grep -v '^38:38 644$'; }
check "they belong to the user we dropped to" owner
linked() { [ "$stats/loopstats" -ef "$stats/loopstats.$day" ]; }
check "the plain name is a link to today's" linked
forms() {
    cat "$stats/loopstats" "$stats/peers.$month" "$stats/raw"
    ! grep -vE '^[0-9]{5} [0-9]+\.[0-9]{3} -?[0-9]+\.[0-9]{9} -?[0-9]+\.[0-9]{3} [0-9]+\.[0-9]{9} [0-9]+\.[0-9]{6} [0-9]+$' "$stats/loopstats" &&
    ! grep -vE '^[0-9]{5} [0-9]+\.[0-9]{3} 210\.72\.145\.44 [0-9a-f]{4}( -?[0-9]+\.[0-9]{9}){4}$' "$stats/peers.$month" &&
    ! grep -vE '^[0-9]{5} [0-9]+\.[0-9]{3} 210\.72\.145\.44 10\.199\.255\.[13]( [0-9]{10}\.[0-9]{9}){4}$' "$stats/raw"
}
check "each line has ntpd's form" forms
mv "$stats/raw" "$stats/raw.old"; rm "$stats/loopstats"; kill -HUP "$(cat "$work/run/rsntpd.pid")"
anew() { [ -s "$stats/raw" ] && linked; }
check "after SIGHUP the files are opened and linked anew" within 20 anew
open_stats() { ls -l "/proc/$(cat "$work/run/rsntpd.pid")/fd" | grep -o '/var/lib/stats/.*' | sort; }
no_leak() { open_stats; [ -n "$(open_stats)" ] && [ -z "$(open_stats | uniq -d)" ] && ! open_stats | grep -E 'old|deleted'; }
check "no file is open twice or left open" no_leak

rv() { ntpq -c "rv 0 $1" | tee /dev/stderr | grep -q "$2"; }
leap_armed() { rv leap 'leap=01'; }
check "the leap second of the file is armed" within 10 leap_armed
check "tai is shown" rv tai 'tai=37'
check "leapsec is shown" rv leapsec "leapsec=$(date -u -d "@$month_end" +%Y%m%d%H%M)"
leap_file "$month_end" 38 | sed 's|^#@ .|#@ 3|' > "$work/varlib/leap"; kill -HUP "$(cat "$work/run/rsntpd.pid")"
log() { grep -qE "$1" "$work/varlib/late.log" || { cat "$work/varlib/late.log"; false; }; }
check "a file whose hash does not match is reported and not used" within 10 log 'hash .*does not match.*not used'
check "and the leap second stays armed" rv leap 'leap=01'
leap_file "$month_end" 36 > "$work/varlib/leap"; kill -HUP "$(cat "$work/run/rsntpd.pid")"
leap_deleted() { rv leap 'leap=10'; }
check "a new file is read at SIGHUP" within 20 leap_deleted

plain_rv() { ntpq -c rv | tee /dev/stderr | tr -d '\n' | grep -qE 'site="?Basel' && ! ntpq -c rv | grep -q hidden; }
check "setvar ... default is in the plain list, the other is not" plain_rv
check "but by name" rv hidden 'hidden="*value'
dig() { on lan "$peers/ntpdig" -j -t 3 "$1" 2>&1 | tee /dev/stderr | grep -qE '"stratum": ?2'; }
check "the address that is listened on answers" dig 10.199.255.1
silent() { ! dig "$1"; }
check "an ignored one does not, by no other socket either" silent 10.199.255.3
unbound() { on host ss -lun; ! on host ss -lun | grep -q '10.199.255.3:123'; }
check "and has no socket" unbound
check "ntpq on the machine itself works" rv stratum 'stratum=2'
check "log: early lines went elsewhere, late ones to logfile" log 'restart'
quiet() { cat "$work/varlib/late.log"; ! grep -qE ' (mobilize|reachable)$' "$work/varlib/late.log"; }
check "log: peer events are left out as logconfig says" quiet
check "log: whom it follows is in" log 'synchronized to 210\.72'
check "log: CAP_SYS_TIME is missing, whatever logconfig says" log 'cannot adjust the system clock'
reason() { on host "$rsntpd" --check "$work/ntp.conf" 2>&1 | tee /dev/stderr | grep -A6 'allan has no effect' | grep -q 'the time constant follows'; }
check "a setting without effect is told with its reason" reason
check "SIGTERM ends it with status 0" daemon_down
verdict
