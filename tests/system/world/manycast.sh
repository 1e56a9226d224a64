#!/bin/bash
# Manycast between daemons: three servers answer the beacons of a group, signed; the client finds them, and a script hears with which
# TTL the beacons come. Then the same by IPv6 with two servers, and what ntpq shows of it.
set -u
. "$(dirname "$0")/lib.sh"
needs manycast
world_up; world_v6
group=239.1.1.1 group6=ff05::101
printf '7 SHA1 %s\n' 000102030405060708090a0b0c0d0e0f > "$work/etc-ntp/keys"
for h in host s1 s2 s3 lan; do on "$h" ip route add 224.0.0.0/4 dev eth0; done
manycast_server() { # HOST GROUP…
    local h=$1; shift
    printf '%s\n' "keys $work/etc-ntp/keys" 'trustedkey 7' 'server 127.127.1.0' 'fudge 127.127.1.0 stratum 3' "manycastserver $*" \
        'restrict default kod nomodify notrap nopeer noquery' > "$work/$h.conf"
    exec_tame "$h" "$rsntpd" -n -c "$work/$h.conf" -l "$work/log/$h" -p "$work/$h.pid" > "$work/log/$h.err" 2>&1 &
    pids+=($!)
}
manycast_server s1 $group; manycast_server s2 $group; manycast_server s3 $group $group6
cat > "$work/hear.py" <<'P'
import select, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_IP, 12, 1)
# 12 is IP_RECVTTL, which this module does not name.
s.bind((sys.argv[1], 123))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[1]) + socket.inet_aton('10.199.255.50'))
print('listening', flush=True)
end = time.time() + 40
heard = []
while time.time() < end and len(heard) < 2:
    if select.select([s], [], [], 1)[0]:
        data, beside, _, sender = s.recvmsg(512, 64)
        heard.append(int.from_bytes(beside[0][2][:4], sys.byteorder))
        print(sender[0], 'mode', data[0] & 7, 'leap', data[0] >> 6, len(data), 'bytes, TTL', heard[-1], flush=True)
sys.exit(heard != [2, 5])
P
exec_tame lan python3 "$work/hear.py" $group > "$work/heard" 2>&1 & listener=$!
listens() { grep -q listening "$work/heard"; }
within 20 listens
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 7' 'tos minclock 4' 'ttl 2 5' "manycastclient $group key 7 iburst minpoll 3 maxpoll 3" \
    'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
companions ntpq
daemon_up -c "$work/ntp.conf"

# GROUP SERVERS: what both ntpq show of the beacon, and of the servers that it found.
beacon_rows() {
    local group=$1 servers=$2
    row() { ntpq -pn | tee /dev/stderr | grep -qE "^ ${group//./\\.} +\.ACST\. +16 [au] "; }
    check "NTPsec's ntpq: $group .ACST. 16" row
    own_row() { on host "$work/bin/ntpq" -pn | tee /dev/stderr | grep -qE "^ ${group//./\\.} +\.ACST\. +16 a "; }
    check "rsntpq: $group .ACST. 16 a" own_row
    status() { ntpq -c as | tee /dev/stderr | awk -v n="$servers" '$3 == "c811" {beacon++} $3 ~ /^7/ && $4 == "no" && $6 == "ok" {own++} END {exit !(beacon == 1 && own == n)}'; }
    check "ntpq: the beacon c811, its servers authenticated and not configured" status
}
rows() { ntpq -pn | tee /dev/stderr; }
synchronized() { rows | grep -q '^\*'; }
check "the clock is synchronized" within 30 synchronized
all() { local r h; r=$(rows); for h in s1 s2 s3; do grep -q "^[*+-]${address[$h]//./\\.}" <<< "$r" || return 1; done; }
check "all three servers are found" within 30 all
beacon_rows '239.1.1.1' 3
heard() { wait $listener; local s=$?; cat "$work/heard" >&2; return $s; }
check "the beacons have the TTLs of the ttl line, in its order" heard
check "SIGTERM ends it with status 0" daemon_down

manycast_server lan $group6
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 7' "manycastclient $group6 key 7 iburst minpoll 3 maxpoll 3" \
    'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
# Both servers, one of them followed.
both6() { local r; r=$(rows) && grep -q '^[*+-]fd77::3 ' <<< "$r" && grep -q '^[*+-]fd77::50 ' <<< "$r" && grep -q '^\*' <<< "$r"; }
check "IPv6: a server of $group6 is followed, and the other one is found" within 60 both6
beacon_rows 'ff05::101' 2
modes6() { local id; for id in $(ntpq -c as | awk '$3 ~ /^7/ {print $2}'); do ntpq -c "rv $id srcadr,dstadr,hmode,pmode"; done | tee /dev/stderr | grep -c 'hmode=3' | grep -qx 2; }
check "ntpq: they are polled as clients poll" modes6
{ ntpq -p; ntpq -c as; } | sed 's/^/#   /'
check "SIGTERM ends it with status 0" daemon_down
verdict
