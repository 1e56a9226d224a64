#!/bin/bash
# Symmetric keys against other programs: rsntpd serves chronyd and NTPsec's ntpdig with every digest
# they know, follows a chronyd that signs, and takes nothing that is signed with another key.
set -u
. "$(dirname "$0")/lib.sh"
needs keys
world_up
secret=000102030405060708090a0b0c0d0e0f
# The same keys in both programs' spellings; key 6 is for the host alone, key 7 is not trusted.
cat > "$work/etc-ntp/keys" <<K
# number type secret
1 M $secret
2 SHA1 $secret
3 SHA256 $secret
4 SHA512 $secret
5 AES128CMAC $secret
6 SHA1 $secret 10.199.255.1
7 SHA1 $secret
8 SHA1 plaintext
9 WHIRLPOOL x
K
cat > "$work/chrony.keys" <<K
1 MD5 HEX:$secret
2 SHA1 HEX:$secret
3 SHA256 HEX:$secret
4 SHA512 HEX:$secret
5 AES128 HEX:$secret
6 SHA1 HEX:$secret
7 SHA1 HEX:$secret
8 SHA1 plaintext
12 SHA1 HEX:ffffffffffffffffffffffffffffffffffffffff
K
sed 's/^12 /2 /; t; /^2 /d' "$work/chrony.keys" > "$work/wrong.keys"
chmod 600 "$work"/*.keys
printf 'keys /etc/ntp/keys\ntrustedkey 1 2 3 4 5 6 8\nserver 127.127.1.0\nrestrict 198.51.100.7 notrust\n%s\n%s\n' \
    'server 210.72.145.44 iburst minpoll 3 maxpoll 3 key 5' \
    'server 202.112.10.36 iburst minpoll 3 maxpoll 3 key 2' > "$work/ntp.conf"
# A server that signs, and one that has another secret for the same number.
signing_server() {
    printf 'local stratum 1\nallow\ncmdport 0\nkeyfile %s\npidfile %s/%s.pid\n' "$2" "$work" "$1" > "$work/$1.conf"
    exec_tame "$1" "$peers/chronyd" -x -d -u root -f "$work/$1.conf" > "$work/log/$1" 2>&1 &
    pids+=($!)
}
signing_server s1 "$work/chrony.keys"
signing_server s2 "$work/wrong.keys"
daemon_up -c "$work/ntp.conf"

follows() { ntpq -pn | tee /dev/stderr | grep -qE '^\*210\.72'; }
check "a chronyd that signs with AES-128 CMAC is followed" within 25 follows
authenticated() { ntpq -c as | tee /dev/stderr | grep -qE ' yes +yes +ok '; }
check "ntpq: its authentication is ok" authenticated
never() { ntpq -pn | tee /dev/stderr | grep -qE '^ 202.* 0 +0\.000'; }
check "one with the wrong secret is not reached" never
skipped_line() { grep -q 'keys:10:.*WHIRLPOOL\|keys line 10 .*WHIRLPOOL' "$work/log/rsntpd" || { cat "$work/log/rsntpd"; false; }; }
check "a bad line of the keys file is told by number" skipped_line

client() { # HOST KEY: a chronyd client that takes nothing but signed answers
    printf 'server 10.199.255.1 iburst minpoll 4 key %s\nkeyfile %s\ncmdport 0\npidfile %s/client.pid\n' \
        "$2" "${3:-$work/chrony.keys}" "$work" > "$work/client.conf"
    timeout 25 ip netns exec "$(world_ns "$1")" setpriv --bounding-set -sys_time --inh-caps -sys_time -- \
        "$peers/chronyd" -x -Q -t "${4:-12}" -u root -f "$work/client.conf" 2>&1 | tee /dev/stderr | grep -q 'System clock wrong by'
}
for pair in 1:MD5 2:SHA1 3:SHA256 4:SHA512 5:AES128 8:SHA1-ASCII; do
    check "chronyd takes the time with ${pair#*:}" client lan "${pair%:*}"
done
refused() { ! client "$@"; }
check "chronyd with the wrong secret gets nothing it believes" refused lan 2 "$work/wrong.keys" 5
check "a key that only another host may use is not answered with" refused lan 6 "$work/chrony.keys" 5
check "nor is a key that is not trusted" refused lan 7 "$work/chrony.keys" 5
cut -d' ' -f1-3 "$work/etc-ntp/keys" | sed 's/ M / MD5 /; s/AES128CMAC/AES-128/; /WHIRL/d' > "$work/ntpsec.keys"
dig() { on "$1" "$peers/ntpdig" -j -t 3 -a "$2" -k "$work/ntpsec.keys" 10.199.255.1 2>&1 | tee /dev/stderr | grep -qE '"stratum": ?2'; }
for pair in 1:MD5 2:SHA1 3:SHA256 4:SHA512 5:AES-128; do
    check "ntpdig -a takes the time with ${pair#*:}" dig lan "${pair%:*}"
done
plain() { on "$1" "$peers/ntpdig" -j -t 3 10.199.255.1 2>&1 | tee /dev/stderr | grep -qE '"stratum": ?2'; }
check "without a key the LAN gets its answer" plain lan
no_answer() { ! plain out; }
check "under notrust it gets none without a key" no_answer
check "and one with a key" dig out 2
check "SIGTERM ends it with status 0" daemon_down
verdict
