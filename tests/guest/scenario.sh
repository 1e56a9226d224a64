#!/bin/sh
# Runs inside the guest (busybox): the daemon on a real kernel clock. CASE says what is to be shown.
# What it prints is judged outside, by clock.sh.
. /case
ntpd=/usr/sbin/rsntpd
conf() { printf 'driftfile /var/lib/ntp/drift\nserver 10.0.2.2 iburst minpoll 3 maxpoll 4\n%s\n' "$1" > /etc/ntp.conf; }
conf ""
[ -f /drift ] && { cp /drift /var/lib/ntp/drift; chown 38:38 /var/lib/ntp/drift; }
show() { echo "KERNEL $1"; adjtimex | grep -E 'freq|status|offset|tick'; }
stop() { kill -TERM "$(cat /var/run/rsntpd.pid)"; wait_end; }
wait_end() { n=0; while [ -d "/proc/$pid" ] && [ $n -lt 50 ]; do usleep 100000; n=$((n+1)); done; }
start() { $ntpd -u ntp:ntp -p /var/run/rsntpd.pid "$@"; echo "START-STATUS $?"; pid=$(cat /var/run/rsntpd.pid); }
echo "DATE-BEFORE $(date +%s)"
case $CASE in
step)
    start -g
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
    # Set the clock back by 0.4 s: to a whole second, 0.4 s after it began.
    s=$(date +%s); while [ "$(date +%s)" = "$s" ]; do :; done; usleep 400000; date -s "@$(date +%s)" > /dev/null
    echo "SLEW-BEGINS"
    start -x; sleep 100; show running; stop ;;
kill)
    $ntpd -q -g
    s=$(date +%s); while [ "$(date +%s)" = "$s" ]; do :; done; usleep 90000; date -s "@$(date +%s)" > /dev/null
    start; sleep 35; echo "KILL-NOW"; show before; kill -KILL "$pid"; sleep 60; show after ;;
esac
echo "DATE-AFTER $(date +%s)"
