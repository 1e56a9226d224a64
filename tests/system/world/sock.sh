#!/bin/bash
# Clocks whose samples come by a socket (SOCK), from a writer of our own in both widths, and who may write there.
set -u
. "$(dirname "$0")/lib.sh"
needs "sockets of clocks"
writer=$top/tests/system/clocks/sock.py
world_up
mkdir "$work/clocks" "$work/open"
chmod 777 "$work/open"
echo precious > "$work/clocks/file"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(sys.argv[1])' "$work/clocks/a"
{
    echo "refclock sock unit 0 path $work/clocks/a refid GPS minpoll 3 noselect"
    echo "refclock sock unit 1 path $work/clocks/b minpoll 3 noselect"
    echo "refclock sock unit 2 path $work/clocks/c minpoll 3 noselect"
    echo "refclock sock unit 3 path $work/clocks/file minpoll 3 noselect"
    echo "refclock sock unit 4 path $work/open/d minpoll 3 noselect"
    echo "refclock sock unit 5 path $work/clocks/e minpoll 3 noselect"
    echo 'restrict 127.0.0.1'
} > "$work/ntp.conf"
daemon_up -u 38:38 -c "$work/ntp.conf"
within 10 ntpq -pn
write() { python3 "$writer" "$@" > /dev/null 2>> "$work/log/writers" & pids+=($!); }
write "$work/clocks/a" offset=0.00125
write "$work/clocks/b" offset=-0.0025 width=32
write "$work/clocks/c" offset=1 magic=7
write "$work/clocks/e" offset=2 age=200

# A column of the row of a unit: whatever ntpq calls the clock, the rows are in the order of the file.
column() { ntpq -pn | awk -v row=$(($1 + 1)) -v column="$2" 'NR == row + 2 {print $column}'; }
offset_is() { ntpq -pn >&2; column "$1" 9 | awk -v is="$2" '{d = $1 - is; exit !(d <= 0.01 && d >= -0.01)}' && [ "$(column "$1" 7)" -gt 3 ]; }
check "samples of 64-bit programs are read: 1.25 ms" within 40 offset_is 0 1.250
check "and of 32-bit programs: -2.5 ms" within 40 offset_is 1 -2.500
unreached() { ntpq -pn >&2; [ "$(column "$1" 7)" = 0 ]; }
check "datagrams that are no samples are not" unreached 2
check "nor samples of before" unreached 5
logged() { cat "$work/log/rsntpd" >&2; grep -qF "$1" "$work/log/rsntpd"; }
check "which is logged" logged 'SOCK: bad magic number 0x7'
check "for those of before, too" logged 'SOCK: stale/bad time, delay=200.'
check "a file at the path is left alone" logged "SOCK $work/clocks/file: there is a file that is no socket, it is left alone"
whole() { [ "$(cat "$work/clocks/file")" = precious ]; }
check "it is what it was" whole
check "a folder that is free for all is refused" logged "SOCK: any user may replace files in $work/open, choose another folder"
mode() { stat -c '%a %U' "$work/clocks/a" | tee /dev/stderr | grep -qx '600 root'; }
check "only root may write to the socket" mode
# With a folder that strangers reach, it is the socket's mode that decides.
install -m 755 "$writer" "$work/sock.py"
stranger() {
    setpriv --reuid 65534 --regid 65534 --clear-groups -- env PATH=/usr/bin:/bin python3 "$work/sock.py" "$work/clocks/a" times=1 2>&1 |
        tee /dev/stderr | grep -q '^PermissionError'
}
check "a stranger may not" stranger
cv() { ntpq -c "cv $(ntpq -c as | awk '$1 == 1 {print $2}')" | tr '\n' ' ' | tee /dev/stderr | grep -qE 'timecode="20[0-9-]{8}T[0-9:.]+Z \+0\.001250000".* refid=GPS'; }
check "cv shows the last sample" cv

# More than one datagram at a time.
flood() { python3 - "$work/clocks/c" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
s.settimeout(5)
for n in range(20000):
    s.send(bytes(n % 64))
PY
}
check "20,000 datagrams of any length are taken" flood
check "and the others are read on" within 20 offset_is 0 1.250
kill -HUP "$(cat "$work/run/rsntpd.pid")"
sleep 10
check "a reload keeps the socket" within 20 offset_is 0 1.250
ends() { daemon_down; }
check "it ends in order" ends
verdict
