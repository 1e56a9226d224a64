#!/bin/bash
# Pulses (PPS) and hardware clocks (PHC) by devices that a supervisor plays: tests/system/clocks/devices.c answers the daemon's ioctls.
set -u
[ "$(id -u)" != 0 ] || [ -n "${OWN_IPC:-}" ] || OWN_IPC=1 exec unshare -i "$0" "$@"
. "$(dirname "$0")/lib.sh"
needs "pulses"
command -v gcc > /dev/null || { skip "pulses: no gcc for the devices"; verdict; exit; }
world_up
gcc -O2 -Wall -o "$work/devices" "$top/tests/system/clocks/devices.c" || { echo "FAILED   devices.c does not compile"; exit 1; }
law() { printf '%s\n' "$@" > "$work/law.new"; mv "$work/law.new" "$work/law"; }
normal=('pulse 2500000' 'edges 3' 'reports 1' 'phc 1500000' 'span 2000')
law "${normal[@]}"
if ! "$work/devices" "$work/law" true 2> "$work/log/devices"; then
    skip "pulses: this kernel passes no system calls on ($(cat "$work/log/devices"))"; verdict; exit
fi
# The pulses number their seconds by a clock in shared memory that has the same time.
python3 "$top/tests/system/clocks/shm.py" 0 offset=-0.0025 > /dev/null 2>&1 & pids+=($!)
{
    echo 'server 127.127.28.0 minpoll 3 prefer'
    echo "refclock pps unit 0 path /dev/null minpoll 3"
    echo "refclock pps unit 1 path /dev/null minpoll 3 noselect flag2 1 flag3 1"
    echo "refclock phc unit 0 path /dev/null minpoll 3 noselect"
    echo "refclock phc unit 1 path /dev/null minpoll 3 noselect flag2 1"
    echo 'server 127.127.22.7'
    echo 'server 127.127.128.7'
    echo 'restrict 127.0.0.1'
} > "$work/ntp.conf"
start() {
    exec_host "$work/devices" "$work/law" "$rsntpd" -n -u 38:38 -l "$work/log/rsntpd" -p /var/run/rsntpd.pid -c "$work/ntp.conf" > "$work/log/stderr" 2>&1 &
    daemon=$!
    pids+=("$daemon")
    within 10 ntpq -pn
}
start
# A column of a clock's row: whatever ntpq calls it, the rows are in the order of the file.
declare -A row=([shm]=1 [pps]=2 [clear]=3 [phc]=4 [phc25]=5)
column() { ntpq -pn | awk -v row="${row[$1]}" -v column="$2" 'NR == row + 2 {print $column}'; }
offset_is() { # CLOCK MILLISECONDS
    ntpq -pn >&2
    column "$1" 9 | awk -v is="$2" '{d = $1 - is; exit !(d <= 0.002 && d >= -0.002)}' && [ "$(column "$1" 7)" -gt 3 ]
}
check "pulses that come 2.5 ms late: -2.5 ms" within 60 offset_is pps -2.500
peer() { ntpq -pn >&2; column pps 1 | grep -q '^o' && [ "$(column pps 2)" = .PPS. ]; }
check "they are what the clock is kept by (o), beside the preferred source" within 90 peer
prefers() { ntpq -pn >&2; column shm 1 | grep -q '^\*'; }
check "which stays the system peer (*)" prefers
check "the clear edge, a tenth of a second later: -102.5 ms" within 60 offset_is clear -102.500
check "a hardware clock, read at once: 1.5 ms" within 60 offset_is phc 1.500
check "one with flag2, read 25 times: 1.5 ms" within 60 offset_is phc25 1.500
asked() { sort "$work/law.log" | uniq -c >&2; grep -qx "$1" "$work/law.log"; }
check "the edge that was missing was switched on" asked SETPARAMS
bound() { ! asked KC_BIND; }
check "pulses are not bound to the kernel's own discipline" bound
check "the precise way was used" asked PRECISE
check "and, with flag2, the extended one" asked EXTENDED
logged() { cat "$work/log/rsntpd" >&2; grep -qF "$1" "$work/log/rsntpd"; }
check "flag3 is answered" logged 'PPS(1): flag3 has no effect'
check "a device of pulses that is not there, in ntpd's words" logged 'refclock_atom: /dev/pps7: No such file or directory'
check "a hardware clock that is not there" logged 'refclock_open /dev/ptp7: No such file or directory'

# Kernels and drivers that have less.
: > "$work/law.log"
law "${normal[@]}" 'lacks 3'
sleep 4
check "without the better ways, the plain one is used" asked PLAIN
law "${normal[@]}" 'lacks 3' 'phc -700000'
check "and gives the same: -0.7 ms" within 60 offset_is phc -0.700
law "${normal[@]}" 'lacks 3' 'phc -700000' 'silent 1'
reached() { ntpq -pn >&2; [ "$(column "$1" 7)" -gt 3 ]; }
no_reply() { ntpq -c "cv $(ntpq -c as | awk '$1 == 2 {print $2}')" | tr '\n' ' ' | tee /dev/stderr | grep -q clk_no_reply; }
check "no pulse: clk_no_reply" within 30 no_reply
# A device that blocks delays nothing else.
law "${normal[@]}" 'slow 3000'
quick() { # each reply within less than the reading blocks for
    local n
    for n in 1 2 3 4 5 6 7 8 9 10; do on host timeout 1.5 "$rsntpq" -pn || return 1; sleep 0.3; done
}
check "a hardware clock that blocks for 3 s delays nothing" quick
law "${normal[@]}" 'gone 1'
gone() { logged 'No such device'; }
check "devices that go away are logged" within 30 gone
law "${normal[@]}"
check "and are opened again when they are back" within 100 offset_is phc 1.500
# Reading one of each kind costs few wake-ups: the tick, a sentence, and the engine's own.
kill "$(cat "$work/run/rsntpd.pid")"; wait "$daemon"
mkdir "$work/dev" "$work/say"
echo 'rmc good 0.120' > "$work/say/gps0"
exec_tame host python3 "$top/tests/system/world/receiver.py" "$work/dev" "$work/say" /dev/pts 10110 > "$work/log/receiver" 2>&1 &
pids+=($!)
plugged() { [ -e "$work/dev/gps0" ]; }
within 10 plugged
{
    echo 'server 127.127.28.0 minpoll 4 prefer'
    echo 'refclock pps unit 0 path /dev/null minpoll 4'
    echo "refclock nmea unit 0 path $work/dev/gps0 mode 17 minpoll 4 time2 0.1225"
    echo 'restrict 127.0.0.1'
} > "$work/ntp.conf"
start
row=([shm]=1 [pps]=2 [nmea]=3)
check "a receiver beside shared memory and pulses" within 60 reached nmea
wakes() { awk '/^voluntary_ctxt_switches/ {print $2}' "/proc/$(cat "$work/run/rsntpd.pid")/status"; }
# A request of the supervisor's lets the daemon wait, too: once a tick, which is no wake-up of its own.
few() { local a b; a=$(wakes); sleep 30; b=$(wakes); echo "$((b - a)) in 30 s, 30 of them for the supervisor" >&2; [ $((b - a)) -le 120 ]; }
check "the three cost at most 3 wake-ups a second" few
ends() { kill "$(cat "$work/run/rsntpd.pid")"; wait "$daemon"; }
check "it ends in order" ends
verdict
