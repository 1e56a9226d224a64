#!/bin/bash
# Which system calls the static program makes under its filter, over whole worlds: strace writes down each of them, and each must be
# on the lists of src/sys/seccomp/calls.rs. Says, too, which of the lists no world made.
# usage: calls.sh [WORLD …]    those of `run' that do not measure time, by default; needs root, strace and target/static (make static)
set -u
top=$(cd "$(dirname "$0")/../.." && pwd); cd "$top" || exit 1
program=${RSNTPD:-$top/target/static/rsntpd}
[ "$(id -u)" = 0 ] && command -v strace > /dev/null || { echo "skipped  system calls: not root, or no strace"; exit; }
ldd "$program" > /dev/null 2>&1 && { echo "calls: $program is not static: it has another list"; exit 1; }
[ -x "$program" ] || { echo "calls: no $program (make static)"; exit 1; }
[ $# -gt 0 ] || set -- walk-seed seed-lines daemon shell keys effects workers nts-client nts-server links partners broadcast listeners pool manycast nmea gpsd shm sock pulses
work=$(mktemp -d "${TMPDIR:-/tmp}/rsntpd-calls.XXXXXX"); trap 'rm -rf "$work"' EXIT
chmod 755 "$work"; mkdir "$work/seen"
# The tracer is a process beside it: the daemon has the number that it would have.
printf '#!/bin/bash\nexec strace -D -f -qq -o "%s/seen/$$" -- %q "$@"\n' "$work" "$program" > "$work/rsntpd"
chmod 755 "$work/rsntpd"; ln -s "$(readlink -f "${program%/*}/rsntpq")" "$work/rsntpq"
RSNTPD=$work/rsntpd RSNTPQ=$work/rsntpq tests/system/world/run "$@" > "$work/worlds" 2>&1; tail -1 "$work/worlds"; grep 'FAILED' "$work/worlds"
# From the filter on, of each process and of the threads that it makes then.
awk '
    FNR == 1 { split("", on) }
    { pid = $1; line = $0; sub(/^[0-9]+ +/, "", line) }
    line ~ /^(seccomp\(SECCOMP_SET_MODE_FILTER|prctl\(PR_SET_SECCOMP)/ && line ~ / = 0$/ { on[pid] = 1; filtered++; next }
    !(pid in on) { next }
    line ~ /^[a-z_0-9]+\(/ { call = line; sub(/\(.*/, "", call); seen[call]++ }
    line ~ /^(clone|clone3|<\.\.\. clone3? resumed>)/ && line ~ / = [0-9]+$/ { on[$NF] = 1 }
    END { for (c in seen) print seen[c], c; print filtered + 0, "-" }' "$work"/seen/* | sort -rn > "$work/calls"
filtered=$(awk '$2 == "-" {print $1}' "$work/calls"); sed -i '/ -$/d' "$work/calls"
sed -n '/^const NEVER/q; s/.*libc::SYS_\([a-z0-9_]*\).*/\1/p' src/sys/seccomp/calls.rs | sort -u > "$work/listed"
awk '{print $2}' "$work/calls" | sort > "$work/made"
echo "$filtered processes with a filter, $(awk '{s += $1} END {print s}' "$work/calls") calls of $(wc -l < "$work/made") kinds; $(wc -l < "$work/listed") kinds are listed"
column -c 150 "$work/calls"
echo "listed, and made by no world: $(comm -13 "$work/made" "$work/listed" | paste -sd' ')"
unlisted=$(comm -23 "$work/made" "$work/listed" | paste -sd' ')
[ "$filtered" -gt 0 ] && [ -z "$unlisted" ] && echo "ok       no call that is not listed" || { echo "FAILED   not listed: ${unlisted:-no process had a filter}"; exit 1; }
