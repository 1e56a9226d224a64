#!/bin/bash
# A pool from a resolver of our own, with dead addresses among the live ones, under `restrict default nopeer`: which servers it finds,
# which it leaves, how ntpq shows it, and how it is configured and removed at run time.
set -u
. "$(dirname "$0")/lib.sh"
needs pool
world_up
printf '7 SHA1 %s\n' 000102030405060708090a0b0c0d0e0f > "$work/etc-ntp/keys"
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 7' 'controlkey 7' 'tos maxclock 4' \
    'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' \
    'pool pool.example iburst minpoll 3 maxpoll 3' > "$work/ntp.conf"
printf 'nameserver 127.0.0.1\noptions timeout:1\n' > "$work/resolv.conf"
dead=(10.199.255.61 10.199.255.62)
printf '%s\n' "${dead[0]}" "${address[s1]}" "${dead[1]}" "${address[s2]}" > "$work/addresses"
exec_tame host "$top/tests/system/world/dns.py" "$work/addresses" > "$work/log/dns" 2>&1 &
pids+=($!)
servers_up
sleep 1
companions ntpq
# As daemon_up, with a resolver's configuration of its own.
exec_host bash -c 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"' pool "$work/resolv.conf" \
    "$rsntpd" -n -c "$work/ntp.conf" -l "$work/log/rsntpd" -p /var/run/rsntpd.pid > "$work/log/stderr" 2>&1 &
daemon=$!
pids+=("$daemon")

rows() { ntpq -pn | tee /dev/stderr; }
synchronized() { rows | grep -q '^\*'; }
check "the clock is synchronized within 15 s of the start" within 15 synchronized
both() { local r; r=$(rows); grep -q "${address[s1]}" <<< "$r" && grep -q "${address[s2]}" <<< "$r"; }
check "both live addresses are servers" within 15 both
none_dead() { local r; r=$(rows); ! grep -qE "10\.199\.255\.6[12]" <<< "$r"; }
check "none of the dead ones is" none_dead
row() { ntpq -p | tee /dev/stderr | grep -qE '^ (pool\.example|0\.0\.0\.0) +\.POOL\. +16 p '; }
check "NTPsec's ntpq -p: .POOL. 16 p" row
own_row() { on host "$work/bin/ntpq" -p | tee /dev/stderr | grep -qE '^ pool\.example +\.POOL\. +16 p '; }
check "rsntpq -p: pool.example .POOL. 16 p" own_row
status() { ntpq -c as | tee /dev/stderr | awk '$3 ~ /^8811$/ {pool++} $3 ~ /^1/ && $4 == "no" {own++} END {exit !(pool == 1 && own == 2)}'; }
check "ntpq: the pool 8811, its servers not configured" status
logged() { grep -q "Soliciting pool server ${dead[0]}" "$work/log/rsntpd" || { cat "$work/log/rsntpd"; false; }; }
check "the log: Soliciting pool server" logged
printf '%s\n' "${dead[0]}" "${address[s3]}" "${dead[1]}" "${address[s1]}" > "$work/addresses"
third() { rows | grep -qE "^[*+].*${address[s3]}|^[*+]${address[s3]}"; }
check "what the name has by then becomes a server, too" within 90 third
with_key() { on host timeout 20 "$peers/ntpq" -k "$work/etc-ntp/keys" -a 7 -c ":config $1" 127.0.0.1 2>&1 | tee /dev/stderr; }
gone() { with_key 'unpeer pool.example'; ! rows | grep -qE 'POOL|210\.72|202\.112|59\.124'; }
check ":config unpeer ends the pool and its servers" gone
again() { with_key 'pool pool.example iburst minpoll 3'; within 20 synchronized; }
check ":config pool makes one" again
check "SIGTERM ends it with status 0" daemon_down
verdict
