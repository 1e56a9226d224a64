#!/bin/sh
# Runs inside the guest (busybox): the daemon with clocks that are devices of a true kernel, and a ticker to go by. What it prints is judged
# outside, by refclocks.sh.
ntpd=/usr/sbin/rsntpd
ask() { echo "ASK $1 $2"; rsntpq -n -c "$2" 127.0.0.1 2>&1 | sed "s/^/$1: /"; }
run() { # NAME SECONDS: the daemon with ntp.conf's lines from stdin, its clock 20 ms behind the pulses and 17 ms behind the segment
    name=$1
    { cat; printf 'statsdir /var/log/\nstatistics clockstats\nfilegen clockstats file clockstats type none link\n'; } > /etc/ntp.conf
    /ticker 20 -3 & ticker=$!
    echo "RUN $name"
    $ntpd -u ntp:ntp -p /var/run/rsntpd.pid; echo "START-STATUS $?"; pid=$(cat /var/run/rsntpd.pid)
    sleep "$2"
    echo "PULSE $name $(cat /sys/class/pps/pps0/assert)"
    echo "$name: uid $(awk '/^Uid/ {print $3}' "/proc/$pid/status")"
    for query in peers as rv; do ask "$name" $query; done
    rsntpq -c as 127.0.0.1 | awk '$2 ~ /^[0-9]+$/ {print $2}' | while read -r id; do ask "$name" "rv $id"; ask "$name" "cv $id"; done
    echo "ASK $name no more"; sed "s/^/$name: clockstats /" /var/log/clockstats; rm /var/log/clockstats
    kill -TERM "$pid"; kill "$ticker"; while [ -d "/proc/$pid" ]; do usleep 100000; done
}
mkdir -p /var/log; chown ntp /var/log
ls -l /dev/pps0 /dev/ptp0
run prefer 75 <<'C'
server 127.127.28.2 minpoll 4 maxpoll 4 prefer
server 127.127.22.0 minpoll 4 maxpoll 4
fudge 127.127.22.0 flag3 1 flag4 1 time1 0.000020
C
run near 75 <<'C'
server 127.127.28.2 minpoll 4 maxpoll 4
server 127.127.22.0 minpoll 4 maxpoll 4
refclock phc unit 0 path /dev/ptp0 minpoll 4 maxpoll 4 flag4 1 time1 -30
C
run local 75 <<'C'
server 127.127.1.0 prefer
server 127.127.22.0 minpoll 4 maxpoll 4
refclock phc unit 1 path eth0 minpoll 4 maxpoll 4 flag2 1 noselect
C
