#!/bin/bash
# A siege: a million forged sources at the rate of a whole core, with requests of NTS that carry no cookie of ours, mode 6, signed
# mode 1 and broadcasts among them, and key exchanges that stall. Memory stays, time stays, ntpq is answered.
# usage: siege.sh [SECONDS]     20 by default, 600 before a release
set -u
. "$(dirname "$0")/lib.sh"
seconds=${1:-20}
needs "a siege"
command -v cc > /dev/null || { skip "a siege: no C compiler"; verdict; exit; }
world_up; server_up s1; server_up s3
cc -O2 -Wall -o "$work/siege" "$top/tests/system/world/siege.c" || exit
tls=$work/tls; mkdir "$tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=ke.test" -keyout "$tls/key.pem" -out "$tls/chain.pem" > "$work/log/openssl" 2>&1 &&
    chgrp 38 "$tls/key.pem" && chmod 640 "$tls/key.pem" || { skip "a siege: no openssl"; verdict; exit; }
cat > "$work/ntp.conf" <<'CONF'
driftfile /var/lib/ntp/drift
server 210.72.145.44 iburst minpoll 3 maxpoll 3
server 59.124.196.83 iburst minpoll 3 maxpoll 3
restrict default nomodify notrap nopeer limited kod
restrict 127.0.0.1
keys /etc/ntp/keys
trustedkey 1
CONF
echo '1 SHA1 1234567890abcdef' > "$work/etc-ntp/keys"; chmod 640 "$work/etc-ntp/keys"
printf 'nts enable\nnts cert %s/chain.pem\nnts key %s/key.pem\n' "$tls" "$tls" >> "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
# The replies end at a host that has no use for them, without a question for each address.
on host ip route add 100.64.0.0/10 via "${address[lan]}"
on host sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
follows() { ntpq -pn | grep -qE '^\*'; }
check "a server is followed" within 25 follows
pid=$(cat "$work/run/rsntpd.pid")
rss() { awk '/^VmRSS/ {print $2}' "/proc/$pid/status"; }
associations() { ntpq -c associations | grep -c 'sys.peer\|candidate\|reject\|selected\|outlier\|falsetick'; }
clients=$(associations)

on lan "$work/siege" "${address[host]}" "$seconds" > "$work/sent" & siege=$!; pids+=("$siege")
end=$((SECONDS + seconds)); slowest=0 farthest=0 asked=0 unanswered=0 early=0 late=0 stalls=()
while [ $SECONDS -lt $end ]; do
    # Half a second in: the list of clients has filled up.
    sleep 1
    if [ "$early" = 0 ] && [ $SECONDS -ge $((end - seconds * 2 / 3)) ]; then early=$(rss); fi
    before=$(date +%s%N)
    if shown=$(timeout 5 ip netns exec "$(world_ns host)" "$rsntpq" -c 'rv 0 offset,refid' 127.0.0.1 2> /dev/null) && [[ $shown == *offset=* ]]; then
        took=$((($(date +%s%N) - before) / 1000)); [ $took -gt "$slowest" ] && slowest=$took
        offset=$(sed -n 's/.*offset=-*\([0-9.]*\).*/\1/p' <<< "$shown")
        farthest=$(awk -v a="$farthest" -v b="$offset" 'BEGIN {print (a > b ? a : b)}')
    else unanswered=$((unanswered + 1)); fi
    asked=$((asked + 1))
    on lan timeout 5 bash -c "exec 3<> /dev/tcp/${address[host]}/4460; sleep 4" 2> /dev/null & stalls+=($!)
done
late=$(rss)
wait "$siege"; sent=$(cat "$work/sent")
wait "${stalls[@]}" 2> /dev/null
echo "         sent $sent datagrams in $seconds s; asked $asked times, the slowest answer after $slowest us; memory $early kB, then $late kB; offset at most $farthest ms"
check "a million sources, $((sent / seconds)) datagrams a second" [ "$sent" -gt $((seconds * 20000)) ]
check "ntpq is answered each time" [ "$unanswered" = 0 ]
check "within 1 s" [ "$slowest" -le 1000000 ]
flat() { echo "$early kB, then $late kB"; [ "$late" -le $((early + 256)) ]; }
check "memory stays" flat
close() { echo "$farthest ms"; awk -v f="$farthest" 'BEGIN {exit !(f <= 0.1)}'; }
check "its time is within 100 us of its servers'" close
check "no association was made" [ "$(associations)" = "$clients" ]
check "a server is followed afterwards" within 40 follows
check "SIGTERM ends it with status 0" daemon_down
verdict
