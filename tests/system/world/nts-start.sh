#!/bin/bash
# A whole start of NTS on both sides, with the daemon that RSNTPD names: as a server, its process for key exchanges included, for chronyd and
# for itself; as a client of chronyd and of itself, until it has cookies and is synchronised. What the logs say of it is printed.
# static.sh runs it with the static program as on old machines.
set -u
. "$(dirname "$0")/lib.sh"
needs "a start of NTS"
command -v openssl > /dev/null || { skip "a start of NTS: no openssl"; verdict; exit; }
world_up
(cd "$work" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=A root" -keyout ca.key -out ca.pem &&
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=both" -keyout key.pem -out csr &&
    printf 'subjectAltName=IP:%s,IP:%s\n' "${address[host]}" "${address[s3]}" > san &&
    openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile san -out cert.pem) > "$work/log/openssl" 2>&1
chmod 640 "$work/key.pem"; chown 0:38 "$work/key.pem"
mkdir -m 700 "$work/s3" "$work/lan"; mkdir "$work/client"; chown 38:38 "$work/client"

# chronyd as a server, and as a client of ours.
printf '%s\n' 'local stratum 1' allow 'cmdport 0' "bindcmdaddress $work/s3/sock" "pidfile $work/s3.pid" "ntsservercert $work/cert.pem" \
    "ntsserverkey $work/key.pem" > "$work/s3.conf"
exec_tame s3 "$peers/chronyd" -x -d -u root -f "$work/s3.conf" > "$work/log/s3" 2>&1 & pids+=($!)
printf '%s\n' "server ${address[host]} nts iburst minpoll 2 maxpoll 2" "ntstrustedcerts $work/ca.pem" nosystemcert 'cmdport 0' \
    "bindcmdaddress $work/lan/sock" "pidfile $work/lan.pid" > "$work/lan.conf"
printf '%s\n' 'server 127.127.1.0' 'fudge 127.127.1.0 stratum 1' 'disable ntp' 'nts enable' "nts cert $work/cert.pem" "nts key $work/key.pem" \
    'restrict default nomodify' > "$work/ntp.conf"
printf '%s\n' "nts ca $work/ca.pem" "nts dump $work/client" 'tos minsane 2' "driftfile $work/client/drift" 'restrict default' "server ${address[host]} nts iburst" \
    "server ${address[s3]} nts iburst" > "$work/client.conf"
# The server in the background, as init scripts start it.
touch "$work/log/rsntpd"; chown 38:38 "$work/log/rsntpd"
launch() { in_host "$rsntpd" -u 38:38 -p /var/run/rsntpd.pid -l "$work/log/rsntpd" -c "$work/ntp.conf"; }
check "the server starts" launch
server=$(cat "$work/run/rsntpd.pid")
exchanger() { sed -n 's/.*NTS key exchange on TCP port 4460: process //p' "$work/log/rsntpd" | tee /dev/stderr | grep . > "$work/exchanger" && on host ss -Hltn 'sport = 4460' | grep LISTEN && [ -d "/proc/$(cat "$work/exchanger")" ]; }
check "its process for key exchanges listens" within 10 exchanger
exec_tame lan "$peers/chronyd" -x -d -u root -f "$work/lan.conf" > "$work/log/lan" 2>&1 & pids+=($!)
exec_tame s1 "$rsntpd" -n -u 38:38 -l "$work/log/client" -p "$work/client.pid" -c "$work/client.conf" > "$work/log/client.err" 2>&1 &
client=$!; pids+=($!)

chrony() { on "$1" "$peers/chronyc" -h "$work/$1/sock" "${@:2}" | tee /dev/stderr; }
served() { chrony lan -n authdata | tail -1 | awk '$2 == "NTS" && $8 == 0 && $9 == 8 {f = 1} END {exit !f}' && chrony lan -n sources | grep -q "^^\* ${address[host]} "; }
check "chronyd has eight cookies of the server, and follows it" within 25 served
asked() { on s1 "$peers/ntpq" -c "rv &$1 srcadr,ntsaead,ntscookies,reach" 127.0.0.1 | tee /dev/stderr | tr -d '\n' | grep -qE "srcadr=$2, .*ntscookies=8, ntsaead=\"$3\""; }
check "the client has eight cookies of our server, by AEAD 30" within 25 asked 1 "${address[host]}" AES_128_GCM_SIV
check "and eight of chronyd 4.3, by AEAD 15" within 25 asked 2 "${address[s3]}" AES_SIV_CMAC_256
synchronised() { on s1 "$peers/ntpq" -c 'rv 0 leap,stratum,refid' 127.0.0.1 | tee /dev/stderr | grep -q 'leap=00, stratum=2'; }
check "the client is synchronised, to two authenticated servers" within 25 synchronised
# Of our server's clients only those of NTS are there.
genuine() { on host "$peers/ntpq" -c 'rv 0 nts_ke_serves_good,nts_server_recv_good,nts_server_recv_bad' | tee /dev/stderr | tr -d '\n' | grep -qE 'nts_server_recv_good=([4-9]|[1-9][0-9]+), nts_server_recv_bad=0, nts_ke_serves_good=2$'; }
check "two exchanges of keys, and no request that was not genuine" within 15 genuine
ended() { kill "$client"; wait "$client"; }
check "SIGTERM ends the client with status 0" ended
check "its cookies are kept" test -s "$work/client/nts-${address[s3]}.4460"
gone() { [ ! -d "/proc/$server" ] && [ ! -d "/proc/$(cat "$work/exchanger")" ]; }
quits() { kill "$server"; within 5 gone; }
check "and the server, with its process for key exchanges" quits
for name in rsntpd client; do grep -E 'NTS|ynchronized|starting|exiting' "$work/log/$name" | cut -c1-180 | sed "s/^/$( [ $name = rsntpd ] && echo server || echo client)'s log: /"; done
verdict
