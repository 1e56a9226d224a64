#!/bin/bash
# A broadcast client against another program: chronyd sends the time to the network, to a group of IPv4 and to one of IPv6; each
# of the three makes an association, the way is measured, and from then on nothing is sent.
set -u
. "$(dirname "$0")/lib.sh"
needs listeners
world_up
world_v6
on net ip link set br0 type bridge mcast_snooping 0
on s1 ip addr add 10.199.255.11/24 dev eth0
on s2 ip addr add 10.199.255.12/24 dev eth0
on s2 ip route add 224.0.0.0/4 dev eth0 src 10.199.255.12
on s3 ip -6 route add ff00::/8 dev eth0 table local 2> /dev/null
announcer() { # HOST ADDRESS
    printf 'local stratum 1\nbroadcast 16 %s\nallow\ncmdport 0\npidfile %s/%s.pid\n' "$2" "$work" "$1" > "$work/$1.conf"
    exec_tame "$1" "$peers/chronyd" -x -d -u root -f "$work/$1.conf" > "$work/log/$1" 2>&1 & pids+=($!)
}
announcer s1 10.199.255.255
announcer s2 224.0.1.1
announcer s3 ff05::101
# chronyd cannot sign broadcasts.
printf '%s\n' 'disable auth' 'broadcastclient' 'multicastclient 224.0.1.1 ff05::101' \
    'restrict default kod nomodify notrap' 'restrict 127.0.0.1' > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"

joined() { grep "Joined .* multicast group $1 on eth0" "$work/log/rsntpd"; }
check "the group of IPv4 is joined" within 5 joined 224.0.1.1
check "the group of IPv6 is joined" within 5 joined ff05::101
heard() { # ADDRESS
    local id line
    for id in $(ntpq -c as | awk '$1 ~ /^[0-9]+$/ {print $2}'); do
        line=$(ntpq -c "rv $id" | tr '\n' ' ')
        case $line in *"srcadr=$1,"*"hmode=6, pmode=5,"*) echo "$line" >&2; return 0 ;; esac
    done
    ntpq -pn >&2; ntpq -c as >&2; return 1
}
check "the server that sends to the network is heard: hmode 6, pmode 5" within 60 heard 10.199.255.11
check "the one that sends to a group of IPv4" within 60 heard 10.199.255.12
check "the one that sends to a group of IPv6" within 60 heard fd77::3
follows() { ntpq -pn | tee /dev/stderr | grep -qE '^\*'; }
check "one of them is followed" within 60 follows
shown() { [ "$(ntpq -c as | tee /dev/stderr | grep -cE '^ *[0-9]+ +[0-9]+ +1[0-9a-f]{3} +no +yes +none')" = 3 ]; }
check "ntpq as: three, not configured and reachable" within 60 shown
near() { ntpq -pn | tee /dev/stderr | awk 'NR > 2 {n++; if ($9 > 5 || $9 < -5) bad++} END {exit n != 3 || bad}'; }
check "their offsets are those of one clock" near
quiet() { # 20 s without a packet to any of them
    local before after
    before=$(ntpq -c iostats | sed -n 's/^packets sent: *//p'); on host sleep 20; after=$(ntpq -c iostats | sed -n 's/^packets sent: *//p')
    echo "$before $after" >&2; [ $((after - before)) -le 3 ]
}
check "nothing is sent any more" quiet
cat > "$work/ask.py" <<'PY'
import socket, struct, sys
to = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.settimeout(1)
s.sendto(struct.pack('!BBHHHHH', 0x16, 2, 1, 0, 0, 0, 0), (to, 123))
try:
    print('answered by', s.recvfrom(2048)[1][0])
except socket.timeout:
    print('no answer')
PY
asked() { on s2 python3 "$work/ask.py" "$1" | tee /dev/stderr | grep -q "$2"; }
check "a control request to the group gets no answer" asked 224.0.1.1 'no answer'
check "nor does one to the network" asked 10.199.255.255 'no answer'
check "one to the host does" asked 10.199.255.1 'answered by 10.199.255.1'
log() { cat "$work/log/rsntpd" >&2; grep -qE 'synchronized to (10.199.255.1[12]|fd77::3), stratum 1' "$work/log/rsntpd"; }
check "the log names the one that is followed" log
# The interface goes away and comes back: the groups are joined again.
on host ip link set eth0 down; on host ip link set eth0 up
on host ip -6 addr add fd77::1/64 dev eth0 nodad 2> /dev/null
for h in "${!address[@]}"; do on host ip route replace "${address[$h]}/32" dev eth0 2> /dev/null; done
again() { [ "$(grep -c "Joined .* multicast group 224.0.1.1 on eth0" "$work/log/rsntpd")" -ge 1 ] && on host cat /proc/net/igmp | grep -qi 010100E0; }
check "after the interface was away the group is joined" within 30 again
verdict
