#!/bin/bash
# Receivers of NMEA: on serial lines (pseudo-terminals) and by TCP, good ones and bad ones, unplugged and plugged again. The daemon has a
# /dev of its own, in which they are.
set -u
. "$(dirname "$0")/lib.sh"
needs nmea
world_up; own_dev
say() { echo "$2" > "$work/say/.$1"; mv "$work/say/.$1" "$work/say/$1"; }
mkdir "$work/say"
say gps0 'rmc good 0.120'
say gps1 'gga good 0.140'
say gps2 'rmc nofix'
say gps3 'rmc badsum'
say gps4 'zda behind 0.100'
say gps5 'rmc away'
say tcp 'mix good 0.050'
ln -s 127.0.0.1:10110 "$work/dev/gps6"
exec_tame host python3 "$top/tests/system/world/receiver.py" "$work/dev" "$work/say" /dev/pts 10110 > "$work/log/receiver" 2>&1 &
pids+=($!)
plugged() { [ -L "$work/dev/gps4" ]; }
within 10 plugged
mkdir -p "$work/varlib/stats"
cat > "$work/ntp.conf" <<C
statsdir /var/lib/stats
statistics clockstats protostats
filegen clockstats file clock type none
filegen protostats file proto type none
server 127.127.20.0 mode 17 minpoll 3 maxpoll 3 prefer
fudge 127.127.20.0 time2 0.120
server 127.127.20.1 mode 18 minpoll 3 maxpoll 3
fudge 127.127.20.1 time2 0.140 flag4 1 refid ROOF
server 127.127.20.2 mode 17 minpoll 3 maxpoll 3
server 127.127.20.3 mode 17 minpoll 3 maxpoll 3
server 127.127.20.4 mode 24 minpoll 3 maxpoll 3
fudge 127.127.20.4 time2 0.100
server 127.127.20.5 mode 17 minpoll 3 maxpoll 3
fudge 127.127.20.5 time2 0.120
server 127.127.20.6 minpoll 3 maxpoll 3
fudge 127.127.20.6 time2 0.050
restrict default kod nomodify notrap nopeer
restrict 127.0.0.1
C
daemon_up -c "$work/ntp.conf"

. "$top/tests/system/clocks/words.sh"
near() { # UNIT [LIMIT]: its offset, milliseconds
    rows | awk -v u="127.127.20.$1" -v l="${2:-20}" '{sub(/^[ *+#x.o-]/, "")} $1 == u {found = 1; off = $9; reach = $7} END {exit !(found && reach != 0 && off > -l && off < l)}'
}
check "a receiver is followed: *127.127.20.0 .GPS. 0 l" within 40 row '^\*127\.127\.20\.0 +\.GPS\. +0 l'
check "with time2, its offset is small" within 30 near 0
check "the log has the line and its speed" log 'GPS_NMEA\(0\) serial /dev/gps0 open at 9600 bps'
check "cv shows its sentence" cv 1 'timecode="\$GPRMC,[0-9.]+,A,4851\.5000,N,.*fudgetime2=120'
check "another talker (GN), GGA: reached, and near" within 30 near 1
check "flag4 hides where it is" cv 2 'timecode="\$GNGGA,[0-9.]+,____\.____,N,_____\.____,E,1,.*\*__"'
check "a receiver without a fix: clk_bad_signal, none of its seconds is used" cv 3 'clk_bad_signal.*timecode="\$GPRMC,[0-9.]+,V'
unused() { rows | grep -qE "^ 127\.127\.20\.$1 .* 0 +0\.000 +"; }
check "it is not reached" unused 2
check "wrong checksums: clk_bad_format, and counted" cv 4 'clk_bad_format.*badformat=[1-9]'
check "a receiver 1024 weeks behind is near" within 30 near 4
once() { grep -c 'GPS_NMEA(4): .* 1024 weeks behind' "$work/log/rsntpd" | tee /dev/stderr | grep -qx 1; }
check "which the log says once" once
check "a receiver that is not there: the log says why" log 'GPS_NMEA\(5\).*refclock_open /dev/gps5: No such file or directory'
check "and cv: clk_fault" cv 6 'clk_fault.*refclock_open /dev/gps5'
check "sentences of several kinds by TCP, in place of a device" within 30 near 6
say gps2 'rmc good 0'; say gps3 'zda silent'; say gps5 'rmc good 0.120'
check "a fix is found: reached" within 30 near 2
say gps0 'rmc away'
check "an unplugged receiver: the log says so" within 20 log 'GPS_NMEA\(0\).*/dev/gps0: (hung up|Input/output error)'
other() { row '^\*127\.127\.20\.[1-6] '; }
check "another one is followed" within 90 other
say gps0 'rmc good 0.120'
check "the receiver that was not there is found, within a minute" within 75 near 5
opened() { [ "$(grep -c 'GPS_NMEA(0) serial /dev/gps0 open' "$work/log/rsntpd")" = 2 ]; }
check "the unplugged one, plugged in again, is opened" within 75 opened
check "and followed: it is preferred" within 60 row '^\*127\.127\.20\.0 '
check "one that falls silent: clk_no_reply" within 30 cv 4 'clk_no_reply'
stamps() { cat "$work/varlib/stats/clock"; grep -qE '^[0-9]{5} [0-9.]+ 127\.127\.20\.0 \$GPRMC,[0-9.]+,A,4851' "$work/varlib/stats/clock" && grep -qE ' 127\.127\.20\.1 \$GNGGA,[0-9.]+,____' "$work/varlib/stats/clock"; }
check "clockstats has the sentences of each poll" stamps
events() { cat "$work/varlib/stats/proto"; grep -qE 'GPS_NMEA\(3\) .* clock_event clk_bad_format' "$work/varlib/stats/proto"; }
check "protostats has the events of clocks" events
# What waits in the lines while the daemon is stopped would be seconds off.
kill -STOP "$(cat "$work/run/rsntpd.pid")"; sleep 6; kill -CONT "$(cat "$work/run/rsntpd.pid")"
sleep 9
check "seconds that waited while the daemon was stopped are not used" near 0 100
check "SIGTERM ends it with status 0" daemon_down
verdict
