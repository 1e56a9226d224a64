#!/bin/bash
# Symmetric modes against another program: a chronyd whose partner we are and that is ours, one that is made our partner by its
# key, one without a key that is only answered, and forged packets beside all that; last, one that only answers us, with iburst.
set -u
. "$(dirname "$0")/lib.sh"
needs partners
world_up
secret=000102030405060708090a0b0c0d0e0f
printf '%s SHA1 %s\n' 2 $secret 3 $secret > "$work/etc-ntp/keys"
printf '%s SHA1 HEX:%s\n' 2 $secret 3 $secret > "$work/chrony.keys"
chmod 600 "$work/chrony.keys" "$work/etc-ntp/keys"
us=10.199.255.1
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 2 3' "peer ${address[s1]} key 2 minpoll 4 maxpoll 4" \
    "peer ${address[lan]} key 2 minpoll 4 maxpoll 4 xleave" \
    'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
# A chronyd that has the time, or has it from us, and logs what it measures.
partner() { # HOST LINE ...
    local h=$1; shift
    mkdir -p "$work/$h.log"
    { printf '%s\n' "$@"; printf 'allow\ncmdport 0\nkeyfile %s\npidfile %s/%s.pid\nlogdir %s/%s.log\nlog rawmeasurements\n' \
        "$work/chrony.keys" "$work" "$h" "$work" "$h"; } > "$work/$h.conf"
    exec_tame "$h" "$peers/chronyd" -x -d -u root -f "$work/$h.conf" > "$work/log/$h" 2>&1 & pids+=($!)
}
partner s1 'local stratum 1' "peer $us key 2 minpoll 4 maxpoll 4"
partner s2 "peer $us key 3 minpoll 4 maxpoll 4"
partner s3 "peer $us minpoll 4 maxpoll 4"
partner lan 'local stratum 3' "peer $us key 2 minpoll 4 maxpoll 4 xleave"
daemon_up -c "$work/ntp.conf"

follows() { ntpq -pn | tee /dev/stderr | grep -qE "^\*${address[s1]//./\\.}"; }
check "a configured partner is followed" within 90 follows
modes() { # ADDRESS HMODE
    local line id
    for id in $(ntpq -c as | awk '$1 ~ /^[0-9]+$/ {print $2}'); do
        line=$(ntpq -c "rv $id srcadr,hmode,pmode,reach,keyid" | tr '\n' ' ')
        case $line in *"srcadr=$1,"*"hmode=$2,"*) echo "$line" >&2; return 0 ;; esac
    done
    ntpq -c as >&2; return 1
}
check "ntpq: hmode 1" modes "${address[s1]}" 1
check "a partner with a key makes a passive association: hmode 2" modes "${address[s2]}" 2
ephemeral() { ntpq -c as | tee /dev/stderr | grep -qE ' [0-9a-f]{4} +no +yes +ok '; }
check "ntpq as: it is not configured, and authenticated" within 60 ephemeral
measures() { tail -n 3 "$work/$1.log/measurements.log" >&2; [ "$(grep -c "$us .* 111 111 1" "$work/$1.log/measurements.log")" -ge 2 ]; }
check "it measures us, by packets of symmetric mode" within 60 measures s2
check "so does the configured one" within 60 measures s1
check "and the one without a key, that is only answered" within 60 measures s3
stranger() { ! modes "${address[s3]}" 2; }
check "of which nothing is kept" stranger
only_three() { ntpq -c as | tee /dev/stderr | awk '$1 ~ /^[0-9]+$/ {n++} END {exit n != 3}'; }
check "there are three associations" only_three
interleaved() { tail -n 3 "$work/lan.log/measurements.log" >&2; [ "$(grep -cE "$us .* 111 111 1.* 1I " "$work/lan.log/measurements.log")" -ge 3 ]; }
check "with xleave on both sides it measures us by interleaved packets" within 150 interleaved
reached() { # ADDRESS: we measure it, about all of eight polls
    local id line
    for id in $(ntpq -c as | awk '$1 ~ /^[0-9]+$/ {print $2}'); do
        line=$(ntpq -c "rv $id srcadr,reach,flash,offset,delay" | tr '\n' ' '); echo "$line" >&2
        case $line in *"srcadr=$1,"*reach=3[67][0-7]*flash=00* | *"srcadr=$1,"*reach=3[67][0-7]*flash=800*) return 0 ;; esac # it may follow us by then
    done
    return 1
}
check "and we measure it" within 150 reached "${address[lan]}"
spoofed() { # 2,000 packets of mode 1 with the addresses of the partners: no code, a wrong one, a crypto-NAK
    ip netns exec "$(world_ns s3)" python3 - "$us" <<'P'
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(2000):
    packet = bytes([0x21, 1, 4, 0xe9]) + os.urandom(44)
    s.sendto(packet + [b'', b'\0' * 4, b'\0\0\0\2' + os.urandom(20), b'\0\0\0\3' + os.urandom(20)][n % 4], (sys.argv[1], 123))
P
}
spoofed
check "after forged packets it is followed as before" follows
check "and nothing more was made" only_three

check "SIGTERM ends it with status 0" daemon_down
partner out 'local stratum 1'
printf '%s\n' "peer ${address[out]} iburst" 'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
# Its next poll is a minute later.
answers() { ntpq -pn | tee /dev/stderr | grep -qE "^\*${address[out]//./\\.}"; }
check "iburst: a partner that only answers is followed within 15 s" within 15 answers
check "ntpq: hmode 1" modes "${address[out]}" 1
verdict
