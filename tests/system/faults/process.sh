# Signals, kill -9, syslog, descriptors, memory.
# shellcheck shell=bash

hup_storm() {
    conf "statsdir $d/stats/" "statistics peerstats"
    start ""
    must "it is synchronized" synchronized
    local before i; before=$(descriptors_open)
    for ((i = 0; i < 1000; i++)); do kill -HUP "$daemon"; sleep 0.005; done
    must "it serves" serves
    must "it was never unsynchronized" bash -c "! grep -E 'no servers reachable|removed [1-9]' '$d/log'"
        even() { echo "$(descriptors_open), $before before"; [ "$(descriptors_open)" -le "$before" ]; }
    must "no descriptor is left open" within 60 even
    must "it is synchronized" follows
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "1,000 SIGHUPs, 200/s" "read again and again, synchronized throughout" "$off" 'configuration reloaded: 0 associations added, 0 removed'
}
stopped() {
    conf
    start ""
    must "it is synchronized" synchronized
    kill -STOP "$daemon"; sleep 60; kill -CONT "$daemon"
    must "it serves at once" serves
        must "it is synchronized" synchronized
    must "it polls on" within 60 reached
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "SIGSTOP for 60 s" "goes on where it was" "$off" ''
}
reached() { ask -pn 127.0.0.1 | awk '/^\*/ {exit !($7 % 10 % 2)}'; }

# So many lives in the faked world, where a drift file is written 25 times a second, each ended by kill -9 at a random moment.
lives() { # DIRECTORY LIVES SEED
    local i p n torn=0 content
    cd "$1" || return; RANDOM=$3
    for ((i = 0; i < $2; i++)); do
        FAKE_SEED=$i FAKE_DURATION=1e8 FAKE_OUT=/dev/null LD_PRELOAD=$library "$rsntpd" -n -g -l log -c conf 2>> stderr &
        p=$!
        printf -v n '0.%03d' $((5 + RANDOM % 120)); sleep "$n"
        kill -9 $p; wait $p
        [ -e drift ] || continue
        IFS= read -r -d '' content < drift
        [[ $content =~ ^-?[0-9]+\.[0-9]{3}$'\n'$ ]] || { echo "life $i: drift file: $content"; torn=1; }
    done 2> /dev/null
    [ "$torn" = 0 ]
}
killed() {
    [ -z "$faked" ] || { unfit killed "$faked"; return; }
    local lane number=$((${KILLS:-1000} * 9 / 20)) lanes=()
    for lane in 1 2; do
        mkdir -p "$d/$lane"
        printf '%s\n' 'server 10.9.0.1 iburst maxpoll 6' "driftfile $d/$lane/drift" "statsdir $d/$lane/" 'statistics loopstats peerstats' \
            'filegen loopstats type none nolink' 'filegen peerstats type none nolink' > "$d/$lane/conf"
        on_tame "$h" unshare -n bash -c "ip link set lo up; rsntpd=$rsntpd library=$work/world.so; $(declare -f lives); lives $d/$lane $number $lane" \
            > "$d/lives$lane" 2>&1 & lanes+=($!)
    done
    for lane in 1 2; do
        must "the drift file was whole after each of $number lives" wait "${lanes[lane - 1]}"
        cat "$d/lives$lane" >> "$d/check"
        must "drift files were written" test -s "$d/$lane/drift"
        # The last life may have left half a line; the next one takes it away.
        on_tame "$h" unshare -n bash -c "ip link set lo up; cd $d/$lane; FAKE_DURATION=20000 FAKE_OUT=result LD_PRELOAD=$work/world.so exec $rsntpd -n -g -l log -c conf" 2> "$d/stderr"
        cp "$d/$lane/result" "$d/result"
        must "every line of the statistics is whole" whole_lines "$d/$lane"/{loopstats,peerstats}
        must "the frequency is taken over" grep -q 'from the drift file' "$d/$lane/log"
    done
    row "kill -9 at $((number * 2)) random moments: drift file, loopstats, peerstats (faked world)" "always whole; the next life goes on from them" \
        "at most $(us max_us) in the last life, then $(us late_us) rms" 'frequency initialized' "$d/1/log"
}
killed_files() {
    conf "nts enable" "nts cert $d/cert.pem" "nts key $d/key.pem" "nts cookie $d/state/nts-keys"
    certificate
    local i p lines keys number=$((${KILLS:-1000} / 10)) bad=0 saved=0
    save() { ask -k "$d/keys" -a 3 -c "saveconfig $1" 127.0.0.1; }
    start ""
    must "it starts" within 60 test -s "$d/state/nts-keys"
    must "it saves" within 60 bash -c "[ -s '$d/save/good.conf' ]" "$(save good.conf)"
    stop
    lines=$(wc -l < "$d/save/good.conf") keys=$(wc -l < "$d/state/nts-keys")
    whole_keys() { [ "$(wc -l < "$d/state/nts-keys")" = "$keys" ] && ! grep -vqE '^[A-Z]: ([0-9]+|[0-9a-f]{64})$' "$d/state/nts-keys"; }
    RANDOM=5
    for ((i = 0; i < number; i++)); do
        rm -f "$d/state/nts-keys" "$d/pid"
        start ""; p=$daemon
        # Half of them die while they start, half while they save.
        if ((i % 2)); then
            until [ -s "$d/pid" ] || ! kill -0 "$p"; do sleep 0.01; done
            save "s$i.conf" > /dev/null & local asker=$!
        fi
        sleep "0.$(printf %03d $((RANDOM % 90)))"
        kill -9 "$p"; wait "$p"
        ((i % 2)) && { kill "$asker"; wait "$asker"; }
        [ ! -e "$d/state/nts-keys" ] || whole_keys || { echo "life $i: half of nts-keys"; bad=1; }
        [ ! -e "$d/pid" ] || [ "$(cat "$d/pid")" = "$p" ] || { echo "life $i: pid file: $(cat "$d/pid")"; bad=1; }
        [ ! -e "$d/save/s$i.conf" ] || [ "$(wc -l < "$d/save/s$i.conf")" = "$lines" ] || { echo "life $i: half of a configuration"; bad=1; }
        [ ! -e "$d/save/s$i.conf" ] || saved=$((saved + 1))
    done 2> /dev/null
    daemon=
    must "all files were whole" [ "$bad" = 0 ]
    must "some were saved" [ "$saved" -gt 0 ]
    start ""
    must "it starts, and is synchronized" synchronized
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "kill -9 at $number random moments: pid file, keys of NTS cookies, saveconfig" "each is there whole or not at all" "$off in the last life" 'NTS key exchange on TCP port'
}

# A /dev of the daemon's own, and a syslog daemon that reads from when $d/go is there.
own_devices() {
    mkdir -p "$d"/dev/{pts,shm}; cp -a /dev/{null,zero,full,random,urandom,tty} "$d/dev/"
    devices='mount --rbind $d/dev /dev;'
}
syslogd() {
    python3 - "$d" <<'P' &
import os, socket, sys, time
d = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(d + "/dev/log")
while not os.path.exists(d + "/go"):
    time.sleep(0.05)
with open(d + "/syslog", "a", buffering=1) as out:
    while True:
        out.write(s.recv(8192).decode(errors="replace").rstrip() + "\n")
P
    syslogd=$!
}
of_syslog() { grep -E "$1" "$d/syslog"; }
syslog_stuck() {
    conf; own_devices; syslogd; within 60 test -S "$d/dev/log"
    start "$devices" syslog
    must "it is synchronized" synchronized
    # Two different lines each time: repetitions are only counted.
    local i; chmod 644 "$d/keys"; for ((i = 0; i < 300; i++)); do kill -HUP "$daemon"; sleep 0.01; done
    must "it serves" serves
        touch "$d/go"; sleep 10.5 # as long as it leaves a syslog alone that does not read
    kill -HUP "$daemon"
    must "the lost lines are counted" within 60 of_syslog 'log lines were lost'
    must "it is synchronized" follows
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    kill $syslogd
    row "/dev/log full: its reader does not read" "lines are lost and counted, nothing waits" "$off" 'log lines were lost' "$d/syslog"
}
syslog_late() {
    conf; own_devices; touch "$d/go"
    start "$devices" syslog
    must "it is synchronized" synchronized
    syslogd; within 60 test -S "$d/dev/log"
    kill -HUP "$daemon"
    must "it logs as soon as there is a syslog" within 60 of_syslog 'configuration reloaded'
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    kill $syslogd
    row "no /dev/log at the start" "runs; logs as soon as there is one" "$off" 'configuration reloaded' "$d/syslog"
}

descriptors() {
    conf
    local i; for ((i = 1; i <= 40; i++)); do on "$h" ip addr add "10.199.254.$i/32" dev eth0; done
    start 'ulimit -n 20;'
    must "it starts, and is synchronized" synchronized
    must "it serves" serves
    on lan ip route replace 10.199.254.0/24 dev eth0
    must "it serves at an address that has no socket of its own" on lan timeout 10 "$work/bin/ntpdate" -q -u -p 1 10.199.254.40
    kill -HUP "$daemon"
    must "it reads its configuration again" within 60 logged 'configuration reloaded'
    must "it is still synchronized" follows
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    row "20 descriptors, 42 addresses" "the wildcard socket serves those that have none" "$off" 'more addresses than files'
}
memory() {
    conf "restrict 10.0.0.0 mask 255.0.0.0 nomodify"
    local group=/sys/fs/cgroup/memory/rsntpd-faults-$$ how="memory cgroup" prepare kills=0
    if mkdir "$group" 2>/dev/null && echo 16M > "$group/memory.limit_in_bytes"; then
        echo 16M > "$group/memory.memsw.limit_in_bytes" 2>/dev/null
        prepare="echo \$\$ > $group/cgroup.procs;"
    else how="data segment, by rlimit"; prepare='ulimit -d 16384;'; fi
    on lan ip route replace local 10.77.0.0/16 dev lo; on "$h" ip route replace 10.77.0.0/16 via "${address[lan]}" dev eth0 onlink
    start "$prepare"
    must "it is synchronized" synchronized
    on lan python3 - "$ip" <<'P'
import socket, sys
for n in range(30000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"10.77.{n // 250}.{n % 250 + 1}", 0))
    s.sendto(b"\x23" + bytes(47), (sys.argv[1], 123))
    s.close()
P
    must "it serves" serves
    must "it is still synchronized" follows
    local size; size=$(resident)
        must "it lives" alive
    [ ! -d "$group" ] || kills=$(sed -n 's/^oom_kill //p' "$group/memory.oom_control" 2>/dev/null)
    must "nothing was killed for lack of memory" [ "${kills:-0}" = 0 ]
    local off; off=$(errors)
    must "its offset stays small" small
    must "it ends with status 0" stop
    rmdir "$group" 2>/dev/null
    row "16 MB of memory ($how), 30,000 clients" "runs in $((size / 1024)) MB" "$off" ''
}
