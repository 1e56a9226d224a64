# Addresses and interfaces that come and go, no loopback, a name server that does not respond.
# shellcheck shell=bash

sockets() { on "$h" ss -Hunl 'sport = 123' | awk '{print $4}' | sort; }
cpu() { awk '{print $14 + $15}' "/proc/$daemon/stat"; }
flaps() {
    conf
    on "$h" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    on "$h" ip link add d0 type veth peer name d1; on "$h" ip link set d0 up; on "$h" ip link set d1 up
    start ""
    must "it is synchronized" synchronized
    local before used i open; before=$(sockets); used=$(cpu) open=$(descriptors_open)
    # Twelve thousand changes: addresses, and the link itself every tenth time.
    for ((i = 0; i < 6000; i++)); do
        if ((i % 10)); then echo "addr add 10.198.$((i % 3)).$((i % 250 + 1))/32 dev d0"; sleep 0.005; echo "addr del 10.198.$((i % 3)).$((i % 250 + 1))/32 dev d0"
        else echo "link set d0 down"; sleep 0.005; echo "link set d0 up"; fi
        sleep 0.003
    done | on "$h" ip -force -batch - > "$d/ip" 2>&1
    used=$(($(cpu) - used))
    must "it serves" serves
    must "it was never unsynchronized" bash -c "! grep 'no servers reachable' '$d/log'"
        same_sockets() { sockets; echo "$before"; [ "$(sockets)" = "$before" ]; }
    must "sockets are as before" within 60 same_sockets
    must "no descriptor is left open" [ "$(descriptors_open)" -le "$open" ]
    must "it used less than a tenth of a processor ($used ticks)" [ "$used" -lt 600 ]
    must "its log is short" [ "$(wc -l < "$d/log")" -lt 1000 ]
    on "$h" ip addr add 10.198.9.9/32 dev d0
    hears() { sockets | grep 10.198.9.9; }
    must "an address that stays gets its socket" within 60 hears
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "an interface and its addresses flap, 200/s for 60 s" "looked at once a second; sockets as before at the end" "$off" 'listening on port 123 of 10[0-9.]+ 127.0.0.1 10.198.9.9$'
}
routes() { local other; for other in s1 s2 s3 lan out; do on "$h" ip route replace "${address[$other]}/32" dev eth0; done; }
link_down() {
    conf
    start ""
    must "it is synchronized" synchronized
    local i; for ((i = 0; i < 100; i++)); do on "$h" ip link set eth0 down; sleep 0.05; on "$h" ip link set eth0 up; sleep 0.05; done
    routes
    must "it serves" within 60 serves
        must "it polls on" within 60 reached
    must "it is synchronized" synchronized
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "the interface to the servers flaps 100 times in 10 s" "goes on with the next poll that gets through" "$off" 'synchronized to'
}
loopback() {
    conf
    start ""
    must "it is synchronized" synchronized
    on "$h" ip link set lo down
    sleep 10
    must "it serves" serves
    seen() { on lan "$work/bin/ntpq" -pn "$ip" | grep '^\*'; }
    must "it is synchronized, as seen from another host" seen
    on "$h" ip link set lo up
    must "ntpq reaches it again" within 60 follows
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "loopback down for 10 s" "other hosts notice nothing; ntpq works when it is up again" "$off" ''
}
names_silent() {
    conf "server silent.example iburst" "pool silent.example iburst"
    echo 'nameserver 10.199.255.250' > "$d/resolv.conf"
    start 'mount --bind $d/resolv.conf /etc/resolv.conf;'
    must "it is synchronized meanwhile" synchronized
    must "it serves" serves
    must "that the name is not found is logged" within 60 logged 'cannot resolve silent.example'
    kill -HUP "$daemon"
    must "it reads its configuration again" within 60 logged 'configuration reloaded'
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "the name server does not respond" "other servers are used; looked up again" "$off" 'cannot resolve'
}
