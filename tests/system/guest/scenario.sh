#!/bin/sh
# Runs inside the guest (busybox): the daemon on a real kernel clock. CASE says what is to be shown.
# What it prints is judged outside, by clock.sh.
. /case
ntpd=/usr/sbin/rsntpd
conf() { printf 'driftfile /var/lib/ntp/drift\nserver 10.0.2.2 iburst minpoll 3 maxpoll 4\n%s\n' "$1" > /etc/ntp.conf; }
conf ""; ln -s rsntpq /usr/sbin/rsntpdate
[ -f /drift ] && { cp /drift /var/lib/ntp/drift; chown 38:38 /var/lib/ntp/drift; }
show() { echo "KERNEL $1"; adjtimex | grep -E 'freq|status|offset|tick'; }
stop() { kill -TERM "$(cat /var/run/rsntpd.pid)"; wait_end; }
wait_end() { n=0; while [ -d "/proc/$pid" ] && [ $n -lt 50 ]; do usleep 100000; n=$((n+1)); done; }
start() { $ntpd -u ntp:ntp -p /var/run/rsntpd.pid "$@"; echo "START-STATUS $?"; pid=$(cat /var/run/rsntpd.pid); }
behind() { # MICROSECONDS: sets the clock back by them and what date takes
    # The shell's own variable: on a slow machine each `date' takes 20 ms.
    s=$EPOCHSECONDS; while [ "$EPOCHSECONDS" = "$s" ]; do :; done; usleep "$1"; date -s "@$EPOCHSECONDS" > /dev/null
}
# The middle one of three offsets: samples of one run are 2 s apart, in which the kernel slews some of it out.
off_by() {
    for n in 1 2 3; do rsntpdate -q -p 1 10.0.2.2 2>&1 | tail -1 | sed -n 's/.* offset \(-\?[0-9.]*\) .*/\1/p'; done |
        awk '{ v[NR] = $1 + 0 } END { if (NR) print v[1] + v[2] + v[3] - max(v) - min(v) }
             function max(v, m, i) { m = v[1]; for (i in v) if (v[i] > m) m = v[i]; return m }
             function min(v, m, i) { m = v[1]; for (i in v) if (v[i] < m) m = v[i]; return m }'
}
wrong() { # MICROSECONDS LEAST MOST: right at first, then behind by so much, at least and at most (s).
    # A loaded machine needs several tries.
    for try in 1 2 3 4 5 6 7 8; do
        $ntpd -q -g; behind "$1"
        o=$(off_by); awk "BEGIN {exit !($2 < $o + 0 && $o + 0 < $3)}" && break
        echo "AGAIN $o"; date -s "@$(($(date +%s) + 100))" > /dev/null
        [ $try = 8 ] && echo "TOO-SLOW"
    done
    echo "WRONG-AT $(uptime)"
}
uptime() { cut -d' ' -f1 /proc/uptime; }
gliding() { adjtimex | grep -qE 'offset: +-?[1-9]'; }
measure() { for n in $(seq 1 "$2"); do echo "OFFSET $1 $(uptime) $(rsntpdate -q -p 2 10.0.2.2 2>&1 | tail -1)"; show "$1"; done; }
echo "DATE-BEFORE $(date +%s)"
case $CASE in
step | novdso)
    echo "VDSO $(grep -c vdso /proc/self/maps)"
    start -g
    echo "SECCOMP $(sed -n 's/^Seccomp:[^0-9]*//p' "/proc/$pid/status")"
    sleep 40; show running
    echo "DATE $(date +%s)"
    grep -E 'Cap(Eff|Prm)|^[UG]id' "/proc/$pid/status"
    sleep 60; show later
    stop; echo "DRIFT $(cat /var/lib/ntp/drift)"; ls -l /var/lib/ntp; show stopped ;;
drift)
    start -g; sleep 25; show running; stop; echo "DRIFT $(cat /var/lib/ntp/drift)" ;;
panic)
    $ntpd -n -p /var/run/rsntpd.pid; echo "PANIC-STATUS $?"; echo "DATE $(date +%s)" ;;
quit)
    $ntpd -q -g; echo "QUIT-STATUS $?"; echo "DATE $(date +%s)" ;;
slew)
    $ntpd -q -g; echo "QUIT-STATUS $?"
    behind 400000
    echo "SLEW-BEGINS"
    start -x; sleep 20; show early; sleep 80; show running; stop ;;
glide)
    wrong 55000 0.05 0.1; start; measure running 12; stop; show stopped ;;
alone)
    wrong 55000 0.05 0.1; conf "disable kernel"; start; measure running 8; stop ;;
abandoned)
    # So little that the loop is given all of it at once.
    wrong 1000 0.003 0.02; start; until gliding; do usleep 50000; done
    show before; echo "FREQUENCY $(rsntpq -c 'rv 0 frequency' 127.0.0.1)"; kill -KILL "$pid"; show killed
    sleep 15; measure killed 1; sleep 45; show after ;;
smear)
    # A server whose clock has a leap second within two minutes, and what a client of it sees by a clock that knows of none. A sample
    # during which the kernel inserts the second is none.
    printf 'server 127.127.1.0 minpoll 3 maxpoll 3\nfudge 127.127.1.0 stratum 3\nleapfile /leap\nleapsmearinterval 60\n' > /etc/ntp.conf
    against_uptime() { awk "BEGIN {printf \"%.3f\", $EPOCHREALTIME - $(uptime)}"; }
    start; sleep 2; end=$(($(date +%s) + 600)); armed=
    while [ "$(date +%s)" -lt $end ]; do
        before=$(against_uptime)
        offset=$(rsntpdate -q -p 1 127.0.0.1 2>&1 | tail -1 | sed -n 's/.* offset \(-\?[0-9.]*\) .*/\1/p')
        after=$(against_uptime)
        [ -z "$offset" ] && echo "NO-TIME $(date +%T)"
        [ -n "$offset" ] && awk "BEGIN {exit !($before - $after < 0.5)}" && echo "SMEAR $before $offset"
        case $(date +%T) in
            23:59:*) [ -n "$armed" ] || { armed=1; show armed; } ;;
            00:00:1*) break ;;
        esac
    done
    dmesg | grep -i 'leap second'; stop ;;
set)
    $ntpd -q -g; start; sleep 20
    date -s "@$(($(date +%s) + 3600))" > /dev/null; echo "SET-AT $(uptime)"
    sleep 30; echo "DATE $(date +%s)"; show running; stop ;;
kill)
    $ntpd -q -g
    behind 90000; start; sleep 35; echo "KILL-NOW"; show before; kill -KILL "$pid"; sleep 60; show after ;;
esac
echo "DATE-AFTER $(date +%s)"
