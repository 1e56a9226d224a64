# A world of network namespaces without a way out, for the real daemon and real counterparts.
# Source it; then: world_up CONF; host CMD…; world_down runs by trap. One segment joins all hosts:
#   host     10.199.255.1    the machine that rsntpd runs on
#   s1 s2 s3 210.72.145.44 202.112.10.36 59.124.196.83   chronyd, stratum 1
#   lan      10.199.255.50   a client in the LAN
#   out      198.51.100.7    a client from outside
# Nothing here can set this machine's clock: every daemon runs without CAP_SYS_TIME.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
peers=$top/.peers/bin
rsntpd=${RSNTPD:-$top/target/release/rsntpd}
# The companions are built beside the daemon.
rsntpq=${RSNTPQ:-${rsntpd%/*}/rsntpq}
declare -A address=([s1]=210.72.145.44 [s2]=202.112.10.36 [s3]=59.124.196.83
                    [lan]=10.199.255.50 [out]=198.51.100.7 [host]=10.199.255.1)
pids=()
passed=0 failed=0 skipped=0

world_ns() { echo "rsw$$-$1"; }
# Runs a command on a host of the world.
on() { local h=$1; shift; ip netns exec "$(world_ns "$h")" "$@"; }
# The same without the means to set the clock.
on_tame() { local h=$1; shift; on "$h" setpriv --bounding-set -sys_time --inh-caps -sys_time -- "$@"; }
# The same for programs in the background (`exec_tame HOST CMD… &`): the job's pid is the program's
# own, so that a signal reaches the program and not a shell that waits for it.
exec_tame() { local h=$1; shift; exec ip netns exec "$(world_ns "$h")" setpriv --bounding-set -sys_time --inh-caps -sys_time -- "$@"; }

world_down() {
    local p h
    for p in "${pids[@]}"; do kill -CONT "$p" 2>/dev/null; kill "$p" 2>/dev/null; done
    [ -s "$work/run/rsntpd.pid" ] && kill "$(cat "$work/run/rsntpd.pid")" 2>/dev/null
    sleep 0.3
    for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null; done
    for h in "${!address[@]}" net; do ip netns del "$(world_ns "$h")" 2>/dev/null; done
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    return 0
}

world_up() {
    local h
    work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-world.XXXXXX")
    mkdir -p "$work"/{varlib/ntp,run,etc-ntp,log}
    chown 38:38 "$work/varlib/ntp"
    chmod 755 "$work"
    trap world_down EXIT
    trap 'exit 130' INT TERM
    ip netns add "$(world_ns net)"
    on net ip link add br0 type bridge
    on net ip link set br0 up
    for h in "${!address[@]}"; do
        ip netns add "$(world_ns "$h")"
        on net ip link add "v$h" type veth peer name eth0 netns "$(world_ns "$h")"
        on net ip link set "v$h" master br0 up
        on "$h" ip link set lo up
        on "$h" ip link set eth0 up
        case ${address[$h]} in
            10.199.255.*) on "$h" ip addr add "${address[$h]}/24" dev eth0 ;;
            *) on "$h" ip addr add "${address[$h]}/32" dev eth0 ;;
        esac
    done
    # Everybody reaches everybody on the segment, and nobody else: there is no default route.
    for h in "${!address[@]}"; do
        local other
        for other in "${!address[@]}"; do
            [ "$h" = "$other" ] && continue
            on "$h" ip route replace "${address[$other]}/32" dev eth0 2>/dev/null
        done
    done
}

# The daemon gets a /dev of its own: $work/dev, in which tests may make devices. Terminals are this machine's.
own_dev() {
    mkdir -p "$work"/dev/{pts,shm}
    cp -a /dev/{null,zero,full,random,urandom,tty} "$work/dev/"
    ln -s pts/ptmx "$work/dev/ptmx"
}

# The host, s3 and lan get IPv6, too: fd77::1, fd77::3 and fd77::50.
world_v6() {
    local h
    for h in host:1 s3:3 lan:50; do
        on "${h%:*}" sysctl -qw net.ipv6.conf.all.disable_ipv6=0
        on "${h%:*}" ip -6 addr add "fd77::${h#*:}/64" dev eth0 nodad
    done
}

# Starts chronyd as a stratum 1 server on a host.
server_up() {
    local h=$1
    printf 'local stratum 1\nallow\ncmdport 0\npidfile %s/%s.pid\n' "$work" "$h" > "$work/$h.conf"
    exec_tame "$h" "$peers/chronyd" -x -d -u root -f "$work/$h.conf" > "$work/log/$h" 2>&1 &
    pids+=($!)
    eval "pid_$h=$!"
}
servers_up() { server_up s1; server_up s2; server_up s3; }

# The same with rsntpd and this machine's own clock: what needs none of the programs in .peers.
own_server_up() {
    local h=$1
    printf 'restrict default kod nomodify notrap nopeer\nserver 127.127.1.0 minpoll 3 maxpoll 3\nfudge 127.127.1.0 stratum 0\n' > "$work/$h.conf"
    exec_tame "$h" "$rsntpd" -n -c "$work/$h.conf" -l "$work/log/$h" -p "$work/$h.pid" > "$work/log/$h.err" 2>&1 &
    pids+=($!)
    eval "pid_$h=$!"
}

# Offers companions under these names in $work/bin.
companions() { # NAME…
    local name
    [ -x "$rsntpq" ] || { echo "no companions at $rsntpq (make build)"; exit 1; }
    mkdir -p "$work/bin"
    for name in "$@"; do ln -s "$rsntpq" "$work/bin/$name"; done
}

# Runs a command on rsntpd's host with files of its own in /etc/ntp, /var/lib and /var/run.
in_host() { as_host on_tame "$@"; }
exec_host() { as_host exec_tame "$@"; }
as_host() {
    local how=$1; shift
    $how host unshare -m --propagation private bash -c '
        mkdir -p /etc/ntp 2>/dev/null
        [ -d /etc/ntp ] && mount --bind "$0/etc-ntp" /etc/ntp
        mount --bind "$0/varlib" /var/lib
        mount --bind "$0/run" /run
        [ -L /var/run ] || mount --bind "$0/run" /var/run
        [ ! -d "$0/dev" ] || { mount --rbind /dev/pts "$0/dev/pts" && mount --rbind "$0/dev" /dev; }
        cd /; exec "$@"' "$work" "$@"
}

# Starts rsntpd in the foreground with the given options; its log is $work/log/rsntpd.
daemon_up() {
    exec_host "$rsntpd" -n -l "$work/log/rsntpd" -p /var/run/rsntpd.pid "$@" > "$work/log/stderr" 2>&1 &
    daemon=$!
    pids+=("$daemon")
}
# Ends it and gives its exit status.
daemon_down() {
    local signal=${1:-TERM}
    kill "-$signal" "$(cat "$work/run/rsntpd.pid")"
    wait "$daemon"
}

ntpq() { on host "$peers/ntpq" "$@"; }

check() { # WHAT CMD…: one line, counted
    local what=$1; shift
    if "$@" > "$work/log/check" 2>&1; then passed=$((passed + 1)); echo "ok       $what"
    else failed=$((failed + 1)); echo "FAILED   $what"; sed 's/^/         | /' "$work/log/check" | tail -20; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }

# The second in which the next month begins, and a leap second file by which TAI-UTC changes then, good for another hundred days.
next_month() { date -u -d "$(date -u +%Y-%m-01) +1 month" +%s; }
leap_file() { # MONTH LAST-OFFSET
    local now update expire last=$(($1 + 2208988800)) hash
    now=$(date -u +%s); update=$((now + 2208988800)); expire=$((update + 8640000))
    hash=$(printf '%s' "$update$expire" "369221760037" "$last$2" | sha1sum | cut -c1-40 | sed 's/......../ &/g')
    printf '#$ %s\n#@ %s\n3692217600 37\n%s %s\n#h%s\n' "$update" "$expire" "$last" "$2" "$hash"
}

# Waits until a command succeeds, at most so many seconds.
within() {
    local seconds=$1; shift
    local end=$((SECONDS + seconds))
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -ge $end ] && { "$@"; return; }
        sleep 0.5
    done
}

# No daemon of a world makes a system call that its filter does not know.
trapped() { grep -rh 'is not one of ours' "$work/log" 2>/dev/null; }
verdict() {
    if [ -n "${work:-}" ] && trapped > /dev/null; then failed=$((failed + 1)); echo "FAILED   a system call was trapped"; trapped; fi
    echo "$passed passed, $failed failed, $skipped skipped"; [ "$failed" = 0 ]
}

needs() { # the tools and rights that a world needs; ends the script as skipped without them
    local reason=
    [ "$(id -u)" = 0 ] || reason="not root"
    [ -x "$peers/ntpq" ] || reason="no peers (tests/system/peers.sh)"
    [ -x "$rsntpd" ] || { echo "no daemon at $rsntpd (make build)"; exit 1; }
    if [ -n "$reason" ]; then skip "$1: $reason"; verdict; exit; fi
}
