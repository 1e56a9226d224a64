#!/bin/bash
# Several processes that answer as one (--server-only --workers): who answers, with what, as whom, and what happens
# when one of them is killed.
set -u
. "$(dirname "$0")/lib.sh"
needs "workers"
python=$(command -v python3) || { skip "workers: no python3"; verdict; exit; }
world_up; server_up s1
conf=$work/ntp.conf
cat > "$conf" <<'CONF'
server 210.72.145.44 iburst minpoll 3 maxpoll 3
discard average 3 minimum 1
restrict default nomodify notrap nopeer noquery
restrict 127.0.0.1
restrict 127.2.0.0 mask 255.255.0.0 limited kod
CONF
touch "$work/log/rsntpd"; chmod 666 "$work/log/rsntpd"
if ! grep -q 'reuseport' /proc/kallsyms 2>/dev/null; then echo "# /proc/kallsyms does not tell whether the kernel has groups of sockets"; fi
launch() { in_host "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$work/log/rsntpd" -c "$conf" --server-only --workers 3; }
check "the parent exits with 0 once the main process serves" launch
daemon=$(cat "$work/run/rsntpd.pid")
if grep -q 'cannot share requests out' "$work/log/rsntpd"; then skip "workers: this kernel has none"; kill "$daemon"; verdict; exit; fi
workers() { cat "/proc/$daemon/task/$daemon/children"; }
three() { workers; [ "$(workers | wc -w)" = 3 ]; }
check "there are three workers" three
humble() { local w; for w in $(workers); do grep -E 'CapEff|Uid' "/proc/$w/status"; grep -q 'CapEff:.*0000000000000000' "/proc/$w/status" && grep -qE 'Uid:\s+38' "/proc/$w/status" || return 1; done; }
check "they run as user 38 without any capability" within 5 humble
# Asks from so many addresses of a network, so often; prints how many were answered, the strata, and the kisses.
ask() { on host "$python" - "$@" <<'PY'
import socket, sys
net, clients, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
answered, strata, kisses = 0, set(), 0
for i in range(clients):
    for t in range(times):
        # A port of its own each time: it is the address that counts.
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("%s.%d.%d" % (net, i // 250, i % 250 + 1), 0))
        s.settimeout(0.5 if t == 0 else 0.02)
        s.sendto(b"\x23" + bytes(39) + b"12345678", ("127.0.0.1", 123))
        try: data = s.recv(100)
        except TimeoutError: continue
        assert len(data) == 48 and data[24:32] == b"12345678", data
        if data[1] == 0: kisses += 1
        else:
            answered += 1
            strata.add(data[1])
print("answered", answered, "strata", *sorted(strata), "kisses", kisses)
PY
}
follows() { ntpq -pn | grep -E '^\*210'; }
check "the main process follows a server: its answers come to it" within 25 follows
all() { ask 127.1 200 1 | tee /dev/stderr | grep -qx 'answered 200 strata 2 kisses 0'; }
check "200 clients are answered with the stratum of the main process" within 5 all
used() { local w; for w in $(workers); do local n; n=$(awk '{print $1}' "/proc/$w/schedstat"); echo "$w: $n ns"; [ "$n" -gt 1000000 ] || return 1; done; }
check "every worker had its share" used
counted() { ntpq -c sysstats | tee /dev/stderr | awk '/packets received/ {r = $3} /processed for time/ {p = $4} END {exit !(r >= 200 && p >= 200)}'; }
check "ntpq sees what the workers counted" counted
limited() { ask 127.2 20 6 | tee /dev/stderr | grep -qx 'answered 20 strata 2 kisses 20'; }
check "rate limits are exact: one answer and one kiss each, whatever the port" limited
printf 'restrict 127.1.0.0 mask 255.255.0.0 ignore\n' >> "$conf"; chmod 644 "$conf"; kill -HUP "$daemon"
ignored() { ask 127.1 3 1 | tee /dev/stderr | grep -qx 'answered 0 strata kisses 0'; }
check "SIGHUP reaches the workers" within 5 ignored
first=$(workers | awk '{print $1}')
kill -9 "$first"
told() { grep "worker 1 (process $first) was ended by SIGKILL" "$work/log/rsntpd"; }
check "a worker that is killed is told" within 3 told
again() { ask 127.3 100 1 | tee /dev/stderr | grep -qx 'answered 100 strata 2 kisses 0'; }
check "and the main process answers in its place" within 5 again
check "which goes on to follow its server" follows
rest=$(workers)
kill -TERM "$daemon"
ended() { ! kill -0 "$daemon" 2>/dev/null; }
check "SIGTERM ends it" within 5 ended
# One that has ended and that nobody has asked about yet is gone, too.
gone() { local w; for w in $rest; do awk '{print $1, $2, $3}' "/proc/$w/stat" 2>/dev/null | tee /dev/stderr | grep -qv ' Z$' && return 1; done; true; }
check "and its workers with it" within 5 gone
check "it starts again" launch
daemon=$(cat "$work/run/rsntpd.pid"); rest=$(workers)
taken() { out=$(in_host "$rsntpd" -u 38:38 -p /var/run/second.pid -c "$conf" --server-only --workers 2 2>&1); s=$?; echo "$s: $out"; [ $s != 0 ] && grep -qi 'in use' <<< "$out"; }
check "a second one fails loudly: the port is taken" taken
kill -9 "$daemon"
check "workers do not outlive a main process that is killed" within 5 gone
rm -f "$work/run/rsntpd.pid"
verdict
