#!/bin/bash
# Packets of symmetric mode as a real ntpd 4.2.6p5 sent them, byte for byte, to the daemon: what it answers is what that daemon's
# partner answered, as far as it is no time.
# usage: replays.sh CAPTURE
set -u
. "$(dirname "$0")/lib.sh"
capture=$(realpath "$1")
needs "replays of $1"
world_up
printf '1 MD5 secretone\n' > "$work/etc-ntp/keys"
chmod 600 "$work/etc-ntp/keys"
printf '%s\n' 'keys /etc/ntp/keys' 'trustedkey 1' 'restrict default kod nomodify notrap nopeer' 'restrict 127.0.0.1' > "$work/ntp.conf"
daemon_up -c "$work/ntp.conf"
check "it runs" within 10 ntpq -c rv
cat > "$work/replay.py" <<'P'
import hashlib, re, socket, sys, time
text, what = open(sys.argv[1]).read(), sys.argv[2]
def packets(heading):
    section = next(s for s in text.split('\n== ') if heading in s.split('\n')[0])
    found = []
    for line in section.split('\n')[1:]:
        if line.startswith('t='):
            found.append([int(line.split()[-1]), b''])
        elif found and len(found[-1][1]) < found[-1][0]:
            found[-1][1] += bytes.fromhex(line.replace(' ', ''))
    return [data for _, data in found]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 123))
def exchange(data, patience):
    s.settimeout(patience); s.sendto(data, ('10.199.255.1', 123)); begun = time.time()
    try: reply = s.recv(512)
    except TimeoutError: return None, time.time() - begun
    print(reply.hex()); return reply, time.time() - begun
if what == 'unsigned':
    question, theirs = packets('unsigned mode 1 to a host without a peer line')
    ours, took = exchange(question, 5)
    sys.exit(not (ours and len(ours) == len(theirs) and ours[0] & 0x3f == theirs[0] & 0x3f and ours[2] == theirs[2] and ours[24:32] == theirs[24:32] and took < 1))
if what == 'signed':
    [request], [theirs] = packets('mode 1 that mobilises a passive association'), packets('mode 2 of that passive association')
    ours, took = exchange(request, 30)
    print('after', took)
    mac = lambda p: hashlib.md5(b'secretone' + p[:48]).digest() == p[52:]
    sys.exit(not (ours and ours[:3] == theirs[:3] and ours[12:32] == theirs[12:32] and ours[48:52] == theirs[48:52] and mac(ours) and mac(theirs) and 15 < took < 17.5))
if what == 'nak':
    [nak] = packets('crypto-NAK that a passive host sends')
    sys.exit(exchange(nak, 5)[0] is not None)
P
replay() { timeout 60 ip netns exec "$(world_ns "$1")" python3 "$work/replay.py" "$capture" "$2"; }
check "an unsigned packet of mode 1 is answered at once, in mode 2" replay lan unsigned
none() { [ "$(ntpq -c as | tee /dev/stderr | awk '$1 ~ /^[0-9]+$/ {n++} END {print n + 0}')" = 0 ]; }
check "and nothing is kept" none
check "a crypto-NAK is not" replay out nak
check "a signed one is answered 16 s later, in mode 2, signed" replay s1 signed
passive() { ntpq -c as | tee /dev/stderr | grep -qE ' [0-9a-f]{4} +no +' && ntpq -c 'rv &1 srcadr,hmode,pmode,keyid' | tee /dev/stderr | grep -q 'hmode=2'; }
check "by a passive association" passive
verdict
