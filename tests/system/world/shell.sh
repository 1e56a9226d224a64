#!/bin/bash
# The daemon's shell: its files, sockets, log and name, where the machine around it is difficult. Each check is named
# after the row of the list of faults that it is about.
# usage: tests/system/world/shell.sh [PART ...]    paths fifos name log addresses crowd wildcard notify
set -u
. "$(dirname "$0")/lib.sh"
needs shell
parts=("$@"); [ $# -gt 0 ] || parts=(paths fifos name log addresses crowd wildcard notify)
world_up
down() { # all that was started, and the small file system
    local file
    for file in "$work"/run/*.pid; do [ -s "$file" ] && kill "$(cat "$file")" 2> /dev/null; done
    umount "$work/small" 2> /dev/null
    world_down
}
trap down EXIT
log=$work/log/rsntpd
# Whether a host gets an answer from an address.
answers() { # HOST ADDRESS
    on "$1" python3 - "$2" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
for _ in range(2):
    s.sendto(b"\x23" + bytes(39) + b"12345678", (sys.argv[1], 123))
    try:
        data, peer = s.recvfrom(512)
        sys.exit(0 if peer[0] == sys.argv[1] and data[0] & 7 == 4 else 1)
    except socket.timeout:
        pass
sys.exit(1)
END
}
silent() { ! answers "$@"; }
# Starts the daemon in the background, from the given directory; its pid is in $daemon afterwards.
launch() { # DIRECTORY OPTION...
    local from=$1; shift
    in_host bash -c 'cd "$0" && exec "$@"' "$from" "${program:-$rsntpd}" -u 38:38 -p /var/run/rsntpd.pid "$@" || return 1
    daemon=$(cat "$work/run/rsntpd.pid")
}
gone() { ! kill -0 "$daemon" 2> /dev/null; }
finish() { kill -TERM "$daemon"; within 5 gone; rm -f "$work/run/rsntpd.pid"; }
reload() { "$rsntpd" --reload -p "$work/run/rsntpd.pid" > "$work/log/reload" 2>&1; }
reload_fails() { # STATUS WORDS
    reload; local status=$?
    echo "status $status"; cat "$work/log/reload"
    [ $status = "$1" ] && grep -q "$2" "$work/log/reload"
}
said() { grep -q -- "$1" "$log"; }
# Whether so many of the addresses 10.60.x.y have a socket.
sockets() { local n; n=$(on host ss -Hunl sport = :123 | grep -c '10\.60\.'); echo "$n sockets"; [ "$n" = "$1" ]; }

part_paths() {
    local dir=$work/etc; mkdir -p "$dir"
    printf 'includefile access.conf\nkeys keys\ndriftfile drift\nlogfile %s\nserver 127.127.1.0\n' "$log" > "$dir/ntp.conf"
    printf 'restrict default ignore\nrestrict 127.0.0.1\nrestrict 10.199.255.50 nomodify\n' > "$dir/access.conf"
    echo '1 M secret' > "$dir/keys"; chmod 640 "$dir/keys"; chgrp 38 "$dir/keys"
    check "B6 it starts by a relative -c with relative includes" launch "$dir" -c ntp.conf
    check "B6 before SIGHUP the allowed client is answered" answers lan 10.199.255.1
    check "B6 before SIGHUP the forbidden client is not" silent out 10.199.255.1
    (cd / && kill -HUP "$daemon"); sleep 1
    check "B6 after SIGHUP the allowed client is answered" answers lan 10.199.255.1
    check "B6 after SIGHUP the forbidden client is not" silent out 10.199.255.1
    check "B6 SIGHUP read everything" said 'configuration reloaded'
    missed() { ! grep -E 'cannot open|Couldn.t open' "$log"; }
    check "B6 and missed nothing" missed
    echo 'restrict 198.51.100.7' >> "$dir/access.conf"
    check "D8 --reload reports that the change is in force" reload
    check "B6 a change of the included file counts" answers out 10.199.255.1
    mv "$dir/access.conf" "$dir/away"
    check "B6 an included file that is gone stops the reload, which says so" reload_fails 1 'access.conf can no longer be read'
    mv "$dir/away" "$dir/access.conf"
    chmod 600 "$dir/ntp.conf" "$dir/keys"; chown 0:0 "$dir/keys"
    check "D8 files that the user may not read are reported" reload_fails 1 'may no longer be read'
    echo 'nonsense' >> "$dir/ntp.conf"; chmod 644 "$dir/ntp.conf"
    check "D8 a file with a mistake is reported" reload_fails 1 'is not put in force'
    check "D8 and the daemon goes on" answers lan 10.199.255.1
    finish
    check "D8 without a daemon the status is 7" reload_fails 7 'no daemon'
}

part_fifos() {
    local dir=$work/fifos file; mkdir -p "$dir"
    printf 'includefile %s/more\nkeys %s/keys\nleapfile %s/leap\ndriftfile %s/drift\n' "$dir" "$dir" "$dir" "$dir" > "$dir/ntp.conf"
    echo 'restrict default nomodify' > "$dir/more"; echo '1 M secret' > "$dir/keys"; chmod 644 "$dir/keys"
    mkfifo "$dir/leap" "$dir/drift" "$dir/drift.error"
    start() { launch / -l "$log" -c "$dir/ntp.conf"; }
    check "E13 it starts where drift and leap second file are FIFOs" start
    check "E13 and says so" said 'drift: it is a FIFO'
    rm "$dir/leap"; mkfifo "$dir/leap"
    for file in keys more ntp.conf; do
        mv "$dir/$file" "$dir/was"; mkfifo "$dir/$file"
        check "E13 SIGHUP with a FIFO for $file is reported" reload_fails 1 "it is a FIFO"
        check "E13 and it serves on" answers lan 10.199.255.1
        rm "$dir/$file"; mv "$dir/was" "$dir/$file"
    done
    mv "$dir/more" "$dir/was"; mkdir "$dir/more"
    check "E13 a directory for an included file" reload_fails 1 "it is a directory"
    rmdir "$dir/more"; ln -s /dev/zero "$dir/more"
    check "E13 a device for an included file" reload_fails 1 "it is a device"
    rm "$dir/more"; truncate -s 1G "$dir/more"
    check "E13 a file without end for an included file" reload_fails 1 "larger than 4 MiB"
    mv -f "$dir/was" "$dir/more"; finish
    rm "$dir/ntp.conf"; mkfifo "$dir/ntp.conf"
    check "E13 it starts on the defaults where ntp.conf is a FIFO" start
    check "E13 and serves" answers lan 10.199.255.1
    finish
    printf 'statistics sysstats\nstatsdir %s/\nfilegen sysstats file f type none\n' "$dir" > "$dir/conf"
    mkfifo "$dir/f" "$dir/log" "$dir/pid"
    odd() { in_host timeout 20 "$rsntpd" -p "$dir/pid" -l "$dir/log" -c "$dir/conf"; }
    check "E13 it starts where log, pid and statistics files are FIFOs" odd
    check "E13 and serves" within 5 answers lan 10.199.255.1
    daemon=$(on host ss -Hunlp sport = :123 | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2)
    kill -TERM "$daemon"; check "E13 and ends" within 5 gone
}

part_name() {
    mkdir -p "$work/bin"; ln -sf "$rsntpd" "$work/bin/ntpd"
    echo 'server 127.127.1.0' > "$work/name.conf"
    program=$work/bin/ntpd
    check "D2 it starts by the name ntpd" launch / -l "$log.name" -c "$work/name.conf" --server-only --workers 2
    comm() { cat /proc/"$daemon"/comm; [ "$(cat /proc/"$daemon"/comm)" = ntpd ]; }
    check "D2 the process has that name" comm
    argv() { tr '\0' ' ' < /proc/"$daemon"/cmdline; [[ "$(tr '\0' ' ' < /proc/"$daemon"/cmdline)" == */ntpd\ * ]]; }
    check "D2 and so has its command line" argv
    workers() { local p n=0; for p in $(pgrep -P "$daemon"); do [ "$(cat "/proc/$p/comm")" = ntpd ] && n=$((n + 1)); done; [ $n = 2 ]; }
    check "D2 and its workers" workers
    named() { grep -q " ntpd\[$daemon\]: " "$log.name"; }
    check "D2 and the lines of its log" named
    local plugin=$top/.peers/monitoring/usr/lib/nagios/plugins/check_procs
    if [ -x "$plugin" ]; then check "D2 check_procs -C ntpd finds it" "$plugin" -C ntpd -c 1:
    else skip "D2 check_procs (tests/system/peers.sh plugins)"; fi
    finish; program=
    copied() { exec -a /usr/sbin/ntpd "$rsntpd" -n -p "$work/run/copied.pid" -c "$work/name.conf"; }
    exec_host bash -c 'exec -a /usr/sbin/ntpd "$0" "$@"' "$rsntpd" -n -l "$log.copied" -p /var/run/copied.pid -c "$work/name.conf" > /dev/null 2>&1 &
    daemon=$!; pids+=("$daemon")
    check "D2 argv[0] alone names the process" within 5 comm
    kill -TERM "$daemon"; within 5 gone
    # What Chef's cookbook for ntp takes: the last number of three parts of the first line with ntpd.
    version() { "$work/bin/ntpd" --version | sed -n 's/.*ntpd.*[^0-9]\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -1 | grep -x '4.2.6'; }
    check "D6 ntpd --version is 4.2.6 to Chef" version
    first() { "$work/bin/ntpd" --version | head -1 | grep '^ntpd 4\.2\.6p5 (rsntpd [0-9.]*)'; }
    check "D6 ntpd --version begins with ntpd 4.2.6p5" first
    # A /dev of its own, whose syslog daemon is the script.
    mistaken() {
        unshare -m --propagation private python3 - "$rsntpd" <<'END'
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev"], check=True)
os.mknod("/dev/null", 0o20666, os.makedev(1, 3))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/dev/log")
s.settimeout(3)
subprocess.run([sys.argv[1], "--driftfil", "/x", "--bogus"], stderr=subprocess.DEVNULL)
line = s.recv(1024).decode()
print(line)
sys.exit(0 if "illegal option --bogus" in line and "rsntpd: rsntpd" not in line else 1)
END
    }
    check "D20 an illegal option is in syslog, too" mistaken
}

part_log() {
    local mine=$work/log/mine modes
    server_up s1
    printf 'server 210.72.145.44 iburst minpoll 3\nlogfile %s\nstatsdir /var/lib/ntp/\nfilegen peerstats file peerstats type none enable\nstatistics peerstats\n' "$mine" > "$work/log.conf"
    start() { (umask 077; launch / -c "$work/log.conf"); daemon=$(cat "$work/run/rsntpd.pid"); }
    check "D4 it starts as root's log file" start
    owner() { [ "$(stat -c %u "$mine")" = 38 ]; }
    check "D4 the log file becomes the user's" owner
    wrote() { [ -s "$work/varlib/ntp/peerstats" ]; }
    check "D15 a statistics file is written" within 20 wrote
    modes() { stat -c '%a %n' "$mine" "$work/run/rsntpd.pid" "$work/varlib/ntp/peerstats"; [ "$(stat -c %a "$mine" "$work/run/rsntpd.pid" "$work/varlib/ntp/peerstats" | sort -u)" = 644 ]; }
    check "D15 log, pid and statistics files are 0644 under umask 077" modes
    mv "$mine" "$mine.1"; install -o 38 -g 38 -m 644 /dev/null "$mine"
    check "D4 rotation as logrotate's create does it" reload
    follows() { grep -q 'configuration reloaded' "$mine"; }
    check "D4 the new file is written to" follows
    mv "$mine" "$mine.2"
    check "D4 a file that cannot be made is reported" reload_fails 1 'cannot open log file'
    old() { grep -q 'cannot open log file.*old file stays' "$mine.2"; }
    check "D4 and stands in the old one" old
    finish
    exec_host "$rsntpd" -n -p /var/run/rsntpd.pid -c "$work/log.conf" > "$work/log/stderr" 2>&1 &
    daemon=$!; pids+=("$daemon")
    check "D10 with -n and a logfile line it serves" within 8 answers lan 10.199.255.1
    once() { sed 's/.*\]: //' "$mine" "$work/log/stderr" | sort | uniq -d | grep . && return 1; return 0; }
    check "D10 no line comes twice" once
    kill -TERM "$daemon"; within 5 gone
    # A /dev of its own, whose syslog daemon is the script; standard error is what systemd calls the journal's stream.
    journal() {
        on_tame host unshare -m --propagation private python3 - "$rsntpd" "$work" <<'END'
import os, signal, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev"], check=True)
os.mknod("/dev/null", 0o20666, os.makedev(1, 3))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/dev/log")
s.settimeout(5)
open(sys.argv[2] + "/journal.conf", "w").write("server 127.127.1.0\n")
stream = open(sys.argv[2] + "/log/stream", "w")
found = os.fstat(stream.fileno())
environment = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
daemon = subprocess.Popen([sys.argv[1], "-n", "-c", sys.argv[2] + "/journal.conf"], stderr=stream, env=environment)
lines = [s.recv(2048).decode() for _ in range(3)]
daemon.send_signal(signal.SIGTERM)
daemon.wait(10)
written = open(sys.argv[2] + "/log/stream").read()
print(lines, written)
sys.exit(0 if "starting" in lines[0] and not written else 1)
END
    }
    check "D10 with -n under the journal every line goes to syslog alone" journal

    mkdir -p "$work/small"; mount -t tmpfs -o size=64k tmpfs "$work/small"; chmod 755 "$work/small"
    printf 'logfile %s/log\n\n' "$work/small" > "$work/small.conf"
    check "E18 it starts with a log on a small disk" launch / -c "$work/small.conf"
    dd if=/dev/zero of="$work/small/fill" bs=1k 2> /dev/null
    # Each reload logs another mistake, until the last page of the file is full.
    local n; for n in $(seq 60); do sed -i "2,\$s/.*/nonsense$n/" "$work/small.conf"; reload; done
    rm "$work/small/fill"; sed -i 2d "$work/small.conf"; reload
    counted() { tail -4 "$work/small/log"; grep -qE '[0-9]+ log lines were not written here' "$work/small/log"; }
    check "E18 with room again the log is written, with the count of lost lines" counted
    finish
    last() { tail -1 "$work/small/log" | grep -qE 'exiting'; }
    check "E18 and the last lines at SIGTERM" last
    umount "$work/small"
}

batch() { # add|del FROM COUNT: addresses 10.60.x.y on lo
    local n; for n in $(seq "$2" $(($2 + $3 - 1))); do echo "addr $1 10.60.$((n / 250)).$((n % 250 + 1))/32 dev lo"; done | on host ip -batch -
}
part_addresses() {
    on lan ip route add 10.60.0.0/16 dev eth0
    echo 'server 127.127.1.0' > "$work/a.conf"
    check "E25 it starts" launch / -l "$log" -c "$work/a.conf"
    batch add 0 1100
    check "E25 1100 addresses added at once are followed within 5 s" within 5 sockets 1100
    check "E25 the last of them answers" answers lan 10.60.4.100
    batch del 0 1100
    check "E25 1100 addresses removed at once are followed within 5 s" within 5 sockets 0
    kill -STOP "$daemon"; batch add 0 1100; batch del 0 1100; kill -CONT "$daemon"
    on host ip addr add 10.60.9.9/32 dev lo
    check "E25 after a burst while it was stopped a new address is followed within 5 s" within 5 sockets 1
    on host ip addr del 10.60.9.9/32 dev lo
    check "E25 and its end as well" within 5 sockets 0
    finish
}

part_crowd() {
    on lan ip route replace 10.60.0.0/16 dev eth0
    batch add 0 1500
    echo 'server 127.127.1.0' > "$work/c.conf"
    ulimit -Sn 1024
    check "D5 it starts with 1500 addresses and 1024 open files" launch / -l "$log.crowd" -c "$work/c.conf"
    check "D5 each has a socket" sockets 1500
    check "D5 the last of them answers" answers lan 10.60.5.250
    finish
    hard() { (ulimit -Hn 1024; launch / -l "$log.hard" -c "$work/c.conf"); local s=$?; daemon=$(cat "$work/run/rsntpd.pid"); return $s; }
    check "D5 it starts where no more files may be open" hard
    check "D5 the first address answers" answers lan 10.60.0.1
    check "D5 the last answers, by the wildcard socket" answers lan 10.60.5.250
    once() { grep -c 'more addresses than files' "$log.hard" | grep -x 1; }
    check "D5 this is told once" once
    on host ip addr add 10.60.9.9/32 dev lo; sleep 3
    check "D5 a new address is served, too" answers lan 10.60.9.9
    check "D5 and told once still" once
    on host ip addr del 10.60.9.9/32 dev lo
    finish; batch del 0 1500
}

part_wildcard() {
    server_up s1
    on host ip addr add 10.199.255.2/24 dev eth0
    local n
    for n in 1 2; do printf 'interface ignore all\ninterface ignore wildcard\ninterface listen 10.199.255.%s\nserver 210.72.145.44 iburst minpoll 3\n' $n > "$work/w$n.conf"; done
    check "B11 a daemon without wildcard sockets starts" launch / -l "$log.w1" -c "$work/w1.conf"
    bound() { on host ss -Hunl sport = :123; ! on host ss -Hunl sport = :123 | grep -E '(0\.0\.0\.0|\*|\[::\]):123'; }
    check "B11 no wildcard socket is bound" bound
    second() { in_host "$rsntpd" -u 38:38 -p /var/run/second.pid -l "$log.w2" -c "$work/w2.conf"; }
    check "B11 a second daemon on another address starts" second
    check "B11 the first answers at its address" answers lan 10.199.255.1
    check "B11 the second answers at its address" answers lan 10.199.255.2
    synced() { ntpq -pn | grep -E '^\*210'; }
    check "B11 without a wildcard socket it asks its server from the route's address" within 20 synced
    told() { grep -q 'unable to create socket on lo for 127.0.0.1' "$log.w2"; }
    check "B11 the second says that it does not have 127.0.0.1" told
    third() { out=$(in_host "$rsntpd" -p /var/run/third.pid -c "$work/a.conf" 2>&1); s=$?; echo "$s: $out"; [ $s = 1 ] && [ "$(grep -c 'in use' <<< "$out")" = 1 ]; }
    echo 'server 127.127.1.0' > "$work/a.conf"
    check "D20 a third that wants all says once that the port is taken" third
    finish
    daemon=$(cat "$work/run/second.pid"); kill -TERM "$daemon"; within 5 gone; rm -f "$work/run/second.pid"
    cp "$work/w1.conf" "$work/w.conf"
    check "B11 it starts again" launch / -l "$log.w" -c "$work/w.conf"
    sed -i 's/ignore wildcard/drop wildcard/' "$work/w.conf"; reload
    opened() { on host ss -Hunl sport = :123 | grep -E '0\.0\.0\.0:123'; }
    check "B11 SIGHUP without the line opens the wildcard sockets" within 4 opened
    sed -i 's/drop wildcard/ignore wildcard/' "$work/w.conf"; reload
    check "B11 and with it closes them" within 4 bound
    check "B11 and the address is served" answers lan 10.199.255.1
    finish
    on host ip addr del 10.199.255.2/24 dev eth0
}

part_notify() {
    python3 - "$work/notify" > "$work/log/notify" <<'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(120)
while True:
    print(" ".join(s.recv(512).decode().split("\n")), flush=True)
END
    pids+=($!)
    within 5 test -S "$work/notify"; chmod 777 "$work/notify"
    echo 'server 127.127.1.0' > "$work/n.conf"
    heard() { cat "$work/log/notify"; tail -"${2:-1}" "$work/log/notify" | grep -q "^$1"; }
    export NOTIFY_SOCKET=$work/notify
    check "D7 with fork it starts" launch / -l "$log" -c "$work/n.conf"
    check "D7 the parent tells the child's process id and that it serves" within 3 heard "MAINPID=$daemon READY=1"
    reload
    check "D7 a reload is told" within 3 heard RELOADING=1 2
    check "D7 and its end" within 3 heard READY=1
    kill -TERM "$daemon"
    check "D7 and the end" within 3 heard STOPPING=1
    within 5 gone
    exec_host "$rsntpd" -n -u 38:38 -l "$log" -p /var/run/rsntpd.pid -c "$work/n.conf" > /dev/null 2>&1 &
    daemon=$!; pids+=("$daemon")
    check "D7 without fork the process itself tells" within 5 heard READY=1
    kill -TERM "$daemon"; within 5 gone
    unset NOTIFY_SOCKET
}

for part in "${parts[@]}"; do "part_$part"; done
verdict
