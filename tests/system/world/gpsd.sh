#!/bin/bash
# Debian's gpsd with two receivers, one that it reads by TCP and one on a pseudo-terminal: its shared memory and its JSON port are clocks.
set -u
# Shared memory of System V is in a namespace of its own, too, so that no other daemon's is touched.
[ -n "${OWN_IPC:-}" ] || OWN_IPC=1 exec unshare -i "$0" "$@"
. "$(dirname "$0")/lib.sh"
needs gpsd
[ -x "$top/.peers/gpsd/bin/gpsd" ] || { skip "gpsd: not in .peers (tests/system/peers.sh gpsd)"; verdict; exit; }
world_up; own_dev
say() { echo "$2" > "$work/say/.$1"; mv "$work/say/.$1" "$work/say/$1"; }
mkdir "$work/say"
say gps0 'mix good 0.100'
say tcp 'mix good 0.050'
exec_tame host python3 "$top/tests/system/world/receiver.py" "$work/dev" "$work/say" /dev/pts 10110 > "$work/log/receiver" 2>&1 &
pids+=($!)
plugged() { [ -L "$work/dev/gps0" ]; }
within 10 plugged
gpsd_up() {
    exec_host "$top/.peers/gpsd/bin/gpsd" -N -n -D 2 tcp://127.0.0.1:10110 /dev/gps0 >> "$work/log/gpsd" 2>&1 &
    gpsd=$!
    pids+=("$gpsd")
}
gpsd_up
mkdir -p "$work/varlib/stats"
cat > "$work/ntp.conf" <<C
statsdir /var/lib/stats
statistics clockstats
filegen clockstats file clock type none
server 127.127.28.0 minpoll 3 maxpoll 3 prefer
fudge 127.127.28.0 time1 0.050 refid GPS
server 127.127.46.0 mode 2 minpoll 3 maxpoll 3
fudge 127.127.46.0 time2 0.100 flag4 1
server 127.127.46.128 minpoll 3 maxpoll 3
fudge 127.127.46.128 flag1 1
refclock gpsd unit 1 path /dev/null minpoll 3 maxpoll 3
restrict default kod nomodify notrap nopeer
restrict 127.0.0.1
C
daemon_up -c "$work/ntp.conf"

. "$top/tests/system/clocks/words.sh"
near() { # ADDRESS: its offset is below 20 ms
    rows | awk -v u="$1" '{sub(/^[ *+#x.o-]/, "")} $1 == u {found = 1; off = $9; reach = $7} END {exit !(found && reach != 0 && off > -20 && off < 20)}'
}
writes() { timeout 5 "$top/.peers/gpsd/bin/ntpshmmon" -n 1 | tee /dev/stderr | grep -q '^sample NTP0'; }
check "gpsd writes to unit 0 of the shared memory" within 40 writes
check "which is followed: *127.127.28.0 .GPS. 0 l" within 60 row '^\*127\.127\.28\.0 +\.GPS\. +0 l'
check "with time1, its offset is small" within 30 near 127.127.28.0
check "cv shows its time" cv 1 'device="SHM/Shared memory interface".*fudgetime1=50'
check "gpsd's JSON port is found" log 'GPSD_JSON\(0\): GPSD release=3\.22 protocol=3\.14'
check "127.127.46.0 .GPSD. 0 l is reached, and near" within 40 near 127.127.46.0
check "cv shows its time in words" cv 2 'device="GPSD JSON client clock".*timecode="[0-9a-f]{8}\.[0-9a-f]{8}  [A-Z][a-z]{2}, [A-Z][a-z]{2} [ 0-9]{2} 20[0-9]{2}'
check "its pulses are a clock of their own, which has none: clk_no_reply" cv 3 'clk_no_reply'
check "a receiver that gpsd does not have: clk_fault, in gpsd's words" within 60 cv 4 'clk_fault.*timecode="gpsd reports: No such device as /dev/null'
counts() { cat "$work/varlib/stats/clock"; grep -qE ' 127\.127\.46\.0 [0-9]+ [0-9]+ [0-9]+ [1-9][0-9]* [1-9][0-9]* 0 0$' "$work/varlib/stats/clock"; }
check "flag4: seven counts in clockstats" within 20 counts
say gps0 'mix nofix'
check "without a fix: clk_bad_signal" within 40 cv 2 'clk_bad_signal.*timecode="no fix'
say gps0 'mix good 0.100'
kill "$gpsd"; wait "$gpsd" 2> /dev/null
check "gpsd ends: the log says so" within 10 log 'GPSD_JSON\(0\): gpsd, port 2947 of localhost: '
check "cv: clk_fault" within 40 cv 2 'clk_fault'
check "and nothing is written: clk_no_reply" within 40 cv 1 'clk_no_reply'
unreached() { rows | awk '$1 ~ /127\.127\.(28|46)\.0$/ && $7 != 0 {reached = 1} END {exit reached}'; }
check "neither is reached any more" within 100 unreached
gpsd_up
check "gpsd is back: its JSON port is found again, and near" within 150 near 127.127.46.0
check "and its shared memory" within 60 near 127.127.28.0
# Pulses need a kernel that stamps them: here a program says what gpsd says of a receiver with pulses, 20 us after the second.
kill "$gpsd"; wait "$gpsd" 2> /dev/null
cat > "$work/pulses.py" <<'P'
import json, select, socket, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('127.0.0.1', 2947))
server.listen()
clients = []


def send(**record):
    for client in clients:
        try:
            client.sendall(json.dumps({'device': '/dev/gps0', **record}).encode() + b'\r\n')
        except OSError:
            pass


while True:
    second = int(time.time()) + 1
    while time.time() < second:
        if select.select([server], [], [], max(0, second - time.time()))[0]:
            client = server.accept()[0]
            client.sendall(b'{"class":"VERSION","release":"stand-in","proto_major":3,"proto_minor":14}\r\n')
            clients.append(client)
    send(**{'class': 'PPS', 'real_sec': second, 'real_nsec': 0, 'clock_sec': second, 'clock_nsec': 20000, 'precision': -20})
    time.sleep(max(0, second + 0.1 - time.time()))
    now = time.time_ns()
    send(**{'class': 'TPV', 'mode': 3, 'ept': 0.005})
    send(**{'class': 'TOFF', 'real_sec': second, 'real_nsec': 0, 'clock_sec': now // 10**9, 'clock_nsec': now % 10**9})
P
exec_tame host python3 "$work/pulses.py" > "$work/log/pulses" 2>&1 &
pids+=($!)
check "pulses are followed when there have been twenty: o127.127.46.0" within 150 row '^o127\.127\.46\.0 .* -0\.0[12][0-9] +0\.0'
used() { cat "$work/varlib/stats/clock"; grep -qE ' 127\.127\.46\.0 [0-9]+ 0 0 [0-9]+ [0-9]+ [1-9][0-9]* [1-9][0-9]*$' "$work/varlib/stats/clock"; }
check "clockstats counts them" within 20 used
check "the clock of its pulses is reached, too" within 40 row '127\.127\.46\.128 .* l .* -0\.0[12][0-9] +0\.0'
check "SIGTERM ends the daemon with status 0" daemon_down
verdict
