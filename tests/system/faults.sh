#!/bin/bash
# What goes wrong on a machine, and what the daemon makes of it: full and read-only disks, signals, kill -9, syslog that does not read, few
# descriptors, little memory, addresses that flap, damaged files; in the faked world (tests/system/fake/world.c) a clock that others set
# and adjust, and a machine that is suspended. Each fault is a function in faults/; a line each, and a table in target/faults.md. What is
# compared with docs/faults.md is all but figures; UPDATE=1 writes it. Faults that take days are those of `cargo test --test engine faults::`.
# usage: faults.sh [FAULT ...]     KILLS=1000
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/world/lib.sh"
. "$here/faults/place.sh"
. "$here/faults/files.sh"
. "$here/faults/process.sh"
. "$here/faults/network.sh"
. "$here/faults/clock.sh"
needs faults
[ -x "$rsntpq" ] || { echo "no companions at $rsntpq (make build)"; exit 1; }
# In the order of the table.
faults=(full_state full_statistics full_log full_requests readonly_state readonly_start hup_storm stopped killed killed_files syslog_stuck
    syslog_late descriptors memory flaps link_down loopback names_silent damaged older set_outside rival suspended resumed)
[ $# -eq 0 ] || faults=("$@")
for n in "${!faults[@]}"; do address[f$n]=10.199.255.$((100 + n)); done
world_up
companions ntpq ntpdate ntp-keygen
servers_up
faked=
if ! ldd "$rsntpd" > /dev/null 2>&1; then faked="a static daemon loads no library"
elif ! command -v gcc > /dev/null; then faked="no gcc"
else gcc -O2 -shared -fPIC -o "$work/world.so" "$here/fake/world.c" -ldl -lm || faked="world.c does not compile"; fi

jobs_=()
for n in "${!faults[@]}"; do
    fault "$n" "${faults[n]}" > "$work/out$n" 2>&1 & jobs_+=($!)
done
wait "${jobs_[@]}"
mkdir -p "$top/target"
table=$top/target/faults.md
head='| fault, on a machine | what happened | error during and after | what the log said |'
printf '%s\n|---|---|---|---|\n' "$head" > "$table"
for n in "${!faults[@]}"; do
    cat "$work/out$n"
    passed=$((passed + $(grep -c '^ok ' "$work/out$n"))) failed=$((failed + $(grep -c '^FAILED ' "$work/out$n")))
    skipped=$((skipped + $(grep -c '^skipped ' "$work/out$n")))
    cat "$work/f$n/row" >> "$table" 2>/dev/null
done
# The page has the same rows; its figures are those of the day it was written.
page=$top/docs/faults.md
rows() { awk -v head="$head" '$0 == head {on = 1} on && /^\|/ {print} on && !/^\|/ {exit}' "$1"; }
plain() { sed -E 's/[-+]?[0-9][0-9.]*/#/g; s/\b(us|ms)\b/s/g'; }
same() { diff <(rows "$page" | plain) <(rows "$table" | plain); }
if [ $# -eq 0 ] && [ "$failed$skipped" = 00 ]; then
    if [ -n "${UPDATE:-}" ]; then
        awk -v head="$head" -v table="$table" '$0 == head {while ((getline line < table) > 0) print line; on = 1} on && !/^\|/ {on = 0} !on' \
            "$page" > "$work/page" && cat "$work/page" > "$page"
    fi
    check "docs/faults.md has the table (UPDATE=1 writes it)" same
fi
verdict
