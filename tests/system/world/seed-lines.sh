#!/bin/bash
# The administrator's ntp.conf with each of its commented association lines switched on in turn: what ntpq shows then.
# usage: seed-lines.sh CONF
set -u
. "$(dirname "$0")/lib.sh"
conf=$(realpath "$1")
needs "seed-lines on $1"
world_up; servers_up
on net ip link set br0 type bridge mcast_snooping 0
on host ip addr add 192.168.1.1/24 dev eth0
on lan ip addr add 192.168.1.50/24 dev eth0
on host ip route add 224.0.0.0/4 dev eth0
on lan ip route add 224.0.0.0/4 dev eth0

followed() { ntpq -pn | grep -q "^\*"; }
# Takes the # from the line that begins so, and starts the daemon on that.
with_line() { # LINE
    sed "s/^#\($1\)/\1/" "$conf" > "$work/ntp.conf"
    cmp -s "$conf" "$work/ntp.conf" && { echo "no such line: $1"; return 1; }
    rm -f "$work/log/rsntpd"
    daemon_up -c "$work/ntp.conf" -g
    within 20 followed || { ntpq -pn; return 1; }
}
# Shows what ntpq does: billboard, associations, and all variables of the association that the line has made; of the daemon if it
# makes none.
show() { # LINE
    echo "# $1"
    local made; made=$(ntpq -c as | awk '$3 ~ /^88/ {print $2}')
    { ntpq -pn; ntpq -c as; ntpq -c "rv ${made:-0}"; } | sed 's/^/#   /'
}
row() { ntpq -c as | tee /dev/stderr | grep -qE "$1"; }
billboard() { ntpq -c lpeers | tee /dev/stderr | grep -qE "$1"; }
log() { grep -qE "$1" "$work/log/rsntpd" || { cat "$work/log/rsntpd" >&2; false; }; }
silent() { ! grep -E 'not (yet )?supported' "$work/log/rsntpd" | grep -v Autokey; }

check "broadcast 192.168.1.255: it starts, and follows a server" with_line 'broadcast 192'
check "its association broadcasts" within 10 billboard '192\.168\.1\.255 +\.BCST\.'
check "and has the status of one" row ' 88[0-9a-f]{2} +yes +none +none'
heard() { timeout 90 ip netns exec "$(world_ns lan)" python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("192.168.1.255", 123))
data, sender = s.recvfrom(512); print(sender, data.hex()); assert data[0] & 7 == 5 and data[1] == 2 and sender[0] == "192.168.1.1"'; }
check "a host of that network hears it" heard
show "broadcast 192.168.1.255 autokey"
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

check "broadcastclient: it starts, and follows a server" with_line broadcastclient
check "that no broadcast can be used without a key is logged" log 'broadcasts are heard, but none can be used'
show broadcastclient
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

check "broadcast 224.0.1.1: it starts, and follows a server" with_line 'broadcast 224'
check "its association is a multicast server" within 10 billboard '224\.0\.1\.1 +\.MCST\.'
show "broadcast 224.0.1.1 autokey"
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

check "multicastclient 224.0.1.1: it starts, and follows a server" with_line multicastclient
check "the group is joined" log 'Joined .* multicast group 224\.0\.1\.1 on eth0'
show "multicastclient 224.0.1.1"
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

check "manycastserver 239.255.254.254: it starts, and follows a server" with_line manycastserver
check "the group is joined" log 'Joined .* multicast group 239\.255\.254\.254 on eth0'
answered() { timeout 30 ip netns exec "$(world_ns lan)" python3 -c '
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.199.255.50", 123)); s.settimeout(20)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.199.255.50"))
cookie = os.urandom(8)
s.sendto(bytes([0x23, 16, 6, 0]) + bytes(36) + cookie, ("239.255.254.254", 123))
data, sender = s.recvfrom(512); print(sender, data.hex()); assert data[0] & 7 == 4 and data[1] == 2 and data[24:32] == cookie'; }
# Other networks are refused by the first restrict line of the file.
check "a beacon of the local network is answered" answered
show "manycastserver 239.255.254.254"
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

check "manycastclient 239.255.254.254: it starts, and follows a server" with_line manycastclient
check "its association is a beacon" within 10 billboard '239\.255\.254\.254 +\.ACST\.'
show "manycastclient 239.255.254.254 autokey"
check "nothing of it is called unsupported but Autokey" silent
check "it ends" daemon_down

verdict
