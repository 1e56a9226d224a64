#!/bin/bash
# What a sample of a server on the Internet costs in processor time, ours and chronyd's: both poll one server by the same path
# (10 ms each way, queues of 1 ms: far.py), every 8 s. The clock is adjusted by neither. What is counted is all of the process: waking up,
# the system calls, the estimate; the first five minutes are left out, in which windows fill.
# Not among the scripts that run by themselves: tests/system/world/run cost    COST=1200 (seconds after the start, 600)
set -u
. "$(dirname "$0")/lib.sh"
needs "cost"
world_up
exec_tame s1 python3 "$top/tests/system/world/far.py" 0.010 0.001 > "$work/log/s1" 2>&1 &
pids+=($!)
printf 'server %s iburst minpoll 3 maxpoll 3\n' "${address[s1]}" > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
printf 'server %s iburst minpoll 3 maxpoll 3\ncmdport 0\npidfile %s/lan.pid\n' "${address[s1]}" "$work" > "$work/lan.conf"
exec_tame lan "$peers/chronyd" -x -d -u root -f "$work/lan.conf" > "$work/log/lan" 2>&1 &
theirs=$!
pids+=("$theirs")
sleep 2
ours=$(cat "$work/run/rsntpd.pid")

# Nanoseconds on a processor, and UDP datagrams received, of a process on a host.
spent() { awk '{print $1}' "/proc/$1/schedstat"; }
heard() { on "$1" awk '/^Udp:/ {for (i = 1; i <= NF; i++) if ($i == "InDatagrams") column = i; value = $column} END {print value}' /proc/net/snmp; }
sleep 300
before=("$(spent "$ours")" "$(heard host)" "$(spent "$theirs")" "$(heard lan)")
sleep "${COST:-600}"
after=("$(spent "$ours")" "$(heard host)" "$(spent "$theirs")" "$(heard lan)")
cost() { # INDEX: microseconds a datagram
    awk -v t=$((after[$1] - before[$1])) -v n=$((after[$1 + 1] - before[$1 + 1])) 'BEGIN {printf "%.1f", t / n / 1000}'
}
echo "rsntpd: $((after[1] - before[1])) responses, $(cost 0) us each; chronyd: $((after[3] - before[3])) responses, $(cost 2) us each"
enough() { [ $((after[1] - before[1])) -ge $((${COST:-600} / 10)) ] && [ $((after[3] - before[3])) -ge $((${COST:-600} / 10)) ]; }
check "both were answered" enough
limit() { awk -v a="$(cost 0)" -v b="$(cost 2)" 'BEGIN {printf "%.2f times\n", a / b; exit !(a <= 3 * b)}' | tee /dev/stderr; [ "${PIPESTATUS[0]}" = 0 ]; }
check "a sample costs at most 3 times what it costs chronyd: $(limit 2>/dev/null)" limit
verdict
