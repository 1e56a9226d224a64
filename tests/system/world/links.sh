#!/bin/bash
# Servers whose address is of one link, with the interface behind it; MACs of version 3 against chronyd; two names
# of one address, and a name whose first address is dead.
set -u
. "$(dirname "$0")/lib.sh"
needs links
world_up
companions ntpq ntpdate
# The host's eth0 is on the segment, its eth1 on a link of its own with s2; both links have an fe80::3.
for h in host s2 s3; do on "$h" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0; done
on host ip link add eth1 type veth peer name eth1 netns "$(world_ns s2)"
for h in host s2; do on "$h" ip link set eth1 up; done
on host ip -6 addr add fe80::1/64 dev eth0 nodad
on host ip -6 addr add fe80::1/64 dev eth1 nodad
on s3 ip -6 addr add fe80::3/64 dev eth0 nodad
on host ip route replace 192.0.2.66/32 dev eth0
on s2 ip -6 addr add fe80::3/64 dev eth1 nodad
secret=000102030405060708090a0b0c0d0e0f
printf '3 SHA256 HEX:%s\n4 SHA512 HEX:%s\n' $secret $secret > "$work/chrony.keys"
printf '3 SHA256 %s\n4 SHA512 %s\n' $secret $secret > "$work/etc-ntp/keys"
chmod 600 "$work/chrony.keys"
for h in s1 s2 s3; do
    printf 'local stratum 1\nallow\ncmdport 0\nkeyfile %s\npidfile %s/%s.pid\n' "$work/chrony.keys" "$work" "$h" > "$work/$h.conf"
    exec_tame "$h" "$peers/chronyd" -x -d -u root -f "$work/$h.conf" > "$work/log/$h" 2>&1 &
    pids+=($!)
done
# 192.0.2.66 is nobody's: it is dead. two.example and s1.example are one host.
printf '127.0.0.1 localhost\n192.0.2.66 first.example\n202.112.10.36 first.example\n210.72.145.44 s1.example two.example\n' > "$work/hosts"
cat > "$work/ntp.conf" <<'C'
keys /etc/ntp/keys
trustedkey 3 4
server fe80::3%eth0 iburst minpoll 3 maxpoll 3
server [fe80::3%eth1] iburst minpoll 3 maxpoll 3
server fe80::9%later iburst minpoll 3 maxpoll 3
server s1.example iburst minpoll 3 maxpoll 3 version 3 key 3
server two.example iburst minpoll 3 maxpoll 3
server first.example iburst minpoll 3 maxpoll 3 version 3 key 4
C
exec_host bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$work/hosts" \
    "$rsntpd" -n -l "$work/log/rsntpd" -p /var/run/rsntpd.pid -c "$work/ntp.conf" > "$work/log/stderr" 2>&1 &
daemon=$!
pids+=("$daemon")

log() { grep -qE "$1" "$work/log/rsntpd" || { cat "$work/log/rsntpd"; false; }; }
peers_table() { on host "$work/bin/ntpq" -pn; }
reached() { peers_table | tee /dev/stderr | grep -E "^[*+o# -]$1" | awk '{exit !($7 > 0)}'; }
index() { on host cat "/sys/class/net/$1/ifindex" 2>/dev/null || on host ip -o link show "$1" | cut -d: -f1; }
check "A7 a link-local server is polled and used" within 20 reached "fe80::3%$(index eth0)"
check "A7 the same address on another link is another server" within 20 reached "fe80::3%$(index eth1)"
check "A7 the log shows it with its link" within 5 log "resolved fe80::3%eth0 to fe80::3%$(index eth0)"
on host ip link add later type veth peer name later netns "$(world_ns s3)"
on host ip link set later up; on s3 ip link set later up
on host ip -6 addr add fe80::1/64 dev later nodad
on s3 ip -6 addr add fe80::9/64 dev later nodad
check "A7 an interface that comes later is found" within 80 reached "fe80::9%$(index later)"
link_client() { on s3 "$peers/ntpdig" -j -t 3 "fe80::1%eth0" 2>&1 | tee /dev/stderr | grep -qE '"stratum": ?2'; }
check "A7 a client on the link is served at the link-local address" within 20 link_client
check "E2 chronyd's SHA-256 in version 3 is synchronized to" within 20 reached 210.72.145.44
date_v3() { on host "$work/bin/ntpdate" -q -u -p 4 -o 3 -a "$1" -k "$work/etc-ntp/keys" 210.72.145.44 2>&1 | tee /dev/stderr | grep -q 'offset.*sec$'; }
check "E2 rsntpdate takes the time from chronyd with SHA-256 in version 3" date_v3 3
check "E2 and with SHA-512" date_v3 4
one() { peers_table | tee /dev/stderr | grep -c '210\.72' | grep -qx 1; }
check "A6 two names of one address are one association" one
check "A6 and that is logged" log 'duplicate server (two|s1)\.example ignored'
check "E8 a name whose first address is dead goes on to the next, E2 with SHA-512 in version 3" within 60 reached 202.112.10.36
check "SIGTERM ends it with status 0" daemon_down
verdict
