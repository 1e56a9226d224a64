#!/bin/bash
# Every real ntp.conf of the reference folder is checked by the daemon itself: exit status 0 or 1,
# no crash; where ntpd 4.2.6p5 found mistakes of its own language, something is said.
set -u
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d); mkdir -p "$work/log"; trap 'rm -rf "$work"' EXIT
corpus=$top/../shared/corpus
[ -d "$corpus" ] || { skip "corpus: ../shared is not there"; verdict; exit; }
bad=0 n=0
for f in "$corpus"/*.conf; do
    n=$((n + 1))
    "$rsntpd" --check "$f" > "$work/out" 2>&1; s=$?
    if [ $s -gt 1 ] || grep -q panicked "$work/out"; then echo "$f: status $s"; tail -3 "$work/out"; bad=$((bad + 1)); fi
    if [ $s = 1 ] && ! grep -q '^error' "$work/out"; then echo "$f: status 1 and no error shown"; bad=$((bad + 1)); fi
done
check "all $n files are checked without a crash, mistakes shown" [ $bad = 0 ]
verdict
