#!/bin/bash
# The daemon as it ships in a faked world: clocks and servers of its own under the unmodified binary (world.c), a
# day of them in a second. So the event loop and the system calls are judged by the clock's true error, not the
# engine alone. Limits are rms in µs over the last 80 %, and seconds to settle; the middle one of the runs may not
# exceed them, and none may have twice the rms. The last four begin decades or eras off (from 1970, 1903, 2102, 1969). With FAKE_LOOP=0 the kernel has no loop of its own: slews must do.
# usage: run.sh [SCENARIO ...]     SEEDS="1 2 3" DURATION=100000
set -u
. "$(dirname "$0")/../world/lib.sh"
what="faked world"
[ "$(id -u)" = 0 ] || { skip "$what: not root"; verdict; exit; }
command -v gcc > /dev/null || { skip "$what: no gcc"; verdict; exit; }
[ -x "$rsntpd" ] || { echo "no daemon at $rsntpd (make build)"; exit 1; }
if ! ldd "$rsntpd" > /dev/null 2>&1; then skip "$what: a static daemon loads no library"; verdict; exit; fi
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-fake.XXXXXX"); mkdir "$work/log"; trap 'rm -rf "$work"' EXIT
gcc -O2 -shared -fPIC -o "$work/world.so" "$(dirname "$0")/world.c" -ldl -lm || { echo "FAILED   world.c does not compile"; exit 1; }

lan="FAKE_BASE=1e-4 FAKE_UP=1e-5 FAKE_DOWN=1e-5 FAKE_LIMIT=1e-4"
#name        rms  settle servers options              world: see world.c; defaults are those of "internet"
scenarios="
lan            9    12  1 -                            $lan
lan-old        9    12  1 -                            $lan FAKE_OLD=1
lan-slews      9    60  1 -                            $lan FAKE_LOOP=0
campus        35    12  1 -                            FAKE_BASE=1e-3 FAKE_UP=1e-4 FAKE_DOWN=1e-4 FAKE_LIMIT=5e-4
internet     145     8  1 -                            FAKE_WANDER=1e-9
slews        145    60  1 -                            FAKE_LOOP=0
bad          730    10  1 -                            FAKE_BASE=3e-2 FAKE_UP=1e-2 FAKE_DOWN=1e-2 FAKE_LIMIT=3e-2
wander       360     8  1 -                            FAKE_WANDER=1e-8
lan-wander    10    12  1 -                            $lan FAKE_WANDER=1e-8 FAKE_LIMIT=5e-4
quiet         75     8  1 -                            FAKE_WANDER=1e-10
cold         155    40  1 -                            FAKE_OFFSET=0.1 FAKE_FREQUENCY=1e-4
asym         140     8  1 -                            FAKE_DOWN=1e-4
burst         50    26  1 -                            FAKE_UP=1e-4 FAKE_DOWN=1e-4 FAKE_BURST=2e-2
loss         235    20  1 -                            FAKE_LOSS=0.5
thermal      470     8  1 -                            FAKE_SWING=1e-6 FAKE_PERIOD=7200
four          85     8  4 -                            FAKE_WANDER=1e-9
falsetick     95     8  4 -                            FAKE_LIE=0.2
fixpoll6      70     8  1 minpoll_6_maxpoll_6          FAKE_WANDER=1e-9
f7-battery   145     8  1 -                            FAKE_EPOCH=2209032000 FAKE_OFFSET=-2209031900
f7-era       145     8  1 -                            FAKE_EPOCH=2209032000 FAKE_OFFSET=-4294967296
f7-ahead     145     8  1 -                            FAKE_OFFSET=2400000000
e11-1969     145     8  1 -                            FAKE_EPOCH=2209032000 FAKE_OFFSET=-2212000000
"
one() { # NAME SEED SERVERS OPTIONS WORLD…: what the world reports
    local name=$1 seed=$2 servers=$3 options=$4 i; shift 4
    [ "$options" = - ] && options=
    : > "$work/ntp.conf"
    for ((i = 1; i <= servers; i++)); do echo "server 10.9.0.$i iburst ${options//_/ }" >> "$work/ntp.conf"; done
    rm -f "$work/log/result"
    # The namespace has no way out, and the library answers for all servers.
    env "$@" FAKE_SEED="$seed" FAKE_DURATION="${DURATION:-100000}" FAKE_OUT="$work/log/result" LOADED="$work/world.so" \
        timeout 120 unshare -n setpriv --bounding-set -sys_time --inh-caps -sys_time -- bash -c '
            ip link set lo up; LD_PRELOAD=$LOADED exec "$0" -n -g -l "$1/log/daemon" -c "$1/ntp.conf"' "$rsntpd" "$work" > "$work/log/stderr" 2>&1
    cat "$work/log/result" 2>/dev/null || { tail -qn 5 "$work/log/daemon" "$work/log/stderr" >&2; false; }
}
value() { tr ' ' '\n' <<< "$2" | sed -n "s/^$1=//p"; }
at_most() { awk -v is="$1" -v limit="$2" 'BEGIN {exit !(is != "" && is > 0 && is <= limit)}'; }
middle() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }
run() { # NAME RMS SETTLE SERVERS OPTIONS WORLD…
    local name=$1 rms=$2 settle=$3 seed report all=() settled=(); shift 3
    for seed in ${SEEDS:-1 2 3}; do
        report=$(one "$name" "$seed" "$@") || { failed=$((failed + 1)); echo "FAILED   $name, seed $seed: no report"; continue; }
        all+=("$(value rms_us "$report")"); settled+=("$(value settle "$report")")
        check "$name, seed $seed: $report" at_most "${all[-1]}" $((rms * 2))
    done
    check "$name: rms at most $rms us: ${all[*]}" at_most "$(middle "${all[@]}")" "$rms"
    check "$name: settled in $settle s: ${settled[*]}" [ "$(middle "${settled[@]}")" -le "$settle" ]
}
while read -r name rest; do
    [ -n "$name" ] || continue
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    # shellcheck disable=SC2086
    run "$name" $rest
done <<< "$scenarios"
verdict
