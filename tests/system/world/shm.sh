#!/bin/bash
# Clocks in shared memory (SHM), written by programs as they are met: in both modes and widths, torn, stale, wrong, without a source, by
# strangers. In an IPC namespace of its own.
set -u
[ "$(id -u)" != 0 ] || [ -n "${OWN_IPC:-}" ] || OWN_IPC=1 exec unshare -i "$0" "$@"
. "$(dirname "$0")/lib.sh"
needs "shared memory"
world_up
# Where strangers can read it.
writer=$work/shm.py
install -m 755 "$top/tests/system/clocks/shm.py" "$writer"
write() { python3 "$writer" "$@" > /dev/null 2>> "$work/log/writers" & pids+=($!); }
# A simple command: what is behind it has the number that it was started with, and ends with it.
stranger=(setpriv --reuid 65534 --regid 65534 --clear-groups -- env PATH=/usr/bin:/bin)

# Before the daemon starts: a segment of root's for unit 0, of a stranger for units 1 and 2, of another width, and one that is too short.
write 0 offset=0.005
"${stranger[@]}" python3 "$writer" 1 offset=0.250 perm=666 > /dev/null 2>&1 & pids+=($!)
"${stranger[@]}" python3 "$writer" 2 offset=0.006 perm=666 > /dev/null 2>&1 & pids+=($!)
write 3 offset=0.007 mode=0 layout=narrow coarse
python3 -c 'import ctypes; ctypes.CDLL(None).shmget(0x4e545030 + 13, 64, 0o1600)'
made() { ipcs -m >&2; [ "$(ipcs -m | grep -cE '^0x4e54503[0123d] ')" = 5 ]; }
within 20 made
for unit in 0 1 2 3 4 5 6 7 8 9 10 11 13; do
    echo "server 127.127.28.$unit minpoll 3 noselect $([ $unit = 10 ] && echo mode 1)"
done > "$work/ntp.conf"
printf '%s\n' 'fudge 127.127.28.0 refid GPS time1 0.001 flag4 1' 'fudge 127.127.28.11 time2 30000' \
    'statsdir /var/lib/ntp/' 'filegen clockstats file clockstats type none enable' 'restrict 127.0.0.1' >> "$work/ntp.conf"
daemon_up -u 38:38 -c "$work/ntp.conf"
within 10 ntpq -pn
# Into segments that the daemon has made.
write 5 mode=7
write 6 age=10
write 7 offset=20000
write 8 leap=3
write 9 offset=0.008 every=0 order=ptp4l
write 11 offset=20000

# A column of the row of a unit: whatever ntpq calls the clock, the rows are in the order of the file.
column() { # UNIT COLUMN
    ntpq -pn | awk -v row=$(($1 > 11 ? $1 : $1 + 1)) -v column="$2" 'NR == row + 2 {print $column}'
}
offset_is() { # UNIT MILLISECONDS TOLERANCE
    ntpq -pn >&2
    column "$1" 9 | awk -v is="$2" -v give="$3" '{d = $1 - is; exit !(d <= give && d >= -give)}' && [ "$(column "$1" 7)" -gt 3 ]
}
check "root's segment is read, with time1: 6 ms" within 40 offset_is 0 6 0.2
check "a stranger's segment of unit 2 is read: 6 ms" within 40 offset_is 2 6 0.2
check "one of 32-bit programs, in mode 0, in microseconds: 7 ms" within 40 offset_is 3 7 0.2
check "one that is written without a pause is never torn: 8 ms" within 40 offset_is 9 8 0.2
torn() { ntpq -pn >&2; column 9 10 | awk '{exit !($1 < 0.5)}'; }
check "nor do its offsets scatter" torn
check "flag time2 is the limit: 20000 s off" within 40 offset_is 11 20000000 1
unreached() { [ "$(column "$1" 7)" = 0 ]; }
for unit in 1 4 5 6 7 8 13; do check "unit $unit is not reached" unreached $unit; done

logged() { cat "$work/log/rsntpd" >&2; grep -qF "$1" "$work/log/rsntpd"; }
check "the stranger's segment of unit 1 is refused" logged \
    'SHM (unit 1): the segment 0x4e545031 belongs to user 65534, was made by user 65534 and has mode 666, so other users may set the time in it: not used'
check "that of unit 2 is warned of" logged 'SHM (unit 2): the segment 0x4e545032 belongs to user 65534'
check "a segment that is too short is refused" logged 'SHM shmget (unit 13): Invalid argument'
check "a mode that there is not is logged" logged 'SHM: bad mode found in shared memory: 7'
check "a receive stamp that is stale" logged 'SHM: stale/bad receive time, delay=1'
check "a clock that is too far off" logged 'SHM: difference limit exceeded, delta=20000s'
once() { [ "$(grep -c "$1" "$work/log/rsntpd")" = 1 ]; }
check "each of them once" once 'bad mode found'
segment() { ipcs -m >&2; ipcs -m | awk -v key="$1" -v perms="$2" '$1 == key && $4 == perms && $5 == 96 {found = 1} END {exit !found}'; }
check "a segment that the daemon makes is for all users from unit 2 on" segment 0x4e545034 666
check "and for root with mode 1" segment 0x4e54503a 600
fresh() { python3 "$writer" 4 show | tee /dev/stderr | grep -qx 'mode 0 count 0 precision -1 nsamples 3 valid 0'; }
check "it begins with a precision that claims nothing" fresh

assid() { ntpq -c as | awk -v n="$1" '$1 == n {print $2}'; }
variables() { ntpq -c "cv $(assid "$1")" | tr '\n' ' ' | tee /dev/stderr; }
shows() { variables "$1" | grep -qE "$2"; }
check "cv: the last time that was written" shows 1 'device="SHM/Shared memory interface".* timecode="20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{9}Z"'
check "cv: its time1 in milliseconds, its flags" shows 1 'fudgetime1=1\.0.* refid=GPS, .*flags=8'
check "cv: no reply where no program writes" shows 5 'clk_no_reply.* noreply=[1-9]'
check "cv: bad format where the mode is wrong" shows 6 'clk_bad_format.* badformat=[1-9]'
check "cv: bad format where the stamp is stale" shows 7 'clk_bad_format.* badformat=[1-9]'
dropped() { grep -E '^Uid:\s+38\s+38\s+38\s+38' "/proc/$(cat "$work/run/rsntpd.pid")/status"; }
check "all this without being root" dropped

# A reload keeps what root has opened: unit 0 could not be attached again.
kill -HUP "$(cat "$work/run/rsntpd.pid")"
sleep 10
check "after a reload root's segment is still read" within 20 offset_is 0 6 0.2
same() { grep SHM "$work/log/rsntpd" >&2; ! grep -q 'unit 0.*Permission denied' "$work/log/rsntpd"; }
check "without a complaint" same
sleep 2
wakes() { awk '/^voluntary_ctxt_switches/ {print $2}' "/proc/$(cat "$work/run/rsntpd.pid")/status"; }
few() { local a b; a=$(wakes); sleep 20; b=$(wakes); echo "$((b - a)) in 20 s" >&2; [ $((b - a)) -le 60 ]; }
check "13 segments cost at most 3 wake-ups a second" few
ends() { daemon_down; }
check "it ends in order" ends
verdict
