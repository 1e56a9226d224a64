#!/bin/bash
# The companions against a running rsntpd with five associations in different states, over IPv4 and
# IPv6: rsntpq beside NTPsec's ntpq, rsntpstat beside Debian's ntpstat, monitoring-plugins and munin's
# plugins as packaged with rsntpq as their ntpq, and the smaller ones at work.
set -u
. "$(dirname "$0")/lib.sh"
needs tools
world_up; world_v6; servers_up
companions rsntpq ntpq rsntpstat rsntpdate rsntp-wait rsntp-keygen rsntptime rsntptrace
tool() { on_tame host "$work/bin/$1" "${@:2}"; }

# Keys first: they are what the daemon is configured with.
keygen() { tool rsntp-keygen -M -o "$work/etc-ntp/keys" && [ "$(stat -c '%a' "$work/etc-ntp/keys")" = 600 ] && wc -l < "$work/etc-ntp/keys"; }
check "rsntp-keygen writes keys for their owner alone" keygen
again() { ! tool rsntp-keygen -M -o "$work/etc-ntp/keys" 2>&1; }
check "and not over others" again
of_type() { awk -v t="$1" '$2 ~ t {print $1; exit}' "$work/etc-ntp/keys"; }
md5=$(of_type MD5) sha1=$(of_type SHA1) aes=$(of_type AES)
cat > "$work/ntp.conf" <<C
driftfile /var/lib/ntp/drift
keys /etc/ntp/keys
trustedkey 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30
controlkey $sha1
restrict default nomodify notrap limited kod
restrict -6 default nomodify notrap
restrict 127.0.0.1
restrict -6 ::1
restrict 10.199.255.50 nomodify
restrict 198.51.100.7 noquery
server 210.72.145.44 iburst minpoll 3 maxpoll 3
server 202.112.10.36 iburst noselect key $md5
server fd77::3 iburst minpoll 3 maxpoll 3
server 10.199.255.77
server 127.127.1.0
fudge 127.127.1.0 stratum 10
setvar site = roof default
C
nobody() { "$@"; [ $? = "$status" ]; }
status=2
check "rsntpstat without a daemon: 2" nobody tool rsntpstat
check "ntpstat without a daemon: 2" nobody on host "$peers/ntpstat"
status=1
check "rsntpq without a daemon fails" nobody tool rsntpq -pn
daemon_up -c "$work/ntp.conf"
check "it answers" within 10 tool rsntpq -c rv
stat_early() { tool rsntpstat; [ $? = 1 ] && on host "$peers/ntpstat"; [ $? = 1 ]; }
check "rsntpstat before it is synchronised: 1, as ntpstat" within 3 stat_early
check "rsntp-wait waits until it is" tool rsntp-wait -v -n 40 -s 1
both() { ntpq -pn | tee /dev/stderr | grep -qE '^\*' && ntpq -pn | grep -qE '^\+'; }
check "a source is followed, another is a candidate" within 25 both

# rsntpq beside NTPsec's ntpq
for place in "host 127.0.0.1" "host ::1" "lan 10.199.255.1" "lan fd77::1"; do
    set -- $place
    alike() { on "$1" python3 "$top/tests/system/world/alike.py" "$work/bin/rsntpq" "$peers/ntpq" "$work/etc-ntp/keys" "$sha1" "$2"; }
    check "rsntpq says what NTPsec's ntpq says, from $1 to $2" alike "$1" "$2"
done
five() { [ "$(tool rsntpq -pn | tail -n +3 | wc -l)" = 5 ] && [ "$(tool rsntpq -c as -n | awk 'NR > 3 {print $3}' | sort -u | wc -l)" -ge 4 ]; }
check "five associations, four states at least" five
# What Telegraf and many a script do: the eleventh field on, by columns.
columns() { tool rsntpq -pn | awk 'NR == 1 && ($1 != "remote" || NF != 10) {bad = 1} NR > 2 && /INIT|LOCL/ && NF != 10 {bad = 1} END {exit bad}'; }
check "ten columns below ten heads" columns
only() { [ "$(tool rsntpq -c 'rv 0 stratum')" = stratum=2 ] && tool rsntpq --old-rv -c 'rv 0 stratum' | head -1 | grep -q '^associd=0 status='; }
check "a variable by name comes alone" only
for key in $md5 $sha1 $aes; do
    sed -i "s/^controlkey .*/controlkey $key/" "$work/ntp.conf"; kill -HUP "$(cat "$work/run/rsntpd.pid")"; sleep 1.2
    for program in "$work/bin/rsntpq" "$peers/ntpq"; do
        signed() { on host timeout 20 "$program" -n -k "$work/etc-ntp/keys" -a "$key" -c "$1" 127.0.0.1 2>&1 | tee /dev/stderr; }
        added() { signed ':config server 10.199.255.91' | grep -qi 'succeeded' && tool rsntpq -pn | grep -q '10.199.255.91' &&
            signed ':config unpeer 10.199.255.91' | grep -qi 'succeeded' && ! tool rsntpq -pn | grep -q '10.199.255.91'; }
        check "key $key of rsntp-keygen: $(basename "$program") configures with it" added
    done
done
# Whoever gets no answer is told in time.
silent() { # HOST ADDRESS
    local start end; start=$(date +%s%N); on "$1" "$work/bin/rsntpq" -pn "$2" > "$work/silent" 2>&1; local s=$?; end=$(date +%s%N)
    echo "status $s after $(((end - start) / 1000000)) ms"; cat "$work/silent"
    [ $s = 1 ] && [ -s "$work/silent" ] && [ $(((end - start) / 1000000)) -le 5000 ]
}
check "no answer (noquery) is told within 5 s" silent out 10.199.255.1
check "no such host is told within 5 s" silent host 10.199.255.88
several() { on lan "$work/bin/rsntpq" -pn 10.199.255.1 fd77::1 | grep -c '^fd77::1 .*LOCL' | grep -qx 1; }
check "several hosts have a column" several
json() { for c in peers as rv 'rv &1' 'cv &5' mrulist sysinfo sysstats monstats iostats kerninfo authinfo authdata ntsinfo timerstats 'pstats &1'; do
    tool rsntpq --json -n -c "$c" | python3 -c 'import json, sys
d = json.loads(sys.stdin.read()); assert d["command"] and d["host"] and len(d) > 2, d' || { echo "$c"; return 1; }; done; }
check "every answer is JSON with --json" json

# rsntpstat beside Debian's ntpstat
stat_alike() { local a b; a=$(tool rsntpstat); local s=$?; b=$(on host "$peers/ntpstat"); [ $s = $? ] || return 1
    diff <(sed 's/within [0-9]*/within N/' <<< "$a") <(sed 's/within [0-9]*/within N/' <<< "$b"); }
check "rsntpstat says what ntpstat says" stat_alike
check "rsntpstat names the server" eval 'tool rsntpstat | grep -q "^synchronised to NTP server"'

# Monitoring as packaged
plugins=$top/.peers/monitoring
if [ -e "$plugins/stamp-2" ]; then
    nagios() { # STATUS PLUGIN OPTIONS…
        local out s; out=$(on host "$plugins/usr/lib/nagios/plugins/$2" "${@:3}" 2>&1); s=$?
        echo "$s: $out"; [ $s = "$1" ]
    }
    for a in 127.0.0.1 ::1; do
        check "check_ntp_peer $a: OK" nagios 0 check_ntp_peer -H $a -w 0.5 -c 1 -W 3 -C 5 -j 50 -k 100 -m 1: -n 1:
        check "check_ntp_peer $a: WARNING for the stratum" nagios 1 check_ntp_peer -H $a -w 0.5 -c 1 -W 0 -C 5
        check "check_ntp_peer $a: CRITICAL for the stratum" nagios 2 check_ntp_peer -H $a -w 0.5 -c 1 -W 0 -C 0
        check "check_ntp_peer $a: WARNING for too few truechimers" nagios 1 check_ntp_peer -H $a -w 0.5 -c 1 -m 5: -n 1:
        check "check_ntp_peer $a: CRITICAL for too few truechimers" nagios 2 check_ntp_peer -H $a -w 0.5 -c 1 -m 5: -n 5:
        check "check_ntp_time $a: OK" nagios 0 check_ntp_time -H $a -w 0.5 -c 1
        check "check_ntp_time $a: WARNING" nagios 1 check_ntp_time -H $a -w 0.5 -c 2 -o 1
        check "check_ntp_time $a: CRITICAL" nagios 2 check_ntp_time -H $a -w 0.5 -c 0.9 -o 1
        check "check_ntp $a: OK" nagios 0 check_ntp -H $a -w 0.5 -c 1 -j 50 -k 100
        check "check_ntp $a: WARNING" nagios 1 check_ntp -H $a -w 0.000000001 -c 60
        check "check_ntp $a: CRITICAL" nagios 2 check_ntp -H $a -w 0.000000001 -c 0.000000001
    done
    check "check_ntp_peer: CRITICAL without an answer" nagios 2 check_ntp_peer -H 127.0.0.9 -p 9 -w 0.5 -c 1 -t 3
    munin() { # PLUGIN PATTERN
        on host env "PATH=$work/bin:$PATH" "MUNIN_LIBDIR=$plugins/usr/share/munin" "PERL5LIB=$plugins/usr/share/perl5" \
            MUNIN_PLUGSTATE="$work" timeout 60 "$work/munin/$1" ${3:-} 2>&1 | tee /dev/stderr | grep -qE "$2"
    }
    mkdir "$work/munin"
    for p in ntp_offset ntp_states ntp_kernel_err ntp_kernel_pll_freq ntp_kernel_pll_off; do ln -s "$plugins/usr/share/munin/plugins/$p" "$work/munin/$p"; done
    ln -s "$plugins/usr/share/munin/plugins/ntp_" "$work/munin/ntp_210.72.145.44"
    check "munin ntp_offset" munin ntp_offset '^offset\.value -?[0-9.]+'
    check "munin ntp_offset: delay" munin ntp_offset '^delay\.value [0-9.]+'
    check "munin ntp_kernel_err" munin ntp_kernel_err '^ntp_err\.value [0-9.]+'
    check "munin ntp_kernel_pll_off" munin ntp_kernel_pll_off '\.value -?[0-9.]+'
    check "munin ntp_kernel_pll_freq" munin ntp_kernel_pll_freq '\.value -?[0-9.]+'
    check "munin ntp_states: the one we follow" munin ntp_states '\.value 6'
    check "munin ntp_states: a candidate" munin ntp_states '\.value 5'
    check "munin ntp_states: rejected ones" munin ntp_states '\.value 0'
    check "munin ntp_ADDRESS" munin ntp_210.72.145.44 '^delay\.value [0-9.]+'
    for p in ntp_offset ntp_kernel_err; do check "munin $p: autoconf" munin $p '^yes' autoconf; done
else skip "monitoring-plugins and munin (tests/system/peers.sh plugins)"; fi

# rsntpq's own monitoring
judged() { local out s; out=$(tool rsntpq check "${@:2}"); s=$?; echo "$s: $out"; [ $s = "$1" ] && grep -q ' | offset=' <<< "$out"; }
check "rsntpq check: OK" judged 0 --max-offset 50ms --max-stratum 4 --min-sources 2
check "rsntpq check: WARNING" judged 1 --warn-stratum 1 --max-stratum 4
check "rsntpq check: CRITICAL" judged 2 --max-offset 50ms --max-stratum 1
check "rsntpq check: CRITICAL for few sources" judged 2 --min-sources 4
metrics() { tool rsntpq metrics --out "$work/rsntp.prom" && python3 - "$work/rsntp.prom" <<'P'
import re, sys
seen, typed = {}, {}
for line in open(sys.argv[1]):
    if line.startswith("#"):
        words = line.split()
        assert words[1] in ("HELP", "TYPE"), line
        if words[1] == "TYPE": typed[words[2]] = words[3]
        continue
    name, labels, number = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="[^"\n]*",?)+\})? (\S+)\n', line).groups()
    assert name in typed and (name, labels) not in seen, line
    seen[name, labels] = float(number)
assert seen["rsntp_up", None] == 1 and seen["rsntp_synchronised", None] == 1 and seen["rsntp_stratum", None] == 2, seen
assert sum(n == "rsntp_source_state" for n, _ in seen) == 5, seen
P
}
check "rsntpq metrics: Prometheus' text, all sources" metrics

# rsntpdate: asks, refuses while the daemon has the port, cannot set the clock without permission
date_q() { tool rsntpdate -q -p 2 210.72.145.44 202.112.10.36 | tee /dev/stderr | grep -q '^server 202.112.10.36, stratum 1, offset'; }
check "rsntpdate -q asks beside the daemon" date_q
refused() { local out s; out=$(tool rsntpdate 210.72.145.44 2>&1); s=$?; echo "$s: $out"; [ $s = 1 ] && grep -q 'the NTP socket is in use, exiting' <<< "$out"; }
check "rsntpdate refuses while the daemon has port 123" refused
forbidden() { local out s; out=$(on_tame lan "$work/bin/rsntpdate" -b -p 2 210.72.145.44 2>&1); s=$?; echo "$s: $out"; [ $s = 1 ] && grep -qi "not permitted\|can't" <<< "$out"; }
check "rsntpdate -b without permission says so and fails" forbidden
signed_date() { on_tame lan "$work/bin/rsntpdate" -q -p 2 -k "$work/etc-ntp/keys" -a "$aes" 10.199.255.1 2>&1 | tee /dev/stderr | grep -q '^server 10.199.255.1, stratum 2'; }
check "rsntpdate -a with a key of rsntp-keygen" signed_date
date_six() { on_tame lan "$work/bin/rsntpdate" -q -6 -p 2 fd77::1 2>&1 | tee /dev/stderr | grep -q '^server fd77::1, stratum 2'; }
check "rsntpdate -6" date_six

ntptime() { tool rsntptime | tee /dev/stderr | grep -q 'ntp_adjtime() returns code'; }
check "rsntptime" ntptime
# A chain: the LAN's machine follows ours.
printf 'server 10.199.255.1 iburst minpoll 3 maxpoll 3\nrestrict default nomodify\n' > "$work/lan.conf"
exec_tame lan "$rsntpd" -n -l "$work/log/lan" -p "$work/lan.pid" -c "$work/lan.conf" > "$work/log/lan.err" 2>&1 &
pids+=($!)
check "a second rsntpd follows the first" within 30 on lan "$work/bin/rsntp-wait" -n 1 -s 1
chain() { on lan "$work/bin/rsntptrace" -n | tee /dev/stderr | awk 'NR == 1 && /: stratum 3,/ {a = 1} NR == 2 && /^10.199.255.1: stratum 2,/ {b = 1} END {exit !(a && b)}'; }
check "rsntptrace goes up the chain" chain

# rsntpq watch in a terminal of 80 columns and 24 lines, by keys; with and without colours
if command -v tmux > /dev/null; then
    # A server of its own for each screen: one that is told to end may still be met under its name.
    screens=0
    terminal() { tmux -L "rsw$$-$screens" "$@"; }
    shown() { # [-e]: the screen as it is
        terminal capture-pane -p "$@" -t watch > "$work/screen"; cat "$work/screen" >&2
    }
    sees() { shown; local p; for p in "$@"; do grep -qE -- "$p" "$work/screen" || { echo "no $p"; return 1; }; done; }
    open_watch() { # ENVIRONMENT…
        [ $screens = 0 ] || terminal kill-server
        screens=$((screens + 1))
        terminal new-session -d -x 80 -y 24 -s watch "env TERM=screen $* ip netns exec $(world_ns host) '$work/bin/rsntpq' watch -n -i 1 -k '$work/etc-ntp/keys' -a $aes; echo left with \$?; sleep 60"
    }
    open_watch LC_ALL=C
    check "watch: the sources in order, selected the first" within 8 sees '^ rsntpq watch  localhost +\[Sources\]  Clients' \
        '^ synchronised to .*, stratum 2  offset [+-][0-9.]+ ms  freq [+-][0-9.]+ ppm' '^ jitter [0-9.]+ ms   root delay .* up 00:0' \
        '^>[*+] 210.72.145.44 +1 +8 +[0-9]+ [#.]{8} ' '^   10.199.255.77 +16 +64 +[0-9]+ \.{8} ' '^   127.127.1.0 +10 ' '^ Tab page'
    check "watch: a sparkline in ASCII" within 20 sees '^>?.[*+] fd77::3 .* [_=+*%#-]{2,}$'
    terminal send-keys -t watch Down Down
    check "watch: the third source is explained" within 4 sees '^>[*+] fd77::3 ' '^ fd77::3  fd77::3  last response [0-9]+ s ago' '^ (sys.peer|candidate): '
    countdown() { shown; awk '/^ . 10.199.255.77|^   10.199.255.77/ {print $4}' "$work/screen"; }
    counts() { local a b; a=$(countdown 2> /dev/null); sleep 3; b=$(countdown 2> /dev/null); echo "$a $b"; [ "$a" != "$b" ]; }
    check "watch: the countdown to the next poll goes on" counts
    terminal send-keys -t watch Tab
    check "watch: the clients, with their restrictions" within 10 sees '  Sources  \[Clients\]' '^> [0-9a-f:.]+ ' '^ 1 of [0-9]+ clients' '^ restrict line: restrict '
    terminal send-keys -t watch End
    check "watch: the last client is explained" within 4 sees '^ ([0-9]+) of \1 clients' '^ Time service'
    terminal send-keys -t watch '?'
    check "watch: help" within 3 sees 'the last eight polls'
    terminal send-keys -t watch x q
    check "watch: q leaves, the terminal is as before" within 3 sees 'left with 0'
    coloured() { shown -e; grep -q $'\e\\[38;5;\|\e\\[3[1-6]m' "$work/screen"; }
    plain() { sees 'fd77::3' && ! coloured; }
    open_watch LC_ALL=C.UTF-8
    check "watch: colours where they are welcome" within 6 coloured
    check "watch: a sparkline in Unicode" within 20 sees '[▁▂▃▄▅▆▇]{2}'
    open_watch NO_COLOR=1
    check "watch: none with NO_COLOR" within 6 plain
    kill -STOP "$(cat "$work/run/rsntpd.pid")"
    check "watch: a silent daemon is told, what was known stays" within 10 sees 'timed out.*\(data below is [0-9]+ s old\)' 'fd77::3'
    kill -CONT "$(cat "$work/run/rsntpd.pid")"
    terminal kill-server
else skip "rsntpq watch (no tmux)"; fi
alive() { kill -0 "$(cat "$work/run/rsntpd.pid")"; }
check "the daemon is alive" alive
check "SIGTERM ends it with status 0" daemon_down
verdict
