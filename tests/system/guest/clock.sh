#!/bin/bash
# The daemon on a real kernel clock, in QEMU guests whose clock is wrong by years.
# usage: clock.sh [CASE ...]    step novdso panic quit slew glide alone abandoned set smear kill; needs .guest and .peers
set -u
. "$(dirname "$0")/../world/lib.sh"
guest=$top/tests/system/guest/run.sh
needs "real kernel clock"
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-clock.XXXXXX"); mkdir "$work/log"
ns=rsg$$
clean() {
    for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
    ip netns del $ns 2>/dev/null
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap clean EXIT; trap 'exit 130' INT TERM
compgen -G "$top/.guest/k/boot/vmlinuz-*" >/dev/null || { skip "real kernel clock: no guest kernel (tests/system/guest/run.sh --setup)"; verdict; exit; }
command -v qemu-system-x86_64 >/dev/null || { skip "real kernel clock: no qemu-system-x86_64"; verdict; exit; }
ip netns add $ns; ip netns exec $ns ip link set lo up
printf 'local stratum 1\nallow\ncmdport 0\nbindaddress 127.0.0.1\npidfile %s/s.pid\n' "$work" > "$work/s.conf"
ip netns exec $ns setpriv --bounding-set -sys_time --inh-caps -sys_time -- \
    "$peers/chronyd" -x -d -u root -f "$work/s.conf" > "$work/log/server" 2>&1 &
pids+=($!)

boot() { # CASE [FILE:PATH]: the guest's console in $work/log/CASE, each line with its time of arrival
    local name=$1; shift
    echo "CASE=$name" > "$work/case-$name"
    RTC=${rtc:-2020-01-01T00:00:00} ip netns exec $ns "$guest" "$top/tests/system/guest/scenario.sh" \
        "$rsntpd:usr/sbin/rsntpd" "$rsntpq:usr/sbin/rsntpq" "$work/case-$name:case" "$@" |
        while IFS= read -r line; do printf '%(%s)T %s\n' -1 "$line"; done > "$work/log/$name"
}
value() { awk -v key="$2" '$2 == key {print $3; exit}' "$work/log/$1"; }
says() { grep -E "$2" "$work/log/$1" || { tail -40 "$work/log/$1"; false; }; }
never() { ! grep -E "$2" "$work/log/$1"; }
count() { [ "$(grep -cE "$2" "$work/log/$1")" = "$3" ] || { grep -E "$2" "$work/log/$1"; tail -30 "$work/log/$1"; false; }; }
right() { # CASE: the guest's date is ours, within 2 s
    local line; line=$(grep ' DATE [0-9]' "$work/log/$1" | head -1)
    set -- $line; echo "$line"; local d=$(($3 - $1)); [ "${d#-}" -le 2 ]
}
frequency() { # CASE WHEN: adjtimex's frequency in ppm
    awk -v when="$2" '$2 == "KERNEL" {on = ($3 == when)} on && /freq/ {for (i = 2; i < NF; i++) if ($i ~ /adjust:/) {print $(i+1) / 65536; exit}}' "$work/log/$1"
}
synchronised() { # CASE WHEN: STA_UNSYNC (64) and STA_PLL (1) are clear
    awk -v when="$2" '$2 == "KERNEL" {on = ($3 == when)} on && /status/ {for (i = 2; i < NF; i++) if ($i ~ /status:/) {exit ($(i+1) % 128 >= 64 || $(i+1) % 2 == 1)}}' "$work/log/$1"
}
field() { # CASE WHEN NAME: what adjtimex says
    awk -v when="$2" -v name="$3:" '$2 == "KERNEL" {on = ($3 == when)} on {for (i = 2; i < NF; i++) if ($i == name) print $(i+1)}' "$work/log/$1"
}
always() { local all; all=$(field "$1" "$2" "$3"); echo "$3: $all"; [ "$(sort -u <<< "$all")" = "$4" ]; } # CASE WHEN NAME VALUE
loop_off() { field "$1" "$2" status; ! field "$1" "$2" status | grep -q '[13579]$'; }
# Nothing but STA_UNSYNC, which is on until the first offset is slewed out.
idle() { always "$1" "$2" status 64 || always "$1" "$2" status 0; } # CASE WHEN
glides() { field "$1" "$2" offset; [ -n "$(field "$1" "$2" offset | grep -vx 0)" ]; } # CASE WHEN
offsets() { # CASE CONDITION: of each measurement, s since the clock was set wrong and the offset in ms, one that meets it
    awk '$2 == "WRONG-AT" {wrong = $3} $2 == "OFFSET" && $(NF-2) == "offset" {print $4 - wrong, $(NF-1) * 1e3}' "$work/log/$1" > "$work/log/$1-offsets"
    cat "$work/log/$1-offsets"
    awk "function abs(x) {return x < 0 ? -x : x} {s = \$1; ms = \$2} $2 {found = 1} END {exit !found}" "$work/log/$1-offsets"
}
set_by_daemon() { # CASE: it may set another one between telling and its end
    local told; told=$(sed -n 's/.* FREQUENCY .*frequency=\(-\?[0-9.]*\).*/\1/p' "$work/log/$1")
    near "$told" "$(frequency "$1" before)" 0.01 || near "$told" "$(frequency "$1" after)" 0.01
}
none() { ! offsets "$@"; }
near() { echo "$1 and $2, at most $3 apart"; awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN {exit !(a != "" && b != "" && a - b <= d && b - a <= d)}'; }

# Where the vDSO is no use, the clock is read by system calls, too.
case_novdso() {
    APPEND=vdso=0 boot novdso
    check "without a vDSO: there is none" says novdso 'VDSO 0'
    check "without a vDSO: a clock wrong by years is stepped once" count novdso 'time reset \+' 1
    check "without a vDSO: then it is right" right novdso
    check "without a vDSO: the filter of system calls is on, and never met" says novdso 'SECCOMP 2'
    check "without a vDSO: no call was trapped" never novdso 'is not one of ours'
}
case_step() {
    boot step
    check "-g: the parent says 0 once it serves" says step 'START-STATUS 0'
    check "-g: a clock wrong by years is stepped once" count step 'time reset \+' 1
    check "-g: then it is right" right step
    check "-g: the filter of system calls is on" says step 'SECCOMP 2'
    check "-g: no call was trapped" never step 'is not one of ours'
    check "-g: adjtimex shows the status synchronised, without the kernel's loop" synchronised step running
    check "-g: adjtimex shows a frequency" says step 'freq.adjust: +-?[1-9]'
    check "-u ntp:ntp: user 38 with CAP_NET_BIND_SERVICE and CAP_SYS_TIME only" says step 'CapEff:[[:space:]]+0000000002000400'
    check "-u ntp:ntp: the user is 38" says step 'Uid:[[:space:]]+38'
    drift=$(value step DRIFT)
    check "SIGTERM writes the drift file" near "$drift" "$(frequency step stopped)" 0.01
    echo "${drift:-0}" > "$work/drift"
    boot drift "$work/drift:drift"
    check "a second boot starts with it" says drift "frequency initialized ${drift:-none} PPM"
}
case_panic() {
    boot panic
    check "without -g: the panic limit ends it with a message" says panic 'exceeds sanity limit'
    check "without -g: the exit status says so" says panic 'PANIC-STATUS 255'
    check "without -g: the clock is not touched" never panic 'time reset'
}
case_quit() {
    boot quit
    check "-q: exit status 0" says quit 'QUIT-STATUS 0'
    check "-q: the clock is set" right quit
}
case_slew() {
    boot slew
    slewed() { sed '1,/SLEW-BEGINS/d' "$work/log/slew" > "$work/log/slew2"; ! grep 'time reset' "$work/log/slew2"; }
    check "-x: 0.4 s are slewed without a step" slewed
    check "-x: the status is synchronised meanwhile" synchronised slew running
    check "-x: the kernel's loop gets nothing" always slew early offset 0
    check "-x: it follows the server" says slew2 'synchronized to 10.0.2.2'
}
case_glide() {
    boot glide
    set_wrong glide || return
    check "60 ms wrong: the kernel's loop gets it" glides glide running
    check "60 ms wrong: within 1 ms after at most 30 s" offsets glide 's <= 30 && abs(ms) < 1'
    check "60 ms wrong: from 20 s on within 5 ms" none glide 's > 20 && abs(ms) > 5'
    check "60 ms wrong: not stepped" count glide 'time reset' "$(grep -c ' time reset' <(sed '/WRONG-AT/q' "$work/log/glide"))"
    check "60 ms wrong: STA_PLL is off meanwhile" loop_off glide running
    check "60 ms wrong: nothing is left in the end" always glide stopped offset 0
}
case_alone() {
    boot alone
    set_wrong alone || return
    check "disable kernel: the kernel's loop gets nothing" always alone running offset 0
    check "disable kernel: 60 ms are slewed at 500 us a second" none alone 's > 4 && s <= 20 && ms < 40'
}
case_abandoned() {
    boot abandoned
    set_wrong abandoned || return
    check "SIGKILL in a glide: something was left to do" glides abandoned killed
    check "SIGKILL in a glide: the clock ends right, within 3 ms" offsets abandoned 's > 15 && abs(ms) < 3'
    check "SIGKILL in a glide: a minute later nothing is left" always abandoned after offset 0
    check "SIGKILL in a glide: STA_PLL is off" idle abandoned after
    check "SIGKILL in a glide: the frequency stays" near "$(frequency abandoned killed)" "$(frequency abandoned after)" 0
    check "SIGKILL in a glide: it is what the daemon had set" set_by_daemon abandoned
}
case_set() {
    boot set
    check "E6 date -s in mid-run: the kernel reports it, it is logged" says set 'clock was set \+3[56][0-9][0-9]\.[0-9]+ s by another process'
    check "E6 date -s in mid-run: half a minute later the clock is right" right set
    check "E6 date -s in mid-run: one step back" count set 'time reset -3[56][0-9][0-9]' 1
    check "E6 date -s in mid-run: the status is synchronised again" synchronised set running
}
case_smear() {
    leap_file "$(next_month)" 38 > "$work/leap"
    rtc=$(date -u -d "@$(($(next_month) - 120))" +%Y-%m-%dT%H:%M:%S); boot smear "$work/leap:leap"; rtc=
    check "leapsmearinterval: the kernel is to insert a leap second" says smear 'status: +(16|80) '
    check "leapsmearinterval: and does" smeared 'least < -0.9 && least > -1.1'
    # 60 s of a cosine's half wave: 0.026 s a second at most, and samples may be 4 s apart.
    check "leapsmearinterval: no step in the served time, by a clock without leap seconds" smeared 'step < 0.15'
    check "leapsmearinterval: it loses the second within its minute" smeared 'all < -0.9 && all > -1.1'
    check "leapsmearinterval: half of it in the middle" smeared 'half > 14 && half < 26'
    check "leapsmearinterval: nothing is reset" never smear 'time reset|another process'
}
# CONDITION on what the client saw: `least` is what the kernel's clock lost of a second, `all` what the served time did, `step` its largest
# change between two samples, `half` the seconds in which it went from -0.25 to -0.75, by the samples' times of arrival.
smeared() {
    awk '$2 == "SMEAR" {k = $3; s = $3 + $4; if (!n++) {k0 = k; s0 = last = s}
            d = s - last; if (d < 0) d = -d; if (d > step) step = d; last = s
            if (k - k0 < least) least = k - k0; if (s - s0 > -0.25) from = $1; if (s - s0 > -0.75) to = $1}
        END {all = last - s0; half = to - from; samples = n
            printf "kernel %.3f, served %.3f, largest step %.3f, middle %d s, %d samples\n", least, all, step, half, samples
            exit !(samples > 20 && '"$1"')}' "$work/log/smear" || { tail -30 "$work/log/smear"; false; }
}
case_kill() {
    boot kill
    check "SIGKILL in a correction: the kernel's frequency stays the estimate, within 1 ppm after 60 s" \
        near "$(frequency kill before)" "$(frequency kill after)" 1
    check "SIGKILL: the tick is the nominal one" says kill 'tick: +10000 us'
}
# A guest on a machine that is too slow cannot set its clock wrong by as little as is wanted.
set_wrong() { grep -q TOO-SLOW "$work/log/$1" || return 0; skip "$1: the guest is too slow to set its clock wrong by so little"; return 1; }
run_cases() { for c in "$@"; do "case_$c"; done; }
if [ $# -gt 0 ]; then run_cases "$@"; else run_cases step panic quit slew glide alone abandoned set smear kill; fi
verdict
