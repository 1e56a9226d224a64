#!/bin/bash
# A broadcast server: a host of the network hears its packets, by broadcast and by multicast, and decodes them; the daemon itself
# does not hear them.
set -u
. "$(dirname "$0")/lib.sh"
needs broadcast
world_up
world_v6
on net ip link set br0 type bridge mcast_snooping 0
printf '2 SHA1 %s\n' 000102030405060708090a0b0c0d0e0f > "$work/etc-ntp/keys"
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 2' "server ${address[s1]} iburst" 'broadcast 10.199.255.255 minpoll 4' \
    'broadcast 224.0.1.1 minpoll 4 key 2' 'broadcast ff05::101 minpoll 4 ttl 1' 'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
server_up s1
on host ip route add 224.0.0.0/4 dev eth0
on lan ip route add 224.0.0.0/4 dev eth0
cat > "$work/hear.py" <<'P'
import select, socket, struct, sys, time
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
plain.setsockopt(socket.IPPROTO_IP, socket.IP_PKTINFO if hasattr(socket, 'IP_PKTINFO') else 8, 1)
plain.bind(('', 123))
plain.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('224.0.1.1') + socket.inet_aton('10.199.255.50'))
end = time.time() + 60
seen = set()
while time.time() < end and len(seen) < 2:
    if not select.select([plain], [], [], 1)[0]:
        continue
    data, beside, _, sender = plain.recvmsg(512, 256)
    to = socket.inet_ntoa(beside[0][2][8:12])
    first, stratum, poll = data[0], data[1], data[2]
    origin, receive, transmit = struct.unpack('>QQQ', data[24:48])
    off = transmit / 2**32 - 2208988800 - time.time()
    print(sender[0], to, 'mode', first & 7, 'version', first >> 3 & 7, 'leap', first >> 6, 'stratum', stratum, 'poll', poll,
          'origin', origin, 'receive', receive, 'off %.4f' % off, len(data), 'bytes')
    if first & 7 == 5 and stratum == 2 and poll == 4 and origin == receive == 0 and abs(off) < 0.5:
        seen.add((to, len(data)))
print(sorted(seen))
sys.exit(seen != {('10.199.255.255', 48), ('224.0.1.1', 72)})
P
cat > "$work/hear6.py" <<'P'
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
s.bind(('ff05::101', 123))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, 'ff05::101') + struct.pack('I', socket.if_nametoindex('eth0')))
s.settimeout(60)
data, beside, _, sender = s.recvmsg(512, 256)
hops = struct.unpack('i', beside[0][2])[0]
print(sender[0], 'mode', data[0] & 7, 'stratum', data[1], 'hops', hops)
sys.exit((sender[0], data[0] & 7, data[1], hops) != ('fd77::1', 5, 2, 32))
P
exec_tame lan python3 "$work/hear6.py" > "$work/heard6" 2>&1 & listener6=$!
exec_tame lan python3 "$work/hear.py" > "$work/heard" 2>&1 & listener=$!
daemon_up -c "$work/ntp.conf"
heard() { wait $listener; local status=$?; cat "$work/heard" >&2; return $status; }
check "a host of the network hears both, at the right time, one of them signed" heard
heard6() { wait $listener6; local status=$?; cat "$work/heard6" >&2; return $status; }
check "and a group of IPv6, from the address of the interface, with the TTL of the table's entry" heard6
shown() { ntpq -c as | tee /dev/stderr | grep -q ' 8811 ' && ntpq -c lpeers 2> /dev/null | tee /dev/stderr | grep -E 'BCST|MCST' | wc -l | grep -qx 3; }
check "ntpq: three associations that broadcast, BCST and MCST" shown
follows() { ntpq -pn | tee /dev/stderr | grep -qE "^\*${address[s1]//./\\.}"; }
check "and its server is followed" follows
alone() { [ "$(ntpq -c as | awk '$1 ~ /^[0-9]+$/ {n++} END {print n}')" = 4 ]; }
check "it does not hear itself" alone
verdict
