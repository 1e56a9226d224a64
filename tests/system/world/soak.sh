#!/bin/bash
# Ten minutes at the highest rate that is answered without loss from 1,000,000 addresses, while a client association keeps time and ntpq asks.
# Not among the scripts that run by themselves: tests/system/world/run soak    SOAK=60 (seconds, 600) RATE=180000
set -u
. "$(dirname "$0")/lib.sh"
needs "soak"
serve=$(ls -t "$top"/target/release/deps/serve-* 2>/dev/null | grep -v '\.d$' | head -1)
[ -n "$serve" ] || { skip "soak: no load generator (cargo bench --no-run --bench serve)"; verdict; exit; }
seconds=${SOAK:-600} rate=${RATE:-180000}
echo -20 > /proc/self/autogroup 2>/dev/null
world_up; server_up s1
cat > "$work/ntp.conf" <<'CONF'
server 210.72.145.44 iburst minpoll 3 maxpoll 3
discard average 0 minimum 0
restrict default limited kod nomodify notrap nopeer
CONF
daemon_up -c "$work/ntp.conf"
taskset -pc 0 "$daemon" > /dev/null
# One ntpq for all questions, and before what else is busy: what is measured is how soon the daemon answers, not how
# soon a Python is started.
coproc asker { exec ip netns exec "$(world_ns host)" taskset -c 1 chrt -f 1 env PYTHONUNBUFFERED=1 "$peers/ntpq" -n 2>&1; }
pids+=("$asker_PID")
# Of its own descriptors nothing reaches a subshell.
exec 4<&"${asker[0]}" 5>&"${asker[1]}"
row() {
    local line
    echo peers >&5
    while read -r -t 10 line <&4; do
        case $line in *210.72*) echo "$line"; return ;; esac
    done
    return 1
}
follows() { ntpq -pn | grep -E '^\*210'; }
check "a server is followed" within 25 follows
reached() { [ "$(row | awk '{print $7}')" = 377 ]; }
check "it is reached eight times" within 90 reached
offset() { row | awk '{print $9 * 1000}'; }
quiet=$(offset)
rss() { awk '/VmRSS/ {print $2}' "/proc/$(cat "$work/run/rsntpd.pid")/status"; }
exec 3> >(exec cat > "$work/log/load")
ip netns exec "$(world_ns host)" taskset -c 1 "$serve" load sources=1000000 rate="$rate" seconds="$seconds" >&3 &
load=$!; pids+=($load)
end=$((SECONDS + seconds)) early=
worst_offset=0 slowest=0 missed=0 asked=0
while [ $SECONDS -lt $((end - 3)) ]; do
    sleep 2
    before=$EPOCHREALTIME
    line=$(row)
    took=$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN {print b - a}')
    echo "$took" >> "$work/log/took"
    [ -n "$line" ] || { missed=$((missed + 1)); continue; }
    asked=$((asked + 1))
    read -r reach size < <(awk -v q="$quiet" '{d = $9 * 1000 - q; print $7, (d < 0 ? -d : d)}' <<< "$line")
    # Two polls missed in a row are two zeros beside one another among the eight.
    bits=$(printf '%s' "obase=2; $((8#$reach + 256))" | bc 2>/dev/null || "$(command -v python3)" -c "print(bin(256 + 0o$reach)[2:])")
    [[ ${bits:1} == *00* ]] && lost_two=1
    worst_offset=$(awk -v a="$worst_offset" -v b="$size" 'BEGIN {print (a > b ? a : b)}')
    slowest=$(awk -v a="$slowest" -v b="$took" 'BEGIN {print (a > b ? a : b)}')
    [ -z "$early" ] && [ $SECONDS -gt $((end - seconds * 3 / 4)) ] && early=$(rss)
done
late=$(rss)
wait $load; exec 3>&-; sleep 0.2
sed 's/^/# load: /' "$work/log/load"
sort -n "$work/log/took" | awk '{t[NR] = $1; if ($1 > 1) n++} END {printf "# ntpq: median %.3f s, %d of %d longer than 1 s\n", t[int((NR + 1) / 2)], n, NR}'
loadavg=$(cat /proc/loadavg); echo "# the machine: load $loadavg"
flat() { echo "$early kB, then $late kB"; [ "$late" -le $((early + 128)) ]; }
check "memory is flat: $early kB after a quarter, $late kB at the end" flat
check "no association missed two polls in a row" [ -z "${lost_two:-}" ]
near() { awk -v w="$worst_offset" 'BEGIN {exit !(w <= 100)}'; }
check "its offset stayed within 100 us of its value without load ($worst_offset us)" near
soon() { awk -v s="$slowest" 'BEGIN {exit !(s <= 1)}' && [ "$missed" = 0 ] && [ "$asked" -gt 0 ]; }
check "ntpq had its answer within 1 s ($asked times, $missed missed, slowest $slowest s)" soon
check "SIGTERM ends it with status 0" daemon_down
verdict
