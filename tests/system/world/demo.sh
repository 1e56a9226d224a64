#!/bin/bash
# rsntpd for the eyes: the administrator's walk on conf/walk.conf, in a network of its own inside this
# machine. Everything shown is checked; what is not as it should be ends it with status 1.
# usage: demo.sh [--allowed | --ready]   `make demo'; --allowed only tells whether it may be run here, --ready whether it can
set -u
. "$(dirname "$0")/lib.sh"
conf=conf/walk.conf
cd "$top" || exit 1

allowed() {
    [ "$(uname -s)" = Linux ] || { echo "demo: it needs Linux (network namespaces)"; return 1; }
    [ "$(id -u)" = 0 ] || {
        echo "demo: it needs root, to make network namespaces (nothing outside of them is changed)."
        echo "      Run it as root: sudo make demo"
        return 1
    }
}
ready() {
    local lacking=() tool
    for tool in ip ss setpriv unshare; do
        command -v "$tool" > /dev/null || lacking+=("$tool")
    done
    if [ ${#lacking[@]} -gt 0 ]; then
        echo "demo: missing: ${lacking[*]}. tests/system/setup.sh demo installs them."
        return 1
    fi
    if { [ ! -x "$rsntpd" ] || [ ! -x "$rsntpq" ]; } && ! command -v cargo > /dev/null; then
        echo "demo: there is no daemon yet, and root has no cargo to build it."
        echo "      Run 'make build' as the user who has cargo, then this again."
        return 1
    fi
    # A container may be root and still not be allowed to.
    local probe=rsw$$-probe
    ip netns add "$probe" 2> /dev/null && ip netns exec "$probe" true 2> /dev/null || {
        ip netns del "$probe" 2> /dev/null
        echo "demo: this machine does not let us make network namespaces (in a container: run it with"
        echo "      --privileged, or on a machine of its own)."
        return 1
    }
    ip netns del "$probe"
}
allowed || exit 1
[ "${1:-}" = --allowed ] && exit 0
ready || exit 1
[ "${1:-}" = --ready ] && exit 0
[ -x "$rsntpd" ] && [ -x "$rsntpq" ] || { echo "demo: no daemon and companions at ${rsntpd%/*} (make build)"; exit 1; }

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
wrong=0 step=0
heading() { step=$((step + 1)); echo; echo "${bold}$step. $*${plain}"; }
note() { echo "   $*"; }
prompt() { local h=$1; shift; echo; echo "${dim}[$h]${plain} ${bold}\$ $*${plain}"; }
# WHAT CMD…: judges what was just shown.
must() {
    local what=$1; shift
    "$@" > /dev/null 2>&1 && return
    wrong=$((wrong + 1)); echo "${bold}   NOT AS IT SHOULD BE: $what${plain}"
}
shown() { cat "$work/log/shown"; }
seen() { grep -qE -- "$1" "$work/log/shown"; }
status=0
# HOST COMMAND-AS-TOLD CMD…: shows the command, its output and, if it is not 0, its status.
show() {
    prompt "$1" "$2"; shift 2
    "$@" > "$work/log/shown" 2>&1; status=$?
    shown
    [ $status = 0 ] || echo "${dim}(exit status $status)${plain}"
}
# The program of ntp, ntpsec or ntpstat with that name, if this machine has it: ours is shown beside it.
classic() {
    local found=$peers/$1
    [ -x "$found" ] || found=$(type -P "$1") || return
    case $(readlink -f "$found") in */rsntpq | */chronyd) return 1 ;; esac
    echo "$found"
}
# HOST NAME ARGUMENTS…: the same with the classic program of that name.
beside() {
    local h=$1 name=$2 program; shift 2
    program=$(classic "$name") || return 0
    note "The same with the classic $name, which is installed here:"
    show "$h" "$name${*:+ $*}" on "$h" "$program" "$@"
}
in_top() { in_host bash -c 'cd "$0" && exec "$@"' "$top" "$@"; }
is() { [ "$1" = "$2" ]; }

demo_down() {
    local h code=$?
    trap '' INT TERM
    [ $code = 130 ] && { echo; echo "demo: interrupted; cleaning up"; }
    # The daemon forked: what still runs in our namespaces is ours by that.
    for h in "${!address[@]}"; do mapfile -t -O ${#pids[@]} pids < <(ip netns pids "$(world_ns "$h")" 2> /dev/null); done
    world_down
}
started=$SECONDS
world_up
trap demo_down EXIT
companions rsntpq rsntpstat rsntpdate
for h in s1 s2 s3; do own_server_up $h; done

echo "${bold}rsntpd: an old ntp.conf, as it is${plain}"
cat <<WORLD

   This is a small network inside your machine, cut off from everything outside:

   [host]    10.199.255.1     runs rsntpd with $conf
   s1 s2 s3  210.72.145.44  202.112.10.36  59.124.196.83     time servers
                             (rsntpd, too, with a clock of their own: server 127.127.1.0)
   [lan]     10.199.255.50    a client in the office network
   [out]     198.51.100.7     a client somewhere else

   Your clock is safe: the daemon runs without the permission to set it.
WORLD

heading "What does rsntpd make of this ntp.conf?"
note "It has slips: a misspelt word, remarks without #, files that do not exist."
show host "rsntpd --check $conf" in_top "$rsntpd" --check "$conf"
must "--check exits with 1: something was not understood" is $status 1
must "the misspelt prefer is named" seen 'did you mean prefer\?'
must "nothing keeps the daemon from starting" seen 'rsntpd starts with the rest'

heading "It starts all the same."
note "As an init script would: as the user with number 38, and 0 means that it serves."
touch "$work/log/rsntpd"; chmod 666 "$work/log/rsntpd"
daemon_start() {
    in_top "$rsntpd" -u 38:38 -p /var/run/ntpd.pid -g -l "$work/log/rsntpd" -c "$conf"
}
show host "rsntpd -u 38:38 -p /var/run/ntpd.pid -g -l rsntpd.log -c $conf; echo \$?" daemon_start
echo $status
must "the start succeeds" is $status 0
begun=$SECONDS

heading "Which sockets are open?"
note "UDP port 123, on every address of both families. (A firewall must let UDP 123 in; TCP is not used.)"
show host "ss -lunp" on host ss -lunp
must "a socket on the wildcard address" seen ' 0\.0\.0\.0:123 .*rsntpd'
must "a socket on the office address" seen ' 10\.199\.255\.1:123 .*rsntpd'
must "a socket for IPv6" seen ' \[::\]:123 .*rsntpd'

heading "Does it find its servers?"
note "* is the server it is synchronized to, + a candidate. The local clock (LOCL) is used only if no server answers."
note "reach is octal and grows with every answered poll; delay, offset and jitter are milliseconds."
converged() { [ "$(grep -cE '^[*+-](210|202|59)\.' "$work/log/shown")" = 3 ] && seen '^\*(210|202|59)\.'; }
until [ $((SECONDS - begun)) -ge 25 ]; do
    show host "rsntpq -pn                   ${plain}${dim}# $((SECONDS - begun)) s after the start" on host "$work/bin/rsntpq" -pn
    converged && break
    sleep 2.5
done
must "three servers agree and one is the system peer, within 20 s" converged
must "that took no longer than 20 s" [ $((SECONDS - begun)) -le 20 ]
must "the local clock is the last resort" seen '^ 127\.127\.1\.0 .*\.LOCL\. .* 10 '
if classic ntpq > /dev/null; then
    beside host ntpq -pn
    must "ntpq shows the same" converged
fi

heading "Is this machine synchronized?"
show host rsntpstat on host "$work/bin/rsntpstat"
must "rsntpstat exits with 0" is $status 0
must "synchronised at stratum 2" seen 'synchronised to NTP server .* at stratum 2'
if classic ntpstat > /dev/null; then
    beside host ntpstat
    must "ntpstat exits with 0, too" is $status 0
fi

heading "A client in the office network asks for the time, and gets it."
show lan "rsntpdate -q -p 1 10.199.255.1" on lan "$work/bin/rsntpdate" -q -p 1 10.199.255.1
must "an answer at stratum 2" seen 'server 10\.199\.255\.1, stratum 2, '
must "and the exit status 0" is $status 0
if classic ntpdig > /dev/null; then
    beside lan ntpdig -t 3 10.199.255.1
    must "ntpdig gets it, too" seen ' s2 '
fi
show host "rsntpd --explain 10.199.255.50 $conf" in_top "$rsntpd" --explain 10.199.255.50 "$conf"
must "the explanation says the same" seen '^ +get the time$'

heading "A client from somewhere else asks, and gets no answer."
show out "rsntpdate -q -p 1 10.199.255.1" on out "$work/bin/rsntpdate" -q -p 1 10.199.255.1
must "no answer" [ $status != 0 ]
show host "rsntpd --explain 198.51.100.7 $conf" in_top "$rsntpd" --explain 198.51.100.7 "$conf"
must "the explanation says the same" seen '^ +get the time  \(ignore\)$'

heading "What does the log say?"
note "Besides the mistakes of the file: the server it is synchronized to, and that it may not set the clock here."
grep -vE ' line [0-9]+ column ' "$work/log/rsntpd" > "$work/log/short"
show host "grep -v ' column ' rsntpd.log" cat "$work/log/short"
must "synchronized to" seen 'synchronized to (210|202|59)[0-9.]+, stratum 1'
must "the missing permission is logged once" is "$(grep -c 'cannot adjust the system clock' "$work/log/short")" 1

heading "It stops."
pid=$(cat "$work/run/ntpd.pid")
gone() { ! kill -0 "$pid" 2> /dev/null; }
stop() { kill -TERM "$pid" && within 5 gone && tail -1 "$work/log/rsntpd"; }
show host 'kill $(cat /var/run/ntpd.pid)' stop
must "it ends" gone
must "and says so" seen ': exiting$'

echo
if [ $wrong = 0 ]; then
    echo "${bold}All as it should be ($((SECONDS - started)) s). Everything is being cleaned up.${plain}"
    note "Next: README.md for your own machine, 'make check' for all the tests."
else
    echo "${bold}$wrong of the things shown were not as they should be.${plain}"
    KEEP=yes; note "The logs stay in $work/log."
fi
[ $wrong = 0 ]
