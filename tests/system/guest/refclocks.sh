#!/bin/bash
# Reference clocks that are devices of a true kernel, in a QEMU guest: /dev/pps0, whose pulses come by the interrupts of a parallel port, and
# /dev/ptp0, the clock of a network card. (Their accuracy is the emulator's; other scripts have other makers of pulses.) The guest's
# kernel is Debian's full one, fetched for this.
# usage: refclocks.sh     KEEP=1 keeps the guest's console
set -u
. "$(dirname "$0")/../world/lib.sh"
guest=$top/tests/system/guest/run.sh
export KERNEL=full
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-refclocks.XXXXXX"); console=$work/console; mkdir "$work/log"
trap '[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"' EXIT; trap 'exit 130' INT TERM
lacks() { skip "devices of a true kernel: $*"; verdict; exit; }
for tool in qemu-system-x86_64 busybox cpio gcc; do command -v $tool > /dev/null || lacks "no $tool"; done
[ -x "$rsntpd" ] || lacks "no $rsntpd"
"$guest" --setup > "$work/setup" 2>&1 || lacks "the kernel cannot be fetched: $(tail -1 "$work/setup")"
gcc -O2 -Wall -o "$work/ticker" "$(dirname "$0")/ticker.c" || { echo "FAILED   ticker.c does not compile"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SECONDS_MAX=400 "$guest" "$top/tests/system/guest/refclocks-scenario.sh" "$rsntpd:usr/sbin/rsntpd" "$rsntpq:usr/sbin/rsntpq" \
    "$work/ticker:ticker" > "$console" 2>&1

says() { grep -aE "$1" "$console" || { tail -60 "$console"; false; }; }
# RUN QUERY: the answer, its lines joined
answer() { awk -v run="$1:" -v ask="ASK $1 $2" '/^ASK/ {on = ($0 == ask)} on && $1 == run {$1 = ""; printf "%s", $0}' "$console"; }
id_of() { awk -v run="$1:" -v address="srcadr=$2," '/^ASK/ {id = $4} $1 == run && $2 == address {print id; exit}' "$console"; } # RUN ADDRESS
# RUN WHAT ADDRESS PATTERN: `rv' or `cv' of that association
of() { local text; text=$(answer "$1" "$2 $(id_of "$1" "$3")"); echo "$text"; [[ $text =~ $4 ]]; }
system() { local text; text=$(answer "$1" rv); echo "$text"; [[ $text =~ $2 ]]; } # RUN PATTERN
tally() { says "^$1: \\$2${3//./\\.} "; } # RUN CHARACTER ADDRESS
within() { echo "$1"; awk -v v="$1" -v low="$2" -v high="$3" 'BEGIN {exit !(v != "" && v >= low && v <= high)}'; } # VALUE LOW HIGH
offset() { # RUN ADDRESS LOW HIGH: of a source that is reached, ms
    local text; text=$(answer "$1" "rv $(id_of "$1" "$2")"); echo "$text"
    [[ $text =~ ' reach='0*[1-7] ]] && within "$(grep -oE '\boffset=[-0-9.]+' <<< "$text" | cut -d= -f2)" "$3" "$4"
}
# RUN: ms from the beginning of the system clock's second to the last pulse, by the kernel
stamp() { within "$(awk -v run="$1" '$1 == "PULSE" && $2 == run {split($3, t, "[.#]"); ms = t[2] / 1e6; print (ms > 500 ? ms - 1000 : ms)}' "$console")" -0.5 0.5; }
clockstats() { # RUN ADDRESS: the column after it, in ms
    awk -v run="$1:" -v address="$2" '$1 == run && $2 == "clockstats" && $5 == address {print $6 * 1e3}' "$console"
}
pulse() { within "$(clockstats "$1" 127.127.22.0 | "$2" -1)" "$3" "$4"; } # RUN head|tail LOW HIGH
followed() { # RUN: the pulses are, not the other source
    check "$1: the tally of the pulses is o" tally "$1" o 127.127.22.0
    check "$1: the system's status is sync_pps" system "$1" ' status=01[0-9a-f]{2} leap_none, sync_pps, '
    check "$1: and its stratum 1, its refid PPS" system "$1" ' stratum=1, .* refid=PPS,'
    check "$1: ntpq shows the pulses within 0.5 ms" offset "$1" 127.127.22.0 -0.5 0.5
    check "$1: and so does the kernel, 20 ms at first" stamp "$1"
    check "$1: the variables of the pulses" of "$1" rv 127.127.22.0 'sel_pps.peer.* stratum=0, precision=-20, .*refid=PPS,.* flash=00 ok'
}

check "the guest comes to its end" says '^GUEST-EXIT 0'
check "the devices are root's alone" says '^crw------- .* /dev/pps0'
followed prefer
check "prefer: the source with prefer keeps its *" tally prefer '*' 127.127.28.2
check "prefer: it is the pulses that are followed: it is 3 ms off" offset prefer 127.127.28.2 -3.5 -2.5
check "prefer: with the rights of user 38" says '^prefer: uid 38'
check "prefer: flag3 is taken, and the log says what it does" says 'PPS\(0\): flag3 has no effect'
check "prefer: cv" of prefer cv 127.127.22.0 \
    'device="PPS Clock Discipline", timecode="[-+]?0\.[0-9]{9}", poll=[0-9]+, *noreply=[0-9], *badformat=0, baddata=0, fudgetime1=0\.020, stratum=16, refid=80\.80\.83\.0, *flags=12'
check "prefer: clockstats (flag4) begin at 20 ms" pulse prefer head 19 21
check "prefer: and end at 0" pulse prefer tail -0.5 0.5
followed near
check "near: without prefer, the source that numbers the seconds has *" tally near '*' 127.127.28.2
check "near: a hardware clock that is 30 s wrong (time1) is a falseticker" tally near x 127.127.128.0
check "near: so much or more, where the emulated clock stands still" offset near 127.127.128.0 -1e6 -29e3
check "near: it was read every second" within "$(clockstats near 127.127.128.0 | wc -l)" 60 80
check "near: its variables" of near rv 127.127.128.0 'sel_falsetick.* refid=PHC,.* reach=(0[0-9]*[1-7]|[1-3][0-7]*),'
check "near: its cv" of near cv 127.127.128.0 'device="PTP hardware clock", timecode="[-+][0-9.]+ 0\.000[0-9]+", poll=[0-9]+, *noreply=[0-2], *badformat=0, baddata=0,'
followed local
check "local: LOCAL with prefer keeps its *" tally local '*' 127.127.1.0
check "local: a hardware clock by its interface is read" of local cv 127.127.128.1 'timecode="[-+][0-9.]+ 0\.000[0-9]+", poll=[0-9]+, *noreply=[0-2], *badformat=0, baddata=0,'
verdict
