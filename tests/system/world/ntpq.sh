#!/bin/bash
# NTPsec's ntpq and Debian's ntpstat ask rsntpd everything they know, over IPv4 and IPv6; with keys they
# configure it; a list of many clients is read to its end while clients arrive.
set -u
. "$(dirname "$0")/lib.sh"
needs ntpq
world_up; world_v6; servers_up
secret=000102030405060708090a0b0c0d0e0f
cat > "$work/etc-ntp/keys" <<K
1 MD5 $secret
2 SHA1 $secret
3 AES128CMAC $secret
4 SHA1 plaintext
K
sed 's/AES128CMAC/AES-128/' "$work/etc-ntp/keys" > "$work/ntpq.keys"
sed 's/0f$/0e/; s/plaintext/otherwise/' "$work/ntpq.keys" > "$work/wrong.keys"
mkdir -p "$work/run/saved"
conf() { # CONTROLKEY
    cat > "$work/ntp.conf" <<C
driftfile /var/lib/ntp/drift
keys /etc/ntp/keys
trustedkey 1 2 3 4
controlkey $1
saveconfigdir /var/run/saved
restrict default nomodify notrap limited kod
restrict -6 default nomodify notrap
restrict 127.0.0.1
restrict -6 ::1
restrict 10.199.255.50
restrict 198.51.100.7 noquery
server 210.72.145.44 iburst minpoll 3 maxpoll 3
server 202.112.10.36 iburst noselect key 2
server fd77::3 iburst minpoll 3 maxpoll 3
server 10.199.255.77
server 127.127.1.0
fudge 127.127.1.0 stratum 10
setvar site = roof default
C
}
conf 2
daemon_up -c "$work/ntp.conf"
follows() { ntpq -pn | tee /dev/stderr | grep -qE '^\*(210|fd77)'; }
check "a server is followed" within 25 follows

# A command that works prints none of these.
clean() {
    local out; out=$("$@" 2>&1); local s=$?
    echo "$out"
    [ $s = 0 ] && [ -n "$out" ] && ! grep -qE '\*\*\*|Traceback|Unknown variable|\?\?\?' <<< "$out"
}
asked() { clean on "$1" timeout 60 "$peers/ntpq" "${@:3}" "$2"; }
ask_all() { # HOST ADDRESS
    local c
    for c in peers apeers opeers lpeers 'associations' 'passociations' 'rv' 'rv 0' 'readlist' 'rv &1' 'rv &2' 'rv &3' \
        'rv &4' 'rv &5' 'cv' 'cv &5' 'rv 0 stratum,offset' 'rv 0 site' 'mrulist' 'mrulist mincount=2 sort=addr' \
        'mrulist limit=2' 'sysinfo' 'sysstats' 'monstats' 'iostats' 'kerninfo' 'authinfo' 'timerstats' 'mreadvar &1 &3 offset' \
        'pstats &1' 'ntsinfo' 'ntpversion' 'rl &1'; do
        check "$1 $2: $c" asked "$1" "$2" -n -c "$c"
    done
    check "$1 $2: raw rv" asked "$1" "$2" -c raw -c rv
    check "$1 $2: -u peers" asked "$1" "$2" -u -p
}
ask_all host 127.0.0.1
ask_all lan fd77::1
check "over ::1" asked host ::1 -pn
five() { ntpq -pn | tail -n +3 | wc -l | grep -qx 5; }
check "five associations" five
stat() { on host "$peers/ntpstat"; }
check "ntpstat" clean stat
noquery() { ! on out timeout 8 "$peers/ntpq" -pn 10.199.255.1 2>&1 | grep -q 'LOCAL(0)'; }
check "noquery gets no answer" noquery

with_key() { on "${host:-host}" timeout 20 "$peers/ntpq" -k "${keys:-$work/ntpq.keys}" -a "$1" "${@:3}" -c "$2" "${at:-127.0.0.1}" 2>&1 | tee /dev/stderr; }
check "ifstats with the control key" clean with_key 2 ifstats
check "reslist with the control key" clean with_key 2 reslist
listed() { with_key 2 reslist | grep -qE '10\.199\.255\.50|host'; with_key 2 ifstats | grep -q '10.199.255.1'; }
check "they list what there is" listed
configured() { with_key "$1" ":config $2" | grep -q 'Config Succeeded'; }
refused() { ! with_key "$@" | grep -q 'Config Succeeded'; }
number=0
for pair in 1:MD5 2:SHA1 3:AES-128-CMAC 4:SHA1-ASCII; do
    key=${pair%:*}
    conf "$key"; kill -HUP "$(cat "$work/run/rsntpd.pid")"; sleep 1.2
    number=$((number + 1))
    check "${pair#*:}: a wrong secret is refused" eval "keys=$work/wrong.keys refused $key ':config server 10.199.255.9$number'"
    check "${pair#*:}: another trusted key is refused" refused $((key % 4 + 1)) ":config server 10.199.255.9$number"
    check "${pair#*:}: a server is added" configured "$key" "server 10.199.255.9$number iburst"
    added() { ntpq -pn | grep -q "^ 10.199.255.9$number"; }
    check "${pair#*:}: and is there" added
    check "${pair#*:}: it is taken out" configured "$key" "unpeer 10.199.255.9$number"
    gone() { ! ntpq -pn | grep -q "10.199.255.9$number"; }
    check "${pair#*:}: and is gone" gone
done
wrong() { with_key 4 ':config servr 10.1.1.1' | tee /dev/stderr | grep -q 'did you mean server'; }
check "a mistake is told" wrong
forbidden() { with_key 4 ":config $1" | grep -q 'cannot be set at run time'; }
for what in 'logfile /tmp/x' 'driftfile /tmp/x' 'keys /tmp/x' 'pidfile /tmp/x' 'includefile /etc/passwd' 'saveconfigdir /tmp' 'statsdir /tmp'; do
    check "forbidden at run time: $what" forbidden "$what"
done
nomodify() { ! at=fd77::1 host=lan with_key 4 ':config server 10.199.255.98' | grep -q Succeeded; }
check "nomodify refuses in spite of the key" nomodify
lan_may_ask() { on lan "$peers/ntpq" -pn 10.199.255.1 | grep -q 'LOCAL(0)'; }
lan_may_not() { ! on lan timeout 8 "$peers/ntpq" -pn 10.199.255.1 2>&1 | grep -q 'LOCAL(0)'; }
check "the LAN may ask" lan_may_ask
check "restrict at run time" configured 4 'restrict 10.199.255.50 noquery'
check "then it may not" lan_may_not
check "another server, to be saved" configured 4 'server 10.199.255.97'
# NTPsec's ntpq has no saveconfig; its module can send any request.
module() { # CODE…: Python with a session of ntp.packet that holds key 4
    LD_LIBRARY_PATH=$peers/../root/usr/lib/x86_64-linux-gnu PYTHONPATH=$peers/../root/usr/lib/python3/dist-packages \
        on host python3 -c "
import ntp.packet, sys
session = ntp.packet.ControlSession()
session.openhost('127.0.0.1')
session.keyid, session.keytype, session.passwd = 4, 'SHA1', 'plaintext'
$1" 2>&1 | tee /dev/stderr
}
save() { module "session.doquery(opcode=9, qdata='$1', auth=True); print(session.response.decode())"; }
parsed() {
    module "
for peer in session.readstat():
    v = session.readvar(peer.associd)
    assert isinstance(v['stratum'], int) and isinstance(v['offset'], float) and len(v['filtdelay'].split()) == 8, v
    assert 0 <= v['reach'] < 256 and 3 <= v['hpoll'] <= 17, v
s = session.readvar(0)
assert s['site'] == 'roof' and isinstance(s['rootdisp'], float) and isinstance(s['tc'], int), s
k = session.readvar(0, ['kfreq', 'kstflags', 'io_received'])
assert k['io_received'] > 0, k
assert any('fd77::1' in str(i['addr']) for i in session.ifstats()) and len(session.reslist()) > 5
assert session.mrulist().is_complete()
print('parsed', len(session.readstat()))" | grep -q 'parsed [56]'
}
check "NTPsec's Python module parses what it reads" parsed
saved() { save 'now-%Y.conf' | grep -q "saved to 'now-20" && grep -q '10.199.255.97' "$work"/run/saved/now-20*.conf; }
chown 38:38 "$work/run/saved"; chmod 777 "$work/run/saved"
check "saveconfig writes what is in force" saved
reads() { "$rsntpd" --check "$work"/run/saved/now-20*.conf; }
check "and rsntpd reads it" reads
escape() { ! save ../escaped | grep -q 'saved to' && [ ! -e "$work/run/escaped" ]; }
check "saveconfig does not leave its directory" escape
twice() { ! save 'now-%Y.conf' | grep -q 'saved to'; }
check "nor writes over a file" twice
logged() { grep -q '127.0.0.1 config: server 10.199.255.97' "$work/log/rsntpd"; }
check "the log says who configured what" logged
alive() { kill -0 "$(cat "$work/run/rsntpd.pid")"; }
check "the daemon is alive" alive
check "SIGTERM ends it with status 0" daemon_down

# Many clients: the loopback network has sixteen million addresses.
printf 'server 127.127.1.0\nmru maxdepth 60000\n' > "$work/ntp.conf"
known=50000
daemon_up -c "$work/ntp.conf"
check "started again" within 10 on host "$peers/ntpq" -pn
count=$(on host python3 - "${MANY:-$known}" <<'P'
import socket, sys, struct
many = int(sys.argv[1])
packet = bytes([0x23]) + bytes(39) + struct.pack('!Q', 1)
for n in range(many):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.%d.%d.%d' % (1 + (n >> 16), (n >> 8) & 255, n & 255), 0))
    s.sendto(packet, ('127.0.0.1', 123))
    if n % 64 == 0:
        s.settimeout(1); s.recv(100)
    s.close()
print(many)
P
)
exec_tame host bash -c 'exec python3 - <<"P"
import socket, time, struct
packet = bytes([0x23]) + bytes(39) + struct.pack("!Q", 1)
n = 0
while True:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.200.%d.%d" % ((n >> 8) & 255, n & 255), 0)); s.sendto(packet, ("127.0.0.1", 123)); s.close()
    n += 1; time.sleep(0.005)
P' & arrivals=$!; pids+=("$arrivals")
many() {
    local start=$SECONDS
    on host timeout 300 "$peers/ntpq" -n -c mrulist 127.0.0.1 > "$work/mru" 2>&1; local s=$?
    local rows; rows=$(grep -cE ' 127\.[0-9.]+$' "$work/mru")
    echo "status $s, $rows rows of $count and newcomers in $((SECONDS - start)) s"; tail -3 "$work/mru"
    echo "#   mrulist: $rows rows in $((SECONDS - start)) s" > "$work/mru.said"
    [ $s = 0 ] && [ "$rows" -ge "$count" ] && ! grep -qE '\*\*\*|Traceback' "$work/mru"
}
check "mrulist of $count clients is read to its end while clients arrive" many
cat "$work/mru.said"
kill "$arrivals"
check "SIGTERM ends it with status 0" daemon_down
verdict
